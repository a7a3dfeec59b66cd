"""The lane for single trades: POST /v1/trades of one small body, below ASGI, many requests at a time.

What a framework costs for each request is more than all else that happens to a trade. So a request whose head is
known - the same bytes as one that the HTTP parser and the guards have passed before - is not parsed again; the bodies
that arrived in one turn of the event loop are decoded and put together, and answered when their commit is on disk.
Whatever is not exactly that (another head, a larger or cut body, a query, an Idempotency-Key, a request behind one that
is not answered yet) goes the usual way through gateway.ingest, with the same result. Bodies that cannot be read
together are read one by one, so that no request ever changes what becomes of another one.

    data ──▶ head known? ──▶ waits for the end of the turn ──▶ decode together ──▶ intake ──▶ commit ──▶ answers
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.app import Gateway
from gateway.group import Receipt
from gateway.guard import Guard
from gateway.ingest import PATH, accepted, encode, measure_client, problem
from telemetry.decode import Batch, Decoder
from telemetry.errors import InvalidInput, TelemetryError

MAX_BODY = 4096  # bytes; larger ones are worth a task of their own
MAX_HEAD = 2048
HEADS = 1024  # different heads that are remembered
_BLANK_LINE = b"\r\n\r\n"
_REQUEST_LINE = b"POST %b HTTP/1.1\r\n" % PATH.encode()
_PLAIN = frozenset(
    (b"host", b"origin", b"user-agent", b"accept", b"accept-encoding", b"accept-language", b"connection")
)
_USUAL = -1  # of a head: this request goes the usual way


class Lane:
    """Bodies in, answers out; one for all connections. A connection has one request in it at most, and what waits for
    the journal is bounded by intake."""

    def __init__(self, gateway: Gateway, guard: Guard, decoder: Decoder) -> None:
        self._gateway, self._guard, self._decoder = gateway, guard, decoder
        self._heads: dict[bytes, int] = {}
        self._arrived: list[tuple[LaneProtocol, bytes]] = []

    def length_of(self, head: bytes) -> int:
        """The number of bytes of the body that belongs to this head, or a negative number: not for the lane."""
        length = self._heads.get(head)
        if length is None:
            if len(self._heads) >= HEADS:
                self._heads.clear()
            length = self._heads[head] = _length_of(head, self._guard)
        return length

    def take(self, connection: LaneProtocol, body: bytes) -> None:
        """Answer this body when its trade is on disk."""
        if not self._arrived:
            connection.loop.call_soon(self._turn)
        self._arrived.append((connection, body))

    def _turn(self) -> None:
        """Put what has arrived since the last turn."""
        arrived, self._arrived = self._arrived, []
        clocks = self._gateway.clocks
        received_ns, received_at = clocks.monotonic_ns(), clocks.wall_ns()
        try:
            self._gateway.admit()
        except TelemetryError as error:
            for connection, _ in arrived:
                self._refuse(connection, error)
            return
        if not self._together(arrived, received_ns, received_at):
            for connection, body in arrived:
                self._alone(connection, body, received_ns, received_at)

    def _together(self, arrived: Sequence[tuple[LaneProtocol, bytes]], received_ns: int, received_at: int) -> bool:
        """Whether all could be read and are new: then trade i of the receipt is that of connection i."""
        batch = self._decoder.singles([body for _, body in arrived], received_at)
        if batch is None:
            return False
        try:
            receipt = self._gateway.intake.put_new(batch, received_ns=received_ns)
        except TelemetryError:
            return False
        if receipt is None:
            return False
        self._wait(receipt, [connection for connection, _ in arrived])
        measure_client(self._gateway.latency, batch, received_at, received_ns)
        return True

    def _alone(self, connection: LaneProtocol, body: bytes, received_ns: int, received_at: int) -> None:
        try:
            batch: Batch = self._decoder.decode(body, "json", received_at)
            receipt = self._gateway.intake.put(batch, received_ns=received_ns)
        except TelemetryError as error:
            self._refuse(connection, error)
            return
        except Exception:
            connection.fail()
            raise
        self._wait(receipt, [connection])
        measure_client(self._gateway.latency, batch, received_at, received_ns)

    def _wait(self, receipt: Receipt, connections: list[LaneProtocol]) -> None:
        """Answer when the commit is there that the receipt depends on."""
        if receipt.group is None:
            self._answer(receipt, connections)
        else:
            receipt.group.after.append(partial(self._answer, receipt, connections))

    def _answer(self, receipt: Receipt, connections: list[LaneProtocol]) -> None:
        try:
            receipt = self._gateway.intake.result(receipt)
        except TelemetryError as error:
            for connection in connections:
                self._refuse(connection, error)
            return
        head = b"HTTP/1.1 202 Accepted\r\n%bcontent-type: application/json\r\n" % connections[0].default_head()
        applied, first = self._gateway.state.applied, receipt.first_seq
        if first is None or receipt.accepted != len(connections):  # one body, of a duplicate or of several trades
            last = receipt.last_seq or self._gateway.backbone.status().durable_seq
            answers = [accepted(receipt, applied=applied >= last)]
        else:
            rest = b'"durable":%b,' % encode(receipt.durable)
            answers = [
                b'{"accepted":1,"duplicates":0,"first_seq":%d,"last_seq":%d,%b"applied":%b}'
                % (seq, seq, rest, b"true" if seq <= applied else b"false")
                for seq in range(first, first + receipt.accepted)
            ]
        for connection, body in zip(connections, answers, strict=True):
            connection.answer(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))

    def _refuse(self, connection: LaneProtocol, error: TelemetryError) -> None:
        self._gateway.refuse(error.problem)
        status, headers, answer = problem(error)
        body = encode(answer)
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        head = STATUS_LINE[status] + connection.default_head() + lines
        connection.answer(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))


class LaneProtocol(HttpToolsProtocol):
    """A connection of uvicorn's with a short cut."""

    def __init__(self, lane: Lane, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._lane = lane
        self._waits = False  # for an answer from the lane
        self._early = b""  # what arrived meanwhile
        self._in_message = self._ends = False
        self._unanswered = 0
        self._active_at = 0.0

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._waits:
            self._early += data
            self.flow.pause_reading()
            return
        if data.startswith(_REQUEST_LINE) and self._idle():
            end = data.find(_BLANK_LINE, 0, MAX_HEAD) + len(_BLANK_LINE)
            if end >= len(_BLANK_LINE) and self._lane.length_of(data[:end]) == len(data) - end:
                self._waits = True
                self._lane.take(self, data[end:])
                return
        super().data_received(data)

    def _idle(self) -> bool:
        """Whether nothing of a request is in the parser, and no answer is under way."""
        unfinished = self._in_message or self._unanswered or self.flow.write_paused
        return not unfinished and not self.transport.is_closing()

    def on_message_begin(self) -> None:
        """A request begins that goes the usual way."""
        self._in_message = True
        self._unanswered += 1
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """All of it is here."""
        self._in_message = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """It is answered."""
        self._unanswered -= 1
        super().on_response_complete()

    def default_head(self) -> bytes:
        """Lines that every answer has: the date."""
        return b"".join(b"%b: %b\r\n" % header for header in self.server_state.default_headers)

    def answer(self, response: bytes) -> None:
        """The answer to the request in the lane; then what arrived meanwhile."""
        self._waits = False
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.transport.write(response)
        if self._ends:
            self.transport.close()
            return
        self._active_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._expect_more(self.timeout_keep_alive)
        if self._early:
            early, self._early = self._early, b""
            self.flow.resume_reading()
            self.data_received(early)

    def fail(self) -> None:
        """Something that should not happen did: the client is not told that it was well."""
        self._waits = False
        self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        """No request for so long: close; the lane does not set a timer for each request, so look when the last was."""
        self.timeout_keep_alive_task = None
        rest = self._active_at + self.timeout_keep_alive - self.loop.time()
        if self._waits or rest > 0:
            self._expect_more(max(rest, 0.1))
        else:
            super().timeout_keep_alive_handler()

    def _expect_more(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def shutdown(self) -> None:
        """The server stops: the answer that is under way is still given."""
        if self._waits:
            self._ends = True
        else:
            super().shutdown()


class _Head:
    """What the parser finds in a head."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.complete = True


def _length_of(head: bytes, guard: Guard) -> int:
    """See Lane.length_of. Anything unusual at all is not for the lane."""
    found = _Head()
    parser = httptools.HttpRequestParser(found)
    try:
        parser.feed_data(head)
        guard.check(found.headers)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade, InvalidInput):
        return _USUAL
    names = [name for name, _ in found.headers]
    headers = dict(found.headers)
    length = headers.pop(b"content-length", b"")
    usual = (
        found.complete
        and found.url == PATH.encode()
        and parser.get_method() == b"POST"
        and parser.get_http_version() == "1.1"
        and parser.should_keep_alive()
        and len(set(names)) == len(names)
        and headers.pop(b"content-type", b"") == b"application/json"
        and headers.keys() <= _PLAIN
        and length.isdigit()
        and 0 < int(length) <= MAX_BODY
    )
    return int(length) if usual else _USUAL
