"""The leanest consumer that a peer can have: five fields decoded by msgspec, a dict of three sums, nothing checked."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Five(msgspec.Struct, gc=False):
    """What analysis needs of a trade."""

    symbol: str
    side: str
    price: float
    quantity: float
    timestamp: int


_decoder = msgspec.json.Decoder(list[Five])


def read(body: bytes) -> list[Five]:
    """The trades of an array."""
    return _decoder.decode(body)


class Lean:
    """Per symbol count, quantity and notional; VWAP is their quotient."""

    def __init__(self) -> None:
        self.count = 0
        self.rows: dict[str, list[float]] = {}

    def add(self, body: bytes) -> None:
        """Count an array of trades."""
        self.add_trades(read(body))

    def add_trades(self, trades: Sequence[Five]) -> None:
        """Count trades."""
        rows = self.rows
        for trade in trades:
            row = rows.get(trade.symbol)
            if row is None:
                row = rows[trade.symbol] = [0, 0.0, 0.0]
            row[0] += 1
            row[1] += trade.quantity
            row[2] += trade.quantity * trade.price
        self.count += len(trades)

    def vwap(self) -> dict[str, float]:
        """By symbol."""
        return {symbol: notional / quantity for symbol, (_, quantity, notional) in self.rows.items()}
