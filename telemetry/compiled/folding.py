"""The questions that folding asks of the keys of all atoms, each in one pass: see gateway.state.folding.

A key is (instrument, level, start + offset), packed; `shift` is where the instrument begins, `level_shift` the level.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled.compiler import INTEGER, INTEGERS, entry
from telemetry.compiled.memory import pointer
from telemetry.compiled.signatures import ArrayOf
from telemetry.frame import Array

_KEYS = ArrayOf(INTEGER, readonly=True)
NONE = np.iinfo(np.int64).max


@entry(_KEYS, INTEGER, INTEGER, INTEGER, INTEGER, INTEGERS)
def older(keys: Array, level_shift: int, level: int, offset: int, limit: int, places: Array) -> int:
    """The first places of keys of this level whose start is before `limit`; how many, at most as many as fit."""
    known, out = pointer(keys), pointer(places)
    mask, room, found = (1 << level_shift) - 1, len(places), 0
    for place in range(len(keys)):
        key = known[place]
        if (key >> level_shift) & 3 == level and (key & mask) - offset < limit:
            if found == room:
                break
            out[found] = place
            found += 1
    return found


@entry(_KEYS, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGERS)
def span(keys: Array, level_shift: int, level: int, offset: int, coarse: int, limit: int, units: Array) -> int:
    """The first and the last unit of `coarse` seconds that has such keys, in `units`; how many keys."""
    known, mask, found = pointer(keys), (1 << level_shift) - 1, 0
    first, last = NONE, -NONE
    for place in range(len(keys)):
        key = known[place]
        start = (key & mask) - offset
        if (key >> level_shift) & 3 == level and start < limit:
            first, last = min(first, start), max(last, start)
            found += 1
    units[0], units[1] = first // coarse, last // coarse
    return found


@entry(_KEYS, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGERS)
def count_freed(
    keys: Array,
    shift: int,
    level_shift: int,
    level: int,
    offset: int,
    coarse: int,
    limit: int,
    first: int,
    units: Array,
) -> int:
    """What folding each unit from `first` on would free, plus one where there are keys at all; how many keys."""
    known, out, mask, found = pointer(keys), pointer(units), (1 << level_shift) - 1, 0
    instrument, unit = -1, -1
    for place in range(len(keys)):
        key = known[place]
        start = (key & mask) - offset
        if (key >> level_shift) & 3 == level and start < limit:
            here = start // coarse - first
            if out[here] == 0:
                out[here] = 1
            out[here] += here == unit and key >> shift == instrument
            instrument, unit = key >> shift, here
            found += 1
    return found


@entry(_KEYS, _KEYS, _KEYS, _KEYS, INTEGERS, INTEGERS)
def insert(keys: Array, at: Array, more: Array, more_at: Array, out: Array, out_at: Array) -> int:
    """Two ascending arrays of keys as one, and what belongs to them; how many there are."""
    one, one_at, other, other_at = pointer(keys), pointer(at), pointer(more), pointer(more_at)
    to, to_at = pointer(out), pointer(out_at)
    left, right = 0, 0
    for place in range(len(keys) + len(more)):
        if right == len(more) or (left < len(keys) and one[left] < other[right]):
            to[place], to_at[place] = one[left], one_at[left]
            left += 1
        else:
            to[place], to_at[place] = other[right], other_at[right]
            right += 1
    return left + right


@entry(_KEYS, _KEYS, _KEYS, INTEGERS, INTEGERS)
def without(keys: Array, at: Array, places: Array, out: Array, out_at: Array) -> int:
    """All but those at the ascending places; how many are left."""
    known, known_at, to, to_at = pointer(keys), pointer(at), pointer(out), pointer(out_at)
    begin, left = 0, 0
    for number in range(len(places) + 1):
        end = places[number] if number < len(places) else len(keys)
        for place in range(begin, end):
            to[left], to_at[left] = known[place], known_at[place]
            left += 1
        begin = end + 1
    return left
