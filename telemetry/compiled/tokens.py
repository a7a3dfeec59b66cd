"""Single values of a trade in JSON, for compiled code: from the bytes of the body into slots of integers.

Every function takes the place where a value begins and gives the place behind it, or DOUBT (-1) for whatever it does
not know: the reference decides then. The body is followed by PADDING zero bytes. No loop passes a zero and nothing
looks more than PADDING bytes ahead of a byte that it knows, so nothing reads beyond the end.

A field has two slots, at 2 * field: start and length of a text, mantissa and scale of a decimal, or one integer.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled.compiler import part
from telemetry.compiled.memory import PLAIN_BYTES, WORD_BYTES, leading_zeros, plain_size, trailing_zeros, word_at
from telemetry.decimals import MAX_DIGITS, MAX_SCALE
from telemetry.frame import Array
from telemetry.trade import MAX_TEXT

PADDING = 64
DOUBT = -1

_QUOTE, _MINUS, _PLUS, _DOT, _ZERO, _BLANK, _DELETE = b'"-+.0 \x7f'
_E, _LOWER = ord("e"), 0x20
_C1_LEAD, _C1_END = 0xC2, 0xA0  # UTF-8 of U+0080 to U+009F is C2 80 to C2 9F
_IS_PLAIN = np.array([code >= _BLANK and code not in b'"\\\x7f' for code in range(256)])
_ONES, _HIGH_BITS, NONE = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080), np.uint64(0)
ZEROS, _LOW_BITS = _ONES * np.uint64(_ZERO), np.uint64(0x7F7F7F7F7F7F7F7F)
_ABOVE_NINE = _ONES * np.uint64(0x80 - 10)  # takes what is above 9 to bit 7
WORD_POWER = 10**WORD_BYTES
# From two, four, eight digits in a word to their value: see eight.
_BY_TWO, _BY_FOUR, _BY_EIGHT = np.uint64(1 + (10 << 8)), np.uint64(1 + (100 << 16)), np.uint64(1 + (10_000 << 32))
_BYTES, _TWOS, _FOURS = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
_ONE, _8, _16, _32 = np.uint64(1), np.uint64(8), np.uint64(16), np.uint64(32)
_NO_DIGIT = 1 << 20  # more than any two or four digits can be
DIGIT = np.array([code - _ZERO if _ZERO <= code < _ZERO + 10 else _NO_DIGIT for code in range(256)], np.int64)
POWERS = 10 ** np.arange(MAX_SCALE + 1, dtype=np.int64)


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
    end = number_at(text, at + quoted, slots, slot)
    if end == DOUBT or (quoted and text[end] != _QUOTE):
        return DOUBT
    return end + quoted


@part
def number_at(text: Array, at: int, slots: Array, slot: int) -> int:
    """As decimal_at, without quotes."""
    negative = text[at] == _MINUS
    at += negative
    mantissa, scale, end = _short(text, at)
    if end == DOUBT:
        mantissa, scale, end = _long(text, at)
        if end == DOUBT:
            return DOUBT
    if text[end] | _LOWER == _E:
        mantissa, scale, end = _exponent(text, end + 1, mantissa, scale)
        if end == DOUBT:
            return DOUBT
    slots[slot] = -mantissa if negative else mantissa
    slots[slot + 1] = scale
    return end


@part
def _short(text: Array, at: int) -> tuple[int, int, int]:
    """Mantissa, scale and end of at most eight characters: the digits behind the dot are put next to those before it.
    DOUBT as the end of what is no such number, or longer."""
    word = word_at(text, at) ^ ZEROS
    others = no_digits(word)
    whole = trailing_zeros(others) >> 3 if others != NONE else WORD_BYTES
    if whole == 0 or whole >= WORD_BYTES - 1 or (whole > 1 and text[at] == _ZERO):
        return 0, 0, DOUBT
    size, end = whole, at + whole
    if text[end] == _DOT:
        rest = others & (others - _ONE)
        size = trailing_zeros(rest) >> 3 if rest != NONE else WORD_BYTES
        end = at + size
        size -= 1
        if size == whole or (rest == NONE and DIGIT[text[end]] != _NO_DIGIT):
            return 0, 0, DOUBT
        before = (_ONE << np.uint64(8 * whole)) - _ONE
        word = word & before | word >> _8 & ~before
    scale = size - whole
    word <<= np.uint64(64 - 8 * size)
    none = min(scale, leading_zeros(word | _ONE) >> 3)  # zeros at the end, which is at the top
    return eight(word << np.uint64(8 * none)), scale - none, end


@part
def _long(text: Array, at: int) -> tuple[int, int, int]:
    """As _short, of any length."""
    start = at + (text[at] == _ZERO)
    mantissa, end = digits(text, start, 0)
    size = end - start
    if (start > at) == (size > 0):  # 0 before another digit, or no digit
        return 0, 0, DOUBT
    scale = 0
    if text[end] == _DOT:
        start = end + 1
        mantissa, end = digits(text, start, mantissa)
        scale = end - start
        size += scale
    if size > MAX_DIGITS or (scale == 0 and text[end - 1] == _DOT):
        return 0, 0, DOUBT
    last = end - 1
    while scale > 0 and text[last] == _ZERO:
        mantissa //= 10
        scale -= 1
        last -= 1
    return mantissa, scale, end


@part
def digits(text: Array, at: int, value: int) -> tuple[int, int]:
    """The digits from `at` on behind those of `value`, and where they end. More than 18 overflow silently."""
    while True:
        word = word_at(text, at) ^ ZEROS
        others = no_digits(word)
        if others != NONE:
            break
        value = value * WORD_POWER + eight(word)
        at += WORD_BYTES
    count = trailing_zeros(others) >> 3
    if count > 0:  # the digits to the end of the word, with zeros before them
        value = value * POWERS[count] + eight(word << np.uint64(64 - 8 * count))
    return value, at + count


@part
def no_digits(word: np.uint64) -> np.uint64:
    """The high bit of each byte that is more than 9."""
    return ((word & _LOW_BITS) + _ABOVE_NINE | word) & _HIGH_BITS


@part
def eight(word: np.uint64) -> int:
    """The value of eight digits (0 to 9 in each byte, the first one in the lowest): neighbours are put together, to
    numbers of two, of four and of eight digits. D. Lemire, "Quickly parsing eight digits", 2018."""
    twos = ((word & _BYTES) * _BY_TWO >> _8) & _TWOS
    fours = (twos * _BY_FOUR >> _16) & _FOURS
    return np.int64(fours * _BY_EIGHT >> _32)  # type: ignore[return-value]  # numba's integers are one type


@part
def _exponent(text: Array, at: int, mantissa: int, scale: int) -> tuple[int, int, int]:
    negative = text[at] == _MINUS
    at += negative or text[at] == _PLUS
    size, end = digits(text, at, 0)
    if not 1 <= end - at <= 2:
        return 0, 0, DOUBT
    if mantissa == 0:
        return 0, 0, end
    scale += size if negative else -size
    while mantissa % 10 == 0:
        mantissa //= 10
        scale -= 1
    if scale > MAX_SCALE or -scale > MAX_DIGITS or (scale < 0 and mantissa >= POWERS[MAX_DIGITS + scale]):
        return 0, 0, DOUBT
    return (mantissa * POWERS[-scale], 0, end) if scale < 0 else (mantissa, scale, end)


@part
def integer_at(text: Array, at: int, slots: Array, slot: int) -> int:
    """An integer of at most 18 digits."""
    end = _integer_end(text, at)
    negative = text[at] == _MINUS
    if end == DOUBT or end - at - negative > MAX_DIGITS:
        return DOUBT
    value, end = digits(text, at + negative, 0)
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
    end = digits(text, start, 0)[1]
    return DOUBT if end == start or (text[start] == _ZERO and end > start + 1) else end
