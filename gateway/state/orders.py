"""The times from order to fill, as merged so far: cells (telemetry.latencies) by slot of ten seconds, and of all time.

A slot is kept while a window can still reach it: an hour and the slack of the event clock behind the watermark. What is
older is added to one sum of all time, and so is whatever comes for such a slot later. That depends on the trades
alone, not on how they were cut into partials: a cell is in its slot if and only if the slot is not older than the
frontier, which the watermark moves.

Bounds: NAMES names (venue, strategy, liquidity), those after them count together as OTHER; CELLS cells in slots, of 40
bytes. When there are more, slots further ahead of the watermark than a window is long go to the sum (a sender's clock
is wrong), then the oldest ones; that is looked at only at the numbers where atoms are folded too. The sum has at most
2,074 cells a name, in practice about a hundred.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from telemetry.latencies import (
    KEY,
    NO_CELLS,
    SLOT_NS,
    SLOT_OFFSET,
    SLOT_SHIFT,
    Cells,
    Name,
    OrderTimes,
    added,
    concatenated,
    renamed,
    slots_of,
)

NAMES = 1000
CELLS = 500_000
HOUR = 360  # slots
KEPT = HOUR + 2  # behind the slot of the watermark: the event clock may be 5 s behind it, a window begins with a slot
OTHER = "__other__"
_LOOSE = 4096  # cells that wait to be added up, at least
_TIMELESS = np.uint64((1 << SLOT_SHIFT) - 1)


class Pile:
    """Cells that are added up from time to time; each costs a logarithmic number of additions."""

    __slots__ = ("_loose", "_rows", "_sum")

    def __init__(self, cells: Cells = NO_CELLS) -> None:
        self._sum, self._loose, self._rows = cells, list[Cells](), 0

    def put(self, cells: Cells) -> None:
        """Take these in."""
        self._loose.append(cells)
        self._rows += len(cells)
        if self._rows > _LOOSE + len(self._sum):
            self.cells()

    def cells(self) -> Cells:
        """All of it, one cell for each key, ascending; the array is never changed."""
        if self._loose:
            self._sum, self._rows = added(concatenated([self._sum, *self._loose])), 0
            self._loose.clear()
        return self._sum


class Orders:
    """Everything merged."""

    def __init__(self, *, names: int = NAMES, cells: int = CELLS) -> None:
        self.names: list[Name] = []
        self.frontier = -SLOT_OFFSET  # what is before this slot is held in the sum only
        self.merges = 0
        self._most_names, self._most_cells = names, cells
        self._ids: dict[Name, int] = {}
        self._slots: dict[int, Pile] = {}
        self._older = Pile()

    # --- merging ---------------------------------------------------------------------------------------------------

    def merge(self, times: OrderTimes) -> None:
        """Add what a worker counted, in the order of the journal."""
        if not times:
            return
        self.merges += 1
        self._put(renamed(times.cells, np.array([self._id(name) for name in times.names], np.int64)))

    def follow(self, watermark_ns: int) -> None:
        """The watermark is there now."""
        self._raise(watermark_ns // SLOT_NS - KEPT)

    def bound(self, watermark_ns: int) -> None:
        """Hold no more cells in slots than there may be."""
        if not self._slots:
            return
        held = {slot: len(pile.cells()) for slot, pile in sorted(self._slots.items())}
        excess = sum(held.values()) - self._most_cells
        reached = watermark_ns // SLOT_NS + HOUR
        ahead, usual = [slot for slot in held if slot > reached], [slot for slot in held if slot <= reached]
        for slot in (*reversed(ahead), *usual):
            if excess <= 0:
                return
            excess -= held[slot]
            if slot > reached:
                self._older.put(_timeless(self._slots.pop(slot).cells()))
            else:
                self._raise(slot + 1)

    def _raise(self, frontier: int) -> None:
        if frontier > self.frontier:
            self.frontier = frontier
            for slot in [slot for slot in self._slots if slot < frontier]:
                self._older.put(_timeless(self._slots.pop(slot).cells()))

    def _put(self, cells: Cells) -> None:
        slots = slots_of(cells)  # ascending, as the cells of a partial are
        bounds = [0, *(np.flatnonzero(np.diff(slots)) + 1).tolist(), len(cells)]
        for low, high in pairwise(bounds):
            slot = int(slots[low])
            if slot < self.frontier:
                self._older.put(_timeless(cells[low:high]))
            else:
                self._slots.setdefault(slot, Pile()).put(cells[low:high])

    def _id(self, name: Name) -> int:
        if (known := self._ids.get(name)) is not None:
            return known
        if len(self._ids) >= self._most_names and (name.venue, name.strategy) != (OTHER, OTHER):
            return self._id(Name(OTHER, OTHER, name.liquidity))
        number = self._ids[name] = len(self.names)
        self.names.append(name)
        return number

    # --- reading ---------------------------------------------------------------------------------------------------

    def between(self, start: int, end: int) -> list[Cells]:
        """The cells of the slots from `start` to `end` - 1."""
        return [pile.cells() for slot, pile in sorted(self._slots.items()) if start <= slot < end]

    def older(self) -> Cells:
        """What is in no slot any more."""
        return self._older.cells()

    def everything(self) -> list[Cells]:
        """All cells."""
        return [self.older(), *self.between(-SLOT_OFFSET, SLOT_OFFSET)]

    def restore(self, names: Iterable[Name], frontier: int, older: Cells, held: Cells) -> None:
        """Take over what a snapshot held (`names`, `frontier`, `older()`, the rest of `everything()`)."""
        for name in names:
            self._ids[name] = len(self.names)
            self.names.append(name)
        self.frontier, self._older = frontier, Pile(older)
        if len(held):
            self._put(held)


def _timeless(cells: Cells) -> Cells:
    """A copy whose keys have no slot; no longer one for each key."""
    moved = cells.copy()
    moved[:, KEY] &= _TIMELESS
    return moved
