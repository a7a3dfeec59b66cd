"""The definitions of the statistics once more, over plain trades with `decimal` and `fractions`: slow and obvious."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

from telemetry.times import format_time
from telemetry.trade import Trade

EXACT = Context(prec=400)
Numbered = Sequence[tuple[int, Trade]]
SIDES = ("unknown", "buy", "sell")


def decimal(mantissa: int, scale: int) -> Decimal:
    return Decimal(mantissa).scaleb(-scale, EXACT)


def text(value: Decimal) -> str:
    """Plain notation without trailing zeros."""
    plain = f"{value:f}"
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return "0" if plain in ("-0", "") else plain


def price(trade: Trade) -> Decimal:
    return decimal(trade.price, trade.price_scale)


def quantity(trade: Trade) -> Decimal:
    return decimal(trade.quantity, trade.quantity_scale)


def notional(trade: Trade) -> Decimal:
    product = EXACT.multiply(price(trade), quantity(trade))
    return EXACT.multiply(product, decimal(trade.multiplier, trade.multiplier_scale))


def total(values: Sequence[Decimal]) -> Decimal:
    found = Decimal(0)
    for value in values:
        found = EXACT.add(found, value)
    return found


def ratio(numerator: Decimal | int, denominator: Decimal | int) -> float | None:
    return float(Fraction(numerator) / Fraction(denominator)) if denominator else None


def row(trades: Numbered, seconds: float | None) -> dict[str, Any]:
    """One row of statistics of at least one trade of one symbol."""
    of = [trade for _, trade in trades]
    by_side = {side: [trade for trade in of if trade.side == code] for code, side in enumerate(SIDES)}
    ordered = sorted(trades, key=lambda pair: (pair[1].timestamp, pair[0]))
    first, last = ordered[0][1], ordered[-1][1]
    money = len({trade.currency for trade in of}) == 1
    quantities = [quantity(trade) for trade in of]
    found: dict[str, Any] = {"trades": len(of), "quantity": text(total(quantities))}
    found["notional"] = text(total([notional(trade) for trade in of])) if money else None
    for side, some in by_side.items():
        found[f"{side}_trades"] = len(some)
        found[f"{side}_quantity"] = text(total([quantity(trade) for trade in some]))
        found[f"{side}_notional"] = text(total([notional(trade) for trade in some])) if money else None
    weighted = total([EXACT.multiply(price(trade), quantity(trade)) for trade in of])
    buy, sell = (total([quantity(trade) for trade in by_side[side]]) for side in ("buy", "sell"))
    mean = Fraction(total(quantities)) / len(of)
    found |= {
        "vwap": ratio(weighted, total(quantities)) if money else None,
        "imbalance": ratio(EXACT.subtract(buy, sell), EXACT.add(buy, sell)),
        "quantity_mean": float(mean),
        "quantity_std": math.sqrt(sum((Fraction(value) - mean) ** 2 for value in quantities) / len(of)),
        "quantity_min": text(min(quantities)),
        "quantity_max": text(max(quantities)),
        "price_open": text(price(first)) if money else None,
        "price_high": text(max(map(price, of))) if money else None,
        "price_low": text(min(map(price, of))) if money else None,
        "price_last": text(price(last)) if money else None,
        "first_timestamp": format_time(first.timestamp),
        "last_timestamp": format_time(last.timestamp),
        "interarrival_mean": ratio(last.timestamp - first.timestamp, (len(of) - 1) * 10**9),
        "currency": (of[0].currency or None) if money else None,
        "revision": max(seq for seq, _ in trades),
    }
    span = Fraction(last.timestamp - first.timestamp, 10**9)
    length = Fraction(seconds) if seconds else span
    for unit, amount in (("trades", Fraction(len(of))), ("quantity", Fraction(total(quantities)))):
        found[f"{unit}_per_second"] = float(amount / length) if length else None
    return found


def totals(trades: Numbered) -> dict[str, Any]:
    """The `totals` of any trades."""
    of = [trade for _, trade in trades]
    found: dict[str, Any] = {"trades": len(of), "quantity": text(total([quantity(trade) for trade in of]))}
    for code, side in enumerate(SIDES):
        some = [trade for trade in of if trade.side == code]
        found |= {f"{side}_trades": len(some), f"{side}_quantity": text(total([quantity(trade) for trade in some]))}
    currencies = {trade.currency for trade in of}
    money = {name: [notional(trade) for trade in of if trade.currency == name] for name in currencies}
    return found | {"notional": {name: text(total(values)) for name, values in money.items()}}


def candle(start: int, trades: Numbered) -> dict[str, Any]:
    """The candle from `start` (seconds since 1970), without `closed`."""
    of = row(trades, None)
    names = ("quantity", "notional", "trades", "buy_quantity", "sell_quantity", "vwap", "revision")
    return {
        "start": format_time(start * 10**9),
        "open": of["price_open"],
        "high": of["price_high"],
        "low": of["price_low"],
        "close": of["price_last"],
        **{name: of[name] for name in names},
    }
