"""Memory for records that the disk reads where they were made: they begin as far into a block of memory as into a block
of their file, with room before and behind them up to whole blocks.

Records lie one behind the other in one memory on large pages, and are let go in about the order in which they came. So
the next one goes behind the newest, or to where some were let go last: memory that was used before is there, and may be
in the processor's caches. Only when all of that is taken is more used. What is used first can be taken from the system
ahead of it. Bounds: MOST_BYTES; where no gap is as large as a record, its memory comes from Python, and what is in it
is copied before it is written.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections import deque
from functools import partial
from itertools import chain
from typing import Any
from weakref import ref

import numpy as np
import numpy.typing as npt

from telemetry.backbone.large_pages import on_large_pages
from telemetry.backbone.record import anywhere
from telemetry.pages import give_back_pages, take_pages

BLOCK_BYTES = 4096  # of a write past the page cache: a multiple of what disks ask for
MOST_BYTES = 96 << 20  # the newest records that are kept, and those that are being made and written
EARLY_BYTES = 32 << 20  # what trades that come as fast as they can have under way while nothing holds them up


class Blocks(npt.NDArray[np.uint8]):
    """Whole blocks of memory of which a record takes all but less than a block at either end; nobody uses those."""


class RecordMemory:
    """Gives memory; it is free when nobody refers to it any more. For one thread, but anybody may let go of it.

    Thousands of small records are kept while nobody analyses them, so no step looks at all of them if it can help it.
    """

    def __init__(self) -> None:
        self._memory = np.frombuffer(on_large_pages(MOST_BYTES), np.uint8)
        self._begins: list[int] = []  # of what is in use, ascending
        self._ends: list[int] = []
        self._users: dict[int, ref[Any]] = {}  # who has it, by where it begins
        self._gone: deque[int] = deque()  # where that began which was let go since the last one was taken
        self._left = 0  # where that began which was let go last
        self._next = self.touched = 0  # behind the newest; up to where any was ever used, in bytes
        self._lock = threading.Lock()  # what is given back shall not be taken meanwhile

    def take_early(self) -> threading.Event | None:
        """Begin to take what is used first from the system; None when this one cannot."""
        return take_pages(self._memory[:EARLY_BYTES])

    def give_back_early(self) -> None:
        """Give back what of it was never used; in any thread, for the journal's may make a record meanwhile."""
        with self._lock:
            give_back_pages(self._memory[self.touched : max(self.touched, EARLY_BYTES)])

    def take(self, size: int, offset: int) -> memoryview:
        """So many bytes for what will be at this offset of a file."""
        before = offset % BLOCK_BYTES
        whole = before + size + -(before + size) % BLOCK_BYTES
        self._let_go()
        start = self._gap(whole)
        if start is None:
            return anywhere(size)
        with self._lock:
            self._next = start + whole
            self.touched = max(self.touched, self._next)
        at = bisect_left(self._begins, start)
        self._begins.insert(at, start)
        self._ends.insert(at, self._next)
        blocks = self._memory[start : self._next].view(Blocks)
        self._users[start] = ref(blocks, partial(_note, self._gone, start))
        return blocks.data[before : before + size]

    def _let_go(self) -> None:
        """Take back what nobody refers to any more."""
        while self._gone:
            self._left = begin = self._gone.popleft()
            at = bisect_left(self._begins, begin)
            del self._begins[at], self._ends[at], self._users[begin]

    def _gap(self, size: int) -> int | None:
        """Where so many bytes are free: behind the newest, else where some were let go last, else the first ones that
        were used before, else new ones."""
        if not self._begins:
            self._next = 0
        for place in (self._next, self._left):
            start, stop = self._around(place)
            if start + size <= stop:
                return start
        for start, stop in zip(chain((0,), self._ends), chain(self._begins, (self.touched,)), strict=True):
            if start + size <= stop:
                return start
        last = self._ends[-1] if self._ends else 0
        return last if last + size <= MOST_BYTES else None

    def _around(self, place: int) -> tuple[int, int]:
        """Begin and end of the gap that this place is in, or before what is in use there; of memory used before."""
        at = bisect_right(self._ends, place)
        return self._ends[at - 1] if at else 0, self._begins[at] if at < len(self._begins) else self.touched


def _note(gone: deque[int], begin: int, _: ref[Any]) -> None:
    gone.append(begin)


def blocks_around(data: memoryview, offset: int) -> memoryview | None:
    """The whole blocks that these bytes are in, where they are in them as at this offset of a file; None else."""
    blocks = data.obj
    if not isinstance(blocks, Blocks):
        return None
    before = np.frombuffer(data, np.uint8).ctypes.data - blocks.ctypes.data
    return (
        blocks.data if before == offset % BLOCK_BYTES and 0 <= len(blocks) - before - len(data) < BLOCK_BYTES else None
    )
