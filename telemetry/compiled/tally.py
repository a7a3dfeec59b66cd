"""Counts by key in compiled code: see gateway.state.tally.

Tables are open-addressed: a key stands at the first free slot from the one that its product with a constant names
(Fibonacci hashing, Knuth, The Art of Computer Programming 3, 6.4). A key of 0 is a free slot.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telemetry.compiled.compiler import INTEGER, INTEGERS, entry, part
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
_HALF = np.uint64(32)


@part
def home_of(table: Ints, key: int) -> int:
    """The slot from which on the key stands."""
    return int((np.uint64(key) * _FACTOR) >> _HALF) & (len(table) - 1)


@part
def slot_of(table: Ints, key: int) -> int:
    """Where the key is, or the free slot where it would be."""
    wrap = len(table) - 1
    slot = home_of(table, key)
    while table[slot] != 0 and table[slot] != key:
        slot = (slot + 1) & wrap
    return slot


@entry(INTEGERS, INTEGERS, INTEGERS, INTEGERS)
def add(table: Ints, held: Ints, keys: Ints, values: Ints) -> int:
    """Take in values; how many keys are new. The table has room for all of them."""
    new = 0
    for number in range(len(keys)):
        key = keys[number]
        slot = slot_of(table, key)
        if table[slot] == 0:
            table[slot] = key
            held[slot] = values[number]
            new += 1
        elif key & BUCKET_MASK == BURST:
            held[slot] = max(held[slot], values[number])
        else:
            held[slot] += values[number]
    return new


@entry(INTEGERS, INTEGER, INTEGERS)
def find(table: Ints, instrument: int, found: Ints) -> int:
    """The slots of the cells of an instrument; how many they are."""
    count = 0
    for slot in range(len(table)):
        if table[slot] != 0 and table[slot] >> INSTRUMENT_SHIFT == instrument:
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
    for slot in range(len(table)):
        code = (table[slot] >> UNIT_SHIFT) & UNIT_MASK
        if table[slot] != 0 and first <= code < end:
            found[count] = (code - first - LEVEL_OFFSETS[level]) * UNITS[level]
            count += 1
    return count


@entry(INTEGERS, INTEGERS, INTEGERS, INTEGERS, INTEGERS, INTEGERS, INTEGERS)
def take_out(
    table: Ints, held: Ints, frontier: Ints, kept: Ints, kept_values: Ints, moved: Ints, moved_values: Ints
) -> int:
    """Cells that are to be held at another level, at that; the others go to an empty table. How many were moved."""
    count = 0
    for slot in range(len(table)):
        if table[slot] != 0:
            key, value = _coarser(table[slot], held[slot], frontier)
            if key != table[slot]:
                moved[count], moved_values[count] = key, value
                count += 1
            else:
                place = slot_of(kept, key)
                kept[place], kept_values[place] = key, value
    return count
