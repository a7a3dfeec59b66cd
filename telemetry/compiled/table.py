"""The gateway's table of keys in compiled code: see gateway.ingestion.slots for what slots and entries are.

What takes time is waiting for the memory of a bucket. The processor is told of the buckets of the next keys, so that
they are there when it comes to them; reading them ahead (64 at a time) had it wait for the reading itself.

The slot of an entry that was written over is taken again. So slots get scarce three times as slowly once the ring has
come to its end; a bucket that was full stays full, as searches went on behind it.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled.buckets import (
    BUCKET,
    EVERY,
    HASHING,
    ONE,
    PART,
    SPREAD,
    ZERO,
    Hashing,
    Spread,
    current,
    first_bucket,
    free_slot,
    hash_of,
    oldest_reference,
    part_of,
    tag_mask,
    turn_of,
)
from telemetry.compiled.compiler import BYTES, INTEGER, INTEGERS, READ_ONLY, TEXT, UNSIGNED, entry, part
from telemetry.compiled.memory import alike, expect, pointer, trailing_zeros
from telemetry.compiled.moving import move
from telemetry.frame import Array

__all__ = ["CONFLICT", "DUPLICATES", "FRESH", "HELD", "NOTES", "TAKEN", "claim", "move", "put"]

DUPLICATE, FRESH, CONFLICT = range(3)  # the verdict on a trade
# Notes of a claim: the newest first copy of a duplicate, how many duplicates, conflicts, and free slots taken;
# then come the slots that were taken, each with what was in it: two notes for each trade at most.
HELD, DUPLICATES, CONFLICTS, TAKEN, NOTES = range(5)
_WORDS, _PRINT, _SEQ = 4, 2, 3  # a trade's key: digest low and high, fingerprint, sequence number
_ALL = np.uint64((1 << BUCKET) - 1)
_AHEAD = 64  # keys; from 32 to 96 it is the same


@part
def _find(
    ring: Array,
    tag: np.uint64,
    where: tuple[int, int],
    bits: np.uint64,
    oldest: np.uint64,
    horizon: np.uint64,
    low: np.uint64,
    high: np.uint64,
) -> tuple[int, int]:
    """The slot of this digest and the first word of its entry; else one that may be taken and -1."""
    begin, size = where
    bucket, mask, places = first_bucket(tag, begin, size), tag_mask(bits), (ONE << bits) - ONE
    usable = -1
    while True:
        free = alike(ring, bucket * BUCKET, EVERY, ZERO)
        fits = alike(ring, bucket * BUCKET, mask, tag) & ~free
        while fits:
            slot = bucket * BUCKET + int(trailing_zeros(fits))
            word = int((ring[slot] & places) - ONE) * _WORDS
            if ring[word] == low and ring[word + 1] == high and ring[word + _SEQ] > horizon:
                return slot, word
            fits &= fits - ONE
        left = (~current(ring, bucket, oldest, bits) & _ALL) | free
        if left and usable < 0:
            usable = bucket * BUCKET + int(trailing_zeros(left))
        if free:
            return usable, -1
        bucket = bucket + 1 if bucket + 1 < begin + size else begin


@part
def _look(
    ring: Array,
    low: np.uint64,
    high: np.uint64,
    hashing: Hashing,
    spread: Spread,
    oldest: np.uint64,
    horizon: np.uint64,
) -> tuple[int, int, np.uint64]:
    """As `_find`, for a digest; and its tag."""
    hashed = hash_of(low, high, hashing)
    tag = (hashed << PART) & tag_mask(hashing[2])
    slot, known = _find(ring, tag, part_of(hashed, spread), hashing[2], oldest, horizon, low, high)
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
def _take(ring: Array, slot: int, value: np.uint64, taken: Array, added: int) -> int:
    """Write into a slot; notes at `added` what was in it, and returns where the next note comes."""
    taken[added], taken[added + 1] = slot, np.int64(ring[slot])
    taken[TAKEN] += int(ring[slot] == ZERO)
    ring[slot] = value
    return added + 2


@part
def _undo(ring: Array, taken: Array, stop: int, word: int, end: int) -> None:
    """Give the slots from NOTES on what was in them: no search has gone past those that were free."""
    for index in range(NOTES, stop, 2):
        ring[taken[index]] = np.uint64(taken[index + 1])
        ring[word + _SEQ] = ZERO
        word += _WORDS
        if word == end:
            word = 0


@part
def _expect_bucket(memory: Array, low: np.uint64, high: np.uint64, hashing: Hashing, spread: Spread) -> None:
    """Where the search for a digest begins."""
    hashed = hash_of(low, high, hashing)
    begin, size = part_of(hashed, spread)
    slot = first_bucket(hashed << PART, begin, size) * BUCKET
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
    *(READ_ONLY, READ_ONLY, TEXT, UNSIGNED, HASHING, SPREAD),
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
    turn, next_turn = turn_of(number, places, bits), turn_of(number + places, places, bits)
    seq, added, limit = np.uint64(first_seq), NOTES, np.uint64(horizon)
    oldest = oldest_reference(number + len(given), hashing)  # what will be written over left the window before
    taken[HELD] = taken[DUPLICATES] = taken[CONFLICTS] = taken[TAKEN] = 0
    _expect_buckets(memory, keys, 2, min(_AHEAD, len(given)), hashing, spread)
    for row in range(len(given)):
        _expect_next(memory, word, keys, 2 * min(row + _AHEAD, last), hashing, spread)
        verdict[row] = FRESH
        if given[row]:
            low, high = keys[2 * row], keys[2 * row + 1]
            slot, known, tag = _look(ring, low, high, hashing, spread, oldest, limit)
            if known >= 0:
                verdict[row] = _judge(ring, known, prints[row], np.uint64(first_seq), taken)
                continue
            added = _take(ring, slot, tag | turn | np.uint64(word // _WORDS + 1), taken, added)
            ring[word], ring[word + 1], ring[word + _PRINT], ring[word + _SEQ] = low, high, prints[row], seq
            word = word + _WORDS if word + _WORDS < end else 0
            turn = turn if word else next_turn
        seq += ONE
    if taken[CONFLICTS] or (only_new and taken[DUPLICATES]):
        _undo(ring, taken, added, number % places * _WORDS, end)
        return -1
    return (added - NOTES) // 2


@entry(UNSIGNED, HASHING, SPREAD, INTEGER, INTEGER, INTEGER)
def put(memory: Array, hashing: Hashing, spread: Spread, words: int, number: int, count: int) -> int:
    """Take up the `count` entries of so many words from this number on: how many."""
    ring, bits, places = pointer(memory), hashing[2], int(hashing[3])
    for index in range(number, number + count):
        ahead = min(index + _AHEAD, number + count - 1) % places * words
        _expect_bucket(memory, ring[ahead], ring[ahead + 1], hashing, spread)
        place = index % places
        hashed = hash_of(ring[place * words], ring[place * words + 1], hashing)
        begin, size = part_of(hashed, spread)
        tag = (hashed << PART) & tag_mask(bits)
        slot = free_slot(ring, first_bucket(tag, begin, size), begin, begin + size)
        ring[slot] = tag | turn_of(index, places, bits) | np.uint64(place + 1)
    return count
