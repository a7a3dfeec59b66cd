"""The exact values of one symbol: every figure as the gateway gives it, window beside window. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ui import figures
from ui.board import Ask, View
from ui.filters import Filters
from ui.market import Cell, Market, cells

WINDOWS = ("1m", "1h", "1d", "all")
_TITLES = {"1m": "1 minute", "1h": "1 hour", "1d": "24 hours", "all": "Since the start"}
FIELDS = (
    ("trades", "Trades"),
    ("buy_trades", "bought"),
    ("sell_trades", "sold"),
    ("unknown_trades", "side unknown"),
    ("quantity", "Quantity"),
    ("buy_quantity", "bought"),
    ("sell_quantity", "sold"),
    ("unknown_quantity", "side unknown"),
    ("notional", "Notional"),
    ("buy_notional", "bought"),
    ("sell_notional", "sold"),
    ("unknown_notional", "side unknown"),
    ("vwap", "VWAP"),
    ("imbalance", "Imbalance"),
    ("price_open", "Open"),
    ("price_high", "High"),
    ("price_low", "Low"),
    ("price_last", "Last"),
    ("quantity_mean", "Quantity, mean"),
    ("quantity_std", "Quantity, standard deviation"),
    ("quantity_min", "Quantity, smallest"),
    ("quantity_max", "Quantity, largest"),
    ("trades_per_second", "Trades per second"),
    ("quantity_per_second", "Quantity per second"),
    ("interarrival_mean", "Seconds between trades, mean"),
    ("first_timestamp", "First trade, UTC"),
    ("last_timestamp", "Last trade, UTC"),
    ("currency", "Currency"),
    ("revision", "As of seq"),
)


class Fact(NamedTuple):
    """A figure by window; `part` when it is a part of the one above it."""

    label: str
    values: tuple[str, ...]
    part: bool


def asks(symbol: str, filters: Filters) -> tuple[Ask, ...]:
    """The subscriptions: one for each window."""
    chosen = {"venues": filters.venue, "kinds": filters.kind}
    return tuple(Ask("stats", symbols=(symbol,), window=window, **chosen) for window in WINDOWS)  # type: ignore[arg-type]


def titles() -> list[str]:
    """The windows as people say them."""
    return [_TITLES[window] for window in WINDOWS]


def facts(view: View, symbol: str, filters: Filters) -> list[Fact]:
    """Every figure, its digits as the gateway sent them."""
    rows = [view.part(ask).rows.get(symbol) or {} for ask in asks(symbol, filters)]
    known = dict(FIELDS)
    others = {name: name.replace("_", " ").capitalize() for row in rows for name in row if name not in known}
    fields = [*FIELDS, *others.items()]  # a gateway that knows more is shown in full
    return [Fact(label, tuple(_text(row.get(name)) for row in rows), label[0].islower()) for name, label in fields]


def _text(value: Any) -> str:
    return figures.NONE if value is None or value == "" else str(value)


class Quote(NamedTuple):
    """The head of the page: how the symbol stands."""

    symbol: str
    last: Cell
    change: Cell
    facts: Sequence[tuple[str, str]]  # name and value
    state: str


def quote(market: Market, symbol: str) -> Quote:
    """From its row of the table; dashes when it has none."""
    if symbol not in market.all.rows:
        return Quote(symbol, Cell(figures.NONE), Cell(figures.NONE), (), "")
    _, last, change, vwap, volume, trades, imbalance, rate, age, state = cells(market, symbol)
    day: Mapping[str, Any] = market.day.rows.get(symbol) or {}
    decimals = figures.decimals_of(day.get(name) for name in ("price_last", "price_high", "price_low", "price_open"))
    shown = (
        ("High 24 h", figures.price(day.get("price_high"), decimals).text),
        ("Low 24 h", figures.price(day.get("price_low"), decimals).text),
        ("VWAP 24 h", vwap.text),
        ("Volume 24 h", volume.text),
        ("Trades 24 h", trades.text),
        ("Imbalance 24 h", imbalance.text),
        ("Trades/s", rate.text),
        ("Last trade", f"{age.text} ago" if age.exact else age.text),
    )
    return Quote(symbol, last, change, shown, "" if state.text == figures.NONE else state.text)
