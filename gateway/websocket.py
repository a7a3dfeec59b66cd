"""The WebSocket protocol of the live stream: uvicorn's, but a client that does not read is told so and let go.

uvicorn waits with every frame, also the closing one, until the client has taken what was written before: who reads
nothing would never see why it was closed, and keep its connection. Here the closing frame is written behind what
waits, pings find out who reads nothing while little is sent, and what is not taken by then is dropped.
"""

from __future__ import annotations

import socket
from asyncio import BaseTransport
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

PING_SECONDS = 10.0
PONG_SECONDS = 15.0  # together below the 30 s after which a client that does not read is closed
LINGER_SECONDS = 30.0  # for a closed client to take what was sent to it
SEND_BUFFER = 128 << 10  # bytes in the kernel: more would be old news for a slow client, and memory for a stalled one
TRY_AGAIN_LATER = 1013
REASON = "the client does not read"


class StreamProtocol(WebSocketsSansIOProtocol):
    """One connection."""

    def connection_made(self, transport: BaseTransport) -> None:
        """The handshake has been read."""
        super().connection_made(transport)
        if (connected := transport.get_extra_info("socket")) is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    async def send(self, message: Any) -> None:
        """Send a frame when the client has room for it; a closing frame at once."""
        if message["type"] == "websocket.close":
            self.writable.set()
            self._let_go()
        await super().send(message)

    def keepalive_timeout(self) -> None:
        """No answer to a ping."""
        self.pong_timer = None
        self.pending_ping_payload = None
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.fail(TRY_AGAIN_LATER, REASON)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = self.disconnected = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": TRY_AGAIN_LATER, "reason": REASON})
        self._let_go()
        self.transport.close()

    def _let_go(self) -> None:
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)
