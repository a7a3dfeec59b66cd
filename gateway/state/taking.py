"""How the patterns of ranges get into the state, many ranges at once: in NumPy, or in one pass of compiled code.

What depends on order relies on the aggregator's: ranges come in the order of the journal, so the gap between the last
trade of an instrument before a range and its first one inside is known here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from operator import mul
from typing import Any, NamedTuple, Protocol

import numpy as np

from gateway.state.bursts import CompiledBursts
from gateway.state.held import Held
from gateway.state.largest import ENTRY_WIDTH, INSTRUMENTS, CompiledLargest
from gateway.state.tally import CompiledTally
from telemetry import patterns as layout
from telemetry.patterns import INSTRUMENT_SHIFT, MILLISECOND_SHIFT, UNIT_SHIFT, UNITS, Ints

_SLOT_NS = UNITS[0] * 1_000_000_000
_SLOT_MS = UNITS[0] * 1000
_CODE = layout.LEVEL_OFFSETS[0]
_LARGE = 1024  # rows: from so many on a range is taken in where it is
_greatest = np.maximum.reduce  # of few numbers half the price of .max()


class Waiting(NamedTuple):
    """The patterns of a range that begins with trade `first_seq`; `ids` are those of its instruments."""

    ids: Ints
    first_seq: int
    of: layout.Patterns


class Take(Protocol):
    """Takes ranges, at least one, into the state."""

    def __call__(self, held: Held, waiting: Sequence[Waiting]) -> None: ...


def plainly(held: Held, waiting: Sequence[Waiting]) -> None:
    """The reference of Take."""
    ids = np.concatenate([one.ids for one in waiting])
    begins = np.cumsum([0, *(len(one.ids) for one in waiting[:-1])])
    held.follow(int(ids.max()) + 1)
    ends, gaps, _, candidates, _ = zip(*(one.of.arrays() for one in waiting), strict=True)
    bursts = [one.of.bursts() for one in waiting]
    parts = [
        _inside(ids, _joined(gaps, begins)),
        _between(held, ids, _joined(ends, begins)),
        _bursts(held, ids, _joined(bursts, begins)),
    ]
    keys, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    if int(ids.max()) >= held.cells.instruments:
        kept = keys >> INSTRUMENT_SHIFT < held.cells.instruments
        keys, values = keys[kept], values[kept]
    if len(keys):
        earliest = int((keys >> UNIT_SHIFT & layout.UNIT_MASK).min()) - _CODE
        held.cells.add(keys, values, earliest * UNITS[0])
    seqs = np.repeat([one.first_seq for one in waiting], list(map(len, candidates)))
    _offer(held, ids, seqs, *_joined(candidates, begins))


def _inside(ids: Ints, joined: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    """The cells of gaps inside the ranges."""
    gaps, begins = joined
    local = gaps[:, 0] >> INSTRUMENT_SHIFT
    return gaps[:, 0] + ((ids.take(local + begins) - local) << INSTRUMENT_SHIFT), gaps[:, 1]


def _between(held: Held, ids: Ints, joined: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    """The cells of the gaps between what came before and the first trades of each range."""
    ends, begins = joined
    of = ids.take(ends[:, layout.LOCAL] + begins)
    order = of.argsort(kind="stable")  # the ranges of an instrument together, in order
    of, first, last = of.take(order), ends[order, layout.FIRST], ends[order, layout.LAST]
    new = np.concatenate((np.ones(1, np.bool_), of[1:] != of[:-1]))
    before = np.concatenate((last[:1], last[:-1]))
    before[new] = held.last.take(of[new])
    known = ~new | held.seen.take(of)
    newest = np.append(np.flatnonzero(new)[1:], len(of)) - 1
    held.last[of[newest]] = last[newest]
    held.seen[of] = True
    held.fine[of[ends[order, layout.FINE] != 0]] = True
    of, first, before = of[known], first[known], before[known]
    codes = (first // _SLOT_NS + _CODE) << UNIT_SHIFT
    return (of << INSTRUMENT_SHIFT) + codes + layout.buckets_of(first - before), np.ones(len(of), np.int64)


def _bursts(held: Held, ids: Ints, joined: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    """The cells of what the milliseconds of the ranges have come to, of neighbours the largest."""
    bursts, begins = joined
    local = bursts[:, 0] >> MILLISECOND_SHIFT
    of = ids.take(local + begins)
    if int(ids.max()) >= layout.TRACKED:
        tracked = of < layout.TRACKED
        bursts, local, of = bursts[tracked], local[tracked], of[tracked]
    keys = bursts[:, 0] + ((of - local) << MILLISECOND_SHIFT)
    totals = held.bursts.count(keys, np.ascontiguousarray(bursts[:, 1]))
    milliseconds = (keys & (1 << MILLISECOND_SHIFT) - 1) - layout.MILLISECOND_OFFSET
    slot = milliseconds // _SLOT_MS
    values = layout.burst_values(totals, milliseconds, slot * UNITS[0])
    cells = (of << INSTRUMENT_SHIFT) + ((slot + _CODE) << UNIT_SHIFT) + layout.BURST
    if len(cells) == 0:
        return cells, values
    first = np.flatnonzero(np.concatenate((np.ones(1, np.bool_), cells[1:] != cells[:-1])))
    return cells[first], np.maximum.reduceat(values, first)


def _offer(held: Held, ids: Ints, seqs: Ints, candidates: Ints, begins: Ints) -> None:
    of = ids.take((candidates[:, layout.CODE] >> layout.LOCAL_BITS & (1 << layout.LOCAL_BITS) - 1) + begins)
    if int(ids.max()) >= INSTRUMENTS:
        kept = of < INSTRUMENTS
        of, seqs, candidates = of[kept], seqs[kept], candidates[kept]
    held.largest.offer(of, seqs, candidates)


def _joined(arrays: Sequence[Ints], begins: Ints) -> tuple[Ints, Ints]:
    """One array of all, and for each row where the ids of its range begin."""
    return np.concatenate(arrays), begins.repeat(list(map(len, arrays)))


class CompiledTake:
    """The quickest, for a state made of what is compiled. Raises ImportError where nothing can be."""

    def __init__(self) -> None:
        self._kernels: Any = import_module("telemetry.compiled.patterns")
        # Memory that is used again: new pages cost more than what is written there.
        self._block = np.empty(0, np.int64)
        self._late = np.empty((0, 2), np.int64)
        self._entries, self._owners = np.empty((0, ENTRY_WIDTH), np.int64), np.empty(0, np.int64)
        self._results = np.zeros(self._kernels.RESULTS, np.int64)

    def __call__(self, held: Held, waiting: Sequence[Waiting]) -> None:
        """See Take."""
        cells, bursts, largest = held.cells.fine, held.bursts, held.largest
        if not (
            isinstance(cells, CompiledTally)
            and isinstance(bursts, CompiledBursts)
            and isinstance(largest, CompiledLargest)
        ):
            raise TypeError("expected a state made of what is compiled, received another one")
        most = max(int(_greatest(one.ids)) for one in waiting) + 1
        held.follow(most)
        rows = [_rows(one) for one in waiting]
        ends, gaps, _, candidates, _, milliseconds = map(sum, zip(*rows, strict=True))
        keys = ends + gaps + milliseconds
        self._have_room(keys, candidates)
        whose = held.last, held.seen.view(np.uint8), held.fine.view(np.uint8)
        counts = bursts.room_for(milliseconds, min(most, layout.TRACKED))
        kept = largest.places_for(min(most, INSTRUMENTS)), self._owners, self._entries, self._late, self._results
        bounds = int(held.cells.frontier[0]) // UNITS[0] + _CODE, held.cells.instruments, INSTRUMENTS
        self._results.fill(0)
        new = late = entries = 0
        for block, ranges, ids in self._blocks(waiting, is_joined=keys < len(waiting) * _LARGE):
            table = cells.room_for(more := self._most_new(ranges))
            self._results[self._kernels.ROOM] = new + more
            self._kernels.take(block, block.view(np.uint32), ranges, ids, *whose, table, *counts, *kept, *bounds)
            before, (new, late, entries, _) = new, self._results.tolist()
            cells.grew(new - before)
        if entries:
            largest.put(self._owners[:entries], self._entries[:entries])
        if late:
            codes, values = self._late[:late].T.copy()
            held.cells.add(codes, values, int((codes >> UNIT_SHIFT & layout.UNIT_MASK).min() - _CODE) * UNITS[0])

    def _most_new(self, ranges: Ints) -> int:
        """More cells than ranges can bring: where an instrument has a burst, it has the first trade or a gap."""
        _, _, _, ends, gaps, _, _, _, milliseconds = ranges.sum(axis=0).tolist()
        return int(ends + gaps + min(ends + gaps, milliseconds) + 1)

    def _have_room(self, late: int, entries: int) -> None:
        if len(self._late) < late:
            self._late = np.empty((2 * late, 2), np.int64)
        if len(self._owners) < entries:
            self._owners = np.empty(2 * entries, np.int64)
            self._entries = np.empty((2 * entries, ENTRY_WIDTH), np.int64)

    def _blocks(self, waiting: Sequence[Waiting], *, is_joined: bool) -> Iterable[tuple[Ints, Ints, Ints]]:
        return [self._joined(waiting)] if is_joined else map(self._alone, waiting)

    def _joined(self, waiting: Sequence[Waiting]) -> tuple[Ints, Ints, Ints]:
        """For the kernel: the numbers of all ranges one behind the other, what it must know of each, and their ids."""
        arrays = [array.reshape(-1) for one in waiting for array in one.of.arrays()]
        if len(self._block) < (size := sum(map(len, arrays))):
            self._block = np.empty(2 * size, np.int64)
        rows, begin, at = list[tuple[int, ...]](), 0, 0
        for one in waiting:
            counts = _rows(one)
            rows.append((begin, at, one.first_seq, *counts))
            begin += len(one.ids)
            at += sum(map(mul, counts, layout.WIDTHS))
        ids = np.concatenate([one.ids for one in waiting])
        return np.concatenate(arrays, out=self._block[:size]), np.array(rows, np.int64), ids

    def _alone(self, one: Waiting) -> tuple[Ints, Ints, Ints]:
        """As `_joined`, of one range, where it is."""
        block = one.of.block
        if block is None or not block.flags.aligned:
            return self._joined([one])
        return block, np.array([(0, 0, one.first_seq, *_rows(one))], np.int64), one.ids


def _rows(one: Waiting) -> list[int]:
    """How many rows each array of a range has, and how many words its runs."""
    return [*map(len, one.of.arrays()), one.of.milliseconds]
