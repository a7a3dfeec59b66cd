"""Buckets of the gateway's table of keys, in compiled code: where a digest is looked for, and which slots are left.

See gateway.ingestion.tags for what a slot is. Slots of a bucket are compared at once: to go from one to the next until
one is free is a guess that is wrong as often as not.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled.compiler import INTEGER, part
from telemetry.compiled.memory import GROUP, alike, trailing_zeros, within
from telemetry.compiled.signatures import Scalar, TupleOf
from telemetry.frame import Array

BUCKET = GROUP  # slots
PART_BITS, FRACTION_BITS, TURN_BITS = 7, 31, 2  # see gateway.ingestion.tags
HASHING, SPREAD = TupleOf(Scalar("uint64"), 4), TupleOf(INTEGER, 5)
ZERO, ONE = np.uint64(0), np.uint64(1)
EVERY = np.uint64(0xFFFFFFFFFFFFFFFF)
PART, PART_SHIFT = np.uint64(PART_BITS), np.uint64(64 - PART_BITS)
_FRACTION, _FRACTION_SHIFT = np.uint64(FRACTION_BITS), np.uint64(64 - FRACTION_BITS)
_TURN_WIDTH, _TURN_MASK = np.uint64(TURN_BITS), np.uint64((1 << TURN_BITS) - 1)

# Two factors from a digest to its hash; bits of a place, and how many places the ring has.
Hashing = tuple[np.uint64, np.uint64, np.uint64, np.uint64]
# Parts below the first number have so many buckets, the others so many; and are here, the others there.
Spread = tuple[int, int, int, int, int]


@part
def hash_of(low: np.uint64, high: np.uint64, hashing: Hashing) -> np.uint64:
    return low * hashing[0] + high * hashing[1]


@part
def tag_mask(bits: np.uint64) -> np.uint64:
    """What a slot has above the bits of its place and turn."""
    return EVERY << (bits + _TURN_WIDTH)


@part
def turn_of(number: int, places: int, bits: np.uint64) -> np.uint64:
    """How often the ring had come to its end before the entry of this number, as a slot has it."""
    return (np.uint64(number // places) & _TURN_MASK) << bits


@part
def part_of(hashed: np.uint64, spread: Spread) -> tuple[int, int]:
    """Where the part of a digest begins, and its size, in buckets."""
    split, smaller, larger, old, new = spread
    index = int(hashed >> PART_SHIFT)
    waits = (index - split) >> 63  # every bit, or none: no branch, as nobody can guess it
    size = larger + ((smaller - larger) & waits)
    return new + ((old - new) & waits) + index * size, size


@part
def first_bucket(tag: np.uint64, begin: int, size: int) -> int:
    """The bucket where the search for a tag begins."""
    return begin + int(((tag >> _FRACTION_SHIFT) * np.uint64(size)) >> _FRACTION)


@part
def free_slot(table: Array, bucket: int, begin: int, end: int) -> int:
    """The first free slot from this bucket on."""
    free = alike(table, bucket * BUCKET, EVERY, ZERO)
    while free == 0:
        bucket = bucket + 1 if bucket + 1 < end else begin
        free = alike(table, bucket * BUCKET, EVERY, ZERO)
    return bucket * BUCKET + int(trailing_zeros(free))


@part
def oldest_reference(number: int, hashing: Hashing) -> np.uint64:
    """What a slot has below its tag for the oldest entry that is there when the next one has this number; in a slot
    of another that is there it is more, by less than all places."""
    bits, places = hashing[2], int(hashing[3])
    return turn_of(number + 3 * places, places, bits) | np.uint64(number % places + 1)  # of four turns, the one before


@part
def current(table: Array, bucket: int, oldest: np.uint64, bits: np.uint64) -> np.uint64:
    """A bit for each slot whose entry is not written over; free slots have one or not."""
    bits_of: np.uint64 = within(table, bucket * BUCKET, oldest, _TURN_MASK << bits)
    return bits_of
