"""Moving parts of the gateway's table of keys in compiled code: see gateway.ingestion.growth.

A part is read once and written once, both from one end to the other: as a tag says where in its part a slot is, the
slots of a bucket come from a bucket or two.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled.buckets import (
    BUCKET,
    EVERY,
    HASHING,
    ONE,
    PART,
    PART_SHIFT,
    SPREAD,
    ZERO,
    Hashing,
    Spread,
    current,
    first_bucket,
    hash_of,
    oldest_reference,
    tag_mask,
)
from telemetry.compiled.compiler import INTEGER, UNSIGNED, entry, part
from telemetry.compiled.memory import alike, behind, pack, pointer, trailing_zeros
from telemetry.frame import Array

_SEQ = 3  # the word of an entry that is its sequence number, 0 when it was taken back
_BEHIND = np.uint64(1 << BUCKET)


@part
def _is_right(value: np.uint64, index: int, hashing: Hashing, ring: Array, words: int) -> bool:
    """Whether the entry of this slot is one of this part, has its tag, and was not taken back."""
    word = int((value & ((ONE << hashing[2]) - ONE)) - ONE) * words
    hashed = hash_of(ring[word], ring[word + 1], hashing)
    is_its_own = int(hashed >> PART_SHIFT) == index and ((hashed << PART) ^ value) & tag_mask(hashing[2]) == ZERO
    return is_its_own and ring[word + _SEQ] != ZERO


@part
def _collect(ring: Array, start: int, stop: int, number: int, hashing: Hashing, left: Array) -> tuple[int, int]:
    """Leave the slots in these buckets whose entries are not written over when the next one has this `number`: how
    many, and how many were in use. What is behind them in `left`, up to a bucket, is lost."""
    count, used, oldest = 0, 0, oldest_reference(number, hashing)
    for bucket in range(start, stop):
        free = alike(ring, bucket * BUCKET, EVERY, ZERO)
        used += int(trailing_zeros(free | _BEHIND))  # they fill from the left
        count += pack(ring, bucket * BUCKET, current(ring, bucket, oldest, hashing[2]) & ~free, left, count)
    return count, used


@part
def _has(ring: Array, bucket: int, value: np.uint64) -> bool:
    """Whether a slot of this bucket is the same: of an entry that was taken back and came again."""
    is_there: bool = alike(ring, bucket * BUCKET, EVERY, value) != ZERO
    return is_there


@part
def _move_one(
    ring: Array, left: Array, index: int, hashing: Hashing, spread: Spread, words: int, number: int, doubt: int
) -> int:
    """Move this part: how many more slots are in use then."""
    _, smaller, larger, old, new = spread
    begin = old + index * smaller
    count, used = _collect(ring, begin, begin + smaller, number, hashing, left)
    begin = new + index * larger
    for slot in range(begin * BUCKET, (begin + larger) * BUCKET):
        ring[slot] = ZERO
    filled = behind(left, smaller * BUCKET)  # slots of each bucket
    for bucket in range(larger):
        filled[bucket] = ZERO
    for row in range(count):
        if doubt and not _is_right(left[row], index, hashing, ring, words):
            used += 1
            continue
        bucket = first_bucket(left[row], 0, larger)
        while filled[bucket] == BUCKET and not (doubt and _has(ring, begin + bucket, left[row])):
            bucket = bucket + 1 if bucket + 1 < larger else 0
        if doubt and _has(ring, begin + bucket, left[row]):
            used += 1
            continue
        ring[(begin + bucket) * BUCKET + int(filled[bucket])] = left[row]
        filled[bucket] += ONE
    return count - used


@entry(UNSIGNED, UNSIGNED, HASHING, SPREAD, INTEGER, INTEGER, INTEGER, INTEGER)
def move(
    memory: Array, work: Array, hashing: Hashing, spread: Spread, words: int, number: int, doubt: int, due: int
) -> int:
    """Move the last parts that wait until `due` still do: how many more slots are in use then. `work` has room for all
    slots of a part, and a word for each bucket that it will have, a bucket's slots at least. `doubt`: look at the
    entries, too."""
    ring, left, more = pointer(memory), pointer(work), 0
    for index in range(spread[0] - 1, due - 1, -1):
        more += _move_one(ring, left, index, hashing, spread, words, number, doubt)
    return more
