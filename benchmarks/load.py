"""The generator's process: sends ready-made requests over some connections and times the answers.

Closed loop: every connection sends its next request when the last one is answered. Open loop: request k is due at
k / rate, whatever became of those before it; times count from then, and how late each was sent is reported.
One thread, epoll, no library between it and the sockets. Ends by itself when all is answered or time is over.

Speaks with its parent in lines: "ready", then waits for "go", then the result as JSON.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

_LENGTH = re.compile(rb"(?i)content-length: *(\d+)")
_WAITS = b"wait=applied"
_RECEIVE = 1 << 16
_LARGE = 1 << 14  # from so many bytes on pages are handed to the kernel, not copied


@dataclass(eq=False)
class _Connection:
    socket: socket.socket
    received: bytes = b""
    unsent: tuple[int, int] | None = None  # where in the requests that begins and ends which is still to be sent
    due_ns: int = 0
    waits: bool = False


@dataclass
class _Times:
    answered: list[int] = field(default_factory=list)
    applied: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    refused: int = 0
    refusal: str = ""


class Load:
    """One run, see the module; `with` it. `spec` is what `generator.py` writes."""

    def __init__(self, spec: dict[str, Any]) -> None:
        # With its pages at hand, which would else be found one by one while time runs.
        flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
        memory = mmap.mmap(spec["descriptor"], 0, flags, mmap.PROT_READ)
        count = int(np.frombuffer(memory, np.int64, 1)[0])
        self._offsets = np.frombuffer(memory, np.int64, count + 1, 8).tolist()
        self._bytes, self._descriptor = memoryview(memory), spec["descriptor"]
        self._next, self._end = spec["first"], spec["first"] + spec["count"]
        self._rate, self._seconds = spec["rate"], spec["seconds"]
        self._first = self._next
        self._epoll = select.epoll()
        self._connections: dict[int, _Connection] = {}
        self._idle: deque[_Connection] = deque()
        self._times = _Times()
        self._open = 0
        for _ in range(spec["connections"]):
            self._connect(spec["port"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections.values():
            connection.socket.close()
        self._epoll.close()

    def run(self) -> dict[str, Any]:
        """Send everything; the result."""
        began = time.monotonic_ns()
        deadline = began + int(self._seconds * 1e9)
        while (self._next < self._end or self._open) and (now := time.monotonic_ns()) < deadline:
            self._send_due(began, now)
            for descriptor, events in self._wait(began, deadline):
                self._serve(self._connections[descriptor], events)
        ended = time.monotonic_ns()
        return self._result(began, ended)

    def _connect(self, port: int) -> None:
        connected = socket.create_connection(("127.0.0.1", port), timeout=10)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setblocking(False)
        connection = _Connection(connected)
        self._epoll.register(connected, select.EPOLLIN)
        self._connections[connected.fileno()] = connection
        self._idle.append(connection)

    def _due_ns(self, began: int, index: int) -> int:
        return began + int((index - self._first) * 1e9 / self._rate)

    def _send_due(self, began: int, now: int) -> None:
        while self._idle and self._next < self._end:
            if self._rate is not None:
                due = self._due_ns(began, self._next)
                if due > now:
                    return
                self._times.late.append(now - due)
            else:
                due = time.monotonic_ns()
            self._send(self._idle.popleft(), due)

    def _send(self, connection: _Connection, due_ns: int) -> None:
        begin, end = self._offsets[self._next : self._next + 2]
        self._next += 1
        self._open += 1
        connection.due_ns, connection.waits = due_ns, _WAITS in bytes(self._bytes[begin : begin + 48])
        self._push(connection, begin, end)

    def _push(self, connection: _Connection, begin: int, end: int) -> None:
        try:
            if end - begin < _LARGE:
                begin += connection.socket.send(self._bytes[begin:end])
            else:
                begin += os.sendfile(connection.socket.fileno(), self._descriptor, begin, end - begin)
        except BlockingIOError:
            pass
        rest = (begin, end) if begin < end else None
        if (rest is None) != (connection.unsent is None):
            self._epoll.modify(connection.socket, select.EPOLLIN | (select.EPOLLOUT if rest is not None else 0))
        connection.unsent = rest

    def _wait(self, began: int, deadline: int) -> Sequence[tuple[int, int]]:
        until = deadline
        if self._rate is not None and self._idle and self._next < self._end:
            until = min(until, self._due_ns(began, self._next))
        seconds = max(0.0, (until - time.monotonic_ns()) / 1e9)
        if self._rate is not None:  # epoll counts in milliseconds, select in microseconds
            select.select([self._epoll], [], [], seconds)
            seconds = 0.0
        return self._epoll.poll(min(seconds, 1.0))

    def _serve(self, connection: _Connection, events: int) -> None:
        if events & select.EPOLLOUT and connection.unsent is not None:
            self._push(connection, *connection.unsent)
        if not events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            return
        chunk = connection.socket.recv(_RECEIVE)
        if not chunk:
            raise ConnectionError(f"the server closed a connection after {connection.received[:200]!r}")
        data = connection.received + chunk
        head = data.find(b"\r\n\r\n")
        length = _LENGTH.search(data, 0, head) if head >= 0 else None
        if length is None or len(data) < head + 4 + int(length[1]):
            connection.received = data
            return
        connection.received = b""
        self._answered(connection, data)

    def _answered(self, connection: _Connection, answer: bytes) -> None:
        times = self._times
        (times.applied if connection.waits else times.answered).append(time.monotonic_ns() - connection.due_ns)
        if answer[9:10] != b"2":
            times.refused += 1
            times.refusal = times.refusal or answer[:600].decode("latin-1")
        self._open -= 1
        self._idle.append(connection)

    def _result(self, began: int, ended: int) -> dict[str, Any]:
        times = self._times
        return {
            "seconds": (ended - began) / 1e9,
            "requests": self._next - self._first - self._open,
            "refused": times.refused,
            "refusal": times.refusal,
            "cpu_seconds": time.process_time(),
            "answered_ms": _percentiles(times.answered),
            "applied_ms": _percentiles(times.applied),
            "late_ms": _percentiles(times.late),
        }


def _percentiles(values: list[int]) -> dict[str, float]:
    if not values:
        return {}
    found = np.percentile(np.array(values) / 1e6, (50, 90, 99, 99.9))
    return dict(zip(("p50", "p90", "p99", "p999"), map(float, found), strict=True))


def main() -> None:
    with Load(json.loads(sys.argv[1])) as load:
        print("ready", flush=True)
        if sys.stdin.readline() == "go\n":
            print(json.dumps(load.run()), flush=True)


if __name__ == "__main__":
    main()
