"""The parent's side of the generator: one run of load.py, with the CPU time of the server meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bodies import Requests
from benchmarks.processes import Failed, module

BOUND_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Drive:
    """Which requests go where: `first` and `count` of them over so many connections; `rate` a second, None at once."""

    port: int
    first: int
    count: int
    connections: int
    rate: float | None = None
    seconds: float = BOUND_SECONDS


@dataclass(frozen=True)
class Loaded:
    """What came of it. Times in ms by percentile; `cpu` is what `measure` grew by until `finish` returned."""

    seconds: float
    requests: int
    cpu: float
    answered_ms: dict[str, float]
    applied_ms: dict[str, float]
    late_ms: dict[str, float]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def drive(
    requests: Requests,
    plan: Drive,
    log: Path,
    *,
    cpu: Callable[[], float],
    finish: Callable[[], float] | None = None,
) -> Loaded:
    """Run the generator. `finish` waits until the work is done and tells the seconds that took beyond the answers.

    Raises Failed when a request was refused or not answered.
    """
    spec = {**vars(plan), "descriptor": requests.descriptor}
    with module("benchmarks.load", json.dumps(spec), log=log, descriptors=[requests.descriptor]) as process:
        if process.line() != "ready":
            raise Failed(f"the generator did not start: {process.tail()}")
        before = cpu()
        process.tell("go")
        found = process.answer(plan.seconds + 30)
        more = finish() if finish is not None else 0.0
        used = cpu() - before
    return _loaded(found, used, more, plan)


def _loaded(found: dict[str, Any], cpu: float, more: float, plan: Drive) -> Loaded:
    if found["refused"] or found["requests"] != plan.count:
        raise Failed(
            f"expected {plan.count} answers, received {found['requests']} of which {found['refused']} refused: "
            f"{found['refusal']}"
        )
    return Loaded(
        found["seconds"] + more,
        found["requests"],
        cpu,
        found["answered_ms"],
        found["applied_ms"],
        found["late_ms"],
    )
