"""The sockets between gateway and workers, and how each side notices that the other is gone.

    gateway                                        worker
    ResultsLink  PULL, bound   <-- partials, hellos --  PUSH, connects (and reconnects by itself)
    PushLink     PUSH, connects  -- leases -->          PULL, bound at an address of this generation only

A worker says hello (Heartbeat) every 0.5 s; it names its address, so whoever starts workers need not know them. When
either connection drops, or its address is gone, the worker forgets what it holds, binds a new address and says hello as
a new generation: nothing that was meant for the old one can reach it. The gateway never reconnects a PushLink: a
dropped one is a lost worker. With each generation goes a room of shared memory (see room.py): where the gateway can
open it, leases and partials of some size are there and only their places in the messages.
"""

from __future__ import annotations

import asyncio
import os
import struct
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, Literal, Self

import msgspec
import zmq

from telemetry.backbone import Lease, endpoints, sockets
from telemetry.backbone.record import ALIGN, HEADER_BYTES
from telemetry.backbone.room import Answer, GatewayRoom, WorkerRoom
from telemetry.errors import InvalidInput
from telemetry.wire import Buffer, Head, Heartbeat, Kind, LeaseHead, PartialHead, Place, decode, encode

BEAT_SECONDS = 0.5
RESULTS_QUEUE = 1_000  # messages; honest workers hold at most a window of leases each, so this is never reached
LEASE_QUEUE = 16  # messages; the gateway keeps to its window, which is smaller
FLUSH_MS = 1_000  # how long a worker that stops waits for the gateway to take its last partial

Way = Literal["memory", "message"]  # the records of a lease are in the room, or in the message
Deliver = Callable[[Kind, Head, memoryview], None]


def message(frames: list[zmq.Frame]) -> tuple[Kind, Head, memoryview]:
    """Decode a message of one frame; InvalidInput for anything else."""
    if len(frames) != 1:
        raise InvalidInput(f"expected one frame, received {len(frames)}")
    return decode(frames[0].buffer)


class ResultsLink:
    """The gateway's ear: every partial and hello goes to `deliver`, garbage is counted."""

    def __init__(self, context: zmq.Context[sockets.Socket], endpoint: str, deliver: Deliver) -> None:
        endpoints.prepare(endpoint)
        endpoints.remove_stale(endpoint)
        self.garbage = 0
        self._deliver = deliver
        self._socket = sockets.make(context, zmq.PULL, high_water_mark=RESULTS_QUEUE)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self._socket.close(0)
            raise InvalidInput(f"expected an endpoint that can be bound, received {endpoint!r}: {error}") from error
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._drain = sockets.Drain(self._socket, self._take)

    def _take(self, frames: list[zmq.Frame]) -> None:
        try:
            kind, head, body = message(frames)
        except InvalidInput:
            self.garbage += 1
            return
        self._deliver(kind, head, body)

    def hear(self) -> None:
        """Take what has arrived, if anything."""
        self._drain.take_waiting()

    def drain(self) -> None:
        """Take what has arrived, before judging who is silent."""
        self._drain.take(RESULTS_QUEUE)

    def close(self) -> None:
        """Hear nothing more."""
        self._drain.close()
        self._socket.close(0)
        endpoints.remove(self.endpoint)


class PushLink:
    """The gateway's way to one generation of one worker. `on_up`: connected; `on_down`: that is over, or failed."""

    def __init__(
        self,
        context: zmq.Context[sockets.Socket],
        hello: Heartbeat,
        *,
        window: int,
        on_up: Callable[[PushLink], None],
        on_down: Callable[[PushLink], None],
    ) -> None:
        self.hello = hello
        self.up = False
        self.opened_at = monotonic()
        self._room = GatewayRoom.opened(hello)
        self._on_up, self._on_down = on_up, on_down
        self._socket = sockets.make(context, zmq.PUSH, high_water_mark=window + 1)
        self._socket.setsockopt(zmq.RECONNECT_IVL, -1)
        self._monitor = sockets.Monitor(self._socket, self._on_event)
        self._socket.connect(hello.endpoint)

    def _on_event(self, event: int, _descriptor: int) -> None:
        if event == sockets.UP and not self.up:
            self.up = True
            self._on_up(self)
        elif event & (sockets.DOWN | sockets.FAILED):
            self._on_down(self)

    def send(self, lease: Buffer) -> bool:
        """False when the worker takes nothing now: the lease stays with the gateway."""
        return sockets.send(self._socket, lease)

    def lease(self, head: LeaseHead, pieces: Sequence[Buffer], length: int) -> Way | None:
        """The way a lease went whose records are `pieces`, `length` bytes in all; None: it did not, as with `send`."""
        place = None if self._room is None else self._room.place(head.attempt, pieces, length)
        if self._room is None or place is None:
            return "message" if self.send(encode(Kind.LEASE, head, *pieces)) else None
        if self.send(encode(Kind.LEASE, msgspec.structs.replace(head, place=place))):
            return "memory"
        self._room.release(head.attempt)
        return None

    def partial(self, head: PartialHead, body: memoryview) -> memoryview:
        """The body of a partial of this epoch that came in a message with `body`. InvalidInput: it is not here."""
        if self._room is None or head.place is None:
            if self._room is not None:
                self._room.release(head.attempt)
            if head.place is not None:
                raise InvalidInput(f"expected a partial in its message, received one at {head.place} of no room")
            return body
        return memoryview(self._room.take(head.attempt, head.place))

    def close(self) -> None:
        """Drop the connection and what is queued for it, and the room. May be called twice."""
        self._room = None
        if not self._socket.closed:
            self._monitor.close()
            self._socket.close(0)
            if self.up:
                endpoints.remove(self.hello.endpoint)


class WorkerLink:
    """A worker's side of the backbone; `async with` it. `results` is the gateway's endpoint, `worker` its own name."""

    def __init__(self, *, results: str, worker: str, version: str, beat_seconds: float = BEAT_SECONDS) -> None:
        self.results = endpoints.check_endpoint(results)
        self.worker, self.version = worker, version
        self.generation = 0
        self.done = 0
        self.garbage = 0
        self._beat_seconds = beat_seconds
        self._leases: deque[Lease] = deque()  # at most the gateway's window
        self._arrived = asyncio.Event()
        self._beat: asyncio.TimerHandle | None = None
        self._failed_handshakes = 0
        self._context: zmq.Context[sockets.Socket] | None = None

    async def __aenter__(self) -> Self:
        endpoints.prepare(self.results)  # whoever comes first
        self._context = zmq.Context()
        self._push = sockets.make(self._context, zmq.PUSH, high_water_mark=LEASE_QUEUE)
        self._push_monitor = sockets.Monitor(self._push, self._on_push_event)
        self._bind()
        self._push.connect(self.results)
        self._say_hello()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take no more leases; the last partials are given a second to leave."""
        if self._context is None:
            return
        context, self._context = self._context, None
        if self._beat is not None:
            self._beat.cancel()
        self._push_monitor.close()
        self._push.close(FLUSH_MS)
        self._unbind()
        await asyncio.to_thread(context.term)

    def __del__(self, warn: Any = warnings.warn) -> None:
        if getattr(self, "_context", None) is not None:
            warn(f"the link of worker {self.worker} was not closed", ResourceWarning, source=self)

    async def receive(self) -> Lease:
        """The next lease. Cancelling loses none."""
        await asyncio.sleep(0)  # a busy worker must still say hello between two leases
        while not self._leases:
            self._arrived.clear()
            await self._arrived.wait()
        return self._leases.popleft()

    async def send(self, partial: bytes) -> None:
        """Return a partial; waits while there is no gateway or it does not take it, so nothing piles up here."""
        await sockets.send_when_possible(self._push, partial)
        self.done += 1

    def _bind(self) -> None:
        assert self._context is not None
        self.generation += 1
        self._pull = sockets.make(self._context, zmq.PULL, high_water_mark=LEASE_QUEUE)
        self._pull_monitor = sockets.Monitor(self._pull, self._on_pull_event)
        self._pull.bind(endpoints.new_endpoint(self.results))
        self.endpoint = self._pull.getsockopt_string(zmq.LAST_ENDPOINT)
        self._drain = sockets.Drain(self._pull, self._take)
        self._room = WorkerRoom.made()

    def _unbind(self) -> None:
        if self._room is not None:
            self._room.close()
        self._drain.close()
        self._pull_monitor.close()
        self._pull.close(0)
        endpoints.remove(self.endpoint)

    def _begin_generation(self) -> None:
        """A connection dropped: what we hold is somebody else's by now."""
        self._leases.clear()
        self._unbind()
        self._bind()
        self._say_hello()

    def _on_push_event(self, event: int, _descriptor: int) -> None:
        if event == sockets.UP:
            self._say_hello()
        elif event == zmq.EVENT_DISCONNECTED:
            self._begin_generation()

    def _on_pull_event(self, event: int, _descriptor: int) -> None:
        if event & sockets.FAILED:  # a stranger, not the gateway; its end is announced next
            self._failed_handshakes += 1
        elif event == zmq.EVENT_DISCONNECTED and self._failed_handshakes:
            self._failed_handshakes -= 1
        elif event == zmq.EVENT_DISCONNECTED:
            self._begin_generation()

    def _say_hello(self) -> None:
        if self._beat is not None:
            self._beat.cancel()
        if not endpoints.exists(self.endpoint):
            self._begin_generation()  # which says hello
            return
        hello = Heartbeat(self.worker, self.generation, self.endpoint, os.getpid(), self.version, self.done)
        if self._room is not None:
            hello = msgspec.structs.replace(hello, room=self._room.descriptor, room_nonce=self._room.nonce)
        sockets.send(self._push, encode(Kind.HEARTBEAT, hello))  # one that cannot leave now is stale later
        self._beat = asyncio.get_running_loop().call_later(self._beat_seconds, self._say_hello)

    def _take(self, frames: list[zmq.Frame]) -> None:
        try:
            _, head, body = message(frames)
            if not isinstance(head, LeaseHead):
                raise InvalidInput(f"expected a lease, received {head}")
            answer = None
            if head.place is not None:
                body, answer = self._place(head.place)
            records = split_records(body)
        except InvalidInput:
            self.garbage += 1
            return
        self._leases.append(Lease(head.epoch, head.attempt, head.first, head.last, records, answer))
        self._arrived.set()

    def _place(self, place: Place) -> tuple[memoryview, Answer]:
        if self._room is None:
            raise InvalidInput(f"expected a lease in its message, received one at {place} of no room")
        return self._room.lease(*place)


def split_records(body: memoryview) -> list[memoryview]:
    """The records of a lease's body, unchecked: only their lengths are read. InvalidInput if those do not add up."""
    records, offset = [], 0
    while offset < len(body):
        if len(body) - offset < HEADER_BYTES:
            raise InvalidInput(f"expected a record of at least {HEADER_BYTES} bytes, received {len(body) - offset}")
        (payload,) = struct.unpack_from("<I", body, offset + 12)
        end = offset + HEADER_BYTES + payload + -payload % ALIGN
        if end > len(body):
            raise InvalidInput(f"expected a record of {end - offset} bytes, received {len(body) - offset}")
        records.append(body[offset:end])
        offset = end
    return records
