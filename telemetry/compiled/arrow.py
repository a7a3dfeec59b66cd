"""Columns of an Arrow body to checked columns: what scanner does with JSON.

`plan` tells where the columns are (telemetry.compiled.cells); whoever made it has seen that all values, offsets and
bits of `count` rows are inside of the body. Offsets and indices are checked here. Behind the last text there are at
least 8 bytes more, the mark of the end. As in scanner, DOUBT is the answer to all that is not certain.

The usual columns are read whole, one after the other (arrow_whole). Where all are read that way, but for those that
make the instrument, that is all, and the instruments are looked up by codes (arrow_codes). Else one pass over the rows
reads what is left.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled import cells
from telemetry.compiled import slots as at
from telemetry.compiled.arrow_codes import MANY, Tables, code_of_row, keys_of, write_codes
from telemetry.compiled.arrow_rows import read_row
from telemetry.compiled.arrow_values import is_plain, unsigned_at
from telemetry.compiled.arrow_whole import load_whole, read_whole
from telemetry.compiled.columns import store
from telemetry.compiled.compiler import BYTES, INDICES, INTEGER, INTEGERS, LONGS, TEXT, entry, part
from telemetry.compiled.instruments import clear, size_of_table
from telemetry.compiled.memory import behind, pointer
from telemetry.compiled.tokens import DOUBT
from telemetry.frame import Array
from telemetry.times import ABSENT
from telemetry.trade import MAX_TEXT

_TABLE = len(at.TEXT_COLUMNS) + 1
_TIMESTAMPS = at.INTEGER_COLUMNS.index(2 * at.TIMESTAMP)
_ENTRIES, _QUANTITIES = len(at.INTEGER_COLUMNS), at.INTEGER_COLUMNS.index(2 * at.QUANTITY)


@part
def _find_entries(text: Array, dictionary: Array, entries: Array) -> int:
    """Start and length of each text of a dictionary; 0, or DOUBT where one is not plain."""
    offsets, width, count = dictionary[0], dictionary[1], dictionary[4]
    blob, blob_end, out = dictionary[2], dictionary[3], behind(entries, 2 * dictionary[5])
    end = np.int64(unsigned_at(text, offsets, width))
    for row in range(count):
        start, end = end, np.int64(unsigned_at(text, offsets + width * (row + 1), width))
        if not (0 <= start <= end <= blob_end - blob) or end - start > MAX_TEXT:
            return DOUBT
        if not is_plain(text, int(blob + start), int(end - start)):
            return DOUBT
        out[2 * row], out[2 * row + 1] = blob + start, end - start
    return 0


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


@part
def _complete(slots: Array, fields: int, count: int, capacity: int, values: Array, octets: Array) -> int:
    """What else every trade has, where all columns were read whole; 0, or DOUBT for a quantity of nothing."""
    if not fields >> at.SIDE & 1:
        for row in range(count):
            octets[row] = 0
    if not fields >> at.TIMESTAMP & 1:
        for row in range(_TIMESTAMPS * capacity, _TIMESTAMPS * capacity + count):
            values[row] = ABSENT
    least = np.int64(1)
    for row in range(_QUANTITIES * capacity, _QUANTITIES * capacity + count):
        least = min(least, values[row])
    return 0 if least > 0 else DOUBT


@part
def _row_by_row(
    text: Array,
    slots: Array,
    columns: Array,
    head: Array,
    fields: int,
    count: int,
    capacity: int,
    values: Array,
    octets: Array,
    places: Array,
    entries: Array,
    memo: Array,
    tables: Tables,
) -> int:
    """The columns that are left, of one row after the other; 0, or DOUBT."""
    slots[at.SEEN] &= ~fields  # their columns are complete
    for row in range(count):
        slots[2 * at.KIND] = 0
        load_whole(fields, row, capacity, values, octets, slots)
        if not read_row(text, columns, head[0] + head[1], head[2], entries, row, slots) or slots[2 * at.QUANTITY] <= 0:
            return DOUBT
        code = code_of_row(text, slots, columns, head[0], row, entries, memo, tables)
        if code == DOUBT:
            return DOUBT
        store(slots, row, capacity, values, octets, places, code)
    return 0


@entry(TEXT, LONGS, INTEGERS, INTEGER, INTEGER, INTEGERS, INDICES, BYTES)
def read_rows(
    body: Array, plan: Array, entries: Array, count: int, capacity: int, integers: Array, indices: Array, small: Array
) -> int:
    """All `count` rows, as scan_columns leaves those of JSON; how many, or DOUBT. `entries`: see cells.room_for."""
    text, slots, head, places, octets = (
        pointer(body),
        pointer(integers),
        pointer(plan),
        pointer(indices),
        pointer(small),
    )
    columns, values, found = behind(head, cells.HEAD), behind(slots, at.RESULT + at.FOLLOWS), pointer(entries)
    for index in range(head[4]):
        dictionary = behind(columns, head[2] * cells.SIZE + index * cells.OF_DICTIONARY)
        if _find_entries(text, dictionary, found) == DOUBT:
            return DOUBT
    choices, memo = behind(found, 2 * head[3]), behind(found, 3 * head[3])
    keys = keys_of(columns, head[0]) if head[0] > 0 else MANY
    tables = (behind(places, _TABLE * capacity), size_of_table(min(keys, count)), behind(values, _ENTRIES * capacity))
    _begin(slots, columns, head[2], memo)
    clear(tables[0], tables[1])
    fields = _whole(text, columns, head, found, choices, count, capacity, values, octets, places, slots)
    if fields == DOUBT:
        return DOUBT
    if head[0] + head[1] == head[2] and keys < MANY:
        if _complete(slots, fields, count, capacity, values, octets) == DOUBT:
            return DOUBT
        end = write_codes(text, slots, columns, head[0], fields, count, capacity, octets, places, found, memo, tables)
    else:
        end = _row_by_row(
            text, slots, columns, head, fields, count, capacity, values, octets, places, found, memo, tables
        )
    return count if end != DOUBT else DOUBT
