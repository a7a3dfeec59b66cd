"""The times from order to fill for Prometheus: one histogram by liquidity, whatever the number of strategies."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from prometheus_client.core import HistogramMetricFamily, Metric

from gateway.state.orders import Orders
from telemetry.latencies import concatenated, counts_of, names_of
from telemetry.quantiles import NEGATIVE, code_of

# Upper bounds in seconds: a taker's way to the market takes milliseconds, a maker's place in the queue hours.
BOUNDS = (0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 600.0, 3600.0)


def order_seconds(orders: Orders) -> Metric:
    """The histogram of all times that are not negative. A bound includes times up to 2 % above it: of a time no more is
    known than the bucket of telemetry.quantiles that it lies in."""
    text = "Time from an order to its fill, by the sender's and the venue's clock"
    family = HistogramMetricFamily("telemetry_order_fill_seconds", text, labels=("liquidity",))
    cells = concatenated(orders.everything())
    of = names_of(cells)
    for liquidity in sorted({name.liquidity for name in orders.names}):
        numbers = [number for number, name in enumerate(orders.names) if name.liquidity == liquidity]
        counts = counts_of(cells[np.isin(of, numbers)])
        valid = counts.codes > NEGATIVE
        codes, sums = counts.codes[valid].tolist(), [0, *np.cumsum(counts.counts[valid]).tolist()]
        rows = [(str(bound), float(sums[bisect_right(codes, code_of(round(bound * 1e9)))])) for bound in BOUNDS]
        family.add_metric((liquidity,), [*rows, ("+Inf", float(sums[-1]))], counts.total / 1e9)
    return family
