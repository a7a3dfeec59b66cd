"""Arrow bodies of the same trades, whether the gateway takes them, and what reading one costs.

`python -m benchmarks.arrow` prints the latter.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.bodies import ARROW, START_NS, STEP_NS, bodies, decoded
from benchmarks.product import Product
from telemetry.decode import Decoder
from telemetry.decode_compiled import available

SCHEMA = pa.schema(
    [
        ("trade_id", pa.string()),
        ("symbol", pa.dictionary(pa.int16(), pa.string())),
        ("venue", pa.dictionary(pa.int16(), pa.string())),
        ("account", pa.dictionary(pa.int16(), pa.string())),
        ("side", pa.dictionary(pa.int8(), pa.string())),
        ("price", pa.decimal128(18, 2)),
        ("quantity", pa.decimal128(18, 5)),
        ("timestamp", pa.timestamp("ns", tz="UTC")),
    ]
)
_CENT, _GRAIN = Decimal("0.01"), Decimal("0.00001")


def arrow_bodies(first: int, count: int, per_body: int) -> Iterator[bytes]:
    """`count` Arrow streams of one batch each. Like the JSON bodies' trades, later ones differ from the first in
    trade_id and timestamp only."""
    table = _table(first, per_body)
    for number in range(count):
        start = first + number * per_body
        ids = pa.array([f"t-{index:012d}" for index in range(start, start + per_body)])
        times = START_NS + np.arange(start, start + per_body, dtype=np.int64) * STEP_NS
        later = pa.array(times, SCHEMA.field("timestamp").type)
        yield _stream(table.set_column(0, "trade_id", ids).set_column(7, "timestamp", later))


def refusal(product: Product) -> str:
    """Why the gateway does not take them; "" when it does."""
    status, answer = product.post(next(arrow_bodies(900_000_000, 1, 10)), ARROW.decode())
    return "" if status == 202 else f"the gateway answers {status} to Arrow: {answer.decode()[:160]}"


def _table(first: int, count: int) -> pa.Table:
    trades = decoded(bodies(first, 1, count)[0])
    columns = {name: [getattr(trade, name) for trade in trades] for name in SCHEMA.names}
    columns["price"] = [Decimal(str(price)).quantize(_CENT) for price in columns["price"]]
    columns["quantity"] = [Decimal(str(quantity)).quantize(_GRAIN) for quantity in columns["quantity"]]
    return pa.table({name: pa.array(columns[name], SCHEMA.field(name).type) for name in SCHEMA.names})


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def decode_ns(count: int, *, plain: bool, rounds: int = 50) -> float:
    """CPU nanoseconds a trade to read one body, with checks and keys; `plain`: float64 and utf8 in place of SCHEMA."""
    table = pa.ipc.open_stream(next(arrow_bodies(0, 1, count))).read_all()
    if plain:
        table = pa.table({name: _plain(table.column(name)) for name in table.column_names})
    body, decoder, best = _stream(table), Decoder(compiled=available()), float("inf")
    for _ in range(rounds):
        began = time.thread_time_ns()
        decoder.decode(body, "arrow", START_NS)
        best = min(best, time.thread_time_ns() - began)
    return best / count


def _plain(column: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    values: list[Any] = column.to_pylist()
    if pa.types.is_decimal(column.type):
        return pa.array([float(value) for value in values], pa.float64())
    return pa.array(values, pa.string() if pa.types.is_dictionary(column.type) else column.type)


if __name__ == "__main__":
    for size in (1_000, 10_000):
        print(f"{size:,} trades: {decode_ns(size, plain=False):.0f} ns, plain {decode_ns(size, plain=True):.0f} ns")
