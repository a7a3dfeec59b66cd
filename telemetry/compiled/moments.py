"""Times in JSON, for compiled code: as telemetry.compiled.tokens, nanoseconds since 1970 into the first slot."""

from __future__ import annotations

import numpy as np

from telemetry.compiled.compiler import part
from telemetry.compiled.memory import WORD_BYTES, trailing_zeros, word_at
from telemetry.compiled.tokens import DIGIT, DOUBT, NONE, POWERS, WORD_POWER, ZEROS, digits, eight, no_digits
from telemetry.frame import Array

_QUOTE, _MINUS, _PLUS, _DOT, _ZERO, _COLON, _BLANK = b'"-+.0: '
_T, _Z, _LOWER = ord("t"), ord("z"), 0x20
_MONTH_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)
_DAYS_BEFORE = np.concatenate(([0], np.cumsum(_MONTH_DAYS)))
_FIRST_YEAR, _LAST_YEAR = 1678, 2261  # whole years in the range of 64 bit nanoseconds
_DAYS_TO_1970 = 719_162  # from 0001-01-01
_SECOND = 1_000_000_000


@part
def time_at(text: Array, at: int, slots: Array, slot: int) -> int:
    """RFC 3339 with at most nine decimals, or an integer of 18 or 19 digits: nanoseconds."""
    return _rfc3339(text, at + 1, slots, slot) if text[at] == _QUOTE else nanoseconds_at(text, at, slots, slot)


@part
def nanoseconds_at(text: Array, at: int, slots: Array, slot: int) -> int:
    """An integer of 18 or 19 digits."""
    first, second = word_at(text, at) ^ ZEROS, word_at(text, at + WORD_BYTES) ^ ZEROS
    third = word_at(text, at + 2 * WORD_BYTES) ^ ZEROS
    others = no_digits(third)
    if no_digits(first) | no_digits(second) != NONE or others == NONE:
        return DOUBT
    count = trailing_zeros(others) >> 3
    if not 2 <= count <= 3 or text[at] == _ZERO:
        return DOUBT
    value = eight(first) * WORD_POWER + eight(second)
    value = value * POWERS[count] + eight(third << np.uint64(64 - 8 * count))
    if value < 0:  # of 19 digits, what passes 2^63 wraps once
        return DOUBT
    slots[slot] = value
    return at + 2 * WORD_BYTES + count  # type: ignore[no-any-return]


@part
def _rfc3339(text: Array, at: int, slots: Array, slot: int) -> int:
    year = _two(text, at) * 100 + _two(text, at + 2)
    month, day = _two(text, at + 5), _two(text, at + 8)
    hour, minute, second = _two(text, at + 11), _two(text, at + 14), _two(text, at + 17)
    if not (_FIRST_YEAR <= year <= _LAST_YEAR and 1 <= month <= 12 and hour < 24 and minute < 60 and second < 60):
        return DOUBT
    if text[at + 4] != _MINUS or text[at + 7] != _MINUS or text[at + 13] != _COLON or text[at + 16] != _COLON:
        return DOUBT
    if text[at + 10] | _LOWER != _T and text[at + 10] != _BLANK:
        return DOUBT
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= day <= _MONTH_DAYS[month - 1] + (leap and month == 2):
        return DOUBT
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400 - _DAYS_TO_1970
    days += _DAYS_BEFORE[month - 1] + (leap and month > 2) + day - 1
    fraction, at = _fraction(text, at + 19)
    if at == DOUBT:
        return DOUBT
    east, at = _offset(text, at)
    if at == DOUBT or text[at] != _QUOTE:
        return DOUBT
    slots[slot] = (days * 86_400 + hour * 3600 + minute * 60 + second - east) * _SECOND + fraction
    return at + 1


@part
def _two(text: Array, at: int) -> int:
    """The value of two digits, more than 99 if they are not."""
    value: int = DIGIT[text[at]] * 10 + DIGIT[text[at + 1]]
    return value


@part
def _fraction(text: Array, at: int) -> tuple[int, int]:
    if text[at] != _DOT:
        return 0, at
    value, end = digits(text, at + 1, 0)
    size = end - at - 1
    return (value * POWERS[9 - size], end) if 1 <= size <= 9 else (0, DOUBT)


@part
def _offset(text: Array, at: int) -> tuple[int, int]:
    """Seconds east of UTC."""
    if text[at] | _LOWER == _Z:
        return 0, at + 1
    hours, minutes = _two(text, at + 1), _two(text, at + 4)
    minus = text[at] == _MINUS
    if not (minus or text[at] == _PLUS) or hours > 23 or minutes > 59 or text[at + 3] != _COLON:
        return 0, DOUBT
    seconds = hours * 3600 + minutes * 60
    return (-seconds if minus else seconds), at + 6
