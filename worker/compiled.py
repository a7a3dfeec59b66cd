"""The analysis of a range in compiled code: what worker.columnwise and worker.patterns give, in a few passes."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from telemetry import patterns as layout
from telemetry import rows
from telemetry.columns import Columns
from telemetry.partial import Partial, Watermark
from telemetry.patterns import Ints, Patterns
from telemetry.rows import Rows

_BUCKETS, _WORD = 1 << layout.UNIT_SHIFT, 64
_FURTHEST_NS = 9_200_000_000_000_000_000  # in 2261, and before 1970 in 1678: differences to what is later do not fit
_SHARE, _FEW = 4, 64  # a row to so many trades, and so many more: where there are more it is done in any order


class _Kept:
    """Memory that is used again: new pages cost more than what is written there."""

    def __init__(self, trades: int) -> None:
        self.trades = trades
        room = trades // _SHARE + _FEW
        self.made, self.best = np.empty(room * rows.WIDTH, np.int64), np.empty(room * layout.LARGEST, np.int64)
        self.seconds, self.row_links, self.slots, self.group_links = np.empty((4, room), np.int64)
        self.times, self.order = np.empty((2, trades), np.int64)
        self.pairs, self.spare = np.empty((2, trades, 2), np.int64)
        self.possible, self.chosen = np.empty(3 * trades, np.int64), np.empty(trades, np.uint8)
        self.patterns = [np.empty((trades, width), np.int64) for width in layout.WIDTHS]

    def arrays(self) -> list[NDArray[Any]]:
        """Those of patterns for the kernel, the last one as words of 32 bits."""
        *others, words = self.patterns
        return [*others, words.reshape(-1).view(np.uint32)]


class Found(NamedTuple):
    """What comes of a range besides its scales."""

    rows: Rows
    newest: int  # the place of the trade that the watermark is of, or -1
    patterns: Patterns | None


class CompiledAnalysis:
    """Not for several threads at once. Raises ImportError where nothing can be compiled."""

    def __init__(self) -> None:
        self._arranging: Any = import_module("telemetry.compiled.arranging")
        self._rows: Any = import_module("telemetry.compiled.range_rows")
        self._patterns: Any = import_module("telemetry.compiled.range_patterns")
        self._scan: Any = import_module("telemetry.compiled.range_scan")
        self._scanned: Any = import_module("telemetry.compiled.range_scanned")
        self._buckets = np.zeros(_BUCKETS, np.int64), np.zeros(_BUCKETS // _WORD, np.uint64)
        self._best = np.zeros(layout.LARGEST, np.int64)
        self._kept = _Kept(0)

    def __call__(self, columns: Columns, first_seq: int, *, basic: bool) -> Partial | None:
        """The partial without the times of orders; None where a value does not fit a row, a price is negative, or a
        time is beyond _FURTHEST_NS."""
        if len(columns) == 0 or not -_FURTHEST_NS < columns.timestamp.min() <= columns.timestamp.max() < _FURTHEST_NS:
            return None
        if len(columns) > self._kept.trades:
            self._kept = _Kept(2 * len(columns))
        scales = np.zeros((2, len(columns.instruments)), np.int64)
        found = self.in_order(columns, first_seq, scales, basic=basic)
        if found is None:
            found = self.in_any_order(columns, first_seq, scales, basic=basic)
        if found is None:
            return None
        times = columns.timestamp, columns.received_at
        return Partial(
            columns.instruments,
            tuple(scales[0].tolist()),
            tuple(scales[1].tolist()),
            found.rows,
            watermark=Watermark(*(int(of[found.newest]) for of in times)) if found.newest >= 0 else None,
            patterns=found.patterns,
        )

    def in_order(self, columns: Columns, first_seq: int, scales: Ints, *, basic: bool) -> Found | None:
        """What is found in the order of the journal, and the `scales` of instruments: None where it has to be done in
        any order."""
        kept, scan = self._kept, self._scan
        instruments = len(columns.instruments)
        state, limits = np.empty(instruments * scan.STATE, np.int64), np.empty(instruments)
        results = np.zeros(scan.RESULTS, np.int64)
        given = columns.instrument, *_values(columns)
        chains = kept.seconds, kept.row_links, kept.slots, kept.group_links
        memory = state, limits, *scales, kept.made, *chains, kept.best, kept.possible, kept.times, results
        if scan.scan(*given, columns.received_at, first_seq, *memory):
            return None
        newest, count, _, possible = results.tolist()
        made = np.empty((count, rows.WIDTH), np.int64)
        self._scanned.arrange_rows(kept.made, kept.row_links, state, made.reshape(-1))
        if basic:
            return Found(made, newest, None)
        found = np.zeros(self._patterns.RESULTS, np.int64)
        chosen = kept.slots, kept.best, kept.possible, kept.times, kept.order, possible, kept.pairs
        self._scanned.describe(*given, state, *chosen, kept.spare, *self._buckets, *kept.arrays(), found)
        return Found(made, newest, self._taken(found))

    def in_any_order(self, columns: Columns, first_seq: int, scales: Ints, *, basic: bool) -> Found | None:
        """As `in_order`, whatever the order is; None where a value does not fit a row, or a price is negative."""
        kept, count = self._kept, len(columns)
        starts, order = np.zeros(len(columns.instruments) + 2, np.int64), kept.order[:count]
        self._arranging.arrange(columns.instrument, starts, order)
        given = starts, order, *_values(columns), columns.received_at
        made, results = np.empty((count, rows.WIDTH), np.int64), np.zeros(self._rows.RESULTS, np.int64)
        pairs = kept.pairs, kept.spare
        number = self._rows.fill(*given, first_seq, *pairs, *scales, made.reshape(-1), results)
        if number == self._rows.UNFIT:
            return None
        newest = int(results[self._rows.WATERMARK])
        if basic:
            return Found(made[:number], newest, None)
        found = np.zeros(self._patterns.RESULTS, np.int64)
        memory = *pairs, kept.times, kept.chosen, *self._buckets, self._best
        self._patterns.find(*given, *memory, *kept.arrays(), found)
        return Found(made[:number], newest, self._taken(found))

    def _taken(self, found: Ints) -> Patterns:
        """A copy of what was found, of which there are so many rows."""
        return Patterns(*(of[:count].copy() for of, count in zip(self._kept.patterns, found.tolist(), strict=True)))


def _values(columns: Columns) -> tuple[Any, ...]:
    """What is looked at of trades besides instruments and arrivals."""
    return (
        *(columns.side, columns.price, columns.price_scale),
        *(columns.quantity, columns.quantity_scale, columns.timestamp),
    )
