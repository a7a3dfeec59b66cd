"""Overview: how much is traded, how quickly it is seen, and every symbol."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import streamlit as st
import streamlit_shadcn_ui as shadcn  # type: ignore[import-untyped]

from ui import figures, filters, pace, places
from ui.board import View
from ui.components import TableState, note, symbol_table
from ui.entrypoint import Desk, desk
from ui.states import banner, drawing, empty


def page() -> None:
    """Everything below the strip."""
    with st.container(horizontal=True, vertical_alignment="center"):
        filters.choose(("venue", "kind"))
        pace.choose()
    pace.live(_live)


def _live() -> None:
    parts = desk()
    view = parts.feed.view()
    with st.container(), drawing("state"):
        banner(parts, view)
    with drawing("figures"):
        for column, card in zip(st.columns(6, gap="small"), figures.cards(view), strict=True):
            with column:
                shadcn.metric_card(card.label, card.value, description=card.description, key=card.label)
    if not view.all.rows:
        with drawing("guide"):
            empty(parts, view)
        return
    with st.container(), drawing("table"):
        _table(parts, view)


def _table(parts: Desk, view: View) -> None:
    wanted = st.text_input("Find", key="find", placeholder="Find in the table", label_visibility="collapsed", width=280)
    symbols = figures.matching(view.all.rows, wanted)
    now = datetime.now(ZoneInfo(parts.timezone))
    lines = figures.lines(view, symbols[: figures.LINES], now)
    about = TableState("", view.all.seq, view.status.phase != "live")
    chosen = symbol_table(figures.COLUMNS, lines, about, key="symbols")
    if len(symbols) > len(lines) or not symbols:
        shown = f"{len(lines):,} of {len(symbols):,} symbols, the most traded" if symbols else "No symbol contains that"
        note(shown, "quiet", key="shown")
    if chosen is not None:
        places.go("symbol", symbol=chosen)
