"""Patterns of one symbol in a window: gaps between trades, bursts, realised volatility, the largest trades.

A window here ends with the ten seconds that hold its instant, as gaps and bursts are kept by ten seconds; its start
gives way to units that it would cut, as everywhere. The formulas stand in docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gateway.aggregator import Aggregator
from gateway.reading.figures import bounds_of, unknown_symbol
from gateway.reading.large import largest
from gateway.reading.running import EVER, Range
from gateway.reading.volatility import Minutes, minutes_of
from gateway.reading.whole import Filter, select
from gateway.reading.windows import SECOND_NS, WINDOWS, Window, instant_of, resolution, window_of
from gateway.reading.zones import zone_of
from gateway.state.merging import Ints
from gateway.state.patterns import Patterns
from telemetry.errors import InvalidInput
from telemetry.patterns import BURST, NEGATIVE, UNITS, burst_of, value_of
from telemetry.rows import TRADES
from telemetry.times import format_time

SYMBOLS = 4  # of a subscription, and of the metrics: a symbol takes one or two milliseconds, more in a long window
QUANTILES = {"interarrival_p50": 50, "interarrival_p90": 90, "interarrival_p99": 99}  # percent
MANY = 100  # trades of a second from which on its burst ratio says something
SLOTS = 360  # units of ten seconds whose bursts are listed, the newest


class Burst(NamedTuple):
    """So many trades in one millisecond (since 1970) of an instrument."""

    trades: int
    millisecond: int
    instrument: int


@dataclass(frozen=True)
class Question:
    """What is asked of a symbol: a window, where it ends (None or `watermark`), which instruments."""

    symbol: str
    window: str
    wanted: Filter = field(default_factory=Filter)
    at: str | None = None


@dataclass(frozen=True)
class Answer:
    """All but the volatility, and that from which it is made at any later time."""

    fields: dict[str, Any]
    minutes: Minutes

    def document(self) -> dict[str, Any]:
        """The answer of `GET /v1/patterns/{symbol}` but for its freshness fields."""
        return self.fields | {"realised_volatility": self.minutes.volatility()}

    def figures(self) -> dict[str, Any]:
        """The same without what is a list."""
        return {name: value for name, value in self.document().items() if not isinstance(value, list)}


def prepare(state: Aggregator, asked: Question, zones: Mapping[str, str], now_ns: int) -> Answer:
    """The answer as of now. Raises InvalidInput."""
    held = _held(state)
    if asked.symbol not in state.by_symbol:
        raise unknown_symbol(asked.symbol)
    if asked.at not in (None, "watermark"):
        raise InvalidInput(f"at: expected watermark or nothing, received {str(asked.at)[:40]!r}", problem="invalid")
    span = window(state, asked.window, instant_of(asked.at, state.watermark, now_ns))
    of = EVER if span is None else Range(span.start, span.end)
    ids = select(state, Filter((asked.symbol,), asked.wanted.venues, asked.wanted.kinds))
    zone = zone_of(state, ids, zones)
    top, complete = largest(state, held.largest, ids, of)
    fields = {"symbol": asked.symbol, **bounds_of(asked.window, span), "zone": zone}
    fields |= _gaps_and_bursts(state, held, ids, of) | {"largest": top, "complete": complete and _tracked(held, ids)}
    return Answer(fields, minutes_of(state, ids, of, zone))


def _held(state: Aggregator) -> Patterns:
    if state.patterns is None:
        detail = "expected TELEMETRY_STATISTICS=all, received basic: patterns are not kept"
        raise InvalidInput(detail, problem="not-found")
    state.patterns.take_in()
    return state.patterns


def _tracked(held: Patterns, ids: Ints) -> bool:
    return int(ids.max(initial=0)) < held.cells.instruments


def window(state: Aggregator, name: str, instant_ns: int) -> Window | None:
    """The window that ends with the ten seconds of an instant, None for ever. Raises InvalidInput."""
    held, unit = _held(state).cells, UNITS[0]
    seconds = WINDOWS.get(name)
    if seconds is None:
        return window_of(name, instant_ns, state.atoms)
    end = (instant_ns // SECOND_NS // unit + 1) * unit
    last = max(held.resolution(end - 1), resolution(state.atoms, end - 1))
    start = end - seconds
    start -= start % max(held.resolution(start), resolution(state.atoms, start))
    return Window(start, -(-end // last) * last, seconds)


def _gaps_and_bursts(state: Aggregator, held: Patterns, ids: Ints, of: Range) -> dict[str, Any]:
    counts = np.zeros(BURST + 1, np.int64)
    bursts: list[Burst] = []
    slots: dict[int, int] = {}
    for number in ids.tolist():
        starts, buckets, values = held.cells.of(number)
        inside = (starts >= of.start) & (starts < of.end)
        gaps = inside & (buckets != BURST)
        np.add.at(counts, buckets[gaps], values[gaps])
        if held.fine[number]:
            for start, value in zip(*(a[inside & ~gaps].tolist() for a in (starts, values)), strict=True):
                trades, millisecond = burst_of(value, start)
                bursts.append(Burst(trades, millisecond, number))
                slots[start] = max(slots.get(start, 0), trades)
    best = min(bursts, key=lambda burst: (-burst.trades, burst.millisecond, burst.instrument), default=None)
    coarse = {start for start in slots if held.cells.resolution(start) > UNITS[0]}
    shown = sorted(slots.keys() - coarse)[-SLOTS:]
    listed = [{"start": format_time(start * SECOND_NS), "trades": slots[start]} for start in shown]
    return _quantiles(counts) | _burst(state, best) | {"microbursts": listed}


def _quantiles(counts: Ints) -> dict[str, Any]:
    """By nearest rank, in seconds."""
    negative, gaps = int(counts[NEGATIVE]), counts[:NEGATIVE].cumsum()
    total = int(gaps[-1])
    fields: dict[str, Any] = {"interarrival_count": total, "interarrival_negative": negative}
    for name, percent in QUANTILES.items():
        rank = max(1, -(-total * percent // 100))
        fields[name] = value_of(int(gaps.searchsorted(rank))) / 1e9 if total else None
    return fields


def _burst(state: Aggregator, best: Burst | None) -> dict[str, Any]:
    fields: dict[str, Any] = dict.fromkeys(
        ("microburst", "microburst_at", "microburst_venue", "microburst_kind", "burst_ratio")
    )
    if best is None:
        return fields
    instrument = state.instruments[best.instrument]
    fields |= {"microburst": best.trades, "microburst_at": format_time(best.millisecond * 1_000_000)}
    fields |= {"microburst_venue": instrument.venue or None, "microburst_kind": instrument.kind}
    second = best.millisecond // 1000
    if resolution(state.atoms, second) == 1:
        trades = trades_in(state, best.instrument, second)
        fields["burst_ratio"] = best.trades * 1000 / trades if trades >= MANY else None
    return fields


def trades_in(state: Aggregator, instrument: int, second: int) -> int:
    """The trades of an instrument in a second that is held as one."""
    rows = state.atoms.select(np.array([instrument]), second, second + 1)
    wide = state.wide.total_between([instrument], second, second + 1)
    return int(rows[:, TRADES : TRADES + 3].sum()) + sum(sum(atom.trades) for atom in wide.values())
