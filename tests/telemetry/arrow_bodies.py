"""The same random trades as an Arrow stream and as JSON, good ones and bad ones, for the tests of decoding Arrow."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from telemetry.times import format_time
from tests.telemetry.bodies import dumps, literal

Random = random.Random
Column = tuple["pa.Array[Any]", list[Any]]  # what Arrow has, and what JSON has
TICKS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
TEXT_TYPES = (
    pa.string(),
    pa.large_string(),
    pa.dictionary(pa.int16(), pa.string()),
    pa.dictionary(pa.uint32(), pa.large_string()),
)
BAD_TEXTS = ("", " x", "x" * 65, "トヨタ" * 25, "a\nb", "\x7f", "a\x85", "\x1b[31m", "x" * 64, "é" * 64)
FIRST_NS = 1_763_800_000_000_000_000


def stream(table: pa.Table, rows: int | None = None, **options: Any) -> bytes:
    """The table as a stream of batches of at most `rows`."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, rows)
    return sink.getvalue().to_pybytes()


def table_of(columns: Sequence[tuple[str, Any]]) -> pa.Table:
    """A table of these columns; names may come twice."""
    return pa.Table.from_arrays([pa.array(c) for _, c in columns], names=[name for name, _ in columns])


def bodies(draw: Random, count: int, *, bad: bool) -> tuple[pa.Table, bytes]:
    """The trades as a table and as a JSON array."""
    names = ["symbol", "quantity", "price", *(name for name in MAKERS if draw.random() < 0.4)]
    names = list(dict.fromkeys(names))
    if bad and draw.random() < 0.1:
        names.remove(draw.choice(names))
    if bad and draw.random() < 0.1:
        names.append("notional")
    draw.shuffle(names)
    columns = [_column(name, draw, count, bad=bad and draw.random() < 0.3) for name in names]
    table = pa.Table.from_arrays([array for array, _ in columns], names=names)
    rows = [dict(zip(names, row, strict=True)) for row in zip(*(values for _, values in columns), strict=True)]
    return table, dumps(rows)


def _column(name: str, draw: Random, count: int, *, bad: bool) -> Column:
    if bad and draw.random() < 0.3:
        return draw.choice(FOREIGN)(draw, count)
    return MAKERS.get(name, _texts("x"))(draw, count, bad)


def _maybe(draw: Random, values: list[Any], bad: bool, required: bool = False) -> list[Any]:
    """Some of them null."""
    share = (0.1 if bad else 0.0) if required else draw.choice((0.0, 0.3, 1.0))
    return [None if draw.random() < share else value for value in values]


def _texts(*good: str, required: bool = False, choice: bool = False) -> Callable[[Random, int, bool], Column]:
    def make(draw: Random, count: int, bad: bool) -> Column:
        pool = [*good, *(BAD_TEXTS if bad else ())] if choice else [*good, "é€", "a b", *(BAD_TEXTS if bad else ())]
        values = _maybe(draw, [draw.choice(pool) for _ in range(count)], bad, required)
        return pa.array(values, pa.string()).cast(draw.choice(TEXT_TYPES)), values

    return make


def _decimals(*, positive: bool, required: bool = False) -> Callable[[Random, int, bool], Column]:
    def make(draw: Random, count: int, bad: bool) -> Column:
        kind = draw.choice((_fixed, _fixed, _floats, _integers, _literals))
        array, values = kind(draw, count, bad, positive)
        missing = [value is None for value in _maybe(draw, [1] * count, bad, required)]
        array = pa.array([None if no else value for no, value in zip(missing, array, strict=True)], array.type)
        return array, [None if no else value for no, value in zip(missing, values, strict=True)]

    return make


def _fixed(draw: Random, count: int, bad: bool, positive: bool) -> Column:
    precision = draw.choice((9, 18, 38, 76))
    kind: Any = {9: pa.decimal32, 18: pa.decimal64, 38: pa.decimal128, 76: pa.decimal256}[precision]
    precision = precision if bad else min(precision, 38)
    scale = draw.randrange(0, min(precision, 18) + 1) if not bad else draw.randrange(-2 if precision > 18 else 0, 9)
    digits = precision if bad and scale >= 0 else min(precision, 18)
    values = []
    for _ in range(count):
        mantissa = draw.randrange(1 if positive and not bad else -(10**digits) + 1, 10**digits)
        zeros = draw.randrange(0, digits)
        sign = -1 if mantissa < 0 else 1
        mantissa = sign * (abs(mantissa) // 10**zeros * 10**zeros or 10**zeros)
        values.append(Decimal(f"{mantissa}E{-scale}"))
    if kind is pa.decimal128 and draw.random() < 0.5 and not bad:
        scale, values = 18, [value.quantize(Decimal(1).scaleb(-9)) for value in values]
    array: pa.Array[Any] = pa.array(list[Any](values), kind(precision, scale))
    return array, [literal(str(value)) for value in array.to_pylist()]


def _floats(draw: Random, count: int, bad: bool, positive: bool) -> Column:
    single = draw.random() < 0.3
    array: pa.Array[Any]
    values = []
    for _ in range(count):
        value = draw.choice(
            (
                draw.randrange(1, 10**9) / 100,
                draw.randrange(1, 10**6) / 10**5,
                float(draw.randrange(1, 1000)),
                draw.uniform(1, 1000),
                1e17,
                0.1 + 0.2,
            )
        )
        if bad and draw.random() < 0.2:
            value = draw.choice((float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e18, 1e300, 1e-19, 5e-324))
        values.append(value if positive else draw.choice((value, -value)))
    if single:
        with np.errstate(over="ignore"):
            array = pa.array(np.array(values, np.float64).astype(np.float32))
        texts = [str(np.float32(value)) for value in array.to_pylist()]
    else:
        array, texts = pa.array(values, pa.float64()), [repr(value) for value in values]
    return array, [literal({"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(t, t)) for t in texts]


def _integers(draw: Random, count: int, bad: bool, positive: bool) -> Column:
    kind = draw.choice((pa.int8(), pa.int32(), pa.int64(), pa.uint16(), pa.uint64()))
    most = {8: 127, 16: 65535, 32: 2**31 - 1, 64: 10**18 - 1}[kind.bit_width]
    values = [draw.randrange(1, most + 1) // 10 ** draw.randrange(3) or 1 for _ in range(count)]
    if bad and kind.bit_width == 64:
        values = [draw.choice((value, 10**18, 2**63 - 1, 0)) for value in values]
    return pa.array(values, kind), [literal(str(value)) for value in values]


def _literals(draw: Random, count: int, bad: bool, positive: bool) -> Column:
    pool = ["1.50", "0.001", "7", "0.5", "100", "12345.678900", "1e-5", "2.50E+2"]
    pool += ["5 ", "", "+5", ".5", "05", "NaN", "1e18", "９", "9" * 30, "0", "-1"] if bad else []
    values = [draw.choice(pool) for _ in range(count)]
    return pa.array(values, pa.string()).cast(draw.choice(TEXT_TYPES)), list(values)


def _times(draw: Random, count: int, bad: bool) -> Column:
    way = draw.choice(("stamp", "stamp", "integer", "text"))
    moments = [FIRST_NS + draw.randrange(10**18) for _ in range(count)]
    if way == "integer":
        if bad:
            moments = [draw.choice((m, 5, -1, 10**12, -(2**63))) for m in moments]
        values = _maybe(draw, moments, bad)
        return pa.array(values, pa.int64()), [None if v is None else literal(str(v)) for v in values]
    if way == "text":
        texts = [format_time(m // TICKS["us"] * TICKS["us"]) for m in moments]
        if bad:
            texts = [draw.choice((t, t[:-1], "now", "", "2026-02-30T00:00:00Z")) for t in texts]
        values = _maybe(draw, texts, bad)
        return pa.array(values, pa.string()).cast(draw.choice(TEXT_TYPES)), values
    unit = draw.choice(tuple(TICKS))
    ticks = _maybe(draw, [m // TICKS[unit] for m in moments], bad)
    if bad and unit != "ns":
        ticks = [None if t is None else draw.choice((t, 0, -1, 10**11 if unit == "s" else t)) for t in ticks]
    zone = draw.choice(("UTC", "+01:00", "Europe/Berlin", None if bad else "Z"))
    array = pa.array(ticks, pa.int64()).cast(pa.timestamp(unit, zone))
    shown = [None if t is None else format_time(t * TICKS[unit])[: None if zone else -1] for t in ticks]
    return array, shown


def _ids(draw: Random, count: int, bad: bool) -> Column:
    if draw.random() < 0.5:
        return _texts(*(f"t-{number}" for number in range(50)))(draw, count, bad)
    values = _maybe(draw, [draw.randrange(-5, 10**9) for _ in range(count)], bad)
    return pa.array(values, pa.int64()), [None if v is None else literal(str(v)) for v in values]


def _sequence(draw: Random, count: int, bad: bool) -> Column:
    values = _maybe(draw, [draw.choice((0, -1, 17, 2**63 - 1, -(2**63) if bad else 5)) for _ in range(count)], bad)
    return pa.array(values, pa.int64()), [None if v is None else literal(str(v)) for v in values]


def _tags(draw: Random, count: int, bad: bool) -> Column:
    pool: list[dict[str, Any]] = [{}, {"desk": "a"}, {"a": "é", "b": "2"}]
    pool += [{"a": "x" * 600}, {"b": "\n"}] if bad else []
    values = _maybe(draw, [draw.choice(pool) for _ in range(count)], bad)
    if draw.random() < 0.5:
        listed = [None if value is None else list(value.items()) for value in values]
        return pa.array(listed, pa.map_(pa.string(), pa.string())), values
    fields = [pa.field(name, pa.string()) for name in ("a", "b", "desk")]
    return pa.array(values, pa.struct(fields)), values


# What is refused in every column but few, whatever is in it.
def _booleans(draw: Random, count: int) -> Column:
    values = [draw.random() < 0.5 for _ in range(count)]
    return pa.array(values), list(values)


def _lists(draw: Random, count: int) -> Column:
    return pa.array([["x"]] * count), [[]] * count


def _structs(draw: Random, count: int) -> Column:
    return pa.array([{"x": 1}] * count), [{"x": 1}] * count


def _nulls(draw: Random, count: int) -> Column:
    return pa.nulls(count), [None] * count


FOREIGN = (_booleans, _lists, _structs, _nulls)
MAKERS: dict[str, Callable[[Random, int, bool], Column]] = {
    "symbol": _texts("BTC-USDT", "ETH/USDT:USDT", "トヨタ", required=True),
    "quantity": _decimals(positive=True, required=True),
    "price": _decimals(positive=False, required=True),
    "multiplier": _decimals(positive=True),
    "fee": _decimals(positive=False),
    "side": _texts("buy", "sell", "unknown", choice=True),
    "kind": _texts("fill", "print", choice=True),
    "action": _texts("new", choice=True),
    "liquidity": _texts("maker", "taker", "", choice=True),
    "trade_id": _ids,
    "source_seq": _sequence,
    "timestamp": _times,
    "sent_at": _times,
    "order_sent_at": _times,
    "tags": _tags,
    **{
        name: _texts("a", "desk-1", "")
        for name in (
            *("venue", "account", "strategy", "order_id"),
            *("currency", "fee_currency", "source", "ref_trade_id"),
        )
    },
}


def mutated(draw: Random, body: bytes) -> bytes:
    """The body with some bytes changed, added, taken away, or cut."""
    data = bytearray(body)
    for _ in range(draw.choice((1, 1, 2, 5, 20))):
        way, at = draw.random(), draw.randrange(len(data))
        if way < 0.4:
            data[at] = draw.randrange(256)
        elif way < 0.6:
            data[at] ^= 1 << draw.randrange(8)
        elif way < 0.75:
            data[at & ~3 : at & ~3 + 4] = draw.choice((b"\xff\xff\xff\x7f", bytes(4), b"\xff" * 4, b"\0\0\0\x80"))
        elif way < 0.85:
            del data[at:]
        elif way < 0.93:
            data[at:at] = draw.randbytes(draw.choice((1, 4, 8)))
        else:
            del data[at : at + draw.choice((1, 4, 8))]
        data = data or bytearray(b"x")
    return bytes(data)
