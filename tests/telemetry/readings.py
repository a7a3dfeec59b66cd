"""Trades with all fields, and the comparison of the compiled reading with the reference, for its tests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from telemetry.columns import encode_frame
from telemetry.decode import Batch, decode_by_reference
from telemetry.decode_compiled import CompiledReading
from telemetry.decode_reference import Media
from telemetry.literals import Doubt
from tests.telemetry.bodies import NOW

MEDIA: tuple[Media, ...] = ("json", "lines")
FULL: dict[str, Any] = {
    "symbol": "BTC/USDT:USDT",
    "side": "sell",
    "kind": "fill",
    "quantity": "0.01500",
    "price": "-64250.10",
    "multiplier": "0.10",
    "timestamp": "2026-11-22T13:00:00.123456789Z",
    "trade_id": "t-1",
    "action": "new",
    "ref_trade_id": "t-0",
    "venue": "binance",
    "account": "desk-1",
    "strategy": "mm",
    "order_id": "o-77",
    "currency": "USDT",
    "liquidity": "maker",
    "fee": "-0.0001",
    "fee_currency": "BNB",
    "source": "feed",
    "source_seq": 17,
    "sent_at": 1_795_352_400_123_456_789,
    "order_sent_at": "2026-11-22 14:30:00.5+01:30",
}


def result(batch: Batch) -> tuple[object, ...]:
    keys = batch.keys
    return encode_frame(batch.as_columns()), keys.given.tolist(), keys.digests.tolist(), keys.fingerprints.tolist()


def compiled(reading: CompiledReading, body: bytes, media: Media) -> tuple[object, ...]:
    """What both forms of the reading give, after they were seen to be the same. Raises Doubt."""
    columns, keys = reading.columns(body, media, NOW)
    trades, row_keys = reading.rows(body, media, NOW)
    by_columns = result(Batch(None, columns, keys))
    assert by_columns == result(Batch(trades, None, row_keys))
    return by_columns


def is_doubted(reading: CompiledReading, body: bytes, media: Media) -> bool:
    try:
        reading.columns(body, media, NOW)
    except Doubt:
        with pytest.raises(Doubt):
            reading.rows(body, media, NOW)
        return True
    return False


def agree(reading: CompiledReading, body: bytes, media: Media) -> bool:
    """Whether the compiled reading decided; then the others must have decided the same."""
    if is_doubted(reading, body, media):
        return False
    assert compiled(reading, body, media) == result(decode_by_reference(body, media, NOW))
    return True


def dumps(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def some(count: int) -> list[dict[str, Any]]:
    """Trades of which no two have the same fields."""
    rows = []
    for number in range(count):
        names = [name for place, name in enumerate(FULL) if name in ("symbol", "quantity", "price") or number >> place]
        row = {name: FULL[name] for name in names}
        rows.append(row | {"symbol": f"S{number % 7}", "trade_id": f"t{number}"})
    return rows
