"""What a page says when there is nothing to show: no gateway, no trades yet, or a part that fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import streamlit as st
import streamlit_shadcn_ui as shadcn  # type: ignore[import-untyped]
import structlog

from telemetry.errors import TelemetryError
from ui.board import View
from ui.entrypoint import Desk

CONNECTING_SECONDS = 2.0  # shorter than that is not worth a word

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


def empty(parts: Desk, view: View) -> None:
    """How to send the first trade."""
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
