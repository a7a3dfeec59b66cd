"""The newest records of the journal in memory: what was just committed is leased without reading it back."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

RECENT_BYTES = 16 << 20


class Kept(NamedTuple):
    """A record as it was written, and its trades."""

    first: int
    last: int
    raw: memoryview


class Recent:
    """Consecutive records, at most so many bytes of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: deque[Kept] = deque()
        self._bytes = 0

    def add(self, first: int, last: int, raw: bytes) -> None:
        """A record was committed. One without trades is not kept."""
        if first > last:
            return
        if self._kept and self._kept[-1].last + 1 != first:
            self._kept.clear()
            self._bytes = 0
        self._kept.append(Kept(first, last, memoryview(raw)))
        self._bytes += len(raw)
        while self._bytes > self._most:
            self._bytes -= len(self._kept.popleft().raw)

    def covering(self, first: int, last: int) -> list[Kept] | None:
        """The records that hold any trade of [first, last], in order; None when they are not all here."""
        if not self._kept or first < self._kept[0].first or last > self._kept[-1].last:
            return None
        found = []
        for kept in reversed(self._kept):
            if kept.first <= last:
                found.append(kept)
            if kept.first <= first:
                break
        return found[::-1]
