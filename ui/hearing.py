"""Waiting until the server has heard what a run of the page has said.

Streamlit draws a page in a thread of its own, for each request. What a run says goes to the event loop of the server,
one word after the other, and the loop ignores all words of a thread that has ended when it takes the next request of
the viewer before them. So nothing of a run is lost when its thread stays until the loop has come to its last word.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

HEARD_SECONDS = 1.0  # a loop that is busy for so long has more to lose than one update


class Hearing:
    """`lifespan` begins with the server; `wait` is for the threads that draw, and returns at once without a server."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncIterator[dict[str, Any]]:
        """While the server runs."""
        self._loop = asyncio.get_running_loop()
        try:
            yield {}
        finally:
            self._loop = None

    def wait(self) -> bool:
        """Until the loop has taken all that was said to it before; whether it has within HEARD_SECONDS."""
        loop, heard = self._loop, threading.Event()
        if loop is None:
            return True
        with suppress(RuntimeError):  # closed: the server ends, and nobody looks any more
            loop.call_soon_threadsafe(heard.set)  # behind what was said before
            return heard.wait(HEARD_SECONDS)
        return False


server = Hearing()
