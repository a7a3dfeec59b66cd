"""Columns of an Arrow body to checked columns and keys: what scanner does with JSON.

`plan` tells where the columns are (telemetry.compiled.cells); whoever made it has seen that all values, offsets and
bits of `count` rows are inside of the body. Offsets and indices are checked here. Behind the last text there are at
least 8 bytes more, the mark of the end. As in scanner, DOUBT is the answer to all that is not certain.

The usual columns are read whole, one after the other (arrow_whole); then one pass over the rows reads what is left,
and hashes. Rows with the same codes in the columns that make the instrument have the same instrument: it is looked up
by these codes first.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled import cells
from telemetry.compiled import slots as at
from telemetry.compiled.arrow_values import choice, decimal_of, integer_at, is_plain, text_of, time_of, unsigned_at
from telemetry.compiled.arrow_whole import load_whole, read_whole
from telemetry.compiled.columns import begin_columns, store
from telemetry.compiled.compiler import BYTES, INDICES, INTEGER, INTEGERS, TEXT, entry, part
from telemetry.compiled.instruments import clear, code_of, size_of_table
from telemetry.compiled.memory import behind, pointer
from telemetry.compiled.tokens import DOUBT
from telemetry.frame import Array
from telemetry.times import ABSENT
from telemetry.trade import MAX_TEXT

_TABLE = len(at.TEXT_COLUMNS) + 1
_REQUIRED = 1 << at.SYMBOL | 1 << at.PRICE | 1 << at.QUANTITY
_BLANK = ord(" ")
_NO_KEY = -2
_FACTOR, _TO_MEMO = np.uint64(0x9E3779B97F4A7C15), np.uint64(64 - (cells.MEMO.bit_length() - 1))


@entry(TEXT, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGERS, INTEGER)
def find_entries(
    body: Array, offsets: int, width: int, blob: int, blob_end: int, count: int, entries: Array, first: int
) -> int:
    """Start and length of each text of a dictionary, from 2 * `first` on; 0, or DOUBT where one is not plain."""
    text, out = pointer(body), pointer(entries)
    end = np.int64(unsigned_at(text, offsets, width))
    for row in range(count):
        start, end = end, np.int64(unsigned_at(text, offsets + width * (row + 1), width))
        if not (0 <= start <= end <= blob_end - blob) or end - start > MAX_TEXT:
            return DOUBT
        if not is_plain(text, int(blob + start), int(end - start)):
            return DOUBT
        out[2 * (first + row)], out[2 * (first + row) + 1] = blob + start, end - start
    return 0


@part
def _store_text(text: Array, column: Array, entries: Array, row: int, is_there: bool, slots: Array) -> int:
    slot = column[cells.SLOT]
    field = slot >> 1
    start, length = text_of(text, column, entries, row, is_there)
    if length == DOUBT:
        return DOUBT
    if at.LIQUIDITY <= field <= at.ACTION and is_there:
        code = choice(text, start, length, field)
        if code == DOUBT:
            return DOUBT
        if field != at.LIQUIDITY:
            start = code
    if is_there:
        slots[slot], slots[slot + 1] = start, length
    return 0


@part
def _cell(text: Array, column: Array, entries: Array, row: int, slots: Array) -> int:
    """The value of one row into its slots; DOUBT or 0."""
    slot, valid = column[cells.SLOT], column[cells.VALID]
    is_there = valid < 0 or (text[valid + (row >> 3)] >> (row & 7)) & 1 == 1
    field = slot >> 1
    if not is_there and _REQUIRED >> field & 1:
        return DOUBT
    if field <= at.ACTION:
        return _store_text(text, column, entries, row, is_there, slots)
    if not is_there:
        return 0
    if field <= at.FEE:
        mantissa, scale = decimal_of(text, column, row)
        slots[slot], slots[slot + 1] = mantissa, scale
        return 0 if scale >= 0 else DOUBT
    if field <= at.ORDER_SENT_AT:
        value = time_of(text, column, row)
    else:
        width = column[cells.WIDTH]
        value = integer_at(text, column[cells.VALUES] + width * row, width, column[cells.IS_SIGNED])
    slots[slot] = value
    return DOUBT if value == ABSENT else 0


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
def _row(text: Array, columns: Array, first: int, stop: int, entries: Array, row: int, slots: Array) -> bool:
    """These columns of one row over the one before: only what may be absent now is set to what stands for that."""
    for index in range(first, stop):
        column = behind(columns, index * cells.SIZE)
        if column[cells.VALID] >= 0:
            slot = column[cells.SLOT]
            slots[slot], slots[slot + 1] = at.DEFAULTS[slot], at.DEFAULTS[slot + 1]
        if _cell(text, column, entries, row, slots) == DOUBT:
            return False
    return True


@part
def _begin(slots: Array, columns: Array, count: int, memo: Array) -> None:
    """Slots that all trades begin with."""
    for slot in range(at.RESULT):
        slots[slot] = at.DEFAULTS[slot] if slot < at.SEEN else 0
    for index in range(count):
        slots[at.SEEN] |= 1 << (columns[index * cells.SIZE + cells.SLOT] >> 1)
    for place in range(2 * cells.MEMO):
        memo[place] = -1


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
def _instrument(text: Array, slots: Array, table: Array, table_size: int, known: Array) -> int:
    """The code of the instrument in the slots, which is taken up if it is new; or DOUBT."""
    if not _obeys_rules(text, slots):
        return DOUBT
    code = code_of(text, slots, table, table_size, known, slots[at.KNOWN])
    if code == slots[at.KNOWN]:
        texts = slots[2 * at.VENUE + 1] + slots[2 * at.SYMBOL + 1] + slots[2 * at.CURRENCY + 1]
        slots[at.RECORDS] += at.RECORD + texts
        slots[at.KNOWN] += 1
    return code


@part
def _code_of(
    text: Array,
    slots: Array,
    columns: Array,
    made: int,
    row: int,
    entries: Array,
    memo: Array,
    table: Array,
    table_size: int,
    known: Array,
) -> int:
    """The code of the instrument of a row, all of whose other columns are in the slots; `made` columns make it."""
    key = _key_of(text, columns, made, row, slots)
    place = 2 * np.int64((np.uint64(key) * _FACTOR) >> _TO_MEMO)
    if key >= 0 and memo[place] == key:
        return memo[place + 1]  # type: ignore[no-any-return]
    if not _row(text, columns, 0, made, entries, row, slots):
        return DOUBT
    code = _instrument(text, slots, table, table_size, known)
    memo[place], memo[place + 1] = key, code
    return code


@part
def _whole(
    text: Array,
    columns: Array,
    head: Array,
    entries: Array,
    choices: Array,
    count: int,
    capacity: int,
    values: Array,
    octets: Array,
    places: Array,
    slots: Array,
) -> int:
    """Reads the columns that are read whole: a bit for the field of each; or DOUBT."""
    fields = 0
    for index in range(head[0], head[0] + head[1]):
        column = behind(columns, index * cells.SIZE)
        if read_whole(text, column, entries, choices, count, capacity, values, octets, places, slots) == DOUBT:
            return DOUBT
        fields |= 1 << (column[cells.SLOT] >> 1)
    return fields


@entry(TEXT, INTEGERS, INTEGERS, INTEGER, INTEGER, INTEGERS, INDICES, BYTES)
def read_rows(
    body: Array,
    plan: Array,
    entries: Array,
    count: int,
    capacity: int,
    integers: Array,
    indices: Array,
    small: Array,
) -> int:
    """All `count` rows, as scan_columns leaves those of JSON; how many, or DOUBT. `entries`: see cells.room_for."""
    text, slots, columns = pointer(body), pointer(integers), behind(pointer(plan), cells.HEAD)
    whole, all_columns, all_entries = plan[0] + plan[1], plan[2], plan[3]
    values = behind(slots, at.RESULT + at.FOLLOWS)
    places, octets, found = pointer(indices), pointer(small), pointer(entries)
    known = behind(values, len(at.INTEGER_COLUMNS) * capacity)
    memo = behind(found, 3 * all_entries)
    table, table_size = behind(places, _TABLE * capacity), size_of_table(count)
    _begin(slots, columns, all_columns, memo)
    begin_columns(slots[at.SEEN], 0, capacity, values, octets)
    clear(table, table_size)
    choices = behind(found, 2 * all_entries)
    fields = _whole(text, columns, plan, found, choices, count, capacity, values, octets, places, slots)
    if fields == DOUBT:
        return DOUBT
    slots[at.SEEN] &= ~fields  # their columns are complete
    for row in range(count):
        slots[2 * at.KIND] = 0
        load_whole(fields, row, capacity, values, octets, places, slots)
        if not _row(text, columns, whole, all_columns, found, row, slots) or slots[2 * at.QUANTITY] <= 0:
            return DOUBT
        code = _code_of(text, slots, columns, plan[0], row, found, memo, table, table_size, known)
        if code == DOUBT:
            return DOUBT
        store(slots, row, capacity, values, octets, places, code)
    return count
