"""Single values of a trade in JSON, for compiled code: from the bytes of the body into slots of integers.

Every function takes the place where a value begins and gives the place behind it, or DOUBT (-1) for whatever it does
not know: the reference decides then. The body is followed by PADDING zero bytes. No loop passes a zero and nothing
looks more than PADDING bytes ahead of a byte that it knows, so nothing reads beyond the end.

A field has two slots, at 2 * field: start and length of a text, mantissa and scale of a decimal, or one integer.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled.compiler import part
from telemetry.compiled.memory import PLAIN_BYTES, WORD_BYTES, plain_size, trailing_zeros, word_at
from telemetry.decimals import MAX_DIGITS, MAX_SCALE
from telemetry.frame import Array
from telemetry.trade import MAX_TEXT

PADDING = 64
DOUBT = -1

_QUOTE, _MINUS, _PLUS, _DOT, _ZERO, _COLON, _BLANK, _DELETE = b'"-+.0: \x7f'
_T, _Z, _E, _LOWER = ord("t"), ord("z"), ord("e"), 0x20
_C1_LEAD, _C1_END = 0xC2, 0xA0  # UTF-8 of U+0080 to U+009F is C2 80 to C2 9F
_IS_PLAIN = np.array([code >= _BLANK and code not in b'"\\\x7f' for code in range(256)])
_ONES, _HIGH_BITS, _NONE = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080), np.uint64(0)
_ZEROS, _LOW_BITS = _ONES * np.uint64(_ZERO), np.uint64(0x7F7F7F7F7F7F7F7F)
_ABOVE_NINE = _ONES * np.uint64(0x80 - 10)  # takes what is above 9 to bit 7
_WORD_POWER = 10**WORD_BYTES
# From two, four, eight digits in a word to their value: see _eight.
_BY_TWO, _BY_FOUR, _BY_EIGHT = np.uint64(1 + (10 << 8)), np.uint64(1 + (100 << 16)), np.uint64(1 + (10_000 << 32))
_BYTES, _TWOS, _FOURS = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
_ONE, _8, _16, _32 = np.uint64(1), np.uint64(8), np.uint64(16), np.uint64(32)
_NO_DIGIT = 1 << 20  # more than any two or four digits can be
_DIGIT = np.array([code - _ZERO if _ZERO <= code < _ZERO + 10 else _NO_DIGIT for code in range(256)], np.int64)
_POWERS = 10 ** np.arange(MAX_SCALE + 1, dtype=np.int64)
_MONTH_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)
_DAYS_BEFORE = np.concatenate(([0], np.cumsum(_MONTH_DAYS)))
_FIRST_YEAR, _LAST_YEAR = 1678, 2261  # whole years in the range of 64 bit nanoseconds
_DAYS_TO_1970 = 719_162  # from 0001-01-01
_SECOND = 1_000_000_000


@part
def text_at(text: Array, at: int, slots: Array, slot: int) -> int:
    """A text of at most 64 bytes without escapes and control characters. It may still be no UTF-8."""
    if text[at] != _QUOTE:
        return DOUBT
    start = at + 1
    at = start
    size = plain_size(text, at)
    while size == PLAIN_BYTES and at - start < MAX_TEXT:
        at += PLAIN_BYTES
        size = plain_size(text, at)
    at += size
    if text[at] > _DELETE:
        at = _foreign_end(text, at)
    if text[at] != _QUOTE or at - start > MAX_TEXT:
        return DOUBT
    slots[slot] = start
    slots[slot + 1] = at - start
    return at + 1


@part
def _foreign_end(text: Array, at: int) -> int:
    """Where a text ends that is not all ASCII, or what may not be in it."""
    while _IS_PLAIN[text[at]] and not (text[at] == _C1_LEAD and text[at + 1] < _C1_END):
        at += 1
    return at


@part
def decimal_at(text: Array, at: int, slots: Array, slot: int) -> int:
    """A number or the text of one with at most 18 digits behind the leading zeros: canonical mantissa and scale."""
    quoted: bool = text[at] == _QUOTE
    at += quoted
    negative = text[at] == _MINUS
    at += negative
    mantissa, scale, end = _short(text, at)
    if end == DOUBT:
        mantissa, scale, end = _long(text, at)
        if end == DOUBT:
            return DOUBT
    last = end - 1
    while scale > 0 and text[last] == _ZERO:
        mantissa //= 10
        scale -= 1
        last -= 1
    if text[end] | _LOWER == _E:
        mantissa, scale, end = _exponent(text, end + 1, mantissa, scale)
    if end == DOUBT or (quoted and text[end] != _QUOTE):
        return DOUBT
    slots[slot] = -mantissa if negative else mantissa
    slots[slot + 1] = scale
    return end + quoted


@part
def _short(text: Array, at: int) -> tuple[int, int, int]:
    """Mantissa, scale and end of at most eight characters: the digits behind the dot are put next to those before it.
    DOUBT as the end of what is no such number, or longer."""
    word = word_at(text, at) ^ _ZEROS
    others = ((word & _LOW_BITS) + _ABOVE_NINE | word) & _HIGH_BITS
    whole = trailing_zeros(others) >> 3 if others != _NONE else WORD_BYTES
    if whole == 0 or whole >= WORD_BYTES - 1 or (whole > 1 and text[at] == _ZERO):
        return 0, 0, DOUBT
    size, end = whole, at + whole
    if text[end] == _DOT:
        rest = others & (others - _ONE)
        size = trailing_zeros(rest) >> 3 if rest != _NONE else WORD_BYTES
        end = at + size
        size -= 1
        if size == whole or (rest == _NONE and _DIGIT[text[end]] != _NO_DIGIT):
            return 0, 0, DOUBT
        before = (_ONE << np.uint64(8 * whole)) - _ONE
        word = word & before | word >> _8 & ~before
    return _eight(word << np.uint64(64 - 8 * size)), size - whole, end


@part
def _long(text: Array, at: int) -> tuple[int, int, int]:
    """As _short, of any length."""
    start = at + (text[at] == _ZERO)
    mantissa, end = _digits(text, start, 0)
    size = end - start
    if (start > at) == (size > 0):  # 0 before another digit, or no digit
        return 0, 0, DOUBT
    scale = 0
    if text[end] == _DOT:
        start = end + 1
        mantissa, end = _digits(text, start, mantissa)
        scale = end - start
        size += scale
    is_one = size <= MAX_DIGITS and (scale > 0 or text[end - 1] != _DOT)
    return mantissa, scale, end if is_one else DOUBT


@part
def _digits(text: Array, at: int, value: int) -> tuple[int, int]:
    """The digits from `at` on behind those of `value`, and where they end. More than 18 overflow silently."""
    while True:
        word = word_at(text, at) ^ _ZEROS
        others = ((word & _LOW_BITS) + _ABOVE_NINE | word) & _HIGH_BITS
        if others != _NONE:
            break
        value = value * _WORD_POWER + _eight(word)
        at += WORD_BYTES
    count = trailing_zeros(others) >> 3
    if count > 0:  # the digits to the end of the word, with zeros before them
        value = value * _POWERS[count] + _eight(word << np.uint64(64 - 8 * count))
    return value, at + count


@part
def _eight(word: np.uint64) -> int:
    """The value of eight digits (0 to 9 in each byte, the first one in the lowest): neighbours are put together, to
    numbers of two, of four and of eight digits. D. Lemire, "Quickly parsing eight digits", 2018."""
    twos = ((word & _BYTES) * _BY_TWO >> _8) & _TWOS
    fours = (twos * _BY_FOUR >> _16) & _FOURS
    return np.int64(fours * _BY_EIGHT >> _32)  # type: ignore[return-value]  # numba's integers are one type


@part
def _exponent(text: Array, at: int, mantissa: int, scale: int) -> tuple[int, int, int]:
    negative = text[at] == _MINUS
    at += negative or text[at] == _PLUS
    size, end = _digits(text, at, 0)
    if not 1 <= end - at <= 2:
        return 0, 0, DOUBT
    if mantissa == 0:
        return 0, 0, end
    scale += size if negative else -size
    while mantissa % 10 == 0:
        mantissa //= 10
        scale -= 1
    if scale > MAX_SCALE or -scale > MAX_DIGITS or (scale < 0 and mantissa >= _POWERS[MAX_DIGITS + scale]):
        return 0, 0, DOUBT
    return (mantissa * _POWERS[-scale], 0, end) if scale < 0 else (mantissa, scale, end)


@part
def time_at(text: Array, at: int, slots: Array, slot: int) -> int:
    """RFC 3339 with at most nine decimals, or an integer of 18 or 19 digits: nanoseconds."""
    return _rfc3339(text, at + 1, slots, slot) if text[at] == _QUOTE else _nanoseconds(text, at, slots, slot)


@part
def _nanoseconds(text: Array, at: int, slots: Array, slot: int) -> int:
    value, end = _digits(text, at, 0)
    if not 18 <= end - at <= 19 or text[at] == _ZERO or value < 0:  # of 19 digits, what passes 2^63 wraps once
        return DOUBT
    slots[slot] = value
    return end


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
    value: int = _DIGIT[text[at]] * 10 + _DIGIT[text[at + 1]]
    return value


@part
def _fraction(text: Array, at: int) -> tuple[int, int]:
    if text[at] != _DOT:
        return 0, at
    value, end = _digits(text, at + 1, 0)
    size = end - at - 1
    return (value * _POWERS[9 - size], end) if 1 <= size <= 9 else (0, DOUBT)


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


@part
def integer_at(text: Array, at: int, slots: Array, slot: int) -> int:
    """An integer of at most 18 digits."""
    end = _integer_end(text, at)
    negative = text[at] == _MINUS
    if end == DOUBT or end - at - negative > MAX_DIGITS:
        return DOUBT
    value, end = _digits(text, at + negative, 0)
    slots[slot] = -value if negative else value
    return end


@part
def identifier_at(text: Array, at: int, slots: Array, slot: int) -> int:
    """A text, or an integer of at most 64 characters as its digits."""
    if text[at] == _QUOTE:
        return text_at(text, at, slots, slot)
    end = _integer_end(text, at)
    if end == DOUBT or end - at > MAX_TEXT or (text[at] == _MINUS and text[at + 1] == _ZERO):
        return DOUBT
    slots[slot] = at
    slots[slot + 1] = end - at
    return end


@part
def _integer_end(text: Array, at: int) -> int:
    start = at + (text[at] == _MINUS)
    end = _digits(text, start, 0)[1]
    return DOUBT if end == start or (text[start] == _ZERO and end > start + 1) else end
