"""The WebSocket protocol of the live stream: uvicorn's, with a direct way for data frames.

uvicorn makes and unmakes the connection, and answers pings. Data frames are made elsewhere, once for many clients, and
written here as they are; every write, uvicorn's or ours, is of whole frames, so they cannot cut one another, and
behind a closing frame there is no room for more.

uvicorn waits with every frame, also the closing one, until the client has taken what was written before: who reads
nothing would never see why it was closed, and keep its connection. Here the closing frame is written behind what
waits, pings find out who reads nothing while little is sent, and what is not taken by then is dropped.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import BaseTransport
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

OUTLET = "telemetry.outlet"  # the extension of the ASGI scope under which the application finds the protocol
PING_SECONDS = 10.0
PONG_SECONDS = 15.0  # together below the 30 s after which a client that does not read is closed
SEND_SECONDS = 20.0  # for a client to take what was written to it
LINGER_SECONDS = 30.0  # for a closed client to take what was sent to it
SEND_BUFFER = 128 << 10  # bytes in the kernel: more would be old news for a slow client, and memory for a stalled one
TRY_AGAIN_LATER = 1013
REASON = "the client does not read"


class StreamProtocol(WebSocketsSansIOProtocol):
    """One connection."""

    send_seconds = SEND_SECONDS
    room = False  # whether the connection is open and its client has taken all that was written before
    write: Callable[[bytes], None]  # whole frames, where there is room; what the client does not take at once is kept
    _on_room: Callable[[], None] | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """The handshake has been read."""
        super().connection_made(transport)
        self.write = self.transport.write
        # What the kernel does not take at once is kept, and nothing newer is put behind it.
        self.transport.set_write_buffer_limits(high=0)
        if (connected := transport.get_extra_info("socket")) is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing can be written any more."""
        self.room = False
        self._forgive()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """The client said something; a closing frame may be under way since."""
        super().data_received(data)
        self._look_for_room()

    def shutdown(self) -> None:
        """The server ends."""
        self.room = False
        super().shutdown()

    async def run_asgi(self) -> None:
        """The application gets the direct way as an extension."""
        cast(dict[str, object], self.scope["extensions"])[OUTLET] = self
        await super().run_asgi()

    # --- the direct way --------------------------------------------------------------------------------------------

    def on_room(self, call: Callable[[], None]) -> None:
        """The application writes directly from now on; the function is called when there is room again."""
        self._on_room = call
        self._look_for_room()

    def end(self, code: int, reason: str) -> None:
        """Close: what was written before goes out, and the client has time to answer."""
        if self.conn.state is not State.OPEN or self.transport.is_closing():
            return
        self.conn.send_close(code, reason)
        self._tell_end(code, reason)
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)

    # --- flow ------------------------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """The client does not take what was written."""
        super().pause_writing()
        self.room = False
        if self._on_room is not None and self._stalled is None:
            self._stalled = self.loop.call_later(self.send_seconds, self._let_go_of_stalled)

    def resume_writing(self) -> None:
        """It has."""
        super().resume_writing()
        self._forgive()
        self._look_for_room()
        if self.room and self._on_room is not None:
            self._on_room()

    def keepalive_timeout(self) -> None:
        """No answer to a ping."""
        self.pong_timer = None
        self.pending_ping_payload = None
        self._let_go_of_stalled()

    async def send(self, message: Any) -> None:
        """Send a frame of the application when the client has room for it; a closing frame at once."""
        if message["type"] == "websocket.close":
            self.room = False
            self.writable.set()
            self._let_go()
        await super().send(message)

    def _let_go_of_stalled(self) -> None:
        self._forgive()
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.fail(TRY_AGAIN_LATER, REASON)
        self._tell_end(TRY_AGAIN_LATER, REASON)
        self.disconnected = True
        self.transport.close()

    def _tell_end(self, code: int, reason: str) -> None:
        self.room = False
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self._let_go()

    def _look_for_room(self) -> None:
        self.room = self.writable.is_set() and self.conn.state is State.OPEN and not self.disconnected

    def _forgive(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _let_go(self) -> None:
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)
