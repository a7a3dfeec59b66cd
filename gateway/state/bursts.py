"""Trades by millisecond, of the milliseconds that may still grow: those of the latest part of the journal.

There are two generations. A count that is added to is in the younger one; when that has GENERATION keys at a stride, it
becomes the older one and what the older one held is forgotten. So the trades of a millisecond are counted together as
long as fewer than GENERATION other milliseconds of instruments lie between them in the journal, whatever their time
is; what came to a later count of the same millisecond would begin anew. The largest count is kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from gateway.state.counts import Counts
from telemetry.patterns import MILLISECOND_SHIFT, Ints

GENERATION = 1 << 15
_ROOM = 1 << 16  # rows of a log at first
_INSTRUMENTS = 16  # at first
_SAVED = 2  # arrays of a generation


class Bursts(Protocol):
    """Counts by millisecond key (see telemetry.patterns)."""

    def count(self, keys: Ints, values: Ints) -> Ints:
        """Add to the counts of keys, one after the other; what each has come to."""

    def turn(self) -> None:
        """At a stride: let the generations change when it is time."""

    def copied(self) -> Callable[[], list[Ints]]:
        """A copy, which gives keys and counts of the younger generation, then of the older one, in any thread."""

    def load(self, saved: list[Ints]) -> None:
        """Take over what was saved, in place of what is held."""


class NumpyBursts:
    """The reference."""

    def __init__(self) -> None:
        self._young, self._old = Counts(), Counts()

    def count(self, keys: Ints, values: Ints) -> Ints:
        """See Bursts."""
        slots = self._young.slots(keys)
        new = self._young.new(slots)
        self._young.begin(slots[new], self._old.of(keys[new]) if len(self._old) else np.zeros(len(new), np.int64))
        return self._young.add(slots, values)

    def turn(self) -> None:
        """See Bursts."""
        if len(self._young) >= GENERATION:
            self._young, self._old = self._old, self._young
            self._young.clear()  # the same memory again: new pages cost more than clearing them

    def copied(self) -> Callable[[], list[Ints]]:
        """See Bursts."""
        held = [array for of in (self._young, self._old) for array in of.held()]
        return lambda: held

    def load(self, saved: list[Ints]) -> None:
        """See Bursts."""
        for of, (keys, counts) in ((self._young, saved[:_SAVED]), (self._old, saved[_SAVED:])):
            of.clear()
            of.begin(of.slots(keys), counts)


class _Generation:
    """Its log, the table of places in it, the place of each instrument's latest: see telemetry.compiled.bursts."""

    def __init__(self, room: int, instruments: int) -> None:
        self.log: Ints = np.empty((room, 2), np.int64)
        self.table: Ints = np.zeros(2 * room, np.int64)
        self.latest: Ints = np.zeros(instruments, np.int64)

    @classmethod
    def of(cls, keys: Ints, counts: Ints) -> _Generation:
        """What was saved, by key."""
        room = _ROOM
        while len(keys) > room:
            room *= 2
        owners = keys >> MILLISECOND_SHIFT
        made = cls(room, int(owners.max(initial=0)) + 1)
        made.log[: len(keys)] = np.stack((keys, counts), axis=1)
        np.maximum.at(made.latest, owners, np.arange(1, len(keys) + 1))
        return made

    def follow(self, instruments: int) -> None:
        """Have room for so many instruments."""
        if instruments > len(self.latest):
            latest = np.zeros(max(instruments, 2 * len(self.latest)), np.int64)
            latest[: len(self.latest)] = self.latest
            self.latest = latest

    def arrays(self) -> tuple[Ints, Ints, Ints]:
        """In the order of the kernel."""
        return self.log, self.table, self.latest


class CompiledBursts:
    """The quickest. Raises ImportError where nothing can be compiled."""

    def __init__(self) -> None:
        self._kernels: Any = import_module("telemetry.compiled.bursts")
        self._marks = np.zeros(self._kernels.MARKS, np.int64)
        self._young, self._old = _Generation(_ROOM, _INSTRUMENTS), _Generation(_ROOM, _INSTRUMENTS)

    def count(self, keys: Ints, values: Ints) -> Ints:
        """See Bursts."""
        totals = np.empty(len(keys), np.int64)
        most = int(keys.max(initial=0)) >> MILLISECOND_SHIFT
        self._kernels.count(*self.room_for(len(keys), most + 1), keys, values, totals)
        return totals

    def turn(self) -> None:
        """See Bursts."""
        if self._marks[self._kernels.YOUNG_HELD] < GENERATION:
            return
        self._young, self._old = self._old, self._young  # the same memory again: new pages cost more
        if self._marks[self._kernels.OLD_INDEXED]:
            self._young.table.fill(0)
        self._young.latest.fill(0)
        self._marks[:] = 0, 0, *self._marks[: self._kernels.OLD_HELD].tolist()

    def copied(self) -> Callable[[], list[Ints]]:
        """See Bursts."""
        held = (self._young, self._kernels.YOUNG_HELD), (self._old, self._kernels.OLD_HELD)
        logs = [of.log[: self._marks[mark]].T.copy() for of, mark in held]
        return lambda: [array for log in logs for array in _in_order(*log)]

    def load(self, saved: list[Ints]) -> None:
        """See Bursts."""
        self._young, self._old = (_Generation.of(*part) for part in (saved[:_SAVED], saved[_SAVED:]))
        self._marks[:] = len(saved[0]), 0, len(saved[_SAVED]), 0

    def room_for(self, more: int, instruments: int) -> tuple[Ints, ...]:
        """What compiled code adds so many keys of the first `instruments` to."""
        for one in (self._young, self._old):
            one.follow(instruments)
        held, room = int(self._marks[self._kernels.YOUNG_HELD]), len(self._young.log)
        while held + more > room:
            room *= 2
        if room > len(self._young.log):
            grown = _Generation(room, 0)
            grown.log[:held], grown.latest = self._young.log[:held], self._young.latest
            self._young, self._marks[self._kernels.YOUNG_INDEXED] = grown, 0
        return *self._young.arrays(), *self._old.arrays(), self._marks


def _in_order(keys: Ints, counts: Ints) -> tuple[Ints, Ints]:
    order = keys.argsort()
    return keys[order], counts[order]
