"""The candles of the symbols that somebody looks at: history once by REST, then what the stream sends on top.

Pure: what is fetched and when is decided in app.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

CANDLES = 240  # in a chart
INTERVALS = ("1s", "10s", "1m", "5m", "1h")


class Series:
    """The newest candles of one symbol and interval, ascending."""

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self._rows: dict[str, Mapping[str, Any]] = {}
        self.merge(rows)

    def merge(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take candles; of two of the same instant the one with more trades in it (`revision`) stays."""
        for row in rows:
            known = self._rows.get(row["start"])
            if known is None or known["revision"] <= row["revision"]:
                self._rows[row["start"]] = row
        if len(self._rows) > CANDLES:
            self._rows = {start: self._rows[start] for start in sorted(self._rows)[-CANDLES:]}

    def rows(self) -> list[Mapping[str, Any]]:
        """Ascending."""
        return [self._rows[start] for start in sorted(self._rows)]
