"""Overview: how much is traded, how quickly it is seen, and every symbol."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import streamlit as st

from ui import asks, filters, pace, places, trends
from ui.board import View
from ui.cards import cards
from ui.components import Shown, cards_row, note, symbol_table
from ui.entrypoint import Desk, desk
from ui.filters import Filters
from ui.market import Market, Order, cells, ordered, visible
from ui.states import banner, drawing, empty

FIRST_ROWS = 45  # before the browser has said how many it has room for
_TABLE = "symbols"
_TITLES = ("Trades per second, last 15 minutes", "End to end, last 15 minutes")


def page() -> None:
    """Everything below the strip."""
    st.session_state["chosen at"] = _asked().get("chosen_at")  # of an earlier visit
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(horizontal=True, width="content"):
            filters.choose(("venue", "kind"), known=asks.known(desk().feed.want(asks.STREAMS)))
        pace.choose()
    pace.live(_live)


def _live() -> None:
    _figures()
    _symbols()


def _figures() -> None:
    parts, now = desk(), time.time()
    chosen = filters.filters()
    view = parts.feed.want(*asks.symbols(chosen), asks.today(chosen, now, parts.timezone))
    with st.container(), drawing("state"):
        banner(parts, view)
    with st.container(), drawing("figures"):
        history = parts.sampler.history(chosen)
        made = view.once(("cards", chosen), lambda: cards(view, history, chosen, now=now, zone=parts.timezone))
        cards_row(made, stale=view.status.phase != "live", key="cards")
    with st.container(), drawing("charts"):
        _charts(parts, view, chosen, now)


def _charts(parts: Desk, view: View, chosen: Filters, now: float) -> None:
    history = parts.sampler.history(chosen)
    for column, name, trend in zip(st.columns(2), _TITLES, (trends.throughput, trends.latency), strict=True):
        with column:
            note(name, "quiet", key=f"head {name}")
            spec = view.once((name, chosen), partial(trend, history, now, parts.timezone))
            st.echarts_chart(spec, height=170, key=name, alt=name)


def _symbols() -> None:
    parts, now = desk(), time.time()
    chosen = filters.filters()
    all_, day, minute = asks.symbols(chosen)
    view = parts.feed.want(all_, day, minute, asks.STREAMS)
    if not view.part(all_).rows:
        with drawing("guide"):
            empty(parts, view)
        return
    with st.container(), drawing("table"):
        rows = view.part(all_), view.part(day), view.part(minute), view.part(asks.STREAMS)
        market = view.once(("market", chosen), lambda: Market(*rows, parts.references.prices, now))
        _table(view, market, chosen)


def _table(view: View, market: Market, chosen: Filters) -> None:
    asked = _asked()
    order = _order(asked)
    symbols = view.once(("order", chosen, order), lambda: ordered(market, order))
    first, names = visible(symbols, int(asked.get("first") or 0), int(asked.get("count") or FIRST_ROWS))
    lines = [view.once(("cells", chosen, name), partial(cells, market, name)) for name in names]
    stale = view.status.phase != "live"
    shown = Shown(order, first, names, lines, len(symbols), len(market.all.rows), market.all.seq, stale)
    symbol_table(shown, key=_TABLE)
    chosen_at = asked.get("chosen_at")
    if chosen_at and chosen_at != st.session_state.get("chosen at"):
        # Again with the next update, until the page is left: the run that leaves may give way to another one.
        places.go("symbol", symbol=str(asked["chosen"]))


def _asked() -> dict[str, Any]:
    """What the viewer has done to the table, empty at first."""
    kept = st.session_state.get(_TABLE)
    return dict(kept.get("view") or {}) if kept else {}


def _order(asked: dict[str, Any]) -> Order:
    """What the table says that the viewer chose; in the beginning what the address says."""
    if not asked:
        address = st.query_params
        return Order(
            find=address.get("find", ""),
            column=address.get("sort", Order().column),
            down=address.get("order", "down") == "down",
            pins=tuple(address.get_all("pin")),
        )
    found = Order(str(asked["find"]), str(asked["column"]), bool(asked["down"]), tuple(map(str, asked["pins"])))
    _address(found)
    return found


def _address(order: Order) -> None:
    for name, value, usual in (
        ("find", order.find, ""),
        ("sort", order.column, Order().column),
        ("order", "down" if order.down else "up", "down"),
    ):
        if value != usual:
            st.query_params[name] = value
        elif name in st.query_params:
            del st.query_params[name]
    if order.pins:
        st.query_params["pin"] = list(order.pins)
    elif "pin" in st.query_params:
        del st.query_params["pin"]
