"""A result that is handed over: who awaits it goes on at once, and all else is as with any future."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar

import pytest

from telemetry.backbone.handed import Handed

pytestmark = pytest.mark.anyio


async def waiting(handed: Handed[str], heard: list[str]) -> str:
    """The task's first step is done when this returns."""
    try:
        found = await handed
    except (ValueError, asyncio.CancelledError) as error:
        heard.append(type(error).__name__)
        raise
    heard.append(found)
    return found


async def begun(handed: Handed[str], heard: list[str]) -> asyncio.Task[str]:
    task = asyncio.create_task(waiting(handed, heard))
    await asyncio.sleep(0)
    return task


def handed() -> Handed[str]:
    return Handed(loop=asyncio.get_running_loop())


async def in_the_loop(hand_over: Callable[[], None], heard: list[str]) -> list[str]:
    """Call it as a callback of the loop; what was heard by the time it returned."""
    by_then: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()

    def call() -> None:
        hand_over()
        by_then.set_result(list(heard))

    asyncio.get_running_loop().call_soon(call)
    return await by_then


async def test_who_awaits_a_result_goes_on_before_it_is_handed_over() -> None:
    it, heard = handed(), list[str]()
    task = await begun(it, heard)
    assert await in_the_loop(lambda: it.set_result("here"), heard) == ["here"]
    assert await task == "here"
    assert heard == ["here"]


async def test_who_awaits_an_error_hears_of_it_at_once() -> None:
    it, heard = handed(), list[str]()
    task = await begun(it, heard)
    assert await in_the_loop(lambda: it.set_exception(ValueError("no")), heard) == ["ValueError"]
    with pytest.raises(ValueError, match="no"):
        await task


async def test_a_result_that_is_there_already_is_not_waited_for() -> None:
    it = handed()
    it.set_result("early")
    assert await it == "early"


async def test_cancelling_the_task_cancels_what_it_awaits_once() -> None:
    it, heard = handed(), list[str]()
    task = await begun(it, heard)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert it.cancelled()
    assert heard == ["CancelledError"]


async def test_a_time_limit_ends_the_wait() -> None:
    it = handed()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(it, 0.001)
    assert it.cancelled()


async def test_the_task_goes_on_as_itself_in_its_own_context() -> None:
    it, known = handed(), ContextVar("known", default="nothing")

    async def in_its_context() -> tuple[str, str]:
        known.set("what the task knows")
        found, task = await it, asyncio.current_task()
        assert task is not None
        return found, f"{task.get_name()}: {known.get()}"

    task = asyncio.create_task(in_its_context(), name="commits")
    await asyncio.sleep(0)
    await in_the_loop(lambda: it.set_result("here"), [])
    assert await task == ("here", "commits: what the task knows")
    assert known.get() == "nothing"
