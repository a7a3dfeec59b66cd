"""Record a trade: what a person types, recorded as a trade of the desk; beside it what the symbol does."""

from __future__ import annotations

import streamlit as st
import streamlit_shadcn_ui as shadcn  # type: ignore[import-untyped]

from ui import figures, pace, ticket_form
from ui.board import View
from ui.components import note
from ui.entrypoint import Desk, desk
from ui.states import banner, drawing
from ui.tape import tape
from ui.ticket import Recorded, Refused, Ticket, Trade, Unknown

EVERY_SECONDS = 1.0  # nobody studies figures here: there is no other pace


def page() -> None:
    """Everything below the strip."""
    pace.again(_live, EVERY_SECONDS)


def _live() -> None:
    parts = desk()
    with st.container(), drawing("state"):
        banner(parts, parts.feed.view())
    left, right = st.columns([0.42, 0.58], gap="large")
    with left:
        ticket()
    with right:
        _market()


def ticket() -> None:
    """What a person types, recorded as a trade of the desk."""
    state: Ticket = st.session_state.setdefault("ticket", Ticket())
    note("Record a trade", "title", key="ticket title")
    note("Journals the trade. It sends no order to a venue.", "quiet", key="ticket says")
    view = desk().feed.view()
    rows = view.all.rows
    ticket_form.form(
        view.once("completion", lambda: ticket_form.completion(rows)),
        state.outcome.fields if isinstance(state.outcome, Refused) else {},
        state.typed.fields() if state.typed else {},
        currency=(rows.get(ticket_form.symbol()) or {}).get("currency") or "",
        answered=state.outcome is not None,
        on_send=_send,
        on_renew=state.renew,
    )
    with st.container(), drawing("answer"):
        _outcome(state)


def _send() -> None:
    if values := ticket_form.given():
        st.session_state["ticket"].send(Trade(**values), desk().door)


def _outcome(state: Ticket) -> None:
    outcome = state.outcome
    if isinstance(outcome, Recorded):
        title = "Recorded" if outcome.seq is None else f"Recorded as seq {outcome.seq:,}"
        again = " Sent more than once, counted once. For another one like it, open a new ticket."
        shadcn.alert(title, f"{outcome.trade}. {_applied(outcome)}{again if outcome.again else ''}", key="recorded")
    elif isinstance(outcome, Refused):
        detail = outcome.detail or "Nothing was recorded. The reason stands at the field."
        shadcn.alert("Refused", detail, variant="destructive", key="refused")
    elif isinstance(outcome, Unknown):
        detail = f"{outcome.detail}. Send it again: this ticket counts once, whether the first one arrived or not."
        shadcn.alert("No answer", detail, variant="destructive", key="no answer")


def _applied(outcome: Recorded) -> str:
    if outcome.applied_seconds is None:
        return "On disk; the figures will contain it as soon as a worker has analysed it."
    return f"On disk and in the figures {figures.seconds(outcome.applied_seconds)} after it was sent."


def _market() -> None:
    """What the symbol of the form does now, and what was recorded here."""
    parts = desk()
    view = parts.feed.view()
    symbol = ticket_form.symbol()
    with st.container(), drawing("symbol"):
        _symbol(parts, view, symbol)
    with st.container():
        _recorded(st.session_state.get("ticket"), view)


def _symbol(parts: Desk, view: View, symbol: str) -> None:
    row = view.all.rows.get(symbol)
    if not symbol:
        note("Choose a symbol to see what it does.", "quiet", key="market says")
        return
    note(symbol, "title", key="market title")
    if row is None:
        note("No trade had this symbol yet. Check its spelling, or record the first one.", "quiet", key="market says")
        return
    decimals = figures.decimals_of((row["price_last"], row["price_high"], row["price_low"]))
    last, vwap = (figures.price(row[name], decimals).text for name in ("price_last", "vwap"))
    words = (f"Last {last} {row['currency'] or ''}".strip(), f"VWAP {vwap}", f"{row['trades']:,} trades")
    note(" · ".join(words), "quiet", key="market says")
    tape(parts, view, (symbol,), key="ticket tape")


def _recorded(state: Ticket | None, view: View) -> None:
    if state is None or not state.sent:
        return
    note("Recorded here", "title", key="sent title")
    for number, sent in enumerate(state.sent):
        seq = "" if sent.seq is None else f"seq {sent.seq:,} · "
        applied = "" if sent.seq is None or view.seq >= sent.seq else " · waits to be applied"
        note(f"{seq}{sent.trade}{applied}", "quiet", key=f"sent {number}")
