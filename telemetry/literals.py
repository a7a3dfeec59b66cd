"""Columns of JSON literals (decimals, times) to integers, all rows at once.

Each row is the bytes of one JSON value. What the array operations do not recognise is read alone with the same
functions that the table of rules uses, so every value accepted here is the value that they give. Anything else raises
Doubt.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from telemetry.decimals import MAX_DIGITS, parse_decimal
from telemetry.frame import I64, U8, Array
from telemetry.pieces import WORD, WORD_BYTES, masks, pieces
from telemetry.trade import RULES

NO_DECIMAL = 255  # scale of a row without a value
_MARGIN = 40  # bytes behind the last row that may be looked at
_MOST_DIGITS = MAX_DIGITS + 1  # of a time; no decimal has more characters either
_MOST_PLACES = 24  # that are read at once: three words of 8
_POWERS = 10 ** np.arange(_MOST_DIGITS + 1, dtype=np.uint64)
_PLACES = np.arange(_MOST_PLACES, dtype=U8)[::-1]  # digits behind each
_EIGHT_PLACES = np.uint64(10**8)
# For every size a value of 8, 16 or 24 bytes that keeps so many at the end.
_LAST = {width: (~masks(width)[::-1].copy().view(WORD)).view(f"V{width}") for width in (8, 16, _MOST_PLACES)}
_QUOTE, _MINUS, _DOT, _ZERO, _LINE = b'"-.0\n'


class Doubt(Exception):
    """The fast reading is not sure; the reference decides."""


def ruled(name: str, value: object) -> str:
    """The text of a field as its rule gives it. Raises Doubt."""
    try:
        text: str = RULES[name](value)
    except ValueError as error:
        raise Doubt(str(error)) from error
    return text


class Literals:
    """The rows of one column: where in `text` each value begins and ends, without the quotes of strings."""

    def __init__(self, text: Array, starts: Array, ends: Array, quoted: Array, missing: int = 0) -> None:
        self.text = text  # with _MARGIN bytes or more behind the last row
        self.starts, self.ends = starts, ends
        self.quoted = quoted  # bool[n]: whether the row is a string
        self.missing = missing  # rows without a value

    @classmethod
    def of(cls, values: Sequence[msgspec.Raw | bytes]) -> Literals:
        """Of JSON values; an empty one was not sent. Raises Doubt."""
        joined = b"\n".join(values) + b"\n" * _MARGIN
        text = np.frombuffer(joined, U8)
        ends = np.flatnonzero(text[: len(joined) - _MARGIN + 1] == _LINE)
        if len(ends) != len(values):
            raise Doubt("an object or array in the place of a value")
        starts = np.empty_like(ends)
        starts[:1] = 0
        starts[1:] = ends[:-1] + 1
        missing = int(np.count_nonzero(starts == ends))  # a JSON value has a byte at least
        quoted = text[starts] == _QUOTE
        return cls(text, starts + quoted, ends - quoted, quoted, missing)

    def __len__(self) -> int:
        return len(self.starts)

    def alone(self, row: int) -> tuple[bool, str] | None:
        """One value: whether it is a string, and its text or literal. None for null and for what was not sent."""
        quoted, token = bool(self.quoted[row]), self.text[self.starts[row] : self.ends[row]].tobytes()
        if not quoted and token in (b"", b"null"):
            return None
        if b"\\" in token or not (quoted or token[0] in b"-0123456789"):
            raise Doubt("an escape, or no value of this kind")
        try:
            return quoted, token.decode()
        except UnicodeDecodeError as error:
            raise Doubt("not UTF-8") from error


def decimals(literals: Literals) -> tuple[Array, Array]:
    """Canonical mantissas (i64) and scales (u8; NO_DECIMAL where there is no value)."""
    text, ends = literals.text, literals.ends
    negative = text[literals.starts] == _MINUS
    starts = literals.starts + negative
    sizes = ends - starts
    characters, whole = _right_aligned(text, sizes, ends)
    digits = characters - _ZERO  # u8: what is no digit wraps to more than 9
    is_digit, is_dot = digits < 10, characters == _DOT
    count, dots = _count(is_digit), _count(is_dot)
    plain = whole & (count + dots == sizes) & (count <= MAX_DIGITS) & (dots <= 1)
    plain &= _starts_and_ends_well(text, starts, ends)
    places = _PLACES[-len(digits) :, None]
    scales: Array = np.add.reduce(places * is_dot.view(U8), axis=0, dtype=U8)
    scales *= plain
    digits *= is_digit
    if np.count_nonzero(dots):
        _close(digits, places >= scales, dots > 0)
    mantissas = _values(digits).view(I64)
    _without_zeros(mantissas, scales, characters)
    np.negative(mantissas, out=mantissas, where=negative)
    for row in np.flatnonzero(~plain).tolist():
        mantissas[row], scales[row] = _decimal(literals, row)
    return mantissas, scales


def _close(digits: Array, before: Array, has_dot: Array) -> None:
    """Moves the digits before the dot to the right by one, so that they stand where it stood."""
    before &= has_dot
    moved = (digits[1:] ^ digits[:-1]) & before[1:].view(U8) * U8.type(0xFF)
    digits[0] *= ~before[0]
    digits[1:] ^= moved


def _without_zeros(mantissas: Array, scales: Array, characters: Array) -> None:
    """Makes them canonical: no zeros at the end of the fraction."""
    rows = np.flatnonzero((characters[-1] == _ZERO) & (scales > 0))
    for line in characters[-2::-1]:
        if not len(rows):
            return
        mantissas[rows] //= 10
        scales[rows] -= 1
        rows = rows[(line.take(rows) == _ZERO) & (scales.take(rows) > 0)]


def _decimal(literals: Literals, row: int) -> tuple[int, int]:
    value = literals.alone(row)
    if value is None:
        return 0, NO_DECIMAL
    try:
        return parse_decimal(value[1])
    except ValueError as error:
        raise Doubt(str(error)) from error


def _right_aligned(text: Array, sizes: Array, ends: Array) -> tuple[Array, Array]:
    """The last characters of each row, one line for each of 8, 16 or 24 places, zeros before the beginning of the row;
    and for which rows that is all of it."""
    width = min(-(-max(1, int(np.maximum.reduce(sizes))) // WORD_BYTES) * WORD_BYTES, _MOST_PLACES)
    starts = ends - width
    whole = sizes <= width
    if int(np.minimum.reduce(starts)) < 0:
        whole &= starts >= 0
        starts = np.maximum(starts, 0)
    taken = pieces(text, starts, width).view(WORD)
    taken &= _LAST[width][np.minimum(sizes, width)].view(WORD)
    return np.ascontiguousarray(taken.view(U8).reshape(-1, width).T), whole


def _count(marks: Array) -> Array:
    """How many marks each row has."""
    counts: Array = np.add.reduce(marks.view(U8), axis=0, dtype=U8)
    return counts


def _starts_and_ends_well(text: Array, starts: Array, ends: Array) -> Array:
    """A digit at both ends, and no 0 before another digit."""
    first, second, last = text.take(starts), text.take(starts + 1), text.take(ends - 1)
    well: Array = (first - _ZERO < 10) & (last - _ZERO < 10) & ~((first == _ZERO) & (second - _ZERO < 10))
    return well


def _values(digits: Array) -> Array:
    """The numbers (u64) that these digits are, of 8, 16 or 24 places: neighbours are put together again and again."""
    twos = digits[::2] * U8.type(10)
    twos += digits[1::2]
    fours = twos[::2] * np.uint16(100)
    fours += twos[1::2]
    eights = fours[::2] * np.uint32(10_000)
    eights += fours[1::2]
    values: Array = eights[0].astype(np.uint64)
    for part in eights[1:]:
        values *= _EIGHT_PLACES
        values += part
    return values


def numbers(literals: Literals) -> Array:
    """Integers (i64) without a sign; no row may be a text. Raises Doubt for every other row."""
    values, good = integers(literals.text, literals.starts, literals.ends)
    if not (good & (literals.ends - literals.starts <= MAX_DIGITS)).all():
        raise Doubt("an integer that is long, or none")
    return values.astype(I64)


def integers(text: Array, starts: Array, ends: Array) -> tuple[Array, Array]:
    """Integers (u64) of at most 19 digits without a sign, and which rows are that."""
    sizes = ends - starts
    characters, good = _right_aligned(text, sizes, ends)
    digits = characters - _ZERO
    is_digit = digits < 10
    digits *= is_digit
    good &= (_count(is_digit) == sizes) & (sizes <= _MOST_DIGITS) & (sizes > 0)
    good &= (text[starts] != _ZERO) | (sizes == 1)
    return _values(digits), good
