"""Columns of JSON literals to instants, all rows at once; see telemetry.literals."""

from __future__ import annotations

import numpy as np

from telemetry.frame import I64, Array
from telemetry.literals import Doubt, Literals, integers
from telemetry.pieces import characters
from telemetry.times import ABSENT, LATEST, SMALLEST_INTEGER, day_number, parse_integer_time, parse_time

_MINUS, _DOT, _ZERO = b"-.0"
_DIGITS = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]  # of YYYY-MM-DDThh:mm:ss


def times(literals: Literals) -> Array:
    """Nanoseconds (i64), ABSENT where there is no value."""
    text, starts, ends, quoted = literals.text, literals.starts, literals.ends, literals.quoted
    if np.count_nonzero(quoted) in (0, len(quoted)):
        result, done = (_rfc3339 if quoted[0] else _integers)(text, starts, ends)
    else:
        result, done = np.full(len(literals), ABSENT, I64), np.zeros(len(literals), bool)
        for rows, reader in ((np.flatnonzero(quoted), _rfc3339), (np.flatnonzero(~quoted), _integers)):
            result[rows], done[rows] = reader(text, starts[rows], ends[rows])
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
    values, good = integers(text, starts, ends)
    good &= (values >= SMALLEST_INTEGER) & (values <= LATEST)
    return values.astype(I64), good


def _rfc3339(text: Array, starts: Array, ends: Array) -> tuple[Array, Array]:
    """Nanoseconds of YYYY-MM-DDThh:mm:ss[.f]Z or with an offset, and which rows are that."""
    head = characters(text, starts, 19)
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
