"""A worker whose analysis does its work twenty times: what scales with workers is then most of what is done.

`python -m benchmarks.slow_worker GATE` begins to analyse when the file GATE is there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import worker.app
from benchmarks.processes import until
from telemetry.columns import Columns
from telemetry.decode_compiled import available
from telemetry.partial import Partial
from worker.analysis import analyse
from worker.compiled import CompiledAnalysis
from worker.entrypoint import main

TIMES = 20


class SlowAnalysis:
    """Waits for the gate at the first range. In a thread of its own, so that the worker goes on to say hello."""

    def __init__(self, gate: Path) -> None:
        self._gate = gate
        self._is_open = False
        self._quick = CompiledAnalysis() if available() else None

    def __call__(self, parts: Sequence[Columns], first_seq: int, **options: Any) -> Partial:
        """The result of the last time."""
        if not self._is_open:
            until(self._gate.exists, "the gate opens")
            self._is_open = True
        options |= {"quick": self._quick}
        for _ in range(TIMES - 1):
            analyse(parts, first_seq, **options)
        return analyse(parts, first_seq, **options)


def not_in_the_loop(*_: object, **__: object) -> None:
    """Leaves a large lease to the thread."""


if __name__ == "__main__":
    vars(worker.app).update(analyse=SlowAnalysis(Path(sys.argv[1])), quickly=not_in_the_loop)
    main()
