"""Trades by millisecond, of the milliseconds that may still grow: those of the latest part of the journal.

There are two generations. A count that is added to is in the younger one; when that has GENERATION keys at a stride, it
becomes the older one and what the older one held is forgotten. So the trades of a millisecond are counted together as
long as fewer than GENERATION other milliseconds of instruments lie between them in the journal, whatever their time
is; what came to a later count of the same millisecond would begin anew. The largest count is kept elsewhere.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

import numpy as np

from telemetry.patterns import Ints

GENERATION = 1 << 15
_ROOM = 1 << 16  # slots of a table at first: those of a generation, with some free ones
_SAVED = 2  # arrays of a generation


class Bursts(Protocol):
    """Counts by millisecond key (see telemetry.patterns)."""

    def count(self, keys: Ints, values: Ints) -> Ints:
        """Add to the counts of keys, one after the other; what each has come to."""

    def turn(self) -> None:
        """At a stride: let the generations change when it is time."""

    def saved(self) -> list[Ints]:
        """Keys and counts of the younger generation, then of the older one."""

    def load(self, saved: list[Ints]) -> None:
        """Take over what was saved, in place of what is held."""


class NumpyBursts:
    """The reference."""

    def __init__(self) -> None:
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}

    def count(self, keys: Ints, values: Ints) -> Ints:
        """See Bursts."""
        young, old = self._young, self._old
        totals = []
        for key, value in zip(keys.tolist(), values.tolist(), strict=True):
            before = young.get(key)
            total = young[key] = value + (old.get(key, 0) if before is None else before)
            totals.append(total)
        return np.array(totals, np.int64)

    def turn(self) -> None:
        """See Bursts."""
        if len(self._young) >= GENERATION:
            self._young, self._old = {}, self._young

    def saved(self) -> list[Ints]:
        """See Bursts."""
        return [
            array
            for of in (self._young, self._old)
            for array in _in_order(np.array(list(of), np.int64), np.array(list(of.values()), np.int64))
        ]

    def load(self, saved: list[Ints]) -> None:
        """See Bursts."""
        young, old = saved[:_SAVED], saved[_SAVED:]
        self._young, self._old = (dict(zip(*(a.tolist() for a in of), strict=True)) for of in (young, old))


class CompiledBursts:
    """The quickest. Raises ImportError where nothing can be compiled."""

    def __init__(self) -> None:
        self._kernels: Any = import_module("telemetry.compiled.tally")
        self._count = 0
        self._young, self._old = _table(_ROOM), _table(_ROOM)

    def count(self, keys: Ints, values: Ints) -> Ints:
        """See Bursts."""
        totals = np.empty(len(keys), np.int64)
        self.grew(self._kernels.count(*self.room_for(len(keys)), keys, values, totals))
        return totals

    def turn(self) -> None:
        """See Bursts."""
        if self._count >= GENERATION:
            spare = self._old if len(self._old[0]) == len(self._young[0]) else _table(len(self._young[0]))
            spare[0].fill(0)  # the same memory again: new pages cost more than clearing them
            self._old, self._young, self._count = self._young, spare, 0

    def saved(self) -> list[Ints]:
        """See Bursts."""
        return [array for keys, counts in (self._young, self._old) for array in _in_order(*_held(keys, counts))]

    def load(self, saved: list[Ints]) -> None:
        """See Bursts."""
        tables = []
        for keys, counts in (saved[:_SAVED], saved[_SAVED:]):
            room = _ROOM
            while len(keys) * 4 > room * 3:
                room *= 2
            tables.append(_table(room))
            self._kernels.add(*tables[-1], keys, counts)
        (self._young, self._old), self._count = tables, len(saved[0])

    def room_for(self, more: int) -> tuple[Ints, Ints, Ints, Ints]:
        """Keys and counts of the younger generation, with room for so many more, and those of the older one."""
        room = len(self._young[0])
        while (self._count + more) * 4 > room * 3:
            room *= 2
        if room > len(self._young[0]):
            held = _held(*self._young)
            self._young = _table(room)
            self._kernels.add(*self._young, *held)
        return *self._young, *self._old

    def grew(self, keys: int) -> None:
        """So many keys were new to the younger generation."""
        self._count += keys


def _table(room: int) -> tuple[Ints, Ints]:
    return np.zeros(room, np.int64), np.zeros(room, np.int64)


def _held(keys: Ints, counts: Ints) -> tuple[Ints, Ints]:
    at = np.flatnonzero(keys)
    return keys[at], counts[at]


def _in_order(keys: Ints, counts: Ints) -> tuple[Ints, Ints]:
    order = keys.argsort()
    return keys[order], counts[order]
