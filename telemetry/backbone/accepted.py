"""What the aggregator has accepted: one number, and the few ranges beyond it that wait for an earlier one. Pure."""

from __future__ import annotations

from heapq import heappop, heappush

from telemetry.backbone.ranges import Range, Ranges
from telemetry.errors import Stop


class Accepted:
    """`seq`: every trade up to it is accepted. A quarantined record counts as accepted."""

    def __init__(self, applied: int) -> None:
        self.seq = applied
        self.quarantined: set[int] = set()
        self._beyond = Ranges()
        self._waiting: list[int] = []  # heap: the last seq of each accepted range that is not merged

    @property
    def waiting(self) -> int:
        """How many accepted ranges are not merged yet."""
        return len(self._waiting)

    def beyond(self) -> list[Range]:
        """What is accepted beyond `seq`."""
        return list(self._beyond)

    def missing(self, first: int, last: int) -> list[Range]:
        """The parts of [first, last] that are not accepted."""
        first = max(first, self.seq + 1)
        return self._beyond.outside(first, last) if first <= last else []

    def add(self, first: int, last: int) -> None:
        """Accept [first, last]. Raises Stop, and changes nothing, if a trade of it was accepted before."""
        if first == self.seq + 1 and not self._waiting:  # in turn: the usual case
            self.seq = last
            return
        # A result may have been on its way to the aggregator while a record of it was quarantined: that is no conflict.
        for a, b in self._present(first, last):
            if any(seq not in self.quarantined for seq in range(a, b + 1)):
                raise Stop(f"expected each trade to be accepted once, {a}..{b} was accepted again")
        self._mark(first, last)

    def quarantine(self, seq: int) -> None:
        """Count `seq` as accepted without a result."""
        self.quarantined.add(seq)
        self._mark(seq, seq)

    def _present(self, first: int, last: int) -> list[Range]:
        low = [(first, min(last, self.seq))] if first <= self.seq else []
        return low + self._beyond.inside(first, last)

    def _mark(self, first: int, last: int) -> None:
        self._beyond.add(first, last)
        heappush(self._waiting, last)
        lowest = self._beyond.lowest()
        if lowest is not None and lowest[0] <= self.seq + 1:
            self.seq = max(self.seq, lowest[1])
            self._beyond.remove(*lowest)
        while self._waiting and self._waiting[0] <= self.seq:
            heappop(self._waiting)
