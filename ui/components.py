"""Components of our own (Streamlit Components v2): the live table, cards, a symbol's figures, and text with a tone.

Streamlit's own text elements read Markdown, which may load pictures from anywhere; symbols and the gateway's words are
text that others wrote, so they are set by textContent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from ui.cards import Card
from ui.facts import Fact, Quote
from ui.market import COLUMNS, Cell, Order

_HERE = Path(__file__).parent
_TABLE = """<div class="box">
<div class="tools">
<input type="search" placeholder="Find a symbol" aria-label="Find a symbol" autocomplete="off" spellcheck="false">
<span class="count"></span></div>
<div class="frame" tabindex="0" role="region" aria-label="Symbols"><table role="table">
<thead role="rowgroup"><tr role="row"><th class="pin" role="columnheader" aria-label="Pinned"></th></tr></thead>
<tbody role="rowgroup"></tbody>
</table></div></div>"""
_NOTE_JS = """export default function ({ data, parentElement }) {
  const line = parentElement.querySelector("p");
  line.textContent = data.text;
  line.dataset.tone = data.tone;
  // A live region would be read out with every update: those are for alerts.
  if (data.tone === "title") line.setAttribute("role", "heading");
  else line.removeAttribute("role");
  line.ariaLevel = data.tone === "title" ? "2" : null;
}"""
_NOTE_CSS = """
p { margin: 0; font-family: var(--st-font); font-size: 0.86rem; color: var(--st-text-color); overflow-wrap: anywhere; }
p[data-tone="bad"] { color: var(--st-red-text-color, #b91c1c); }
p[data-tone="quiet"] { opacity: 0.72; }
p[data-tone="title"] { font-size: 1.15rem; font-weight: 650; }
"""


_CARDS = '<div class="box"><div class="cards"></div></div>'
_FACTS = """<div class="frame" tabindex="0" role="region" aria-label="Exact values"><table>
<thead><tr></tr></thead><tbody></tbody></table></div>"""
_QUOTE = """<div class="quote"><h2></h2><span class="last"></span><span class="change"></span>
<span class="badge" hidden></span><dl></dl></div>"""


@cache
def _component(name: str, html: str) -> Callable[..., Any]:
    """A component whose style and script are in files of its name."""
    css, js = ((_HERE / f"{name}.{kind}").read_text("utf-8") for kind in ("css", "js"))
    return st.components.v2.component(f"telemetry_{name}", html=html, css=css, js=js)


@cache
def _note() -> Callable[..., Any]:
    return st.components.v2.component("telemetry_note", html="<p></p>", css=_NOTE_CSS, js=_NOTE_JS)


def note(text: str, tone: str = "", *, key: str) -> None:
    """A line of plain text; `tone` is `bad`, `quiet`, `title` or nothing."""
    _note()(key=key, data={"text": text, "tone": tone})


class Shown(NamedTuple):
    """What the table shows: the order that was chosen, the rows that are on the screen of so many, how many symbols
    there are in all, as of which trade, and whether the figures stand still."""

    order: Order
    first: int
    symbols: Sequence[str]
    lines: Sequence[Sequence[Cell]]
    total: int
    all: int
    as_of_seq: int
    stale: bool


def symbol_table(shown: Shown, *, key: str) -> None:
    """The table. What the viewer does with it is in the session state of `key`, in `view`: the fields of Order, `first`
    and `count` of the rows that are needed, and once a symbol is chosen, `chosen` and `chosen_at`."""
    data = {
        "columns": [column._asdict() for column in COLUMNS],
        "rows": [{"key": name, "cells": line} for name, line in zip(shown.symbols, shown.lines, strict=True)],
        "view": {**shown.order._asdict(), "first": shown.first, "count": len(shown.symbols)},
        **{name: getattr(shown, name) for name in ("first", "total", "all", "as_of_seq", "stale")},
    }
    _component("table", _TABLE)(key=key, data=data, on_view_change=_nothing)


def cards_row(cards: Sequence[Card], *, stale: bool, key: str) -> None:
    """The cards, beside one another."""
    _component("cards", _CARDS)(key=key, data={"cards": [card._asdict() for card in cards], "stale": stale})


def quote_head(quote: Quote, *, as_of_seq: int, stale: bool, key: str) -> None:
    """How a symbol stands."""
    _component("quote", _QUOTE)(key=key, data=quote._asdict() | {"as_of_seq": as_of_seq, "stale": stale})


def facts_table(windows: Sequence[str], facts: Sequence[Fact], *, key: str) -> None:
    """Exact values, window beside window."""
    _component("facts", _FACTS)(key=key, data={"windows": list(windows), "facts": [list(fact) for fact in facts]})


def _nothing() -> None:
    """A state exists only with a callback."""
