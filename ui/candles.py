"""The candles that somebody looks at: history once by REST when a chart opens, then what the stream sends on top."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Candle = Mapping[str, Any]
CANDLES = 240  # in a chart
CHARTS = 64  # held at a time; the one that was looked at longest ago goes
INTERVALS = ("1s", "10s", "1m", "5m", "1h")


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
    """The series of all charts, shared by all viewers. `history` asks the gateway for a symbol and an interval."""

    def __init__(self, history: Callable[[str, str], Sequence[Candle]]) -> None:
        self._history = history
        self._lock = threading.Lock()
        self._series: dict[tuple[str, str], tuple[int, Series]] = {}

    def rows(self, symbol: str, interval: str, live: Iterable[Candle], *, connection: int) -> list[Candle]:
        """The candles as of now. History is fetched once per connection: what happened in between two is in it."""
        key = symbol, interval
        with self._lock:
            known, series = self._series.pop(key, (-1, Series()))
            if known == connection:
                self._series[key] = known, series
        if known != connection:
            series = Series(self._history(symbol, interval))
        with self._lock:
            self._series[key] = connection, series
            for oldest in list(self._series)[:-CHARTS]:
                del self._series[oldest]
            series.merge(live)
            return series.rows()
