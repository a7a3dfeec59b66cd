"""Counts by key (see telemetry.patterns), in NumPy or in compiled code, with the same results.

A BURST cell keeps the largest value that it was given, any other the sum. Keys are above zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from telemetry.patterns import (
    BUCKET_MASK,
    BURST,
    INSTRUMENT_SHIFT,
    UNIT_MASK,
    UNIT_SHIFT,
    UNITS,
    Ints,
    codes_at,
    levels_of,
    starts_of,
)

_EMPTY = np.empty(0, np.int64)
_YOUNG = 1 << 13  # keys that wait to be put in among the others, which copies all of them
_ROOM = 1 << 12  # slots of a table at first
_NEAR = 1 << 15  # units of a level that are counted one by one: of ten seconds some four days
_PART = 1 << 16  # slots that are looked through at a time: half a millisecond
_BEGIN = np.array([-1, 0, 0])
_AHEAD = 1 << 15  # slots: the next table of one with so many has its memory before it is needed


class Tally(Protocol):
    """Counts by key."""

    def __len__(self) -> int:
        """How many keys there are."""

    def add(self, keys: Ints, values: Ints) -> None:
        """Take in values; a key may be among `keys` more than once."""

    def items(self) -> tuple[Ints, Ints]:
        """A copy of all keys, in any order, and of their values."""

    def of(self, instrument: int) -> tuple[Ints, Ints]:
        """The cells of one instrument, by key."""

    def replace(self, keys: Ints, values: Ints) -> None:
        """Hold these instead; a key may be among them more than once."""

    def frontier(self, level: int, left: int) -> tuple[int, int] | None:
        """Where the frontier of a level is to be for at most so many cells of it to be left: at the first second of a
        coarser unit. And how many cells of the level are before it. None when the level has no cells."""

    def take_out(self, frontier: Ints) -> Iterator[tuple[Ints, Ints]]:
        """No longer hold the cells that are to be held at coarser levels (see gateway.state.cells): gives these, at
        their levels, a part at a time; a key may be among them more than once. Between parts others may be added."""


class Coarsen(Protocol):
    """Brings cells to the levels at which their time is held, in place."""

    def __call__(self, keys: Ints, values: Ints, frontier: Ints) -> int: ...


def coarsen(keys: Ints, values: Ints, frontier: Ints) -> int:
    """The reference of Coarsen: how many changed."""
    codes = keys >> UNIT_SHIFT & UNIT_MASK
    levels = levels_of(codes)
    starts = starts_of(codes, levels)
    held = (starts[:, None] < frontier).sum(axis=1)
    at = np.flatnonzero(held > levels)
    coarser = codes_at(held[at], starts[at])
    keys[at] += (coarser - codes[at]) << UNIT_SHIFT
    bursts = at[keys[at] & BUCKET_MASK == BURST]
    values[bursts] -= (starts[bursts] - starts_of(keys[bursts] >> UNIT_SHIFT & UNIT_MASK, held[bursts])) * 1000
    return len(at)


def merged(keys: Ints, values: Ints) -> tuple[Ints, Ints]:
    """Each key once, ascending, with its value."""
    order = keys.argsort(kind="stable")
    keys, values = keys[order], values[order]
    first = np.flatnonzero(np.concatenate((np.ones(min(1, len(keys)), np.bool_), keys[1:] != keys[:-1])))
    if len(first) == len(keys):
        return keys, values
    found = keys[first]
    bursts = found & BUCKET_MASK == BURST
    return found, np.where(bursts, np.maximum.reduceat(values, first), np.add.reduceat(values, first))


class NumpyTally:
    """The reference: sorted arrays, a large one and a small one."""

    def __init__(self) -> None:
        self._layers = [(_EMPTY, _EMPTY), (_EMPTY, _EMPTY)]

    def __len__(self) -> int:
        return sum(len(keys) for keys, _ in self._layers)

    def add(self, keys: Ints, values: Ints) -> None:
        """See Tally."""
        keys, values = merged(keys, values)
        for known, held in self._layers:
            if len(known) and len(keys):
                at = np.minimum(known.searchsorted(keys), len(known) - 1)
                hit = known[at] == keys
                place, more = at[hit], values[hit]
                bursts = known[place] & BUCKET_MASK == BURST
                held[place] = np.where(bursts, np.maximum(held[place], more), held[place] + more)
                keys, values = keys[~hit], values[~hit]
        if len(keys):
            self._layers[1] = _inserted(*self._layers[1], keys, values)
            if len(self._layers[1][0]) > _YOUNG:
                self._layers = [_inserted(*self._layers[0], *self._layers[1]), (_EMPTY, _EMPTY)]

    def items(self) -> tuple[Ints, Ints]:
        """See Tally."""
        keys, values = _inserted(*self._layers[0], *self._layers[1])
        return keys.copy(), values.copy()

    def of(self, instrument: int) -> tuple[Ints, Ints]:
        """See Tally."""
        keys, values = self.items()
        low, high = keys.searchsorted([instrument << INSTRUMENT_SHIFT, (instrument + 1) << INSTRUMENT_SHIFT])
        return keys[low:high], values[low:high]

    def replace(self, keys: Ints, values: Ints) -> None:
        """See Tally."""
        self._layers = [merged(keys, values), (_EMPTY, _EMPTY)]

    def frontier(self, level: int, left: int) -> tuple[int, int] | None:
        """See Tally."""
        return _frontier(self.items()[0], level, left)

    def take_out(self, frontier: Ints) -> Iterator[tuple[Ints, Ints]]:
        """See Tally."""
        keys, values = self.items()
        before = keys.copy()
        coarsen(keys, values, frontier)
        moved = keys != before
        self._layers = [(keys[~moved], values[~moved]), (_EMPTY, _EMPTY)]
        yield keys[moved], values[moved]


def _inserted(keys: Ints, values: Ints, more: Ints, more_values: Ints) -> tuple[Ints, Ints]:
    if len(more) == 0 or len(keys) == 0:
        return (keys, values) if len(more) == 0 else (more, more_values)
    at = keys.searchsorted(more)
    return np.insert(keys, at, more), np.insert(values, at, more_values)


def _frontier(keys: Ints, level: int, left: int) -> tuple[int, int] | None:
    codes = keys >> UNIT_SHIFT & UNIT_MASK
    levels = levels_of(codes)
    starts = starts_of(codes, levels)[levels == level]
    if len(starts) == 0:
        return None
    last = len(starts) - min(left + 1, len(starts))
    second = _behind(int(np.partition(starts, last)[last]), level)
    return second, int(np.count_nonzero(starts < second))


def _behind(start: int, level: int) -> int:
    """Where the coarser unit ends that this unit is in."""
    return (start // UNITS[level + 1] + 1) * UNITS[level + 1]


class CompiledTally:
    """The quickest: an open-addressed table, key and value in turn. Raises ImportError where nothing compiles."""

    def __init__(self, take_pages: Callable[[Ints], object] = lambda _: None, *, part: int = _PART) -> None:
        """`take_pages` takes the memory of a table that comes soon, in a thread. `part`: what `take_out` looks at."""
        self._kernels: Any = import_module("telemetry.compiled.tally")
        self._take_pages, self._part = take_pages, part
        self._count = 0
        self._table = _table(_ROOM)
        self._larger = _EMPTY  # for a table of twice as many slots: new pages cost more than the rest

    def __len__(self) -> int:
        return self._count

    def add(self, keys: Ints, values: Ints) -> None:
        """See Tally."""
        self.grew(self._kernels.add(self.room_for(len(keys)), keys, values))

    def items(self) -> tuple[Ints, Ints]:
        """See Tally."""
        keys, values = np.empty((2, self._count + 1), np.int64)
        self._kernels.held(self._table, keys, values)
        return keys[:-1], values[:-1]

    def _held(self, slots: Ints) -> tuple[Ints, Ints]:
        return self._table[2 * slots], self._table[2 * slots + 1]

    def of(self, instrument: int) -> tuple[Ints, Ints]:
        """See Tally."""
        held = np.empty(self._count, np.int64)
        held = held[: self._kernels.find(self._table, instrument, held)]
        return self._held(held[self._table[2 * held].argsort()])

    def replace(self, keys: Ints, values: Ints) -> None:
        """See Tally."""
        self._count = 0
        self._table = _table(_ROOM)
        self.add(keys, values)

    def frontier(self, level: int, left: int) -> tuple[int, int] | None:
        """See Tally."""
        if not (some := self._kernels.any_code(self._table, level)):
            return None
        counts = np.zeros(_NEAR, np.int64)
        if self._kernels.count_units(self._table, level, some, counts):  # some are far away
            return _frontier(self.items()[0], level, left)
        counts[0] = 0  # those of other levels
        so_new = counts[::-1].cumsum()  # as many cells are in a unit or a later one, the latest first
        unit = _NEAR - 1 - int(so_new.searchsorted(min(left, so_new[-1] - 1), side="right"))
        start = int(starts_of(np.array([some - _NEAR // 2 + unit]), np.array([level]))[0])
        second = _behind(start, level)
        return second, int(counts[: unit + (second - start) // UNITS[level]].sum())

    def take_out(self, frontier: Ints) -> Iterator[tuple[Ints, Ints]]:
        """See Tally."""
        table, keys, values, done = self._table, *np.empty((2, self._part), np.int64), _BEGIN.copy()
        while done[0] >= 0 or not done[1]:
            if table is not self._table:  # it has grown: what is where it belongs stays there
                table, done = self._table, _BEGIN.copy()
            count = self._kernels.take_out(table, frontier, done, keys, values)
            self._count -= count
            yield keys[:count], values[:count]

    def room_for(self, more: int) -> Ints:
        """The table, for compiled code to add so many keys to: a quarter of the slots stays free."""
        room = known = len(self._table) // 2
        while (self._count + more) * 4 > room * 3:
            room *= 2
        if room > known:
            larger = self._larger if len(self._larger) == 2 * room else _table(room)
            self._kernels.move(self._table, larger)
            self._table, self._larger = larger, _EMPTY
        return self._table

    def grew(self, keys: int) -> None:
        """So many keys were new."""
        self._count += keys
        room = len(self._table) // 2
        if self._count * 5 > room * 3 and room >= _AHEAD and len(self._larger) != 4 * room:
            self._larger = _table(2 * room)
            self._take_pages(self._larger)


def _table(room: int) -> Ints:
    return np.zeros(2 * room, np.int64)
