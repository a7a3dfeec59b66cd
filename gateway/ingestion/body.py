"""A large body on its way from the socket: into memory of ours at once, where it is decoded in place.

What the framework does with each piece of a body (a copy for the event loop, one for the parser, one to join them)
costs as much as checking it. So from the head on, the socket is read into a buffer as large as the lane takes bodies.
One buffer for each connection whose body is under way, as long as there are any; KEPT of them are used again.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from telemetry.decode_compiled import PADDING

KEPT = 8  # buffers of each size


class Owner(Protocol):
    """The connection that a body belongs to."""

    transport: Any
    loop: asyncio.AbstractEventLoop

    def body_complete(self) -> None:
        """All of it is here."""

    def body_late(self, received: int) -> None:
        """It takes too long; so many bytes are here."""

    def body_lost(self, error: Exception | None) -> None:
        """The client went away before."""

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""


class Buffers:
    """Memory for bodies of up to `size` bytes and the PADDING that the decoder needs behind them; `most` bodies."""

    def __init__(self, size: int, most: int) -> None:
        self.left = most  # how many can be taken
        self._bytes = size + PADDING
        self._idle: list[bytearray] = []

    def take(self) -> bytearray:
        """One that nobody uses; what is in it does not matter. The caller looks at `left` before."""
        self.left -= 1
        return self._idle.pop() if self._idle else bytearray(self._bytes)

    def give_back(self, buffer: bytearray) -> None:
        """Nobody uses it any more."""
        self.left += 1
        if len(self._idle) < KEPT:
            self._idle.append(buffer)


_NONE = Buffers(0, 0)


class Body(asyncio.BufferedProtocol):
    """Takes the connection's place at the transport until `size` bytes are here. A connection uses one again and again.

    Never asks for more than the body, so whatever follows it stays in the socket.
    """

    def __init__(self, owner: Owner, seconds: float) -> None:
        self._owner, self._seconds = owner, seconds
        self._buffers = _NONE
        self._buffer = bytearray()
        self._view = memoryview(b"")
        self._timer: asyncio.TimerHandle | None = None
        self.size = self._filled = 0

    def begin(self, size: int, first: memoryview, buffers: Buffers) -> None:
        """Take a body of so many bytes, which begins with `first`, into one of these buffers."""
        self._buffers = buffers
        self._buffer, self.size, self._filled = buffers.take(), size, len(first)
        self._view = memoryview(self._buffer)
        self._view[: self._filled] = first
        if self._filled == size:
            self._owner.body_complete()
            return
        self._timer = self._owner.loop.call_later(self._seconds, self._late)
        self._owner.transport.set_protocol(self)

    def take(self) -> bytearray:
        """The buffer that holds the body, followed by zeros; for `give_back`."""
        self._view[self.size : self.size + PADDING] = bytes(PADDING)
        self._view.release()
        return self._buffer

    def give_back(self, buffer: bytearray) -> None:
        """Nobody uses what `take` gave any more."""
        self._buffers.give_back(buffer)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return self._view[self._filled : self.size]

    def buffer_updated(self, nbytes: int) -> None:
        """They are there."""
        self._filled += nbytes
        if self._filled == self.size:
            self._end()
            self._owner.body_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._end()
        self.give_back(self.take())
        self._owner.body_lost(exc)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._owner.pause_writing()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._owner.resume_writing()

    def _late(self) -> None:
        self._end()
        self.give_back(self.take())
        self._owner.body_late(self._filled)

    def _end(self) -> None:
        """The connection hears of its bytes itself again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._owner.transport.set_protocol(self._owner)
