"""The instrument table of a body for compiled code: trades to codes, in order of first appearance."""

from __future__ import annotations

import numpy as np

from telemetry.compiled import slots as at
from telemetry.compiled.compiler import part
from telemetry.compiled.memory import WORD_BYTES, behind, word_at
from telemetry.frame import Array

_TEXTS = 3  # symbol, venue, currency are the first fields, in entry and slots alike
_FREE = 0  # else a code + 1
_MOST_PROBES = 64  # more come only from someone who looks for collisions: the reference has none
_FACTOR, _TURN, _BACK = np.uint64(0x9E3779B97F4A7C15), np.uint64(29), np.uint64(35)
_MASKS = np.array([(1 << 8 * size) - 1 for size in range(WORD_BYTES + 1)], np.uint64)  # of so many bytes


@part
def size_of_table(most: int) -> int:
    """A power of two, more than twice and at most four times `most`."""
    size = 2
    while size <= 2 * most:
        size *= 2
    return size


@part
def clear(table: Array, size: int) -> None:
    """Frees the first `size` places of the table."""
    for place in range(size):
        table[place] = _FREE


@part
def forget(table: Array, size: int, known: int) -> None:
    """Takes back all but the first `known` instruments. Those that came later are in nobody's way then: a search for an
    earlier one never passed them when it was put there."""
    for place in range(size):
        if table[place] > known:
            table[place] = _FREE


@part
def code_of(text: Array, slots: Array, table: Array, size: int, entries: Array, count: int) -> int:
    """The index of the trade's instrument in `entries`, `count` for one that is not there yet (and is added), or -1.

    `table` (u32, its size a power of two, more than twice the instruments) was cleared.
    """
    mask = size - 1
    place = _hash(text, slots) & mask
    for _ in range(_MOST_PROBES):
        code = np.int64(table[place]) - 1
        if code < 0:
            table[place] = np.uint32(count + 1)
            _add(slots, behind(entries, count * at.ENTRY))
            return count
        if _same(text, slots, behind(entries, code * at.ENTRY)):
            return code  # type: ignore[return-value]  # numba's integers are one type
        place = (place + 1) & mask
    return -1


@part
def _hash(text: Array, slots: Array) -> int:
    value = np.uint64(slots[2 * at.KIND]) ^ (np.uint64(slots[2 * at.MULTIPLIER]) << _TURN)
    for field in range(_TEXTS):
        length = slots[2 * field + 1]
        value = (value ^ np.uint64(length)) * _FACTOR
        start = slots[2 * field]
        end = start + length
        while start < end:
            word = word_at(text, start) & _MASKS[min(WORD_BYTES, end - start)]
            value = ((value >> _TURN | value << _BACK) ^ word) * _FACTOR
            start += WORD_BYTES
    return np.int64(value >> _TURN)  # type: ignore[return-value]


@part
def _same(text: Array, slots: Array, entry: Array) -> bool:
    if entry[6] != slots[2 * at.KIND]:
        return False
    if entry[7] != slots[2 * at.MULTIPLIER] or entry[8] != slots[2 * at.MULTIPLIER + 1]:
        return False
    for field in range(_TEXTS):
        if entry[2 * field + 1] != slots[2 * field + 1]:
            return False
        one, other = slots[2 * field], entry[2 * field]
        end = one + slots[2 * field + 1]
        while one < end:
            difference = word_at(text, one) ^ word_at(text, other)
            if difference & _MASKS[min(WORD_BYTES, end - one)]:
                return False
            one += WORD_BYTES
            other += WORD_BYTES
    return True


@part
def _add(slots: Array, entry: Array) -> None:
    for place in range(2 * _TEXTS):
        entry[place] = slots[place]
    entry[6], entry[7], entry[8] = slots[2 * at.KIND], slots[2 * at.MULTIPLIER], slots[2 * at.MULTIPLIER + 1]
