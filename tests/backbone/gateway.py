"""The gateway's side in a test: a journal, the embedded backbone, figures kept up to date, and worker processes."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from telemetry.backbone import Backbone, Partial, Quarantined, Verdict
from telemetry.backbone.embedded import Embedded
from telemetry.backbone.journal import Journal
from telemetry.backbone.leases import Limits
from telemetry.backbone.writer import JournalWriter
from tests.backbone.trades import VERSION, Figures, Numbers

ROOT = Path(__file__).resolve().parents[2]
SEGMENT_BYTES = 1 << 20
PATIENCE_SECONDS = 20.0  # for a busy machine; nothing waits for so long when all is well
epochs = itertools.count(1)


class WorkerProcess:
    """A worker of its own process; killed at the end of its `with`."""

    def __init__(self, results: str, name: str, *options: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.backbone.echo_worker", results, name, *options], cwd=ROOT
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def dead(self) -> bool:
        return self._process.poll() is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)
        self._process.kill()
        self._process.wait()


class Pump:
    """Takes results, judges them, settles them: what the gateway does, without HTTP."""

    def __init__(self, backbone: Backbone, *, epoch: int | None = None, applied: int = 0, total: int = 0) -> None:
        self.backbone = backbone
        self.figures = Figures(epoch if epoch is not None else next(epochs), applied, total)
        self.verdicts: list[Verdict] = []
        self.override: Callable[[Partial], Verdict | None] = lambda partial: None
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.backbone.start(epoch=self.figures.epoch, applied=self.figures.applied)
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        while True:
            for result in await self.backbone.results():
                self._take(result)
            self._changed.set()

    def _take(self, result: Partial | Quarantined) -> None:
        if isinstance(result, Quarantined):
            self.figures.take(result)
            return
        verdict = self.override(result) or self.figures.take(result)
        assert verdict is not None
        self.verdicts.append(verdict)
        self.backbone.settle(result, verdict)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds; it is looked at after each result, and twenty times a second."""
        assert self._task is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                if self._task.done():
                    self._task.result()
                self._changed.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.05)

    async def until_applied(self, seq: int) -> None:
        await self.until(lambda: self.figures.applied >= seq)

    async def until_workers(self, count: int) -> None:
        await self.until(lambda: len(self.backbone.status().workers) == count)


class EmbeddedGateway(Pump):
    """A pump over the embedded backbone, its journal in `directory`."""

    def __init__(
        self,
        directory: Path,
        *,
        results: str = "",
        limits: Limits | None = None,
        applied: int = 0,
        total: int = 0,
        lease_bytes: int = 1 << 20,
        recent_bytes: int = 1 << 20,
    ) -> None:
        self.writer = JournalWriter(Journal.open(directory, segment_bytes=SEGMENT_BYTES))
        self._sockets = tempfile.TemporaryDirectory(prefix="telemetry-")  # short, as the path of a socket must be
        self.results = results or f"ipc://{self._sockets.name}/results.ipc"
        self.embedded = Embedded(
            self.writer,
            results=self.results,
            version=VERSION,
            limits=limits,
            lease_bytes=lease_bytes,
            recent_bytes=recent_bytes,
        )
        self._stack = AsyncExitStack()
        super().__init__(self.embedded, applied=applied, total=total)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """The journal's writer and the backbone, open but not started."""
        with self._sockets:
            async with self.writer, self.embedded:
                yield

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.open())
        return await super().__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        await self._stack.aclose()

    def worker(self, name: str, *options: str) -> WorkerProcess:
        return WorkerProcess(self.results, name, *options)

    async def append(self, *values: int, padding: int = 0) -> None:
        await self.embedded.append(Numbers(values, padding))
