"""The process of many clients that only read: WebSocket subscribers, or raw connections for the kernel's floor.

Counts the messages that arrive between "go" and "stop" on standard input.
"""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import sys
from dataclasses import dataclass
from typing import Any

_RECEIVE = 1 << 16
_STOP = "stop\n"
_HANDSHAKE = (
    "GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PING, PONG = 0x89, 0x8A


@dataclass(eq=False)
class _Client:
    socket: socket.socket
    received: bytes = b""
    messages: int = 0
    size: int = 0


class Spectators:
    """`subscribe` is the command each client sends; None for raw connections that get messages of `size` bytes."""

    def __init__(self, port: int, clients: int, subscribe: dict[str, Any] | None, size: int) -> None:
        self._size = size
        self._websocket = subscribe is not None
        self._epoll = select.epoll()
        self._clients: dict[int, _Client] = {}
        for _ in range(clients):
            client = _Client(_connected(port, subscribe))
            self._clients[client.socket.fileno()] = client
            self._epoll.register(client.socket, select.EPOLLIN)
        self._epoll.register(sys.stdin, select.EPOLLIN)

    def watch(self) -> None:
        """Read until the parent writes a line."""
        while True:
            for descriptor, _ in self._epoll.poll():
                if descriptor == sys.stdin.fileno():
                    return
                self._read(self._clients[descriptor])

    def count(self) -> dict[str, int]:
        """(messages, bytes of them) since the last call."""
        clients = self._clients.values()
        found = {"messages": sum(client.messages for client in clients), "bytes": sum(c.size for c in clients)}
        for client in clients:
            client.messages = client.size = 0
        return found

    def _read(self, client: _Client) -> None:
        chunk = client.socket.recv(_RECEIVE)
        if not chunk:
            raise ConnectionError("the server closed a connection")
        client.received += chunk
        while (end := self._message(client)) is not None:
            client.received = client.received[end:]

    def _message(self, client: _Client) -> int | None:
        """The end of the first message, None while it is not whole."""
        if not self._websocket:
            end = self._size
        elif (end_of_frame := _frame(client.received)) is not None:
            end = end_of_frame
            if client.received[0] == PING:
                client.socket.send(bytes((PONG, 0x80, 0, 0, 0, 0)))
                return end
        else:
            return None
        if len(client.received) < end:
            return None
        client.messages += 1
        client.size += end
        return end


def _frame(data: bytes) -> int | None:
    """The end of the WebSocket frame that begins here (a server does not mask)."""
    if len(data) < 2:
        return None
    length, start = data[1], 2
    if length >= 126:
        start = 4 if length == 126 else 10
        length = int.from_bytes(data[2:start], "big")
    return start + length if len(data) >= start + length and len(data) >= start else None


def _connected(port: int, subscribe: dict[str, Any] | None) -> socket.socket:
    connected = socket.create_connection(("127.0.0.1", port), timeout=30)
    if subscribe is not None:
        connected.sendall(_HANDSHAKE.format(key=base64.b64encode(os.urandom(16)).decode()).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connected.recv(1)  # byte by byte: what follows the head is the first frame
        if b" 101 " not in answer:
            raise ConnectionError(f"expected 101, received {answer[:200]!r}")
        text = json.dumps({"subscribe": subscribe}).encode()
        # Masked with zeros: the protocol asks for a mask, the text stays as it is.
        connected.sendall(bytes((0x81, 0x80 | 126)) + len(text).to_bytes(2, "big") + bytes(4) + text)
    connected.setblocking(False)
    return connected


def main() -> None:
    spec = json.loads(sys.argv[1])
    spectators = Spectators(spec["port"], spec["clients"], spec["subscribe"], spec["size"])
    print("ready", flush=True)
    while True:
        spectators.watch()
        line = sys.stdin.readline()
        print(json.dumps(spectators.count()), flush=True)
        if line in ("", _STOP):
            return


if __name__ == "__main__":
    main()
