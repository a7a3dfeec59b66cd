"""The gateway's table of keys in compiled code: see gateway.ingestion.slots for what slots and entries are.

What takes time is waiting for the memory of a bucket. The processor is told of the buckets of the next keys, so that
they are there when it comes to them; reading them ahead (64 at a time) had it wait for the reading itself. The slots
of a bucket are compared at once: to go from one to the next until one is free is a guess that is wrong as often as not.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled.compiler import BYTES, INTEGER, INTEGERS, READ_ONLY, TEXT, UNSIGNED, entry, part
from telemetry.compiled.memory import GROUP, alike, behind, expect, pointer, trailing_zeros
from telemetry.compiled.signatures import Scalar, TupleOf
from telemetry.frame import Array

DUPLICATE, FRESH, CONFLICT = range(3)  # the verdict on a trade
# Notes of a claim: the newest first copy of a duplicate, how many duplicates and conflicts; then come the slots that
# were taken.
HELD, DUPLICATES, CONFLICTS, NOTES = range(4)
BUCKET = GROUP  # slots
PART_BITS, FRACTION_BITS, TURN_BITS = 7, 31, 2  # see gateway.ingestion.slots
_WORDS, _PRINT, _SEQ = 4, 2, 3  # a trade's key: digest low and high, fingerprint, sequence number
_AHEAD = 64  # keys; from 32 to 96 it is the same
_HASHING, _SPREAD = TupleOf(Scalar("uint64"), 4), TupleOf(INTEGER, 5)
_ZERO, _ONE = np.uint64(0), np.uint64(1)
_EVERY = np.uint64(0xFFFFFFFFFFFFFFFF)
_PART, _PART_SHIFT = np.uint64(PART_BITS), np.uint64(64 - PART_BITS)
_FRACTION, _FRACTION_SHIFT = np.uint64(FRACTION_BITS), np.uint64(64 - FRACTION_BITS)
_TURN_WIDTH, _TURN_MASK = np.uint64(TURN_BITS), np.uint64((1 << TURN_BITS) - 1)

# Two factors from a digest to its hash; bits of a place, and how many places the ring has.
Hashing = tuple[np.uint64, np.uint64, np.uint64, np.uint64]
# Parts below the first number have so many buckets, the others so many; and are here, the others there.
Spread = tuple[int, int, int, int, int]


@part
def _hash(low: np.uint64, high: np.uint64, hashing: Hashing) -> np.uint64:
    return low * hashing[0] + high * hashing[1]


@part
def _tag_mask(bits: np.uint64) -> np.uint64:
    """What a slot has above the bits of its place and turn."""
    return _EVERY << (bits + _TURN_WIDTH)


@part
def _turn(number: int, places: int, bits: np.uint64) -> np.uint64:
    """How often the ring had come to its end before the entry of this number, as a slot has it."""
    return (np.uint64(number // places) & _TURN_MASK) << bits


@part
def _part_of(hashed: np.uint64, spread: Spread) -> tuple[int, int]:
    """Where the part of a digest begins, and its size, in buckets."""
    split, smaller, larger, old, new = spread
    index = int(hashed >> _PART_SHIFT)
    waits = (index - split) >> 63  # every bit, or none: no branch, as nobody can guess it
    size = larger + ((smaller - larger) & waits)
    return new + ((old - new) & waits) + index * size, size


@part
def _first(tag: np.uint64, begin: int, size: int) -> int:
    """The bucket where the search for a tag begins."""
    return begin + int(((tag >> _FRACTION_SHIFT) * np.uint64(size)) >> _FRACTION)


@part
def _free(table: Array, bucket: int, begin: int, end: int) -> int:
    """The first free slot from this bucket on."""
    free = alike(table, bucket * BUCKET, _EVERY, _ZERO)
    while free == 0:
        bucket = bucket + 1 if bucket + 1 < end else begin
        free = alike(table, bucket * BUCKET, _EVERY, _ZERO)
    return bucket * BUCKET + int(trailing_zeros(free))


@part
def _find(
    ring: Array,
    tag: np.uint64,
    part_of: tuple[int, int],
    bits: np.uint64,
    horizon: np.uint64,
    low: np.uint64,
    high: np.uint64,
) -> tuple[int, int]:
    """The slot of this digest and the first word of its entry; else a free slot and -1."""
    begin, size = part_of
    bucket, mask, places = _first(tag, begin, size), _tag_mask(bits), (_ONE << bits) - _ONE
    while True:
        free = alike(ring, bucket * BUCKET, _EVERY, _ZERO)
        fits = alike(ring, bucket * BUCKET, mask, tag) & ~free
        while fits:
            slot = bucket * BUCKET + int(trailing_zeros(fits))
            word = int((ring[slot] & places) - _ONE) * _WORDS
            if ring[word] == low and ring[word + 1] == high and ring[word + _SEQ] > horizon:
                return slot, word
            fits &= fits - _ONE
        if free:
            return bucket * BUCKET + int(trailing_zeros(free)), -1
        bucket = bucket + 1 if bucket + 1 < begin + size else begin


@part
def _look(
    ring: Array, low: np.uint64, high: np.uint64, hashing: Hashing, spread: Spread, horizon: np.uint64
) -> tuple[int, int, np.uint64]:
    """As `_find`, for a digest; and its tag."""
    hashed = _hash(low, high, hashing)
    tag = (hashed << _PART) & _tag_mask(hashing[2])
    slot, known = _find(ring, tag, _part_of(hashed, spread), hashing[2], horizon, low, high)
    return slot, known, tag


@part
def _judge(ring: Array, known: int, fingerprint: np.uint64, first_seq: np.uint64, taken: Array) -> int:
    """The verdict on a trade whose key is known; notes where it is from, unless from the same batch."""
    taken[DUPLICATES] += 1
    if ring[known + _SEQ] < first_seq:
        taken[HELD] = max(taken[HELD], int(ring[known + _SEQ]))
    if ring[known + _PRINT] == fingerprint:
        return DUPLICATE
    taken[CONFLICTS] += 1
    return CONFLICT


@part
def _undo(ring: Array, taken: Array, stop: int, word: int, end: int) -> None:
    """Free the slots from NOTES on: the last ones that were taken, so no search has to pass them."""
    for index in range(NOTES, stop):
        ring[taken[index]] = _ZERO
        ring[word + _SEQ] = _ZERO
        word += _WORDS
        if word == end:
            word = 0


@part
def _expect_bucket(memory: Array, low: np.uint64, high: np.uint64, hashing: Hashing, spread: Spread) -> None:
    """Where the search for a digest begins."""
    hashed = _hash(low, high, hashing)
    begin, size = _part_of(hashed, spread)
    slot = _first(hashed << _PART, begin, size) * BUCKET
    expect(memory, slot)
    expect(memory, slot + BUCKET)


@part
def _expect_buckets(memory: Array, digests: Array, words: int, stop: int, hashing: Hashing, spread: Spread) -> None:
    for row in range(stop):
        _expect_bucket(memory, digests[row * words], digests[row * words + 1], hashing, spread)


@part
def _expect_next(memory: Array, word: int, keys: Array, at: int, hashing: Hashing, spread: Spread) -> None:
    """The bucket of the digest that is `at` there, and the place of a later entry than that of this word."""
    _expect_bucket(memory, keys[at], keys[at + 1], hashing, spread)
    expect(memory, word + _AHEAD // 2 * _WORDS)


@entry(
    *(READ_ONLY, READ_ONLY, TEXT, UNSIGNED, _HASHING, _SPREAD),
    *(INTEGER, INTEGER, INTEGER, INTEGER, BYTES, INTEGERS),
)
def claim(
    digests: Array,
    prints: Array,
    given: Array,
    memory: Array,
    hashing: Hashing,
    spread: Spread,
    first_seq: int,
    number: int,
    horizon: int,
    only_new: int,
    verdict: Array,
    notes: Array,
) -> int:
    """Take up what is new, from `number` on: how many; with a conflict, or `only_new` and a duplicate, nothing: -1."""
    ring, keys, taken, bits, places = pointer(memory), pointer(digests), pointer(notes), hashing[2], int(hashing[3])
    word, end, last = number % places * _WORDS, places * _WORDS, len(given) - 1
    turn, next_turn = _turn(number, places, bits), _turn(number + places, places, bits)
    seq, added, limit = np.uint64(first_seq), NOTES, np.uint64(horizon)
    taken[HELD] = taken[DUPLICATES] = taken[CONFLICTS] = 0
    _expect_buckets(memory, keys, 2, min(_AHEAD, len(given)), hashing, spread)
    for row in range(len(given)):
        _expect_next(memory, word, keys, 2 * min(row + _AHEAD, last), hashing, spread)
        verdict[row] = FRESH
        if given[row]:
            low, high = keys[2 * row], keys[2 * row + 1]
            slot, known, tag = _look(ring, low, high, hashing, spread, limit)
            if known >= 0:
                verdict[row] = _judge(ring, known, prints[row], np.uint64(first_seq), taken)
                continue
            ring[slot] = tag | turn | np.uint64(word // _WORDS + 1)
            ring[word], ring[word + 1], ring[word + _PRINT], ring[word + _SEQ] = low, high, prints[row], seq
            taken[added], added = slot, added + 1
            word = word + _WORDS if word + _WORDS < end else 0
            turn = turn if word else next_turn
        seq += _ONE
    if taken[CONFLICTS] or (only_new and taken[DUPLICATES]):
        _undo(ring, taken, added, number % places * _WORDS, end)
        return -1
    return added - NOTES


@entry(UNSIGNED, _HASHING, _SPREAD, INTEGER, INTEGER, INTEGER)
def put(memory: Array, hashing: Hashing, spread: Spread, words: int, number: int, count: int) -> int:
    """Take up the `count` entries of so many words from this number on: how many."""
    ring, bits, places = pointer(memory), hashing[2], int(hashing[3])
    for index in range(number, number + count):
        ahead = min(index + _AHEAD, number + count - 1) % places * words
        _expect_bucket(memory, ring[ahead], ring[ahead + 1], hashing, spread)
        place = index % places
        hashed = _hash(ring[place * words], ring[place * words + 1], hashing)
        begin, size = _part_of(hashed, spread)
        tag = (hashed << _PART) & _tag_mask(bits)
        slot = _free(ring, _first(tag, begin, size), begin, begin + size)
        ring[slot] = tag | _turn(index, places, bits) | np.uint64(place + 1)
    return count


@part
def _is_right(value: np.uint64, index: int, hashing: Hashing, ring: Array, words: int) -> bool:
    """Whether the entry of this slot is one of this part, has its tag, and was not taken back."""
    word = int((value & ((_ONE << hashing[2]) - _ONE)) - _ONE) * words
    hashed = _hash(ring[word], ring[word + 1], hashing)
    is_its_own = int(hashed >> _PART_SHIFT) == index and ((hashed << _PART) ^ value) & _tag_mask(hashing[2]) == _ZERO
    return is_its_own and ring[word + _SEQ] != _ZERO


@part
def _collect(ring: Array, start: int, stop: int, number: int, hashing: Hashing, left: Array) -> tuple[int, int]:
    """Leave the slots whose entries are not written over when the next one has this `number`: how many, and how many
    were in use."""
    bits, places, count, used = hashing[2], int(hashing[3]), 0, 0
    here, turn, mask = np.uint64(number % places), _turn(number, places, bits), _TURN_MASK << bits
    before = (turn - (_ONE << bits)) & mask
    for slot in range(start, stop):
        value = ring[slot]
        left[count] = value
        last = turn if value & ((_ONE << bits) - _ONE) <= here else before  # it has the place and one
        used += int(value != _ZERO)
        count += int((value & mask == last) & (value != _ZERO))
    return count, used


@part
def _has(ring: Array, bucket: int, value: np.uint64) -> bool:
    """Whether a slot of this bucket is the same: of an entry that was taken back and came again."""
    is_there: bool = alike(ring, bucket * BUCKET, _EVERY, value) != _ZERO
    return is_there


@entry(UNSIGNED, UNSIGNED, _HASHING, _SPREAD, INTEGER, INTEGER, INTEGER)
def move(memory: Array, work: Array, hashing: Hashing, spread: Spread, words: int, number: int, doubt: int) -> int:
    """Move the last part that waits, see gateway.ingestion.slots: how many more slots are in use then. `work` has room
    for all slots of the part, and a word for each bucket that it will have. `doubt`: look at the entries, too."""
    ring, left, (split, smaller, larger, old, new) = pointer(memory), pointer(work), spread
    index = split - 1
    begin = BUCKET * (old + index * smaller)
    count, used = _collect(ring, begin, begin + BUCKET * smaller, number, hashing, left)
    begin = new + index * larger
    for slot in range(begin * BUCKET, (begin + larger) * BUCKET):
        ring[slot] = _ZERO
    filled = behind(left, smaller * BUCKET)  # slots of each bucket
    for bucket in range(larger):
        filled[bucket] = _ZERO
    for row in range(count):
        if doubt and not _is_right(left[row], index, hashing, ring, words):
            used += 1
            continue
        bucket = _first(left[row], 0, larger)
        while filled[bucket] == BUCKET and not (doubt and _has(ring, begin + bucket, left[row])):
            bucket = bucket + 1 if bucket + 1 < larger else 0
        if doubt and _has(ring, begin + bucket, left[row]):
            used += 1
            continue
        ring[(begin + bucket) * BUCKET + int(filled[bucket])] = left[row]
        filled[bucket] += _ONE
    return count - used
