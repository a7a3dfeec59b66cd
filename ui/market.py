"""The table of symbols: which rows there are, in which order, and what stands in those that are on the screen.

Pure. Of thousands of symbols only the keys of one column are read, and cells are made for the rows that are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from ui import figures
from ui.board import Part

NONE = figures.NONE
ROWS_AT_MOST = 120  # that are sent at once, whatever a browser asks for
Row = Mapping[str, Any]


class Column(NamedTuple):
    """`kind` tells the browser how to draw its cells."""

    name: str
    title: str
    help: str
    kind: str = ""


COLUMNS = (
    Column("symbol", "Symbol", "Choose one to see it in full", "name"),
    Column("last", "Last", "Price of the latest trade", "tick"),
    Column("change", "24 h", "Last price against the last one 24 hours ago", "signed"),
    Column("vwap", "VWAP", "Average price of the last 24 hours, weighted by quantity"),
    Column("volume", "Volume", "Quantity traded in the last 24 hours"),
    Column("trades", "Trades", "Number of trades in the last 24 hours"),
    Column("imbalance", "Imbalance", "(bought − sold) / (bought + sold) quantity of the last 24 hours", "bar"),
    Column("rate", "Trades/s", "Trades per second in the last minute"),
    Column("age", "Last trade", "How long ago the latest trade was"),
    Column("state", "State", "Whether trades arrive as usual", "badge"),
)


class Cell(NamedTuple):
    """What is shown; what is exact, when that is more; a number for how it is drawn: sign, or length of a bar."""

    text: str
    exact: str = ""
    number: float | None = None


class Reference(NamedTuple):
    """The price that a change is against: 24 hours ago, or the first one where the data is younger."""

    price: Decimal
    words: str


@dataclass(frozen=True)
class Market:
    """Rows by symbol: since the start, of the last day, of the last minute; the states of the streams; prices of a day
    ago. `now` in UTC seconds."""

    all: Part
    day: Part
    minute: Part
    streams: Part
    day_ago: Mapping[str, str]
    now: float

    def reference(self, symbol: str) -> Reference | None:
        """What the change of a symbol is against."""
        if (price := self.day_ago.get(symbol)) is not None:
            return Reference(Decimal(price), "the last price 24 hours ago")
        row = self.all.rows.get(symbol) or {}
        if row.get("price_open") is None or row.get("first_timestamp") is None:
            return None
        return Reference(
            Decimal(row["price_open"]), f"the first trade, {row['first_timestamp'][:19].replace('T', ' ')} UTC"
        )

    def change(self, symbol: str) -> float | None:
        """The change in per cent; None where there is no price to divide by."""
        reference, last = self.reference(symbol), self.all.rows[symbol].get("price_last")
        if reference is None or last is None or not reference.price:
            return None
        return float((Decimal(last) - reference.price) / abs(reference.price) * 100)


class Order(NamedTuple):
    """What a viewer chose: the text to find, the column that sorts, downwards or not, the symbols pinned on top."""

    find: str = ""
    column: str = "trades"
    down: bool = True
    pins: tuple[str, ...] = ()


def ordered(market: Market, order: Order) -> list[str]:
    """The symbols that contain the text, sorted; pinned ones first, and there whatever the text is. What is undefined
    comes last, either way; equals are in the order of their names."""
    text = order.find.strip().casefold()
    found = sorted(symbol for symbol in market.all.rows if text in symbol.casefold())
    if order.column == "symbol":
        found.sort(key=str.casefold, reverse=order.down)
    else:
        key = _KEYS.get(order.column, _KEYS["trades"])
        keys = {symbol: key(market, symbol) for symbol in found}
        known = [symbol for symbol in found if keys[symbol] is not None]
        known.sort(key=lambda symbol: keys[symbol] or 0.0, reverse=order.down)
        found = known + [symbol for symbol in found if keys[symbol] is None]
    pinned = [symbol for symbol in order.pins if symbol in market.all.rows]
    return pinned + [symbol for symbol in found if symbol not in pinned]


def _of(part: str, name: str) -> Callable[[Market, str], float | None]:
    def key(market: Market, symbol: str) -> float | None:
        value = (getattr(market, part).rows.get(symbol) or {}).get(name)
        return None if value is None else float(value)

    return key


def _age(market: Market, symbol: str) -> float | None:
    stamp = market.all.rows[symbol].get("last_timestamp")
    # Texts of one form sort as the times do; what is needed is an order, and the newest is the youngest.
    return (
        None
        if stamp is None
        else -float(stamp[:4] + stamp[5:7] + stamp[8:10] + stamp[11:13] + stamp[14:16] + stamp[17:26])
    )


def _change_key(market: Market, symbol: str) -> float | None:
    """The change as a fraction: an order of thousands needs no exact digits."""
    row = market.all.rows[symbol]
    last, before = row.get("price_last"), market.day_ago.get(symbol, row.get("price_open"))
    if last is None or before is None or not (base := float(before)):
        return None
    return (float(last) - base) / abs(base)


_STATES = ("silent", "never_seen", "quiet", "learning", "fresh")


def _state(market: Market, symbol: str) -> float | None:
    state = state_of(market, symbol)
    return float(_STATES.index(state)) if state in _STATES else None


_KEYS: dict[str, Callable[[Market, str], float | None]] = {
    "last": _of("all", "price_last"),
    "change": _change_key,
    "vwap": _of("day", "vwap"),
    "volume": _of("day", "quantity"),
    "trades": _of("day", "trades"),
    "imbalance": _of("day", "imbalance"),
    "rate": _of("minute", "trades"),
    "age": _age,
    "state": _state,
}


def state_of(market: Market, symbol: str) -> str:
    """The state of a symbol's stream, empty when it is not known."""
    return str((market.streams.rows.get(f"symbol {symbol}") or {}).get("state") or "")


def cells(market: Market, symbol: str) -> list[Cell]:
    """A row of the table."""
    row, day = market.all.rows[symbol], market.day.rows.get(symbol) or {}
    names = ("price_last", "price_high", "price_low", "price_open")
    decimals = figures.decimals_of(row.get(name) for name in names)
    trades = int((market.minute.rows.get(symbol) or {}).get("trades", 0))
    state = state_of(market, symbol)
    return [
        Cell(symbol),
        _price(row.get("price_last"), decimals),
        _change(market, symbol),
        _price(day.get("vwap"), decimals),
        _amount(day.get("quantity")),
        Cell(f"{day.get('trades', 0):,}"),
        _imbalance(day.get("imbalance")),
        Cell(figures.rate(trades), f"{trades:,} trades in the last minute"),
        _since(row.get("last_timestamp"), market.now),
        Cell(state.replace("_", " ") or NONE, "", None),
    ]


def _price(value: str | float | None, decimals: int) -> Cell:
    shown = figures.price(value, decimals)
    return Cell(shown.text, shown.exact, shown.number)


def _amount(value: str | None) -> Cell:
    return Cell(NONE) if value is None else Cell(figures.short(Decimal(value)), value)


def _change(market: Market, symbol: str) -> Cell:
    change, reference = market.change(symbol), market.reference(symbol)
    if change is None or reference is None:
        return Cell(NONE)
    arrow = "▲" if change > 0 else "▼" if change < 0 else " "
    return Cell(f"{arrow} {change:+.2f}%".replace("-", "−"), f"Against {reference.price:f}, {reference.words}", change)


def _imbalance(value: float | None) -> Cell:
    if value is None:
        return Cell(NONE)
    return Cell(f"{value:+.0%}".replace("-", "−"), f"{value:+.4f}", value)


def _since(stamp: str | None, now: float) -> Cell:
    if stamp is None:
        return Cell(NONE)
    seconds = max(0.0, now - datetime.fromisoformat(stamp[:26] + "+00:00").astimezone(UTC).timestamp())
    return Cell(age(seconds), stamp)


def age(seconds: float) -> str:
    """How long ago, at a glance."""
    for length, factor, unit in ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h")):
        if seconds < length:
            return f"{int(seconds // factor)} {unit}"
    return f"{seconds // 86_400:.0f} d"


def visible(symbols: Sequence[str], first: int, count: int) -> tuple[int, Sequence[str]]:
    """The rows that a browser asked for, as far as there are some: the number of the first, and their symbols."""
    count = max(0, min(count, ROWS_AT_MOST))
    first = max(0, min(first, len(symbols) - count))
    return first, symbols[first : first + count]
