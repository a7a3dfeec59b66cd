"""Columns of an Arrow body to checked columns and keys, in one pass over the rows: what scanner does with JSON.

`plan` tells where the columns are (telemetry.compiled.cells); whoever made it has seen that all values, offsets and
bits of `count` rows are inside of the body. Offsets and indices are checked here. Behind the last text there are at
least 8 bytes more, the mark of the end. As in scanner, DOUBT is the answer to all that is not certain.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled import cells
from telemetry.compiled import slots as at
from telemetry.compiled.columns import begin_columns, store
from telemetry.compiled.compiler import BYTES, INDICES, INTEGER, INTEGERS, TEXT, UNSIGNED, entry, part
from telemetry.compiled.digests import hash_trade, of_instrument
from telemetry.compiled.doubles import shortest, strip
from telemetry.compiled.instruments import clear, code_of, size_of_table
from telemetry.compiled.memory import WORD_BYTES, behind, double_at, pointer, word_at
from telemetry.compiled.tokens import DOUBT
from telemetry.decimals import MAX_DIGITS, MAX_SCALE
from telemetry.frame import Array
from telemetry.times import ABSENT, LATEST, SMALLEST_INTEGER
from telemetry.trade import KINDS, LIQUIDITIES, MAX_TEXT, SIDES

_TABLE = len(at.TEXT_COLUMNS) + 1
_REQUIRED = 1 << at.SYMBOL | 1 << at.PRICE | 1 << at.QUANTITY
_BLANK = ord(" ")
_ONES, _HIGH_BITS, _NONE = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080), np.uint64(0)
_BLANKS, _DELETES = _ONES * np.uint64(_BLANK), _ONES * np.uint64(0x7F)
_MASKS = np.array([(1 << 8 * size) - 1 for size in range(WORD_BYTES + 1)], np.uint64)  # of so many bytes
_LIMIT = 10**MAX_DIGITS
_DOUBTFUL = np.int64(-(2**63))  # no value of any column

# The words that a field may have; the code of each is its place. Those that are longer than a word are not.
_MOST_CHOICES = 4
_CHOICES = {at.SIDE: SIDES, at.KIND: ("", *KINDS), at.ACTION: ("new",), at.LIQUIDITY: ("", *LIQUIDITIES)}
_WORDS = np.zeros(len(at.FIELDS) * _MOST_CHOICES, np.uint64)
_LENGTHS = np.full(len(at.FIELDS) * _MOST_CHOICES, -1)
for _field, _texts in _CHOICES.items():
    for _code, _text in enumerate(_texts):
        if _text or _field == at.LIQUIDITY:
            _WORDS[_field * _MOST_CHOICES + _code] = int.from_bytes(_text.encode(), "little")
            _LENGTHS[_field * _MOST_CHOICES + _code] = len(_text)


@part
def _is_plain(text: Array, start: int, length: int) -> bool:
    """Whether all characters are ASCII and printable."""
    end = start + length
    while start < end:
        mask = _MASKS[min(WORD_BYTES, end - start)]
        word = word_at(text, start) & mask | _BLANKS & ~mask
        delete = word ^ _DELETES
        marks = (word - _BLANKS) & ~word | (delete - _ONES) & ~delete | word
        if marks & _HIGH_BITS != _NONE:
            return False
        start += WORD_BYTES
    return True


@part
def _unsigned_at(text: Array, place: int, width: int) -> np.uint64:
    return word_at(text, place) & _MASKS[width]  # type: ignore[no-any-return]


@part
def _integer_at(text: Array, place: int, width: int, is_signed: int) -> int:
    """_DOUBTFUL where it does not fit."""
    word = _unsigned_at(text, place, width)
    unused = 8 * (WORD_BYTES - width)
    if is_signed:
        return (np.int64(word) << unused) >> unused  # type: ignore[return-value]
    return _DOUBTFUL if np.int64(word) < 0 else np.int64(word)  # type: ignore[return-value]


@entry(TEXT, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGERS, INTEGER)
def find_entries(
    body: Array, offsets: int, width: int, blob: int, blob_end: int, count: int, entries: Array, first: int
) -> int:
    """Start and length of each text of a dictionary, from 2 * `first` on; 0, or DOUBT where one is not plain."""
    text, out = pointer(body), pointer(entries)
    end = np.int64(_unsigned_at(text, offsets, width))
    for row in range(count):
        start, end = end, np.int64(_unsigned_at(text, offsets + width * (row + 1), width))
        if not (0 <= start <= end <= blob_end - blob) or end - start > MAX_TEXT:
            return DOUBT
        if not _is_plain(text, int(blob + start), int(end - start)):
            return DOUBT
        out[2 * (first + row)], out[2 * (first + row) + 1] = blob + start, end - start
    return 0


@part
def _text_of(text: Array, column: Array, entries: Array, row: int, is_there: bool) -> tuple[int, int]:
    """Start and length of the text of a row; DOUBT as length."""
    width = column[cells.WIDTH]
    place = column[cells.VALUES] + width * row
    if column[cells.KIND] == cells.CODED:
        if not is_there:
            return 0, 0
        code = _integer_at(text, place, width, column[cells.IS_SIGNED])
        if code < 0 or code >= column[cells.COUNT]:
            return 0, DOUBT
        known = 2 * (column[cells.ENTRIES] + code)
        return entries[known], entries[known + 1]
    start, end = np.int64(_unsigned_at(text, place, width)), np.int64(_unsigned_at(text, place + width, width))
    length = end - start
    if not (0 <= start <= end <= column[cells.BLOB_END] - column[cells.BLOB]) or length > MAX_TEXT:
        return 0, DOUBT
    if not is_there and length > 0:
        return 0, DOUBT
    start += column[cells.BLOB]
    return (start, length) if _is_plain(text, int(start), int(length)) else (0, DOUBT)  # type: ignore[return-value]


@part
def _choice(text: Array, start: int, length: int, field: int) -> int:
    if length > WORD_BYTES:
        return DOUBT
    word = word_at(text, start) & _MASKS[length]
    for code in range(_MOST_CHOICES):
        choice = field * _MOST_CHOICES + code
        if length == _LENGTHS[choice] and word == _WORDS[choice]:
            return code
    return DOUBT


@part
def _decimal_of(text: Array, column: Array, row: int) -> tuple[int, int]:
    """Canonical mantissa and scale; a scale of DOUBT where it is not certain."""
    kind, width = column[cells.KIND], column[cells.WIDTH]
    place = column[cells.VALUES] + width * row
    if kind == cells.DOUBLES:
        mantissa, scale = shortest(double_at(text, place))
    elif kind == cells.DECIMALS:
        mantissa, sign = int(np.int64(word_at(text, place))), np.int64(word_at(text, place + WORD_BYTES))
        if sign != mantissa >> 63:
            return 0, DOUBT
        mantissa, scale = strip(mantissa, column[cells.SCALE])
    else:
        mantissa, scale = _integer_at(text, place, width, column[cells.IS_SIGNED]), 0
    return (mantissa, scale) if -_LIMIT < mantissa < _LIMIT and scale <= MAX_SCALE else (0, DOUBT)


@part
def _time_of(text: Array, column: Array, row: int) -> int:
    """ABSENT where it is not certain."""
    width = column[cells.WIDTH]
    value = _integer_at(text, column[cells.VALUES] + width * row, width, column[cells.IS_SIGNED])
    if column[cells.KIND] == cells.INTEGERS:
        return value if value >= SMALLEST_INTEGER else ABSENT
    factor = column[cells.SCALE]
    most = LATEST // factor
    return value * factor if -most <= value <= most else ABSENT


@part
def _store_text(text: Array, column: Array, entries: Array, row: int, is_there: bool, slots: Array) -> int:
    slot = column[cells.SLOT]
    field = slot >> 1
    start, length = _text_of(text, column, entries, row, is_there)
    if length == DOUBT:
        return DOUBT
    if at.LIQUIDITY <= field <= at.ACTION and is_there:
        code = _choice(text, start, length, field)
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
        mantissa, scale = _decimal_of(text, column, row)
        slots[slot], slots[slot + 1] = mantissa, scale
        return 0 if scale >= 0 else DOUBT
    if field <= at.ORDER_SENT_AT:
        value = _time_of(text, column, row)
    else:
        width = column[cells.WIDTH]
        value = _integer_at(text, column[cells.VALUES] + width * row, width, column[cells.IS_SIGNED])
    slots[slot] = value
    return DOUBT if value == ABSENT else 0


@part
def _obeys_rules(text: Array, slots: Array) -> bool:
    """What no value alone can tell; completes the kind."""
    start, length = slots[2 * at.SYMBOL], slots[2 * at.SYMBOL + 1]
    if length == 0 or text[start] == _BLANK or text[start + length - 1] == _BLANK:
        return False
    if slots[2 * at.KIND] == 0:
        is_ours = slots[2 * at.ACCOUNT + 1] > 0 or slots[2 * at.ORDER_ID + 1] > 0
        slots[2 * at.KIND] = at.FILL if is_ours else at.PRINT
    return slots[2 * at.QUANTITY] > 0 and slots[2 * at.MULTIPLIER] > 0  # type: ignore[no-any-return]


@part
def _row(text: Array, plan: Array, columns: int, entries: Array, row: int, slots: Array) -> bool:
    """One row over the one before: only what may be absent now is set to what stands for that."""
    slots[2 * at.KIND] = 0
    for index in range(columns):
        column = behind(plan, index * cells.SIZE)
        if column[cells.VALID] >= 0:
            slot = column[cells.SLOT]
            slots[slot], slots[slot + 1] = at.DEFAULTS[slot], at.DEFAULTS[slot + 1]
        if _cell(text, column, entries, row, slots) == DOUBT:
            return False
    return _obeys_rules(text, slots)


@part
def _begin(slots: Array, plan: Array, columns: int) -> None:
    """Slots that all trades begin with."""
    for slot in range(at.RESULT):
        slots[slot] = at.DEFAULTS[slot] if slot < at.SEEN else 0
    for index in range(columns):
        slots[at.SEEN] |= 1 << (plan[index * cells.SIZE + cells.SLOT] >> 1)


@entry(TEXT, INTEGERS, INTEGERS, INTEGER, UNSIGNED, INTEGER, INTEGER, INTEGERS, INDICES, UNSIGNED, BYTES)
def read_rows(
    body: Array,
    plan: Array,
    entries: Array,
    columns: int,
    words: Array,
    count: int,
    capacity: int,
    integers: Array,
    indices: Array,
    digests: Array,
    small: Array,
) -> int:
    """All `count` rows of so many columns, as scan_columns leaves those of JSON; how many, or DOUBT."""
    text, slots, random = pointer(body), pointer(integers), pointer(words)
    values = behind(slots, at.RESULT + at.FOLLOWS)
    places, hashes, octets = pointer(indices), pointer(digests), pointer(small)
    known = behind(values, len(at.INTEGER_COLUMNS) * capacity)
    sums = behind(hashes, at.DIGESTS * capacity)
    table, table_size = behind(places, _TABLE * capacity), size_of_table(count)
    _begin(slots, pointer(plan), columns)
    begin_columns(slots[at.SEEN], 0, capacity, values, octets)
    clear(table, table_size)
    for row in range(count):
        if not _row(text, pointer(plan), columns, pointer(entries), row, slots):
            return DOUBT
        code = code_of(text, slots, table, table_size, known, slots[at.KNOWN])
        if code == DOUBT:
            return DOUBT
        if code == slots[at.KNOWN]:
            of_instrument(text, slots, random, behind(sums, at.SUMS * code))
            texts = slots[2 * at.VENUE + 1] + slots[2 * at.SYMBOL + 1] + slots[2 * at.CURRENCY + 1]
            slots[at.RECORDS] += at.RECORD + texts
            slots[at.KNOWN] += 1
        store(slots, row, capacity, values, octets, places, code)
        digest = behind(hashes, 2 * row)
        hashes[2 * capacity + row] = hash_trade(text, slots, random, behind(sums, at.SUMS * code), digest)
    return count
