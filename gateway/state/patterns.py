"""Rates and patterns of all instruments: gaps between trades, bursts, the largest trades. See telemetry.patterns.

What depends on order relies on the aggregator's: partials come in the order of the journal, so the gap between the last
trade of an instrument before a range and its first one inside is known here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.state.bursts import Bursts, CompiledBursts, NumpyBursts
from gateway.state.cells import Cells, Coarsen, coarsen
from gateway.state.largest import INSTRUMENTS, CompiledLargest, Largest, PlainLargest
from gateway.state.tally import CompiledTally, NumpyTally, Tally
from telemetry import patterns as layout
from telemetry.patterns import INSTRUMENT_SHIFT, MILLISECOND_SHIFT, UNIT_SHIFT, UNITS, Ints

_SLOT_NS = UNITS[0] * 1_000_000_000
_SLOT_MS = UNITS[0] * 1000
_CODE = layout.LEVEL_OFFSETS[0]
WAITING = 8192  # rows that wait to be taken in: about a millisecond of work
_SHARE = 2  # of the cap of atoms: there may be one fine cell to two atoms


@dataclass(frozen=True)
class Parts:
    """What the state is made of: the reference, or compiled code with the same results."""

    tally: Callable[[], Tally] = NumpyTally
    bursts: Callable[[], Bursts] = NumpyBursts
    largest: Callable[[], Largest] = PlainLargest
    coarsen: Coarsen = coarsen


def compiled_parts() -> Parts:
    """The quickest. Raises ImportError where nothing can be compiled."""
    return Parts(CompiledTally, CompiledBursts, CompiledLargest, import_module("telemetry.compiled.tally").coarsen)


class Patterns:
    """`last` is the timestamp of each instrument's newest trade by number, where there `seen` is one; `fine` tells
    whether one of its timestamps was no multiple of ten milliseconds."""

    def __init__(self, atoms: int, parts: Parts) -> None:
        self.cells = Cells(max(1, atoms // _SHARE), parts.tally, parts.coarsen)
        self.bursts, self.largest = parts.bursts(), parts.largest()
        self.last: Ints = np.zeros(0, np.int64)
        self.seen: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self.fine: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._waiting: list[tuple[Ints, int, layout.Patterns]] = []
        self._rows = 0  # of those that wait

    def merge(self, ids: Ints, first_seq: int, of: layout.Patterns) -> None:
        """Take in the patterns of a range that begins with trade `first_seq`; `ids` are those of its instruments.

        They wait until there are many, for what is done with a range costs more than what is done with its trades."""
        self._waiting.append((ids, first_seq, of))
        self._rows += sum(map(len, of.arrays()))
        if self._rows > WAITING:
            self.take_in()

    def take_in(self) -> None:
        """Bring the state up to what was merged: before it is read, folded or saved."""
        if not self._waiting:
            return
        waiting, self._waiting, self._rows = self._waiting, [], 0
        ids = np.concatenate([of for of, _, _ in waiting])
        begins = np.cumsum([0, *(len(of) for of, _, _ in waiting[:-1])])
        self._follow(int(ids.max()) + 1)
        ends, gaps, bursts, candidates = zip(*(of.arrays() for _, _, of in waiting), strict=True)
        parts = [
            self._inside(ids, _joined(gaps, begins)),
            self._between(ids, _joined(ends, begins)),
            self._bursts(ids, _joined(bursts, begins)),
        ]
        keys, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        if int(ids.max()) >= self.cells.instruments:
            kept = keys >> INSTRUMENT_SHIFT < self.cells.instruments
            keys, values = keys[kept], values[kept]
        if len(keys):
            earliest = int((keys >> UNIT_SHIFT & layout.UNIT_MASK).min()) - _CODE
            self.cells.add(keys, values, earliest * UNITS[0])
        seqs = np.repeat([seq for _, seq, _ in waiting], list(map(len, candidates)))
        self._offer(ids, seqs, *_joined(candidates, begins))

    def _follow(self, count: int) -> None:
        known = len(self.last)
        if count > known:
            room = max(count, 2 * known)
            last, seen, fine = np.zeros(room, np.int64), np.zeros(room, np.bool_), np.zeros(room, np.bool_)
            last[:known], seen[:known], fine[:known] = self.last, self.seen, self.fine
            self.last, self.seen, self.fine = last, seen, fine

    def _inside(self, ids: Ints, joined: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
        """The cells of gaps inside the ranges."""
        gaps, begins = joined
        local = gaps[:, 0] >> INSTRUMENT_SHIFT
        return gaps[:, 0] + ((ids.take(local + begins) - local) << INSTRUMENT_SHIFT), gaps[:, 1]

    def _between(self, ids: Ints, joined: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
        """The cells of the gaps between what came before and the first trades of each range."""
        ends, begins = joined
        of = ids.take(ends[:, layout.LOCAL] + begins)
        order = of.argsort(kind="stable")  # the ranges of an instrument together, in order
        of, first, last = of.take(order), ends[order, layout.FIRST], ends[order, layout.LAST]
        new = np.concatenate((np.ones(1, np.bool_), of[1:] != of[:-1]))
        before = np.concatenate((last[:1], last[:-1]))
        before[new] = self.last.take(of[new])
        known = ~new | self.seen.take(of)
        newest = np.append(np.flatnonzero(new)[1:], len(of)) - 1
        self.last[of[newest]] = last[newest]
        self.seen[of] = True
        self.fine[of[ends[order, layout.FINE] != 0]] = True
        of, first, before = of[known], first[known], before[known]
        codes = (first // _SLOT_NS + _CODE) << UNIT_SHIFT
        return (of << INSTRUMENT_SHIFT) + codes + layout.buckets_of(first - before), np.ones(len(of), np.int64)

    def _bursts(self, ids: Ints, joined: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
        """The cells of what the milliseconds of the ranges have come to, of neighbours the largest."""
        bursts, begins = joined
        local = bursts[:, 0] >> MILLISECOND_SHIFT
        of = ids.take(local + begins)
        if int(ids.max()) >= layout.TRACKED:
            held = of < layout.TRACKED
            bursts, local, of = bursts[held], local[held], of[held]
        keys = bursts[:, 0] + ((of - local) << MILLISECOND_SHIFT)
        totals = self.bursts.count(keys, np.ascontiguousarray(bursts[:, 1]))
        milliseconds = (keys & (1 << MILLISECOND_SHIFT) - 1) - layout.MILLISECOND_OFFSET
        slot = milliseconds // _SLOT_MS
        values = layout.burst_values(totals, milliseconds, slot * UNITS[0])
        cells = (of << INSTRUMENT_SHIFT) + ((slot + _CODE) << UNIT_SHIFT) + layout.BURST
        if len(cells) == 0:
            return cells, values
        first = np.flatnonzero(np.concatenate((np.ones(1, np.bool_), cells[1:] != cells[:-1])))
        return cells[first], np.maximum.reduceat(values, first)

    def _offer(self, ids: Ints, seqs: Ints, candidates: Ints, begins: Ints) -> None:
        of = ids.take((candidates[:, layout.CODE] >> layout.LOCAL_BITS & (1 << layout.LOCAL_BITS) - 1) + begins)
        if int(ids.max()) >= INSTRUMENTS:
            held = of < INSTRUMENTS
            of, seqs, candidates = of[held], seqs[held], candidates[held]
        self.largest.offer(of, seqs, candidates)

    def fold(self) -> None:
        """At a stride: have no more than there is room for."""
        self.take_in()
        self.cells.fold()
        self.bursts.turn()
        self.largest.bound()

    # --- what is saved -----------------------------------------------------------------------------------------------

    def saved(self, count: int) -> dict[str, Any]:
        """A copy of all, of so many instruments: arrays as bytes, and numbers in lists."""
        self.take_in()
        arrays = [self.last[:count], self.seen[:count].astype(np.int64), self.fine[:count].astype(np.int64)]
        arrays += [self.cells.frontier, *self.cells.saved(), *self.bursts.saved(), self.largest.saved().ravel()]
        since = sorted(self.largest.since.items())
        return {
            "sizes": [len(array) for array in arrays],
            "instruments": self.cells.instruments,
            "since": since,
            "arrays": b"".join(array.tobytes() for array in arrays),
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what was saved, when nothing is held."""
        numbers = np.frombuffer(saved["arrays"], np.int64)
        last, seen, fine, frontier, keys, values, *bursts, largest = (
            part.copy() for part in np.split(numbers, np.cumsum(saved["sizes"])[:-1])
        )
        self.last, self.seen, self.fine = last, seen != 0, fine != 0
        self.cells.load(keys, values, frontier, int(saved["instruments"]))
        self.bursts.load(bursts)
        self.largest.load(largest.reshape(-1, 9))
        self.largest.since = dict(saved["since"])


def _joined(arrays: Sequence[Ints], begins: Ints) -> tuple[Ints, Ints]:
    """One array of all, and for each row where the ids of its range begin."""
    return np.concatenate(arrays), begins.repeat(list(map(len, arrays)))
