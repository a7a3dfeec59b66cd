"""Counts by key (see telemetry.patterns), in NumPy or in compiled code, with the same results.

A BURST cell keeps the largest value that it was given, any other the sum. Keys are above zero.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

import numpy as np

from telemetry.patterns import BUCKET_MASK, BURST, INSTRUMENT_SHIFT, Ints

_EMPTY = np.empty(0, np.int64)
_YOUNG = 1 << 13  # keys that wait to be put in among the others, which copies all of them
_ROOM = 1 << 12  # slots of a table at first


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


def _inserted(keys: Ints, values: Ints, more: Ints, more_values: Ints) -> tuple[Ints, Ints]:
    if len(more) == 0 or len(keys) == 0:
        return (keys, values) if len(more) == 0 else (more, more_values)
    at = keys.searchsorted(more)
    return np.insert(keys, at, more), np.insert(values, at, more_values)


class CompiledTally:
    """The quickest: an open-addressed table. Raises ImportError where nothing can be compiled."""

    def __init__(self) -> None:
        self._kernels: Any = import_module("telemetry.compiled.tally")
        self._count = 0
        self._keys, self._values = np.zeros(_ROOM, np.int64), np.zeros(_ROOM, np.int64)

    def __len__(self) -> int:
        return self._count

    def add(self, keys: Ints, values: Ints) -> None:
        """See Tally."""
        self.grew(self._kernels.add(*self.room_for(len(keys)), keys, values))

    def items(self) -> tuple[Ints, Ints]:
        """See Tally."""
        held = np.flatnonzero(self._keys)
        return self._keys[held], self._values[held]

    def of(self, instrument: int) -> tuple[Ints, Ints]:
        """See Tally."""
        held = np.empty(self._count, np.int64)
        held = held[: self._kernels.find(self._keys, instrument, held)]
        held = held[self._keys[held].argsort()]
        return self._keys[held], self._values[held]

    def replace(self, keys: Ints, values: Ints) -> None:
        """See Tally."""
        self._count = 0
        self._keys, self._values = np.zeros(_ROOM, np.int64), np.zeros(_ROOM, np.int64)
        self.add(keys, values)

    def room_for(self, more: int) -> tuple[Ints, Ints]:
        """The table, for compiled code to add so many keys to: a quarter of the slots stays free."""
        room = len(self._keys)
        while (self._count + more) * 4 > room * 3:
            room *= 2
        if room > len(self._keys):
            keys, values = self._keys, self._values
            self._keys, self._values = np.zeros(room, np.int64), np.zeros(room, np.int64)
            held = np.flatnonzero(keys)
            self._kernels.add(self._keys, self._values, keys[held], values[held])
        return self._keys, self._values

    def grew(self, keys: int) -> None:
        """So many keys were new."""
        self._count += keys
