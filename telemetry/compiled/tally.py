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


@entry(INTEGERS, INTEGER)
def any_code(table: Ints, level: int) -> int:
    """The code of the unit of some cell of a level, 0 when there is none."""
    first = LEVEL_CODES[level]
    end = LEVEL_CODES[level + 1] if level + 1 < len(LEVEL_CODES) else 1 << 32
    for slot in range(len(table) >> 1):
        code = (table[2 * slot] >> UNIT_SHIFT) & UNIT_MASK
        if table[2 * slot] != 0 and first <= code < end:
            return int(code)
    return 0


@entry(INTEGERS, INTEGER, INTEGER, INTEGERS)
def count_units(table: Ints, level: int, middle: int, counts: Ints) -> int:
    """Count the cells of a level by their unit: that of code `middle` is in the middle of `counts`, whose first number
    takes all other cells. How many of those are of this level."""
    last, half = np.uint64(len(counts) - 1), np.int64(len(counts) >> 1)
    first = LEVEL_CODES[level]
    end = LEVEL_CODES[level + 1] if level + 1 < len(LEVEL_CODES) else 1 << 32
    slots, others = pointer(table), 0
    for slot in range(len(table) >> 1):
        key = slots[2 * slot]
        code = (key >> UNIT_SHIFT) & UNIT_MASK
        unit = np.uint64(code - middle + half)
        held = np.int64(key != 0) & np.int64(first <= code) & np.int64(code < end)
        counted = held & np.int64(np.uint64(1) <= unit) & np.int64(unit <= last)
        counts[counted * np.int64(unit)] += 1  # without a branch: whether a slot is free cannot be foretold
        others += int(held - counted)
    return others


@entry(INTEGERS, INTEGERS, INTEGERS)
def held(table: Ints, keys: Ints, values: Ints) -> int:
    """All keys, with their values; how many. There is room for one more."""
    count, slots = 0, pointer(table)
    for slot in range(len(table) >> 1):
        keys[count], values[count] = slots[2 * slot], slots[2 * slot + 1]
        count += int(slots[2 * slot] != 0)
    return count


@entry(INTEGERS, INTEGERS)
def move(table: Ints, larger: Ints) -> int:
    """Put all into an empty table with more slots; how many."""
    count, slots, last = 0, pointer(larger), last_of(larger)
    for slot in range(len(table) >> 1):
        if table[2 * slot] != 0:
            count += put(slots, last, table[2 * slot], table[2 * slot + 1])
    return count


@part
def _free_slot(slots: Ints, last: np.uint64) -> int:
    slot = 0
    while slots[2 * slot] != 0 and slot < last:
        slot += 1
    return slot


@part
def _stay(slots: Ints, last: np.uint64, slot: np.uint64) -> int:
    """Put a cell as near to its home as is free; 1 when it is somewhere now."""
    at = slot << _ONE
    key, value = slots[at], slots[at + _ONE]
    if home_of(key, last) == slot:
        return 1
    slots[at] = 0
    return put(slots, last, key, value)


@entry(INTEGERS, INTEGERS, INTEGERS, INTEGERS, INTEGERS)
def take_out(table: Ints, frontier: Ints, done: Ints, moved: Ints, moved_values: Ints) -> int:
    """Take out some cells that are to be held at another level, at that: as many as there is room for at most. How
    many. `done` is -1, 0, 0 at first, and -1, 1, 0 in the end; between, a free slot where it began, how many slots were
    looked at, whether a cell had no room and all is to be looked at again.

    The others go as near to their home as is free now. All that stand between a free slot and the next one are looked
    at in turn, so each finds what was in front of it already where it stays, and no search meets a gap. So a part
    ends with a free slot, and the whole with a second one: where it began another cell may have come."""
    count, slots, last = 0, pointer(table), last_of(table)
    if done[0] < 0:
        done[0] = _free_slot(slots, last)
    looked, enough = done[1], done[1] + len(moved)
    while looked <= np.int64(last) or slots[(np.uint64(done[0] + looked) & last) << _ONE] != 0:
        slot = np.uint64(done[0] + looked) & last
        at = slot << _ONE
        if slots[at] == 0 and looked >= enough:
            done[1] = looked
            return count
        if slots[at] != 0:
            key, value = _coarser(slots[at], slots[at + _ONE], frontier)
            if key != slots[at] and count < len(moved):
                moved[count], moved_values[count] = key, value
                slots[at] = 0
                count += 1
            else:
                done[2] |= np.int64(key != slots[at])
                _stay(slots, last, slot)
        looked += 1
    done[0], done[1], done[2] = -1, 1 - done[2], 0
    return count
