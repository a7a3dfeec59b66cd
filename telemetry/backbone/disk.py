"""Files as the journal uses them, and those of the operating system.

Theory of operation. What is appended goes past the page cache where that is possible: a page that is taken for it and
written back costs several times the writing, and nobody reads a record again while the newest are in memory. Such a
write is of whole blocks. The first one holds the end of what is there already, which is written again as it is, as the
system does when it writes a page back. The last one is filled with the zeros that follow in the file anyway. A sync is
needed all the same: the device has a cache of its own.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from telemetry.errors import Stop

BLOCK_BYTES = 4096  # of a write past the page cache: a multiple of what disks ask for
_BUFFER_BYTES = 1 << 20

Buffer = bytes | bytearray | memoryview


class OpenFile(Protocol):
    """One open file; every method raises OSError."""

    def read(self, offset: int, length: int) -> bytes: ...  # shorter at the end of the file
    def write(self, offset: int, data: Buffer) -> None: ...  # all of it
    def append(self, offset: int, data: Buffer) -> None: ...  # the same, where zeros follow up to the file's end
    def sync(self) -> None: ...
    def size(self) -> int: ...
    def close(self) -> None: ...


class Lock(Protocol):
    """A held lock."""

    def close(self) -> None: ...


class Files(Protocol):
    """The file system as far as the journal needs it; every method raises OSError."""

    def lock(self, directory: Path) -> Lock: ...  # creates the directory; Stop when another process holds it
    def names(self, directory: Path) -> Sequence[str]: ...
    def create(self, path: Path, size: int) -> OpenFile: ...  # replaces what is there, reserves `size` bytes
    def open(self, path: Path) -> OpenFile: ...
    def remove(self, path: Path) -> None: ...
    def sync_directory(self, directory: Path) -> None: ...


class PastCache:
    """Appends to a file without the page cache."""

    def __init__(self, descriptor: int) -> None:
        """Of the open file. Raises OSError where that is not possible."""
        self._cached, self._size = descriptor, os.fstat(descriptor).st_size
        self._descriptor = os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC)
        self._map = mmap.mmap(-1, _BUFFER_BYTES)  # memory that begins with a page, as the system asks for
        self._buffer = memoryview(self._map)
        self._end = -1  # of what was appended last; the block that it lies in is in the buffer

    def append(self, offset: int, data: Buffer) -> bool:
        """Write all of it; False when the file would grow, and nothing is done then."""
        if offset + len(data) + -(offset + len(data)) % BLOCK_BYTES > self._size:
            return False
        rest = memoryview(data).cast("B")
        while len(rest):
            room = _BUFFER_BYTES - offset % BLOCK_BYTES
            self._write(offset, rest[:room])
            offset, rest = offset + len(rest[:room]), rest[room:]
        return True

    def _write(self, offset: int, part: memoryview) -> None:
        """What fits into the buffer."""
        behind = offset % BLOCK_BYTES
        self._take_block(offset - behind, behind)
        end = behind + len(part)
        stop = end + -end % BLOCK_BYTES
        self._buffer[behind:end] = part
        self._buffer[end:stop] = bytes(stop - end)
        self._end = -1  # until it is written
        written = 0
        while written < stop:
            written += os.pwrite(self._descriptor, self._buffer[written:stop], offset - behind + written)
        self._end = offset + len(part)
        if stop > BLOCK_BYTES:
            self._buffer[:BLOCK_BYTES] = self._buffer[stop - BLOCK_BYTES : stop]

    def _take_block(self, start: int, length: int) -> None:
        """The first bytes of a block that is not in the buffer."""
        if length and self._end != start + length:
            self._buffer[:length] = os.pread(self._cached, length, start)

    def forget(self) -> None:
        """Something else was written: what is in the buffer may not be what is in the file."""
        self._end = -1

    def close(self) -> None:
        """Of no use any more."""
        self._buffer.release()
        self._map.close()
        os.close(self._descriptor)


class DiskFile:
    """A file of the operating system."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._past_cache: PastCache | None = None
        self._may_pass = True

    def read(self, offset: int, length: int) -> bytes:
        parts: list[bytes] = []
        while length > 0 and (part := os.pread(self._descriptor, length, offset)):
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, offset: int, data: Buffer) -> None:
        if self._past_cache is not None:
            self._past_cache.forget()
        written = os.pwrite(self._descriptor, data, offset)
        if written < len(data):  # a signal or a full disk; the next call says which
            self.write(offset + written, memoryview(data)[written:])

    def append(self, offset: int, data: Buffer) -> None:
        """Past the page cache where the file system lets us: what is written once and hardly read needs no page."""
        if self._may_pass and self._past_cache is None:
            self._may_pass = False
            with suppress(OSError):  # not on this file system, or there is no /proc
                self._past_cache = PastCache(self._descriptor)
        if self._past_cache is None or not self._passes(self._past_cache, offset, data):
            self.write(offset, data)

    def _passes(self, past: PastCache, offset: int, data: Buffer) -> bool:
        try:
            return past.append(offset, data)
        except OSError as error:
            if error.errno != errno.EINVAL:  # the disk asks for larger blocks
                raise
            self._leave_past_cache()
            return False

    def _leave_past_cache(self) -> None:
        if self._past_cache is not None:
            self._past_cache.close()
            self._past_cache = None

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        self._leave_past_cache()
        os.close(self._descriptor)


class DiskFiles:
    """The real file system."""

    def lock(self, directory: Path) -> Lock:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.sync_directory(directory.parent)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise Stop(
                f"the data directory {directory} is in use by process {owner}; a second owner may not start"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return DiskFile(descriptor)

    def names(self, directory: Path) -> Sequence[str]:
        return os.listdir(directory)

    def create(self, path: Path, size: int) -> OpenFile:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)  # a full disk says so here, before anything was written
        except OSError:
            os.close(descriptor)
            raise
        return DiskFile(descriptor)

    def open(self, path: Path) -> OpenFile:
        return DiskFile(os.open(path, os.O_RDWR | os.O_CLOEXEC))

    def remove(self, path: Path) -> None:
        os.unlink(path)

    def sync_directory(self, directory: Path) -> None:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
