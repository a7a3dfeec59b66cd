"""The analysis of a range in compiled code: what worker.columnwise and worker.patterns give, in a few passes."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telemetry import patterns as layout
from telemetry import rows
from telemetry.columns import Columns
from telemetry.partial import Partial, Watermark
from telemetry.patterns import Patterns

_BUCKETS, _WORD = 1 << layout.UNIT_SHIFT, 64
_FURTHEST_NS = 9_200_000_000_000_000_000  # in 2261, and before 1970 in 1678: differences to what is later do not fit


class CompiledAnalysis:
    """Not for several threads at once. Raises ImportError where nothing can be compiled."""

    def __init__(self) -> None:
        self._arranging: Any = import_module("telemetry.compiled.arranging")
        self._rows: Any = import_module("telemetry.compiled.range_rows")
        self._patterns: Any = import_module("telemetry.compiled.range_patterns")
        self._counts, self._held = np.zeros(_BUCKETS, np.int64), np.zeros(_BUCKETS // _WORD, np.uint64)
        self._best = np.zeros(layout.LARGEST, np.int64)

    def __call__(self, columns: Columns, first_seq: int, *, basic: bool) -> Partial | None:
        """The partial without the times of orders; None where a value does not fit a row, a price is negative, or a
        time is beyond _FURTHEST_NS."""
        count, instruments = len(columns), len(columns.instruments)
        if count and not -_FURTHEST_NS < columns.timestamp.min() <= columns.timestamp.max() < _FURTHEST_NS:
            return None
        starts, order = np.zeros(instruments + 2, np.int64), np.empty(count, np.int64)
        self._arranging.arrange(columns.instrument, starts, order)
        given = (
            *(starts, order, columns.side, columns.price, columns.price_scale),
            *(columns.quantity, columns.quantity_scale, columns.timestamp, columns.received_at),
        )
        pairs, spare = np.empty((2, count, 2), np.int64)
        price_scale, quantity_scale = np.zeros(instruments, np.int64), np.zeros(instruments, np.int64)
        made, results = np.empty((count, rows.WIDTH), np.int64), np.zeros(self._rows.RESULTS, np.int64)
        found = self._rows.fill(*given, first_seq, pairs, spare, price_scale, quantity_scale, made, results)
        if found == self._rows.UNFIT:
            return None
        newest = int(results[self._rows.WATERMARK])
        times = columns.timestamp, columns.received_at
        return Partial(
            columns.instruments,
            tuple(price_scale.tolist()),
            tuple(quantity_scale.tolist()),
            made[:found],
            watermark=Watermark(*(int(of[newest]) for of in times)) if newest >= 0 else None,
            patterns=None if basic else self._found(given, pairs, spare, count, instruments),
        )

    def _found(
        self,
        given: tuple[NDArray[Any], ...],
        pairs: NDArray[np.int64],
        spare: NDArray[np.int64],
        count: int,
        instruments: int,
    ) -> Patterns:
        shapes = zip((instruments, count, count, count), layout.WIDTHS, strict=True)
        made = [np.empty(shape, np.int64) for shape in shapes]
        results = np.zeros(self._patterns.RESULTS, np.int64)
        chosen = np.empty(count, np.uint8)
        self._patterns.find(*given, pairs, spare, chosen, self._counts, self._held, self._best, *made, results)
        return Patterns(*(array[:found] for array, found in zip(made, results.tolist(), strict=True)))
