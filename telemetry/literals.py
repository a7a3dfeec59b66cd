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
from telemetry.times import ABSENT, LATEST, SMALLEST_INTEGER, day_number, parse_integer_time, parse_time
from telemetry.trade import RULES

NO_DECIMAL = 255  # scale of a row without a value
_MARGIN = 40  # bytes behind the last row that may be looked at
_WIDTH = MAX_DIGITS + 1  # characters that are read at once: 18 digits and a dot, or the 19 digits of a time
_POWERS = 10 ** np.arange(_WIDTH + 1, dtype=np.uint64)
_WEIGHTS, _PLACES = _POWERS[_WIDTH - 1 :: -1], np.arange(_WIDTH, dtype=U8)[::-1]  # of these characters
_QUOTE, _MINUS, _DOT, _ZERO, _LINE = b'"-.0\n'
_DIGITS = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]  # of YYYY-MM-DDThh:mm:ss


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
    """The rows of one column. `starts` and `ends` are without the quotes of strings."""

    def __init__(self, values: Sequence[msgspec.Raw | bytes]) -> None:
        self.values = values
        joined = b"\n".join(values) + b"\n" * _MARGIN
        self.text: Array = np.frombuffer(joined, U8)
        ends = np.flatnonzero(self.text[: len(joined) - _MARGIN + 1] == _LINE)
        if len(ends) != len(values):
            raise Doubt("an object or array in the place of a value")
        starts = np.empty_like(ends)
        starts[:1] = 0
        starts[1:] = ends[:-1] + 1
        self.missing = int(np.count_nonzero(starts == ends))  # a JSON value has a byte at least, so: not sent
        self.quoted = self.text[starts] == _QUOTE
        self.starts = starts + self.quoted
        self.ends = ends - self.quoted

    def alone(self, row: int) -> tuple[bool, str] | None:
        """One value: whether it is a string, and its text or literal. None for null and for what was not sent."""
        token = bytes(self.values[row])
        if token in (b"", b"null"):
            return None
        if b"\\" in token or token[0] not in b'"-0123456789':
            raise Doubt("an escape, or no value of this kind")
        try:
            return (True, token[1:-1].decode()) if token[0] == _QUOTE else (False, token.decode())
        except UnicodeDecodeError as error:
            raise Doubt("not UTF-8") from error


def decimals(literals: Literals) -> tuple[Array, Array]:
    """Canonical mantissas (i64) and scales (u8; NO_DECIMAL where there is no value)."""
    text, ends = literals.text, literals.ends
    negative = text[literals.starts] == _MINUS
    starts = literals.starts + negative
    sizes = ends - starts
    characters = _right_aligned(text, sizes, ends, max(1, min(int(sizes.max()), _WIDTH)))
    digits = characters - _ZERO  # u8: what is no digit wraps to more than 9
    is_digit, is_dot = digits < 10, characters == _DOT
    count, dots = _count(is_digit), _count(is_dot)
    plain = (count + dots == sizes) & (count <= MAX_DIGITS) & (dots <= 1) & _starts_and_ends_well(text, starts, ends)
    scales = np.einsum("w,wn->n", _PLACES[-len(digits) :], is_dot.view(U8)) * plain
    digits *= is_digit
    mantissas = _mantissas(digits, scales, dots)
    zeros = np.minimum(_trailing_zeros(characters, dots > 0), scales)
    if zeros.any():
        mantissas //= _POWERS[zeros].view(I64)
        scales -= zeros
    mantissas[negative] *= -1
    for row in np.flatnonzero(~plain).tolist():
        mantissas[row], scales[row] = _decimal(literals, row)
    return mantissas, scales


def _decimal(literals: Literals, row: int) -> tuple[int, int]:
    value = literals.alone(row)
    if value is None:
        return 0, NO_DECIMAL
    try:
        return parse_decimal(value[1])
    except ValueError as error:
        raise Doubt(str(error)) from error


def _right_aligned(text: Array, sizes: Array, ends: Array, width: int) -> Array:
    """The last `width` characters of each row, one line for each place; zeros before the beginning of the row."""
    if (missing := width - int(ends[0])) > 0:  # before the first row, which ends first
        text, ends = np.concatenate((np.zeros(missing, U8), text)), ends + missing
    characters = _characters(text, ends - width, width)
    for place in range(width - min(width, int(sizes.min()))):
        characters[place] *= sizes >= width - place
    return characters


def _characters(text: Array, starts: Array, width: int) -> Array:
    """The `width` characters from each start on, one line for each place."""
    everywhere: Array = np.ndarray((len(text) - width + 1,), f"V{width}", text, 0, (1,))  # a piece begins at each byte
    return np.ascontiguousarray(everywhere[starts].view(U8).reshape(-1, width).T)


def _count(marks: Array) -> Array:
    """How many marks each row has."""
    counts: Array = np.add.reduce(marks.view(U8), axis=0, dtype=U8)
    return counts


def _starts_and_ends_well(text: Array, starts: Array, ends: Array) -> Array:
    """A digit at both ends, and no 0 before another digit."""
    first, second, last = text[starts], text[starts + 1], text[ends - 1]
    well: Array = (first - _ZERO < 10) & (last - _ZERO < 10) & ~((first == _ZERO) & (second - _ZERO < 10))
    return well


def _mantissas(digits: Array, scales: Array, dots: Array) -> Array:
    """The digits without the dot, which stands as another 0 between them."""
    values = _values(digits)
    if dots.any():
        values -= values // _POWERS[scales + 1] * dots * (_POWERS[scales] * np.uint64(9))
    return values.view(I64)


def _values(digits: Array) -> Array:
    """The numbers (u64) that these digits are."""
    values: Array = np.einsum("w,wn->n", _WEIGHTS[-len(digits) :], digits.astype(np.uint64))
    return values


def _trailing_zeros(characters: Array, alive: Array) -> Array:
    count = np.zeros(characters.shape[1], U8)
    for line in characters[::-1]:
        alive = alive & (line == _ZERO)
        if not alive.any():
            break
        count += alive
    return count


def times(literals: Literals) -> Array:
    """Nanoseconds (i64), ABSENT where there is no value."""
    result = np.full(len(literals.values), ABSENT, I64)
    done = np.zeros(len(result), bool)
    for rows, reader in ((np.flatnonzero(literals.quoted), _rfc3339), (np.flatnonzero(~literals.quoted), _integers)):
        if len(rows):
            values, good = reader(literals.text, literals.starts[rows], literals.ends[rows])
            result[rows], done[rows] = values, good
    for row in np.flatnonzero(~done).tolist():
        result[row] = _time(literals, row)
    return result


def _time(literals: Literals, row: int) -> int:
    value = literals.alone(row)
    if value is None:
        return ABSENT
    is_text, text = value
    try:
        return parse_time(text) if is_text else parse_integer_time(text)
    except ValueError as error:
        raise Doubt(str(error)) from error


def _integers(text: Array, starts: Array, ends: Array) -> tuple[Array, Array]:
    """Nanoseconds as 18 or 19 digits, and which rows are that."""
    sizes = ends - starts
    digits = _right_aligned(text, sizes, ends, _WIDTH) - _ZERO
    is_digit = digits < 10
    digits *= is_digit
    values = _values(digits)
    good = (_count(is_digit) == sizes) & (sizes <= _WIDTH) & (text[starts] != _ZERO)
    good &= (values >= SMALLEST_INTEGER) & (values <= LATEST)
    return values.astype(I64), good


def _rfc3339(text: Array, starts: Array, ends: Array) -> tuple[Array, Array]:
    """Nanoseconds of YYYY-MM-DDThh:mm:ss[.f]Z or with an offset, and which rows are that."""
    head = _characters(text, starts, 19)
    digits = (head - _ZERO)[_DIGITS]
    good = (ends - starts >= 20) & (digits < 10).all(axis=0)
    good &= (head[4] == ord("-")) & (head[7] == ord("-")) & (head[13] == ord(":")) & (head[16] == ord(":"))
    good &= (head[10] == ord("T")) | (head[10] == ord(" "))
    d = digits.astype(I64)
    year, month, day = ((d[0] * 10 + d[1]) * 10 + d[2]) * 10 + d[3], d[4] * 10 + d[5], d[6] * 10 + d[7]
    hour, minute, second = d[8] * 10 + d[9], d[10] * 10 + d[11], d[12] * 10 + d[13]
    good &= (year > 1677) & (year < 2262) & (hour < 24) & (minute < 60) & (second < 60)
    offsets, zone_starts, zone_good = _zones(text, ends)
    nanoseconds, fraction_good = _fractions(text, starts + 19, zone_starts)
    good &= zone_good & fraction_good
    days, day_good = _days((year * 100 + month) * 100 + day, good)
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offsets
    return seconds * 1_000_000_000 + nanoseconds, good & day_good


def _zones(text: Array, ends: Array) -> tuple[Array, Array, Array]:
    """Seconds east of UTC, where the zone begins, and which rows have one."""
    is_z = text[ends - 1] == ord("Z")
    if is_z.all():
        return np.zeros(len(ends), I64), ends - 1, is_z
    zone = text[ends + np.arange(-6, 0)[:, None]]
    digits = (zone - _ZERO)[[1, 2, 4, 5]].astype(I64)
    hours, minutes = digits[0] * 10 + digits[1], digits[2] * 10 + digits[3]
    minus = zone[0] == _MINUS
    good = (digits < 10).all(axis=0) & (hours < 24) & (minutes < 60) & (zone[3] == ord(":"))
    good &= minus | (zone[0] == ord("+"))
    seconds = np.where(minus, -1, 1) * (hours * 3600 + minutes * 60)
    return np.where(is_z, 0, seconds), np.where(is_z, ends - 1, ends - 6), is_z | good


def _fractions(text: Array, starts: Array, ends: Array) -> tuple[Array, Array]:
    """Nanoseconds of nothing or of a point and one to nine digits between `starts` and `ends`."""
    sizes = ends - starts - 1  # digits
    characters = text[starts + np.arange(1, 10)[:, None]]
    digits = characters - _ZERO
    used = np.arange(9)[:, None] < sizes
    total = np.zeros(len(starts), I64)
    for line, mask in zip(digits, used, strict=True):
        total = total * 10 + np.where(mask, line, 0)
    good = (sizes == -1) | ((text[starts] == _DOT) & (sizes >= 1) & (sizes <= 9) & ((digits < 10) | ~used).all(axis=0))
    return total, good


def _days(dates: Array, good: Array) -> tuple[Array, Array]:
    """Days since 1970 of dates written as the integer YYYYMMDD; a body has few different ones."""
    first = dates[0]
    distinct, which = ([int(first)], None) if (dates == first).all() else _distinct(dates)
    numbers = [_day(date) for date in distinct]
    days = np.array([0 if number is None else number for number in numbers], I64)
    known = np.array([number is not None for number in numbers], bool)
    if which is None:
        return np.full(len(dates), days[0]), good & known[0]
    return days[which], good & known[which]


def _distinct(dates: Array) -> tuple[list[int], Array]:
    distinct, which = np.unique(dates, return_inverse=True)
    return distinct.tolist(), which


def _day(date: int) -> int | None:
    try:
        return day_number(date // 10_000, date // 100 % 100, date % 100)
    except ValueError:
        return None
