"""Sends what is written to a SQLite file to the disk little by little.

SQLite leaves it to the kernel until the end and then asks for all of it at once. The disk is the journal's, too: a
commit would wait behind a hundred megabytes (a snapshot of a million atoms: 40 ms for one commit in a thousand).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BYTES = 2 << 20  # are sent at a time
PAUSE_SECONDS = 0.005


class Flushing:
    """Of a database, with its WAL if there is one; make it when the database is open, close it after the database is
    closed: POSIX ends all locks that a process has on a file with the first descriptor of it that is closed."""

    def __init__(self, path: Path) -> None:
        log = path.with_name(f"{path.name}-wal")
        self._descriptors = [os.open(file, os.O_RDONLY) for file in (path, log) if file.exists()]
        self._bytes = 0

    def wrote(self, count: int) -> None:
        """So many bytes more were written; sends what there is when it is enough. Raises OSError as the disk does."""
        self._bytes += count
        if self._bytes >= BYTES:
            self._flush()
            self._bytes = 0

    @contextmanager
    def meanwhile(self) -> Iterator[None]:
        """While this lasts a thread sends what is written, for what writes much and cannot say so in between."""
        done = threading.Event()

        def flush() -> None:
            while not done.wait(PAUSE_SECONDS):
                with suppress(OSError):  # the one who writes is told
                    self._flush()

        thread = threading.Thread(target=flush, name="flush")
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def close(self) -> None:
        """May be called twice."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _flush(self) -> None:
        for descriptor in self._descriptors:
            os.fdatasync(descriptor)
