"""Exact statistics of trades: empty, +, present.

An :class:`Atom` holds what is known of some trades of one instrument, in Python integers of any size. `+` is
associative and commutative, and the atom of a whole equals the sum of the atoms of its parts however it is split:
there are no float sums, and open and last are chosen by (timestamp, seq), never by the order of arrival. Atoms are
the reference; :mod:`telemetry.rows` holds the same numbers as rows of an int64 matrix for speed.

Definitions (n trades with price p, quantity q, multiplier m, timestamp t):

    notional       sum of p*q*m, signed with the price
    vwap           sum(p*q) / sum(q)
    imbalance      (buy - sell) / (buy + sell) quantity
    quantity_std   population standard deviation sqrt(n*sum(q^2) - sum(q)^2) / n, as numpy.std
    trades_per_second   n / length of the window; of all data: n / (last - first timestamp)
    quantity_per_second   sum(q) over the same time
    interarrival_mean   (last - first timestamp) / (n - 1), in seconds
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from telemetry.decimals import format_decimal
from telemetry.times import format_time
from telemetry.trade import Instrument

# The version of everything that a partial's numbers depend on: layout, definitions, analysis. A partial or a snapshot
# of another version is never merged; raise it with every change to them.
VERSION = "4"
BASIC = f"{VERSION} basic"  # of those who leave out what costs more (TELEMETRY_STATISTICS=basic)
SIDES = ("unknown", "buy", "sell")
UNKNOWN, BUY, SELL = range(3)


class Extreme(NamedTuple):
    """Open or last: the price (at the atom's price scale) of the first or last trade by (timestamp, seq)."""

    timestamp: int
    seq: int
    price: int


@dataclass(frozen=True, slots=True)
class Atom:
    """Exact sums over at least one trade; triples are by side code (unknown, buy, sell).

    Prices are integers times 10^-price_scale, quantities 10^-quantity_scale, `notional` (sum of price * quantity,
    without the multiplier) 10^-(price_scale + quantity_scale), `squares` (of quantities) 10^-(2 * quantity_scale).
    """

    price_scale: int
    quantity_scale: int
    trades: tuple[int, int, int]
    quantity: tuple[int, int, int]
    notional: tuple[int, int, int]
    squares: int
    quantity_min: int
    quantity_max: int
    price_min: int
    price_max: int
    open: Extreme
    last: Extreme
    revision: int

    def __add__(self, other: Atom) -> Atom:
        """The atom of both sets of trades, at the larger of the two scales."""
        a = self.at_scale(max(self.price_scale, other.price_scale), max(self.quantity_scale, other.quantity_scale))
        b = other.at_scale(a.price_scale, a.quantity_scale)
        return Atom(
            a.price_scale,
            a.quantity_scale,
            _add(a.trades, b.trades),
            _add(a.quantity, b.quantity),
            _add(a.notional, b.notional),
            a.squares + b.squares,
            min(a.quantity_min, b.quantity_min),
            max(a.quantity_max, b.quantity_max),
            min(a.price_min, b.price_min),
            max(a.price_max, b.price_max),
            min(a.open, b.open),
            max(a.last, b.last),
            max(a.revision, b.revision),
        )

    def at_scale(self, price_scale: int, quantity_scale: int) -> Atom:
        """The same values at finer scales (never coarser: that would lose digits)."""
        if (price_scale, quantity_scale) == (self.price_scale, self.quantity_scale):
            return self
        p, q = 10 ** (price_scale - self.price_scale), 10 ** (quantity_scale - self.quantity_scale)
        return Atom(
            price_scale,
            quantity_scale,
            self.trades,
            _times(self.quantity, q),
            _times(self.notional, p * q),
            self.squares * q * q,
            self.quantity_min * q,
            self.quantity_max * q,
            self.price_min * p,
            self.price_max * p,
            self.open._replace(price=self.open.price * p),
            self.last._replace(price=self.last.price * p),
            self.revision,
        )


def atom_of(
    side: int, price: int, price_scale: int, quantity: int, quantity_scale: int, timestamp: int, seq: int
) -> Atom:
    """The atom of a single trade."""

    def by_side(value: int) -> tuple[int, int, int]:
        return (value if side == UNKNOWN else 0, value if side == BUY else 0, value if side == SELL else 0)

    extreme = Extreme(timestamp, seq, price)
    return Atom(
        price_scale,
        quantity_scale,
        by_side(1),
        by_side(quantity),
        by_side(price * quantity),
        quantity * quantity,
        quantity,
        quantity,
        price,
        price,
        extreme,
        extreme,
        seq,
    )


def add(atoms: Iterable[Atom]) -> Atom | None:
    """The sum of atoms; None is the empty one."""
    total: Atom | None = None
    for atom in atoms:
        total = atom if total is None else total + atom
    return total


def _add(a: tuple[int, int, int], b: tuple[int, int, int]) -> tuple[int, int, int]:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def _times(a: tuple[int, int, int], factor: int) -> tuple[int, int, int]:
    return (a[0] * factor, a[1] * factor, a[2] * factor)


def present(parts: Iterable[tuple[Instrument, Atom]], window_seconds: float | None = None) -> dict[str, Any]:
    """One row of statistics, as JSON values, over the instruments of one symbol (its venues, kinds and currencies).

    `window_seconds` is the window's length, None for all data. Figures in money and prices are None where the
    instruments have different currencies. Raises ValueError when there are no parts: an empty row has no meaning.
    """
    parts = list(parts)
    total = add(atom for _, atom in parts)
    if total is None:
        raise ValueError("expected at least one part, received none")
    currencies = {instrument.currency for instrument, _ in parts}
    one_currency = len(currencies) == 1
    row = counts(total) | {name: money if one_currency else None for name, money in _notionals(parts).items()}
    row |= {"vwap": _vwap(total) if one_currency else None} | _quantities(total)
    row |= _prices(total) if one_currency else dict.fromkeys(("price_open", "price_high", "price_low", "price_last"))
    row |= _times_of(total, window_seconds)
    row["currency"] = (currencies.pop() or None) if one_currency else None
    row["revision"] = total.revision
    return row


def counts(atom: Atom) -> dict[str, Any]:
    """Trades (integers) and quantities (exact decimals) in all and by side."""
    row: dict[str, Any] = {"trades": sum(atom.trades)}
    row |= {f"{side}_trades": atom.trades[code] for code, side in _BY_SIDE}
    row["quantity"] = format_decimal(sum(atom.quantity), atom.quantity_scale)
    row |= {f"{side}_quantity": format_decimal(atom.quantity[code], atom.quantity_scale) for code, side in _BY_SIDE}
    return row


_BY_SIDE = ((BUY, "buy"), (SELL, "sell"), (UNKNOWN, "unknown"))


def notional_of(instrument: Instrument, atom: Atom) -> tuple[tuple[int, int, int], int]:
    """(notional by side with the multiplier applied, its scale)."""
    scale = atom.price_scale + atom.quantity_scale + instrument.multiplier_scale
    return _times(atom.notional, instrument.multiplier), scale


def add_decimals(terms: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Exact sum of (mantissa, scale) pairs."""
    total, scale = 0, 0
    for mantissa, term_scale in terms:
        if term_scale > scale:
            total, scale = total * 10 ** (term_scale - scale), term_scale
        total += mantissa * 10 ** (scale - term_scale)
    return total, scale


def _notionals(parts: list[tuple[Instrument, Atom]]) -> dict[str, str]:
    money = [notional_of(instrument, atom) for instrument, atom in parts]
    row = {"notional": format_decimal(*add_decimals((sum(value), scale) for value, scale in money))}
    for code, side in _BY_SIDE:
        row[f"{side}_notional"] = format_decimal(*add_decimals((value[code], scale) for value, scale in money))
    return row


def _ratio(numerator: int, denominator: int) -> float | None:
    # Division of two integers rounds once, to the nearest float, whatever their size.
    return numerator / denominator if denominator else None


def _vwap(atom: Atom) -> float | None:
    return _ratio(sum(atom.notional), sum(atom.quantity) * 10**atom.price_scale)


def _quantities(atom: Atom) -> dict[str, Any]:
    count, total, unit = sum(atom.trades), sum(atom.quantity), 10**atom.quantity_scale
    buy, sell = atom.quantity[BUY], atom.quantity[SELL]
    return {
        "imbalance": _ratio(buy - sell, buy + sell),
        "quantity_mean": _ratio(total, count * unit),
        "quantity_std": math.sqrt((count * atom.squares - total * total) / (count * unit) ** 2),
        "quantity_min": format_decimal(atom.quantity_min, atom.quantity_scale),
        "quantity_max": format_decimal(atom.quantity_max, atom.quantity_scale),
    }


def _prices(atom: Atom) -> dict[str, Any]:
    return {
        "price_open": format_decimal(atom.open.price, atom.price_scale),
        "price_high": format_decimal(atom.price_max, atom.price_scale),
        "price_low": format_decimal(atom.price_min, atom.price_scale),
        "price_last": format_decimal(atom.last.price, atom.price_scale),
    }


def _times_of(atom: Atom, window_seconds: float | None) -> dict[str, Any]:
    count, span_ns = sum(atom.trades), atom.last.timestamp - atom.open.timestamp
    ns, quantity = span_ns if window_seconds is None else round(window_seconds * 10**9), sum(atom.quantity)
    return {
        "first_timestamp": format_time(atom.open.timestamp),
        "last_timestamp": format_time(atom.last.timestamp),
        "trades_per_second": _ratio(count * 10**9, ns),
        "quantity_per_second": _ratio(quantity * 10**9, ns * 10**atom.quantity_scale),
        "interarrival_mean": _ratio(span_ns, (count - 1) * 10**9),
    }
