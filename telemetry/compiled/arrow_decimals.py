"""Columns of decimals of 128 bits to canonical ones, for compiled code: each loop does one thing to all rows, which the
processor then does to several at once."""

from __future__ import annotations

import numpy as np

from telemetry.compiled.arrow_values import LIMIT
from telemetry.compiled.compiler import part
from telemetry.compiled.doubles import strip
from telemetry.compiled.memory import WORD_BYTES, word_at
from telemetry.compiled.tokens import DOUBT
from telemetry.decimals import MAX_SCALE
from telemetry.frame import Array

_EXACT = 1 << 53  # doubles hold every integer below, none of which but 0 ends in more than 15 zeros: 8 + 4 + 2 + 1


@part
def read_decimals(text: Array, place: int, written: int, count: int, mantissas: Array, scales: Array) -> int:
    """Decimals whose mantissas begin at `place`, all of the scale `written`; 0, or DOUBT."""
    wrong = bits = np.int64(0)
    for row in range(count):
        value = np.int64(word_at(text, place + 2 * WORD_BYTES * row))
        sign = value >> 63
        wrong |= np.int64(word_at(text, place + 2 * WORD_BYTES * row + WORD_BYTES)) ^ sign
        bits |= value ^ sign
        mantissas[row], scales[row] = value, np.uint8(written)
    if wrong != 0:
        return DOUBT
    if bits >= _EXACT:
        return _strip_each(written, count, mantissas, scales)
    _strip_zeros(8, written, count, mantissas, scales)
    _strip_zeros(4, written, count, mantissas, scales)
    _strip_zeros(2, written, count, mantissas, scales)
    _strip_zeros(1, written, count, mantissas, scales)
    most = 0
    for row in range(count):
        scales[row] = scales[row] if mantissas[row] != 0 else 0
        most = max(most, scales[row])
    return 0 if most <= MAX_SCALE else DOUBT


@part
def _strip_zeros(digits: int, written: int, count: int, mantissas: Array, scales: Array) -> None:
    """So many zeros at the end of each mantissa that has them and such a scale.

    The product with a rounded reciprocal is less than 1/2 away from the quotient where that is an integer.
    """
    if written < digits:
        return
    power = 10**digits
    reciprocal = 1.0 / power
    for row in range(count):
        value = mantissas[row]
        shorter = np.int64(np.rint(np.float64(value) * reciprocal))
        scale = np.int64(scales[row])
        is_shorter = (shorter * power == value) & (scale >= digits)
        mantissas[row] = shorter if is_shorter else value
        scales[row] = np.uint8(scale - digits if is_shorter else scale)


@part
def _strip_each(written: int, count: int, mantissas: Array, scales: Array) -> int:
    for row in range(count):
        mantissa, scale = strip(mantissas[row], written)
        if not -LIMIT < mantissa < LIMIT or scale > MAX_SCALE:
            return DOUBT
        mantissas[row], scales[row] = mantissa, np.uint8(scale)
    return 0
