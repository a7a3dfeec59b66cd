"""Places of the rows that a partial adds to, where each is of its instrument's newest second or a later one: see
gateway.state.newest."""

from __future__ import annotations

from telemetry.compiled.compiler import BYTES, INTEGER, INTEGERS, MATRIX, entry
from telemetry.frame import Array
from telemetry.rows import INSTRUMENT, LEVEL, START


@entry(MATRIX, MATRIX, INTEGER, INTEGER, INTEGER, INTEGERS, INTEGERS)
def look(rows: Array, newest: Array, earliest: int, shift: int, offset: int, keys: Array, at: Array) -> int:
    """The place of each row, of a new one -1, and the keys of the new ones; how many they are. -1 where a row is not
    one of these: it begins before `earliest`, or is older than the newest of its instrument, or is none of a second, or
    nothing is known of its instrument."""
    new = 0
    for number in range(len(rows)):
        of, start = rows[number, INSTRUMENT], rows[number, START]
        if of >= len(newest) or start < earliest or start < newest[of, 0] or rows[number, LEVEL] != 0:
            return -1
        if start == newest[of, 0]:
            at[number] = newest[of, 1]
        else:
            at[number] = -1
            keys[new] = (of << shift) | (start + offset)
            new += 1
    return new


@entry(MATRIX, INTEGERS, MATRIX)
def note(rows: Array, at: Array, newest: Array) -> int:
    """Rows are at these places: what is the newest of their instruments then."""
    for number in range(len(rows)):
        of = rows[number, INSTRUMENT]
        if rows[number, LEVEL] == 0 and rows[number, START] >= newest[of, 0]:
            newest[of, 0], newest[of, 1] = rows[number, START], at[number]
    return len(rows)


@entry(INTEGERS, INTEGERS, INTEGER, BYTES, BYTES)
def place(at: Array, places: Array, page: int, dirty: Array, frozen: Array) -> int:
    """Give the rows without a place these, one after the other; all of their pages are about to be written to. How many
    rows are on a frozen one."""
    new = found = 0
    for number in range(len(at)):
        if at[number] < 0:
            at[number] = places[new]
            new += 1
        dirty[at[number] // page] = 1
        found += frozen[at[number] // page]
    return found
