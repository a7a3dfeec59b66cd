"""How rows get into the table of atoms and into the totals, in NumPy or in compiled code, with the same results."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from telemetry import rows as layout
from telemetry.rows import INSTRUMENT, LEVEL, REVISION, START, Rows

INSTRUMENT_SHIFT, LEVEL_SHIFT = 37, 35
EPOCH_OFFSET = 1 << 34  # makes starts before 1970 positive: int64 nanoseconds reach back to 1677

Ints = NDArray[np.int64]


def pack(instrument: Ints | int, level: Ints | int, start: Ints | int) -> Ints:
    """The sort key of an atom."""
    return np.asarray(
        (np.asarray(instrument, np.int64) << INSTRUMENT_SHIFT)
        | (np.asarray(level, np.int64) << LEVEL_SHIFT)
        | (np.asarray(start, np.int64) + EPOCH_OFFSET)
    )


class Merging(Protocol):
    """A row without REVISION is empty: what is merged into it takes its place."""

    def adopt(self, rows: Rows, ids: Ints, price_digits: Ints, quantity_digits: Ints) -> bool:
        """Give a partial's rows the ids of their instruments, and raise them by so many digits, each by instrument of
        the partial. False, and nothing is changed, when a row would not fit."""

    def absorb(self, target: Rows, at: Ints, rows: Rows) -> None:
        """Merge rows[i] into target[at[i]]; no place is named twice."""

    def absorb_totals(self, totals: Rows, rows: Rows) -> None:
        """Merge each row into the total of its instrument, which has no time."""

    def find(self, known: Ints, places: Ints, rows: Rows) -> tuple[Ints, Ints]:
        """(key of each row, its place: -1 where the ascending keys `known` do not have it)."""


class NumpyMerging:
    """The reference."""

    def adopt(self, rows: Rows, ids: Ints, price_digits: Ints, quantity_digits: Ints) -> bool:
        """See Merging."""
        local = rows[:, INSTRUMENT].copy()
        price_digits, quantity_digits = price_digits[local], quantity_digits[local]
        if layout.unfit(rows, price_digits, quantity_digits).any():
            return False
        rows[:, INSTRUMENT] = ids[local]
        if price_digits.any() or quantity_digits.any():
            layout.rescale(rows, price_digits, quantity_digits)
        return True

    def absorb(self, target: Rows, at: Ints, rows: Rows) -> None:
        """See Merging."""
        held = target[at]
        merged = layout.merge(held, rows)
        empty = held[:, REVISION] == 0
        merged[empty] = rows[empty]
        target[at] = merged

    def absorb_totals(self, totals: Rows, rows: Rows) -> None:
        """See Merging."""
        instruments, sums = layout.reduce(rows, rows[:, INSTRUMENT])
        if sums is rows:
            sums = rows.copy()
        sums[:, LEVEL] = sums[:, START] = 0
        self.absorb(totals, instruments, sums)

    def find(self, known: Ints, places: Ints, rows: Rows) -> tuple[Ints, Ints]:
        """See Merging."""
        keys = pack(rows[:, INSTRUMENT], rows[:, LEVEL], rows[:, START])
        at = np.full(len(keys), -1, np.int64)
        if len(known):
            position = np.minimum(np.searchsorted(known, keys), len(known) - 1)
            hit = known[position] == keys
            at[hit] = places[position[hit]]
        return keys, at


class CompiledMerging:
    """The quickest. Loads or compiles what it needs when it is made; raises ImportError without numba."""

    def __init__(self) -> None:
        self._kernels: Any = import_module("telemetry.compiled.merging")

    def adopt(self, rows: Rows, ids: Ints, price_digits: Ints, quantity_digits: Ints) -> bool:
        """See Merging."""
        return bool(self._kernels.adopt(rows, ids, price_digits, quantity_digits))

    def absorb(self, target: Rows, at: Ints, rows: Rows) -> None:
        """See Merging."""
        self._kernels.absorb(target, at, rows)

    def absorb_totals(self, totals: Rows, rows: Rows) -> None:
        """See Merging."""
        self._kernels.absorb_totals(totals, rows)

    def find(self, known: Ints, places: Ints, rows: Rows) -> tuple[Ints, Ints]:
        """See Merging."""
        keys, at = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
        self._kernels.find(known, places, rows, INSTRUMENT_SHIFT, LEVEL_SHIFT, EPOCH_OFFSET, keys, at)
        return keys, at
