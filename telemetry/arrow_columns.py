"""The fast reading of a record batch: columns to columns, with array operations only.

It accepts only what the reference accepts of the same trades, with the same result; on any doubt it says so and decides
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from telemetry.arrow_items import cells
from telemetry.arrow_texts import coded, texts
from telemetry.arrow_values import read_decimals, read_integers, read_times
from telemetry.columns import TIMES, Columns, present
from telemetry.decode_reference import Repeated
from telemetry.frame import I64, OPTIONAL, U8, U32, Array, Text
from telemetry.literals import NO_DECIMAL, Doubt, ruled
from telemetry.times import ABSENT
from telemetry.trade import KINDS, LIQUIDITIES, REQUIRED, RULES, SIDES, Instrument

_TEXTS = ("ref_trade_id", "account", "strategy", "order_id", "fee_currency", "source")
_TAGGED = 1_000
_UNKNOWN = 255
_FILL, _PRINT = np.intp(KINDS.index("fill")), np.intp(KINDS.index("print"))
_NO_ROWS = np.empty(0, np.intp)  # of a part that has one value
_SIDES: dict[str | None, int] = {None: 0, **{side: code for code, side in enumerate(SIDES)}}
_KIND_CODES: dict[str | None, int] = {None: len(KINDS), **{kind: code for code, kind in enumerate(KINDS)}}
_ACTIONS: dict[str | None, int] = {None: 0, "new": 0}
_LIQUIDITIES: dict[str | None, int] = dict.fromkeys((None, "", *LIQUIDITIES), 0)

Arrays = Mapping[str, "pa.Array[Any]"]
Part = tuple[list[Any], Array]  # a column of what instruments are made of: distinct values, index of each row


def read_columns(batch: pa.RecordBatch, received_at: int) -> tuple[Columns, Array]:
    """The columns of the batch and which trades have a timestamp (bool[n]). Raises Doubt."""
    names = batch.schema.names
    _require(len(set(names)) == len(names) and RULES.keys() >= {*names}, "the names of the columns")
    arrays = {name: array for name, array in zip(names, batch.columns, strict=True) if array.null_count < len(array)}
    _require(all(name in arrays and not arrays[name].null_count for name in REQUIRED), "a value that is missing")
    price, price_scale = read_decimals(arrays["price"])
    quantity, quantity_scale = read_decimals(arrays["quantity"])
    _require((quantity > 0).all(), "a quantity")
    optional = _optional(arrays)
    if "action" in arrays:
        _codes(arrays["action"], _ACTIONS)
    instruments, codes = _instruments(arrays, optional)
    count = batch.num_rows
    timestamp, given = _timestamps(arrays, count, received_at)
    columns = Columns(
        instruments,
        codes,
        _codes(arrays["side"], _SIDES) if "side" in arrays else np.zeros(count, U8),
        price,
        price_scale,
        quantity,
        quantity_scale,
        timestamp,
        np.full(count, received_at, I64),
        present({name: optional[name] for name in OPTIONAL if name in optional}),
    )
    return columns, given


def _timestamps(arrays: Arrays, count: int, received_at: int) -> tuple[Array, Array]:
    if "timestamp" not in arrays:
        return np.full(count, received_at, I64), np.zeros(count, bool)
    timestamp = read_times(arrays["timestamp"])
    given = timestamp != ABSENT
    return (timestamp if given.all() else np.where(given, timestamp, received_at)), given


def _optional(arrays: Arrays) -> dict[str, Array | Text]:
    found: dict[str, Array | Text] = {name: texts(arrays[name]) for name in _TEXTS if name in arrays}
    if "trade_id" in arrays:
        ids = arrays["trade_id"]
        found["trade_id"] = texts(pc.cast(ids, pa.string()) if types.is_integer(ids.type) else ids)
    if "liquidity" in arrays:
        _codes(arrays["liquidity"], _LIQUIDITIES)
        found["liquidity"] = texts(arrays["liquidity"])
    if "fee" in arrays:
        found["fee"], found["fee_scale"] = read_decimals(arrays["fee"])
    if "source_seq" in arrays:
        numbers = read_integers(arrays["source_seq"])
        missing = arrays["source_seq"].null_count
        found["source_seq"] = np.where(_is_valid(arrays["source_seq"]), numbers, ABSENT) if missing else numbers
    found |= {name: read_times(arrays[name]) for name in TIMES if name in arrays}
    if "tags" in arrays:
        found["tags"] = Text.of(list(_tags(arrays["tags"])))
    return found


def _is_valid(array: pa.Array[Any]) -> Array:
    return np.asarray(pc.is_valid(array).to_numpy(zero_copy_only=False), bool)


def _tags(array: pa.Array[Any]) -> Iterator[str]:
    for start in range(0, len(array), _TAGGED):  # so that not all of them are Python objects at a time
        for value in cells("tags", array.slice(start, _TAGGED)):
            _require(not isinstance(value, Repeated), "a name that comes twice")
            yield ruled("tags", value) if value is not None else ""


def _codes(array: pa.Array[Any], known: Mapping[str | None, int]) -> Array:
    """The code of each row of a column that may have these values only."""
    values, codes = coded(array)
    found = np.array([known.get(value, _UNKNOWN) for value in values], U8)[codes]
    _require((found != _UNKNOWN).all(), "a word that is not known")
    return found


def _instruments(arrays: Arrays, optional: Mapping[str, Array | Text]) -> tuple[tuple[Instrument, ...], Array]:
    """In the order of first appearance, and the one of each row."""
    parts = [_names(name, arrays.get(name)) for name in ("venue", "symbol")]
    parts += [_kinds(arrays, optional), _names("currency", arrays.get("currency"))]
    parts += _multipliers(arrays.get("multiplier"))
    first, codes = _distinct([(len(values), rows) for values, rows in parts if len(values) > 1], len(arrays["symbol"]))
    fields = [
        [values[code] for code in rows[first].tolist()] if len(values) > 1 else values * len(first)
        for values, rows in parts
    ]
    table: dict[Instrument, int] = {}
    places = [table.setdefault(entry, len(table)) for entry in map(Instrument._make, zip(*fields, strict=True))]
    if len(table) < len(places):  # a dictionary had a text twice
        codes = np.array(places, U32)[codes]
    return tuple(table), codes


def _names(name: str, array: pa.Array[Any] | None) -> Part:
    if array is None:
        return [""], _NO_ROWS
    values, codes = coded(array)
    if array.null_count:
        codes = np.where(codes < 0, len(values) - 1, codes)
    else:
        values.pop()
    return [_name(name, value) for value in values], codes


def _kinds(arrays: Arrays, optional: Mapping[str, Array | Text]) -> Part:
    """Fills where there is an account or order, unless the kind is given."""
    fills: Any = False
    for name in ("account", "order_id"):
        text = optional.get(name)
        if isinstance(text, Text):
            fills = fills | (text.offsets[1:] > text.offsets[:-1])
    if np.all(fills):
        fills = True
    kinds = np.where(fills, _FILL, _PRINT)
    if "kind" in arrays:
        given = _codes(arrays["kind"], _KIND_CODES)
        kinds = np.where(given < len(KINDS), given, kinds)
    if not kinds.ndim:  # the same for all
        return [KINDS[int(kinds)]], _NO_ROWS
    return list(KINDS), kinds


def _multipliers(array: pa.Array[Any] | None) -> list[Part]:
    if array is None:
        return [([1], _NO_ROWS), ([0], _NO_ROWS)]
    mantissas, scales = read_decimals(array)
    absent = scales == NO_DECIMAL
    mantissas, scales = np.where(absent, 1, mantissas), np.where(absent, 0, scales)
    _require((mantissas > 0).all(), "a multiplier")
    return [_numbers(mantissas), _numbers(scales)]


def _numbers(column: Array) -> Part:
    if (column == column[0]).all():
        return [int(column[0])], _NO_ROWS
    values, rows = np.unique(column, return_inverse=True)
    return values.tolist(), rows


def _distinct(parts: Iterable[tuple[int, Array]], count: int) -> tuple[Array, Array]:
    """The first row of each combination that occurs, in order, and the combination of each row (u32)."""
    most = 4 * count + 1024
    size, combined = 1, np.zeros(count, np.intp)
    for known, codes in parts:
        combined = combined * known + codes if size > 1 else codes
        size *= known
        if size > most:
            found, combined = np.unique(combined, return_inverse=True)
            size = len(found)
    first = np.full(size, count, np.intp)
    first[combined[::-1]] = np.arange(count - 1, -1, -1)  # of rows with the same index the last one stays
    order = np.argsort(first, kind="stable")[: np.count_nonzero(first < count)]
    rank = np.empty(size, U32)
    rank[order] = np.arange(len(order))
    return first[order], rank[combined]


@lru_cache(maxsize=10_000)
def _name(name: str, value: str | None) -> str:
    return ruled(name, value) if value or name == "symbol" else ""


def _require(sure: object, what: str) -> None:
    if not sure:
        raise Doubt(what)
