"""The strip on every page: the clock, how old the figures are, and whether anything is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from ui import pace, places
from ui.board import View
from ui.entrypoint import desk

TITLE = "Trading Telemetry"
EVERY_SECONDS = 1.0  # at any pace: the strip says how old the figures are
_HERE = Path(__file__).parent
_CHIPS = ("clock", "utc", "age", "gateway", "workers", "silent", "alerts")
# Chips that lead to the page that says more.
_LINKS = {"silent": "alerts", "alerts": "alerts", "workers": "pipeline"}
_HTML = '<div class="strip" role="group" aria-label="State">{}</div>'.format(
    "".join(
        f'<button type="button" data-chip="{name}" data-to="{_LINKS[name]}"><b></b><i></i></button>'
        if name in _LINKS
        else f'<span data-chip="{name}"><b></b><i></i></span>'
        for name in _CHIPS
    )
)


@cache
def _component() -> Callable[..., Any]:
    css, js = ((_HERE / f"strip.{kind}").read_text("utf-8") for kind in ("css", "js"))
    return st.components.v2.component("telemetry_strip", html=_HTML, css=css, js=js)


def strip(title: str) -> None:
    """Draw it, each second."""

    def draw() -> None:
        parts = desk()
        data = state(parts.timezone, parts.feed.view(), title, time.time_ns())
        wanted = _component()(key="strip", data=data, on_wanted_change=_nothing).wanted
        if wanted in places.PLACES:
            places.go(wanted)

    with st.container(key="strip holder"):
        pace.again(draw, EVERY_SECONDS)


def state(zone: str, view: View, title: str, now: int) -> dict[str, Any]:
    """What the strip shows: times in ms since 1970, counts, None where nothing is known. `now` is in UTC ns."""
    health = view.health.rows
    phase = view.status.phase
    ready = bool(health.get("ready"))
    known = bool(view.status.connection)
    return {
        "title": f"{title} · {TITLE}",
        "zone": zone,
        "now": now // 1_000_000,
        "heard": view.heard // 1_000_000 if known else None,
        "seq": view.seq,
        "gateway": phase if phase != "live" else "ready" if ready else "not ready",
        "reason": view.status.reason if phase == "away" else "; ".join(health.get("reasons") or ()),
        "workers": health.get("workers") if known else None,
        "silent": health.get("silent_streams") if known else None,
        "alerts": health.get("open_alerts") if known else None,
    }


def _nothing() -> None:
    """A trigger exists only with a callback."""
