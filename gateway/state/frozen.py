"""Which pages of rows changed since the last snapshot, and which are frozen for the one that is being taken."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gateway.state.merging import Ints
from telemetry.rows import Rows

PAGE = 128  # rows, 40 KB; the unit in which the snapshot writes what changed, and merging copies what is frozen


class Pages:
    """Of a matrix of rows. A frozen page is copied before it is written to."""

    def __init__(self, rows: int) -> None:
        self.saved: dict[int, bytes] = {}  # frozen pages that were written to since
        self.dirty: NDArray[np.bool_] = np.zeros(rows // PAGE + 1, np.bool_)
        self.frozen: NDArray[np.bool_] = np.zeros(rows // PAGE + 1, np.bool_)
        self._rows = 0  # as many were there when it was frozen

    def follow(self, rows: int) -> None:
        """There are so many rows now."""
        self.dirty = np.concatenate((self.dirty, np.zeros(rows // PAGE + 1 - len(self.dirty), np.bool_)))
        self.frozen = np.concatenate((self.frozen, np.zeros(len(self.dirty) - len(self.frozen), np.bool_)))

    def will_write(self, rows: Rows, at: Ints) -> None:
        """These are about to be written to."""
        pages = at // PAGE
        self.dirty[pages] = True
        frozen = self.frozen[pages]
        if frozen.any():
            for page in np.unique(pages[frozen]).tolist():
                self.saved[page] = self._page(rows, page)
                self.frozen[page] = False

    def _page(self, rows: Rows, page: int) -> bytes:
        return rows[page * PAGE : min((page + 1) * PAGE, self._rows)].tobytes()

    def freeze(self, used: int, everything: bool) -> None:
        """Freeze the pages of the first `used` rows that changed since the last time, or all of them."""
        self._rows = used
        pages = -(-used // PAGE)
        self.frozen[:pages] = True if everything else self.dirty[:pages]
        self.dirty[:] = False

    def take(self, rows: Rows, count: int) -> list[tuple[int, bytes]]:
        """Up to `count` frozen pages as they were, empty when there are no more."""
        taken = [(page, self.saved.pop(page)) for page in list(self.saved)[:count]]
        for page in np.flatnonzero(self.frozen)[: count - len(taken)].tolist():
            taken.append((page, self._page(rows, page)))
            self.frozen[page] = False
        return taken

    def give_up(self) -> None:
        """What is frozen is not needed any more."""
        self.frozen[:] = False
        self.saved.clear()
