"""The audit's own arithmetic: every figure that is a function of the trades, from the trades, by pandas and decimal.

Nothing here is shared with telemetry.statistics, telemetry.rows or the worker. Sums are sums of `decimal` under a
context that traps rounding: a result that is not exact raises instead of being shown. Only ratios are rounded, at the
end. Mean and standard deviation are computed a second time in floats, as numpy does.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation, localcontext
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from telemetry.columns import Columns
from telemetry.trade import SIDES, Instrument

# Prices, quantities and multipliers have at most 36 digits around the point, so products have 108; 400 leave room for
# the sum of more trades than there are atoms.
_EXACT = Context(prec=400, traps=[Inexact, InvalidOperation])
_RATIOS = Context(prec=400)
_KEYS = ["instrument", "slot"]
_SUMS = ["trades", "value", "squares"] + [
    f"{side}_{unit}" for side in SIDES for unit in ("trades", "quantity", "notional")
]
_LEAST, _GREATEST = ["quantity_min", "price_low", "open"], ["quantity_max", "price_high", "last", "revision"]
_MINUTE_NS = 60_000_000_000

Figures = dict[str, Any]  # what is known of some trades: _SUMS, _LEAST, _GREATEST and the floats


class Near(NamedTuple):
    """A float that may differ by so much in relation to itself, and absolutely by `slack` besides."""

    value: float
    slack: float


class Recompute:
    """Statistics of the trades 1..`until`, and one-minute candles of some symbols, each as of its own trade."""

    def __init__(self, *, until: int, candles: Mapping[str, int], leave_out: Collection[int]) -> None:
        self._until, self._candles_until = until, dict(candles)
        self._leave_out = np.array(sorted(leave_out), np.int64)
        self._instruments: dict[Instrument, int] = {}
        self._totals: dict[tuple[int, int], Figures] = {}
        self._candles: dict[tuple[int, int], Figures] = {}

    @property
    def last_seq(self) -> int:
        """The last trade that is needed."""
        return max([self._until, *self._candles_until.values()])

    def add(self, columns: Columns, first_seq: int) -> None:
        """Take in trades; each once, in any order."""
        with localcontext(_EXACT):
            trades = self._frame(columns, first_seq)
            trades = trades[~trades["seq"].isin(self._leave_out)]
            _gather(self._totals, trades[trades["seq"] <= self._until])
            symbols = {number: instrument.symbol for instrument, number in self._instruments.items()}
            for symbol, until in self._candles_until.items():
                numbers = [number for number, name in symbols.items() if name == symbol]
                chosen = trades[trades["instrument"].isin(numbers) & (trades["seq"] <= until)]
                _gather(self._candles, chosen.assign(slot=chosen["timestamp"] // _MINUTE_NS))

    def rows(self) -> dict[str, dict[str, Any]]:
        """One row of statistics per symbol, as `GET /v1/stats` shows it."""
        with localcontext(_RATIOS):
            return {symbol: _row(parts) for symbol, parts in self._by_symbol(self._totals).items()}

    def totals(self) -> dict[str, Any]:
        """The sums over all symbols."""
        with localcontext(_EXACT):
            parts = [part for parts in self._by_symbol(self._totals).values() for part in parts]
            money: dict[str, Decimal] = {}
            for instrument, figures in parts:
                money[instrument.currency] = money.get(instrument.currency, Decimal(0)) + _all(figures, "notional")
            whole = reduce(_merge, (figures for _, figures in parts)) if parts else dict.fromkeys(_SUMS, 0)
            return {
                **_counts(whole),
                "notional": {currency: plain(amount) for currency, amount in sorted(money.items())},
            }

    def candles(self, symbol: str) -> dict[str, dict[str, Any]]:
        """The one-minute candles of a symbol by their start."""
        slots: dict[int, list[tuple[Instrument, Figures]]] = {}
        instruments = {number: instrument for instrument, number in self._instruments.items()}
        for (number, slot), figures in self._candles.items():
            if instruments[number].symbol == symbol:
                slots.setdefault(slot, []).append((instruments[number], figures))
        with localcontext(_RATIOS):
            return {instant(slot * _MINUTE_NS): _candle(slot, parts) for slot, parts in sorted(slots.items())}

    def _by_symbol(self, known: Mapping[tuple[int, int], Figures]) -> dict[str, list[tuple[Instrument, Figures]]]:
        parts: dict[str, list[tuple[Instrument, Figures]]] = {}
        for instrument, number in self._instruments.items():
            if (figures := known.get((number, 0))) is not None:
                parts.setdefault(instrument.symbol, []).append((instrument, figures))
        return parts

    def _frame(self, columns: Columns, first_seq: int) -> pd.DataFrame:
        numbers = [self._instruments.setdefault(one, len(self._instruments)) for one in columns.instruments]
        prices, price_rank = _decimals(columns.price, columns.price_scale)
        quantities, quantity_rank = _decimals(columns.quantity, columns.quantity_scale)
        multipliers = _objects(Decimal(one.multiplier).scaleb(-one.multiplier_scale) for one in columns.instruments)
        price, quantity = prices[price_rank], quantities[quantity_rank]
        value = price * quantity
        return pd.DataFrame(
            {
                "instrument": np.array(numbers, np.int64)[columns.instrument],
                "slot": 0,
                "seq": np.arange(first_seq, first_seq + len(columns)),
                "timestamp": columns.timestamp,
                "side": np.array(SIDES)[columns.side],
                "price": price,
                "price_rank": price_rank,
                "quantity": quantity,
                "quantity_rank": quantity_rank,
                "value": value,
                "notional": value * multipliers[columns.instrument],
                "squares": quantity * quantity,
                "float": columns.quantity / 10.0**columns.quantity_scale,
            }
        )


def _decimals(mantissas: Any, scales: Any) -> tuple[Any, Any]:
    """(the distinct decimals, ascending; for each trade the place of its own among them)."""
    codes = pd.Series(mantissas).groupby([mantissas, scales]).ngroup().to_numpy()
    _, first = np.unique(codes, return_index=True)
    pairs = zip(mantissas[first].tolist(), scales[first].tolist(), strict=True)
    distinct = _objects(Decimal(mantissa).scaleb(-scale) for mantissa, scale in pairs)
    order = np.argsort(distinct, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return distinct[order], rank[codes]


def _objects(values: Iterable[Decimal]) -> Any:
    return np.array([*values, None], object)[:-1]  # without the None numpy would look into what it is given


def _gather(known: dict[tuple[int, int], Figures], trades: pd.DataFrame) -> None:
    """Merge the figures of these trades into `known`, by instrument and slot."""
    if trades.empty:
        return
    table = _reduced(trades)
    for key, row in zip(table.index.tolist(), table.to_dict("records"), strict=True):
        figures = {str(name): figure for name, figure in row.items()}
        known[key] = _merge(known[key], figures) if key in known else figures


def _reduced(trades: pd.DataFrame) -> pd.DataFrame:
    """One row of figures per instrument and slot."""
    groups = trades.groupby(_KEYS)
    table = pd.DataFrame({"trades": groups.size(), "revision": groups["seq"].max()})
    table = table.join(groups[["value", "squares"]].sum())
    for side in SIDES:
        chosen = trades[trades["side"] == side].groupby(_KEYS)
        table[f"{side}_trades"] = chosen.size().reindex(table.index, fill_value=0)
        for unit in ("quantity", "notional"):
            table[f"{side}_{unit}"] = chosen[unit].sum().reindex(table.index, fill_value=0)
    for column, least, greatest in (("quantity", "quantity_min", "quantity_max"), ("price", "price_low", "price_high")):
        ordered = trades.sort_values(f"{column}_rank").groupby(_KEYS)[column]
        table[least], table[greatest] = ordered.first(), ordered.last()
    in_time = trades.sort_values(["timestamp", "seq"])
    for name, ends in (
        ("open", in_time.drop_duplicates(_KEYS, keep="first")),
        ("last", in_time.drop_duplicates(_KEYS, keep="last")),
    ):
        extremes = list(zip(ends["timestamp"].tolist(), ends["seq"].tolist(), ends["price"], strict=True))
        table[name] = pd.Series(extremes, index=pd.MultiIndex.from_frame(ends[_KEYS]), dtype=object)
    table["mean"], table["variance"] = groups["float"].mean(), groups["float"].var(ddof=0)
    return table


def _merge(a: Mapping[str, Any], b: Mapping[str, Any]) -> Figures:
    merged: Figures = {name: a[name] + b[name] for name in _SUMS}
    merged |= {name: min(a[name], b[name]) for name in _LEAST} | {name: max(a[name], b[name]) for name in _GREATEST}
    n, m = a["trades"], b["trades"]
    apart = b["mean"] - a["mean"]
    merged["mean"] = a["mean"] + apart * (m / (n + m))
    merged["variance"] = (n * a["variance"] + m * b["variance"] + apart * apart * (n * m / (n + m))) / (n + m)
    return merged


def _row(parts: list[tuple[Instrument, Figures]]) -> dict[str, Any]:
    whole = reduce(_merge, (figures for _, figures in parts))
    currencies = {instrument.currency for instrument, _ in parts}
    row = _counts(whole) | _moments(whole) | _pace(whole)
    row |= {"revision": whole["revision"], "currency": (min(currencies) or None) if len(currencies) == 1 else None}
    priced = {"notional": plain(_all(whole, "notional")), "vwap": float(whole["value"] / _all(whole, "quantity"))}
    priced |= {f"{side}_notional": plain(whole[f"{side}_notional"]) for side in SIDES}
    priced |= {"price_open": plain(whole["open"][2]), "price_last": plain(whole["last"][2])}
    priced |= {name: plain(whole[name]) for name in ("price_low", "price_high")}
    # Money of two currencies is never added, nor are their prices compared.
    return row | (priced if len(currencies) == 1 else dict.fromkeys(priced))


def _candle(slot: int, parts: list[tuple[Instrument, Figures]]) -> dict[str, Any]:
    row = _row(parts)
    names = ("quantity", "notional", "trades", "buy_quantity", "sell_quantity", "vwap", "revision")
    prices = {"open": "price_open", "high": "price_high", "low": "price_low", "close": "price_last"}
    candle = {"start": instant(slot * _MINUTE_NS)} | {name: row[name] for name in names}
    return candle | {name: row[source] for name, source in prices.items()}


def _all(figures: Figures, unit: str) -> Decimal:
    return sum((figures[f"{side}_{unit}"] for side in SIDES), Decimal(0))


def _counts(figures: Figures) -> dict[str, Any]:
    row: dict[str, Any] = {"trades": figures["trades"], "quantity": plain(_all(figures, "quantity"))}
    row |= {f"{side}_trades": figures[f"{side}_trades"] for side in SIDES}
    return row | {f"{side}_quantity": plain(figures[f"{side}_quantity"]) for side in SIDES}


def _moments(figures: Figures) -> dict[str, Any]:
    count, total = figures["trades"], _all(figures, "quantity")
    buy, sell = figures["buy_quantity"], figures["sell_quantity"]
    # count² times the variance, exactly: never below zero.
    spread = count * figures["squares"] - total * total
    slack = float(figures["quantity_max"]) * 1e-12
    return {
        "imbalance": float((buy - sell) / (buy + sell)) if buy + sell else None,
        "quantity_min": plain(figures["quantity_min"]),
        "quantity_max": plain(figures["quantity_max"]),
        "quantity_mean": float(total / count),
        "quantity_mean by numpy": Near(figures["mean"], slack),
        "quantity_std": float(spread.sqrt() / count),
        "quantity_std by numpy": Near(math.sqrt(figures["variance"]), slack),
    }


def _pace(figures: Figures) -> dict[str, Any]:
    count, first, last = figures["trades"], figures["open"][0], figures["last"][0]
    seconds = Decimal(last - first).scaleb(-9)
    return {
        "first_timestamp": instant(first),
        "last_timestamp": instant(last),
        "trades_per_second": float(count / seconds) if seconds else None,
        "quantity_per_second": float(_all(figures, "quantity") / seconds) if seconds else None,
        "interarrival_mean": float(seconds / (count - 1)) if count > 1 else None,
    }


def plain(number: Decimal | int) -> str:
    """A decimal without exponent and trailing zeros."""
    text = format(Decimal(number), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def instant(nanoseconds: int) -> str:
    """RFC 3339 in UTC with nine decimals."""
    return f"{np.datetime_as_string(np.datetime64(nanoseconds, 'ns'), unit='ns')}Z"
