"""Figures as people read them: cards and the rows of the table, from the exact values of the gateway.

Pure. Shortened numbers are for the eye only; wherever one is shortened the exact text goes along.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, NamedTuple

from ui.board import View

NONE = "–"
MONEY = 2  # decimals of an amount of money
WINDOW_SECONDS = 60  # of ui.board.WINDOW
LINES = 200  # of the table; the filter finds the others
_SUFFIXES = ((12, "T"), (9, "B"), (6, "M"))
_EXACT = Context(prec=60)


class Card(NamedTuple):
    """One figure on top of the page."""

    label: str
    value: str
    description: str


CARDS = ("Trades", "Volume", "Notional", "Trades per second", "p99 end to end", "Workers")


class Cell(NamedTuple):
    """What is shown, what sorts it, and the exact text where what is shown is shortened."""

    text: str
    number: float | None = None
    exact: str = ""


class Column(NamedTuple):
    """`tone`: colour by sign, or by change of the value (`tick`)."""

    name: str
    help: str
    tone: str = ""


COLUMNS = (
    Column("Symbol", "Choose one to see its chart"),
    Column("Last", "Price of the latest trade", "tick"),
    Column("Trades", "Number of trades"),
    Column("Trades/s", "Trades per second in the last minute"),
    Column("Volume", "Sum of the quantities"),
    Column("Notional", "Sum of price × quantity × multiplier"),
    Column("Currency", "Of price and notional"),
    Column("VWAP", "Average price, weighted by quantity"),
    Column("High", "Highest price"),
    Column("Low", "Lowest price"),
    Column("Imbalance", "(bought − sold) / (bought + sold) quantity", "sign"),
    Column("Last trade", "When it traded"),
)


def amount(text: str | None, decimals: int = 6, *, digits: int = 7) -> Cell:
    """A sum: grouped by thousands, below one thousand with `decimals`, shortened from `digits` + 1 digits on."""
    if text is None:
        return Cell(NONE)
    value = Decimal(text)
    power = value.adjusted() if value else 0
    shown, suffix = value, ""
    for exponent, letter in _SUFFIXES:
        if power >= max(exponent, digits):
            shown, suffix = value.scaleb(-exponent, _EXACT), letter
            break
    places = 3 if suffix else 2 if power >= 3 else decimals
    rounded = shown.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN, _EXACT)
    if not rounded and value:  # smaller than what the decimals show
        return Cell(f"{value:.3g}", float(value), text)
    words = f"{rounded:,f}"
    if decimals > MONEY and not suffix and "." in words:
        words = words.rstrip("0").rstrip(".")
    return Cell(words + suffix, float(value), "" if not suffix and rounded == value else text)


def count(number: int) -> Cell:
    """A number of trades."""
    return Cell(f"{number:,}", number)


def price(value: str | float | None, decimals: int) -> Cell:
    """A price with so many decimals, so that a column lines up."""
    if value is None:
        return Cell(NONE)
    exact = Decimal(str(value))
    text = f"{exact:,.{decimals}f}"
    return Cell(text, float(exact), "" if Decimal(text.replace(",", "")) == exact else str(value))


def decimals_of(prices: Iterable[str | None]) -> int:
    """The decimals that prices of one instrument have at most; at least two, because trailing zeros are not sent."""
    return max(MONEY, max((len(text.partition(".")[2]) for text in prices if text), default=0))


def seconds(value: float | None) -> str:
    """A duration in the unit that reads best."""
    if value is None:
        return NONE
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return "0 s" if not value else "< 1 µs"


def rate(trades: int) -> str:
    """Trades per second in the last minute."""
    per_second = trades / WINDOW_SECONDS
    if not trades:
        return "0"
    return (
        f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.1f}" if per_second >= 1 else f"{per_second:.2f}"
    )


def clock(text: str | None, now: datetime) -> str:
    """The time of day of an RFC 3339 text in the zone of `now`, with the date when it is not today's."""
    if text is None:
        return NONE
    moment = datetime.fromisoformat(text[:26] + "+00:00").astimezone(now.tzinfo)
    return f"{moment:%H:%M:%S}" if moment.date() == now.date() else f"{moment:%Y-%m-%d %H:%M:%S}"


def cards(view: View) -> list[Card]:
    """The figures on top; unknown ones, as long as the gateway has not said anything."""
    if not view.status.connection:
        return [Card(name, NONE, "not known yet") for name in CARDS]
    totals, recent = view.all.also.get("totals") or {}, view.recent.also.get("totals") or {}
    as_of = f"as of seq {view.all.seq:,}"
    stage = view.latency.rows.get("end_to_end") or {}
    health = view.health.rows
    backlog = int(health.get("backlog") or 0)
    return [
        Card("Trades", f"{totals.get('trades', 0):,}", as_of),
        Card("Volume", amount(totals.get("quantity", "0"), digits=6).text, "all symbols"),
        _money(totals.get("notional") or {}, view.all.rows.values()),
        Card("Trades per second", rate(int(recent.get("trades", 0))), "last minute"),
        Card("p99 end to end", seconds(stage.get("p99")), f"p50 {seconds(stage.get('p50'))}, last minute"),
        Card("Workers", str(health.get("workers", 0)), f"{backlog:,} waiting" if backlog else "nothing waits"),
    ]


def _money(notional: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> Card:
    """Amounts of different currencies are never added: the one with the most trades is large, the others below."""
    trades: Counter[str] = Counter()
    for row in rows:
        trades[row.get("currency") or ""] += row["trades"]
    order = sorted(notional, key=lambda currency: (-trades[currency], currency))
    shown = [f"{amount(notional[currency], MONEY, digits=6).text} {currency}".strip() for currency in order]
    rest = shown[1:2] + ([f"{len(shown) - 2} more"] if len(shown) > 2 else [])
    return Card("Notional", shown[0] if shown else "0", " · ".join(rest) or "price × quantity")


def matching(rows: Mapping[str, Mapping[str, Any]], wanted: str) -> list[str]:
    """The symbols that contain a text, the most traded first."""
    text = wanted.strip().casefold()
    found = [symbol for symbol in rows if text in symbol.casefold()]
    return sorted(found, key=lambda symbol: (-rows[symbol]["trades"], symbol))


def lines(view: View, symbols: Sequence[str], now: datetime) -> list[list[Cell]]:
    """The rows of the table; times in the zone of `now`."""
    return [_line(symbol, view.all.rows[symbol], view.recent.rows.get(symbol) or {}, now) for symbol in symbols]


def _line(symbol: str, row: Mapping[str, Any], recent: Mapping[str, Any], now: datetime) -> list[Cell]:
    names = ("price_last", "price_high", "price_low", "price_open")
    decimals = decimals_of(row[name] for name in names)
    imbalance = row["imbalance"]
    trades = int(recent.get("trades", 0))
    return [
        Cell(symbol),
        price(row["price_last"], decimals),
        count(row["trades"]),
        Cell(rate(trades), trades),
        amount(row["quantity"]),
        amount(row["notional"], MONEY),
        Cell(row["currency"] or NONE),
        price(row["vwap"], decimals),
        price(row["price_high"], decimals),
        price(row["price_low"], decimals),
        Cell(NONE if imbalance is None else f"{imbalance:+.0%}", imbalance),
        Cell(clock(row["last_timestamp"], now), None, row["last_timestamp"] or ""),
    ]
