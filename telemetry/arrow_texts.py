"""Arrow arrays of texts, plain or by dictionary, to columns of texts or to codes, without Python per row.

Arrays have passed `validate(full=True)`: offsets, UTF-8 and indices are right. What is not known with certainty raises
Doubt.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from telemetry.frame import U8, U32, Array, Text
from telemetry.literals import Doubt
from telemetry.trade import MAX_TEXT, UNPRINTABLE

_SPACE, _DELETE = 0x20, 0x7F  # the first printable of ASCII, and what follows the last
_OFFSETS: dict[bool, np.dtype[Any]] = {True: np.dtype("<i8"), False: np.dtype("<i4")}  # of large texts, of others


class Coded(NamedTuple):
    """Texts as indices into `values`, which may have more than are used, or one twice; None is no value."""

    values: list[str | None]
    codes: Array


def is_text(kind: pa.DataType) -> bool:
    """Whether an array of this type has texts, one behind the other or by dictionary."""
    if types.is_dictionary(kind):  # but not of views, for which pyarrow lacks the functions
        return types.is_string(kind.value_type) or types.is_large_string(kind.value_type)
    return _is_plain(kind)


def coded(array: pa.Array[Any]) -> Coded:
    """Codes of a column that has few different texts."""
    if not is_text(array.type):
        raise Doubt("no text")
    if not types.is_dictionary(array.type):
        array = simple(array).dictionary_encode()
    entries, codes = used(array)
    return Coded([*entries.to_pylist(), None], codes)


def used(array: pa.Array[Any]) -> tuple[pa.Array[Any], Array]:
    """The dictionary, without entries that nobody uses when they are many, and the index of each row; absent is -1."""
    entries = array.dictionary  # type: ignore[attr-defined]
    indices = array.indices  # type: ignore[attr-defined]
    codes = np.frombuffer(
        indices.buffers()[1],
        np.dtype(indices.type.to_pandas_dtype()),
        len(indices),
        indices.offset * (indices.type.bit_width // 8),
    ).astype(np.intp)
    if indices.null_count:
        codes[np.asarray(pc.is_null(indices).to_numpy(zero_copy_only=False), bool)] = -1
    if len(entries) > len(codes):
        found, places = np.unique(codes, return_inverse=True)
        absent = int(found[0] < 0)
        entries, codes = entries.take(pa.array(found[absent:])), places.astype(np.intp) - absent
    return entries, codes


def texts(array: pa.Array[Any]) -> Text:
    """A column of texts that keep the rules of all texts; "" where there is none."""
    if types.is_dictionary(array.type):
        entries, codes = used(array)
        known = plain(entries)
        _refuse_bad(known)
        return _gathered(known, codes, array)
    found = plain(array)
    _refuse_bad(found)
    return found


def plain(array: pa.Array[Any]) -> Text:
    """The texts one behind the other, unchecked; "" where there is none."""
    kind = array.type
    if types.is_dictionary(kind):
        _refuse_long(plain(used(array)[0]))  # else few bytes become many
        return plain(array.dictionary_decode())  # type: ignore[attr-defined]
    if not _is_plain(kind):
        raise Doubt("no text")
    array = simple(array)
    if array.null_count:
        array = cast("pa.Array[Any]", pc.fill_null(array, cast("Any", "")))
    _, places, blob = array.buffers()
    dtype = _OFFSETS[types.is_large_string(array.type)]
    if places is None or not len(array):
        return Text(np.zeros(len(array) + 1, U32), np.empty(0, U8))
    offsets = _numbers(places, dtype, len(array) + 1, array.offset * dtype.itemsize)
    first, end = int(offsets[0]), int(offsets[-1])
    content = _numbers(blob, U8, end - first, first) if end > first else np.empty(0, U8)
    return Text((offsets - first if first else offsets).astype(U32), content)


def _numbers(buffer: Any, dtype: np.dtype[Any], count: int, offset: int) -> Array:
    return np.frombuffer(buffer, dtype, count, offset)


def _is_plain(kind: pa.DataType) -> bool:
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def simple(array: pa.Array[Any]) -> pa.Array[Any]:
    """Views are what compute functions know least about."""
    return pc.cast(array, pa.large_string()) if types.is_string_view(array.type) else array


def _gathered(entries: Text, codes: Array, array: pa.Array[Any]) -> Text:
    """The entry of each row, one behind the other."""
    sizes = np.diff(entries.offsets)
    size = int(sizes[0]) if len(sizes) else 0
    if not size or array.null_count or (sizes != size).any():
        return plain(array.dictionary_decode())  # type: ignore[attr-defined]
    rows = entries.blob.view(np.dtype(("V", size)))[codes]  # of one size: much quicker
    return Text(np.arange(0, size * len(codes) + 1, size).astype(U32), rows.view(U8))


def _refuse_long(text: Text) -> None:
    if len(text.offsets) > 1 and np.diff(text.offsets).max() > MAX_TEXT:  # bytes; not all are characters
        raise Doubt("a long text")


def _refuse_bad(text: Text) -> None:
    _refuse_long(text)
    if not len(text.blob) or (text.blob.min() >= _SPACE and text.blob.max() < _DELETE):
        return  # all is printable ASCII
    if UNPRINTABLE.search(str(text.blob.tobytes(), "utf-8")):
        raise Doubt("a control character")
