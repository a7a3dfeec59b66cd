"""The newest records of the journal in memory: what was just committed is leased without reading it back.

They are numbers and bytes in three queues, nothing that Python's garbage collector has to follow but for large records,
of which there are few. Of single trades there are tens of thousands here, and with an object for each a full collection
stops everything for 50 ms.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from telemetry.backbone.record import Buffer

# Two of the largest records, which wait for their leases, and some before them: one that is read back stops everything
# for milliseconds, and is once for each of its leases.
RECENT_BYTES = 48 << 20


class Kept(NamedTuple):
    """A record as it was written, and its trades."""

    first: int
    last: int
    raw: memoryview


class Recent:
    """Consecutive records, at most so many bytes of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._firsts: deque[int] = deque()
        self._lasts: deque[int] = deque()
        self._raw: deque[Buffer] = deque()
        self._bytes = 0

    def add(self, first: int, last: int, raw: Buffer) -> None:
        """A record was committed. One without trades is not kept."""
        if first > last:
            return
        if self._lasts and self._lasts[-1] + 1 != first:
            self._clear()
        self._firsts.append(first)
        self._lasts.append(last)
        self._raw.append(raw)
        self._bytes += len(raw)
        while self._bytes > self._most:
            self._forget_oldest()

    def forget(self, last: int) -> None:
        """Nobody needs the trades up to this one any more: what comes next may take the memory of their records."""
        while self._lasts and self._lasts[0] <= last:
            self._forget_oldest()

    def covering(self, first: int, last: int) -> list[Kept] | None:
        """The records that hold any trade of [first, last], in order; None when they are not all here."""
        if not self._firsts or first < self._firsts[0] or last > self._lasts[-1]:
            return None
        found = []
        for begin, end, raw in zip(reversed(self._firsts), reversed(self._lasts), reversed(self._raw), strict=True):
            if begin <= last:
                found.append(Kept(begin, end, memoryview(raw)))
            if begin <= first:
                break
        return found[::-1]

    def _forget_oldest(self) -> None:
        self._firsts.popleft()
        self._lasts.popleft()
        self._bytes -= len(self._raw.popleft())

    def _clear(self) -> None:
        self._firsts.clear()
        self._lasts.clear()
        self._raw.clear()
        self._bytes = 0
