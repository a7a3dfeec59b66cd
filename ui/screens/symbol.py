"""Symbol: one symbol in full. Its address names it: /symbol?symbol=BTC-USDT."""

from __future__ import annotations

import time
from urllib.parse import quote

import streamlit as st
import streamlit_shadcn_ui as shadcn  # type: ignore[import-untyped]

from ui import asks, candles, charts, facts, figures, filters, pace, profile
from ui.board import ALL, MINUTE, Ask, View
from ui.components import facts_table, note, quote_head
from ui.entrypoint import Desk, desk
from ui.filters import Filters
from ui.market import Market
from ui.states import banner, drawing, empty
from ui.tape import tape

PROFILE_SECONDS = 30.0  # a day has many minutes, and one of them changes
TAPE = ("time", "side", "price", "quantity")
_KEPT = {"interval": "10s", "range": 120}

_SEVERAL = (
    "Where trades have several currencies, or some have none, there is no common price: name the currency of each."
)


def page() -> None:
    """Everything below the strip."""
    view = desk().feed.want(asks.STREAMS)
    names = figures.matching(view.all.rows, "")
    symbol = _selected(names)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(horizontal=True, width="content"):
            _choose(symbol, names)
            filters.choose(known=asks.known(view))
        pace.choose()
    pace.live(_live)


def _live() -> None:
    _quote()
    left, right = st.columns([0.74, 0.26], gap="medium")
    with left:
        _looks()
        _chart()
    with right:
        chosen = filters.filters()._replace(venue=(), kind=()).words
        note("Latest trades" + (f" · {chosen}" if chosen else ""), "quiet", key="tape head")
        _tape()
    _profile()
    _facts()


def _selected(known: list[str]) -> str:
    """The symbol of the address, else the one that was looked at last, else the most traded; empty without any."""
    kept = st.query_params.get("symbol") or st.session_state.get("symbol") or next(iter(known), "")
    if kept:
        _select(str(kept))
    return str(kept)


def _select(symbol: str) -> None:
    st.session_state["symbol"] = symbol
    if st.query_params.get("symbol") != symbol:
        st.query_params["symbol"] = symbol


def _choose(symbol: str, known: list[str]) -> None:
    def changed() -> None:
        if chosen := st.session_state["choose symbol"]:
            _select(chosen)

    options = known if symbol in known or not symbol else [symbol, *known]
    st.session_state["choose symbol"] = symbol or None
    st.selectbox(
        "Symbol",
        options,
        key="choose symbol",
        label_visibility="collapsed",
        placeholder="Symbol",
        on_change=changed,
        width=220,
    )


def _looks() -> None:
    """How the chart is looked at, kept for this session."""
    kept = st.session_state.setdefault("looks", dict(_KEPT))
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        interval = shadcn.tabs(
            candles.INTERVALS, value=kept["interval"], key="interval", label="Interval", width="content"
        )
        lengths = {count: candles.length(interval, count) for count in candles.RANGES}
        chosen = shadcn.tabs(
            list(lengths),
            value=kept["range"],
            format_func=lengths.__getitem__,
            key="range",
            label="Range",
            width="content",
        )
    kept |= {"interval": interval, "range": chosen}


def _of() -> tuple[Desk, str, Filters]:
    """What a part is about: the desk, the symbol, and what the filters choose."""
    return desk(), str(st.session_state.get("symbol") or ""), filters.filters()


def _quote() -> None:
    parts, symbol, chosen = _of()
    one = [asks.chosen(ask, chosen)._replace(symbols=(symbol,)) for ask in (ALL, asks.DAY, MINUTE)]
    view = parts.feed.want(*one, asks.STREAMS)
    with st.container(), drawing("state"):
        banner(parts, view)
    if not symbol:
        with drawing("guide"):
            empty(parts, view)
        return
    with st.container(), drawing("figures"):
        rows = [view.part(ask) for ask in one]
        market = Market(rows[0], rows[1], rows[2], view.part(asks.STREAMS), parts.references.prices, time.time())
        made = view.once(("quote", symbol, chosen), lambda: facts.quote(market, symbol))
        quote_head(made, as_of_seq=rows[0].seq, stale=view.status.phase != "live", key="quote")


def _chart() -> None:
    parts, symbol, chosen = _of()
    if not symbol:
        return
    looks = st.session_state.get("looks", _KEPT)
    ask = asks.chosen(Ask("candles", symbols=(symbol,), interval=looks["interval"]), chosen)
    view = parts.feed.want(ask)
    with st.container(), drawing("chart"):
        live = view.part(ask).rows.get(symbol, [])
        rows = parts.book.rows(ask, live, connection=view.status.connection, now=time.monotonic())[-looks["range"] :]
        st.echarts_chart(
            charts.price_chart(rows, interval=ask.interval, zone=parts.timezone),
            height=charts.HEIGHT,
            key="price chart",
            alt=f"Candles of {symbol}",
        )
        if not all(map(charts.priced, rows)):
            note(_SEVERAL, "quiet", key="several currencies")


def _tape() -> None:
    parts, symbol, chosen = _of()
    if symbol:
        with st.container(), drawing("tape"):
            tape(parts, parts.feed.view(), (symbol,), chosen, columns=TAPE, key=f"tape {symbol}")


def _profile() -> None:
    parts, symbol, chosen = _of()
    if not symbol:
        return
    with st.container(), drawing("profile"):
        path = f"/v1/profile/{quote(symbol, safe='')}"
        told = parts.reading.read(path, seconds=PROFILE_SECONDS, venue=list(chosen.venue), kind=list(chosen.kind))
        note(profile.words(told.document), "quiet", key="profile head")
        option = profile.profile_chart(told.document)
        st.echarts_chart(option, height=profile.HEIGHT, key="profile", alt=f"Minutes of the day of {symbol}")


def _facts() -> None:
    parts, symbol, chosen = _of()
    if not symbol:
        return
    view: View = parts.feed.want(*facts.asks(symbol, chosen))
    with st.container(), drawing("values"):
        note("Exact values", "quiet", key="facts head")
        made = view.once(("facts", symbol, chosen), lambda: facts.facts(view, symbol, chosen))
        facts_table(facts.titles(), made, key="facts")
