"""Two workers against one, with an analysis that is twenty times as much work, drained from a journal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.backlog import fill, unapplied
from benchmarks.figure import Figure, Sample, alternate, column, ratios
from benchmarks.plan import Plan
from benchmarks.processes import Failed

WORKER = (sys.executable, "-P", "-m", "benchmarks.slow_worker")
WAIT_SECONDS = 60.0  # of ranges for the workers that hold them, until all are there


def measure(plan: Plan) -> Iterator[Figure]:
    """Trades a second of both."""
    trades = plan.size(4_000_000, 1_000_000)
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
    """From when all workers are there, each with ranges in its hands, until everything is applied."""
    directory = plan.directory / "workers"
    gate = directory / "gate"
    gate.unlink(missing_ok=True)
    settings = {"lease_seconds": WAIT_SECONDS}
    with unapplied(directory, worker=(*WORKER, str(gate)), settings=settings) as product:
        product.start_workers(count)
        if product.applied():
            raise Failed(f"expected that nothing is applied before the gate opens, received {product.applied()} trades")
        began = time.monotonic()
        gate.touch()
        product.finish()
        return {"rate": trades / (time.monotonic() - began)}
