"""The last price of every symbol a day ago, which a change is against: asked once a minute by REST, not by the viewers.

One request gives it for all symbols that traded in the day before; who traded last before that is asked for one by one,
a few each minute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import structlog

from telemetry.errors import InvalidInput, TelemetryError
from telemetry.times import format_time
from ui.feed import Feed

EVERY_SECONDS = 60.0
FIRST_SECONDS = 1.0  # until the first answer, when the gateway may still be starting
DAY_NS = 86_400_000_000_000
ONE_BY_ONE = 50  # symbols that are asked for by their candles, each minute

logger = structlog.get_logger("references")


Row = Mapping[str, Any]


class Door(Protocol):
    """What is needed of the gateway's client."""

    def get(self, path: str, parameters: Mapping[str, Any]) -> dict[str, Any]: ...

    def candles(self, symbol: str, interval: str, limit: int, **parameters: Any) -> dict[str, Any]: ...


class References:
    """`start` begins; `prices` are those of a day ago, as far as they are known."""

    def __init__(self, feed: Feed, door: Door) -> None:
        self.prices: Mapping[str, str] = {}
        self._feed, self._door = feed, door
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="references", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        wait = FIRST_SECONDS
        while not self._closing.wait(wait):
            view = self._feed.view()
            if view.status.phase != "live":
                continue
            wait = EVERY_SECONDS
            try:
                self.prices = day_ago(self._door, view.all.rows, format_time(time.time_ns() - DAY_NS), self.prices)
            except TelemetryError as error:
                logger.warning("failed", reason=error.detail)


def day_ago(door: Door, rows: Mapping[str, Row], at: str, known: Mapping[str, str]) -> dict[str, str]:
    """The last price at an instant by symbol; of those who have not traded since, what is known stays."""
    older = older_than(rows, at)
    if not older:
        return {}
    found = door.get("/v1/stats", {"window": "1d", "at": at, "limit": 100_000})["symbols"]
    prices = {symbol: str(row["price_last"]) for symbol, row in found.items() if row["price_last"] is not None}
    prices |= {symbol: known[symbol] for symbol in older if symbol in known and symbol not in prices}
    for symbol in [symbol for symbol in older if symbol not in prices][:ONE_BY_ONE]:
        if (price := _last_before(door, symbol, at)) is not None:
            prices[symbol] = price
    return {symbol: prices[symbol] for symbol in older if symbol in prices}


def _last_before(door: Door, symbol: str, at: str) -> str | None:
    """The close of the newest candle that had begun by then; None where nothing so fine is held any more."""
    try:
        candles = door.candles(symbol, "1m", 1, end=at)["candles"]
    except InvalidInput:
        return None
    return str(candles[-1]["close"]) if candles else None


def older_than(rows: Mapping[str, Row], at: str) -> Sequence[str]:
    """The symbols that traded before an instant, which is a text as the gateway's: those sort as the times do."""
    return [symbol for symbol, row in rows.items() if (row.get("first_timestamp") or at) < at]
