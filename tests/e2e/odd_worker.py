"""A worker that misbehaves, for the tests: `odd_worker.py die SYMBOL…` or `odd_worker.py hold FILE`.

`die`: the process ends at once when it receives a trade of a marked symbol, as if analysing it had crashed it.
`hold`: finished results leave only once FILE exists; FILE.held says that there is one.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from telemetry.backbone import Lease, WorkSource
from telemetry.backbone.endpoints import default_results
from telemetry.backbone.links import WorkerLink
from telemetry.environ import read_settings
from telemetry.logs import begin_logs
from telemetry.statistics import VERSION
from telemetry.supervisor import watch_supervisor
from telemetry.tasks import AsyncTaskManager
from worker.app import Worker, columns_of
from worker.environment import WorkerSettings


class Odd:
    """Work as it comes from `source`, but for the oddity."""

    def __init__(self, source: WorkSource, oddity: str, *arguments: str) -> None:
        self._source = source
        self._deadly = frozenset(arguments) if oddity == "die" else frozenset()
        self._release = Path(arguments[0]) if oddity == "hold" else None

    async def __aenter__(self) -> Self:
        await self._source.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._source.__aexit__(kind, error, trace)

    async def receive(self) -> Lease:
        """The next lease, which may be the end."""
        lease = await self._source.receive()
        symbols = {instrument.symbol for part in columns_of(lease) for instrument in part.instruments}
        if symbols & self._deadly:
            os._exit(1)
        return lease

    async def send(self, partial: bytes) -> None:
        """Return a partial, sooner or later."""
        if self._release is not None:
            self._release.with_name(f"{self._release.name}.held").touch()
            await asyncio.to_thread(_await, self._release)
        await self._source.send(partial)


def _await(file: Path) -> None:
    while not file.exists():
        time.sleep(0.01)  # sleeps: between two looks at the test's file


async def run(*oddity: str) -> None:
    settings = read_settings(WorkerSettings)
    begin_logs("worker", settings)
    stop = asyncio.Event()
    watch_supervisor(asyncio.get_running_loop(), settings.supervisor_fd, stop.set)
    name = f"odd-{os.getpid()}-{secrets.token_hex(4)}"
    link = WorkerLink(results=default_results(settings.data), worker=name, version=VERSION)
    async with Odd(link, *oddity) as source, AsyncTaskManager() as tasks:
        await tasks.start("analysis", Worker(source, name=name, generation=lambda: link.generation).run)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
