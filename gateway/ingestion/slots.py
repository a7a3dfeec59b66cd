"""The slots that find entries by their digests, in NumPy; compiled_slots.py has the same in compiled code.

Buckets of slots fill from the left; who finds one full goes on in the next one of the part. Slots are never freed one
by one, but left out when their part is moved (see growth.py) and their entry has been written over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from gateway.ingestion.entries import FOUR, HIGH, LOW, PRINT, SEQ, U64, Entries
from gateway.ingestion.growth import BUCKET, PARTS, Growth
from gateway.ingestion.tags import I64, Mask, Tags, Way, Ways
from telemetry.digests import Keys

FEW = 16  # up to here a plain loop is faster than NumPy


class Claimed(NamedTuple):
    """What became of the keys of a batch. With conflicts nothing was taken up."""

    added: int  # keys taken up
    fresh: Mask | None  # the trades that are no duplicates; None for all
    held_seq: int  # the newest first copy of a duplicate, outside of the batch; 0 for none
    conflicts: list[int]  # rows


class Slots:
    """Slots in NumPy, and one by one for a few."""

    takes_again = False  # slots of entries that were written over

    def __init__(self, entries: Entries, growth: Growth) -> None:
        """For these entries, and in the memory that they have."""
        self.used = 0
        self._taken = 0  # slots that were ever taken
        self._rests = 0  # nothing is due before so many are
        self._entries, self._growth = entries, growth
        growth.takes_again = self.takes_again
        self._tags = Tags(entries.size, growth)
        self._doubt = self._doubted = False  # entries were taken back; before the parts that move now began to
        self._table = entries.flat
        self._lines = entries.flat.reshape(-1, BUCKET)

    def make_room(self, added: int, number: int) -> None:
        """Move the parts that are due before so many entries are taken up, from `number` on."""
        if self._taken + added < self._rests:
            return
        growth, behind = self._growth, number + added  # what they will write over is found no more, see digest_table
        while growth.split or growth.begin(self._taken, self.used + added, min(behind, self._entries.size)):
            if growth.split == PARTS:
                self._doubted, self._doubt = self._doubt, False
            due = growth.due(self._taken + added)
            if growth.split > due:
                self._move(behind, due)
            if growth.split:
                break
        self._rests = growth.next_due(self._taken, self.used)

    def doubt(self) -> None:
        """Entries were taken back: slots that were taken for them may point to others."""
        self._doubt = True

    def find_one(self, low: int, high: int, horizon: int) -> int:
        """The place of this digest, -1 when it is not there or its sequence number is `horizon` or before."""
        return self._find_one(self._tags.way(low, high), low, high, horizon)

    def _find_one(self, way: Way, low: int, high: int, horizon: int) -> int:
        at, words, (bucket, begin, end, tag) = self._entries.view, self._entries.words, way
        shift, mask = self._tags.shift, self._tags.place_mask
        while True:
            for slot in range(bucket * BUCKET, (bucket + 1) * BUCKET):
                if not (value := at[slot]):
                    return -1
                if (value ^ tag) >> shift == 0:
                    place = (value & mask) - 1
                    word = place * words
                    if at[word] == low and at[word + HIGH] == high and at[word + SEQ] > horizon:
                        return place
            bucket = bucket + 1 if bucket + 1 < end else begin

    def find(self, digests: U64, horizon: int) -> I64:
        """As `find_one`, for each of many."""
        return self._find(self._tags.ways(digests), digests, horizon)

    def _find(self, ways: Ways, digests: U64, horizon: int) -> I64:
        found = np.full(len(digests), -1, np.int64)
        rows, shift = np.arange(len(digests)), np.uint64(self._tags.shift)
        while rows.size > FEW:  # a long way for a few
            lines = self._lines.take(ways.bucket, 0)
            row, column = np.nonzero((lines ^ ways.tag[:, None]) >> shift == 0)
            taken = lines[row, column] != 0
            row, column = row[taken], column[taken]
            place = self._tags.place(lines[row, column])
            entry = self._entries.rows.take(place, 0)
            same = (entry[:, :PRINT] == digests[rows[row]]).all(axis=1) & (entry[:, SEQ] > np.uint64(horizon))
            found[rows[row[same]]] = place[same]
            left = (found[rows] < 0) & (lines[:, -1] != 0)
            rows, ways = rows[left], ways.on(left).of(left)
        for one, (low, high) in zip(rows.tolist(), digests[rows].tolist(), strict=True):
            found[one] = self.find_one(low, high, horizon)
        return found

    def put_one(self, low: int, high: int, number: int) -> None:
        """Take up the entry of this number."""
        self._put_one(self._tags.way(low, high), number)

    def _put_one(self, way: Way, number: int) -> None:
        self._take_one(way, way.tag | self._tags.reference(number))
        self._count(1)

    def put(self, number: int, count: int) -> None:
        """Take up so many entries from this number on."""
        numbers = np.arange(number, number + count)
        self._put(self._tags.ways(self._entries.rows.take(numbers % self._entries.size, 0)), numbers)

    def claim(self, keys: Keys, first_seq: int, number: int, horizon: int, only_new: bool) -> Claimed:
        """Take up the keys that are new as entries from `number` on; nothing when there is a conflict, or a duplicate
        and `only_new`. The new trades of the batch, with a key or without, have the sequence numbers from `first_seq`.
        """
        if len(keys.given) <= FEW:
            return self._claim_few(keys, first_seq, number, horizon, only_new)
        rows = np.flatnonzero(keys.given)
        digests, prints = keys.digests[rows], keys.fingerprints[rows]
        ways = self._tags.ways(digests)
        place = self._find(ways, digests, horizon)
        first = _first_rows(digests)
        known = place >= 0
        again = known if first is None else known | (first != np.arange(len(rows)))
        fresh, held = None, 0
        if again.any():
            expected = prints if first is None else prints[first]
            expected = np.where(known, self._entries.rows[place, PRINT], expected)
            fresh = np.ones(len(keys.given), np.bool_)
            fresh[rows[again]] = False
            if only_new or (expected != prints).any():  # they differ only where there is an earlier one
                return Claimed(0, fresh, 0, rows[expected != prints].tolist())
            held = int(self._entries.rows[place[known], SEQ].max(initial=0))
            digests, prints, rows = (column[~again] for column in (digests, prints, rows))
            ways = ways.of(~again)
        block = np.empty((len(rows), FOUR), np.uint64)
        block[:, :PRINT], block[:, PRINT] = digests, prints
        block[:, SEQ] = first_seq + (rows if fresh is None else (np.cumsum(fresh) - 1)[rows])
        self._entries.write(number, block)
        self._put(ways, number + np.arange(len(rows)))
        return Claimed(len(rows), fresh, held, [])

    def _claim_few(self, keys: Keys, first_seq: int, number: int, horizon: int, only_new: bool) -> Claimed:
        new: dict[tuple[int, int], tuple[int, int, Way]] = {}  # digest -> fingerprint, sequence number, way
        fresh: list[bool] = []
        conflicts, held, seq = [], 0, first_seq
        rows = zip(keys.given.tolist(), keys.digests.tolist(), keys.fingerprints.tolist(), strict=True)
        for row, (given, (low, high), fingerprint) in enumerate(rows):
            earlier: Sequence[int] | None = None
            if given:
                way = self._tags.way(low, high)
                place = self._find_one(way, low, high, horizon)
                if place >= 0:
                    earlier = self._entries.entry(place)[PRINT:FOUR]
                    held = max(held, earlier[1])
                elif (low, high) in new:
                    earlier = new[low, high][:2]
                else:
                    new[low, high] = fingerprint, seq, way
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
        for index, ((low, high), (fingerprint, seq, way)) in enumerate(new.items(), number):
            self._entries.write_one(index % self._entries.size, (low, high, fingerprint, seq))
            self._put_one(way, index)
        return Claimed(len(new), mask, held, [])

    def _put(self, ways: Ways, numbers: I64) -> None:
        """As `put`, where that is known."""
        self._take(ways, ways.tag | self._tags.references(numbers))
        self._count(len(numbers))

    def _count(self, added: int) -> None:
        self.used += added
        self._taken += added

    def _take_one(self, way: Way, value: int) -> None:
        """Write into the first free slot."""
        table, bucket = self._entries.view, way.bucket
        while table[(bucket + 1) * BUCKET - 1]:
            bucket = bucket + 1 if bucket + 1 < way.end else way.begin
        slot = bucket * BUCKET
        while table[slot]:
            slot += 1
        table[slot] = value

    def _take(self, ways: Ways, values: U64) -> None:
        """As `_take_one`, for each of many."""
        while values.size > FEW:
            used = np.count_nonzero(self._lines.take(ways.bucket, 0), axis=1)
            slots, full = ways.bucket * BUCKET + np.minimum(used, BUCKET - 1), used == BUCKET
            self._table[slots[~full]] = values[~full]  # of two that want one slot the last stays
            left = np.flatnonzero(full | (self._table.take(slots) != values))
            ways, values = ways.on(full).of(left), values[left]
        for row, value in enumerate(values.tolist()):
            self._take_one(Way(*(int(column[row]) for column in ways)), value)

    def _move(self, number: int, due: int) -> None:
        """Move the last parts that wait until `due` still do, without slots that find nothing any more when the next
        entry has this number."""
        while self._growth.split > due:
            self._move_one(number, self._growth.split - 1)
            self._growth.split -= 1

    def _move_one(self, number: int, index: int) -> None:
        growth = self._growth
        begin, end = growth.old + index * growth.smaller, growth.new + index * growth.larger
        part = self._lines[begin : begin + growth.smaller].reshape(-1)
        values = part[part != 0]
        self.used -= len(values)
        values = values[self._tags.are_current(values, number)]
        if self._doubted:
            values = np.unique(values[self._tags.are_right(values, index, self._entries)])  # one that came again: twice
        self._lines[end : end + growth.larger] = 0
        values.sort()  # those of one bucket are together
        ways = self._tags.moved(values, index)
        slots = np.arange(len(values)) - np.searchsorted(ways.bucket, ways.bucket)
        over = slots >= BUCKET
        self._table[(ways.bucket * BUCKET + slots)[~over]] = values[~over]
        self._take(ways.of(over), values[over])
        self.used += len(values)


MakeSlots = Callable[[Entries, Growth], Slots]


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
