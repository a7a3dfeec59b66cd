"""Single values of an Arrow body, for compiled code: each is what JSON would have said, or DOUBT.

`column` tells where the values are (telemetry.compiled.cells).
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled import cells
from telemetry.compiled import slots as at
from telemetry.compiled.compiler import part
from telemetry.compiled.doubles import shortest, strip
from telemetry.compiled.memory import WORD_BYTES, double_at, word_at
from telemetry.compiled.tokens import DOUBT
from telemetry.decimals import MAX_DIGITS, MAX_SCALE
from telemetry.frame import Array
from telemetry.times import ABSENT, LATEST, SMALLEST_INTEGER
from telemetry.trade import KINDS, LIQUIDITIES, MAX_TEXT, SIDES

_BLANK = ord(" ")
_ONES, _HIGH_BITS, _NONE = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080), np.uint64(0)
_BLANKS, _DELETES = _ONES * np.uint64(_BLANK), _ONES * np.uint64(0x7F)
_MASKS = np.array([(1 << 8 * size) - 1 for size in range(WORD_BYTES + 1)], np.uint64)  # of so many bytes
LIMIT = 10**MAX_DIGITS
DOUBTFUL = np.int64(-(2**63))  # no value of any column

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
def is_plain(text: Array, start: int, length: int) -> bool:
    """Whether all characters are ASCII and printable."""
    marks, words = _NONE, length // WORD_BYTES
    for index in range(words):
        marks |= _marks(word_at(text, start + WORD_BYTES * index))
    rest = length - WORD_BYTES * words
    if rest:
        mask = _MASKS[rest]
        marks |= _marks(word_at(text, start + WORD_BYTES * words) & mask | _BLANKS & ~mask)
    return bool(marks & _HIGH_BITS == _NONE)


@part
def _marks(word: np.uint64) -> np.uint64:
    """The highest bit of some byte where one is no printable ASCII."""
    delete = word ^ _DELETES
    return (word - _BLANKS) & ~word | (delete - _ONES) & ~delete | word


@part
def unsigned_at(text: Array, place: int, width: int) -> np.uint64:
    return word_at(text, place) & _MASKS[width]  # type: ignore[no-any-return]


@part
def integer_at(text: Array, place: int, width: int, is_signed: int) -> int:
    """DOUBTFUL where it does not fit."""
    word = unsigned_at(text, place, width)
    unused = 8 * (WORD_BYTES - width)
    if is_signed:
        return (np.int64(word) << unused) >> unused  # type: ignore[return-value]
    return DOUBTFUL if np.int64(word) < 0 else np.int64(word)  # type: ignore[return-value]


@part
def text_of(text: Array, column: Array, entries: Array, row: int, is_there: bool) -> tuple[int, int]:
    """Start and length of the text of a row; DOUBT as length."""
    width = column[cells.WIDTH]
    place = column[cells.VALUES] + width * row
    if column[cells.KIND] == cells.CODED:
        if not is_there:
            return 0, 0
        code = integer_at(text, place, width, column[cells.IS_SIGNED])
        if code < 0 or code >= column[cells.COUNT]:
            return 0, DOUBT
        known = 2 * (column[cells.ENTRIES] + code)
        return entries[known], entries[known + 1]
    start, end = np.int64(unsigned_at(text, place, width)), np.int64(unsigned_at(text, place + width, width))
    length = end - start
    if not (0 <= start <= end <= column[cells.BLOB_END] - column[cells.BLOB]) or length > MAX_TEXT:
        return 0, DOUBT
    if not is_there and length > 0:
        return 0, DOUBT
    start += column[cells.BLOB]
    return (start, length) if is_plain(text, int(start), int(length)) else (0, DOUBT)  # type: ignore[return-value]


@part
def choice(text: Array, start: int, length: int, field: int) -> int:
    if length > WORD_BYTES:
        return DOUBT
    word = word_at(text, start) & _MASKS[length]
    for code in range(_MOST_CHOICES):
        choice = field * _MOST_CHOICES + code
        if length == _LENGTHS[choice] and word == _WORDS[choice]:
            return code
    return DOUBT


@part
def decimal_of(text: Array, column: Array, row: int) -> tuple[int, int]:
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
        mantissa, scale = integer_at(text, place, width, column[cells.IS_SIGNED]), 0
    return (mantissa, scale) if -LIMIT < mantissa < LIMIT and scale <= MAX_SCALE else (0, DOUBT)


@part
def time_of(text: Array, column: Array, row: int) -> int:
    """ABSENT where it is not certain."""
    width = column[cells.WIDTH]
    value = integer_at(text, column[cells.VALUES] + width * row, width, column[cells.IS_SIGNED])
    if column[cells.KIND] == cells.INTEGERS:
        return value if value >= SMALLEST_INTEGER else ABSENT
    factor = column[cells.SCALE]
    most = LATEST // factor
    return value * factor if -most <= value <= most else ABSENT
