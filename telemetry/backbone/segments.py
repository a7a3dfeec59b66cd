"""Where the journal's bytes lie: the segment files, and the preparation of the next one.

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
* A segment is reserved, filled with zeros in chunks, all synced; then its header is written and synced; then the
  directory is synced. So a valid header says that the zeros below it are on disk, and a commit changes no metadata.
* Whatever fails before a segment holds a record is undone by removing the file.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from isal.isal_zlib import crc32

from telemetry.backbone.disk import Files, OpenFile
from telemetry.backbone.large_pages import on_large_pages

MAGIC = b"TTSEGMNT"
VERSION = 1
SEGMENT_HEADER_BYTES = 4096
CHUNK_BYTES = 1 << 20  # of preparation: a commit beside it waits behind so much; smaller ones cost more a byte
HURRIED = 4  # chunks at once while segments last less than HURRY_SECONDS: after each step the interpreter is waited for
HURRY_SECONDS = 1.0
CHUNKS = 16  # that are synced together: a sync writes the file system's own journal, and commits wait for that

_HEADER = struct.Struct("<8sII16sQQ")
_PREFIX, _SUFFIX = "journal-", ".segment"


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

    def __init__(
        self,
        files: Files,
        directory: Path,
        journal_id: bytes,
        segment_bytes: int,
        *,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """`clock` is in seconds."""
        self._files, self._directory, self._journal_id = files, directory, journal_id
        self._size = segment_bytes
        self._chunk = min(CHUNK_BYTES, max(4096, segment_bytes // 64))
        self._zeros = on_large_pages(HURRIED * self._chunk)  # only read
        self._clock, self._wanted_at, self._length = clock, float("-inf"), self._chunk
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
        now = self._clock()
        with self._lock:
            self._number, self._file, self._filled, self._ready = number, ready, 0, ready is not None
            self._length = self._chunk * (HURRIED if now - self._wanted_at < HURRY_SECONDS else 1)
            self._wanted_at = now
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
                length = min(self._length, self._size - self._filled)
                self._file.append(self._filled, self._zeros[:length])
                self._filled += length
                if self._filled % (CHUNKS * self._chunk) == 0 or self._filled == self._size:
                    self._file.sync()
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
