"""Prometheus: one collector that reads the state at scrape time, plus the HTTP metrics of the instrumentator.

Counters are functions of the journal (what was merged, gross), so they never go back; the families that count trades
appear after a restart only when everything durable at the start is applied again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import chain, islice
from typing import NamedTuple

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from gateway.aggregator import Aggregator
from gateway.app import Gateway
from gateway.exporting.orders import order_seconds
from gateway.exporting.patterns import symbol_patterns
from gateway.exporting.watching import watching
from gateway.latency import BOUNDS
from gateway.reading.selection import Part, between
from gateway.reading.whole import Asked, Filter, Whole, read, select, warm
from gateway.reading.windows import event_clock, window_of
from gateway.stream import Stream
from telemetry.statistics import SIDES, VERSION, add_decimals, notional_of, present

Registry = CollectorRegistry
Decimal = tuple[int, int]  # mantissa, scale
Terms = tuple[tuple[int, int, int], int]  # mantissas by side, scale
Amounts = list["Amount"]  # by side
PIECE_SECONDS = 0.003  # of writing a page before others have their turn
OTHER = "__other__"
LABELLED = 100
_GAUGES = {
    "quantity_mean": "Mean quantity of a trade since the start of the data",
    "quantity_std": "Population standard deviation of the quantity since the start of the data",
    "quantity_max": "Largest quantity of a trade since the start of the data",
    "vwap": "Price weighted by quantity since the start of the data",
    "price_last": "Price of the last trade by timestamp",
    "trades_per_second": "Trades per second over the one-minute window of the event clock",
}


def new_registry(gateway: Gateway, stream: Stream, symbols: Sequence[str]) -> CollectorRegistry:
    """The registry behind /metrics. `symbols` are the labels; empty: the first 100 seen."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no annotation there
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    registry.register(GatewayCollector(gateway, stream, symbols))
    return registry


async def exposition(registry: CollectorRegistry, state: Aggregator) -> tuple[bytes, str]:
    """(the page, its content type). It is written family by family: others have their turn in between."""
    for _ in warm(state, Asked("all", 0)):
        await asyncio.sleep(0)
    pages, began = [], time.monotonic()
    for family in registry.collect():
        pages.append(generate_latest(_Family(family)))
        if time.monotonic() - began > PIECE_SECONDS:
            await asyncio.sleep(0)
            began = time.monotonic()
    return b"".join(pages), CONTENT_TYPE_LATEST


class _Family(Collector):
    """One family, already collected."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        """That family."""
        yield self._family


class GatewayCollector(Collector):
    """Everything but HTTP."""

    def __init__(self, gateway: Gateway, stream: Stream, symbols: Sequence[str]) -> None:
        self._gateway, self._stream, self._symbols = gateway, stream, tuple(symbols)

    def collect(self) -> Iterable[Metric]:
        """All families as they are now; those of trades are as of the instant when the first is asked for."""
        trades = self._trades() if self._gateway.caught_up else ()
        quarantined = len(self._gateway.state.quarantined)
        yield from list(self._pipeline())
        yield from self._reasons()
        yield self._latency()
        yield from list(watching(self._gateway.watch))
        yield from trades
        if self._gateway.caught_up:
            yield order_seconds(self._gateway.state.orders)
            yield from symbol_patterns(self._gateway, self._symbols)
            text = "Trades left out because they kill workers"
            yield CounterMetricFamily("telemetry_quarantined", text, value=quarantined)

    def _pipeline(self) -> Iterator[Metric]:
        state, status = self._gateway.state, self._gateway.backbone.status()
        build = GaugeMetricFamily("telemetry_build_info", "Versions", labels=("version", "statistics"))
        build.add_metric((version("trading-telemetry"), VERSION), 1)
        yield build
        workers = sum(worker.version_ok for worker in status.workers)
        for name, text, value in (
            ("durable_seq", "Number of the last trade on disk", status.durable_seq),
            ("applied_seq", "Number of the last trade in the statistics", state.applied),
            ("backlog_trades", "Trades on disk that are not in the statistics yet", status.durable_seq - state.applied),
            ("workers", "Workers that are connected and get work", workers),
            ("stream_clients", "Open connections of the live stream", self._stream.clients),
            ("atoms", "Time buckets held", len(state.atoms)),
        ):
            yield GaugeMetricFamily(f"telemetry_{name}", text, value=float(value))
        leases = CounterMetricFamily("telemetry_leases", "Leases sent, by where their trades were", labels=("way",))
        for way, count in sorted(status.leases.items()):
            leases.add_metric((way,), count)
        yield leases
        skipped = self._gateway.live.skipped
        yield CounterMetricFamily("telemetry_stream_skipped", "Updates that slow clients were not sent", value=skipped)

    def _reasons(self) -> Iterator[Metric]:
        status = self._gateway.backbone.status()
        garbage = {"garbage": status.garbage} if status.garbage else {}
        for name, text, counts in (
            ("redelivered", "Ranges given out again", status.redelivered),
            ("partials_dropped", "Results that were not merged", self._gateway.dropped | garbage),
            ("refused", "Requests refused", self._gateway.refused),
        ):
            family = CounterMetricFamily(f"telemetry_{name}", text, labels=("reason",))
            for reason, count in sorted(counts.items()):
                family.add_metric((reason,), count)
            yield family

    def _latency(self) -> Metric:
        text = "Time that trades take, by stage"
        family = HistogramMetricFamily("telemetry_stage_latency_seconds", text, labels=("stage",))
        for name, stage in self._gateway.latency.stages.items():
            buckets, total = [], 0
            for bound, count in zip((*map(str, BOUNDS), "+Inf"), stage.buckets, strict=True):
                total += count
                buckets.append((bound, float(total)))
            family.add_metric((name,), buckets, stage.total_ns / 1e9)
        return family

    def _trades(self) -> Iterator[Metric]:
        """Read now; what is made of it, when it is asked for."""
        state, now_ns = self._gateway.state, self._gateway.clocks.wall_ns()
        symbols = self._symbols or islice(state.by_symbol, LABELLED)
        names = [name for name in symbols if name in state.by_symbol and name != OTHER]
        ever, _ = read(state, Asked("all", now_ns))
        assert isinstance(ever, Whole)
        minute = window_of("1m", event_clock(state.watermark, now_ns), state.atoms)
        assert minute is not None
        recent = between(state, select(state, Filter(names or (OTHER,))), minute.start, minute.end)
        found = ever.of(names)
        parts = {name: found.parts(name) for name in names}
        negative = {name: _negative(state, state.by_symbol[name]) for name in names}
        rest: Amounts | None = None
        if sum(len(state.by_symbol[name]) for name in names) < len(state.instruments):
            rest = _amounts(list(ever.sums()), _negative(state, state.negative))
        trades = dict(zip(*recent.order("symbol", None), strict=True))
        return chain(_counters(parts, negative, rest), _gauges(parts, trades, minute.end - minute.start))


class Amount(NamedTuple):
    """Of one side; money is gross."""

    trades: int
    quantity: Decimal
    notional: Decimal


def _counters(
    parts: Mapping[str, list[Part]], negative: Mapping[str, list[Terms]], rest: Amounts | None
) -> Iterator[Metric]:
    """What each symbol traded, and of `rest`, which is all together, what the others did."""
    amounts = {name: _amounts(of, negative[name]) for name, of in parts.items()}
    if rest is not None:
        amounts[OTHER] = [_without(all_of, [of[code] for of in amounts.values()]) for code, all_of in enumerate(rest)]
    for name, text in (("trades", "Trades"), ("quantity", "Quantity traded"), ("notional", "Money traded")):
        family = CounterMetricFamily(f"telemetry_{name}", f"{text}, gross", labels=("symbol", "side"))
        for symbol, sides in amounts.items():
            for side, amount in zip(SIDES, sides, strict=True):
                value = getattr(amount, name)
                family.add_metric((symbol, side), value if name == "trades" else _value(value))
        yield family


def _gauges(parts: Mapping[str, list[Part]], trades: Mapping[str, int], seconds: int) -> Iterator[Metric]:
    rows = {
        symbol: present(of) | {"trades_per_second": trades.get(symbol, 0) / seconds}
        for symbol, of in parts.items()
        if of
    }
    for name, text in _GAUGES.items():
        gauge = GaugeMetricFamily(f"telemetry_{name}", text, labels=("symbol",))
        for symbol, row in rows.items():
            if row[name] is not None:
                gauge.add_metric((symbol,), float(row[name]))
        yield gauge


def _value(decimal: Decimal) -> float:
    # One rounding of an exact number that only grows: what is shown never goes back.
    return float(decimal[0] / 10 ** decimal[1])


def _amounts(parts: Sequence[Part], negative: Sequence[Terms]) -> Amounts:
    """By side. `negative` is added twice to the signed money: |price| * quantity of the trades at negative prices."""
    money = [notional_of(instrument, atom) for instrument, atom in parts]
    return [
        Amount(
            sum(atom.trades[code] for _, atom in parts),
            add_decimals((atom.quantity[code], atom.quantity_scale) for _, atom in parts),
            add_decimals(
                [(value[code], scale) for value, scale in money] + [(2 * sums[code], scale) for sums, scale in negative]
            ),
        )
        for code in range(len(SIDES))
    ]


def _without(amount: Amount, others: Sequence[Amount]) -> Amount:
    quantities, notionals = ([getattr(of, name) for of in others] for name in ("quantity", "notional"))
    return Amount(
        amount.trades - sum(of.trades for of in others),
        add_decimals([amount.quantity, *((-value, scale) for value, scale in quantities)]),
        add_decimals([amount.notional, *((-value, scale) for value, scale in notionals)]),
    )


def _negative(state: Aggregator, numbers: Iterable[int]) -> list[Terms]:
    """Of instruments that traded at negative prices: money by side with the multiplier applied, and its scale."""
    found = []
    for number in numbers:
        if (sums := state.negative.get(number)) is not None:
            instrument = state.instruments[number]
            scale = int(state.price_scale[number] + state.quantity_scale[number]) + instrument.multiplier_scale
            factor = instrument.multiplier
            found.append(((sums[0] * factor, sums[1] * factor, sums[2] * factor), scale))
    return found
