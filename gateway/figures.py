"""What people read: statistics per symbol and candles, as JSON values, from the aggregator's exact state."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gateway.aggregator import Aggregator
from gateway.atoms import Ints
from gateway.selection import Part, Place, Selection, between, everything
from gateway.windows import SECOND_NS, Window, event_clock, instant_of, interval_of, resolution, window_of
from telemetry.decimals import format_decimal
from telemetry.errors import InvalidInput
from telemetry.statistics import add_decimals, notional_of, present
from telemetry.times import format_time

CANDLES = 500
FIRST, LAST = -(1 << 34), 1 << 34  # seconds: further than 64 bits of nanoseconds reach


@dataclass(frozen=True)
class Filter:
    """Which instruments: an empty tuple is no filter."""

    symbols: Sequence[str] = ()
    venues: Sequence[str] = ()
    kinds: Sequence[str] = ()


@dataclass(frozen=True)
class Page:
    """`sort` is `trades` (descending, then symbol) or `symbol`; `cursor` is what `next` gave."""

    sort: str = "trades"
    limit: int = 1000
    cursor: str | None = None
    names: tuple[str, ...] = field(default=("trades", "symbol"), init=False)

    def check(self) -> None:
        """Raise InvalidInput when a value is out of its range."""
        if self.sort not in self.names:
            raise InvalidInput(f"sort: expected one of {' '.join(self.names)}, received {self.sort[:40]!r}")
        if not 1 <= self.limit <= 100_000:
            raise InvalidInput(f"limit: expected 1 to 100000, received {self.limit}")

    def after(self) -> Place | None:
        """Where the page begins. Raises InvalidInput for a cursor that `next` never gave."""
        if self.cursor is None:
            return None
        match = _CURSOR(self.cursor)
        if match is None or match[1] != self.sort:
            raise InvalidInput(f"cursor: expected what `next` gave with this sort, received {self.cursor[:40]!a}")
        return Place(int(match[2]), match[3])


_CURSOR = re.compile(r"(trades|symbol):([0-9]{1,18}):(.+)", re.DOTALL).fullmatch


def select(state: Aggregator, wanted: Filter) -> Ints:
    """The ids of the instruments that pass a filter."""
    if wanted.symbols:
        ids: Iterable[int] = sorted({number for name in wanted.symbols for number in state.by_symbol.get(name, ())})
    else:
        ids = range(len(state.instruments))
    if wanted.venues or wanted.kinds:
        ids = [
            number
            for number in ids
            if (not wanted.venues or state.instruments[number].venue in wanted.venues)
            and (not wanted.kinds or state.instruments[number].kind in wanted.kinds)
        ]
    return np.fromiter(ids, np.int64)


def stats(
    state: Aggregator, *, window: str, wanted: Filter, page: Page, now_ns: int, at: str | None = None
) -> dict[str, Any]:
    """The answer of `GET /v1/stats` but for its freshness fields."""
    return prepare(state, window=window, wanted=wanted, page=page, now_ns=now_ns, at=at)()


def prepare(
    state: Aggregator, *, window: str, wanted: Filter, page: Page, now_ns: int, at: str | None = None
) -> Callable[[], dict[str, Any]]:
    """What to call for the answer of `GET /v1/stats`: any time later, in any thread, it is as of now."""
    page.check()
    after = page.after()
    span = window_of(window, instant_of(at, state.watermark, now_ns), state.atoms)
    found = selection(state, select(state, wanted), span)
    order, counts = found.order(page.sort, after)
    following = f"{page.sort}:{counts[page.limit - 1]}:{order[page.limit - 1]}" if len(order) > page.limit else None
    order = order[: page.limit]
    head = bounds_of(window, span) | {"totals": totals(list(found.sums()))}
    seconds = None if span is None else float(span.end - span.start)
    return lambda: (
        head
        | {
            "symbols": {name: present(found.parts(name), seconds) for name in order},
            "order": order,
            "next": following,
        }
    )


def selection(state: Aggregator, ids: Ints, span: Window | None) -> Selection:
    """What these instruments traded in a window, None for ever."""
    return everything(state, ids) if span is None else between(state, ids, span.start, span.end)


def bounds_of(window: str, span: Window | None) -> dict[str, Any]:
    """A window as every answer names it."""
    return {
        "window": window,
        "window_start": None if span is None else format_time(span.start * SECOND_NS),
        "window_end": None if span is None else format_time(span.end * SECOND_NS),
    }


def totals(parts: Sequence[Part]) -> dict[str, Any]:
    """Counts and quantities over all symbols, notional by currency. Zeros when there are none."""
    row: dict[str, Any] = {"trades": 0, "buy_trades": 0, "sell_trades": 0, "unknown_trades": 0}
    for name, code in (("buy", 1), ("sell", 2), ("unknown", 0)):
        row[f"{name}_trades"] = sum(atom.trades[code] for _, atom in parts)
        quantities = add_decimals((atom.quantity[code], atom.quantity_scale) for _, atom in parts)
        row[f"{name}_quantity"] = format_decimal(*quantities)
    row["trades"] = row["buy_trades"] + row["sell_trades"] + row["unknown_trades"]
    row["quantity"] = format_decimal(*add_decimals((sum(atom.quantity), atom.quantity_scale) for _, atom in parts))
    money: dict[str, list[tuple[int, int]]] = {}
    for instrument, atom in parts:
        value, scale = notional_of(instrument, atom)
        money.setdefault(instrument.currency, []).append((sum(value), scale))
    row["notional"] = {currency: format_decimal(*add_decimals(money[currency])) for currency in sorted(money)}
    return row


def row_of(
    state: Aggregator, symbol: str, *, window: str, wanted: Filter, now_ns: int, at: str | None = None
) -> dict[str, Any]:
    """The answer of `GET /v1/stats/{symbol}` but for its freshness fields; 404 when the symbol was never seen."""
    if symbol not in state.by_symbol:
        raise unknown_symbol(symbol)
    only = Filter((symbol,), wanted.venues, wanted.kinds)
    answer = stats(state, window=window, wanted=only, page=Page(), now_ns=now_ns, at=at)
    row = answer["symbols"].get(symbol) or empty_row(window)
    bounds = {name: answer[name] for name in ("window", "window_start", "window_end")}
    return {"symbol": symbol} | bounds | row


def unknown_symbol(symbol: str) -> InvalidInput:
    """The 404 of a symbol that no trade has had."""
    shown = symbol if len(symbol) <= 64 else symbol[:64] + "…"
    return InvalidInput(f"expected a symbol that was traded, received {shown!r}", problem="not-found")


def empty_row(window: str = "1m") -> dict[str, Any]:
    """A symbol's row in a window without trades: counts 0, sums "0", the rest undefined (of `all` also the rate)."""
    row: dict[str, Any] = {}
    for unit, zero in (("trades", 0), ("quantity", "0"), ("notional", "0")):
        row |= dict.fromkeys((unit, f"buy_{unit}", f"sell_{unit}", f"unknown_{unit}"), zero)
    undefined = (
        "vwap imbalance quantity_mean quantity_std quantity_min quantity_max price_open price_high price_low price_last"
        " first_timestamp last_timestamp"
    )
    row |= dict.fromkeys(undefined.split())
    rate = None if window == "all" else 0.0
    return row | {"trades_per_second": rate, "interarrival_mean": None, "currency": None, "revision": 0}


@dataclass(frozen=True)
class Span:
    """Which candles: those that begin in [start, end) (UTC ns or None), at most `limit`, the newest."""

    start: int | None = None
    end: int | None = None
    limit: int = CANDLES
    fill: str | None = None


def candles(
    state: Aggregator, symbol: str, *, interval: str, span: Span, wanted: Filter, now_ns: int
) -> dict[str, Any]:
    """The answer of `GET /v1/candles/{symbol}` but for its freshness fields."""
    if symbol not in state.by_symbol:
        raise unknown_symbol(symbol)
    if not 1 <= span.limit <= 10_000:
        raise InvalidInput(f"limit: expected 1 to 10000, received {span.limit}")
    if span.fill not in (None, "previous"):
        raise InvalidInput(f"fill: expected previous or nothing, received {span.fill[:40]!r}")
    seconds = interval_of(interval)
    ids = select(state, Filter((symbol,), wanted.venues, wanted.kinds))
    start, end = _bounds(state, ids, seconds, span)
    slots = state.series(ids, start, end, seconds)
    clock = event_clock(state.watermark, now_ns) // SECOND_NS
    shown = sorted(slots)[-span.limit - 1 :]  # one more than the limit tells that there are older ones
    if span.fill is not None:
        shown = _filled(state, ids, slots, start, min(end, clock + 1), seconds, span.limit)
    rows: list[dict[str, Any]] = []
    for slot in shown[-span.limit :]:
        if slot in slots:
            row = _candle(slot, [(state.instruments[number], atom) for number, atom in sorted(slots[slot].items())])
        else:
            row = _gap(rows[-1] if rows else _candle(slot, _parts(state, ids, FIRST, slot)), slot)
        rows.append(row | {"closed": slot + seconds <= clock})
    following = rows[0]["start"] if len(shown) > span.limit else None
    return {"symbol": symbol, "interval": interval, "candles": rows, "next": following}


def _filled(
    state: Aggregator, ids: Ints, slots: Collection[int], start: int, end: int, seconds: int, limit: int
) -> list[int]:
    """All interval starts from the first that has a price to `end` or the last trade; the newest, one more than the
    limit when there are older ones."""
    first = start if _parts(state, ids, FIRST, start) else min(slots, default=None)
    if first is None:
        return []
    last = max((end - 1) // seconds * seconds, max(slots, default=FIRST))
    return list(range(max(first, last - limit * seconds), last + 1, seconds))


def _parts(state: Aggregator, ids: Ints, start: int, end: int) -> list[Part]:
    """What the instruments traded in [start, end) seconds, with the instruments."""
    return [(state.instruments[number], atom) for number, atom in state.window(ids, start, end).items()]


def _bounds(state: Aggregator, ids: Ints, seconds: int, span: Span) -> tuple[int, int]:
    """[start, end) in seconds on interval borders; 422 when what is asked for is held only coarser."""
    start, end = (
        limit if instant is None else -(-instant // SECOND_NS // seconds) * seconds
        for instant, limit in ((span.start, FIRST), (span.end, LAST))
    )
    held = resolution(state.atoms, start)
    if held > seconds:
        frontier = next(
            value
            for value in reversed(state.atoms.frontier)
            if value > start and resolution(state.atoms, value) <= seconds
        )
        older = len(state.atoms.select(ids, start, frontier))
        newer = len(state.atoms.select(ids, frontier, end))
        if older and (span.start is not None or not newer):
            raise InvalidInput(
                f"interval: trades of that time are held at {held} s, expected no finer, received {seconds} s"
            )
        start = -(-frontier // seconds) * seconds
    return start, end


def _candle(slot: int, parts: list[Part]) -> dict[str, Any]:
    row = present(parts)
    names = ("quantity", "notional", "trades", "buy_quantity", "sell_quantity", "vwap", "revision")
    prices = {"open": "price_open", "high": "price_high", "low": "price_low", "close": "price_last"}
    candle: dict[str, Any] = {"start": format_time(slot * SECOND_NS)}
    candle |= {name: row[source] for name, source in prices.items()}
    return candle | {name: row[name] for name in names}


def _gap(previous: dict[str, Any], slot: int) -> dict[str, Any]:
    """An interval without trades, at the previous close."""
    flat = {"start": format_time(slot * SECOND_NS), "trades": 0, "vwap": None}
    flat |= dict.fromkeys(("open", "high", "low", "close"), previous["close"])
    flat |= dict.fromkeys(("quantity", "notional", "buy_quantity", "sell_quantity"), "0")
    return previous | flat
