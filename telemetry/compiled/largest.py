"""The largest trades in compiled code: see gateway.state.largest for what is kept, and why.

Entries of an instrument stand side by side in the pool, so that one look at them is some memory in a row. When they
have no room they move to the end of the pool, to twice as much.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telemetry.compiled.compiler import INTEGER, INTEGERS, MATRIX, entry, part
from telemetry.patterns import FAR, LARGEST

Ints = NDArray[np.int64]
# Columns, as in gateway.state.largest, which this package never imports; a test holds them together.
SLOT, KEY, SEQ, TIMESTAMP, PRICE, QUANTITY, SMALL, BEATEN, ENTRY_WIDTH = range(9)
START, ROOM, HELD, FLOOR_SLOT, FLOOR_KEY = range(5)
FIRST_ROOM = 8


@part
def _beats(a: Ints, b: Ints) -> bool:
    if a[SLOT] < b[SLOT] or (a[SLOT] == FAR and b[SLOT] != FAR):
        return False
    return bool(a[KEY] > b[KEY] or (a[KEY] == b[KEY] and a[SEQ] < b[SEQ]))


@part
def _beaten(pool: Ints, start: int, held: int, new: Ints) -> int:
    """By how many an entry is beaten, at most LARGEST; the latest ones are looked at first."""
    count = 0
    for number in range(start + held - 1, start - 1, -1):
        if _beats(pool[number], new):
            count += 1
            if count == LARGEST:
                break
    return count


@part
def _beat(pool: Ints, start: int, held: int, new: Ints) -> int:
    """Let an entry beat those that it beats, and forget who is beaten by LARGEST; how many are left."""
    to = start
    for number in range(start, start + held):
        one = pool[number]
        if _beats(new, one):
            one[BEATEN] += 1
            if one[BEATEN] >= LARGEST:
                continue
        if to != number:
            for column in range(ENTRY_WIDTH):
                pool[to, column] = one[column]
        to += 1
    return to - start


@part
def _more_room(places: Ints, pool: Ints, used: Ints, instrument: int) -> bool:
    """Have room for one more entry; whether the pool has it."""
    start, room, held = places[instrument, START], places[instrument, ROOM], places[instrument, HELD]
    if held < room:
        return True
    more = 2 * room if room else FIRST_ROOM
    if used[0] + more > len(pool):
        return False
    for number in range(held):
        for column in range(ENTRY_WIDTH):
            pool[used[0] + number, column] = pool[start + number, column]
    places[instrument, START], places[instrument, ROOM] = used[0], more
    used[0] += more
    return True


@part
def _raise_floor(place: Ints, beaten: Ints) -> None:
    """What is no larger than one whom ten beat, and in no later slot, is beaten by the same ten."""
    slot, key = beaten[SLOT], beaten[KEY]
    if slot != FAR and (slot > place[FLOOR_SLOT] or (slot == place[FLOOR_SLOT] and key > place[FLOOR_KEY])):
        place[FLOOR_SLOT] = slot
        place[FLOOR_KEY] = key


@entry(MATRIX, MATRIX, INTEGERS, INTEGERS, MATRIX, INTEGER)
def offer(places: Ints, pool: Ints, used: Ints, ids: Ints, entries: Ints, done: int) -> int:
    """Take in the entries from `done` on; the number of those that are done when the pool has no room."""
    for number in range(done, len(ids)):
        instrument, new = ids[number], entries[number]
        start, held = places[instrument, START], places[instrument, HELD]
        beaten = _beaten(pool, start, held, new)
        if beaten == LARGEST:
            _raise_floor(places[instrument], new)
            continue
        if not _more_room(places, pool, used, instrument):
            return number
        start = places[instrument, START]
        held = _beat(pool, start, held, new)
        for column in range(ENTRY_WIDTH):
            pool[start + held, column] = new[column]
        pool[start + held, BEATEN] = beaten
        places[instrument, HELD] = held + 1
    return len(ids)
