"""A start on a journal of a million trades that no snapshot holds, until all are in the statistics again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.backlog import fill, unapplied
from benchmarks.figure import Figure, Sample, alternate, column
from benchmarks.plan import Plan


def measure(plan: Plan) -> Iterator[Figure]:
    """Seconds from the start of the process, in turn with a start on an empty journal."""
    trades = plan.size(1_000_000, 200_000)
    full, empty = plan.directory / "restart", plan.directory / "empty"
    fill(full, trades)
    things: dict[str, Callable[[int], Sample]] = {"full": lambda _: _start(full), "empty": lambda _: _start(empty)}
    samples = alternate(plan.rounds, things, warm_up=not plan.quick)
    yield Figure(
        name=f"restart, {trades:,} unapplied trades replayed",
        measured=column(samples["full"], "seconds"),
        unit="s",
        required=5.0,
        aim=1.5,
        at_least=False,
        values={
            "of it until new trades are taken, s": column(samples["full"], "takes"),
            "start on an empty journal, s": column(samples["empty"], "seconds"),
        },
        note="gateway and one worker started at once",
    )


def _start(directory: Path) -> Sample:
    began = time.monotonic()
    with unapplied(directory, workers=1) as product:
        takes = time.monotonic() - began
        product.finish()
        return {"seconds": time.monotonic() - began, "takes": takes}
