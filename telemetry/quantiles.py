"""Quantiles with a guaranteed relative error, mergeable by adding counts.

The rule is DDSketch's (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
guarantees", VLDB 2019): a value v > 0 falls into bucket i = ceil(log(v) / log(gamma)) with gamma = (1 + a) / (1 - a),
and a bucket is reported as its midpoint 2 * gamma^i / (gamma + 1), which is within a = 1 % of every value in it.

Values are integers below 2**64, so the bucket is found by comparing with the integer part of gamma^i, computed
exactly: no logarithm is rounded, and every machine puts a value into the same bucket. A bucket is named by a code:
NEGATIVE holds all values below zero, which have no quantile; ZERO holds 0; then buckets ascend, those that hold no
integer left out.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ACCURACY = 0.01
NEGATIVE, ZERO = 0, 1
LARGEST = (1 << 64) - 1
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
# More negative samples than this share of all say that two clocks disagree: then the positive ones mean nothing either.
CLOCK_SHARE = 0.001
_NUMERATOR, _DENOMINATOR = 101, 99  # gamma for an accuracy of 1 %

Ints = NDArray[np.int64]


class Buckets(NamedTuple):
    """`bounds[c - 1]` is the largest value of the bucket with code c; `middles[c]` is what it is reported as."""

    bounds: list[int]
    ascending: NDArray[np.uint64]
    middles: NDArray[np.float64]


@cache
def buckets() -> Buckets:
    """All of them; computed once, in a few milliseconds."""
    bounds, middles = [0], [math.nan, 0.0]
    numerator = denominator = 1
    gamma = _NUMERATOR / _DENOMINATOR
    while bounds[-1] < LARGEST:
        bound = min(numerator // denominator, LARGEST)
        if bound > bounds[-1]:
            bounds.append(bound)
            middles.append(2 * (numerator / denominator) / (gamma + 1))
        numerator, denominator = numerator * _NUMERATOR, denominator * _DENOMINATOR
    return Buckets(bounds, np.array(bounds, np.uint64), np.array(middles))


def code_of(value: int) -> int:
    """The bucket of a value below 2**64."""
    return NEGATIVE if value < 0 else 1 + bisect_left(buckets().bounds, value)


def codes_of(values: NDArray[np.uint64]) -> Ints:
    """The buckets of values that are not negative."""
    return np.searchsorted(buckets().ascending, values).astype(np.int64) + 1


class Counts(NamedTuple):
    """What is known of some values: ascending codes with how often each occurs, the sum and the largest of those that
    are not negative."""

    codes: Ints
    counts: Ints
    total: int = 0
    maximum: int | None = None

    def quantiles(self, shares: Iterable[float]) -> list[float | None]:
        """Of the values that are not negative, the one at rank ceil(share * count) for each share, within 1 %; None
        when there are none."""
        valid = self.codes > NEGATIVE
        codes, ranks = self.codes[valid], np.cumsum(self.counts[valid])
        if self.maximum is None or len(ranks) == 0:
            return [None for _ in shares]
        wanted = [max(1, math.ceil(share * int(ranks[-1]))) for share in shares]
        found = np.minimum(buckets().middles[codes[np.searchsorted(ranks, wanted)]], float(self.maximum))
        return list(found.tolist())


def seconds(of: Counts) -> dict[str, Any]:
    """Nanoseconds as every answer shows them: exact count, mean and maximum, and quantiles, in seconds.

    `count` is of the samples that are not negative, and so are all other figures but `negative`. When more than 0.1 %
    are negative, mean and quantiles are null and the `reason` is `clock`: what remains is no sample of anything.
    """
    negative = int(of.counts[of.codes == NEGATIVE].sum())
    count = int(of.counts.sum()) - negative
    reason = "clock" if negative > CLOCK_SHARE * (count + negative) else None
    mean = of.total / count / 1e9 if count and reason is None else None
    quantiles = of.quantiles(SHARES.values()) if reason is None else [None] * len(SHARES)
    row: dict[str, Any] = {"count": count, "mean": mean}
    row |= {name: None if value is None else value / 1e9 for name, value in zip(SHARES, quantiles, strict=True)}
    return row | {"max": None if of.maximum is None else of.maximum / 1e9, "negative": negative, "reason": reason}


def sum_of(parts: Sequence[Counts]) -> Counts:
    """Everything that any of them counted."""
    if not parts:
        return NOTHING
    codes = np.concatenate([part.codes for part in parts])
    counts = np.zeros(int(codes.max(initial=0)) + 1, np.int64)
    np.add.at(counts, codes, np.concatenate([part.counts for part in parts]))
    held = np.flatnonzero(counts)
    maxima = [part.maximum for part in parts if part.maximum is not None]
    return Counts(held, counts[held], sum(part.total for part in parts), max(maxima, default=None))


NOTHING = Counts(np.empty(0, np.int64), np.empty(0, np.int64))


class Sketch:
    """Counts that grow value by value."""

    __slots__ = ("_counts", "maximum", "total")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.total = 0
        self.maximum: int | None = None

    def add(self, value: int, times: int = 1) -> None:
        """Count an integer value (any unit, below 2**64), `times` over."""
        code = code_of(value)
        self._counts[code] = self._counts.get(code, 0) + times
        if value >= 0:
            self.total += value * times
            if self.maximum is None or value > self.maximum:
                self.maximum = value

    def add_all(self, values: Ints) -> None:
        """Count each of these once; the same as `add` one by one, quicker for more than a few."""
        codes = codes_of(np.maximum(values, 0).astype(np.uint64))
        codes[values < 0] = NEGATIVE
        for code, times in zip(*(of.tolist() for of in np.unique(codes, return_counts=True)), strict=True):
            self._counts[code] = self._counts.get(code, 0) + times
        if positive := values[values >= 0].tolist():
            self.total += sum(positive)
            self.maximum = max(max(positive), -1 if self.maximum is None else self.maximum)

    def counts(self) -> Counts:
        """What was counted so far."""
        codes = sorted(self._counts)
        counts = [self._counts[code] for code in codes]
        return Counts(np.array(codes, np.int64), np.array(counts, np.int64), self.total, self.maximum)
