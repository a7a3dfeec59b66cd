"""Arrow bodies of the same trades, and whether the gateway takes them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pyarrow as pa

from benchmarks.bodies import ARROW, bodies, decoded
from benchmarks.product import Product

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
    """`count` Arrow streams of one batch each. The values of the first are used again under new trade_ids."""
    table = _table(first, per_body)
    for number in range(count):
        start = first + number * per_body
        ids = pa.array([f"t-{index:012d}" for index in range(start, start + per_body)])
        yield _stream(table.set_column(0, "trade_id", ids))


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
