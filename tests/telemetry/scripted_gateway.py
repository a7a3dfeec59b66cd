"""A small real HTTP server that speaks the ingest door and answers by a script, for tests of what sends to it."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from telemetry.times import format_time

Reply = tuple[int, dict[str, str], dict[str, Any]]
Act = Callable[["Request"], Reply | None]


@dataclass(frozen=True)
class Request:
    """One POST as it arrived."""

    body: bytes
    key: str
    headers: dict[str, str]

    @property
    def trades(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.body)
        return rows


@dataclass
class ScriptedGateway:
    """Answers each request by the next act of the script, then accepts; remembers everything in order of arrival."""

    script: list[Act] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    answered: dict[str, Reply] = field(default_factory=dict)
    pages: dict[str, dict[str, Any]] = field(default_factory=dict)
    ahead_ns: int = 0  # of its clock
    url: str = ""

    def handle(self, request: Request) -> Reply | None:
        self.requests.append(request)
        act = self.script.pop(0) if self.script else accept
        reply = act(request)
        if reply is not None and reply[0] == 202:
            if request.key in self.answered:
                return 202, {"Idempotent-Replayed": "true"}, self.answered[request.key][2]
            self.answered[request.key] = reply
        return reply

    @property
    def kept(self) -> list[dict[str, Any]]:
        """The trades of all distinct acknowledged requests, in order of arrival."""
        first = {request.key: request for request in reversed(self.requests) if request.key in self.answered}
        return [trade for key in self.answered for trade in first[key].trades]


def accept(request: Request) -> Reply:
    """202 for all."""
    return 202, {}, {"accepted": len(request.trades), "duplicates": 0}


def hang_up(request: Request) -> None:
    """A reset instead of an answer: the client cannot know whether the request was kept."""
    return


def problem(status: int, headers: dict[str, str] | None = None, **members: Any) -> Act:
    """An error answer."""
    document = {"title": "no", "status": status, "detail": "scripted", **members}
    return lambda request: (status, headers or {}, document)


@contextmanager
def scripted_gateway(*script: Act) -> Iterator[ScriptedGateway]:
    """A running server on a free port."""
    gateway = ScriptedGateway(list(script))

    missing: Reply = (404, {}, {"detail": "there is nothing here"})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are two writes: 40 ms for each answer otherwise

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = gateway.handle(Request(body, headers.get("idempotency-key", ""), headers))
            if reply is None:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                return
            self.answer(*reply)

        def do_GET(self) -> None:
            page = gateway.pages.get(self.path)
            now = format_time(time.time_ns() + gateway.ahead_ns)
            times = {"Telemetry-Received-At": now, "Telemetry-Sent-At": now}
            self.answer(*(missing if page is None else (200, times, page)))

        def answer(self, status: int, headers: dict[str, str], document: dict[str, Any]) -> None:
            payload = json.dumps(document).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(payload))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that is overridden
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        gateway.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield gateway
        finally:
            server.shutdown()
            thread.join()
