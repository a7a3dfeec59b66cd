"""The floor of a fan-out: a process that writes the same bytes to every connection at a fixed rate, and nothing else.

`python -m benchmarks.sender PORT CLIENTS BYTES RATE`; runs until it is ended.
"""

from __future__ import annotations

import socket
import sys
import time
from contextlib import suppress


def serve(port: int, clients: int, size: int, rate: float) -> None:
    """Take all connections, then send to all of them `rate` times a second."""
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listening:
        print("ready", flush=True)
        connections = [listening.accept()[0] for _ in range(clients)]
    for connection in connections:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    message = b"x" * size
    due = time.monotonic()
    while True:
        for connection in connections:
            with suppress(BlockingIOError):
                connection.send(message)
        due += 1 / rate
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
