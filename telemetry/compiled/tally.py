"""Counts by key in compiled code: see gateway.state.tally.

Tables are open-addressed: a key stands at the first free slot from the one that its product with a constant names
(Fibonacci hashing, Knuth, The Art of Computer Programming 3, 6.4). A key of 0 is a free slot. What takes time is
waiting for the memory of a slot: so a slot is two numbers side by side, key and value, and four keys in a row, as
neighbouring buckets are, have their slots in one line of memory.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telemetry.compiled.compiler import INTEGER, INTEGERS, entry, part
from telemetry.compiled.memory import expect, pointer
from telemetry.patterns import (
    BUCKET_MASK,
    BURST,
    INSTRUMENT_SHIFT,
    LEVEL_CODES,
    LEVEL_OFFSETS,
    UNIT_MASK,
    UNIT_SHIFT,
    UNITS,
)

Ints = NDArray[np.int64]
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_HALF, _ROW, _ONE = np.uint64(32), np.uint64(2), np.uint64(1)
_IN_ROW = np.uint64(3)
_AHEAD = 16  # keys: what is fetched now is there when it is needed


@part
def home_of(key: int, last: np.uint64) -> np.uint64:
    """The slot from which on the key stands in a table with this last slot."""
    word = np.uint64(key)
    return ((((word >> _ROW) * _FACTOR) >> _HALF << _ROW) | (word & _IN_ROW)) & last


@part
def last_of(table: Ints) -> np.uint64:
    """The last slot."""
    return np.uint64((len(table) >> 1) - 1)


@part
def put(table: Ints, last: np.uint64, key: int, value: int) -> int:
    """Take in a value; 1 when the key is new, else 0."""
    slot = home_of(key, last)
    while table[slot << _ONE] != key:
        if table[slot << _ONE] == 0:
            table[slot << _ONE], table[(slot << _ONE) + _ONE] = key, value
            return 1
        slot = (slot + _ONE) & last
    at = (slot << _ONE) + _ONE
    if key & BUCKET_MASK == BURST:
        table[at] = max(table[at], value)
    else:
        table[at] += value
    return 0


@entry(INTEGERS, INTEGERS, INTEGERS)
def add(table: Ints, keys: Ints, values: Ints) -> int:
    """Take in values; how many keys are new. The table has room for all of them."""
    new, slots, last = 0, pointer(table), last_of(table)
    for number in range(len(keys)):
        ahead = min(number + _AHEAD, len(keys) - 1)
        expect(table, np.int64(home_of(keys[ahead], last)) << 1)
        new += put(slots, last, keys[number], values[number])
    return new


@entry(INTEGERS, INTEGER, INTEGERS)
def find(table: Ints, instrument: int, found: Ints) -> int:
    """The slots of the cells of an instrument; how many they are."""
    count = 0
    for slot in range(len(table) >> 1):
        if table[2 * slot] != 0 and table[2 * slot] >> INSTRUMENT_SHIFT == instrument:
            found[count] = slot
            count += 1
    return count


@part
def _coarser(key: int, value: int, frontier: Ints) -> tuple[int, int]:
    """A cell at the level at which its time is held."""
    code = (key >> UNIT_SHIFT) & UNIT_MASK
    level = 0
    while level < len(frontier) and code >= LEVEL_CODES[level + 1]:
        level += 1
    start = (code - LEVEL_CODES[level] - LEVEL_OFFSETS[level]) * UNITS[level]
    held = 0
    while held < len(frontier) and start < frontier[held]:
        held += 1
    if held <= level:
        return key, value
    unit = start // UNITS[held]
    moved = key + ((LEVEL_CODES[held] + unit + LEVEL_OFFSETS[held] - code) << UNIT_SHIFT)
    if moved & BUCKET_MASK == BURST:
        value -= (start - unit * UNITS[held]) * 1000
    return moved, value


@entry(INTEGERS, INTEGERS, INTEGERS)
def coarsen(keys: Ints, values: Ints, frontier: Ints) -> int:
    """Bring cells to the levels at which their time is held, in place (see gateway.state.cells); how many changed."""
    changed = 0
    for number in range(len(keys)):
        key, value = _coarser(keys[number], values[number], frontier)
        if key != keys[number]:
            keys[number], values[number] = key, value
            changed += 1
    return changed


@entry(INTEGERS, INTEGER, INTEGERS)
def starts(table: Ints, level: int, found: Ints) -> int:
    """The first second of each cell's unit that is held at this level; how many they are."""
    count, first = 0, LEVEL_CODES[level]
    end = LEVEL_CODES[level + 1] if level + 1 < len(LEVEL_CODES) else 1 << 32
    for slot in range(len(table) >> 1):
        code = (table[2 * slot] >> UNIT_SHIFT) & UNIT_MASK
        if table[2 * slot] != 0 and first <= code < end:
            found[count] = (code - first - LEVEL_OFFSETS[level]) * UNITS[level]
            count += 1
    return count


@entry(INTEGERS, INTEGERS, INTEGERS, INTEGERS, INTEGERS)
def take_out(table: Ints, frontier: Ints, kept: Ints, moved: Ints, moved_values: Ints) -> int:
    """Cells that are to be held at another level, at that; the others go to an empty table. How many were moved."""
    count, slots, last = 0, pointer(kept), last_of(kept)
    for slot in range(len(table) >> 1):
        if table[2 * slot] != 0:
            key, value = _coarser(table[2 * slot], table[2 * slot + 1], frontier)
            if key != table[2 * slot]:
                moved[count], moved_values[count] = key, value
                count += 1
            else:
                put(slots, last, key, value)
    return count
