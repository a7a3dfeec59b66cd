"""A large body on its way from the socket: into memory of ours at once, where it is decoded in place.

What the framework does with each piece of a body (a copy for the event loop, one for the parser, one to join them)
costs as much as checking it. So from the head on, the socket is read into a buffer as large as the lane takes bodies;
and a connection that has sent such a body is read there from the first byte of its next request on, until one comes
that is no such body. One buffer for each connection whose body is under way, as long as there are any.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any, NamedTuple, Protocol

import numpy as np

from telemetry.decode_compiled import PADDING
from telemetry.frame import U8, Array
from telemetry.pages import give_back_pages, take_pages

_CACHE_LINE = 64


class Owner(Protocol):
    """The connection that a body belongs to."""

    transport: Any
    loop: asyncio.AbstractEventLoop

    def begins(self, arrived: memoryview) -> bool:
        """Whether a body begins with what arrived in the next free buffer of JSON: then it called `begin`."""

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""

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
    """Memory for `most` bodies of up to `size` bytes, the `before` bytes of their heads, and the PADDING that the
    decoder needs behind them. All in one text; buffers are known by where they begin. What was used once stays in
    memory, and what was used last is used next: it may still be in the processor's caches."""

    def __init__(self, size: int, most: int, before: int = 0, early: int = 0) -> None:
        """The memory of the first `early` ones can be taken before they are needed."""
        self.left, self._early = most, early  # how many can be taken
        self.size = before + size
        self.stride = stride = -(self.size + PADDING) // _CACHE_LINE * -_CACHE_LINE
        self.text = np.zeros((most + 1) * stride, U8)  # one is always free to be read into
        self.view = memoryview(self.text.data)
        self._idle = [number * stride for number in range(most, -1, -1)]

    @property
    def next(self) -> int:
        """The one that is taken next."""
        return self._idle[-1]

    def take(self) -> int:
        """One that nobody uses; what is in it does not matter. The caller looks at `left` before."""
        self.left -= 1
        return self._idle.pop()

    def give_back(self, buffer: int) -> None:
        """Nobody uses it any more."""
        self.left += 1
        self._idle.append(buffer)

    def take_early(self) -> threading.Event | None:
        """Begin to take that memory from the system; None when this one cannot."""
        return take_pages(self.text[: self._early * self.stride])

    def give_back_early(self) -> None:
        """Give back that of those which were never used, but for the next one; those are behind all others."""
        never = len(self.text) // self.stride
        for idle in self._idle[:-1]:
            if idle != (never - 1) * self.stride:
                break
            never -= 1
        give_back_pages(self.text[never * self.stride : max(never, self._early) * self.stride])


class Held(NamedTuple):
    """A body that is complete: `size` bytes from `start` on in the text of its buffers, followed by zeros."""

    buffers: Buffers
    buffer: int
    start: int
    size: int

    @property
    def content(self) -> memoryview:
        """Its bytes."""
        return self.buffers.view[self.start : self.start + self.size]

    @property
    def text(self) -> Array:
        """Its bytes and the zeros."""
        return self.buffers.text[self.start : self.start + self.size + PADDING]

    def give_back(self) -> None:
        """Nobody reads it any more."""
        self.buffers.give_back(self.buffer)


class Body(asyncio.BufferedProtocol):
    """Takes the connection's place at the transport until `size` bytes are here, and on until something else comes. A
    connection uses one again and again.

    While a body is under way it never asks for more than that, so whatever follows it stays in the socket.
    """

    def __init__(self, owner: Owner, seconds: float, spare: Buffers) -> None:
        """`spare` are the buffers of JSON."""
        self._owner, self._seconds, self._spare = owner, seconds, spare
        self._buffers = spare
        self._timer: asyncio.TimerHandle | None = None
        self._is_set = self._is_under_way = False
        self._buffer = self._start = self._filled = self._size = 0

    def begin(self, size: int, first: memoryview, buffers: Buffers, offset: int | None = None) -> None:
        """Take a body of so many bytes, which begins with `first`, into one of these buffers. It is there already,
        `offset` behind the beginning of the next one; with None it is elsewhere."""
        self._buffers, self._buffer = buffers, buffers.take()
        self._start, self._size, self._filled = self._buffer + (offset or 0), size, len(first)
        if offset is None:
            buffers.view[self._start : self._start + self._filled] = first
        self._is_under_way = True
        if not self._is_set:
            self._is_set = True
            self._owner.transport.set_protocol(self)
        if self._filled == size:
            self._complete()
        else:
            self._timer = self._owner.loop.call_later(self._seconds, self._late)

    def take(self) -> Held:
        """The body; to be given back."""
        end = self._start + self._size
        self._buffers.view[end : end + PADDING] = bytes(PADDING)
        return Held(self._buffers, self._buffer, self._start, self._size)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go: between two requests any connection's, as long as they are looked at at once."""
        if self._is_under_way:
            return self._buffers.view[self._start + self._filled : self._start + self._size]
        return self._spare.view[self._spare.next : self._spare.next + self._spare.size]

    def buffer_updated(self, nbytes: int) -> None:
        """They are there."""
        if self._is_under_way:
            self._filled += nbytes
            if self._filled == self._size:
                self._complete()
            return
        arrived = self._spare.view[self._spare.next : self._spare.next + nbytes]
        if not self._owner.begins(arrived):
            self._leave()
            self._owner.data_received(arrived.tobytes())

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        if not self._is_under_way:
            self._owner.connection_lost(exc)
            return
        self._drop()
        self._owner.body_lost(exc)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._owner.pause_writing()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._owner.resume_writing()

    def _late(self) -> None:
        self._drop()
        self._leave()
        self._owner.body_late(self._filled)

    def _complete(self) -> None:
        self._end()
        self._owner.body_complete()

    def _drop(self) -> None:
        self._end()
        self._buffers.give_back(self._buffer)

    def _end(self) -> None:
        self._is_under_way = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _leave(self) -> None:
        """The connection hears of its bytes itself again."""
        self._is_set = False
        self._owner.transport.set_protocol(self._owner)
