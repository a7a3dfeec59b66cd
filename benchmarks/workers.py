"""Two workers against one, with an analysis that is twenty times as much work, drained from a journal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.backlog import fill, unapplied
from benchmarks.figure import Figure, Sample, alternate, column, ratios
from benchmarks.plan import Plan
from benchmarks.processes import until

WORKER = (sys.executable, "-P", "-m", "benchmarks.slow_worker")


def measure(plan: Plan) -> Iterator[Figure]:
    """Trades a second of both."""
    trades = plan.size(2_000_000, 600_000)
    fill(plan.directory / "workers", trades)
    things: dict[str, Callable[[int], Sample]] = {
        f"{count} worker{'s' * (count > 1)}": partial(_drain, plan, trades, count) for count in (1, 2)
    }
    samples = alternate(plan.rounds, things, warm_up=False)
    yield Figure(
        name="two workers ÷ one, analysis 20 times",
        measured=ratios(samples["2 workers"], samples["1 worker"]),
        required=1.5,
        aim=1.9,
        values={f"{name}, trades/s": column(taken, "rate") for name, taken in samples.items()},
        note=f"{trades:,} trades",
    )


def _drain(plan: Plan, trades: int, count: int, _: int) -> Sample:
    """From when all workers are there and something is applied, until all is."""
    with unapplied(plan.directory / "workers", worker=WORKER) as product:
        product.start_workers(count)
        until(lambda: product.applied() > 0, "something is applied")
        first, began = product.applied(), time.monotonic()
        product.finish()
        return {"rate": (trades - first) / (time.monotonic() - began)}
