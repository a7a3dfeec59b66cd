"""A thread that draws stays until the server has heard what it said, and never longer than it must."""

from __future__ import annotations

import asyncio
import time

import pytest

from ui.hearing import HEARD_SECONDS, Hearing


def test_what_was_said_before_is_heard_when_the_wait_is_over() -> None:
    server, heard = Hearing(), list[int]()

    def draw(loop: asyncio.AbstractEventLoop) -> list[int]:
        for word in range(100):
            loop.call_soon_threadsafe(heard.append, word)
        assert server.wait()
        return list(heard)

    async def serve() -> list[int]:
        async with server.lifespan(None):
            drawing = asyncio.create_task(asyncio.to_thread(draw, asyncio.get_running_loop()))
            return await drawing

    assert asyncio.run(serve()) == list(range(100))


@pytest.mark.parametrize("ended", [False, True])
def test_without_a_server_nobody_waits(ended: bool) -> None:
    server = Hearing()

    async def serve() -> None:
        async with server.lifespan(None):
            pass

    if ended:
        asyncio.run(serve())
    began = time.monotonic()
    server.wait()
    assert time.monotonic() - began < HEARD_SECONDS
