"""Memory for records that the disk reads where they were made: they begin as far into a block of memory as into a block
of their file, with room before and behind them up to whole blocks.

Records lie one behind the other on slabs of large pages. They are kept for a while (see recent.py) and let go in about
the order in which they came, so a slab is free again as a whole. Bounds: MOST slabs; where none is free, or none is as
large as that, memory comes from Python, and what is in it is copied before it is written.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from weakref import ref

import numpy as np
import numpy.typing as npt

from telemetry.backbone.large_pages import on_large_pages
from telemetry.backbone.record import anywhere

BLOCK_BYTES = 4096  # of a write past the page cache: a multiple of what disks ask for
SLAB_BYTES = 16 << 20
MOST = 6  # the newest records that are kept, and those that are being made and written


class Blocks(npt.NDArray[np.uint8]):
    """Whole blocks of memory of which a record takes all but less than a block at either end; nobody uses those."""


class _Slab:
    """Memory, how much of it is taken, and who has it."""

    def __init__(self) -> None:
        self.memory = np.frombuffer(on_large_pages(SLAB_BYTES), np.uint8)
        self.end = 0
        self.users: dict[int, ref[Any]] = {}  # by where their memory begins

    def take(self, size: int) -> Blocks | None:
        """The next so many bytes; None when it is full."""
        if not self.users:
            self.end = 0
        if self.end + size > SLAB_BYTES:
            return None
        blocks = self.memory[self.end : self.end + size].view(Blocks)
        self.users[self.end] = ref(blocks, partial(_let_go, self.users, self.end))
        self.end += size
        return blocks


def _let_go(users: dict[int, ref[Any]], begin: int, _: ref[Any]) -> None:
    del users[begin]


class RecordMemory:
    """Gives memory; it is free when nobody refers to it any more. For one thread, but anybody may let go of it."""

    def __init__(self) -> None:
        self._slabs: list[_Slab] = []
        self._at = 0

    def take(self, size: int, offset: int) -> memoryview:
        """So many bytes for what will be at this offset of a file."""
        before = offset % BLOCK_BYTES
        whole = before + size + -(before + size) % BLOCK_BYTES
        blocks = self._blocks(whole)
        if blocks is None:
            return anywhere(size)
        return blocks.data[before : before + size]

    def _blocks(self, size: int) -> Blocks | None:
        for _ in range(len(self._slabs)):
            if (blocks := self._slabs[self._at].take(size)) is not None:
                return blocks
            self._at = (self._at + 1) % len(self._slabs)
        if len(self._slabs) == MOST or size > SLAB_BYTES:
            return None
        self._slabs.append(_Slab())
        self._at = len(self._slabs) - 1
        return self._slabs[self._at].take(size)


def blocks_around(data: memoryview, offset: int) -> memoryview | None:
    """The whole blocks that these bytes are in, where they are in them as at this offset of a file; None else."""
    blocks = data.obj
    if not isinstance(blocks, Blocks):
        return None
    before = np.frombuffer(data, np.uint8).ctypes.data - blocks.ctypes.data
    return (
        blocks.data if before == offset % BLOCK_BYTES and 0 <= len(blocks) - before - len(data) < BLOCK_BYTES else None
    )
