"""The sample trade that an empty page offers to send, and the commands that do the same from a terminal. Pure."""

from __future__ import annotations

import msgspec

SYMBOL = "SAMPLE"
TRADE = {"symbol": SYMBOL, "side": "buy", "quantity": "0.015", "price": "64250.10", "kind": "print", "source": "page"}


def body(trade_id: str) -> bytes:
    """The request; the id makes that a double click counts once."""
    return msgspec.json.encode(TRADE | {"trade_id": trade_id})


def commands(url: str) -> str:
    """What to type in a terminal."""
    trade = '{"symbol": "BTC-USDT", "side": "buy", "quantity": "0.015", "price": "64250.10"}'
    lines = [
        f"curl {url}/v1/trades \\",
        "     -H 'Content-Type: application/json' \\",
        f"     -d '{trade}'",
        "",
        f"telemetry replay trades.csv --url {url}",
    ]
    return "\n".join(lines)
