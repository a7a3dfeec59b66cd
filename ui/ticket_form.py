"""The form of the ticket as a component: what is typed stays in the browser until it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from ui import figures
from ui.ticket import SIDES

KEY = "ticket form"
SYMBOLS = 5_000  # that can be completed; others can be typed
_HERE = Path(__file__).parent
_TEXTS = (
    ("symbol", "Symbol", "BTC-USDT", "wide", 'list="ticket-symbols" required'),
    ("quantity", "Quantity", "0.015", "", 'inputmode="decimal"'),
    ("price", "Price", "64250.10", "", 'inputmode="decimal"'),
    ("account", "Account", "", "", ""),
    ("strategy", "Strategy", "", "", ""),
    ("venue", "Venue", "", "", ""),
    ("currency", "Currency", "", "", ""),
)


def _text(name: str, label: str, example: str, wide: str, more: str) -> str:
    optional = "" if example else " <small>(optional)</small>"
    return (
        f'<div class="{wide}"><label for="ticket-{name}">{label}{optional}</label>'
        f'<input id="ticket-{name}" name="{name}" placeholder="{example}" autocomplete="off" spellcheck="false" '
        f'aria-describedby="ticket-{name}-refused" {more}>'
        f'<p id="ticket-{name}-refused" data-refused="{name}"></p></div>'
    )


def _html() -> str:
    sides = "".join(
        f'<label class="side" data-side="{side}"><input type="radio" name="side" value="{side}"'
        f"{' checked' if side == SIDES[0] else ''}>{side.capitalize()}</label>"
        for side in SIDES
    )
    symbol, *others = (_text(*of) for of in _TEXTS)
    return (
        f'<form class="ticket" novalidate aria-label="Record a trade">{symbol}<div class="wide"><fieldset>'
        f'<legend>Side</legend>{sides}</fieldset><p data-refused="side"></p></div>{"".join(others)}'
        '<button class="wide" type="submit">Record trade</button>'
        '<button class="wide" type="button" data-does="renew" hidden>New ticket</button>'
        '<datalist id="ticket-symbols"></datalist></form>'
    )


@cache
def _component() -> Callable[..., Any]:
    css, js = ((_HERE / f"ticket.{kind}").read_text("utf-8") for kind in ("css", "js"))
    return st.components.v2.component("telemetry_ticket", html=_html(), css=css, js=js)


def completion(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The symbols to complete from: the most traded, by name, because what stays as it is need not be sent again."""
    return sorted(figures.matching(rows, "")[:SYMBOLS])


def form(
    symbols: Sequence[str],
    refused: Mapping[str, str],
    before: Mapping[str, str],
    *,
    currency: str,
    answered: bool,
    on_send: Callable[[], None],
    on_renew: Callable[[], None],
) -> None:
    """The form; `before` are values to begin with, `refused` the gateway's words by field, `currency` that of
    the symbol's other trades.

    While `on_send` runs, `given()` is what was typed."""
    data = {
        "symbols": list(symbols),
        "refused": dict(refused),
        "before": dict(before),
        "answered": answered,
        "currency": currency,
    }
    _component()(
        key=KEY,
        data=data,
        default={"symbol": before.get("symbol", "")},
        on_symbol_change=_nothing,
        on_sent_change=on_send,
        on_renewed_change=on_renew,
    )


def given() -> dict[str, str]:
    """The fields that were sent, as typed."""
    sent = (st.session_state.get(KEY) or {}).get("sent") or {}
    return {str(name): str(value) for name, value in dict(sent).items()}


def symbol() -> str:
    """The symbol that stands in the form now."""
    return str((st.session_state.get(KEY) or {}).get("symbol") or "")


def _nothing() -> None:
    """A state exists only with a callback."""
