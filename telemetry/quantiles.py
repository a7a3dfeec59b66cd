"""Quantiles with a guaranteed relative error, mergeable by adding counts.

The rule is DDSketch's (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
guarantees", VLDB 2019): a value v > 0 falls into bucket ceil(log(v) / log(gamma)) with gamma = (1 + a) / (1 - a), and
a bucket is reported as its midpoint 2 * gamma^i / (gamma + 1), which is within a = 1 % of every value in it. Zero has
a bucket of its own. Negative values are counted apart and have no quantile.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

ACCURACY = 0.01
_GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_LOG_GAMMA = math.log(_GAMMA)
_ZERO = -(1 << 31)


class Sketch:
    """Counts by bucket, with exact count, sum, maximum and number of negative values."""

    __slots__ = ("count", "counts", "maximum", "negative", "total")

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self.count = 0
        self.total = 0
        self.maximum: int | None = None
        self.negative = 0

    def add(self, value: int, times: int = 1) -> None:
        """Count an integer value (any unit), `times` over."""
        if value < 0:
            self.negative += times
            return
        self.counts[math.ceil(math.log(value) / _LOG_GAMMA) if value else _ZERO] += times
        self.count += times
        self.total += value * times
        self.maximum = value if self.maximum is None else max(self.maximum, value)

    def merge(self, other: Sketch) -> None:
        """Count everything that `other` counted."""
        self.counts.update(other.counts)
        self.count += other.count
        self.total += other.total
        self.negative += other.negative
        if other.maximum is not None:
            self.maximum = other.maximum if self.maximum is None else max(self.maximum, other.maximum)

    def quantiles(self, shares: Iterable[float]) -> list[float | None]:
        """The value at rank ceil(share * count) for each share (ascending), within 1 %; None when empty."""
        ordered = sorted(self.counts.items())
        found: list[float | None] = []
        position, seen = -1, 0
        for share in shares:
            rank = max(1, math.ceil(share * self.count))
            while seen < rank and position + 1 < len(ordered):
                position += 1
                seen += ordered[position][1]
            found.append(None if self.count == 0 else self._value(ordered[position][0]))
        return found

    def _value(self, bucket: int) -> float:
        if bucket == _ZERO:
            return 0.0
        middle = 2 * _GAMMA**bucket / (_GAMMA + 1)
        return min(middle, float(self.maximum)) if self.maximum is not None else middle


def sum_of(sketches: Iterable[Sketch]) -> Sketch:
    """One sketch of all."""
    total = Sketch()
    for sketch in sketches:
        total.merge(sketch)
    return total
