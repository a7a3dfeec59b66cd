"""A large body between the socket and its buffer: a deadline, a client that leaves, and never a byte too many."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvloop

from gateway.ingestion.body import Body, Buffers
from telemetry.decode_compiled import PADDING

SIZE = 100_000
HEAD = b"one more\r\n\r\n"


class Owner(asyncio.Protocol):
    """A connection that takes its first bytes for the beginning of a body, and notes what it is told."""

    def __init__(self, buffers: Buffers, seconds: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.transport: Any = None
        self.told: list[object] = []
        self.behind = b""  # the body
        self.begun, self.heard = asyncio.Event(), asyncio.Event()
        self._body, self._buffers = Body(self, seconds, buffers), buffers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self.told:
            self.behind += data
            self._tell()
        else:
            self._body.begin(SIZE, memoryview(data), self._buffers)
            self.begun.set()

    def begins(self, arrived: memoryview) -> bool:
        """See gateway.ingestion.body: one more body when a head says so."""
        if not arrived.tobytes().startswith(HEAD):
            return False
        self._body.begin(SIZE, arrived[len(HEAD) :], self._buffers, len(HEAD))
        return True

    def body_complete(self) -> None:
        """See gateway.ingestion.body."""
        held = self._body.take()
        self._tell(bytes(held.buffers.view[held.start : held.start + held.size + PADDING]))
        held.give_back()

    def body_late(self, received: int) -> None:
        """See gateway.ingestion.body."""
        self._tell("late", received)

    def body_lost(self, error: Exception | None) -> None:
        """See gateway.ingestion.body."""
        self._tell("lost", error)

    def _tell(self, *told: object) -> None:
        self.told += told
        self.heard.set()


async def told(
    sent: list[bytes], *, seconds: float = 30.0, leaves: bool = False, more: int = 0, buffers: Buffers
) -> Owner:
    """What becomes of a connection on which this arrives, one after the other; with `more` than one body."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    _, owner = await loop.create_connection(lambda: Owner(buffers, seconds), sock=ours)
    try:
        async with asyncio.timeout(20):
            for part in sent:
                await loop.sock_sendall(theirs, part)
                await owner.begun.wait()
            if leaves:
                theirs.close()
            await owner.heard.wait()
            expected = sum(map(len, sent)) - SIZE - more * (len(HEAD) + SIZE)
            while owner.told and isinstance(owner.told[0], bytes) and len(owner.behind) < expected:
                owner.heard.clear()
                await owner.heard.wait()
    finally:
        owner.transport.close()
        theirs.close()
    return owner


def run(sent: list[bytes], **options: Any) -> Owner:
    """The same, in an event loop of the gateway's kind."""
    buffers = options.pop("buffers", None) or Buffers(SIZE, 2)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(told(sent, buffers=buffers, **options))


def test_the_body_is_followed_by_zeros_and_what_comes_behind_it_goes_to_the_connection() -> None:
    buffers = Buffers(SIZE, 2)
    buffers.view[:] = b"\xff" * len(buffers.view)  # of earlier bodies
    content = bytes(range(1, 251)) * (SIZE // 250)
    owner = run([content[:10], content[10:60_000], content[60_000:] + b"GET / and more"], buffers=buffers)
    assert owner.told == [content + bytes(PADDING)]
    assert owner.behind == b"GET / and more"


def test_a_body_that_is_not_complete_in_time_is_late() -> None:
    assert run([b"x" * 10, b"y" * 50], seconds=0.2).told == ["late", 60]


def test_a_client_that_leaves_is_lost_and_its_buffer_is_used_again() -> None:
    buffers = Buffers(SIZE, 2)
    buffer = buffers.take()
    buffers.give_back(buffer)
    assert run([b"x" * 10], leaves=True, buffers=buffers).told == ["lost", None]
    assert buffers.left == 2
    assert buffers.take() == buffer
    assert buffers.left == 1


def test_the_next_body_is_read_into_place_from_the_first_byte_of_its_head_on() -> None:
    buffers = Buffers(SIZE, 2, len(HEAD))
    buffers.view[:] = b"\xff" * len(buffers.view)
    first, second = (bytes(range(start, start + 200)) * (SIZE // 200) for start in (1, 7))
    owner = run([first, HEAD + second[:5_000], second[5_000:] + b"GET / and more"], buffers=buffers, more=1)
    assert owner.told == [first + bytes(PADDING), second + bytes(PADDING)]
    assert owner.behind == b"GET / and more"
    assert buffers.left == 2
