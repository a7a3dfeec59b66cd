"""Rates and patterns of all instruments: gaps between trades, bursts, the largest trades. See telemetry.patterns.

What depends on order relies on the aggregator's: partials come in the order of the journal, so the gap between the last
trade of an instrument before a range and its first one inside is known here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
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

    def merge(self, ids: Ints, first_seq: int, of: layout.Patterns) -> None:
        """Take in the patterns of a range that begins with trade `first_seq`; `ids` are those of its instruments."""
        self._follow(int(ids.max()) + 1)
        parts = [self._inside(ids, of.gaps), self._between(ids, of.ends), self._bursts(ids, of.bursts)]
        keys, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        if int(ids.max()) >= self.cells.instruments:
            kept = keys >> INSTRUMENT_SHIFT < self.cells.instruments
            keys, values = keys[kept], values[kept]
        if len(keys):
            earliest = int((keys >> UNIT_SHIFT & layout.UNIT_MASK).min()) - _CODE
            self.cells.add(keys, values, earliest * UNITS[0])
        self._offer(ids, first_seq, of.candidates)

    def _follow(self, count: int) -> None:
        known = len(self.last)
        if count > known:
            room = max(count, 2 * known)
            last, seen, fine = np.zeros(room, np.int64), np.zeros(room, np.bool_), np.zeros(room, np.bool_)
            last[:known], seen[:known], fine[:known] = self.last, self.seen, self.fine
            self.last, self.seen, self.fine = last, seen, fine

    def _inside(self, ids: Ints, gaps: Ints) -> tuple[Ints, Ints]:
        """The cells of gaps inside the range."""
        local = gaps[:, 0] >> INSTRUMENT_SHIFT
        return gaps[:, 0] + ((ids.take(local) - local) << INSTRUMENT_SHIFT), gaps[:, 1]

    def _between(self, ids: Ints, ends: Ints) -> tuple[Ints, Ints]:
        """The cells of the gaps between what came before and the first trades of the range."""
        of = ids.take(ends[:, layout.LOCAL])
        first, known = ends[:, layout.FIRST], self.seen.take(of)
        gap = first - self.last.take(of)
        self.last[of] = ends[:, layout.LAST]
        self.seen[of] = True
        self.fine[of] |= ends[:, layout.FINE] != 0
        if not known.all():
            of, first, gap = of[known], first[known], gap[known]
        codes = (first // _SLOT_NS + _CODE) << UNIT_SHIFT
        return (of << INSTRUMENT_SHIFT) + codes + layout.buckets_of(gap), np.ones(len(of), np.int64)

    def _bursts(self, ids: Ints, bursts: Ints) -> tuple[Ints, Ints]:
        """The cells of what the milliseconds of the range have come to."""
        local = bursts[:, 0] >> MILLISECOND_SHIFT
        of = ids.take(local)
        if int(ids.max()) >= layout.TRACKED:
            held = of < layout.TRACKED
            bursts, local, of = bursts[held], local[held], of[held]
        keys = bursts[:, 0] + ((of - local) << MILLISECOND_SHIFT)
        totals = self.bursts.count(keys, np.ascontiguousarray(bursts[:, 1]))
        milliseconds = (keys & (1 << MILLISECOND_SHIFT) - 1) - layout.MILLISECOND_OFFSET
        slot = milliseconds // _SLOT_MS
        values = layout.burst_values(totals, milliseconds, slot * UNITS[0])
        return (of << INSTRUMENT_SHIFT) + ((slot + _CODE) << UNIT_SHIFT) + layout.BURST, values

    def _offer(self, ids: Ints, first_seq: int, candidates: Ints) -> None:
        of = ids.take(candidates[:, layout.CODE] >> layout.LOCAL_BITS & (1 << layout.LOCAL_BITS) - 1)
        if int(ids.max()) >= INSTRUMENTS:
            held = of < INSTRUMENTS
            of, candidates = of[held], candidates[held]
        self.largest.offer(of, first_seq, candidates)

    def fold(self) -> None:
        """At a stride: have no more than there is room for."""
        self.cells.fold()
        self.bursts.turn()
        self.largest.bound()

    # --- what is saved -----------------------------------------------------------------------------------------------

    def saved(self, count: int) -> dict[str, Any]:
        """A copy of all, of so many instruments: arrays as bytes, and numbers in lists."""
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
