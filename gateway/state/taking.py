"""How the patterns of ranges get into the state, many ranges at once: in NumPy, or in one pass of compiled code.

What depends on order relies on the aggregator's: ranges come in the order of the journal, so the gap between the last
trade of an instrument before a range and its first one inside is known here, and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module
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
    ends, gaps, bursts, candidates = zip(*(one.of.arrays() for one in waiting), strict=True)
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
        self._kept: dict[str, Ints] = {}  # memory that is used again: new pages cost more than what is written there

    def __call__(self, held: Held, waiting: Sequence[Waiting]) -> None:
        """See Take."""
        cells, bursts, largest = held.cells.fine, held.bursts, held.largest
        if not (
            isinstance(cells, CompiledTally)
            and isinstance(bursts, CompiledBursts)
            and isinstance(largest, CompiledLargest)
        ):
            raise TypeError("expected a state made of what is compiled, received another one")
        ids = np.concatenate([one.ids for one in waiting])
        most = int(ids.max()) + 1
        held.follow(most)
        ranges = self._ranges(waiting)
        ends, gaps, milliseconds, candidates = ranges[:, self._kernels.ENDS :].sum(axis=0).tolist()
        block = self._joined([array.reshape(-1) for one in waiting for array in one.of.arrays()])
        tables = cells.room_for(ends + gaps + milliseconds), *bursts.room_for(milliseconds, min(most, layout.TRACKED))
        late = self._memory("late", (ends + gaps + milliseconds, 2))
        owners, entries = self._memory("owners", (candidates,)), self._memory("entries", (candidates, ENTRY_WIDTH))
        results = np.zeros(self._kernels.RESULTS, np.int64)
        whose = held.last, held.seen.view(np.uint8), held.fine.view(np.uint8)
        kept = largest.places_for(min(most, INSTRUMENTS)), owners, entries, late, results
        frontier = int(held.cells.frontier[0]) // UNITS[0] + _CODE
        self._kernels.take(block, ranges, ids, *whose, *tables, *kept, frontier, held.cells.instruments, INSTRUMENTS)
        new_cells, late_count, entry_count = results.tolist()
        cells.grew(new_cells)
        largest.put(owners[:entry_count], entries[:entry_count])
        if late_count:
            keys, values = late[:late_count].T.copy()
            held.cells.add(keys, values, int((keys >> UNIT_SHIFT & layout.UNIT_MASK).min() - _CODE) * UNITS[0])

    def _joined(self, arrays: list[Ints]) -> Ints:
        return np.concatenate(arrays, out=self._memory("block", (sum(map(len, arrays)),)))

    def _memory(self, name: str, shape: tuple[int, ...]) -> Ints:
        size = math.prod(shape)
        kept = self._kept.get(name)
        if kept is None or len(kept) < size:
            kept = self._kept[name] = np.empty(2 * size, np.int64)
        return kept[:size].reshape(shape)

    def _ranges(self, waiting: Sequence[Waiting]) -> Ints:
        """The rows that tell the kernel of the ranges."""
        rows = []
        begin = at = 0
        for ids, first_seq, of in waiting:
            rows.append((begin, at, first_seq, *map(len, of.arrays())))
            begin += len(ids)
            at += sum(array.size for array in of.arrays())
        return np.array(rows, np.int64).reshape(len(rows), self._kernels.RANGE_WIDTH)
