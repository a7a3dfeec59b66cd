"""The slots that find entries by their digests, in NumPy; compiled_slots.py has the same in compiled code.

A slot is 32 bits: the entry's place plus one and, in the bits that are left, a few bits of its digest, so that a search
rarely touches the entries in vain. 0 is a free slot. Linear probing; slots are never freed one by one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gateway.ingestion.entries import FOUR, HIGH, LOW, PRINT, SEQ, U64, Entries
from gateway.ingestion.pages import take_pages
from telemetry.digests import Keys

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Tags = npt.NDArray[np.uint32]

MANY = 1 << 17  # slots whose memory is taken, and which are filled, in a thread
FEW = 16  # up to here a plain loop is faster than NumPy
_MASK64 = (1 << 64) - 1


class Claimed(NamedTuple):
    """What became of the keys of a batch. With conflicts nothing was taken up."""

    added: int  # keys taken up
    fresh: Mask | None  # the trades that are no duplicates; None for all
    held_seq: int  # the newest first copy of a duplicate, outside of the batch; 0 for none
    conflicts: list[int]  # rows


class Slots:
    """Slots in NumPy, and one by one for a few."""

    def __init__(self, count: int, places: int, memory: Tags | None = None) -> None:
        """So many slots, in this memory, which is all 0, or in their own."""
        self.count = count
        self.used = 0
        self._warmed = 0
        self.place_bits = places.bit_length()
        self._shift = 64 - (count.bit_length() - 1)
        self._tag_mask = (1 << (32 - self.place_bits)) - 1
        # Also where the digests' secret is a known one, nobody can choose keys that meet in one slot.
        self._factor = secrets.randbits(64) | 1
        self._table = np.zeros(count, np.uint32) if memory is None else memory
        self._view = self._table.data
        self._taking = take_pages(self._table) if count >= MANY else None

    def take_beside(self, entries: Entries, spans: list[tuple[int, int]]) -> bool:
        """Begin to take up the entries at these places in a thread, which has ended when `warm` says so. False where
        that does not pay: this code would hold the interpreter's lock, and everything else would wait for it."""
        return False

    def wait(self) -> None:
        """Until the entries that were to be taken up in a thread are."""

    def warm(self, slots: int) -> bool:
        """Touch the memory of the next `slots` slots; True when that was the last of it."""
        if self._taking is not None and self._taking.is_alive():
            return False
        self._table[self._warmed : self._warmed + slots] = 0
        self._warmed += slots
        return self._warmed >= self.count

    def find_one(self, low: int, high: int, entries: Entries, horizon: int) -> int:
        """The place of this digest, -1 when it is not there or its sequence number is `horizon` or before."""
        return self._search_one(low, high, self._slot(low), entries, horizon)[0]

    def put_one(self, low: int, high: int, place: int) -> None:
        """Take up the entry at `place`."""
        self._take_one(self._slot(low), (high & self._tag_mask) << self.place_bits | place + 1)
        self.used += 1

    def find(self, digests: U64, entries: Entries, horizon: int) -> I64:
        """As `find_one`, for each of many."""
        return self._search(digests, entries, horizon)[0]

    def put(self, entries: Entries, start: int, stop: int) -> None:
        """Take up the entries at these places."""
        slot, tag = self._hashes(entries.rows[start:stop])
        self._take(slot, tag << np.uint32(self.place_bits) | np.arange(start + 1, stop + 1, dtype=np.uint32))

    def claim(self, keys: Keys, first_seq: int, entries: Entries, number: int, horizon: int, only_new: bool) -> Claimed:
        """Take up the keys that are new as entries from `number` on; nothing when there is a conflict, or a duplicate
        and `only_new`. The new trades of the batch, with a key or without, have the sequence numbers from `first_seq`.
        """
        if len(keys.given) <= FEW:
            return self._claim_few(keys, first_seq, entries, number, horizon, only_new)
        rows = np.flatnonzero(keys.given)
        digests, prints = keys.digests[rows], keys.fingerprints[rows]
        place, slots = self._search(digests, entries, horizon)
        first = _first_rows(digests)
        known = place >= 0
        again = known if first is None else known | (first != np.arange(len(rows)))
        fresh, held = None, 0
        if again.any():
            expected = prints if first is None else prints[first]
            expected = np.where(known, entries.rows[place, PRINT], expected)
            fresh = np.ones(len(keys.given), np.bool_)
            fresh[rows[again]] = False
            if only_new or (expected != prints).any():  # they differ only where there is an earlier one
                return Claimed(0, fresh, 0, rows[expected != prints].tolist())
            held = int(entries.rows[place[known], SEQ].max(initial=0))
            digests, prints, rows, slots = (column[~again] for column in (digests, prints, rows, slots))
        block = np.empty((len(rows), FOUR), np.uint64)
        block[:, :PRINT], block[:, PRINT] = digests, prints
        block[:, SEQ] = first_seq + (rows if fresh is None else (np.cumsum(fresh) - 1)[rows])
        entries.write(number, block)
        tag = (digests[:, HIGH] & np.uint64(self._tag_mask)).astype(np.uint32)
        places = (number + np.arange(len(rows))) % entries.size + 1
        self._take(slots, tag << np.uint32(self.place_bits) | places.astype(np.uint32))
        return Claimed(len(rows), fresh, held, [])

    def _claim_few(
        self, keys: Keys, first_seq: int, entries: Entries, number: int, horizon: int, only_new: bool
    ) -> Claimed:
        new: dict[tuple[int, int], tuple[int, int, int]] = {}  # digest -> fingerprint, sequence number, slot
        fresh: list[bool] = []
        conflicts, held, seq = [], 0, first_seq
        rows = zip(keys.given.tolist(), keys.digests.tolist(), keys.fingerprints.tolist(), strict=True)
        for row, (given, (low, high), fingerprint) in enumerate(rows):
            earlier: Sequence[int] | None = None
            if given:
                place, slot = self._search_one(low, high, self._slot(low), entries, horizon)
                if place >= 0:
                    earlier = entries.entry(place)[PRINT:FOUR]
                    held = max(held, earlier[1])
                elif (earlier := new.get((low, high))) is None:
                    new[low, high] = fingerprint, seq, slot
            if earlier is None:
                seq += 1
            elif earlier[0] != fingerprint:
                conflicts.append(row)
            fresh.append(earlier is None)
        if all(fresh):
            mask = None
        else:
            mask = np.array(fresh)
            if conflicts or only_new:
                return Claimed(0, mask, 0, conflicts)
        for index, ((low, high), (fingerprint, seq, slot)) in enumerate(new.items(), number):
            place = index % entries.size
            entries.write_one(place, (low, high, fingerprint, seq))
            self._take_one(slot, (high & self._tag_mask) << self.place_bits | place + 1)
        self.used += len(new)
        return Claimed(len(new), mask, held, [])

    def _slot(self, low: int) -> int:
        return (low * self._factor & _MASK64) >> self._shift

    def _hashes(self, digests: U64) -> tuple[I64, Tags]:
        """First slot and tag of each digest."""
        slot = (digests[:, LOW] * np.uint64(self._factor)) >> np.uint64(self._shift)
        return slot.view(np.int64), (digests[:, HIGH] & np.uint64(self._tag_mask)).astype(np.uint32)

    def _search_one(self, low: int, high: int, slot: int, entries: Entries, horizon: int) -> tuple[int, int]:
        """(place or -1, the slot where the search ended) of one digest."""
        view, words, at, wrap, bits = self._view, entries.words, entries.view, self.count - 1, self.place_bits
        tag, place_mask = high & self._tag_mask, (1 << bits) - 1
        while value := view[slot]:
            if value >> bits == tag:
                place = (value & place_mask) - 1
                word = place * words
                if at[word] == low and at[word + HIGH] == high and at[word + SEQ] > horizon:
                    return place, slot
            slot = (slot + 1) & wrap
        return -1, slot

    def _search(self, digests: U64, entries: Entries, horizon: int) -> tuple[I64, I64]:
        """As `_search_one`, from the first slot of each."""
        found = np.full(len(digests), -1, np.int64)
        ends, tag = self._hashes(digests)
        slot, row = ends, np.arange(len(digests))
        bits, place_mask, wrap = np.uint32(self.place_bits), np.uint32((1 << self.place_bits) - 1), self.count - 1
        while row.size > FEW:  # a long way for a few
            value = self._table.take(slot)
            taken = np.flatnonzero(value)
            value, slot, row = value[taken], slot[taken], row[taken]
            fits = np.flatnonzero(value >> bits == tag.take(row))
            if fits.size:
                place = (value[fits] & place_mask).astype(np.int64) - 1
                entry = entries.rows.take(place, 0)
                same = (entry[:, :PRINT] == digests[row[fits]]).all(axis=1)
                same &= entry[:, SEQ] > np.uint64(horizon)
                found[row[fits[same]]] = place[same]
                keep = np.ones(len(row), np.bool_)
                keep[fits[same]] = False
                slot, row = slot[keep], row[keep]
            slot = (slot + 1) & wrap
            ends[row] = slot
        for at, begin, (low, high) in zip(row.tolist(), slot.tolist(), digests[row].tolist(), strict=True):
            found[at], ends[at] = self._search_one(low, high, begin, entries, horizon)
        return found, ends

    def _take_one(self, slot: int, value: int) -> None:
        """Write into the first free slot from this one on."""
        view, wrap = self._view, self.count - 1
        while view[slot]:
            slot = (slot + 1) & wrap
        view[slot] = value

    def _take(self, slot: I64, value: Tags) -> None:
        """As `_take_one`, for each of many."""
        self.used += len(value)
        table, wrap = self._table, self.count - 1
        while value.size > FEW:
            free = np.flatnonzero(table.take(slot) == 0)
            table[slot[free]] = value[free]  # of two that want one slot the last stays
            left = np.flatnonzero(table.take(slot) != value)
            slot, value = (slot[left] + 1) & wrap, value[left]
        for at, what in zip(slot.tolist(), value.tolist(), strict=True):
            self._take_one(at, what)


MakeSlots = Callable[[int, int, Tags], Slots]  # from the number of slots, and of places; and memory, all 0


def _first_rows(digests: U64) -> I64 | None:
    """For each digest the first row that has the same one; None when all differ."""
    low = digests[:, LOW]
    ordered = np.sort(low)
    if not (ordered[1:] == ordered[:-1]).any():
        return None
    order = np.lexsort((digests[:, HIGH], low))  # stable: of the same ones the first row comes first
    ranked = digests[order]
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (ranked[1:] != ranked[:-1]).any(axis=1)
    first = np.empty(len(order), np.int64)
    first[order] = order[np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))]
    return first
