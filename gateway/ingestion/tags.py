"""What is in a slot, and where a digest is looked for, in NumPy and in plain Python.

A slot is 64 bits: the entry's place plus one, two bits of how often the ring had come to its end, and the bits of the
digest's hash behind those that say which part it is in: its tag. 0 is a free slot. The first bits of a tag say where in
its part it is, of however many buckets, so a part is given more of them without a look at the entries.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gateway.ingestion.entries import HIGH, LOW, SEQ, U64, Entries
from gateway.ingestion.growth import PARTS, Growth

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

PART_BITS, FRACTION_BITS, TURN_BITS = PARTS.bit_length() - 1, 31, 2
_PART_SHIFT, _FRACTION_SHIFT, _TURNS, _MASK64 = 64 - PART_BITS, 64 - FRACTION_BITS, (1 << TURN_BITS) - 1, (1 << 64) - 1


class Way(NamedTuple):
    """Where a digest is looked for: from this bucket on to the end of its part, then from the part's begin; and its
    tag."""

    bucket: int
    begin: int
    end: int
    tag: int


class Ways(NamedTuple):
    """As Way, of each of many."""

    bucket: I64
    begin: I64
    end: I64
    tag: U64

    def of(self, rows: I64 | Mask) -> Ways:
        """Those of these rows."""
        return Ways(self.bucket[rows], self.begin[rows], self.end[rows], self.tag[rows])

    def on(self, rows: Mask) -> Ways:
        """Those of these rows one bucket further, the others as they are."""
        following = np.where(self.bucket + 1 < self.end, self.bucket + 1, self.begin)
        return self._replace(bucket=np.where(rows, following, self.bucket))


class Tags:
    """Slots of one ring."""

    def __init__(self, places: int, growth: Growth) -> None:
        self._places, self._growth = places, growth
        self.place_bits = places.bit_length()
        self.place_mask = (1 << self.place_bits) - 1
        self.shift = self.place_bits + TURN_BITS
        self._mask = _MASK64 << self.shift & _MASK64
        # Also where the digests' secret is a known one, nobody can choose keys that meet in one bucket.
        self.factors = secrets.randbits(64) | 1, secrets.randbits(64) | 1

    def way(self, low: int, high: int) -> Way:
        """That of one digest."""
        hashed = low * self.factors[LOW] + high * self.factors[HIGH] & _MASK64
        index, rest = hashed >> _PART_SHIFT, hashed << PART_BITS & _MASK64
        split, smaller, larger, old, new = self._growth.spread
        size, base = (smaller, old) if index < split else (larger, new)
        begin = base + index * size
        bucket = (rest >> _FRACTION_SHIFT) * size >> FRACTION_BITS
        return Way(begin + bucket, begin, begin + size, rest & self._mask)

    def ways(self, digests: U64) -> Ways:
        """Those of many."""
        hashed = self._hashed(digests)
        index = (hashed >> np.uint64(_PART_SHIFT)).view(np.int64)
        split, smaller, larger, old, new = self._growth.spread
        size = np.where(index < split, smaller, larger)
        return self._in_parts(np.where(index < split, old, new) + index * size, size, hashed << np.uint64(PART_BITS))

    def moved(self, values: U64, index: int) -> Ways:
        """Those of the slots of a part when it has moved."""
        size, begin = np.full(len(values), self._growth.larger), self._growth.new + index * self._growth.larger
        return self._in_parts(begin, size, values)

    def _in_parts(self, begin: I64 | int, size: I64, rest: U64) -> Ways:
        bucket = (rest >> np.uint64(_FRACTION_SHIFT)).view(np.int64) * size >> FRACTION_BITS
        return Ways(begin + bucket, begin + 0 * size, begin + size, rest & np.uint64(self._mask))

    def reference(self, number: int) -> int:
        """What a slot has below its tag for the entry of this number."""
        return (number // self._places & _TURNS) << self.place_bits | number % self._places + 1

    def references(self, numbers: I64) -> U64:
        """Those of many."""
        turns = (numbers // self._places & _TURNS) << self.place_bits
        return (turns | numbers % self._places + 1).view(np.uint64)

    def place(self, values: U64) -> I64:
        """Of their entries."""
        return (values & np.uint64(self.place_mask)).view(np.int64) - 1

    def are_current(self, values: U64, number: int) -> Mask:
        """Which slots are of entries that are not written over when the next one has this number."""
        here, now = number % self._places, number // self._places
        turn = (values >> np.uint64(self.place_bits)).view(np.int64) & _TURNS
        current: Mask = turn == np.where(self.place(values) < here, now, now - 1) & _TURNS
        return current

    def are_right(self, values: U64, index: int, entries: Entries) -> Mask:
        """Which slots of a part have the tag of the entry that they point to, and it was not taken back."""
        own = entries.rows.take(self.place(values), 0)
        hashed = self._hashed(own)
        right: Mask = (hashed << np.uint64(PART_BITS) ^ values) & np.uint64(self._mask) == 0
        right &= (hashed >> np.uint64(_PART_SHIFT) == np.uint64(index)) & (own[:, SEQ] != 0)
        return right

    def _hashed(self, digests: U64) -> U64:
        return digests[:, LOW] * np.uint64(self.factors[LOW]) + digests[:, HIGH] * np.uint64(self.factors[HIGH])
