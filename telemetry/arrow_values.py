"""Arrow arrays of numbers and times to checked integers, all rows at once.

Arrays have passed `validate(full=True)`. What is not known with certainty raises Doubt. Rows without a value have
NO_DECIMAL as scale, times.ABSENT as time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from telemetry.arrow_texts import is_text, plain, simple
from telemetry.decimals import MAX_SCALE, parse_decimal
from telemetry.frame import I64, U8, Array, Text
from telemetry.literal_times import times
from telemetry.literals import NO_DECIMAL, Doubt, Literals, decimals
from telemetry.times import ABSENT, LATEST, SMALLEST_INTEGER

TICKS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
MAX_ARROW_SCALE = 76  # Arrow itself does not bound what a type says
_LIMIT = 10**18
_POWERS = [10**digits for digits in range(MAX_SCALE + 1)]
_I32 = np.dtype("<i4")
_WORD: dict[int, np.dtype[Any]] = {32: _I32, 64: I64, 128: I64, 256: I64}
_MIDDLE_SCALE = 9  # of what is tried when the declared scale makes the mantissas longer than 64 bits
_EXACT = 1e15  # doubles hold every decimal of 15 digits apart from the next: it is the shortest that reads back
_MARGIN = 64  # bytes behind the last text that may be looked at
_T = TypeVar("_T")
_SAMPLE = 32  # rows that tell how many decimals a column has


def present_rows(array: pa.Array[Any]) -> Array | None:
    """Which rows have a value (bool[n]), None when all have one."""
    if not array.null_count:
        return None
    return np.asarray(pc.is_valid(array).to_numpy(zero_copy_only=False), bool)


def words(array: pa.Array[Any], dtype: np.dtype[Any], width: int = 1) -> Array:
    """The values of a fixed size array, `width` numbers each, in place; those of absent rows mean nothing."""
    if not len(array):
        return np.empty(0, dtype)
    buffer: Any = array.buffers()[1]
    return np.frombuffer(buffer, dtype, width * len(array), width * array.offset * dtype.itemsize)


def read_decimals(array: pa.Array[Any]) -> tuple[Array, Array]:
    """Canonical mantissas (i64) and scales (u8)."""
    kind = array.type
    if types.is_decimal(kind):
        return _fixed(array)
    if types.is_integer(kind):
        return _present(array, *_within_limits(read_integers(array), np.zeros(len(array), U8)))
    if types.is_float64(kind):
        return _present(array, *_doubles(array))
    if types.is_float32(kind) or types.is_float16(kind):
        array = pc.cast(pc.cast(array, pa.float32()), pa.string())  # the shortest that reads back
    found, rows = _from_texts(array, decimals)
    if rows is None:
        return found or (np.empty(0, I64), np.empty(0, U8))
    mantissas, scales = np.zeros(len(rows), I64), np.full(len(rows), NO_DECIMAL, U8)
    if found is not None:
        mantissas[rows], scales[rows] = found
    return mantissas, scales


def read_times(array: pa.Array[Any]) -> Array:
    """Nanoseconds since 1970 (i64)."""
    kind = array.type
    if types.is_timestamp(kind):
        if kind.tz is None:
            raise Doubt("a time without a zone")
        factor = TICKS[kind.unit]
        ticks = _zeroed(array, words(array, I64))
        if factor > 1 and len(ticks):
            if ticks.max() > LATEST // factor or ticks.min() < -(LATEST // factor):
                raise Doubt("a time out of range")
            ticks = ticks * factor
        elif factor == 1 and len(ticks) and ticks.min() == ABSENT:
            raise Doubt("a time out of range")
        return _absent(array, ticks)
    if types.is_integer(kind):
        ticks = _absent(array, read_integers(array))
        if ((ticks < SMALLEST_INTEGER) & (ticks != ABSENT)).any():
            raise Doubt("a time that looks like seconds")
        return ticks
    found, rows = _from_texts(array, times)
    if rows is None:
        return np.empty(0, I64) if found is None else found
    instants = np.full(len(rows), ABSENT, I64)
    if found is not None:
        instants[rows] = found
    return instants


def read_integers(array: pa.Array[Any]) -> Array:
    """Integers as i64, 0 where there is none; never ABSENT."""
    kind = array.type
    if not types.is_integer(kind):
        raise Doubt("no integer")
    values = _zeroed(array, words(array, np.dtype(kind.to_pandas_dtype())))
    if len(values) and kind.bit_width == 64:
        if types.is_unsigned_integer(kind) and values.max() > LATEST:
            raise Doubt("an integer that does not fit 64 bits")
        if values.min() == ABSENT:
            raise Doubt("an integer that does not fit 64 bits")
    return values.astype(I64, copy=False)


def _zeroed(array: pa.Array[Any], values: Array) -> Array:
    """With 0 where there is no value."""
    rows = present_rows(array)
    return values if rows is None else np.where(rows, values, values.dtype.type(0))


def _absent(array: pa.Array[Any], values: Array) -> Array:
    rows = present_rows(array)
    if rows is None:
        return values
    return np.where(rows, values, ABSENT)


def _present(array: pa.Array[Any], mantissas: Array, scales: Array) -> tuple[Array, Array]:
    rows = present_rows(array)
    if rows is not None:
        mantissas, scales = np.where(rows, mantissas, 0), np.where(rows, scales, U8.type(NO_DECIMAL))
    return mantissas, scales


def _from_texts(array: pa.Array[Any], read: Callable[[Literals], _T]) -> tuple[_T | None, Array | None]:
    """What `read` makes of the rows that have a text, and which rows these are (None: all)."""
    if not is_text(array.type):
        raise Doubt("neither a number nor text")
    rows = present_rows(array)
    if rows is not None:
        array = simple(array).drop_null()
    return (read(_Cells(plain(array))) if len(array) else None), rows


class _Cells(Literals):
    """A column of texts in the place of JSON strings."""

    def __init__(self, cells: Text) -> None:
        self._cells = cells
        text = np.concatenate((cells.blob, np.full(_MARGIN, ord("\n"), U8)))
        places = cells.offsets.astype(np.intp)
        super().__init__(text, places[:-1], places[1:], np.ones(len(places) - 1, bool))
        if (self.starts == self.ends).any():
            raise Doubt("an empty text")  # its neighbours would be looked at

    def alone(self, row: int) -> tuple[bool, str] | None:
        """One value: always a text."""
        return True, self._cells[row]


def _fixed(array: pa.Array[Any]) -> tuple[Array, Array]:
    kind = array.type
    scale = kind.scale
    if not 0 <= scale <= MAX_ARROW_SCALE:
        raise Doubt("the scale")
    lanes = max(1, kind.bit_width // 64)
    values = words(array, _WORD[kind.bit_width], lanes).reshape(-1, lanes)
    rows = present_rows(array)
    if rows is not None:
        values = np.where(rows[:, None], values, values.dtype.type(0))
    low = values[:, 0].astype(I64)  # a copy
    sign = low >> 63
    if any((values[:, lane] != sign).any() for lane in range(1, lanes)):
        return _long(array)
    return _present(array, *_within_limits(*strip_zeros(low, scale)))


def _long(array: pa.Array[Any]) -> tuple[Array, Array]:
    """Mantissas of more than 64 bits: most have many zeros at the end."""
    if array.type.scale <= _MIDDLE_SCALE:
        raise Doubt("a long number")
    try:
        return _fixed(pc.cast(array, pa.decimal256(array.type.precision, _MIDDLE_SCALE)))
    except pa.ArrowException as error:
        raise Doubt("a long number") from error


def strip_zeros(mantissas: Array, scale: int) -> tuple[Array, Array]:
    """Canonical mantissas and scales of mantissas that have one scale. May work in place."""
    for digits in () if (mantissas[:_SAMPLE] % 10).any() else (8, 4, 2, 1):  # zeros that all of them have
        power = _POWERS[digits]
        while scale >= digits and not (mantissas[:_SAMPLE] % power).any():
            shorter = mantissas // power
            if (shorter * power != mantissas).any():
                break
            mantissas, scale = shorter, scale - digits
    if not scale or not len(mantissas):
        return mantissas, np.full(len(mantissas), scale, U8)
    if mantissas.max() < 2**31 and mantissas.min() > -(2**31):  # numbers of half the size take half the time
        mantissas, scales = _strip_each(mantissas.astype(_I32), scale)
        return mantissas.astype(I64), scales
    return _strip_each(mantissas, scale)


def _strip_each(mantissas: Array, scale: int) -> tuple[Array, Array]:
    scales = np.full(len(mantissas), scale, U8)
    while True:  # all rows while many have zeros, then these rows only
        shorter = mantissas // 10
        stripped = (shorter * 10 == mantissas) & (scales > 0)
        if 4 * np.count_nonzero(stripped) < len(stripped):
            break
        mantissas -= (mantissas - shorter) * stripped  # a third of the time of a choice row by row
        scales -= stripped.view(U8)
    rows = np.flatnonzero(stripped)
    values = shorter[rows]
    while len(rows):
        mantissas[rows] = values
        scales[rows] -= U8.type(1)
        shorter = values // 10
        more = (shorter * 10 == values) & (scales[rows] > 0)
        rows, values = rows[more], shorter[more]
    return mantissas, scales


def _within_limits(mantissas: Array, scales: Array) -> tuple[Array, Array]:
    if len(mantissas) and not (mantissas.min() > -_LIMIT and mantissas.max() < _LIMIT and scales.max() <= MAX_SCALE):
        raise Doubt("a number out of limits")
    return mantissas, scales


def _doubles(array: pa.Array[Any]) -> tuple[Array, Array]:
    """The shortest decimals that read back as the same doubles.

    A decimal of at most 15 digits that reads back is that: no other of 15 digits reads back as the same. Dividing two
    exact numbers rounds once, as reading does.
    """
    values = _zeroed(array, words(array, np.dtype("<f8")))
    if not np.isfinite(values).all():
        raise Doubt("no number")
    scale = max((_shortest(value) for value in values[:_SAMPLE].tolist()), key=_useful_scale, default=(0, 0))
    digits = _useful_scale(scale)
    power = float(_POWERS[digits])
    with np.errstate(over="ignore"):
        scaled = np.rint(values * power)
    good = (np.abs(scaled) < _EXACT) & (scaled / power == values)
    sure = good.all()
    mantissas, scales = strip_zeros((scaled if sure else np.where(good, scaled, 0)).astype(I64), digits)
    for row in () if sure else np.flatnonzero(~good).tolist():
        mantissas[row], scales[row] = _shortest(float(values[row]))
    return mantissas, scales


def _useful_scale(decimal: tuple[int, int]) -> int:
    mantissa, scale = decimal
    return scale if abs(mantissa) < _EXACT else 0


def _shortest(value: float) -> tuple[int, int]:
    try:
        return parse_decimal(repr(value))
    except ValueError as error:
        raise Doubt(str(error)) from error
