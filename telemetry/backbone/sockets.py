"""ZeroMQ sockets on an event loop, without zmq.asyncio (which costs twenty times as much a message).

A socket's file descriptor is edge triggered: it becomes readable when the socket's state *may* have changed, also for
nothing, and says nothing more until everything was taken. Hence the two rules of this file: read until EAGAIN, and
after a send that would block ask EVENTS once more before believing it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import zmq
from zmq.utils.monitor import parse_monitor_message

from telemetry.wire import Buffer

MAX_MESSAGE_BYTES = 160 << 20  # a lease of 32 MiB, or one record as large as a journal segment, with room to spare
COPY_BELOW_BYTES = 1 << 20  # below, handing the buffer over costs more than copying it
HEARTBEAT_MS = 1_000  # ZMTP's own, for half-open connections; the dispatcher's are quicker and also see hung processes
SILENCE_MS = 3_000
RECONNECT_MS = 50
BUDGET = 64  # messages taken in one go before other tasks have their turn

UP = zmq.EVENT_HANDSHAKE_SUCCEEDED
DOWN = zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED
FAILED = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH

Socket = zmq.Socket[bytes]


def make(context: zmq.Context[Socket], kind: int, *, high_water_mark: int) -> Socket:
    """A socket as all of ours are: bounded queues, bounded messages, nothing kept for nobody, dead peers noticed."""
    made = context.socket(kind)
    for option, value in (
        (zmq.LINGER, 0),
        (zmq.IMMEDIATE, 1),
        (zmq.SNDHWM, high_water_mark),
        (zmq.RCVHWM, high_water_mark),
        (zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES),
        (zmq.HEARTBEAT_IVL, HEARTBEAT_MS),
        (zmq.HEARTBEAT_TIMEOUT, SILENCE_MS),
        (zmq.HEARTBEAT_TTL, SILENCE_MS),
        (zmq.HANDSHAKE_IVL, SILENCE_MS),
        (zmq.RECONNECT_IVL, RECONNECT_MS),
    ):
        made.setsockopt(option, value)
    return made


def send(socket: Socket, message: Buffer) -> bool:
    """Send without blocking; False when the socket takes nothing now."""
    for _ in range(2):
        try:
            socket.send(message, zmq.NOBLOCK, copy=len(message) < COPY_BELOW_BYTES)
        except zmq.Again:
            if not _number(socket, zmq.EVENTS) & zmq.POLLOUT:
                return False
        else:
            return True
    return False


def _number(socket: Socket, option: int) -> int:
    value = socket.getsockopt(option)
    assert isinstance(value, int)
    return value


async def send_when_possible(socket: Socket, message: Buffer) -> None:
    """Send as soon as the socket takes it."""
    loop = asyncio.get_running_loop()
    descriptor = _number(socket, zmq.FD)
    while not send(socket, message):
        changed = asyncio.Event()
        loop.add_reader(descriptor, changed.set)
        try:
            await changed.wait()
        finally:
            loop.remove_reader(descriptor)


class Drain:
    """Hands every message of `socket` to `deliver`, as a list of frames, for as long as it is open."""

    def __init__(self, socket: Socket, deliver: Callable[[list[zmq.Frame]], None]) -> None:
        self._socket, self._deliver = socket, deliver
        self._loop = asyncio.get_running_loop()
        self._descriptor = _number(socket, zmq.FD)
        self._again: asyncio.Handle | None = self._loop.call_soon(self._ready)  # what came before is not announced
        self._loop.add_reader(self._descriptor, self._ready)

    def _ready(self) -> None:
        if not self.take(BUDGET):
            self._again = self._loop.call_soon(self._ready)

    def take_waiting(self) -> None:
        """As when the loop says that there is something; cheap when there is not."""
        if not self._socket.closed and _number(self._socket, zmq.EVENTS) & zmq.POLLIN:
            self._ready()

    def take(self, most: int) -> bool:
        """Take at most that many messages now; whether that was all there is."""
        for _ in range(most):
            if self._socket.closed:  # what was delivered closed it
                return True
            try:
                frames = [self._socket.recv(zmq.NOBLOCK, copy=False)]
            except zmq.Again:
                return True
            while frames[-1].more:  # all frames of a message arrive together; ours have one
                frames.append(self._socket.recv(copy=False))
            self._deliver(frames)
        return False

    def close(self) -> None:
        """Stop reading. The socket is the caller's to close."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._descriptor)


class Monitor:
    """Tells `on_event(event, descriptor)` about connections of `socket` that came up, failed or went down."""

    def __init__(self, socket: Socket, on_event: Callable[[int, int], None]) -> None:
        self._socket, self._on_event = socket, on_event
        self._events: Socket = socket.get_monitor_socket(UP | DOWN | FAILED)
        self._drain = Drain(self._events, self._deliver)

    def _deliver(self, frames: list[zmq.Frame]) -> None:
        event = parse_monitor_message([frame.bytes for frame in frames])
        self._on_event(int(event["event"]), int(event["value"]))

    def close(self) -> None:
        """Stop listening; call before the monitored socket is closed."""
        self._drain.close()
        with suppress(zmq.ZMQError):
            self._socket.disable_monitor()
        self._events.close(0)
