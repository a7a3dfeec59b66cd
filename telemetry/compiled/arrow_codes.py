"""Codes of instruments for the rows of an Arrow body, for compiled code.

Rows with the same codes in the columns that make the instrument, and in what tells its kind, have the same instrument:
it is looked up by these codes first, as one number, the key.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled import cells
from telemetry.compiled import slots as at
from telemetry.compiled.arrow_rows import read_row
from telemetry.compiled.arrow_values import integer_at, unsigned_at
from telemetry.compiled.arrow_whole import LENGTHS, TEXT_OF, indices_of
from telemetry.compiled.compiler import part
from telemetry.compiled.instruments import code_of
from telemetry.compiled.memory import behind
from telemetry.compiled.tokens import DOUBT
from telemetry.frame import Array

_CODES = len(at.TEXT_COLUMNS)  # they follow the places of the texts
_BLANK = ord(" ")
_NO_KEY = -2
_FACTOR, _TO_MEMO = np.uint64(0x9E3779B97F4A7C15), np.uint64(64 - (cells.MEMO.bit_length() - 1))
MANY = 1 << 32  # more than a key has bits for
_OURS = np.array([at.ACCOUNT, at.ORDER_ID])
Tables = tuple[Array, int, Array]  # where instruments are looked up, its size, and they themselves


@part
def _obeys_rules(text: Array, slots: Array) -> bool:
    """What no value of an instrument alone can tell; completes the kind."""
    start, length = slots[2 * at.SYMBOL], slots[2 * at.SYMBOL + 1]
    if length == 0 or text[start] == _BLANK or text[start + length - 1] == _BLANK:
        return False
    if slots[2 * at.KIND] == 0:
        slots[2 * at.KIND] = at.FILL if _is_ours(slots) else at.PRINT
    return slots[2 * at.MULTIPLIER] > 0  # type: ignore[no-any-return]


@part
def _is_ours(slots: Array) -> bool:
    return slots[2 * at.ACCOUNT + 1] > 0 or slots[2 * at.ORDER_ID + 1] > 0  # type: ignore[no-any-return]


@part
def _key_of(text: Array, columns: Array, count: int, row: int, slots: Array) -> int:
    """What the instrument depends on as one number: the codes of the columns that make it, and what tells its kind
    where that is not given. Negative where one is no code, or the instrument has other columns."""
    key = 0 if count > 0 else _NO_KEY
    for index in range(count):
        column = behind(columns, index * cells.SIZE)
        place = column[cells.VALUES] + column[cells.WIDTH] * row
        code = integer_at(text, place, column[cells.WIDTH], column[cells.IS_SIGNED])
        if code < 0 or code >= column[cells.COUNT]:
            return _NO_KEY
        key = key * column[cells.COUNT] + code
    return 2 * key + _is_ours(slots)


@part
def _instrument(text: Array, slots: Array, tables: Tables) -> int:
    """The code of the instrument in the slots, which is taken up if it is new; or DOUBT."""
    table, size, known = tables
    if not _obeys_rules(text, slots):
        return DOUBT
    code = code_of(text, slots, table, size, known, slots[at.KNOWN])
    if code == slots[at.KNOWN]:
        texts = slots[2 * at.VENUE + 1] + slots[2 * at.SYMBOL + 1] + slots[2 * at.CURRENCY + 1]
        slots[at.RECORDS] += at.RECORD + texts
        slots[at.KNOWN] += 1
    return code


@part
def _learn(
    text: Array,
    slots: Array,
    columns: Array,
    made: int,
    row: int,
    key: int,
    entries: Array,
    memo: Array,
    tables: Tables,
) -> int:
    """The code of the instrument of a row, whose key is not known."""
    if not read_row(text, columns, 0, made, entries, row, slots):
        return DOUBT
    code = _instrument(text, slots, tables)
    place = _place_of(key)
    memo[place], memo[place + 1] = key, code
    return code


@part
def _place_of(key: int) -> int:
    return 2 * np.int64((np.uint64(key) * _FACTOR) >> _TO_MEMO)  # type: ignore[return-value]  # numba's are one type


@part
def code_of_row(
    text: Array, slots: Array, columns: Array, made: int, row: int, entries: Array, memo: Array, tables: Tables
) -> int:
    """The code of the instrument of a row, all of whose other columns are in the slots; `made` columns make it."""
    key = _key_of(text, columns, made, row, slots)
    place = _place_of(key)
    if key >= 0 and memo[place] == key:
        return memo[place + 1]  # type: ignore[no-any-return]
    return _learn(text, slots, columns, made, row, key, entries, memo, tables)


# --- all rows at once, where nothing else is left to be read row by row -------------------------------------------


@part
def keys_of(columns: Array, made: int) -> int:
    """How many keys there may be, or MANY."""
    most = 2
    for index in range(made):
        most = min(MANY, most * columns[index * cells.SIZE + cells.COUNT])
    return most


@part
def _write_keys(
    text: Array, columns: Array, made: int, fields: int, count: int, capacity: int, octets: Array, keys: Array
) -> int:
    """The key of each row; 0, or DOUBT. `fields` has a bit for each column that was read whole."""
    for row in range(count):
        keys[row] = 0
    for index in range(made):
        column = behind(columns, index * cells.SIZE)
        place, width, most = column[cells.VALUES], column[cells.WIDTH], np.uint64(indices_of(column))
        wrong, known = np.int64(0), np.uint64(column[cells.COUNT])
        for row in range(count):
            code = unsigned_at(text, place + width * row, width)
            wrong |= np.int64(code >= most)
            keys[row] = np.uint32(np.uint64(keys[row]) * known + code)
        if wrong:
            return DOUBT
    for row in range(count):
        keys[row] <<= np.uint32(1)
    for field in _OURS:
        if fields >> field & 1:
            lengths = behind(octets, (LENGTHS + TEXT_OF[field]) * capacity)
            for row in range(count):
                keys[row] |= np.uint32(lengths[row] > 0)
    return 0


@part
def write_codes(
    text: Array,
    slots: Array,
    columns: Array,
    made: int,
    fields: int,
    count: int,
    capacity: int,
    octets: Array,
    places: Array,
    entries: Array,
    memo: Array,
    tables: Tables,
) -> int:
    """The code of the instrument of every row; 0, or DOUBT. There are fewer than MANY keys."""
    codes = behind(places, _CODES * capacity)
    if _write_keys(text, columns, made, fields, count, capacity, octets, codes) == DOUBT:
        return DOUBT
    for row in range(count):
        key = np.int64(codes[row])
        place = _place_of(key)  # type: ignore[arg-type]
        code = memo[place + 1]
        if memo[place] != key:
            slots[2 * at.KIND], slots[2 * at.ACCOUNT + 1] = 0, key & 1
            code = _learn(text, slots, columns, made, row, key, entries, memo, tables)  # type: ignore[arg-type]
            if code == DOUBT:
                return DOUBT
        codes[row] = np.uint32(code)
    return 0
