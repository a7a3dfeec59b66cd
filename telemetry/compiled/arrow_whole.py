"""Columns of an Arrow body that are read one after the other, each in a loop of its own: the usual ones, where every
row has a value. What comes out is what telemetry.compiled.columns.store would have left row by row.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled import cells
from telemetry.compiled import slots as at
from telemetry.compiled.arrow_values import LIMIT, choice, integer_at, is_plain, time_of, unsigned_at
from telemetry.compiled.compiler import part
from telemetry.compiled.doubles import shortest_like, strip
from telemetry.compiled.memory import WORD_BYTES, behind, double_at, word_at
from telemetry.compiled.tokens import DOUBT
from telemetry.decimals import MAX_SCALE
from telemetry.frame import Array
from telemetry.times import ABSENT
from telemetry.trade import MAX_TEXT

_LENGTHS = len(at.SMALL_COLUMNS)  # they follow the small columns
_TRADE_ID, _ACCOUNT = (at.TEXT_COLUMNS.index(2 * field) for field in (at.TRADE_ID, at.ACCOUNT))
_SCALES = at.SMALL_COLUMNS.index(2 * at.PRICE + 1)  # of prices, then of quantities
_TIMESTAMPS = at.INTEGER_COLUMNS.index(2 * at.TIMESTAMP)


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
    """A column of `count` rows that cells.IS_WHOLE has; 0, or DOUBT. `choices` has room for one integer per entry."""
    field = column[cells.SLOT] >> 1
    if field == at.SIDE:
        return _choices(text, column, entries, choices, count, octets)
    if field == at.TIMESTAMP:
        return _times(text, column, count, behind(values, _TIMESTAMPS * capacity))
    if field == at.PRICE or field == at.QUANTITY:
        index = field - at.PRICE
        mantissas, scales = behind(values, index * capacity), behind(octets, (_SCALES + index) * capacity)
        if column[cells.KIND] == cells.DOUBLES:
            return _doubles(text, column, count, mantissas, scales)
        return _decimals(text, column, count, mantissas, scales)
    index = _TRADE_ID if field == at.TRADE_ID else _ACCOUNT
    starts, lengths = behind(places, index * capacity), behind(octets, (_LENGTHS + index) * capacity)
    if column[cells.KIND] == cells.CODED:
        total = _coded(text, column, entries, count, starts, lengths)
    else:
        total = _texts(text, column, count, starts, lengths)
    if total == DOUBT:
        return DOUBT
    slots[at.TOTALS + index] += total
    return 0


@part
def load_whole(fields: int, row: int, capacity: int, values: Array, octets: Array, places: Array, slots: Array) -> None:
    """What these columns (a bit for each field) have for a row, into its slots."""
    if fields >> at.SIDE & 1:
        slots[2 * at.SIDE] = octets[row]
    if fields >> at.PRICE & 1:
        slots[2 * at.PRICE], slots[2 * at.PRICE + 1] = values[row], octets[_SCALES * capacity + row]
    if fields >> at.QUANTITY & 1:
        slots[2 * at.QUANTITY] = values[capacity + row]
        slots[2 * at.QUANTITY + 1] = octets[(_SCALES + 1) * capacity + row]
    if fields >> at.TIMESTAMP & 1:
        slots[2 * at.TIMESTAMP] = values[_TIMESTAMPS * capacity + row]
    if fields >> at.TRADE_ID & 1:
        slots[2 * at.TRADE_ID] = places[_TRADE_ID * capacity + row]
        slots[2 * at.TRADE_ID + 1] = octets[(_LENGTHS + _TRADE_ID) * capacity + row]
    if fields >> at.ACCOUNT & 1:
        slots[2 * at.ACCOUNT] = places[_ACCOUNT * capacity + row]
        slots[2 * at.ACCOUNT + 1] = octets[(_LENGTHS + _ACCOUNT) * capacity + row]


@part
def _choices(text: Array, column: Array, entries: Array, choices: Array, count: int, codes: Array) -> int:
    first = column[cells.ENTRIES]
    for entry in range(first, first + column[cells.COUNT]):
        choices[entry] = choice(text, entries[2 * entry], entries[2 * entry + 1], at.SIDE)
    place, width, is_signed, most = (
        column[cells.VALUES],
        column[cells.WIDTH],
        column[cells.IS_SIGNED],
        column[cells.COUNT],
    )
    for row in range(count):
        index = integer_at(text, place, width, is_signed)
        place += width
        if index < 0 or index >= most or choices[first + index] == DOUBT:
            return DOUBT
        codes[row] = np.uint8(choices[first + index])
    return 0


@part
def _coded(text: Array, column: Array, entries: Array, count: int, starts: Array, lengths: Array) -> int:
    """The sum of the lengths."""
    known, most = behind(entries, 2 * column[cells.ENTRIES]), column[cells.COUNT]
    place, width, is_signed, total = column[cells.VALUES], column[cells.WIDTH], column[cells.IS_SIGNED], 0
    for row in range(count):
        index = integer_at(text, place, width, is_signed)
        place += width
        if index < 0 or index >= most:
            return DOUBT
        starts[row], lengths[row] = np.uint32(known[2 * index]), np.uint8(known[2 * index + 1])
        total += known[2 * index + 1]
    return total


@part
def _texts(text: Array, column: Array, count: int, starts: Array, lengths: Array) -> int:
    """The sum of the lengths. The texts follow one another, so one look tells whether all are plain."""
    blob, size = column[cells.BLOB], column[cells.BLOB_END] - column[cells.BLOB]
    place, width = column[cells.VALUES], column[cells.WIDTH]
    first = end = np.int64(unsigned_at(text, place, width))
    if first < 0:
        return DOUBT
    for row in range(count):
        place += width
        start, end = end, np.int64(unsigned_at(text, place, width))
        if not start <= end <= size or end - start > MAX_TEXT:
            return DOUBT
        starts[row], lengths[row] = np.uint32(blob + start), np.uint8(end - start)
    return int(end - first) if is_plain(text, int(blob + first), int(end - first)) else DOUBT


@part
def _decimals(text: Array, column: Array, count: int, mantissas: Array, scales: Array) -> int:
    """Those of 128 bits."""
    place, written = column[cells.VALUES], column[cells.SCALE]
    for row in range(count):
        value = np.int64(word_at(text, place))
        if np.int64(word_at(text, place + WORD_BYTES)) != value >> 63:
            return DOUBT
        mantissa, scale = strip(value, written)  # type: ignore[arg-type]  # numba's integers are one type
        if not -LIMIT < mantissa < LIMIT or scale > MAX_SCALE:
            return DOUBT
        mantissas[row], scales[row] = mantissa, np.uint8(scale)
        place += 2 * WORD_BYTES
    return 0


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
def _times(text: Array, column: Array, count: int, times: Array) -> int:
    for row in range(count):
        value = time_of(text, column, row)
        if value == ABSENT:
            return DOUBT
        times[row] = value
    return 0
