"""The gateway's table of keys in compiled code: see gateway.ingestion.slots for what slots and entries are.

What takes time is waiting for the memory of a slot. The processor is told of the slots of the next keys, so that they
are there when it comes to them; reading them ahead (64 at a time) had it wait for the reading itself.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled.compiler import BYTES, INDICES, INTEGER, INTEGERS, READ_ONLY, TEXT, UNSIGNED, entry, part
from telemetry.compiled.memory import expect, pointer
from telemetry.compiled.signatures import Scalar, TupleOf
from telemetry.frame import Array

DUPLICATE, FRESH, CONFLICT = range(3)  # the verdict on a trade
# Notes of a claim: the newest first copy of a duplicate, the number of duplicates; then come the slots that were taken.
HELD, DUPLICATES, NOTES = range(3)
_WORDS, _PRINT, _SEQ = 4, 2, 3  # a trade's key: digest low and high, fingerprint, sequence number
_AHEAD = 64  # keys; from 32 to 96 it is the same
_BEHIND = np.uint64(8)  # slots, half a cache line: in most searches that go on into the next line it is there, too
_HASHING = TupleOf(Scalar("uint64"), 3)
_ONE = np.uint64(1)
_SLOT_MASK = np.uint64(0xFFFFFFFF)


Hashing = tuple[np.uint64, np.uint64, np.uint64]  # factor and shift from a digest to its slot; bits of a place


@part
def _tag(high: np.uint64, bits: np.uint64) -> np.uint64:
    """What a slot has above the `bits` of the place."""
    return (high << bits) & _SLOT_MASK


@part
def _free(table: Array, slot: np.uint64, wrap: np.uint64) -> np.uint64:
    """The first free slot from this one on."""
    while table[slot]:
        slot = (slot + _ONE) & wrap
    return slot


@part
def _find(
    table: Array,
    slot: np.uint64,
    wrap: np.uint64,
    bits: np.uint64,
    ring: Array,
    horizon: np.uint64,
    low: np.uint64,
    high: np.uint64,
) -> tuple[np.uint64, int]:
    """The slot of this digest and the first word of its entry; else a free slot and -1."""
    tag, places = _tag(high, bits), (_ONE << bits) - _ONE
    while table[slot]:
        value = np.uint64(table[slot])
        if value & ~places == tag:
            word = int((value & places) - _ONE) * _WORDS
            if ring[word] == low and ring[word + 1] == high and ring[word + _SEQ] > horizon:
                return slot, word
        slot = (slot + _ONE) & wrap
    return slot, -1


@part
def _judge(ring: Array, known: int, fingerprint: np.uint64, first_seq: np.uint64, taken: Array) -> int:
    """The verdict on a trade whose key is known; notes where it is from, unless from the same batch."""
    taken[DUPLICATES] += 1
    if ring[known + _SEQ] < first_seq:
        taken[HELD] = max(taken[HELD], int(ring[known + _SEQ]))
    return DUPLICATE if ring[known + _PRINT] == fingerprint else CONFLICT


@part
def _undo(table: Array, ring: Array, taken: Array, stop: int, word: int, end: int) -> None:
    """Free the slots from NOTES on: the last ones that were taken, so no search has to pass them."""
    for index in range(NOTES, stop):
        table[taken[index]] = np.uint32(0)
        ring[word + _SEQ] = np.uint64(0)
        word += _WORDS
        if word == end:
            word = 0


@part
def _expect_slot(table: Array, low: np.uint64, wrap: np.uint64, factor: np.uint64, shift: np.uint64) -> None:
    """Where the search for a digest begins, and where it may go on."""
    slot = (low * factor) >> shift
    expect(table, slot)
    expect(table, (slot + _BEHIND) & wrap)


@part
def _expect_slots(
    table: Array,
    digests: Array,
    words: int,
    start: int,
    stop: int,
    wrap: np.uint64,
    factor: np.uint64,
    shift: np.uint64,
) -> None:
    for row in range(start, stop):
        _expect_slot(table, digests[row * words], wrap, factor, shift)


@entry(INDICES, _HASHING, UNSIGNED, INTEGER, INTEGER, INTEGER)
def put(slots: Array, hashing: Hashing, entries: Array, words: int, start: int, stop: int) -> int:
    """Take up the entries of so many words at the places from `start` to `stop` - 1: how many."""
    table, ring, wrap, (factor, shift, bits) = pointer(slots), pointer(entries), np.uint64(len(slots) - 1), hashing
    _expect_slots(slots, ring, words, start, min(start + _AHEAD, stop), wrap, factor, shift)
    for place in range(start, stop):
        _expect_slot(slots, ring[min(place + _AHEAD, stop - 1) * words], wrap, factor, shift)
        slot = _free(table, (ring[place * words] * factor) >> shift, wrap)
        table[slot] = np.uint32(_tag(ring[place * words + 1], bits) | np.uint64(place + 1))
    return stop - start


@entry(
    *(READ_ONLY, READ_ONLY, TEXT, INDICES, _HASHING, UNSIGNED),
    *(INTEGER, INTEGER, INTEGER, INTEGER, BYTES, INTEGERS),
)
def claim(
    digests: Array,
    prints: Array,
    given: Array,
    slots: Array,
    hashing: Hashing,
    entries: Array,
    first_seq: int,
    place: int,
    horizon: int,
    only_new: int,
    verdict: Array,
    notes: Array,
) -> int:
    """Take up what is new from `place` on: how many. With a conflict, or `only_new` and a duplicate, -1: nothing."""
    table, ring, keys, taken = pointer(slots), pointer(entries), pointer(digests), pointer(notes)
    wrap, end, (factor, shift, bits) = np.uint64(len(slots) - 1), len(entries), hashing
    word, seq, added, conflicts, last = place * _WORDS, np.uint64(first_seq), NOTES, 0, len(given) - 1
    taken[HELD] = taken[DUPLICATES] = 0
    _expect_slots(slots, keys, 2, 0, min(_AHEAD, len(given)), wrap, factor, shift)
    for row in range(len(given)):
        _expect_slot(slots, keys[2 * min(row + _AHEAD, last)], wrap, factor, shift)
        verdict[row] = FRESH
        if given[row]:
            low, high = keys[2 * row], keys[2 * row + 1]
            slot, known = _find(table, (low * factor) >> shift, wrap, bits, ring, np.uint64(horizon), low, high)
            if known >= 0:
                verdict[row] = _judge(ring, known, prints[row], np.uint64(first_seq), taken)
                conflicts += verdict[row] == CONFLICT
                continue
            table[slot] = np.uint32(_tag(high, bits) | np.uint64(word // _WORDS + 1))
            ring[word], ring[word + 1], ring[word + _PRINT], ring[word + _SEQ] = low, high, prints[row], seq
            taken[added] = int(slot)
            added += 1
            word = word + _WORDS if word + _WORDS < end else 0
        seq += _ONE
    if conflicts or (only_new and taken[DUPLICATES]):
        _undo(table, ring, taken, added, place * _WORDS, end)
        return -1
    return added - NOTES
