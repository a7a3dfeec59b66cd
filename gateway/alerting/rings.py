"""The last RING trades of every instrument with what passes all rules, and how a batch is looked at: in NumPy, or in
compiled code with the same results."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gateway.alerting.rule_kinds import RING

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
PRICE, QUANTITY = 0, 1
FIRST, STEP = 32, 384
# What comes of a batch: it was taken in; limits are due first; or it is too large for them.
TAKEN, DUE, HALVE = 0, 1, 2
_ZERO = np.zeros(1, np.int64)


class Rings:
    """By instrument: how many trades there were, the number at which its limits are `due`, the lowest price and the
    highest price and quantity that pass, and the last trades (price and quantity), each at its number modulo RING."""

    def __init__(self) -> None:
        self.count: Ints = np.zeros(0, np.int64)
        self.due: Ints = np.zeros(0, np.int64)
        self.low: Floats = np.zeros(0)
        self.high: Floats = np.zeros((2, 0))
        self.last = np.zeros((2, 0, RING), np.float32)

    def grow(self, size: int) -> None:
        """Have room for so many instruments."""
        more = size - len(self.count)
        self.count = np.concatenate((self.count, np.zeros(more, np.int64)))
        self.due = np.concatenate((self.due, np.full(more, FIRST)))
        self.low = np.concatenate((self.low, np.full(more, -np.inf)))
        self.high = np.concatenate((self.high, np.full((2, more), np.inf)), axis=1)
        self.last = np.concatenate((self.last, np.zeros((2, more, RING), np.float32)), axis=1)


class Look(Protocol):
    """Takes a batch of trades in: (TAKEN, places of the trades that do not pass, ascending). Or does nothing: (DUE, the
    instruments whose limits are to be renewed first), (HALVE, nothing)."""

    def __call__(self, rings: Rings, codes: Ints, values: Floats) -> tuple[int, Ints]: ...


def plainly(rings: Rings, codes: Ints, values: Floats) -> tuple[int, Ints]:
    """The reference of Look."""
    rows = np.argsort(codes.astype(np.uint16), kind="stable")  # 16 bits: radix sort
    ordered = codes[rows]
    starts = np.concatenate((_ZERO, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1))
    lengths = np.concatenate((starts[1:], (len(rows),))) - starts
    present = ordered[starts]
    before = rings.count[present]
    if (lengths > before.clip(FIRST, RING)).any():
        return HALVE, _ZERO[:0]
    late = before - rings.due[present]
    if (late >= 0).any():  # those that are half due go with them: one renewal of many is far cheaper than many
        return DUE, present[(late >= 0) | ((late >= -STEP // 2) & (before >= STEP))]
    values = values.take(rows, axis=1)  # several times faster than indexing
    found = _beyond(rings, ordered, values)
    place = np.arange(len(rows)) + np.repeat(before - starts, lengths)
    place = (place & (RING - 1)) + ordered * RING
    for last, value in zip(rings.last, values, strict=True):
        last.reshape(-1)[place] = value
    rings.count[present] = before + lengths
    return TAKEN, np.sort(rows[found])


def _beyond(rings: Rings, codes: Ints, values: Floats) -> Ints:
    above, below = values > rings.high.take(codes, axis=1), values[PRICE] < rings.low.take(codes)
    if not np.count_nonzero(above) and not np.count_nonzero(below):  # faster than any()
        return _ZERO[:0]
    return np.flatnonzero(above[PRICE] | above[QUANTITY] | below)


class CompiledLook:
    """The quickest. Raises ImportError where nothing can be compiled."""

    def __init__(self) -> None:
        self._kernels: Any = import_module("telemetry.compiled.outliers")
        self._lengths: Ints = np.zeros(0, np.int64)

    def __call__(self, rings: Rings, codes: Ints, values: Floats) -> tuple[int, Ints]:
        """See Look."""
        if len(self._lengths) < len(rings.count):
            self._lengths = np.zeros(len(rings.count), np.int64)
        found, results = np.empty(len(codes), np.int64), np.zeros(1, np.int64)
        state = rings.count, rings.due, rings.low, rings.high.reshape(-1), rings.last.reshape(-1)
        given = np.ascontiguousarray(codes), np.ascontiguousarray(values).reshape(-1)
        what = self._kernels.look(*given, *state, self._lengths, found, results)
        return what, found[: results[0]]
