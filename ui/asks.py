"""What the pages ask the stream for, besides what every page needs (see board.py)."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from ui.board import ALL, MINUTE, QUICK_MS, Ask, View
from ui.filters import Filters

ROWS_MS = 1000  # of rows that a symbol has besides those since the start
RATE_SECONDS = 10  # that trades per second are the mean of

DAY = Ask("stats", window="1d", interval_ms=ROWS_MS)
STREAMS = Ask("freshness", interval_ms=ROWS_MS)
STAGES_NOW = Ask("latency", window="10s", interval_ms=ROWS_MS)


def chosen(ask: Ask, filters: Filters) -> Ask:
    """The same of what the filters choose; the gateway keeps statistics by venue and kind."""
    return ask._replace(venues=filters.venue, kinds=filters.kind)


def rate(filters: Filters) -> Ask:
    """The last seconds, all symbols together."""
    return chosen(Ask("totals", window=f"{RATE_SECONDS}s", interval_ms=QUICK_MS), filters)


def ever(filters: Filters) -> Ask:
    """Since the start of the data, all symbols together."""
    return chosen(Ask("totals", window="all", interval_ms=QUICK_MS), filters)


def today(filters: Filters, now_seconds: float, zone: str) -> Ask:
    """The day that the desk calls today, all symbols together: 23 or 25 hours long when the clocks change."""
    start, end = _day(datetime.fromtimestamp(now_seconds, ZoneInfo(zone)).date().toordinal(), zone)
    return chosen(Ask("totals", start=start, end=end, interval_ms=QUICK_MS), filters)


@lru_cache(maxsize=4)
def _day(ordinal: int, zone: str) -> tuple[str, str]:
    midnight = datetime.combine(datetime.fromordinal(ordinal), time(), ZoneInfo(zone))
    return midnight.isoformat(), datetime.combine(midnight + timedelta(days=1), time(), ZoneInfo(zone)).isoformat()


def known(view: View) -> dict[str, list[str]]:
    """Venues and strategies to choose from: those whose streams the gateway watches."""
    rows = view.part(STREAMS).rows.values()
    return {kind: sorted(row["name"] for row in rows if row.get("kind") == kind) for kind in ("venue", "strategy")}


def symbols(filters: Filters) -> tuple[Ask, Ask, Ask]:
    """Rows of every symbol: since the start, in the last day, in the last minute."""
    return chosen(ALL, filters), chosen(DAY, filters), chosen(MINUTE, filters)
