"""The page: live figures, chart, table and ticket. Streamlit runs this file for each viewer.

Three parts run on their own (fragments): the figures on top and the market each second, the ticket when used.
Symbols, reasons and the gateway's words are text that others wrote: they go through `note`, shadcn's elements or
code blocks, never through anything that reads Markdown or HTML.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import streamlit as st
import streamlit_shadcn_ui as shadcn  # type: ignore[import-untyped]
import structlog

from telemetry.errors import TelemetryError
from ui import figures
from ui.board import View
from ui.candles import INTERVALS
from ui.charts import price_chart
from ui.components import TableState, note, symbol_table
from ui.entrypoint import Desk, desk
from ui.ticket import FIELDS, SIDES, Recorded, Refused, Ticket, Trade, Unknown

EVERY = 1.0  # seconds between two drawings of the live parts
CONNECTING_SECONDS = 2.0  # shorter than that is not worth a word

logger = structlog.get_logger("page")


def page() -> None:
    """Everything."""
    st.set_page_config(page_title="Trading Telemetry", layout="wide", initial_sidebar_state="collapsed")
    overview()
    left, right = st.columns([0.74, 0.26], gap="medium")
    with left:
        market()
    with right:
        ticket()


@contextmanager
def drawing(what: str) -> Iterator[None]:
    """A part that fails says so in its place, and the others go on."""
    try:
        yield
    except TelemetryError as error:
        shadcn.alert(f"No {what} now", error.detail, variant="destructive", key=f"failed {what}")
    except Exception:
        logger.exception("failed", what=what)
        detail = "The other parts go on, and this one is drawn again each second. The log of the page has the reason."
        shadcn.alert(f"The {what} cannot be drawn", detail, variant="destructive", key=f"failed {what}")


# --- figures on top --------------------------------------------------------------------------------------------------


@st.fragment(run_every=EVERY)
def overview() -> None:
    """How fresh everything is, and the figures over all symbols."""
    parts = desk()
    view = parts.feed.view()
    head, badge = st.columns([0.6, 0.4], vertical_alignment="center")
    with head:
        note("Trading Telemetry", "title", key="title")
    with badge, st.container(horizontal=True, horizontal_alignment="right"):
        shadcn.badges(_badges(view), key="badges")
    with st.container(), drawing("state"):
        _banner(parts, view)
    with drawing("figures"):
        for column, card in zip(st.columns(6, gap="small"), figures.cards(view), strict=True):
            with column:
                shadcn.metric_card(card.label, card.value, description=card.description, key=card.label)


def _badges(view: View) -> list[shadcn.BadgeItem]:
    phase = view.status.phase
    ready = bool(view.health.rows.get("ready"))
    words = {"connecting": "Connecting", "away": "Gateway away", "live": "Live" if ready else "Not ready"}
    variant = {"connecting": "secondary", "away": "destructive", "live": "default" if ready else "destructive"}
    return [shadcn.BadgeItem(words[phase], variant[phase]), shadcn.BadgeItem(f"as of seq {view.seq:,}", "outline")]


def _banner(parts: Desk, view: View) -> None:
    status = view.status
    since = datetime.fromtimestamp(status.since / 1e9, UTC).astimezone(ZoneInfo(parts.timezone))
    if status.phase == "away":
        detail = f"{parts.url}: {status.reason}. "
        detail += f"The figures stand as of seq {view.seq:,}. " if view.seq else ""
        detail += "This page goes on by itself when the gateway answers."
        shadcn.alert(f"The gateway is away since {since:%H:%M:%S %Z}", detail, variant="destructive", key="away")
    elif status.phase == "connecting":
        if (datetime.now(UTC) - since).total_seconds() > CONNECTING_SECONDS:
            shadcn.alert("Connecting to the gateway", parts.url, key="connecting")
    elif reasons := view.health.rows.get("reasons"):
        shadcn.alert("The gateway is not ready", "; ".join(reasons), variant="destructive", key="not ready")


# --- chart and table -------------------------------------------------------------------------------------------------


@st.fragment(run_every=EVERY)
def market() -> None:
    """The chart of one symbol and the table of all."""
    parts = desk()
    view = parts.feed.view()
    if not view.all.rows:
        with drawing("guide"):
            _empty(parts, view)
        return
    with st.container(), drawing("chart"):
        _chart(parts, view, _selected(view))
    with st.container(), drawing("table"):
        _table(parts, view)


def _selected(view: View) -> str:
    symbol = st.session_state.get("symbol")
    if symbol not in view.all.rows:
        symbol = st.session_state["symbol"] = figures.matching(view.all.rows, "")[0]
    return str(symbol)


def _chart(parts: Desk, view: View, symbol: str) -> None:
    head, tabs = st.columns([0.55, 0.45], vertical_alignment="center")
    with head:
        note(symbol, "title", key="chart title")
    with tabs, st.container(horizontal=True, horizontal_alignment="right"):
        interval = shadcn.tabs(INTERVALS, value="10s", key="interval", label="Interval", width="content")
    live = parts.feed.watch(symbol, interval)
    rows = parts.book.rows(symbol, interval, live, connection=view.status.connection)
    st.echarts_chart(
        price_chart(rows, interval=interval, zone=parts.timezone),
        height=350,
        key="price chart",
        alt=f"Candles of {symbol}",
    )


def _table(parts: Desk, view: View) -> None:
    wanted = st.text_input("Find", key="find", placeholder="Find in the table", label_visibility="collapsed", width=280)
    symbols = figures.matching(view.all.rows, wanted)
    now = datetime.now(ZoneInfo(parts.timezone))
    lines = figures.lines(view, symbols[: figures.LINES], now)
    selected = st.session_state["symbol"]
    about = TableState(selected, view.all.seq, view.status.phase != "live")
    chosen = symbol_table(figures.COLUMNS, lines, about, key="symbols")
    if len(symbols) > len(lines) or not symbols:
        shown = f"{len(lines):,} of {len(symbols):,} symbols, the most traded" if symbols else "No symbol contains that"
        note(shown, "quiet", key="shown")
    if chosen is not None and chosen != selected:
        st.session_state["symbol"] = chosen
        st.rerun(scope="fragment")


def _empty(parts: Desk, view: View) -> None:
    if view.status.phase != "live":
        return
    shadcn.alert(
        "No trades yet",
        "Record the first one with the ticket, send one from a terminal, or replay a file. It appears here at once.",
        key="empty",
    )
    body = '{"symbol": "BTC-USDT", "side": "buy", "quantity": "0.015", "price": "64250.10"}'
    lines = [
        f"curl {parts.url}/v1/trades \\",
        "     -H 'Content-Type: application/json' \\",
        f"     -d '{body}'",
        "",
        f"telemetry replay trades.csv --url {parts.url}",
    ]
    st.code("\n".join(lines), language="bash")


# --- ticket ----------------------------------------------------------------------------------------------------------


@st.fragment
def ticket() -> None:
    """What a person types, recorded as a trade of the desk."""
    state: Ticket = st.session_state.setdefault("ticket", Ticket())
    refused = state.outcome.fields if isinstance(state.outcome, Refused) else {}
    note("Record a trade", "title", key="ticket title")
    note("Journals the trade. It sends no order to a venue.", "quiet", key="ticket says")
    with st.form("ticket form", enter_to_submit=True):
        st.text_input("Symbol", key="ticket symbol", placeholder="BTC-USDT", autocomplete="off")
        _at(refused, "symbol")
        st.radio("Side", SIDES, key="ticket side", horizontal=True, format_func=str.capitalize)
        _at(refused, "side")
        st.text_input("Quantity", key="ticket quantity", placeholder="0.015", autocomplete="off")
        _at(refused, "quantity")
        st.text_input("Price", key="ticket price", placeholder="64250.10", autocomplete="off")
        _at(refused, "price")
        st.form_submit_button("Record trade", type="primary", width="stretch", on_click=_send)
    with st.container(), drawing("answer"):
        _outcome(state)
    if state.outcome is not None:
        st.button("New ticket", key="ticket new", on_click=_renew, width="stretch")
    for number, sent in enumerate(state.sent):
        note(f"{'' if sent.seq is None else f'#{sent.seq:,} '}{sent.trade}", "quiet", key=f"sent {number}")


def _at(refused: dict[str, str], name: str) -> None:
    if name in refused:
        note(refused[name], "bad", key=f"refused {name}")


def _send() -> None:
    values = {name: str(st.session_state[f"ticket {name}"]) for name in FIELDS}
    st.session_state["ticket"].send(Trade(**values), desk().door)


def _renew() -> None:
    st.session_state["ticket"].renew()
    for name in ("quantity", "price"):
        st.session_state[f"ticket {name}"] = ""


def _outcome(state: Ticket) -> None:
    outcome = state.outcome
    if isinstance(outcome, Recorded):
        title = "Recorded" if outcome.seq is None else f"Recorded as seq {outcome.seq:,}"
        again = " Sent more than once, counted once. For another one like it, open a new ticket."
        again = again if outcome.again else ""
        shadcn.alert(title, f"{outcome.trade}.{again}", key="recorded")
    elif isinstance(outcome, Refused):
        detail = outcome.detail or "Nothing was recorded. The reason stands at the field."
        shadcn.alert("Refused", detail, variant="destructive", key="refused")
    elif isinstance(outcome, Unknown):
        detail = f"{outcome.detail}. Send it again: this ticket counts once, whether the first one arrived or not."
        shadcn.alert("No answer", detail, variant="destructive", key="no answer")


if __name__ == "__main__":
    page()
