"""Appending to a file past the page cache.

Theory of operation. A page that is taken for what is appended, and written back, costs several times the writing, and
nobody reads a record again while the newest are in memory. A write past the cache is of whole blocks. The first one
holds the end of what is there already, which is written again as it is, as the system does when it writes a page back.
The last one is filled with the zeros that follow in the file anyway. A sync is needed all the same: the device has a
cache of its own.

What begins in memory as in its block (see record_memory.py) is written from there, anything else is copied first.
"""

from __future__ import annotations

import os

import numpy as np

from telemetry.backbone.large_pages import on_large_pages
from telemetry.backbone.record_memory import BLOCK_BYTES, blocks_around

_BUFFER_BYTES = 4 << 20  # of one write: after each one the interpreter's lock is waited for

Buffer = bytes | bytearray | memoryview


class Buffers:
    """Memory that begins with a page, as the system asks for: that of a closed file is for the next one."""

    def __init__(self) -> None:
        self._free: list[memoryview] = []

    def take(self) -> memoryview:
        """For one file."""
        return self._free.pop() if self._free else on_large_pages(_BUFFER_BYTES)

    def give_back(self, taken: memoryview) -> None:
        """Nobody writes to it any more."""
        self._free = [taken]


class PastCache:
    """Appends to a file without the page cache."""

    def __init__(self, descriptor: int, buffers: Buffers) -> None:
        """Of the open file. Raises OSError where that is not possible."""
        self._cached, self._size, self._buffers = descriptor, os.fstat(descriptor).st_size, buffers
        self._descriptor = os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC)
        self._buffer: memoryview | None = None
        self._end = -1  # of what was appended last; the block that it lies in is in the buffer

    def append(self, offset: int, data: Buffer) -> bool:
        """Write all of it; False when the file would grow, and nothing is done then."""
        if offset + len(data) + -(offset + len(data)) % BLOCK_BYTES > self._size:
            return False
        rest = memoryview(data).cast("B")
        if offset % BLOCK_BYTES == 0 == len(rest) % BLOCK_BYTES and _begins_with_a_block(rest):
            self._end = -1
            self._write_blocks(offset, rest)
            return True
        if len(rest) and (blocks := blocks_around(rest, offset)) is not None:
            self._write_in_place(offset, len(rest), blocks)
            return True
        while len(rest):
            room = _BUFFER_BYTES - offset % BLOCK_BYTES
            self._write(offset, rest[:room])
            offset, rest = offset + len(rest[:room]), rest[room:]
        return True

    def _write(self, offset: int, part: memoryview) -> None:
        """What fits into the buffer."""
        buffer = self._begun(offset)
        behind = offset % BLOCK_BYTES
        end = behind + len(part)
        stop = end + -end % BLOCK_BYTES
        buffer[behind:end] = part
        buffer[end:stop] = bytes(stop - end)
        self._write_blocks(offset - behind, buffer[:stop])
        self._keep(offset + len(part), buffer[stop - BLOCK_BYTES : stop])

    def _write_in_place(self, offset: int, size: int, blocks: memoryview) -> None:
        """What is in whole blocks already."""
        behind = offset % BLOCK_BYTES
        blocks[:behind] = self._begun(offset)[:behind]
        blocks[behind + size :] = bytes(len(blocks) - behind - size)
        self._write_blocks(offset - behind, blocks)
        self._keep(offset + size, blocks[-BLOCK_BYTES:])

    def _begun(self, offset: int) -> memoryview:
        """The buffer, with the first bytes of the block that the offset lies in. What is in it counts as written when
        `_keep` says so."""
        if self._buffer is None:
            self._buffer = self._buffers.take()
        behind = offset % BLOCK_BYTES
        if behind and self._end != offset:
            self._buffer[:behind] = os.pread(self._cached, behind, offset - behind)
        self._end = -1
        return self._buffer

    def _keep(self, end: int, block: memoryview) -> None:
        """What was written ends there, with this block."""
        assert self._buffer is not None
        self._buffer[:BLOCK_BYTES] = block
        self._end = end

    def _write_blocks(self, offset: int, blocks: memoryview) -> None:
        written = 0
        while written < len(blocks):
            written += os.pwrite(self._descriptor, blocks[written:], offset + written)

    def forget(self) -> None:
        """Something else was written: what is in the buffer may not be what is in the file."""
        self._end = -1

    def close(self) -> None:
        """Of no use any more."""
        if self._buffer is not None:
            self._buffers.give_back(self._buffer)
            self._buffer = None
        os.close(self._descriptor)


def _begins_with_a_block(data: memoryview) -> bool:
    """Whether it can be written without the buffer."""
    return np.frombuffer(data, np.uint8).ctypes.data % BLOCK_BYTES == 0 if len(data) else False
