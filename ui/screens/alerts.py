"""Alerts: what is wrong now and what was, the trades behind it, acknowledge and mute."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import streamlit as st
import streamlit_shadcn_ui as shadcn  # type: ignore[import-untyped]

from ui import alerts, pace
from ui.alert_list import Done, alert_list
from ui.components import note
from ui.entrypoint import Desk, desk
from ui.listing import Line, listing
from ui.states import banner, drawing
from ui.tape import trades

PATH = "/v1/alerts"
VIEWS = {"Open": "open", "Past": "past", "Pending": "pending"}
EMPTY = {"Open": "No alert is open. A new one appears here, in the strip and in the title of the tab."}
COLUMNS = ("seq", "time", "symbol", "side", "price", "quantity", "venue", "account", "strategy", "source")


def page() -> None:
    """Everything below the strip."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.session_state["alerts view"] = shadcn.tabs(
            [*VIEWS, "Rules and mutes"], key="alerts tabs", label="Which alerts", width="content"
        )
        pace.choose()
        st.text_input(
            "Your name",
            key="alerts by",
            placeholder="Your name, for acknowledging",
            width=240,
            label_visibility="collapsed",
            max_chars=64,
            autocomplete="name",
        )
    pace.live(_live)


def _live() -> None:
    parts = desk()
    view = parts.feed.view()
    with st.container(), drawing("state"):
        banner(parts, view)
    with st.container(), drawing("trades"):
        _behind(parts)
    with st.container(), drawing("alerts"):
        if (wanted := st.session_state["alerts view"]) in VIEWS:
            _alerts(parts, wanted)
        else:
            _rules(parts)


def _alerts(parts: Desk, wanted: str) -> None:
    told = parts.reading.read(PATH, state=VIEWS[wanted])
    found = told.document["alerts"]
    words = alerts.summary(found) if wanted == "Open" else f"{len(found):,} {wanted.lower()}"
    note(f"{words} · as of seq {told.document['as_of_seq']:,}", "quiet", key="alerts summary")
    errors = told.document.get("rules_file", {}).get("errors", ())
    if errors:
        first = errors[0]
        words = f"{len(errors)} mistakes, the first in line {first.get('line')}: {first.get('detail')}"
        shadcn.alert("The file of rules is wrong; the rules before it are in use", words, variant="destructive")
    items = alerts.items(found, parts.timezone, datetime.now(UTC))
    done = alert_list(
        items, empty=EMPTY.get(wanted, f"No {wanted.lower()} alerts."), stale=bool(told.error), key=f"alerts {wanted}"
    )
    if done is not None:
        _do(parts, done, next((alert for alert in found if alert["id"] == done.id), None))


def _do(parts: Desk, done: Done, alert: Mapping[str, Any] | None) -> None:
    if done.does == "trades":
        st.query_params["alert"] = done.id
    elif done.does == "acknowledge":
        by = str(st.session_state.get("alerts by") or "").strip()
        parts.door.post(f"{PATH}/{quote(done.id, safe='')}/ack", {"by": by} if by else None)
    elif done.does == "mute" and alert is not None:
        parts.door.post(f"{PATH}/mutes", {"rule": alert["rule"], "key": alert["key"], "seconds": done.seconds})
    parts.reading.forget(PATH)
    st.rerun(scope="fragment")


def _behind(parts: Desk) -> None:
    """The trades behind the alert of the address."""
    chosen = st.query_params.get("alert")
    if not chosen:
        return
    everything = parts.reading.read(PATH, state="all", limit=10_000)
    alert = next((alert for alert in everything.document["alerts"] if alert["id"] == chosen), None)
    if alert is None:
        note("This alert is not known any more.", "quiet", key="behind says")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        note(f"Trades behind {alert['rule']} {alert['key']}", "title", key="behind title")
        if st.button("Close", key="behind close"):
            del st.query_params["alert"]
            st.rerun(scope="fragment")
    note(alert["message"], "quiet", key="behind message")
    asked = alerts.behind(alert)
    if asked is None:
        note("No trades stand behind it: it is about what did not come.", "quiet", key="behind says")
        return
    told = parts.reading.read("/v1/trades", seconds=30, **asked).document
    trades(parts, told["trades"], columns=COLUMNS, label="Trades behind the alert", key="behind")
    words = f"Trades {alert['first_seq']:,} to {alert['last_seq']:,}"
    if told["next"]:
        words += f", the first {len(told['trades']):,} of them that it is about"
    note(words, "quiet", key="behind says")


def _rules(parts: Desk) -> None:
    document = parts.reading.read(PATH, state="open").document
    now = datetime.now(UTC)
    note("Muted", "title", key="mutes title")
    mutes = [Line(mute["id"], [mute["text"]]) for mute in alerts.mutes(document, parts.timezone, now)]
    pressed = listing(("Mute",), mutes, label="Mutes", key="mutes", empty="Nothing is muted.", deed="Unmute")
    if pressed is not None:
        parts.door.delete(f"{PATH}/mutes/{quote(pressed, safe='')}")
        parts.reading.forget(PATH)
        st.rerun(scope="fragment")
    path = (document.get("rules_file") or {}).get("path")
    note("Rules", "title", key="rules title")
    note(
        f"From {path}." if path else "The default rules; TELEMETRY_RULES names a file of your own.",
        "quiet",
        key="rules say",
    )
    lines = [Line(cells[0], cells) for cells in alerts.rules(document)]
    listing(("Rule", "Severity", "About", "Fired"), lines, numeric=("Fired",), label="Rules", key="rules")
