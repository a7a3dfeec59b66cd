"""The candles that somebody looks at: history once by REST when a chart opens, then what the stream sends on top."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ui.board import Ask

Candle = Mapping[str, Any]
CANDLES = 480  # in a chart, at most
CHARTS = 64  # held at a time; the one that was looked at longest ago goes
LOOKED_AWAY_SECONDS = 10.0  # the subscription of a chart that nobody looks at lasts twice as long
INTERVALS = ("1s", "10s", "1m", "5m", "1h")
SECONDS = {"1s": 1, "10s": 10, "1m": 60, "5m": 300, "1h": 3600}
RANGES = (60, 120, 240, 480)  # candles


def length(interval: str, candles: int) -> str:
    """How long so many candles are, as people say it."""
    seconds = SECONDS[interval] * candles
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds % unit == 0 and seconds >= unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


class Series:
    """The newest candles of one symbol and interval."""

    def __init__(self, rows: Iterable[Candle] = ()) -> None:
        self._rows: dict[str, Candle] = {}
        self.merge(rows)

    def merge(self, rows: Iterable[Candle]) -> None:
        """Take candles; of two of the same instant the one with the later trades in it (`revision`) stays."""
        for row in rows:
            known = self._rows.get(row["start"])
            if known is None or known["revision"] <= row["revision"]:
                self._rows[row["start"]] = row
        if len(self._rows) > CANDLES:
            self._rows = {start: self._rows[start] for start in sorted(self._rows)[-CANDLES:]}

    def rows(self) -> list[Candle]:
        """Ascending."""
        return [self._rows[start] for start in sorted(self._rows)]


class Book:
    """The series of all charts, shared by all viewers. `history` asks the gateway for the candles of an Ask."""

    def __init__(self, history: Callable[[Ask], Sequence[Candle]]) -> None:
        self._history = history
        self._lock = threading.Lock()
        self._kept: dict[Ask, _Kept] = {}

    def rows(self, ask: Ask, live: Iterable[Candle], *, connection: int, now: float) -> list[Candle]:
        """The candles as of `now` (monotonic seconds). History is fetched once per connection, and again when nobody
        has looked for LOOKED_AWAY_SECONDS: the stream has only the newest two, and what happened meanwhile is in it."""
        with self._lock:
            kept = self._kept.pop(ask, None)
            if kept is not None and (kept.connection != connection or now - kept.at > LOOKED_AWAY_SECONDS):
                kept = None
            if kept is not None:
                self._kept[ask] = kept
        if kept is None:
            kept = _Kept(Series(self._history(ask)), connection, now)
        with self._lock:
            kept.at = now
            self._kept[ask] = kept
            for oldest in list(self._kept)[:-CHARTS]:
                del self._kept[oldest]
            kept.series.merge(live)
            return kept.series.rows()


@dataclass
class _Kept:
    series: Series
    connection: int
    at: float  # when somebody looked last
