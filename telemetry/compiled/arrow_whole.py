"""Columns of an Arrow body that are read one after the other, each in loops of its own: the usual ones, where every row
has a value. What comes out is what telemetry.compiled.columns.store would have left row by row.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled import cells
from telemetry.compiled import slots as at
from telemetry.compiled.arrow_decimals import read_decimals
from telemetry.compiled.arrow_values import choice, integer_at, is_plain, time_of, unsigned_at
from telemetry.compiled.compiler import part
from telemetry.compiled.doubles import shortest_like
from telemetry.compiled.memory import WORD_BYTES, behind, double_at, half_at, word_at
from telemetry.compiled.tokens import DOUBT
from telemetry.frame import Array
from telemetry.times import ABSENT
from telemetry.trade import MAX_TEXT

LENGTHS = len(at.SMALL_COLUMNS)  # they follow the small columns
_HALF_BYTES, _MOST_BITS = 4, 62
_FIELDS = range(len(at.FIELDS))
# Where the column of a field is among those of its kind, -1 for others.
TEXT_OF = np.array([at.TEXT_COLUMNS.index(2 * f) if 2 * f in at.TEXT_COLUMNS else -1 for f in _FIELDS])
INTEGER_OF = np.array([at.INTEGER_COLUMNS.index(2 * f) if 2 * f in at.INTEGER_COLUMNS else -1 for f in _FIELDS])
SCALE_OF = np.array([at.SMALL_COLUMNS.index(2 * f + 1) if 2 * f + 1 in at.SMALL_COLUMNS else -1 for f in _FIELDS])
_LOADED = np.array([at.ACCOUNT, at.ORDER_ID])  # texts whose length tells more


@part
def read_whole(
    text: Array,
    column: Array,
    entries: Array,
    choices: Array,
    count: int,
    capacity: int,
    values: Array,
    octets: Array,
    places: Array,
    slots: Array,
) -> int:
    """A column of `count` rows that is read whole; 0, or DOUBT. `choices` has room for one integer per entry."""
    field = column[cells.SLOT] >> 1
    if field == at.SIDE:
        return _choices(text, column, entries, choices, count, octets)
    if field < at.SIDE:
        index = TEXT_OF[field]
        starts, lengths = behind(places, index * capacity), behind(octets, (LENGTHS + index) * capacity)
        if column[cells.KIND] == cells.CODED:
            total = _coded(text, column, entries, count, starts, lengths)
        else:
            total = _texts(text, column, count, starts, lengths)
        slots[at.TOTALS + index] += total
        return 0 if total != DOUBT else DOUBT
    index = INTEGER_OF[field]
    numbers = behind(values, index * capacity)
    if index >= at.ALWAYS:
        slots[at.HAVE + index - at.ALWAYS] += count
    if field > at.FEE:
        return _integers(text, column, count, numbers)
    scales = behind(octets, SCALE_OF[field] * capacity)
    if column[cells.KIND] == cells.DOUBLES:
        return _doubles(text, column, count, numbers, scales)
    return read_decimals(text, column[cells.VALUES], column[cells.SCALE], count, numbers, scales)


@part
def load_whole(fields: int, row: int, capacity: int, values: Array, octets: Array, slots: Array) -> None:
    """What these columns (a bit for each field) have for a row, into its slots, as far as it is looked at there."""
    if fields >> at.SIDE & 1:
        slots[2 * at.SIDE] = octets[row]
    for field in range(at.PRICE, at.TIMESTAMP + 1):
        if fields >> field & 1:
            slots[2 * field] = values[INTEGER_OF[field] * capacity + row]
            if field <= at.FEE:
                slots[2 * field + 1] = octets[SCALE_OF[field] * capacity + row]
    for field in _LOADED:
        if fields >> field & 1:
            slots[2 * field + 1] = octets[(LENGTHS + TEXT_OF[field]) * capacity + row]


@part
def indices_of(column: Array) -> int:
    """How many indices are valid: read without their sign, those that are negative are beyond it."""
    bits = 8 * column[cells.WIDTH] - column[cells.IS_SIGNED]
    return int(min(column[cells.COUNT], 1 << min(bits, _MOST_BITS)))


@part
def _choices(text: Array, column: Array, entries: Array, choices: Array, count: int, codes: Array) -> int:
    known, first = behind(choices, column[cells.ENTRIES]), 2 * column[cells.ENTRIES]
    for entry in range(column[cells.COUNT]):
        known[entry] = choice(text, entries[first + 2 * entry], entries[first + 2 * entry + 1], at.SIDE)
    place, width, most = column[cells.VALUES], column[cells.WIDTH], np.uint64(indices_of(column))
    for row in range(count):
        index = unsigned_at(text, place + width * row, width)
        if index >= most or known[index] == DOUBT:
            return DOUBT
        codes[row] = np.uint8(known[index])
    return 0


@part
def _coded(text: Array, column: Array, entries: Array, count: int, starts: Array, lengths: Array) -> int:
    """The sum of the lengths."""
    known, most = behind(entries, 2 * column[cells.ENTRIES]), np.uint64(indices_of(column))
    place, width, total = column[cells.VALUES], column[cells.WIDTH], 0
    for row in range(count):
        index = unsigned_at(text, place + width * row, width)
        if index >= most:
            return DOUBT
        place_of = np.int64(index) << 1
        starts[row], lengths[row] = np.uint32(known[place_of]), np.uint8(known[place_of + 1])
        total += known[place_of + 1]
    return total


@part
def _texts(text: Array, column: Array, count: int, starts: Array, lengths: Array) -> int:
    """The sum of the lengths. The texts follow one another, so one look tells whether all are plain."""
    blob, size = column[cells.BLOB], column[cells.BLOB_END] - column[cells.BLOB]
    place, width = column[cells.VALUES], column[cells.WIDTH]
    first = np.int64(unsigned_at(text, place, width))
    end = np.int64(unsigned_at(text, place + width * count, width))
    if not 0 <= first <= end <= size:
        return DOUBT
    if width == _HALF_BYTES:
        longest = _offsets(text, place, blob, count, starts, lengths)
    else:
        longest = _long_offsets(text, place, blob, count, starts, lengths)
    if longest > MAX_TEXT:
        return DOUBT
    return int(end - first) if is_plain(text, int(blob + first), int(end - first)) else DOUBT


@part
def _offsets(text: Array, place: int, blob: int, count: int, starts: Array, lengths: Array) -> int:
    """Starts and lengths from offsets of 32 bits. The greatest of all lengths without a sign: they ascend where it is
    small."""
    base, longest = np.uint32(blob), np.uint32(0)
    for row in range(count):
        start, end = half_at(text, place + 4 * row), half_at(text, place + 4 * row + 4)
        length = np.uint32(end - start)
        starts[row], lengths[row] = np.uint32(base + start), np.uint8(length)
        longest = max(longest, length)
    return int(longest)


@part
def _long_offsets(text: Array, place: int, blob: int, count: int, starts: Array, lengths: Array) -> int:
    """As _offsets, from those of 64 bits; -1 becomes MAX_TEXT + 1, too."""
    longest = np.int64(0)
    for row in range(count):
        start = np.int64(word_at(text, place + 8 * row))
        length = np.int64(word_at(text, place + 8 * row + 8)) - start
        starts[row], lengths[row] = np.uint32(blob + start), np.uint8(length)
        longest = max(longest, length if length >= 0 else np.int64(MAX_TEXT + 1))
    return int(longest)


@part
def _doubles(text: Array, column: Array, count: int, mantissas: Array, scales: Array) -> int:
    place, most = column[cells.VALUES], 0
    for row in range(count):
        mantissa, scale = shortest_like(double_at(text, place), most)
        if scale < 0:
            return DOUBT
        most = max(most, scale)
        mantissas[row], scales[row] = mantissa, np.uint8(scale)
        place += WORD_BYTES
    return 0


@part
def _integers(text: Array, column: Array, count: int, values: Array) -> int:
    """Times or numbers."""
    width, is_signed, place = column[cells.WIDTH], column[cells.IS_SIGNED], column[cells.VALUES]
    if column[cells.KIND] == cells.TICKS and column[cells.SCALE] == 1:
        return _copied(text, place, count, values)
    is_time = column[cells.SLOT] >> 1 < at.SOURCE_SEQ
    for row in range(count):
        value = time_of(text, column, row) if is_time else integer_at(text, place + width * row, width, is_signed)
        if value == ABSENT:
            return DOUBT
        values[row] = value
    return 0


@part
def _copied(text: Array, place: int, count: int, values: Array) -> int:
    """Nanoseconds."""
    absent = 0
    for row in range(count):
        value = np.int64(word_at(text, place + WORD_BYTES * row))
        absent |= value == ABSENT
        values[row] = value
    return DOUBT if absent else 0
