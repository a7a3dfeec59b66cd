"""Where the journal's bytes lie: the file layer, the segment files, and the preparation of the next one.

Segment file `journal-00000001.segment`: a header of 4,096 bytes, then records back to back, then zeros.

    offset size
     0      8   magic "TTSEGMNT"
     8      4   version = 1
    12      4   crc32 of bytes 16 to 4,095
    16     16   journal id: random, drawn once, the same in every segment
    32      8   segment number (u64, starts at 1)
    40      8   size of the file in bytes (u64)
    48   4048   zero

Rules of this file:
* A segment is reserved, filled with zeros in chunks, each synced; then its header is written and synced; then the
  directory is synced. So a valid header says that the zeros below it are on disk, and a commit changes no metadata.
* Whatever fails before a segment holds a record is undone by removing the file.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from time import perf_counter
from typing import NamedTuple, Protocol
from zlib import crc32

from telemetry.errors import Stop

MAGIC = b"TTSEGMNT"
VERSION = 1
SEGMENT_HEADER_BYTES = 4096
CHUNK_BYTES = 1 << 18  # of preparation: small, so that a commit beside it waits behind little

_HEADER = struct.Struct("<8sII16sQQ")
_PREFIX, _SUFFIX = "journal-", ".segment"


Buffer = bytes | bytearray | memoryview


class OpenFile(Protocol):
    """One open file; every method raises OSError."""

    def read(self, offset: int, length: int) -> bytes: ...  # shorter at the end of the file
    def write(self, offset: int, data: Buffer) -> None: ...  # all of it
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

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, offset: int, length: int) -> bytes:
        parts: list[bytes] = []
        while length > 0 and (part := os.pread(self._descriptor, length, offset)):
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, offset: int, data: Buffer) -> None:
        written = os.pwrite(self._descriptor, data, offset)
        if written < len(data):  # a signal or a full disk; the next call says which
            self.write(offset + written, memoryview(data)[written:])

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
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


class SegmentHeader(NamedTuple):
    """What the first 4,096 bytes of a segment say."""

    journal_id: bytes
    number: int
    size: int


def segment_name(number: int) -> str:
    """File name of segment `number`."""
    return f"{_PREFIX}{number:08d}{_SUFFIX}"


def segment_numbers(names: Sequence[str]) -> list[int]:
    """Numbers of the segments among `names`, ascending."""
    middles = [
        name[len(_PREFIX) : -len(_SUFFIX)] for name in names if name.startswith(_PREFIX) and name.endswith(_SUFFIX)
    ]
    return sorted(int(middle) for middle in middles if middle.isdecimal())


def encode_header(header: SegmentHeader) -> bytes:
    """The first 4,096 bytes of a segment."""
    blank = _HEADER.pack(MAGIC, VERSION, 0, *header).ljust(SEGMENT_HEADER_BYTES, b"\0")
    return _HEADER.pack(MAGIC, VERSION, crc32(blank[16:]), *header) + blank[_HEADER.size :]


def decode_header(content: bytes) -> SegmentHeader | None:
    """The header at the start of a segment, or None when it is damaged or was never finished."""
    if len(content) < SEGMENT_HEADER_BYTES:
        return None
    magic, version, crc, journal_id, number, size = _HEADER.unpack_from(content)
    good = magic == MAGIC and version == VERSION and crc32(content[16:SEGMENT_HEADER_BYTES]) == crc
    return SegmentHeader(journal_id, number, size) if good else None


def public_name(journal_id: bytes) -> str:
    """What a journal is called outside its directory: its id is also the secret of the keys' digests."""
    return blake2b(journal_id, digest_size=16, person=b"journal name").hexdigest()


class Segment(NamedTuple):
    """An open segment; `size` in bytes."""

    number: int
    file: OpenFile
    size: int


class Spare:
    """The next segment. Steps may come from a background thread; `take` does at once whatever they have left to do."""

    def __init__(self, files: Files, directory: Path, journal_id: bytes, segment_bytes: int) -> None:
        self._files, self._directory, self._journal_id = files, directory, journal_id
        self._size = segment_bytes
        self._chunk = min(CHUNK_BYTES, max(4096, segment_bytes // 64))
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._number = 0
        self._file: OpenFile | None = None
        self._filled = 0
        self._ready = False

    @property
    def ready(self) -> bool:
        """Whether it can be taken at once."""
        return self._ready

    def want(self, number: int, ready: OpenFile | None = None) -> None:
        """Segment `number` is the next one; `ready` when recovery found it prepared."""
        with self._lock:
            self._number, self._file, self._filled, self._ready = number, ready, 0, ready is not None
        self._wanted.set()

    def step(self) -> bool:
        """Do the next piece of work, if any; True while there is more. OSError undoes all pieces."""
        with self._lock:
            if self._number and not self._ready:
                self._advance()
            return bool(self._number) and not self._ready

    def take(self) -> Segment:
        """The finished segment, which the caller now owns. OSError when there is no room for one: nothing is kept."""
        with self._lock:
            assert self._number, "take() before want()"
            while not self._ready:
                self._advance()
            assert self._file is not None
            segment = Segment(self._number, self._file, self._size)
            self._number, self._file, self._ready = 0, None, False
            return segment

    def run(self, stop: threading.Event) -> None:
        """Body of the background thread: half the time at work, so that commits find the disk free."""
        while not stop.is_set():
            self._wanted.wait()
            self._wanted.clear()
            pause = 0.0
            while not stop.wait(pause):
                started = perf_counter()
                try:
                    more = self.step()
                except OSError:  # full: an append that needs the room tries at once, we look again now and then
                    pause = 2.0
                    continue
                if not more:
                    break
                pause = perf_counter() - started

    def wake(self) -> None:
        """Let `run` look at its stop event."""
        self._wanted.set()

    def close(self) -> None:
        """Close what is open; a half prepared file is found and removed at the next start."""
        with self._lock:
            if self._file is not None:
                self._file.close()
            self._number, self._file, self._ready = 0, None, False

    def _advance(self) -> None:
        try:
            if self._file is None:
                self._file = self._files.create(self._directory / segment_name(self._number), self._size)
                self._filled = 0
            elif self._filled < self._size:
                length = min(self._chunk, self._size - self._filled)
                self._file.write(self._filled, bytes(length))
                self._file.sync()
                self._filled += length
            else:
                self._finish(self._file)
        except OSError:
            self._abandon()
            raise

    def _finish(self, file: OpenFile) -> None:
        file.write(0, encode_header(SegmentHeader(self._journal_id, self._number, self._size)))
        file.sync()
        self._files.sync_directory(self._directory)
        self._ready = True

    def _abandon(self) -> None:
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
            self._files.remove(self._directory / segment_name(self._number))
        except OSError:
            pass  # the next attempt replaces the file, the next start removes it
