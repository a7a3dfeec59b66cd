"""The audit's own arithmetic of the times from order to fill: nothing here is shared with telemetry.latencies.

Counts, sums and maxima in Python's integers; quantiles by nearest rank over the times themselves, rounded to five
digits so that a journal of any length fits into memory.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from typing import Any

import numpy as np
import pandas as pd

from telemetry.columns import Columns
from telemetry.recompute import Near
from telemetry.times import ABSENT

NAMES, OTHER = 1000, "__other__"  # as docs/statistics.md says
_WITHIN = 0.01 + 1e-4  # of a quantile: what is promised, and what rounding adds
_RANKS = {"p50": Fraction(1, 2), "p90": Fraction(9, 10), "p99": Fraction(99, 100), "p999": Fraction(999, 1000)}
_KEYS = ("venue", "strategy", "liquidity")

Name = tuple[str, str, str]


@dataclass
class _Times:
    total: int = 0
    maximum: int | None = None
    negative: int = 0
    rounded: dict[int, int] = field(default_factory=dict)  # how often a time came, to five digits


class RecomputeOrders:
    """Of the trades 1..`until`."""

    def __init__(self, *, until: int, leave_out: Collection[int]) -> None:
        self.last_seq = until
        self._leave_out = np.array(sorted(leave_out), np.int64)
        self._known: dict[Name, _Times] = {}

    def add(self, columns: Columns, first_seq: int) -> None:
        """Take in trades; each once, in the order of the journal."""
        sent = columns.integers("order_sent_at")
        if sent is None:
            return
        seq = np.arange(first_seq, first_seq + len(columns))
        wanted = (sent != ABSENT) & (seq <= self.last_seq) & ~np.isin(seq, self._leave_out)
        elapsed = columns.timestamp[wanted].astype(object) - sent[wanted].astype(object)
        venues = [columns.instruments[code].venue for code in columns.instrument[wanted].tolist()]
        texts = (columns.text(name) for name in ("strategy", "liquidity"))
        lists = [[""] * len(columns) if text is None else text.tolist() for text in texts]
        names = [[of[row] for row in np.flatnonzero(wanted)] for of in lists]
        trades = pd.DataFrame({"venue": venues, "strategy": names[0], "liquidity": names[1], "elapsed": elapsed})
        for name, group in trades.groupby(list(_KEYS), sort=False):
            self._count(name, group["elapsed"].tolist())

    def _count(self, name: Any, elapsed: list[int]) -> None:
        if name not in self._known and len(self._known) >= NAMES:
            name = (OTHER, OTHER, name[2])
        times = self._known.setdefault(name, _Times())
        positive = [value for value in elapsed if value >= 0]
        times.negative += len(elapsed) - len(positive)
        times.total += sum(positive)
        times.maximum = max([*positive, *([] if times.maximum is None else [times.maximum])], default=None)
        for value in map(_five_digits, positive):
            times.rounded[value] = times.rounded.get(value, 0) + 1

    def rows(self) -> dict[Name, dict[str, Any]]:
        """Per (venue, strategy, liquidity) a row as `GET /v1/latency` shows it."""
        return {name: _row(times) for name, times in self._known.items()}


def _row(times: _Times) -> dict[str, Any]:
    count = sum(times.rounded.values())
    clock = 1000 * times.negative > count + times.negative
    row: dict[str, Any] = {"count": count, "negative": times.negative, "reason": "clock" if clock else None}
    row["max"] = None if times.maximum is None else times.maximum / 1e9
    row["mean"] = float(Fraction(times.total, count) / 10**9) if count and not clock else None
    values = sorted(times.rounded)
    ranks = list(accumulate(times.rounded[value] for value in values))
    for figure, share in _RANKS.items():
        row[figure] = None
        if count and not clock:
            value = values[bisect_left(ranks, math.ceil(share * count))]
            row[figure] = Near(value / 1e9, _WITHIN * value / 1e9)
    return row


def _five_digits(value: int) -> int:
    unit: int = 10 ** max(0, len(str(value)) - 5)
    return value // unit * unit
