"""Counts by key (see telemetry.patterns), in NumPy or in compiled code, with the same results.

A BURST cell keeps the largest value that it was given, any other the sum. Keys are above zero.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from telemetry.patterns import (
    BUCKET_MASK,
    BURST,
    INSTRUMENT_SHIFT,
    UNIT_MASK,
    UNIT_SHIFT,
    Ints,
    codes_at,
    levels_of,
    starts_of,
)

_EMPTY = np.empty(0, np.int64)
_YOUNG = 1 << 13  # keys that wait to be put in among the others, which copies all of them
_ROOM = 1 << 12  # slots of a table at first
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

    def starts(self, level: int) -> Ints:
        """The first second of the unit of each cell of a level."""

    def take_out(self, frontier: Ints) -> tuple[Ints, Ints]:
        """No longer hold the cells that are to be held at coarser levels (see gateway.state.cells): these, at their
        levels; a key may be among them more than once."""

    def prepare(self) -> None:
        """Have ready what the next `take_out` takes, which comes soon."""


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

    def starts(self, level: int) -> Ints:
        """See Tally."""
        codes = self.items()[0] >> UNIT_SHIFT & UNIT_MASK
        levels = levels_of(codes)
        return starts_of(codes[levels == level], levels[levels == level])

    def take_out(self, frontier: Ints) -> tuple[Ints, Ints]:
        """See Tally."""
        keys, values = self.items()
        before = keys.copy()
        coarsen(keys, values, frontier)
        moved = keys != before
        self._layers = [(keys[~moved], values[~moved]), (_EMPTY, _EMPTY)]
        return keys[moved], values[moved]

    def prepare(self) -> None:
        """See Tally."""


def _inserted(keys: Ints, values: Ints, more: Ints, more_values: Ints) -> tuple[Ints, Ints]:
    if len(more) == 0 or len(keys) == 0:
        return (keys, values) if len(more) == 0 else (more, more_values)
    at = keys.searchsorted(more)
    return np.insert(keys, at, more), np.insert(values, at, more_values)


class CompiledTally:
    """The quickest: an open-addressed table, key and value in turn. Raises ImportError where nothing compiles."""

    def __init__(self, take_pages: Callable[[Ints], object] = lambda _: None) -> None:
        """`take_pages` takes the memory of a table that comes soon, in a thread."""
        self._kernels: Any = import_module("telemetry.compiled.tally")
        self._take_pages = take_pages
        self._count = 0
        self._table = _table(_ROOM)
        # Memory for the next table of this size, and for one of twice as many slots: new pages cost more than the rest.
        self._spare, self._larger = self._table, _EMPTY

    def __len__(self) -> int:
        return self._count

    def add(self, keys: Ints, values: Ints) -> None:
        """See Tally."""
        self.grew(self._kernels.add(self.room_for(len(keys)), keys, values))

    def items(self) -> tuple[Ints, Ints]:
        """See Tally."""
        return self._held(np.flatnonzero(self._table[::2]))

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

    def starts(self, level: int) -> Ints:
        """See Tally."""
        found = np.empty(self._count, np.int64)
        return found[: self._kernels.starts(self._table, level, found)]

    def take_out(self, frontier: Ints) -> tuple[Ints, Ints]:
        """See Tally."""
        kept = self._spare
        if kept is self._table or len(kept) != len(self._table):
            kept = _table(len(self._table) // 2)
        kept.fill(0)
        moved = np.empty(self._count, np.int64), np.empty(self._count, np.int64)
        count = self._kernels.take_out(self._table, frontier, kept, *moved)
        self._spare, self._table = self._table, kept
        self._count -= count
        return moved[0][:count], moved[1][:count]

    def prepare(self) -> None:
        """See Tally."""
        if self._spare is self._table or len(self._spare) != len(self._table):
            self._spare = self._table_ahead(len(self._table) // 2)

    def room_for(self, more: int) -> Ints:
        """The table, for compiled code to add so many keys to: a quarter of the slots stays free."""
        room = known = len(self._table) // 2
        while (self._count + more) * 4 > room * 3:
            room *= 2
        if room > known:
            larger = self._larger if len(self._larger) == 2 * room else _table(room)
            self._kernels.take_out(self._table, _EMPTY, larger, _EMPTY, _EMPTY)  # of which none is taken out
            self._table, self._larger = larger, _EMPTY
        return self._table

    def grew(self, keys: int) -> None:
        """So many keys were new."""
        self._count += keys
        room = len(self._table) // 2
        if self._count * 5 > room * 3 and room >= _AHEAD and len(self._larger) != 4 * room:
            self._larger = self._table_ahead(2 * room)

    def _table_ahead(self, room: int) -> Ints:
        table = _table(room)
        self._take_pages(table)
        return table


def _table(room: int) -> Ints:
    return np.zeros(2 * room, np.int64)
