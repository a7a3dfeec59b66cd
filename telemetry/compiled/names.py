"""Who sent trades, in one pass over their rows: see gateway.watching.naming, whose reference gives the same."""

from __future__ import annotations

import numpy as np

from telemetry.compiled.compiler import (
    BYTES,
    CODES,
    DOUBLES,
    INTEGER,
    INTEGERS,
    LONGS,
    READ_ONLY,
    TEXT,
    UNSIGNED,
    entry,
    part,
)
from telemetry.compiled.memory import WORD_BYTES, pointer, word_at
from telemetry.frame import Array
from telemetry.times import ABSENT

_MASKS = np.array([(1 << 8 * count) - 1 for count in range(WORD_BYTES + 1)], np.uint64)
_BILLION = 1e9


@part
def _word(text: Array, start: int, end: int, size: int) -> np.uint64:
    """The bytes start..end - 1 of a text of `size`, eight at most."""
    if start + WORD_BYTES <= size:
        return word_at(text, start) & _MASKS[min(WORD_BYTES, end - start)]  # type: ignore[no-any-return]
    word = np.uint64(0)
    for place in range(start, min(end, start + WORD_BYTES)):
        word |= np.uint64(text[place]) << np.uint64(8 * (place - start))
    return word


@part
def _key(text: Array, start: int, end: int, size: int, factors: Array) -> np.uint64:
    """As gateway.watching.names.keys_of."""
    key, place = np.uint64(end - start) * factors[0], 1
    while start < end:
        key += _word(text, start, end, size) * factors[place]
        place += 1
        start += WORD_BYTES
    return key  # type: ignore[no-any-return]


@entry(CODES, TEXT, READ_ONLY, INTEGERS, UNSIGNED, INTEGERS)
def code(offsets: Array, blob: Array, factors: Array, table: Array, keys: Array, codes: Array) -> int:
    """Each key once, as they come, and for every row the place of its key; how many keys, or -1 when `keys` has no room
    or a text is too long. `table` is of zeros, its size a power of two, more than the keys."""
    text, ends, slots, known, out = pointer(blob), pointer(offsets), pointer(table), pointer(keys), pointer(codes)
    words, size, mask, count, start = pointer(factors), len(blob), len(table) - 1, 0, int(offsets[0])
    for row in range(len(codes)):
        end = int(ends[row + 1])
        if end - start > WORD_BYTES * (len(factors) - 1):
            return -1
        key = _key(text, start, end, size, words)
        start = end
        slot = np.int64(key >> np.uint64(40)) & mask
        while slots[slot] and known[slots[slot] - 1] != key:
            slot = (slot + 1) & mask
        if slots[slot] == 0:
            if count == len(keys):
                return -1
            known[count] = key
            count += 1
            slots[slot] = count
        out[row] = slots[slot] - 1
    return count


@entry(INTEGERS, INTEGERS, INTEGERS, INTEGER, BYTES)
def mark(places: Array, codes: Array, request: Array, requests: int, there: Array) -> int:
    """Which pairs of places and requests there are."""
    for row in range(len(codes)):
        there[places[codes[row]] * requests + request[row]] = 1
    return len(codes)


@entry(*(LONGS, LONGS, INTEGERS, DOUBLES), *(INTEGERS, INTEGERS, INTEGERS, DOUBLES))
def clocks(
    received: Array, sent: Array, codes: Array, furthest: Array, rows: Array, counts: Array, negative: Array,
    least: Array,
) -> int:  # fmt: skip
    """By code the first row that says how far a clock is, how many do, how many seconds are negative, and the least."""
    for row in range(len(codes)):
        if sent[row] == ABSENT:
            continue
        seconds = (np.float64(received[row]) - np.float64(sent[row])) / _BILLION
        if abs(seconds) > furthest[0]:
            continue
        of = codes[row]
        if counts[of] == 0:
            rows[of], least[of] = row, seconds
        counts[of] += 1
        negative[of] += seconds < 0
        least[of] = min(least[of], seconds)
    return len(codes)


@part
def _order(codes: Array, offsets: Array, numbers: Array, ends: Array, order: Array) -> int:
    """The rows that have a name and a number, those of a code together, else as they are; how many they are. `ends` are
    zeros, one for each code."""
    for row in range(len(codes)):
        ends[codes[row]] += numbers[row] != ABSENT and offsets[row + 1] > offsets[row]
    total = 0
    for of in range(len(ends)):
        total, ends[of] = total + ends[of], total
    for row in range(len(codes)):
        if numbers[row] != ABSENT and offsets[row + 1] > offsets[row]:
            order[ends[codes[row]]] = row
            ends[codes[row]] += 1
    return total


@entry(*(INTEGERS, CODES, LONGS, LONGS, INTEGERS, INTEGERS), *(INTEGERS, INTEGERS, INTEGERS, INTEGERS, INTEGERS))
def runs(
    codes: Array, offsets: Array, numbers: Array, timestamp: Array, ends: Array, order: Array,
    begins: Array, rows: Array, firsts: Array, newest: Array, times: Array,
) -> int:  # fmt: skip
    """Runs of consecutive numbers of a code: where each begins among the `times`, its row and number, and the latest of
    its times. How many they are; the times come last: how many is put into `ends[0]`."""
    total, count = _order(codes, offsets, numbers, ends, order), 0
    for place in range(total):
        row = order[place]
        time, number = timestamp[row], numbers[row]
        times[place] = time
        before = order[place - 1] if place else -1
        if before < 0 or codes[before] != codes[row] or number - numbers[before] != 1:
            begins[count], rows[count], firsts[count], newest[count] = place, row, number, time
            count += 1
        newest[count - 1] = max(newest[count - 1], time)
    if len(ends):
        ends[0] = total
    return count
