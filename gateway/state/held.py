"""What is kept of the patterns of all instruments, without the ways in and out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gateway.state.bursts import Bursts
from gateway.state.cells import Cells
from gateway.state.largest import Largest
from telemetry.patterns import Ints


class Held:
    """`last` is the timestamp of each instrument's newest trade by number, where there `seen` is one; `fine` tells
    whether one of its timestamps was no multiple of ten milliseconds."""

    def __init__(self, cells: Cells, bursts: Bursts, largest: Largest) -> None:
        self.cells, self.bursts, self.largest = cells, bursts, largest
        self.last: Ints = np.zeros(0, np.int64)
        self.seen: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self.fine: NDArray[np.bool_] = np.zeros(0, np.bool_)

    def follow(self, count: int) -> None:
        """Have room for so many instruments."""
        known = len(self.last)
        if count > known:
            room = max(count, 2 * known)
            last, seen, fine = np.zeros(room, np.int64), np.zeros(room, np.bool_), np.zeros(room, np.bool_)
            last[:known], seen[:known], fine[:known] = self.last, self.seen, self.fine
            self.last, self.seen, self.fine = last, seen, fine
