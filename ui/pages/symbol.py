"""Symbol: one symbol in full."""

from __future__ import annotations

import streamlit as st
import streamlit_shadcn_ui as shadcn  # type: ignore[import-untyped]

from ui import figures, pace
from ui.board import Ask, View
from ui.candles import INTERVALS
from ui.charts import price_chart
from ui.components import note
from ui.entrypoint import Desk, desk
from ui.states import banner, drawing, empty


def page() -> None:
    """Everything below the strip."""
    pace.live(_live)


def _live() -> None:
    parts = desk()
    view = parts.feed.view()
    with st.container(), drawing("state"):
        banner(parts, view)
    if not view.all.rows:
        with drawing("guide"):
            empty(parts, view)
        return
    with st.container(), drawing("chart"):
        _chart(parts, view, _selected(view))


def _selected(view: View) -> str:
    """The symbol of the address, else the one that was looked at last, else the most traded."""
    symbol = st.query_params.get("symbol") or st.session_state.get("symbol")
    if not symbol:
        symbol = figures.matching(view.all.rows, "")[0]
    st.session_state["symbol"] = symbol
    if st.query_params.get("symbol") != symbol:
        st.query_params["symbol"] = symbol
    return str(symbol)


def _chart(parts: Desk, view: View, symbol: str) -> None:
    head, tabs = st.columns([0.55, 0.45], vertical_alignment="center")
    with head:
        note(symbol, "title", key="chart title")
    with tabs, st.container(horizontal=True, horizontal_alignment="right"):
        interval = shadcn.tabs(INTERVALS, value="10s", key="interval", label="Interval", width="content")
    candles = Ask("candles", symbols=(symbol,), interval=interval)
    live = parts.feed.want(candles).part(candles).rows.get(symbol, [])
    rows = parts.book.rows(symbol, interval, live, connection=view.status.connection)
    st.echarts_chart(
        price_chart(rows, interval=interval, zone=parts.timezone),
        height=350,
        key="price chart",
        alt=f"Candles of {symbol}",
    )
