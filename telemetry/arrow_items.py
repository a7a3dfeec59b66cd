"""Rows of a record batch as the objects that the reference reading takes: what the same trades are as JSON.

A number becomes its literal, a time its RFC 3339 text, a text itself. What JSON has no value for becomes something that
every rule refuses and that prints as what it is; what is inside of lists and objects is not looked at, for few bytes of
Arrow can stand for very much of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import types

from telemetry.arrow_texts import is_text, used
from telemetry.arrow_values import MAX_ARROW_SCALE, TICKS, present_rows, words
from telemetry.decode_reference import MAX_VALUES, Repeated, unparsable
from telemetry.frame import I64
from telemetry.times import format_time
from telemetry.trade import Number

_NUMBERS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_YEARS = range(-62_135_596_800, 253_402_300_800)  # seconds since 1970 of the years 1 to 9999


class Foreign(str):
    """Stands for a value that JSON cannot have: no rule takes it, printed it names its type."""

    __slots__ = ()


_ARRAY: list[object] = []
_OBJECT: dict[str, object] = {"": None}  # no map of texts


def items_of(batch: pa.RecordBatch) -> list[object]:
    """One object for each row. Raises InvalidInput (400) for too many tags."""
    names = batch.schema.names
    columns = [cells(name, column) for name, column in zip(names, batch.columns, strict=True)]
    rows = zip(*columns, strict=True)
    if len(set(names)) < len(names):
        return [Repeated(list(zip(names, row, strict=True))) for row in rows]
    return [dict(zip(names, row, strict=True)) for row in rows]


def cells(name: str, array: pa.Array[Any]) -> list[Any]:
    """A column as the values that JSON would have."""
    kind = array.type
    if types.is_dictionary(kind) and is_text(kind):
        entries, codes = used(array)
        values = [*entries.to_pylist(), None]
        return [values[code] for code in codes.tolist()]
    if is_text(kind) or types.is_boolean(kind) or types.is_null(kind):
        return array.to_pylist()
    if types.is_integer(kind) or (types.is_decimal(kind) and abs(kind.scale) <= MAX_ARROW_SCALE):
        return [None if value is None else Number(value) for value in array.to_pylist()]
    if types.is_floating(kind):
        return _floats(array)
    if types.is_timestamp(kind):
        return _timestamps(array)
    if name == "tags" and (pairs := _tags(array)) is not None:
        return pairs
    return _only_present(array, _placeholder(kind))


def _placeholder(kind: pa.DataType) -> object:
    if types.is_map(kind) or types.is_struct(kind):
        return _OBJECT
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return _ARRAY if is_list else Foreign(str(kind)[:80])


def _only_present(array: pa.Array[Any], value: object) -> list[object]:
    rows = present_rows(array)
    return [value] * len(array) if rows is None else [value if row else None for row in rows.tolist()]


def _floats(array: pa.Array[Any]) -> list[Any]:
    if types.is_float64(array.type):
        literals = [None if value is None else repr(value) for value in array.to_pylist()]
    else:
        # In single precision, whose shortest literals are shorter.
        literals = [None if value is None else str(np.float32(value)) for value in array.to_pylist()]
    return [None if text is None else Number(_NUMBERS.get(text, text)) for text in literals]


def _timestamps(array: pa.Array[Any]) -> list[Any]:
    kind = array.type
    factor = TICKS[kind.unit]
    rows = present_rows(array)
    present = [True] * len(array) if rows is None else rows.tolist()
    ticks = words(array, I64).tolist()
    end = None if kind.tz else -1  # a time without a zone has no Z at its end
    return [_moment(tick * factor, end) if is_there else None for tick, is_there in zip(ticks, present, strict=True)]


def _moment(nanoseconds: int, end: int | None) -> str:
    if nanoseconds // 10**9 not in _YEARS:
        return Foreign(f"{nanoseconds} ns since 1970")
    return format_time(nanoseconds)[:end]


def _tags(array: pa.Array[Any]) -> list[Any] | None:
    """Maps of texts, None for what cannot be that. Names whose value is null in a struct are not given."""
    kind = array.type
    if types.is_map(kind) and is_text(kind.key_type) and is_text(kind.item_type):
        if len(array) and np.diff(array.offsets.to_numpy()).max() > MAX_VALUES:  # type: ignore[attr-defined]
            raise unparsable(f"expected at most {MAX_VALUES} tags in a trade")
        return [None if pairs is None else _object(pairs) for pairs in array.to_pylist()]
    if types.is_struct(kind) and all(is_text(kind.field(index).type) for index in range(kind.num_fields)):
        names = [kind.field(index).name for index in range(kind.num_fields)]
        inside = [cells("", part) for part in array.flatten()]  # type: ignore[attr-defined]
        rows = zip(*inside, strict=True) if inside else [()] * len(array)
        objects = [
            _object((name, value) for name, value in zip(names, row, strict=True) if value is not None) for row in rows
        ]
        return [tags if there else None for tags, there in zip(objects, _only_present(array, True), strict=True)]
    return None


def _object(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    listed = list(pairs)
    fields = dict(listed)
    return fields if len(fields) == len(listed) else Repeated(listed)
