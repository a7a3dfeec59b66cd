"""The journal: append-only segments of records; the only truth. What is appended is on disk when append returns.

Rules of this file:
* A record is written only after the sync of the one before it returned (full mode).
* A record never spans segments. Another segment is started only when the one before it is synced.
* Before a segment holds a record, any error means "full": TryAgain, nothing kept; the next append tries again.
  That includes its first record: the file is removed, durably, before the sequence number may be used again.
* After that an error of write or sync is final: Stop, now and for every later append. What the failed record left on
  disk is decided by the next start.
"""

from __future__ import annotations

import secrets
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic_ns, perf_counter
from types import TracebackType
from typing import Any, Literal, Self

from telemetry.backbone import Committed
from telemetry.backbone.disk import DiskFiles, Files, Lock
from telemetry.backbone.places import Place, read_back
from telemetry.backbone.record import ALIGN, Buffer, Record
from telemetry.backbone.record_memory import RecordMemory
from telemetry.backbone.recovery import Scan, repair, scan
from telemetry.backbone.segments import SEGMENT_HEADER_BYTES, Segment, Spare, public_name, segment_name
from telemetry.errors import InvalidInput, Stop, TryAgain

Durability = Literal["full", "fast"]
Encode = Callable[[int, int], Buffer]  # (first_seq, synced_seq) -> one record

SEGMENT_BYTES = 64 << 20
FULL_RETRY_SECONDS = 1.0
PAST_CACHE_BYTES = 64 << 10  # fast mode: to wait for the disk costs less than new pages of the page cache for so many


class Journal:
    """The open journal of one data directory. One thread appends; any thread reads."""

    def __init__(
        self, directory: Path, files: Files, lock: Lock, found: Scan, *, segment_bytes: int, durability: Durability
    ) -> None:
        self._directory, self._files, self._held = directory, files, lock
        self._fast = durability == "fast"
        self._largest = segment_bytes - SEGMENT_HEADER_BYTES
        self.journal_id = found.journal_id or secrets.token_bytes(16)
        self.recovery = found.report()
        self.spare = Spare(files, directory, self.journal_id, segment_bytes)
        self.record_memory = RecordMemory()
        self._index = found.index
        self._active: Segment | None = None
        self._end = found.end
        self._bytes = found.record_bytes
        self._last_seq = self._durable_seq = found.last_seq
        self._failure: str | None = None
        self._full: str | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._unsynced_since: float | None = None
        self._syncs, self._sync_seconds, self._last_sync_seconds = 0, 0.0, 0.0

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        files: Files | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        durability: Durability = "full",
    ) -> Self:
        """Lock the directory, check every record, repair the tail. Stop when it is owned or damaged."""
        files = files or DiskFiles()
        try:
            lock = files.lock(directory)
        except OSError as error:
            raise Stop(f"cannot use the data directory {directory}: {error}") from error
        with ExitStack() as undo:
            undo.callback(lock.close)
            try:
                found = scan(files, directory)
                repair(files, found)
                journal = cls(directory, files, lock, found, segment_bytes=segment_bytes, durability=durability)
                undo.pop_all()  # from here on the lock is the journal's
                undo.callback(journal.close)
                journal._adopt(found, segment_bytes)
            except OSError as error:
                raise Stop(f"cannot recover the journal in {directory}: {error}") from error
            undo.pop_all()
        return journal

    @property
    def last_seq(self) -> int:
        """Sequence number of the last accepted trade; 0 when there is none."""
        return self._last_seq

    @property
    def durable_seq(self) -> int:
        """Sequence number of the last trade that is on disk for certain."""
        return self._durable_seq

    @property
    def name(self) -> str:
        """Tells this journal from others; not its id, which is a secret."""
        return public_name(self.journal_id)

    @property
    def bytes(self) -> int:
        """Bytes of all records."""
        return self._bytes

    @property
    def failure(self) -> str | None:
        """Why the journal takes nothing more until the next start, or None."""
        return self._failure

    @property
    def full(self) -> str | None:
        """Why the last append was refused, until there is room again, or None."""
        return None if self.spare.ready else self._full

    @property
    def last_sync_seconds(self) -> float:
        """How long the last sync took; 0 before the first."""
        return self._last_sync_seconds

    @property
    def average_sync_seconds(self) -> float:
        """Mean over all syncs since the start; 0 before the first."""
        return self._sync_seconds / self._syncs if self._syncs else 0.0

    @property
    def unsynced_since(self) -> float | None:
        """`time.perf_counter()` of the oldest append that waits for `sync` (fast mode), or None."""
        return self._unsynced_since

    def append(self, encode: Encode, count: int) -> Committed:
        """Write the record that `encode` makes, `count` trades, and sync it (in fast mode `sync` does, except for a
        record without trades). TryAgain: nothing was kept. Stop: final. What `encode` raises is passed on."""
        with self._lock:
            self._check()
            first, synced = self._last_seq + 1, self._durable_seq
            raw = encode(first, synced)
            if len(raw) % ALIGN or not raw:
                raise Stop(f"expected a record padded to {ALIGN} bytes, received {len(raw)} bytes")
            segment = self._room_for(raw)
            if self._durable_seq != synced:  # another segment: the record must not deny that the one before is synced
                raw = encode(first, self._durable_seq)
            durable = not self._fast or not count
            self._write(segment, raw, durable)
            self._full = None
            self._index.append(Place(first, segment.number, self._end, len(raw)))
            if self._end == SEGMENT_HEADER_BYTES:
                self.spare.want(segment.number + 1)
            self._end += len(raw)
            self._bytes += len(raw)
            self._last_seq = last = first + count - 1
            if durable:
                self._durable_seq, self._unsynced_since = last, None
            elif self._unsynced_since is None:
                self._unsynced_since = perf_counter()
            return Committed(first, last, durable, monotonic_ns())

    def memory(self, size: int) -> memoryview:
        """For the next record, which can be written from there: for one thread, while nobody appends."""
        fits = self._active is not None and self._end + size <= self._active.size
        return self.record_memory.take(size, self._end if fits else SEGMENT_HEADER_BYTES)

    def sync(self) -> None:
        """Bring everything accepted so far to disk (fast mode; in full mode there is nothing to do)."""
        with self._lock:
            self._check()
            self._sync_active()

    def records(self, first: int, last: int) -> Iterator[Record]:
        """The records that hold any trade of `first`..`last`, and those without trades from before `first` to behind
        `last`, in order, read back from disk and checked. Stop when one is damaged by now."""
        return read_back(self._files, self._directory, self._index, first, last)

    def close(self) -> None:
        """Sync what is not synced, give the directory back. May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                if self._failure is None:
                    self._sync_active()
            finally:
                if self._active is not None:
                    self._active.file.close()
                self.spare.close()
                self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self, warn: Any = warnings.warn) -> None:
        if not getattr(self, "_closed", True):
            warn(f"the journal in {self._directory} was not closed", ResourceWarning, source=self)

    def _adopt(self, found: Scan, segment_bytes: int) -> None:
        """Go on in the last segment that holds a record, or start the first one."""
        if found.active:
            path = self._directory / segment_name(found.active)
            self._active = Segment(found.active, self._files.open(path), found.headers[found.active].size)
        self.spare.want(found.active + 1)
        for number in found.empty:
            path = self._directory / segment_name(number)
            if number == found.active + 1 and found.headers[number].size == segment_bytes:
                self.spare.want(number, self._files.open(path))
            else:  # made for another segment size
                self._files.remove(path)
        if not found.active:
            with suppress(TryAgain):  # full: the first append tries again
                self._start_segment()

    def _check(self) -> None:
        if self._failure is not None:
            raise Stop(self._failure)
        if self._closed:
            raise Stop(f"the journal in {self._directory} is closed")

    def _room_for(self, raw: Buffer) -> Segment:
        if len(raw) > self._largest:
            raise InvalidInput(
                f"expected at most {self._largest} bytes in one commit, received {len(raw)}", problem="too-large"
            )
        if self._active is not None and self._end + len(raw) <= self._active.size:
            return self._active
        self._sync_active()
        return self._start_segment()

    def _start_segment(self) -> Segment:
        try:
            segment = self.spare.take()
        except OSError as error:
            self._full = f"the journal in {self._directory} has no room for another segment: {error}"
            raise TryAgain(self._full, retry_after=FULL_RETRY_SECONDS) from error
        if self._active is not None:
            self._active.file.close()
        self._active, self._end = segment, SEGMENT_HEADER_BYTES
        return segment

    def _write(self, segment: Segment, raw: Buffer, durable: bool) -> None:
        try:
            write = segment.file.write if self._fast and len(raw) < PAST_CACHE_BYTES else segment.file.append
            write(self._end, raw)
            if durable:
                self._timed_sync(segment)
        except OSError as error:
            if self._end == SEGMENT_HEADER_BYTES:
                self._discard(segment, error)
            raise self._fail(f"writing {segment_name(segment.number)} at offset {self._end}", error) from error
        except BaseException as error:  # interrupted: how much of the record is in the file is not known
            self._fail(f"writing {segment_name(segment.number)} at offset {self._end}", error)
            raise

    def _discard(self, segment: Segment, error: OSError) -> None:
        """The first record of a segment failed: make sure that nothing of it comes back, then say "full"."""
        self._active = None
        try:
            segment.file.close()
            self._files.remove(self._directory / segment_name(segment.number))
            self._files.sync_directory(self._directory)
        except OSError as worse:
            raise self._fail(f"removing {segment_name(segment.number)} after {error}", worse) from worse
        self.spare.want(segment.number)
        self._full = f"the journal in {self._directory} cannot start {segment_name(segment.number)}: {error}"
        raise TryAgain(self._full, retry_after=FULL_RETRY_SECONDS) from error

    def _sync_active(self) -> None:
        if self._active is None or self._unsynced_since is None:
            return
        try:
            self._timed_sync(self._active)
        except OSError as error:
            raise self._fail(f"syncing {segment_name(self._active.number)}", error) from error
        self._durable_seq, self._unsynced_since = self._last_seq, None

    def _timed_sync(self, segment: Segment) -> None:
        started = perf_counter()
        segment.file.sync()
        self._last_sync_seconds = perf_counter() - started
        self._sync_seconds += self._last_sync_seconds
        self._syncs += 1

    def _fail(self, doing: str, error: BaseException) -> Stop:
        self._failure = f"the journal in {self._directory} failed for good: {doing}: {error!r}; restart to recover"
        return Stop(self._failure)
