"""Bootstrap of a worker: settings in, concrete parts put together, run until asked to stop."""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import signal

import structlog

from telemetry.backbone.endpoints import default_results
from telemetry.backbone.links import WorkerLink
from telemetry.decode_compiled import available
from telemetry.environ import read_settings
from telemetry.heap import keep_freed_memory
from telemetry.logs import begin_logs
from telemetry.statistics import BASIC, VERSION
from telemetry.supervisor import watch_supervisor
from telemetry.tasks import AsyncTaskManager
from worker.analysis import Quick
from worker.app import Worker
from worker.compiled import CompiledAnalysis
from worker.environment import WorkerSettings

logger = structlog.get_logger("worker")


async def run(settings: WorkerSettings) -> None:
    """Serve until SIGTERM, SIGINT or the end of the supervisor."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watch_supervisor(loop, settings.supervisor_fd, stop.set)
    name = f"{os.getpid()}-{secrets.token_hex(4)}"
    results = settings.results or default_results(settings.data)
    version = BASIC if settings.statistics == "basic" else VERSION
    async with WorkerLink(results=results, worker=name, version=version) as link, AsyncTaskManager() as tasks:
        quick = await asyncio.to_thread(new_quick, settings.compiled)
        worker = Worker(link, name=name, generation=lambda: link.generation, version=version, quick=quick)
        gc.freeze()  # what is here by now stays: looking through it again and again would only cost time
        await tasks.start("analysis", worker.run)
        await stop.wait()


def new_quick(compiled: bool) -> Quick | None:
    """Compiled analysis, if it is wanted and this machine has it. The first start compiles it, for many seconds."""
    try:
        return CompiledAnalysis() if compiled and available() else None
    except Exception as error:
        logger.warning("compiled analysis cannot be used, analysing is slower", error=repr(error))
        return None


def main() -> None:
    """The process: reads the environment, sets up logging and the event loop."""
    keep_freed_memory()
    settings = read_settings(WorkerSettings)
    begin_logs("worker", settings)
    asyncio.run(run(settings))
