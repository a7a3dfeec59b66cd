"""Patterns for Prometheus: of the first symbols that the metrics are configured for, over a minute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from gateway.app import Gateway
from gateway.reading.patterns import QUANTILES, SYMBOLS, Question, prepare

_GAUGES = {
    "microburst_trades": ("microburst", "Most trades in one millisecond of the last minute"),
    "burst_ratio": ("burst_ratio", "That number times 1,000 over the trades of its second"),
    "realised_volatility": ("realised_volatility", "Root of the sum of squared log returns of the last minute"),
}


def symbol_patterns(gateway: Gateway, symbols: Sequence[str]) -> Iterator[Metric]:
    """As they are now; nothing of what is undefined, or when only basic statistics are kept."""
    state, now_ns = gateway.state, gateway.clocks.wall_ns()
    kept = () if state.patterns is None else symbols[:SYMBOLS]
    asked = [Question(name, "1m") for name in kept if name in state.by_symbol]
    rows = {each.symbol: prepare(state, each, gateway.zones, now_ns).figures() for each in asked}
    for name, (figure, text) in _GAUGES.items():
        gauge = GaugeMetricFamily(f"telemetry_{name}", text, labels=("symbol",))
        for symbol, row in rows.items():
            if row[figure] is not None:
                gauge.add_metric((symbol,), float(row[figure]))
        yield gauge
    text = "Time from one trade to the next in the last minute"
    gaps = GaugeMetricFamily("telemetry_interarrival_seconds", text, labels=("symbol", "quantile"))
    for symbol, row in rows.items():
        for figure, percent in QUANTILES.items():
            if row[figure] is not None:
                gaps.add_metric((symbol, str(percent / 100)), row[figure])
    yield gaps
