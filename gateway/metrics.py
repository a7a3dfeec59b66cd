"""Prometheus: one collector that reads the state at scrape time, plus the HTTP metrics of the instrumentator.

Counters are functions of the journal (what was merged, gross), so they never go back; the families that count trades
appear after a restart only when everything durable at the start is applied again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version

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
from gateway.figures import Filter, Part, select
from gateway.latency import BOUNDS
from gateway.stream import Stream
from gateway.windows import event_clock, window_of
from telemetry.statistics import SIDES, VERSION, add, present

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
        quarantined = len(state.quarantined)
        yield CounterMetricFamily(
            "telemetry_quarantined", "Trades left out because they kill workers", value=quarantined
        )

    def _reasons(self) -> Iterator[Metric]:
        for name, text, counts in (
            ("redelivered", "Ranges given out again", self._gateway.backbone.status().redelivered),
            ("partials_dropped", "Results that were not merged", self._gateway.dropped),
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
        groups = self._grouped()
        yield from _counters(self._gateway.state, groups)
        state = self._gateway.state
        minute = window_of("1m", event_clock(state.watermark, self._gateway.clocks.wall_ns()), state.atoms)
        assert minute is not None
        recent = state.window(select(state, Filter()), minute.start, minute.end)
        gauges = {
            name: GaugeMetricFamily(f"telemetry_{name}", text, labels=("symbol",)) for name, text in _GAUGES.items()
        }
        for symbol, ids in groups.items():
            if symbol == OTHER:
                continue
            row = present(
                [(state.instruments[number], atom) for number in ids if (atom := state.total(number)) is not None]
            )
            last_minute = add(recent[number] for number in ids if number in recent)
            trades = sum(last_minute.trades) if last_minute is not None else 0
            row["trades_per_second"] = trades / (minute.end - minute.start)
            for name, gauge in gauges.items():
                if row[name] is not None:
                    gauge.add_metric((symbol,), float(row[name]))
        yield from gauges.values()

    def _grouped(self) -> dict[str, list[int]]:
        """Ids of instruments by label, in the order in which the symbols were first seen."""
        state = self._gateway.state
        labels = set(self._symbols or list(state.by_symbol)[:LABELLED])
        groups: dict[str, list[int]] = {}
        for symbol, ids in state.by_symbol.items():
            groups.setdefault(symbol if symbol in labels else OTHER, []).extend(ids)
        return groups


def _counters(state: Aggregator, groups: dict[str, list[int]]) -> Iterator[Metric]:
    families = {
        name: CounterMetricFamily(f"telemetry_{name}", f"{text}, gross", labels=("symbol", "side"))
        for name, text in (("trades", "Trades"), ("quantity", "Quantity traded"), ("notional", "Money traded"))
    }
    for symbol, ids in groups.items():
        parts = [(number, (state.instruments[number], atom)) for number in ids if (atom := state.total(number))]
        for code, side in enumerate(SIDES):
            key = (symbol, side)
            families["trades"].add_metric(key, sum(atom.trades[code] for _, (_, atom) in parts))
            quantity = sum(atom.quantity[code] / 10**atom.quantity_scale for _, (_, atom) in parts)
            families["quantity"].add_metric(key, quantity)
            gross = sum(_gross(part, state.negative.get(number), code) for number, part in parts)
            families["notional"].add_metric(key, gross)
    yield from families.values()


def _gross(part: Part, negative: tuple[int, int, int] | None, code: int) -> float:
    """Sum of |price| * quantity * multiplier of one side."""
    instrument, atom = part
    total = atom.notional[code] + (2 * negative[code] if negative else 0)
    gross: float = (
        total * instrument.multiplier / 10 ** (atom.price_scale + atom.quantity_scale + instrument.multiplier_scale)
    )
    return gross
