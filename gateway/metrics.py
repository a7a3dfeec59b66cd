"""Prometheus: one collector that reads the state at scrape time, plus the HTTP metrics of the instrumentator.

Counters are functions of the journal (what was merged, gross), so they never go back; the families that count trades
appear after a restart only when everything durable at the start is applied again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import islice

import numpy as np
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
from gateway.atoms import Ints
from gateway.latency import BOUNDS
from gateway.selection import Part, between, everything
from gateway.stream import Stream
from gateway.windows import event_clock, window_of
from telemetry.statistics import SIDES, VERSION, add_decimals, notional_of, present

Registry = CollectorRegistry
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


def exposition(registry: CollectorRegistry) -> tuple[bytes, str]:
    """(the page, its content type)."""
    return generate_latest(registry), CONTENT_TYPE_LATEST


class GatewayCollector(Collector):
    """Everything but HTTP."""

    def __init__(self, gateway: Gateway, stream: Stream, symbols: Sequence[str]) -> None:
        self._gateway, self._stream, self._symbols = gateway, stream, tuple(symbols)

    def collect(self) -> Iterable[Metric]:
        """All families as they are now."""
        yield from self._pipeline()
        yield from self._reasons()
        yield self._latency()
        if self._gateway.caught_up:
            yield from self._trades()
            text = "Trades left out because they kill workers"
            yield CounterMetricFamily("telemetry_quarantined", text, value=len(self._gateway.state.quarantined))

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
            family.add_metric((name,), buckets, stage.all.total / 1e9)
        return family

    def _trades(self) -> Iterator[Metric]:
        state = self._gateway.state
        symbols = self._symbols or islice(state.by_symbol, LABELLED)
        labels = {name: state.by_symbol[name] for name in symbols if name in state.by_symbol and name != OTHER}
        yield from self._counters(labels)
        minute = window_of("1m", event_clock(state.watermark, self._gateway.clocks.wall_ns()), state.atoms)
        assert minute is not None
        labelled = np.array(sorted(number for ids in labels.values() for number in ids), np.int64)
        total = everything(state, labelled)
        rate = dict(zip(*between(state, labelled, minute.start, minute.end).order("symbol", None), strict=True))
        gauges = {
            name: GaugeMetricFamily(f"telemetry_{name}", text, labels=("symbol",)) for name, text in _GAUGES.items()
        }
        for symbol in labels:
            if not (parts := total.parts(symbol)):
                continue
            row = present(parts) | {"trades_per_second": rate.get(symbol, 0) / (minute.end - minute.start)}
            for name, gauge in gauges.items():
                if row[name] is not None:
                    gauge.add_metric((symbol,), float(row[name]))
        yield from gauges.values()

    def _counters(self, labels: Mapping[str, list[int]]) -> Iterator[Metric]:
        families = {
            name: CounterMetricFamily(f"telemetry_{name}", f"{text}, gross", labels=("symbol", "side"))
            for name, text in (("trades", "Trades"), ("quantity", "Quantity traded"), ("notional", "Money traded"))
        }
        state = self._gateway.state
        rest = np.ones(len(state.instruments), np.bool_)
        rest[[number for ids in labels.values() for number in ids]] = False
        groups = {symbol: np.array(ids, np.int64) for symbol, ids in labels.items()}
        if rest.any():
            groups[OTHER] = np.flatnonzero(rest)
        for symbol, ids in groups.items():
            parts = list(everything(state, ids).sums())
            for code, side in enumerate(SIDES):
                families["trades"].add_metric((symbol, side), sum(atom.trades[code] for _, atom in parts))
                quantity = add_decimals((atom.quantity[code], atom.quantity_scale) for _, atom in parts)
                families["quantity"].add_metric((symbol, side), _value(quantity))
                families["notional"].add_metric((symbol, side), _value(_gross(state, ids, parts, code)))
        yield from families.values()


def _value(decimal: tuple[int, int]) -> float:
    # One rounding of an exact number that only grows: what is shown never goes back.
    return float(decimal[0] / 10 ** decimal[1])


def _gross(state: Aggregator, ids: Ints, parts: Sequence[Part], code: int) -> tuple[int, int]:
    """Sum of |price| * quantity * multiplier of one side, as mantissa and scale."""
    money = (notional_of(instrument, atom) for instrument, atom in parts)
    terms = [(value[code], scale) for value, scale in money]
    for number in state.negative.keys() & set(ids.tolist()) if state.negative else ():
        instrument = state.instruments[number]
        scale = int(state.price_scale[number] + state.quantity_scale[number]) + instrument.multiplier_scale
        terms.append((2 * state.negative[number][code] * instrument.multiplier, scale))
    return add_decimals(terms)
