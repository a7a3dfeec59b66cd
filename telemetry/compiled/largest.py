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
# FLOOR_KEY: what is smaller than this, and in no later slot than FLOOR_SLOT, is beaten by ten.
# LATEST: no entry but those that are FAR has a later slot. TAIL: of the entries before it, none but those that are FAR
# has that slot, and what beats them from there on is not noted yet: that is done for all at once, when there is a later
# slot or somebody asks. So trades in order look at the few entries of their own slot alone.
START, ROOM, HELD, FLOOR_SLOT, FLOOR_KEY, LATEST, TAIL = range(7)
FIRST_ROOM = 8


@part
def _beats(a: Ints, b: Ints) -> bool:
    if a[SLOT] < b[SLOT] or (a[SLOT] == FAR and b[SLOT] != FAR):
        return False
    return bool(a[KEY] > b[KEY] or (a[KEY] == b[KEY] and a[SEQ] < b[SEQ]))


@part
def _beaten(pool: Ints, first: int, end: int, new: Ints) -> int:
    """By how many of these an entry is beaten, at most LARGEST; the latest ones are looked at first."""
    count = 0
    for number in range(end - 1, first - 1, -1):
        if _beats(pool[number], new):
            count += 1
            if count == LARGEST:
                break
    return count


@part
def _move(pool: Ints, number: int, to: int) -> None:
    if to != number:
        for column in range(ENTRY_WIDTH):
            pool[to, column] = pool[number, column]


@part
def _beat(pool: Ints, place: Ints, first: int, new: Ints) -> None:
    """Let an entry beat those from the `first` on that it beats, and forget who is beaten by LARGEST."""
    start, held, tail = place[START], place[HELD], place[TAIL]
    to = start + first
    for number in range(start + first, start + held):
        if _beats(new, pool[number]):
            pool[number, BEATEN] += 1
            if pool[number, BEATEN] >= LARGEST:
                place[TAIL] -= number - start < tail
                continue
        _move(pool, number, to)
        to += 1
    place[HELD] = to - start


@part
def _in_order(pool: Ints, first: int, end: int, slot: int) -> int:
    """Have the entries of a slot before the others of these, the larger first; where they end."""
    stop = first
    for number in range(first, end):
        if pool[number, SLOT] == slot:
            at = number
            while at > first and (at > stop or _beats(pool[at], pool[at - 1])):
                before = at - 1 if at <= stop else stop
                for column in range(ENTRY_WIDTH):
                    pool[at, column], pool[before, column] = pool[before, column], pool[at, column]
                at = before
            stop += 1
    return stop


@part
def _settle(pool: Ints, place: Ints) -> None:
    """Let the entries of the latest slot beat those before the TAIL, and forget who is beaten by LARGEST."""
    start, end, tail = place[START], place[START] + place[HELD], place[START] + place[TAIL]
    stop, to = _in_order(pool, tail, end, place[LATEST]), start
    for number in range(start, tail):
        if pool[number, SLOT] != FAR:
            other = tail
            while other < stop and _beats(pool[other], pool[number]):
                other += 1
            pool[number, BEATEN] += other - tail
            if pool[number, BEATEN] >= LARGEST:
                continue
        _move(pool, number, to)
        to += 1
    if to < tail:
        for number in range(tail, end):
            _move(pool, number, number - tail + to)
    place[HELD] -= tail - to
    place[TAIL] = place[HELD]


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
    """What comes later, is no larger and in no later slot than this one, is beaten by it and by who beats it: by ten,
    where nine or more do."""
    slot, key = beaten[SLOT], beaten[KEY] + 1
    if slot != FAR and (slot > place[FLOOR_SLOT] or (slot == place[FLOOR_SLOT] and key > place[FLOOR_KEY])):
        place[FLOOR_SLOT] = slot
        place[FLOOR_KEY] = key


@part
def _first(pool: Ints, place: Ints, slot: int) -> int:
    """The first entry that one of this slot is compared with."""
    if slot == FAR or slot < place[LATEST]:
        return 0
    if slot > place[LATEST]:
        _settle(pool, place)
        place[LATEST] = slot
    return int(place[TAIL])


@entry(MATRIX, MATRIX, INTEGERS, INTEGERS, MATRIX, INTEGER)
def offer(places: Ints, pool: Ints, used: Ints, ids: Ints, entries: Ints, done: int) -> int:
    """Take in the entries from `done` on; the number of those that are done when the pool has no room."""
    for number in range(done, len(ids)):
        place, new = places[ids[number]], entries[number]
        first = _first(pool, place, new[SLOT])
        beaten = _beaten(pool, place[START] + first, place[START] + place[HELD], new)
        if beaten >= LARGEST - 1:
            _raise_floor(place, new)
        if beaten == LARGEST:
            continue
        if not _more_room(places, pool, used, ids[number]):
            return number
        _beat(pool, place, first, new)
        at = place[START] + place[HELD]
        for column in range(ENTRY_WIDTH):
            pool[at, column] = new[column]
        pool[at, BEATEN] = beaten
        place[HELD] += 1
    return len(ids)


@entry(MATRIX, MATRIX)
def settle(places: Ints, pool: Ints) -> int:
    """Forget all who are beaten by ten; how many entries there are."""
    count = 0
    for number in range(len(places)):
        _settle(pool, places[number])
        places[number, TAIL] = 0  # all is noted: from now on those of the latest slot, too, are compared with all
        count += places[number, HELD]
    return count
