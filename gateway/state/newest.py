"""Of each instrument the newest second that the table of atoms has, and where its row is. Trades come mostly forward in
time: what a partial has of an instrument adds to that row, or is later than all that is known and needs no search."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.state.merging import EPOCH_OFFSET, INSTRUMENT_SHIFT, LEVEL_SHIFT, Ints
from telemetry.rows import INSTRUMENT, Rows

_NEVER = -(1 << 62)  # no atom of a second
_START_MASK = (1 << LEVEL_SHIFT) - 1


class Newest:
    """In compiled code. Raises ImportError where nothing can be compiled."""

    def __init__(self) -> None:
        self._kernels: Any = import_module("telemetry.compiled.newest")
        self._of: Ints = np.empty((0, 2), np.int64)  # second, place

    def look(self, rows: Rows, earliest: int) -> tuple[Ints, Ints] | None:
        """(the keys of the rows that are new, in their order; the place of each row, -1 of a new one). None when all
        have to be searched for: one begins before the second `earliest`, or is older than its instrument's newest."""
        keys, at = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
        new = self._kernels.look(rows, self._of, earliest, INSTRUMENT_SHIFT, EPOCH_OFFSET, keys, at)
        return None if new < 0 else (keys[:new], at)

    def place(self, at: Ints, places: Ints, page: int, dirty: NDArray[np.bool_], frozen: NDArray[np.bool_]) -> bool:
        """Put these places where `look` said -1, and note that the pages are dirty; whether one is frozen."""
        return bool(self._kernels.place(at, places, page, dirty.view(np.uint8), frozen.view(np.uint8)))

    def note(self, rows: Rows, at: Ints) -> None:
        """Rows are at these places, which `look` has seen."""
        self._kernels.note(rows, at, self._of)

    def learn(self, rows: Rows, at: Ints) -> None:
        """As `note`, of any rows."""
        self._follow(int(rows[:, INSTRUMENT].max(initial=-1)) + 1)
        self.note(rows, at)

    def load(self, keys: Ints, at: Ints) -> None:
        """The ascending keys of all atoms, and their places."""
        seconds = np.flatnonzero((keys >> LEVEL_SHIFT) & 3 == 0)
        keys, at = keys[seconds], at[seconds]
        owners = keys >> INSTRUMENT_SHIFT
        last = np.append(owners[1:] != owners[:-1], True)[: len(keys)]
        self._follow(int(owners.max(initial=-1)) + 1)
        self._of[:, 0] = _NEVER
        self._of[owners[last]] = np.stack(((keys[last] & _START_MASK) - EPOCH_OFFSET, at[last]), axis=1)

    def _follow(self, instruments: int) -> None:
        known = len(self._of)
        if instruments > known:
            grown = np.full((max(instruments, 2 * known), 2), _NEVER)
            grown[:known] = self._of
            self._of = grown
