"""The WebSocket /v1/stream: who is connected, and whose turn it is to be written to.

What to send is decided in live.py. A tick reaches its clients without a task of their own being woken: their frames
are written one after the other, a few milliseconds at a time, so that requests are answered in between. Who has no
room waits for it outside of the queue and costs the others nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Mapping, MutableMapping
from typing import Any, Protocol

import structlog

from gateway.app import Gateway
from gateway.streaming.connection import Connection, Outlet
from gateway.streaming.frames import text_frame
from gateway.streaming.websocket import OUTLET
from telemetry.errors import InvalidInput

HEARTBEAT_SECONDS = 5.0
PIECE_NS = 2_000_000  # of writing at a time
POLICY_VIOLATION, INTERNAL_ERROR = 1008, 1011
logger = structlog.get_logger("gateway")


class Socket(Protocol):
    """What is needed of a WebSocket connection; its scope has the extension that writes frames (websocket.py)."""

    scope: MutableMapping[str, Any]

    async def accept(self) -> None: ...
    async def receive(self) -> Mapping[str, Any]: ...


class Stream:
    """All connections of /v1/stream."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._connections: set[Connection] = set()
        self._ready: deque[Connection] = deque()
        self._under_way = False
        self._heartbeat: asyncio.TimerHandle | None = None

    @property
    def clients(self) -> int:
        """Open connections."""
        return len(self._connections)

    async def serve(self, socket: Socket) -> None:
        """Serve one connection until it ends."""
        await socket.accept()
        outlet: Outlet = socket.scope["extensions"][OUTLET]
        connection = Connection(self._gateway, outlet, self._enqueue)
        self._connections.add(connection)
        if self._heartbeat is None:
            self._wait_to_beat()
        try:
            await connection.read(socket.receive)
        except InvalidInput as error:
            outlet.end(POLICY_VIOLATION, error.detail[:120])
        except Exception as error:
            _fail(connection, error)
        finally:
            self._connections.remove(connection)
            self._gateway.live.unsubscribe(connection.slots.values())

    # --- writing ---------------------------------------------------------------------------------------------------

    def _enqueue(self, connection: Connection) -> None:
        if not connection.queued:
            connection.queued = True
            self._ready.append(connection)
            if not self._under_way:
                self._under_way = True
                asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        """Write to those who are next, for a while; the others when the loop comes round again."""
        clock, ready = self._gateway.clocks.monotonic_ns, self._ready
        sent: list[int] = []
        until_ns = clock() + PIECE_NS
        while ready and clock() < until_ns:
            connection = ready.popleft()
            connection.queued = False
            try:
                if connection.flush(sent):
                    self._enqueue(connection)
            except Exception as error:
                _fail(connection, error)
        self._under_way = bool(ready)
        if ready:
            asyncio.get_running_loop().call_soon(self._write)
        now_ns = clock()
        for published_ns, times in Counter(sent).items():
            self._gateway.latency.stages["publish"].add(max(0, now_ns - published_ns), times, now_ns)

    # --- heartbeats ------------------------------------------------------------------------------------------------

    def _wait_to_beat(self) -> None:
        self._heartbeat = asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS, self._beat)

    def _beat(self) -> None:
        self._heartbeat = None
        frame = text_frame(b'{"type":"heartbeat","seq":%d}' % self._gateway.state.applied)
        for connection in self._connections:
            connection.tell(frame)
        if self._connections:
            self._wait_to_beat()


def _fail(connection: Connection, error: Exception) -> None:
    logger.error("stream", error=repr(error))
    connection.outlet.end(INTERNAL_ERROR, "the gateway failed")
