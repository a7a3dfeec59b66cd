"""What people read: statistics per symbol and candles, as JSON values, from the aggregator's exact state."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.aggregator import Aggregator
from gateway.reading.selection import Part, Place, Selection, between
from gateway.reading.series import series
from gateway.reading.whole import Asked, Whole, read
from gateway.reading.whole import Filter as Filter
from gateway.reading.whole import select as select
from gateway.reading.windows import SECOND_NS, Window, event_clock, interval_of, resolution
from gateway.state.merging import Ints
from telemetry.decimals import format_decimal
from telemetry.errors import InvalidInput
from telemetry.statistics import add_decimals, notional_of, present
from telemetry.times import format_time

CANDLES = 500
FIRST, LAST = -(1 << 34), 1 << 34  # seconds: further than 64 bits of nanoseconds reach


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


def stats(
    state: Aggregator, *, window: str, wanted: Filter, page: Page, now_ns: int, at: str | None = None
) -> dict[str, Any]:
    """The answer of `GET /v1/stats` but for its freshness fields."""
    answer = prepare(state, Asked(window, now_ns, wanted, at), page)
    return answer.head | {"symbols": dict(answer.rows()), "order": answer.order, "next": answer.following}


@dataclass(frozen=True)
class Answer:
    """An answer of `GET /v1/stats`, as of one instant; its rows are made when they are asked for, any time later."""

    head: dict[str, Any]
    order: list[str]
    following: str | None
    selection: Selection
    seconds: float | None

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each symbol's row."""
        for name in self.order:
            yield name, present(self.selection.parts(name), self.seconds)


def prepare(state: Aggregator, asked: Asked, page: Page, *, warmed: bool = False) -> Answer:
    """All but the rows. Raises InvalidInput."""
    page.check()
    after = page.after()
    found, span = read(state, asked, warmed=warmed)
    order, counts = found.order(page.sort, after, page.limit + 1)
    following = f"{page.sort}:{counts[page.limit - 1]}:{order[page.limit - 1]}" if len(order) > page.limit else None
    order = order[: page.limit]
    head = bounds_of(asked.window, span) | {"totals": totals(list(found.sums()))}
    seconds = None if span is None else float(span.end - span.start)
    shown = found.of(order) if isinstance(found, Whole) else found
    if asked.at not in (None, "watermark"):
        state.windows.close(asked.key)
    return Answer(head, order, following, shown, seconds)


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


def asked_of(state: Aggregator, symbol: str, asked: Asked) -> Asked:
    """What is asked for, of one symbol only; 404 when it was never seen."""
    if symbol not in state.by_symbol:
        raise unknown_symbol(symbol)
    return replace(asked, wanted=replace(asked.wanted, symbols=(symbol,)))


def row_of(state: Aggregator, symbol: str, asked: Asked, *, warmed: bool = False) -> dict[str, Any]:
    """The answer of `GET /v1/stats/{symbol}` but for its freshness fields; 404 when the symbol was never seen."""
    found = prepare(state, asked_of(state, symbol, asked), Page(), warmed=warmed)
    row = dict(found.rows()).get(symbol) or empty_row(asked.window)
    bounds = {name: found.head[name] for name in ("window", "window_start", "window_end")}
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
    row |= dict.fromkeys(("trades_per_second", "quantity_per_second"), rate)
    return row | {"interarrival_mean": None, "currency": None, "revision": 0}


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
    head, rows = prepare_candles(state, symbol, interval=interval, span=span, wanted=wanted, now_ns=now_ns)
    return head | {"candles": list(rows)}


def prepare_candles(
    state: Aggregator, symbol: str, *, interval: str, span: Span, wanted: Filter, now_ns: int
) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    """An answer but for its candles, and these as of now, to be made any time later."""
    if symbol not in state.by_symbol:
        raise unknown_symbol(symbol)
    if not 1 <= span.limit <= 10_000:
        raise InvalidInput(f"limit: expected 1 to 10000, received {span.limit}")
    if span.fill not in (None, "previous"):
        raise InvalidInput(f"fill: expected previous or nothing, received {span.fill[:40]!r}")
    seconds = interval_of(interval)
    ids = select(state, Filter((symbol,), wanted.venues, wanted.kinds))
    start, end = _bounds(state, ids, seconds, span)
    filled = span.fill is not None
    slots = series(state, ids, start, end, seconds, newest=None if filled else span.limit + 1)
    clock = event_clock(state.watermark, now_ns) // SECOND_NS
    shown = sorted(slots)[-span.limit - 1 :]  # one more than the limit tells that there are older ones
    if filled:
        shown = _filled(state, ids, slots, start, min(end, clock + 1), seconds, span.limit)
    following = format_time(shown[-span.limit] * SECOND_NS) if len(shown) > span.limit else None
    shown = shown[-span.limit :]
    earlier = _parts(state, ids, FIRST, shown[0]) if shown and shown[0] not in slots else []
    first = _candle(shown[0], earlier) if earlier else {}

    def rows() -> Iterator[dict[str, Any]]:
        row = first
        for slot in shown:
            if slot in slots:
                parts = [(state.instruments[number], atom) for number, atom in sorted(slots[slot].items())]
                row = _candle(slot, parts)
            else:
                row = _gap(row, slot)
            yield row | {"closed": slot + seconds <= clock}

    return {"symbol": symbol, "interval": interval, "next": following}, rows()


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
    """What instruments of one symbol traded in [start, end) seconds, with the instruments."""
    found = between(state, ids, start, end)
    return found.parts(state.instruments[ids[0]].symbol) if len(ids) else []


def _bounds(state: Aggregator, ids: Ints, seconds: int, span: Span) -> tuple[int, int]:
    """[start, end) in seconds on interval borders; 422 when what is asked for is held only coarser."""
    start, end = (
        limit if instant is None else -(-instant // SECOND_NS // seconds) * seconds
        for instant, limit in ((span.start, FIRST), (span.end, LAST))
    )
    held = resolution(state.atoms, start)
    if seconds % held:
        frontier = next(
            value
            for value in reversed(state.atoms.frontier)
            if value > start and seconds % resolution(state.atoms, value) == 0
        )
        older = len(state.atoms.find(ids, start, frontier)[0])
        newer = len(state.atoms.find(ids, frontier, end)[0])
        if older and (span.start is not None or not newer):
            raise InvalidInput(
                f"interval: trades of that time are held at {held} s, expected that or a multiple, received {seconds} s"
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
