"""The one thread that appends to the journal, and the way there from the event loop: one hop there, one hop back.

The queue is not bounded here: the intake bounds how many groups are under way (one), and refuses when it is full.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import perf_counter
from types import TracebackType
from typing import Self

from telemetry.backbone import Committed
from telemetry.backbone.handed import Handed
from telemetry.backbone.journal import Encode, Journal
from telemetry.errors import Stop
from telemetry.slices import ask_for_short_slices

SYNC_SECONDS = 0.1  # fast mode: how old an accepted trade may get before it is brought to disk


@dataclass(frozen=True, slots=True)
class _Job:
    encode: Encode
    count: int
    loop: asyncio.AbstractEventLoop
    future: Handed[Committed]


class JournalWriter:
    """Owns an open journal: appends on one thread, prepares the next segment on another, closes it at the end."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._news = deque[tuple[Handed[Committed], Committed | Exception]]()  # what became of jobs, not told yet
        self._stop = threading.Event()
        self._writer = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._preparer = threading.Thread(
            target=journal.spare.run, args=(self._stop,), name="journal-preparer", daemon=True
        )

    async def __aenter__(self) -> Self:
        self._writer.start()
        self._preparer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Everything that was handed over is still appended; then the journal is synced and closed."""
        self._jobs.put(None)
        self._stop.set()
        self.journal.spare.wake()
        await asyncio.to_thread(self._finish)

    async def append(self, encode: Encode, count: int) -> Committed:
        """As Journal.append. Cancelling the caller does not take the record back: it may be committed all the same."""
        if self._stop.is_set():
            raise Stop("the journal's writer has ended")
        loop = asyncio.get_running_loop()
        future: Handed[Committed] = Handed(loop=loop)
        self._jobs.put(_Job(encode, count, loop, future))
        return await future

    def hear(self) -> bool:
        """Tell those who wait for it what became of their records, in the event loop; whether there was anything."""
        heard = bool(self._news)
        while self._news:
            _deliver(*self._news.popleft())
        return heard

    def _finish(self) -> None:
        self._writer.join()
        self._preparer.join()
        self.journal.close()

    def _run(self) -> None:
        ask_for_short_slices()  # everyone waits for the journal, and it takes a core for a moment only
        while True:
            try:
                job = self._jobs.get(timeout=self._wait_seconds())
            except Empty:
                self._sync()
                continue
            if job is None:
                return
            self._execute(job)
            if self._wait_seconds() == 0:
                self._sync()

    def _wait_seconds(self) -> float | None:
        """Until the next sync of fast mode is due; None when nothing waits for one."""
        since = self.journal.unsynced_since
        if since is None or self.journal.failure is not None:
            return None
        return max(0.0, since + SYNC_SECONDS - perf_counter())

    def _sync(self) -> None:
        with suppress(Stop):  # the journal keeps it as its failure: every later append and the health check say so
            self.journal.sync()

    def _execute(self, job: _Job) -> None:
        try:
            result: Committed | Exception = self.journal.append(job.encode, job.count)
        except Exception as error:
            result = error
        self._news.append((job.future, result))
        with suppress(RuntimeError):  # the loop is gone, and with it whoever waited
            job.loop.call_soon_threadsafe(self.hear)


def _deliver(future: Handed[Committed], result: Committed | Exception) -> None:
    if future.done():  # cancelled
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
