"""Counts by key in NumPy: an open-addressed table, whose operations take many keys at once. Keys are above zero."""

from __future__ import annotations

import numpy as np

from telemetry.patterns import Ints

_ROOM = 1 << 16  # slots at first: those of a generation of milliseconds, with as many free ones
_SHARE = 2  # of the slots that is used at most: one of so many
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio: what keys have in common is spread


class Counts:
    """Keys, and a count above zero for each."""

    def __init__(self) -> None:
        self._used = 0
        self._take_room(_ROOM)

    def __len__(self) -> int:
        return self._used

    def held(self) -> tuple[Ints, Ints]:
        """All keys, ascending, and their counts."""
        at = np.flatnonzero(self._keys)
        at = at[self._keys[at].argsort()]
        return self._keys[at], self._counts[at]

    def of(self, keys: Ints) -> Ints:
        """The counts of keys, 0 for what is not held."""
        slots = self._first(keys)
        found, left = self._counts.take(slots), self._others(slots, keys)
        found[left] = 0
        while len(left):
            slots[left] = (slots[left] + 1) & self._wrap
            at, wanted = self._keys.take(slots[left]), keys[left]
            same = at == wanted
            found[left[same]] = self._counts[slots[left[same]]]
            left = left[~same & (at != 0)]
        return found

    def slots(self, keys: Ints) -> Ints:
        """The slot of each key, which is taken with a count of 0 if need be; valid until the next call."""
        self._make_room(len(keys))
        slots = self._first(keys)
        left = self._taken(slots, keys)
        while len(left):
            slots[left] = (slots[left] + 1) & self._wrap
            left = left[self._taken(slots[left], keys[left])]
        return slots

    def new(self, slots: Ints) -> Ints:
        """Which rows have a slot with a count of 0, of every slot the first one."""
        rows = np.flatnonzero(self._counts.take(slots) == 0)
        return rows[self._firsts(slots[rows])]

    def begin(self, slots: Ints, counts: Ints) -> None:
        """New keys with a count that may be 0; values are added at once."""
        self._counts[slots] = counts
        self._used += len(slots)

    def add(self, slots: Ints, values: Ints) -> Ints:
        """Add values above zero, one after the other; what each count has come to."""
        totals, left = np.empty(len(slots), np.int64), np.arange(len(slots))
        while len(left):
            at = slots[left]
            first = self._firsts(at)
            now = left if len(first) == len(left) else left[first]
            totals[now] = self._counts.take(slots[now]) + values[now]
            self._counts[slots[now]] = totals[now]
            left = np.delete(left, first) if len(now) < len(left) else left[:0]
        return totals

    def clear(self) -> None:
        """Hold nothing, in the same memory."""
        self._keys.fill(0)
        self._counts.fill(0)
        self._used = 0

    def _firsts(self, slots: Ints) -> Ints:
        """Of each slot the first row that has it, ascending."""
        numbers = np.arange(len(slots), dtype=np.int32)
        self._rows[slots[::-1]] = numbers[::-1]  # of two rows that want one slot the last one stays
        return np.flatnonzero(self._rows.take(slots) == numbers)

    def _first(self, keys: Ints) -> Ints:
        slots: Ints = ((keys.view(np.uint64) * _FACTOR) >> self._shift).view(np.int64)
        return slots

    def _others(self, slots: Ints, keys: Ints) -> Ints:
        """The rows that found another key there."""
        at = self._keys.take(slots)
        return np.flatnonzero((at != keys) & (at != 0))

    def _taken(self, slots: Ints, keys: Ints) -> Ints:
        """Puts keys where it is free; the rows that found another key there."""
        free = np.flatnonzero(self._keys.take(slots) == 0)
        self._keys[slots[free]] = keys[free]
        return np.flatnonzero(self._keys.take(slots) != keys)

    def _make_room(self, more: int) -> None:
        room = len(self._keys)
        while (self._used + more) * _SHARE > room:
            room *= 2
        if room > len(self._keys):
            keys, counts = self.held()
            self._take_room(room)
            self._counts[self.slots(keys)] = counts

    def _take_room(self, room: int) -> None:
        self._keys, self._counts = np.zeros(room, np.int64), np.zeros(room, np.int64)
        self._rows = np.empty(room, np.int32)
        self._wrap, self._shift = room - 1, np.uint64(64 - (room.bit_length() - 1))
