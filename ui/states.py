"""What a page says when there is nothing to show: no gateway, no trades yet, or a part that fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import streamlit as st
import streamlit_shadcn_ui as shadcn  # type: ignore[import-untyped]
import structlog

from telemetry.errors import TelemetryError
from ui import places, samples
from ui.board import View
from ui.entrypoint import Desk
from ui.ticket import new_id

CONNECTING_SECONDS = 2.0  # shorter than that is not worth a word
STALE_SECONDS = 7.0  # heartbeats come each 5 s; after 12 s of silence the gateway counts as away
SKELETON = (110, 260, 320)  # pixels: cards, chart, table

logger = structlog.get_logger("page")


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


def banner(parts: Desk, view: View) -> None:
    """Why the figures stand still, when they do."""
    status = view.status
    if status.phase == "away":
        detail = f"{parts.url}: {status.reason}. "
        detail += f"The figures stand as of seq {view.seq:,}. " if view.seq else ""
        detail += "This page goes on by itself when the gateway answers."
        since = _clock(parts, status.since)
        shadcn.alert(f"The gateway is away since {since}", detail, variant="destructive", key="away")
    elif status.phase == "connecting":
        _loading(parts, view)
    elif (silent := _silent_seconds(view)) > STALE_SECONDS:
        detail = f"Nothing was heard since {_clock(parts, view.heard)}. The figures stand as of seq {view.seq:,}."
        shadcn.alert(f"The figures are {silent:.0f} s old", detail, variant="destructive", key="stale")
    elif reasons := view.health.rows.get("reasons"):
        shadcn.alert("The gateway is not ready", "; ".join(reasons), variant="destructive", key="not ready")


def _loading(parts: Desk, view: View) -> None:
    """Before the first figures: their places, and after a moment whom the page waits for."""
    if (time.time_ns() - view.status.since) / 1e9 > CONNECTING_SECONDS:
        shadcn.alert("Connecting to the gateway", f"{parts.url} {view.status.reason}".strip(), key="connecting")
    for number, height in enumerate(SKELETON):
        shadcn.skeleton(skeleton_height=height, key=f"skeleton {number}")


def _silent_seconds(view: View) -> float:
    return max(0.0, (time.time_ns() - view.heard) / 1e9) if view.heard else 0.0


def _clock(parts: Desk, instant_ns: int) -> str:
    return f"{datetime.fromtimestamp(instant_ns / 1e9, UTC).astimezone(ZoneInfo(parts.timezone)):%H:%M:%S %Z}"


def empty(parts: Desk, view: View) -> None:
    """How to send the first trade: one button, or a command to copy."""
    if view.status.phase != "live":
        return
    shadcn.alert(
        "No trades yet",
        "Record the first one with the ticket, send one from a terminal, or replay a file. It appears here at once.",
        key="empty",
    )
    with st.container(horizontal=True):
        if st.button("Send a sample trade", type="primary", key="sample"):
            sample = st.session_state.setdefault("sample id", new_id())
            parts.door.post_trades(samples.body(sample), sample)
        if st.button("Record a trade", key="to the ticket"):
            places.go("ticket")
    st.code(samples.commands(parts.url), language="bash")
