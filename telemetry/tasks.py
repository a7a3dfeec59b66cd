"""The only way long-lived tasks run: started one after the other, each until it is ready, stopped in the reverse order.

Rules of this file:

* `start` returns when the task called its `ready`; what fails before that is raised by `start` and is its caller's.
* The first failure after that wins: it ends the body of the `async with` and is raised from it. Later ones are logged.
* Stopping goes on after a failure. A task is asked first (`stop`), has `grace` seconds to drain, is cancelled then, and
  is named if it does not end even so. Cancelling the body while it stops skips the asking.
* A task that ends normally is noted in `ended` and in the log; it ends nothing else.

Python's TaskGroup promises neither readiness nor an order of stopping, hence this.
"""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVarTuple

import structlog

from telemetry.errors import Stop

Ready = Callable[[], None]
Ask = Callable[[], object] | asyncio.Event
Ts = TypeVarTuple("Ts")

READY_SECONDS = (
    30.0  # opening a journal or a socket takes milliseconds; whatever replays long says ready before it replays
)
CANCEL_SECONDS = 1.0  # a cancelled task has only its `finally` blocks left to run

logger = structlog.get_logger("tasks")


@dataclass(frozen=True)
class _Running:
    name: str
    task: asyncio.Task[None]
    ready: asyncio.Event
    stop: Ask | None
    grace: float


class AsyncTaskManager:
    """Runs named tasks for as long as the body of its `async with` runs; `grace` in seconds, for each task."""

    def __init__(self, *, grace: float = 5.0) -> None:
        self.ended: list[str] = []
        self._grace = grace
        self._running: list[_Running] = []  # in order of start
        self._body: asyncio.Task[Any] | None = None
        self._failure: BaseException | None = None
        self._failed = asyncio.Event()
        self._body_cancelled = False
        self._interrupted: asyncio.CancelledError | None = None  # the body was cancelled while stopping
        self._stopping = False

    async def __aenter__(self) -> Self:
        self._body = asyncio.current_task()
        return self

    async def start(
        self,
        name: str,
        function: Callable[[Ready, *Ts], Coroutine[Any, Any, None]],
        *args: *Ts,
        stop: Ask | None = None,
        grace: float | None = None,
        ready_within: float = READY_SECONDS,
    ) -> None:
        """Run `function(ready, *args)` and return when it has called `ready()`, at most `ready_within` seconds later.

        `stop` asks the task to drain and end: an event to set, or a function (plain or async) to call. Raises what the
        task raised before it was ready, and `Stop` when it ended or the time was over; the task is not running then.
        """
        if self._body is None or self._stopping:
            raise Stop(f"task {name!r} was started outside of the `async with` body of its manager")
        ready = asyncio.Event()
        task = asyncio.create_task(function(ready.set, *args), name=name)
        running = _Running(name, task, ready, stop, self._grace if grace is None else grace)
        await self._until_ready(running, ready_within)
        self._running.append(running)
        task.add_done_callback(lambda task: self._note_end(name, task))

    async def failure(self) -> NoReturn:
        """Wait for the first failure and raise it."""
        await self._failed.wait()
        assert self._failure is not None
        raise self._failure

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        body, self._body = self._body, None
        if self._body_cancelled and body is not None:
            body.uncancel()
        stuck = [running.name for running in reversed(self._running) if not await self._end(running)]
        await asyncio.sleep(0)  # lets the last `_note_end` run
        if stuck:
            self._fail("manager", Stop(f"these tasks did not end after being cancelled: {', '.join(stuck)}"))
        came_first = error is None or self._body_cancelled or isinstance(error, asyncio.CancelledError)
        if self._failure is not None and self._failure is not error and came_first:
            raise self._failure
        if self._interrupted is not None and error is None:
            raise self._interrupted

    def __del__(self) -> None:
        if self._body is not None:
            names = ", ".join(running.name for running in self._running) or "none"
            warnings.warn(
                f"AsyncTaskManager was not left, its tasks: {names}", ResourceWarning, stacklevel=2, source=self
            )

    async def _until_ready(self, running: _Running, seconds: float) -> None:
        waiting = asyncio.create_task(running.ready.wait())
        try:
            await asyncio.wait({waiting, running.task}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._cancel(running)
            raise
        finally:
            waiting.cancel()
        if running.ready.is_set():
            return
        if running.task.done():
            if not running.task.cancelled():
                running.task.result()
            raise Stop(f"task {running.name!r} ended before it was ready")
        if not await self._cancel(running):
            self._running.append(running)  # to be named at the end
        raise Stop(f"task {running.name!r} was not ready within {seconds:g} s")

    def _note_end(self, name: str, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            if not self._stopping:
                self._fail(name, Stop(f"task {name!r} was cancelled by something other than its manager"))
        elif (error := task.exception()) is not None:
            self._fail(name, error)
        else:
            self.ended.append(name)
            logger.debug("task ended", task=name)

    def _fail(self, name: str, error: BaseException) -> None:
        """Keep the first failure and end the body with it; log the others, because nobody will see them raised."""
        if self._failure is not None or self._stopping:
            logger.error("another task failed", task=name, error=repr(error))
        if self._failure is not None:
            return
        self._failure = error
        self._failed.set()
        if self._body is not None and not self._stopping:
            self._body_cancelled = self._body.cancel()

    async def _end(self, running: _Running) -> bool:
        """Ask, wait, cancel, wait; whether the task has ended."""
        if running.stop is not None and self._interrupted is None and not running.task.done():
            try:
                async with asyncio.timeout(running.grace):
                    await self._ask(running.stop)
                    await asyncio.wait({running.task})
            except TimeoutError:
                logger.warning("task did not drain in time", task=running.name, grace_seconds=running.grace)
            except asyncio.CancelledError as interrupted:
                self._interrupted = interrupted
            except Exception as error:
                self._fail(running.name, error)
        return await self._cancel(running)

    async def _ask(self, stop: Ask) -> None:
        asked = (stop.set if isinstance(stop, asyncio.Event) else stop)()
        if inspect.isawaitable(asked):
            await asked

    async def _cancel(self, running: _Running) -> bool:
        running.task.cancel()
        try:
            await asyncio.wait({running.task}, timeout=CANCEL_SECONDS)
        except asyncio.CancelledError as interrupted:
            self._interrupted = interrupted
            await asyncio.wait({running.task}, timeout=CANCEL_SECONDS)
        return running.task.done()
