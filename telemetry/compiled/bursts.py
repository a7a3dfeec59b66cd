"""Counts by millisecond in compiled code: see gateway.state.bursts.

The keys of a generation stand in a log in the order in which they came, each with its count. Trades come mostly forward
in time, so a key is that of its instrument's latest millisecond or beyond it, and neither needs to be looked for: the
log is read and written where it ends, which costs a fraction of a table. Only a key before the latest one is looked up,
in an open-addressed table of places that first takes in what the log has got since the last such look.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled.compiler import INTEGERS, MATRIX, entry, part
from telemetry.compiled.tally import home_of
from telemetry.frame import Array
from telemetry.patterns import MILLISECOND_SHIFT

KEY, COUNT, LOG_WIDTH = range(3)
# What a generation holds: rows of its log, and how many of them are in its table.
YOUNG_HELD, YOUNG_INDEXED, OLD_HELD, OLD_INDEXED, MARKS = range(5)


@part
def _slot(log: Array, table: Array, key: int) -> int:
    """Where the place of the key is, or the free slot where it would be. Places are counted from 1."""
    wrap = len(table) - 1
    slot = np.int64(home_of(key, np.uint64(wrap)))
    while table[slot] != 0 and log[table[slot] - 1, KEY] != key:
        slot = (slot + 1) & wrap
    return int(slot)


@part
def _found(log: Array, table: Array, marks: Array, held: int, indexed: int, key: int) -> int:
    """The place of a key in the log, 0 where it has none; `held` and `indexed` are the marks of the log."""
    for place in range(marks[indexed], marks[held]):
        table[_slot(log, table, log[place, KEY])] = place + 1
    marks[indexed] = marks[held]
    return int(table[_slot(log, table, key)])


@part
def _before(log: Array, table: Array, latest: Array, marks: Array, of: int, key: int) -> int:
    """The count of a key in the older generation, 0 where it has none."""
    place = latest[of]
    if place == 0 or key > log[place - 1, KEY]:
        return 0
    if key < log[place - 1, KEY]:
        place = _found(log, table, marks, OLD_HELD, OLD_INDEXED, key)
    return int(log[place - 1, COUNT]) if place else 0


@part
def counted(
    log: Array, table: Array, latest: Array, old_log: Array, old_table: Array, old_latest: Array, marks: Array,
    key: int, value: int,
) -> int:  # fmt: skip
    """Add to the count of a key, which begins with that of the older generation; what it has come to. `latest` has the
    place of each instrument's latest millisecond, 0 where there is none. The log and the table have room."""
    of = key >> MILLISECOND_SHIFT
    newest = latest[of]
    place = newest
    if newest and key < log[newest - 1, KEY]:
        place = _found(log, table, marks, YOUNG_HELD, YOUNG_INDEXED, key)
    elif newest and key > log[newest - 1, KEY]:
        place = 0
    if place:
        log[place - 1, COUNT] += value
        return int(log[place - 1, COUNT])
    total = value + _before(old_log, old_table, old_latest, marks, of, key)
    place = marks[YOUNG_HELD]
    log[place, KEY], log[place, COUNT] = key, total
    marks[YOUNG_HELD] = place + 1
    if newest == 0 or key > log[newest - 1, KEY]:
        latest[of] = place + 1
    return total


@entry(*(MATRIX, INTEGERS, INTEGERS), *(MATRIX, INTEGERS, INTEGERS, INTEGERS), *(INTEGERS, INTEGERS, INTEGERS))
def count(
    log: Array, table: Array, latest: Array, old_log: Array, old_table: Array, old_latest: Array, marks: Array,
    keys: Array, values: Array, totals: Array,
) -> int:  # fmt: skip
    """As `counted`, one key after the other; `totals` are the counts then."""
    for number in range(len(keys)):
        totals[number] = counted(
            log, table, latest, old_log, old_table, old_latest, marks, keys[number], values[number]
        )
    return len(keys)
