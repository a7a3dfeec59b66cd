"""Who waits until the statistics contain a trade, and for how long at most."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

Tell = Callable[[bool], None]  # whether the statistics contain the trade


@dataclass(eq=False)
class _Waiter:
    tell: Tell | None  # None: its time is over
    timer: asyncio.TimerHandle = field(init=False)


class Waiters:
    """By the number of the trade. Who is told fails alone: that is reported to the event loop, and goes no further."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, _Waiter]] = []
        self._number = self._late = 0

    def add(self, seq: int, seconds: float, tell: Tell) -> None:
        """`tell` is called with True when trade `seq` is applied, with False when it is not after so many seconds."""
        self._number += 1
        waiter = _Waiter(tell)
        waiter.timer = asyncio.get_running_loop().call_later(seconds, self._give_up, waiter)
        heapq.heappush(self._heap, (seq, self._number, waiter))

    def wake(self, applied: int) -> None:
        """Trades up to `applied` are in the statistics."""
        while self._heap and self._heap[0][0] <= applied:
            waiter = heapq.heappop(self._heap)[2]
            waiter.timer.cancel()
            if waiter.tell is None:
                self._late -= 1
            else:
                self._told(waiter.tell)

    def _told(self, tell: Tell) -> None:
        """At once: in the next turn all connections would be read before."""
        try:
            tell(True)
        except Exception as error:
            context = {"message": "an answer to an applied trade failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)

    def _give_up(self, waiter: _Waiter) -> None:
        tell, waiter.tell = waiter.tell, None
        self._late += 1
        if 2 * self._late > len(self._heap):  # those who are gone do not pile up while no worker is there
            self._heap = [entry for entry in self._heap if entry[2].tell is not None]
            heapq.heapify(self._heap)
            self._late = 0
        if tell is not None:
            tell(False)
