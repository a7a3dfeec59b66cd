"""Plans that are kept: a sender's next body has its columns where the last one had them, if it is as long.

A plan depends on the metadata of the messages and on the size of the body, and on nothing else of it. So for a body of
the same size, whose bytes at the places of the metadata are the same, it is the same plan.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from telemetry.arrow_plan import END, ordered, plan_of
from telemetry.frame import I64, Array

_MOST, _MOST_BYTES = 64, 1 << 14  # plans that are kept, and metadata of one


class Known(NamedTuple):
    """A plan as compiled code takes it, of as many rows, with so many entries in all dictionaries."""

    rows: int
    plan: Array
    entries: int


class Plans:
    """The last plan for each of the last sizes of bodies. Thread safe."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[list[tuple[slice, bytes]], Known]] = {}

    def find(self, body: bytes | memoryview) -> Known:
        """The plan of a stream. Raises Doubt."""
        kept = self._kept.get(len(body))
        if kept is not None:
            for place, metadata in kept[0]:
                if bytes(body[place]) != metadata:
                    break
            else:
                return kept[1]
        plan = plan_of(body)
        known = Known(plan.rows, np.array(ordered(plan), I64), plan.entries)
        known.plan.flags.writeable = False
        self._keep(body, [*plan.metadata, (len(body) - len(END), len(body))], known)
        return known

    def _keep(self, body: bytes | memoryview, places: list[tuple[int, int]], known: Known) -> None:
        if sum(end - start for start, end in places) > _MOST_BYTES:
            return
        if len(self._kept) >= _MOST:
            self._kept.clear()
        self._kept[len(body)] = [(slice(*place), bytes(body[slice(*place)])) for place in places], known
