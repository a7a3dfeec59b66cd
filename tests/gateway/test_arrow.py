"""POST /v1/trades of a running gateway with Arrow bodies."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest

from tests.gateway.conftest import Gateway
from tests.telemetry.arrow_bodies import stream

KIND = "application/vnd.apache.arrow.stream"


def trades(symbol: str, quantities: list[str]) -> bytes:
    count = len(quantities)
    return stream(
        pa.table(
            {
                "symbol": pa.array([symbol] * count).dictionary_encode(),
                "side": ["buy"] * count,
                "price": pa.array([Decimal("100.25")] * count, pa.decimal128(18, 2)),
                "quantity": quantities,
                "timestamp": pa.array([1_763_800_000_000_000_000] * count).cast(pa.timestamp("ns", "UTC")),
                "trade_id": [f"t-{number}" for number in range(count)],
            }
        )
    )


def test_an_arrow_stream_is_taken_and_its_trades_are_those_of_json(gateway: Gateway, symbol: str) -> None:
    answer = gateway.post(trades(symbol, ["1.5", "2.5"]), kind=KIND)
    assert (answer["accepted"], answer["duplicates"], answer["applied"]) == (2, 0, True)
    row = gateway.row(symbol)
    assert (row["trades"], row["buy_quantity"], row["notional"]) == (2, "4", "401")
    again = {"symbol": symbol, "side": "buy", "price": 100.25, "timestamp": "2025-11-22T08:26:40Z", "trade_id": "t-0"}
    assert gateway.post({**again, "quantity": "1.50"})["duplicates"] == 1
    assert gateway.post({**again, "quantity": "1.51"}, 409)["errors"][0]["index"] == 0


@pytest.mark.usefixtures("nothing_kept")
def test_a_bad_trade_in_an_arrow_stream_is_422_with_index_and_field_and_a_bad_stream_is_400(
    gateway: Gateway, symbol: str
) -> None:
    body = trades(symbol, ["1"] * 700 + ["5 "])
    [error] = gateway.post(body, 422, kind=KIND)["errors"]
    assert (error["index"], error["field"], error["received"]) == (700, "quantity", "5 ")
    assert gateway.post(body[:-9], 400, kind=KIND)["title"] == "The body cannot be parsed"
    assert "Arrow" in gateway.post(b"[]", 400, kind=KIND)["detail"]
    assert gateway.post(trades(symbol, ["1"] * 50_001), 413, kind=KIND)["status"] == 413
