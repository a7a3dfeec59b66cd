"""How far the table of atoms has to be folded: a question of keys alone, asked of a million of them in milliseconds."""

from __future__ import annotations

import numpy as np

from gateway.state.merging import EPOCH_OFFSET, INSTRUMENT_SHIFT, LEVEL_SHIFT, Ints

_START_MASK = (1 << LEVEL_SHIFT) - 1


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
