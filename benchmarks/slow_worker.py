"""A worker whose analysis does its work twenty times: what scales with workers is then most of what is done."""

from __future__ import annotations

from collections.abc import Sequence

import worker.app
from telemetry.columns import Columns
from telemetry.partial import Partial
from worker.analysis import analyse
from worker.entrypoint import main

TIMES = 20


def analyse_often(parts: Sequence[Columns], first_seq: int) -> Partial:
    """The result of the last time."""
    for _ in range(TIMES - 1):
        analyse(parts, first_seq)
    return analyse(parts, first_seq)


if __name__ == "__main__":
    vars(worker.app)["analyse"] = analyse_often
    main()
