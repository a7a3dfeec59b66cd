"""Record a trade: what a person types, recorded as a trade of the desk."""

from __future__ import annotations

import streamlit as st
import streamlit_shadcn_ui as shadcn  # type: ignore[import-untyped]

from ui.components import note
from ui.entrypoint import desk
from ui.states import banner, drawing
from ui.ticket import FIELDS, SIDES, Recorded, Refused, Ticket, Trade, Unknown


def page() -> None:
    """Everything below the strip."""
    parts = desk()
    banner(parts, parts.feed.view())
    with st.container(width=460):
        ticket()


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
