"""Rows as the gateway sends them, for the tests of the page."""

from __future__ import annotations

from typing import Any

from ui import asks
from ui.board import ALL, HEALTH, LATENCY, MINUTE, Part, Status, View
from ui.filters import Filters

LIVE = Status("live", "", 0, 1)


def row(**given: Any) -> dict[str, Any]:
    """Statistics of one symbol."""
    values: dict[str, Any] = {
        "trades": 2,
        "first_timestamp": "2026-11-22T12:26:12.830624506Z",
        "quantity": "0.03",
        "notional": "1927.503",
        "vwap": 64250.1,
        "imbalance": 0.5,
        "price_open": "64250.1",
        "price_high": "64251",
        "price_low": "64249.25",
        "price_last": "64250.1",
        "last_timestamp": "2026-11-22T12:59:12.830624506Z",
        "currency": "USDT",
    }
    return values | given


def candle(start: str, revision: int, **given: Any) -> dict[str, Any]:
    """One candle."""
    values: dict[str, Any] = {"start": start, "open": "10", "high": "12", "low": "9", "close": "11", "quantity": "5"}
    return values | {"revision": revision} | given


ZONE, AT = "Europe/Zurich", 1_795_352_400.0  # 2026-11-22 13:00 UTC


def view(
    symbols: dict[str, Any], *, totals: dict[str, Any] | None = None, status: Status = LIVE, now: float = AT
) -> View:
    """A view with these rows in every window; nothing has started before there was a connection."""
    if not status.connection:
        return View(status, 0, {})
    everything = {"totals": totals or {"trades": 0, "quantity": "0", "notional": {}}}
    rows = Part(symbols, everything, 7, True)
    parts = dict.fromkeys((ALL, asks.DAY, MINUTE), rows)
    parts |= {
        ask: Part(everything, {}, 7, True)
        for ask in (asks.rate(Filters()), asks.ever(Filters()), asks.today(Filters(), now, ZONE))
    }
    latency = Part({"end_to_end": {"p50": 0.0012, "p99": 0.0123}}, {}, 7, True)
    health = Part({"ready": True, "reasons": [], "workers": 2, "backlog": 0}, {}, 7, True)
    return View(status, 7, parts | {LATENCY: latency, asks.STAGES_NOW: latency, HEALTH: health})
