"""Arrow columns that have a value in every row are read whole, and plans are kept: with the same results as pyarrow."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from telemetry.arrow_plan import _known_columns, plan_of
from telemetry.compiled.cells import SIZE
from telemetry.decode import Batch, Decoder
from telemetry.decode_compiled import CompiledReading, available
from telemetry.digests import Digests
from telemetry.literals import Doubt
from telemetry.trade import REQUIRED
from tests.telemetry.arrow_bodies import Random, stream
from tests.telemetry.bodies import NOW
from tests.telemetry.readings import result

pytestmark = pytest.mark.skipif(not available(), reason="numba is not installed")
SEED = int(os.environ.get("SEED", "20261128"))
COMPILED, PLAIN = Decoder(compiled=True), Decoder(compiled=False)
SIGNED = (pa.int8(), pa.int16(), pa.int32(), pa.int64())
CODES = (*SIGNED, pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
SYMBOL, SIDE, ACCOUNT, TRADE_ID = 0, 11, 3, 9  # of telemetry.compiled.slots


def is_as_pyarrow_reads(body: bytes) -> bool:
    batch = COMPILED.plain_arrow(body, NOW)
    return batch is not None and result(batch) == result(PLAIN.decode(body, "arrow", NOW))


def coded(draw: Random, values: list[str], count: int) -> pa.Array[Any]:
    kind = pa.dictionary(draw.choice(CODES), draw.choice((pa.string(), pa.large_string())))
    return pa.array(draw.choices(values, k=count)).cast(kind)


def texts(*values: str) -> Callable[[Random, int], pa.Array[Any]]:
    def make(draw: Random, count: int) -> pa.Array[Any]:
        if draw.random() < 0.5:
            return coded(draw, list(values), count)
        return pa.array(draw.choices(values, k=count), draw.choice((pa.string(), pa.large_string())))

    return make


def decimals(draw: Random, count: int) -> pa.Array[Any]:
    if draw.random() < 0.3:
        return pa.array([draw.randrange(1, 10**9) / 100 for _ in range(count)])
    digits, scale = draw.choice((2, 9, 15, 16, 18)), draw.randrange(0, 19)
    mantissas = [
        draw.randrange(1, 10**digits) // 10 ** (zeros := draw.randrange(digits)) * 10**zeros for _ in range(count)
    ]
    return pa.array([Decimal(mantissa or 1).scaleb(-scale) for mantissa in mantissas], pa.decimal128(38, scale))


def signed(draw: Random, count: int) -> pa.Array[Any]:
    return pa.array([draw.choice((-1, 1)) * draw.randrange(10**6) for _ in range(count)]).cast(pa.decimal128(28, 9))


def times(draw: Random, count: int) -> pa.Array[Any]:
    array = pa.array([NOW + draw.randrange(10**12) for _ in range(count)])
    return array.cast(pa.timestamp("ns", "UTC")) if draw.random() < 0.5 else array


def sequence(draw: Random, count: int) -> pa.Array[Any]:
    return pa.array([draw.randrange(100) for _ in range(count)], draw.choice(CODES))


OPTIONAL: dict[str, Callable[[Random, int], pa.Array[Any]]] = {
    **dict.fromkeys(("account", "order_id"), texts("", "desk-1", "o" * 64)),
    **dict.fromkeys(("strategy", "ref_trade_id", "fee_currency", "source"), texts("", "a", "b c", "x" * 20)),
    "trade_id": texts("", *(f"t-{number}" for number in range(40))),
    "fee": signed,
    **dict.fromkeys(("timestamp", "sent_at", "order_sent_at"), times),
    "source_seq": sequence,
}
MADE = {"venue": ["", "X", "Y"], "currency": ["USD", "EUR"], "kind": ["fill", "print"]}


def whole(draw: Random, count: int) -> dict[str, Any]:
    """Columns without absent values, in any order."""
    columns: dict[str, Any] = {"symbol": coded(draw, ["A", "B B", "C"], count)}
    columns |= {"quantity": decimals(draw, count), "price": draw.choice((decimals, signed))(draw, count)}
    columns |= {name: coded(draw, values, count) for name, values in MADE.items() if draw.random() < 0.5}
    columns |= {"side": coded(draw, ["buy", "sell", "unknown"], count)} if draw.random() < 0.5 else {}
    columns |= {name: make(draw, count) for name, make in OPTIONAL.items() if draw.random() < 0.4}
    names = list(columns)
    draw.shuffle(names)
    return {name: columns[name] for name in names}


@pytest.mark.parametrize("block", range(4))
def test_columns_without_absent_values_are_read_as_pyarrow_reads_them(block: int) -> None:
    print("seed", SEED + block)
    draw = random.Random(SEED + block)
    for number in range(40):
        count = draw.choice((1, 2, 7, 64, 255, 300))
        assert is_as_pyarrow_reads(stream(pa.table(whole(draw, count)))), number


def test_beside_a_column_with_absent_values_they_are_read_as_pyarrow_reads_them() -> None:
    print("seed", SEED)
    draw = random.Random(SEED)
    for number in range(60):
        count = draw.choice((2, 7, 64, 300))
        columns = whole(draw, count)
        columns["liquidity"] = pa.array(["taker"] * count)
        name = draw.choice([name for name in columns if name not in REQUIRED])
        column = columns[name]
        columns[name] = pa.array([None, *column.to_pylist()[1:]], column.type)
        assert is_as_pyarrow_reads(stream(pa.table(columns))), number


def test_decimals_lose_the_zeros_at_their_ends_whatever_their_scale_and_length() -> None:
    least = [-(10**18) + 1, -(2**53), -(2**53) + 1, -10, -1, 0, 1, 100, 10**15, 2**53 - 1, 2**53, 10**18 - 1]
    for most in (2**53, 10**18):  # those that a double holds are read otherwise
        prices = [value for value in least if abs(value) < most] * 3
        for scale in range(39):
            array = pa.array(prices).cast(pa.decimal128(38, 0))
            fixed = pa.Array.from_buffers(pa.decimal128(38, scale), len(prices), array.buffers())
            table: dict[str, Any] = {
                "symbol": pa.array(["A"] * len(prices)).dictionary_encode(),
                "quantity": [1.5] * len(prices),
            }
            body = stream(pa.table(table | {"price": fixed}))
            batch = COMPILED.plain_arrow(body, NOW)
            if scale <= 18:
                assert batch is not None, scale
            assert batch is None or is_as_pyarrow_reads(body), scale


# --- what is not certain ----------------------------------------------------------------------------------------------


def places(body: bytes) -> dict[int, int]:
    plan = plan_of(body)
    return {plan.columns[start] // 2: plan.columns[start + 2] for start in range(0, len(plan.columns), SIZE)}


@pytest.mark.parametrize("kind", SIGNED, ids=str)
@pytest.mark.parametrize("field", [SYMBOL, SIDE, ACCOUNT])
def test_an_index_without_an_entry_is_doubted_whatever_its_width(kind: Any, field: int) -> None:
    dtype, count = np.dtype(str(kind)), 200
    names = [f"S{number % 100}" for number in range(count)]
    coding = pa.dictionary(kind, pa.string())
    columns = {"symbol": names, "account": names, "side": ["buy", "sell"] * (count // 2)}
    table: dict[str, Any] = {name: pa.array(values).cast(coding) for name, values in columns.items()}
    body = stream(pa.table(table | {"quantity": [1.5] * count, "price": [1.5] * count}))
    assert is_as_pyarrow_reads(body)
    for wrong in (-1, -100, np.iinfo(dtype).min, 100, np.iinfo(dtype).max):
        place, damaged = places(body)[field] + 150 * dtype.itemsize, bytearray(body)
        damaged[place : place + dtype.itemsize] = np.array([wrong], dtype).tobytes()
        assert COMPILED.plain_arrow(bytes(damaged), NOW) is None, wrong


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_offsets_that_do_not_ascend_are_doubted(kind: Any) -> None:
    ids = pa.array([f"t-{number:03d}" for number in range(100)], kind)
    table: dict[str, Any] = {
        "symbol": pa.array(["A"] * 100).dictionary_encode(),
        "quantity": [1.5] * 100,
        "price": [1.5] * 100,
    }
    body = stream(pa.table(table | {"trade_id": ids}))
    assert is_as_pyarrow_reads(body)
    width = 4 if kind == pa.string() else 8
    for row, value in ((0, -1), (50, 3), (50, 2**31 - 1), (50, -(2**31)), (100, 0), (100, 2**31 - 1), (99, 501)):
        place, damaged = places(body)[TRADE_ID] + width * row, bytearray(body)
        damaged[place : place + width] = value.to_bytes(width, "little", signed=True)
        assert COMPILED.plain_arrow(bytes(damaged), NOW) is None, (row, value)


def test_one_bad_value_in_any_row_is_doubted() -> None:
    def doubted(**columns: Any) -> bool:
        table: dict[str, Any] = {
            "symbol": pa.array(["A"] * 300).dictionary_encode(),
            "quantity": [1.5] * 300,
            "price": [1.5] * 300,
        }
        return COMPILED.plain_arrow(stream(pa.table(table | columns)), NOW) is None

    assert not doubted()
    for row in (0, 7, 8, 255, 299):

        def but(good: Any, bad: Any, at: int = row) -> list[Any]:
            return [good] * at + [bad] + [good] * (299 - at)

        assert doubted(quantity=but(1.5, 0.0))
        assert doubted(quantity=pa.array(but(Decimal(1), Decimal(0)), pa.decimal128(18, 2)))
        assert doubted(price=pa.array(but(Decimal(1), Decimal(10**18)), pa.decimal128(38, 0)))
        assert doubted(price=pa.array(but(Decimal(1), Decimal(2**64 + 1)), pa.decimal128(38, 0)))
        assert doubted(trade_id=but("t-1234567", "t-123\x7f567"))
        assert doubted(trade_id=but("t-1234567", "x" * 65))
        assert doubted(timestamp=but(NOW, 1))
        assert doubted(side=pa.array(but("buy", "BUY")).dictionary_encode())


# --- plans ------------------------------------------------------------------------------------------------------------


def some(ids: list[str], price: str = "price", fee: str = "fee") -> bytes:
    count = len(ids)
    table: dict[str, Any] = {
        "symbol": pa.array(["A", "B"] * count)[:count].dictionary_encode(),
        "quantity": [1.5] * count,
    }
    return stream(pa.table(table | {price: [2.5] * count, fee: [0.5] * count, "trade_id": ids}))


def test_bodies_of_one_size_are_read_by_their_own_metadata() -> None:
    reading = CompiledReading(Digests())
    for body in (
        some(["a", "b", "c"]),
        some(["x", "yy", ""]),  # the same metadata
        some(["x", "yy", ""], price="fee", fee="price"),
        some(["a", "b", "c"]),
    ):
        assert len(body) == len(some(["a", "b", "c"]))
        assert result(Batch(None, *reading.arrow(body, NOW))) == result(PLAIN.decode(body, "arrow", NOW))


def test_any_change_of_a_body_whose_plan_is_kept_is_seen_as_without_it() -> None:
    kept, body = CompiledReading(Digests()), some(["a", "b", "c"])
    for place in range(len(body)):
        changed = bytearray(body)
        changed[place] ^= 1 << place % 8
        kept.arrow(body, NOW)
        assert outcome(kept, bytes(changed)) == outcome(CompiledReading(Digests()), bytes(changed)), place


def test_a_schema_with_very_much_beside_its_columns_is_read_and_not_kept() -> None:
    table = pa.ipc.open_stream(some(["a", "b", "c"])).read_all()
    before = _known_columns.cache_info().currsize
    for number in range(3):
        body = stream(table.replace_schema_metadata({"made by": f"{number}" * 20_000}))
        assert is_as_pyarrow_reads(body)
    assert _known_columns.cache_info().currsize == before


def outcome(reading: CompiledReading, body: bytes) -> object:
    try:
        return result(Batch(None, *reading.arrow(body, NOW)))
    except Doubt:
        return None
