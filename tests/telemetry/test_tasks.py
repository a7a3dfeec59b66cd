"""Tasks start when they are ready, stop in the reverse order, and the first failure wins."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest

from telemetry.errors import Stop
from telemetry.tasks import AsyncTaskManager, Ready

pytestmark = pytest.mark.anyio


class Failure(Exception):
    """What the tasks of these tests fail with."""


async def serve(ready: Ready, name: str, log: list[str], stop: asyncio.Event | None = None) -> None:
    log.append(f"start {name}")
    ready()
    try:
        await (stop or asyncio.Event()).wait()
        log.append(f"drained {name}")
    finally:
        log.append(f"end {name}")


async def fail_when(ready: Ready, signal: asyncio.Event, error: BaseException) -> None:
    ready()
    await signal.wait()
    raise error


async def ignore_cancellation(ready: Ready, release: asyncio.Event) -> None:
    ready()
    while not release.is_set():
        try:
            await release.wait()
        except asyncio.CancelledError:
            continue


async def test_a_start_returns_only_when_the_task_is_ready() -> None:
    opened = asyncio.Event()
    log: list[str] = []

    async def open_slowly(ready: Ready) -> None:
        await opened.wait()
        log.append("opened")
        ready()

    async with AsyncTaskManager() as tasks:
        starting = asyncio.create_task(tasks.start("slow", open_slowly))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not starting.done()
        opened.set()
        await starting
        assert log == ["opened"]


async def test_tasks_stop_in_the_reverse_order_of_their_start() -> None:
    log: list[str] = []
    async with AsyncTaskManager() as tasks:
        for name in "abc":
            await tasks.start(name, serve, name, log)
        log.clear()
    assert log == ["end c", "end b", "end a"]


async def test_a_task_that_is_asked_drains_before_the_next_is_asked() -> None:
    log: list[str] = []
    first, second = asyncio.Event(), asyncio.Event()

    async def ask() -> None:
        second.set()

    async with AsyncTaskManager() as tasks:
        await tasks.start("first", serve, "first", log, first, stop=first)
        await tasks.start("second", serve, "second", log, second, stop=ask)
        log.clear()
    assert log == ["drained second", "end second", "drained first", "end first"]


async def test_a_task_that_does_not_drain_within_its_grace_is_cancelled() -> None:
    log: list[str] = []
    async with AsyncTaskManager() as tasks:
        await tasks.start("deaf", serve, "deaf", log, stop=lambda: None, grace=0.01)
    assert log == ["start deaf", "end deaf"]


async def test_a_task_that_ignores_its_cancellation_is_named_and_the_others_still_stop() -> None:
    release = asyncio.Event()
    log: list[str] = []
    with pytest.raises(Stop, match="did not end after being cancelled: stubborn"):
        async with AsyncTaskManager() as tasks:
            await tasks.start("good", serve, "good", log)
            await tasks.start("stubborn", ignore_cancellation, release)
    assert log == ["start good", "end good"]
    release.set()


async def test_the_first_failure_ends_the_body_and_is_raised_from_it() -> None:
    signal = asyncio.Event()
    log: list[str] = []
    with pytest.raises(Failure, match="broken"):
        async with AsyncTaskManager() as tasks:
            await tasks.start("good", serve, "good", log)
            await tasks.start("bad", fail_when, signal, Failure("broken"))
            signal.set()
            await asyncio.Event().wait()
    assert log == ["start good", "end good"]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_body_may_wait_for_the_first_failure() -> None:
    signal = asyncio.Event()
    with pytest.raises(Failure, match="broken"):
        async with AsyncTaskManager() as tasks:
            await tasks.start("bad", fail_when, signal, Failure("broken"))
            signal.set()
            await tasks.failure()


async def test_a_failure_while_stopping_does_not_hide_the_first_one_nor_stop_the_stopping() -> None:
    signal = asyncio.Event()
    log: list[str] = []

    async def fail_at_the_end(ready: Ready) -> None:
        ready()
        try:
            await asyncio.Event().wait()
        finally:
            raise Failure("second")

    with pytest.raises(Failure, match="first"):
        async with AsyncTaskManager() as tasks:
            await tasks.start("good", serve, "good", log)
            await tasks.start("later", fail_at_the_end)
            await tasks.start("bad", fail_when, signal, Failure("first"))
            signal.set()
            await tasks.failure()
    assert log == ["start good", "end good"]


async def test_a_failure_while_stopping_is_raised_when_it_is_the_first() -> None:
    def ask() -> None:
        raise Failure("cannot ask")

    with pytest.raises(Failure, match="cannot ask"):
        async with AsyncTaskManager() as tasks:
            await tasks.start("task", serve, "task", [], stop=ask)


async def test_an_error_of_the_body_is_kept_when_a_task_fails_while_stopping() -> None:
    def ask() -> None:
        raise Failure("cannot ask")

    with pytest.raises(ValueError, match="of the body"):
        async with AsyncTaskManager() as tasks:
            await tasks.start("task", serve, "task", [], stop=ask)
            raise ValueError("of the body")


async def _ends(ready: Ready) -> None:
    return


async def _raises(ready: Ready) -> None:
    raise Failure("at the door")


async def _waits(ready: Ready) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (_raises, Failure, "at the door"),
        (_ends, Stop, "'odd' ended before it was ready"),
        (_waits, Stop, "'odd' was not ready within 0.01 s"),
    ],
)
async def test_a_task_that_does_not_become_ready_fails_its_start_alone(
    function: Callable[[Ready], Awaitable[None]], error: type[Exception], message: str
) -> None:
    log: list[str] = []

    async def run(ready: Ready) -> None:
        await function(ready)

    async with AsyncTaskManager() as tasks:
        await tasks.start("good", serve, "good", log)
        with pytest.raises(error, match=message):
            await tasks.start("odd", run, ready_within=0.01)
        assert log == ["start good"]
    assert log == ["start good", "end good"]


async def test_a_task_that_ends_normally_is_noted_and_ends_nothing_else() -> None:
    async def once(ready: Ready) -> None:
        ready()

    async with AsyncTaskManager() as tasks:
        await tasks.start("once", once)
    assert tasks.ended == ["once"]


async def test_a_task_cancelled_by_a_stranger_is_a_failure() -> None:
    handles: list[asyncio.Task[None]] = []

    async def expose(ready: Ready) -> None:
        task = asyncio.current_task()
        assert task is not None
        handles.append(task)
        ready()
        await asyncio.Event().wait()

    with pytest.raises(Stop, match="cancelled by something other"):
        async with AsyncTaskManager() as tasks:
            await tasks.start("exposed", expose)
            handles[0].cancel()
            await asyncio.Event().wait()


async def test_cancelling_the_body_while_it_stops_skips_the_asking() -> None:
    log: list[str] = []
    asked = asyncio.Event()

    async def run() -> None:
        async with AsyncTaskManager(grace=60) as tasks:
            await tasks.start("never asked", serve, "never asked", log, stop=lambda: log.append("asked the wrong one"))
            await tasks.start("deaf", serve, "deaf", log, stop=asked.set)

    running = asyncio.create_task(run())
    await asked.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert log == ["start never asked", "start deaf", "end deaf", "end never asked"]


async def test_a_start_outside_of_the_body_is_refused() -> None:
    with pytest.raises(Stop, match="outside of the `async with` body"):
        await AsyncTaskManager().start("lost", serve, "lost", [])


async def test_a_manager_that_is_never_left_warns() -> None:
    tasks = AsyncTaskManager()
    await tasks.__aenter__()
    with pytest.warns(ResourceWarning, match="was not left"):
        del tasks
        gc.collect()
