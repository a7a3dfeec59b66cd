"""Which atoms were merged into lately: so that whoever is told of changes also hears of trades that came late."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import takewhile

import numpy as np

from gateway.state.merging import Ints
from telemetry.rows import INSTRUMENT, START, Rows

HELD = 100_000  # pairs of instrument and second, 16 bytes each


class Touched:
    """Pairs of (instrument, second) by the number of the trade up to which they were merged, the newest `held`."""

    def __init__(self, held: int = HELD) -> None:
        self._held, self._size = held, 0
        self._forgotten = 0  # everything up to this trade
        self._merged: deque[tuple[int, Ints]] = deque()

    def note(self, seq: int, rows: Rows, wide: Iterable[tuple[int, int]]) -> None:
        """Trades up to `seq` were merged, into these rows and wide atoms."""
        pairs = rows[:, (INSTRUMENT, START)]
        if more := list(wide):
            pairs = np.concatenate((pairs, np.array(more, np.int64)))
        self._merged.append((seq, pairs))
        self._size += len(pairs)
        while self._size > self._held:
            self._forgotten, pairs = self._merged.popleft()
            self._size -= len(pairs)

    def since(self, seq: int) -> Ints | None:
        """What trades behind `seq` were merged into, a row (instrument, second) each, some more than once; None when
        that is not known any more."""
        if seq < self._forgotten:
            return None
        newer = [pairs for _, pairs in takewhile(lambda merged: merged[0] > seq, reversed(self._merged))]
        return np.concatenate(newer) if newer else np.empty((0, 2), np.int64)
