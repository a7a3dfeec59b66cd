"""Two small components of our own (Streamlit Components v2): the live table, and plain text with a tone.

Streamlit's own text elements read Markdown, which may load pictures from anywhere; symbols and the gateway's words are
text that others wrote, so they are set by textContent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from ui.figures import Cell, Column

_HERE = Path(__file__).parent
_TABLE = '<div class="frame"><table><thead><tr></tr></thead><tbody></tbody></table></div>'
_NOTE_JS = """export default function ({ data, parentElement }) {
  const line = parentElement.querySelector("p");
  line.textContent = data.text;
  line.dataset.tone = data.tone;
  line.setAttribute("role", data.tone === "bad" ? "alert" : "status");
}"""
_NOTE_CSS = """
p { margin: 0; font-family: var(--st-font); font-size: 0.86rem; color: var(--st-text-color); overflow-wrap: anywhere; }
p[data-tone="bad"] { color: var(--st-red-text-color, #b91c1c); }
p[data-tone="quiet"] { opacity: 0.72; }
p[data-tone="title"] { font-size: 1.15rem; font-weight: 650; }
"""


@cache
def _table() -> Callable[..., Any]:
    return st.components.v2.component(
        "telemetry_table", html=_TABLE, css=(_HERE / "table.css").read_text(), js=(_HERE / "table.js").read_text()
    )


@cache
def _note() -> Callable[..., Any]:
    return st.components.v2.component("telemetry_note", html="<p></p>", css=_NOTE_CSS, js=_NOTE_JS)


def note(text: str, tone: str = "", *, key: str) -> None:
    """A line of plain text; `tone` is `bad`, `quiet`, `title` or nothing."""
    _note()(key=key, data={"text": text, "tone": tone})


class TableState(NamedTuple):
    """The chosen symbol, as of which trade the figures are true, and whether they stand still."""

    selected: str
    as_of_seq: int
    stale: bool


def symbol_table(
    columns: Sequence[Column], lines: Sequence[Sequence[Cell]], state: TableState, *, key: str
) -> str | None:
    """The table; the symbol that was chosen since the last run, if any."""
    data = {
        "columns": [column._asdict() for column in columns],
        "rows": [{"key": line[0].text, "cells": [list(cell) for cell in line]} for line in lines],
        **state._asdict(),
    }
    chosen = _table()(key=key, data=data, on_chosen_change=_nothing).chosen
    return chosen if isinstance(chosen, str) else None


def _nothing() -> None:
    """A trigger exists only with a callback."""
