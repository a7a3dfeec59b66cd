"""Files as the journal uses them, and those of the operating system; what is appended goes past the page cache."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from telemetry.backbone.past_cache import Buffer, Buffers, PastCache
from telemetry.errors import Stop


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


class DiskFile:
    """A file of the operating system."""

    def __init__(self, descriptor: int, buffers: Buffers | None = None) -> None:
        self._descriptor, self._buffers = descriptor, buffers or Buffers()
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
                self._past_cache = PastCache(self._descriptor, self._buffers)
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

    def __init__(self) -> None:
        self._buffers = Buffers()

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
        return DiskFile(descriptor, self._buffers)

    def open(self, path: Path) -> OpenFile:
        return DiskFile(os.open(path, os.O_RDWR | os.O_CLOEXEC), self._buffers)

    def remove(self, path: Path) -> None:
        os.unlink(path)

    def sync_directory(self, directory: Path) -> None:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
