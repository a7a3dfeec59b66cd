"""How far the table of atoms has to be folded: a question of keys alone, asked of a million of them in milliseconds."""

from __future__ import annotations

from importlib import import_module
from sys import getrefcount
from typing import Any, Protocol

import numpy as np

from gateway.state.merging import EPOCH_OFFSET, INSTRUMENT_SHIFT, LEVEL_SHIFT, Ints

_START_MASK = (1 << LEVEL_SHIFT) - 1
_MOST_RESERVED = 7  # keys and places, large and young; and both again while they are made anew
_ALONE = 3  # references to an array of which there is no view: the list's, the name's and the question's
_MOST_UNITS = 1 << 16  # from the oldest to the newest; one stray atom of 1970 may make it more


def starts_of(keys: Ints, level: int) -> Ints:
    """The start (seconds) of each of these keys that is of a level; of others a time that never comes."""
    starts = keys & _START_MASK
    starts -= EPOCH_OFFSET
    starts[(keys >> LEVEL_SHIFT) & 3 != level] = EPOCH_OFFSET
    return starts


def frontier_of(keys: Ints, level: int, coarse: int, limit: int, excess: int) -> tuple[int, int] | None:
    """Where the oldest units of `coarse` seconds end that free `excess` atoms when the atoms of `level` in them become
    one for each instrument and unit, and how many these free: as few units as do, all before `limit` when they do not;
    None when there are none.

    Ascending keys. It looks at no more of the oldest atoms than may be needed: as many as shall be freed, at first.
    """
    starts = starts_of(keys, level)
    places = np.flatnonzero(starts < limit)
    if len(places) == 0:
        return None
    starts = starts[places]
    some = excess
    while True:
        if some < len(starts):
            oldest = int(np.partition(starts, some)[some])
            inside = starts < (oldest // coarse + 1) * coarse
        else:
            inside = np.ones(len(starts), np.bool_)
        units, freed = _freed(keys[places[inside]] >> INSTRUMENT_SHIFT, starts[inside] // coarse)
        if freed[-1] >= excess or inside.all():
            last = min(int(np.searchsorted(freed, excess)), len(units) - 1)
            return int(units[last] + 1) * coarse, int(freed[last])
        some *= 2


def _freed(instrument: Ints, unit: Ints) -> tuple[Ints, Ints]:
    """(the units, how many atoms are freed by folding each and those before it); rows of an instrument and unit stand
    next to each other."""
    later = np.zeros(len(unit), np.int64)  # each of these is freed by folding its unit
    later[1:] = (unit[1:] == unit[:-1]) & (instrument[1:] == instrument[:-1])
    units, number = np.unique(unit, return_inverse=True)
    return units, np.cumsum(np.bincount(number, later, len(units)).astype(np.int64))


def inserted(keys: Ints, at: Ints, more: Ints, more_at: Ints) -> tuple[Ints, Ints]:
    """Two sorted arrays of keys as one, with what belongs to them."""
    if len(keys) == 0:
        return more, more_at
    position = np.searchsorted(keys, more)
    return np.insert(keys, position, more), np.insert(at, position, more_at)


class Folding(Protocol):
    """What is asked of all keys, ascending, and what belongs to each. Nothing is changed in place: a reading may hold
    what was there before."""

    def older(self, keys: Ints, level: int, limit: int, most: int) -> Ints:
        """The first places of keys of a level that begin before `limit` seconds, at most so many."""

    def frontier_of(self, keys: Ints, level: int, coarse: int, limit: int, excess: int) -> tuple[int, int] | None:
        """See the function of this name."""

    def inserted(self, keys: Ints, at: Ints, more: Ints, more_at: Ints) -> tuple[Ints, Ints]:
        """See the function of this name."""

    def without(self, keys: Ints, at: Ints, places: Ints) -> tuple[Ints, Ints]:
        """All but those at these places, which need no order."""


class NumpyFolding:
    """The reference."""

    def older(self, keys: Ints, level: int, limit: int, most: int) -> Ints:
        """See Folding."""
        return np.flatnonzero(starts_of(keys, level) < limit)[:most]

    def frontier_of(self, keys: Ints, level: int, coarse: int, limit: int, excess: int) -> tuple[int, int] | None:
        """See Folding."""
        return frontier_of(keys, level, coarse, limit, excess)

    def inserted(self, keys: Ints, at: Ints, more: Ints, more_at: Ints) -> tuple[Ints, Ints]:
        """See Folding."""
        return inserted(keys, at, more, more_at)

    def without(self, keys: Ints, at: Ints, places: Ints) -> tuple[Ints, Ints]:
        """See Folding."""
        keep = np.ones(len(keys), np.bool_)
        keep[places] = False
        return keys[keep], at[keep]


class CompiledFolding(NumpyFolding):
    """The quickest: a million keys in one to four milliseconds each time, where NumPy takes up to forty."""

    def __init__(self, most: int) -> None:
        """Addresses are reserved for so many keys; memory is used as keys come. Raises ImportError where nothing is
        compiled and numba is not there."""
        self._kernels: Any = import_module("telemetry.compiled.folding")
        self._most = most
        self._reserved: list[Ints] = []

    def older(self, keys: Ints, level: int, limit: int, most: int) -> Ints:
        """See Folding."""
        places = np.empty(most, np.int64)
        return places[: self._kernels.older(keys, LEVEL_SHIFT, level, EPOCH_OFFSET, limit, places)]

    def frontier_of(self, keys: Ints, level: int, coarse: int, limit: int, excess: int) -> tuple[int, int] | None:
        """See Folding."""
        ends = np.empty(2, np.int64)
        if not self._kernels.span(keys, LEVEL_SHIFT, level, EPOCH_OFFSET, coarse, limit, ends):
            return None
        first, last = ends.tolist()
        if last - first >= _MOST_UNITS:
            return frontier_of(keys, level, coarse, limit, excess)
        counts = np.zeros(last - first + 1, np.int64)
        self._kernels.count_freed(
            keys, INSTRUMENT_SHIFT, LEVEL_SHIFT, level, EPOCH_OFFSET, coarse, limit, first, counts
        )
        units = np.flatnonzero(counts)
        freed = np.cumsum(counts[units] - 1)
        end = min(int(np.searchsorted(freed, excess)), len(units) - 1)
        return (first + int(units[end]) + 1) * coarse, int(freed[end])

    def inserted(self, keys: Ints, at: Ints, more: Ints, more_at: Ints) -> tuple[Ints, Ints]:
        """See Folding."""
        out, out_at = self._take(len(keys) + len(more)), self._take(len(keys) + len(more))
        self._kernels.insert(keys, at, more, more_at, out, out_at)
        return out, out_at

    def without(self, keys: Ints, at: Ints, places: Ints) -> tuple[Ints, Ints]:
        """See Folding."""
        out, out_at = self._take(len(keys)), self._take(len(keys))
        left = self._kernels.without(keys, at, np.sort(places), out, out_at)
        return out[:left], out_at[:left]

    def _take(self, count: int) -> Ints:
        """Memory for so many integers that nobody else looks at, each in its turn: touching new memory takes longer
        than all the rest, so it shall grow with the keys and not at once."""
        for place in range(len(self._reserved)):
            memory = self._reserved[place]
            if getrefcount(memory) == _ALONE and len(memory) >= count:
                self._reserved.append(self._reserved.pop(place))
                return memory[:count]
        fresh = np.zeros(max(self._most, count), np.int64)  # np.empty would be in huge pages: a pause for each
        self._reserved = [memory for memory in self._reserved if len(memory) >= count][-_MOST_RESERVED:]
        self._reserved.append(fresh)
        return fresh[:count]
