"""Prometheus families about alerts, streams and sources."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gateway.watch import Watch


def watching(watch: Watch) -> Iterator[Metric]:
    """As they are now. Sources are bounded: the first hundred there were, and they stay."""
    alerts = watch.bulletin.alerts
    fired = CounterMetricFamily("telemetry_alerts", "How often alerts of a rule fired", labels=("rule",))
    for rule, times in sorted(alerts.fired.items()):
        fired.add_metric((rule,), times)
    yield fired
    text = "Alerts that fire, or resolved and nobody acknowledged them"
    open_now = GaugeMetricFamily("telemetry_alerts_open", text, labels=("rule", "severity"))
    found = alerts.open()
    for name, rule_now in sorted(alerts.rules.items()):
        found.setdefault((name, rule_now.severity), 0)
    for labels, count in sorted(found.items()):
        open_now.add_metric(labels, count)
    yield open_now
    streams = GaugeMetricFamily("telemetry_streams", "Streams by state", labels=("kind", "state"))
    for kind, states in watch.freshness.counts().items():
        for state, count in states.items():
            streams.add_metric((kind, state), count)
    yield streams
    yield from _sources(watch)


def _sources(watch: Watch) -> Iterator[Metric]:
    rows = watch.loss.rows(watch.loss.labelled)
    missing = GaugeMetricFamily("telemetry_source_missing", "Numbers that have not come", labels=("source",))
    gaps = CounterMetricFamily("telemetry_source_gaps", "Holes in the numbers, healed or not", labels=("source",))
    for name, row in rows.items():
        missing.add_metric((name,), row["missing"])
        gaps.add_metric((name,), row["holes"])
    yield missing
    yield gaps
