"""Digests in flat memory: a ring of entries in commit order, and a table of 32-bit slots that finds them.

Theory of operation. What falls out of the window is simply written over in the ring. A slot holds the entry's place in
the ring and, in the bits that are left, a few bits of its digest, so that a search rarely touches the ring in vain.
Slots are never freed: those of entries that left point to an entry that does not match. When too many slots are in use,
a new table is made beside the old one, which still answers: first its memory is touched piece by piece (the system
takes milliseconds for each piece), then it is filled a few entries at a time, newest first. So there is no pause, and
no tombstone stays.

The ring's memory is reserved for the whole capacity and used only as it fills.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

_FIRST_SLOTS = 1 << 14
_FULL = 0.55  # share of slots in use at which a new table is begun
_CROWDED = 0.75  # never more than this: a search would take too many steps
_FRESH = 0.4  # at most so many are in use when it is finished
_BACKFILL = 8  # old entries that go to the new table with each new one
_BACKFILL_MIN = 2048  # fewer are not worth a call
_WARM_SLOTS = 256  # slots of the new table that are touched with each new entry
_WARM_MIN = 1 << 14
_MASK64 = (1 << 64) - 1


class Slots:
    """Open addressing from digests to places in the ring, linear probing. 0 is a free slot."""

    def __init__(self, count: int, places: int) -> None:
        self.count = count
        self.used = 0
        self._warmed = 0
        self.place_bits = places.bit_length()
        self._shift = 64 - (count.bit_length() - 1)
        self._tag_mask = (1 << (32 - self.place_bits)) - 1
        self._factor = secrets.randbits(64) | 1  # nobody outside can choose keys that meet in one slot
        self._table = np.zeros(count, np.uint32)
        self._view = self._table.data

    def warm(self, slots: int) -> bool:
        """Touch the memory of the next `slots` slots; True when that was the last of it."""
        self._table[self._warmed : self._warmed + slots] = 0
        self._warmed += slots
        return self._warmed >= self.count

    def hashes(self, low: U64, high: U64) -> tuple[I64, npt.NDArray[np.uint32]]:
        """First slot and tag of each digest."""
        slot = (low * np.uint64(self._factor)) >> np.uint64(self._shift)
        return slot.astype(np.int64), (high & np.uint64(self._tag_mask)).astype(np.uint32)

    def put(self, low: U64, high: U64, places: I64) -> None:
        """Take up entries; each gets the first free slot from its own on."""
        slot, tag = self.hashes(low, high)
        value = (tag << np.uint32(self.place_bits)) | (places + 1).astype(np.uint32)
        self.used += len(value)
        table, wrap = self._table, self.count - 1
        while value.size:
            free = np.flatnonzero(table.take(slot) == 0)
            table[slot[free]] = value[free]  # of two that want one slot the last stays
            left = np.flatnonzero(table.take(slot) != value)
            slot, value = (slot[left] + 1) & wrap, value[left]

    def put_one(self, low: int, high: int, place: int) -> None:
        """As `put`, for one entry."""
        view, wrap = self._view, self.count - 1
        slot = (low * self._factor & _MASK64) >> self._shift
        while view[slot]:
            slot = (slot + 1) & wrap
        view[slot] = (high & self._tag_mask) << self.place_bits | place + 1
        self.used += 1

    def candidates(self, low: int, high: int) -> Iterator[int]:
        """Places whose tag fits, in order of their slots."""
        view, wrap, bits = self._view, self.count - 1, self.place_bits
        tag, place_mask = high & self._tag_mask, (1 << self.place_bits) - 1
        slot = (low * self._factor & _MASK64) >> self._shift
        while value := view[slot]:
            if value >> bits == tag:
                yield (value & place_mask) - 1
            slot = (slot + 1) & wrap

    def find(self, low: U64, high: U64, ring: Ring, horizon: int) -> I64:
        """The place of each digest that is in the window, -1 for the others."""
        found = np.full(len(low), -1, np.int64)
        slot, tag = self.hashes(low, high)
        row = np.arange(len(low))
        bits, place_mask, wrap = np.uint32(self.place_bits), np.uint32((1 << self.place_bits) - 1), self.count - 1
        while row.size:
            value = self._table.take(slot)
            taken = np.flatnonzero(value)
            value, slot, row = value[taken], slot[taken], row[taken]
            fits = np.flatnonzero(value >> bits == tag[row])
            if fits.size:
                place = (value[fits] & place_mask).astype(np.int64) - 1
                rows = row[fits]
                same = ring.low[place] == low[rows]
                same &= ring.high[place] == high[rows]
                same &= ring.seq[place] > horizon
                found[rows[same]] = place[same]
                keep = np.ones(len(row), np.bool_)
                keep[fits[same]] = False
                slot, row = slot[keep], row[keep]
            slot = (slot + 1) & wrap
        return found


class Ring:
    """The entries in commit order, and the slots that find them. `written` counts all that ever went in."""

    def __init__(self, capacity: int, columns: Sequence[tuple[str, Any]]) -> None:
        if not 1 <= capacity < 1 << 31:
            raise ValueError(f"expected a capacity from 1 to {(1 << 31) - 1}, received {capacity}")
        self.capacity = capacity
        self.newest_seq = 0
        self.written = 0
        self.low, self.high = np.zeros(capacity, np.uint64), np.zeros(capacity, np.uint64)
        self.seq = np.zeros(capacity, np.int64)
        self.columns = {name: np.zeros(capacity, kind) for name, kind in columns}
        self._all = [self.low, self.high, self.seq, *self.columns.values()]
        self._views = [column.data for column in self._all]
        self._slots = Slots(_FIRST_SLOTS, capacity)
        self._cold: Slots | None = None  # the next table while it is touched for the first time
        self._next: Slots | None = None
        self._backfill = 0  # the next table holds every entry from this number on
        self._owed = 0

    @property
    def horizon(self) -> int:
        """Entries with a sequence number up to this one are absent."""
        return self.newest_seq - self.capacity

    @property
    def memory_bytes(self) -> int:
        """Bytes in use: the filled part of the ring and the slots."""
        slots = sum(table.count for table in (self._slots, self._cold, self._next) if table)
        entry = sum(column.itemsize for column in self._all)
        return min(self.written, self.capacity) * entry + 4 * slots

    def find(self, digests: U64) -> I64:
        return self._slots.find(digests[:, 0].copy(), digests[:, 1].copy(), self, self.horizon)

    def find_one(self, low: int, high: int) -> int:
        lows, highs, seqs = self._views[:3]
        horizon = self.newest_seq - self.capacity
        for place in self._slots.candidates(low, high):
            if lows[place] == low and highs[place] == high and seqs[place] > horizon:
                return int(place)
        return -1

    def value(self, column: int, place: int) -> int:
        """Column `column` (0 digest low, 1 digest high, 2 sequence number, 3... as given) of one entry."""
        return int(self._views[column][place])

    def insert(self, low: U64, high: U64, seq: I64, *values: npt.NDArray[Any]) -> None:
        start = max(len(low) - self.capacity, 0)  # of more than fit only the last ones
        given = [column[start:] for column in (low, high, seq, *values)]
        if not len(given[0]):
            return
        self._make_room(len(given[0]))
        places = (self.written + np.arange(len(given[0]))) % self.capacity
        for column, value in zip(self._all, given, strict=True):
            column[places] = value
        self._slots.put(given[0], given[1], places)
        if self._next is not None:
            self._next.put(given[0], given[1], places)
        self.written += len(places)
        self.newest_seq = max(self.newest_seq, int(given[2][-1]))
        self._tend(len(places))

    def insert_one(self, low: int, high: int, seq: int, *values: int) -> None:
        if self._slots.used + 1 > _CROWDED * self._slots.count:
            self._make_room(1)
        place = self.written % self.capacity
        for view, value in zip(self._views, (low, high, seq, *values), strict=True):
            view[place] = value
        self._slots.put_one(low, high, place)
        if self._next is not None:
            self._next.put_one(low, high, place)
        self.written += 1
        if seq > self.newest_seq:
            self.newest_seq = seq
        self._tend(1)

    def _tend(self, added: int) -> None:
        """Begin, continue or finish the next table."""
        self._owed += added
        if self._next is not None:
            if self._owed * _BACKFILL >= _BACKFILL_MIN:
                self._fill(self._next)
        elif self._cold is not None:
            if self._owed * _WARM_SLOTS >= _WARM_MIN:
                self._warm(self._cold)
        elif self._slots.used > _FULL * self._slots.count:
            live = min(self.written, self.capacity)
            self._cold, self._owed = self._table_for(live + live // _BACKFILL), 0

    def _table_for(self, entries: int) -> Slots:
        count = _FIRST_SLOTS
        while entries > _FRESH * count:
            count *= 2
        return Slots(count, self.capacity)

    def _make_room(self, added: int) -> None:
        """Before so many entries that the step by step way would come too late (large ones into a small table)."""
        tables = [table for table in (self._slots, self._next) if table is not None]
        if all(table.used + added <= _CROWDED * table.count for table in tables):
            return
        live = min(self.written, self.capacity)
        slots = self._table_for(live + added)
        places = np.arange(self.written - live, self.written) % self.capacity
        slots.put(self.low[places], self.high[places], places)
        self._slots, self._cold, self._next = slots, None, None

    def _warm(self, slots: Slots) -> None:
        if slots.warm(self._owed * _WARM_SLOTS):
            self._cold, self._next, self._backfill = None, slots, self.written
        self._owed = 0

    def _fill(self, slots: Slots) -> None:
        oldest = max(self.written - self.capacity, 0)
        start = max(self._backfill - self._owed * _BACKFILL, oldest)
        if start < self._backfill:
            places = np.arange(start, self._backfill) % self.capacity
            slots.put(self.low[places], self.high[places], places)
        self._backfill, self._owed = start, 0
        if start <= oldest:
            self._slots, self._next = slots, None
