"""The lane for single trades: POST /v1/trades of one small body, below ASGI, many requests at a time.

What a framework costs for each request is more than all else that happens to a trade. So a request whose head is
known - the same bytes as one that the HTTP parser and the guards have passed before - is not parsed again; the bodies
that arrived in one turn of the event loop are decoded and put together, and answered when their commit is on disk.
Whatever is not exactly that (another head, a larger or cut body, an Idempotency-Key, a request behind one that is not
answered yet) goes the usual way through gateway.ingest, with the same result. Bodies that cannot be read
together are read one by one, so that no request ever changes what becomes of another one.

    data ──▶ head known? ──▶ waits for the end of the turn ──▶ decode together ──▶ intake ──▶ commit ──▶ answers
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.app import Gateway
from gateway.ingest import RECEIVED_AT, SENT_AT, accepted, encode, measure_client, problem, times
from gateway.ingestion.group import Receipt
from gateway.ingestion.heads import BLANK_LINE, MAX_HEAD, REQUEST, Heads
from telemetry.decode import Batch, Decoder
from telemetry.errors import TelemetryError
from telemetry.times import stamp


class Arrived(NamedTuple):
    """A body that waits for the end of the turn."""

    connection: LaneProtocol
    body: bytes
    seconds: float | None  # to wait until applied, None not to wait


class Lane:
    """Bodies in, answers out; one for all connections. A connection has one request in it at most, and what waits for
    the journal is bounded by intake."""

    def __init__(self, gateway: Gateway, heads: Heads, decoder: Decoder) -> None:
        self.heads = heads
        self._gateway, self._decoder = gateway, decoder
        self._arrived: list[Arrived] = []

    def take(self, connection: LaneProtocol, body: bytes, seconds: float | None) -> None:
        """Answer this body when its trade is on disk, and applied if that is asked for."""
        if not self._arrived:
            connection.loop.call_soon(self._turn)
        self._arrived.append(Arrived(connection, body, seconds))

    def _turn(self) -> None:
        """Put what has arrived since the last turn."""
        arrived, self._arrived = self._arrived, []
        clocks = self._gateway.clocks
        received_ns, received_at = clocks.monotonic_ns(), clocks.wall_ns()
        try:
            self._gateway.admit()
        except TelemetryError as error:
            for one in arrived:
                self._refuse(one.connection, error, received_at)
            return
        if not self._together(arrived, received_ns, received_at):
            for one in arrived:
                self._alone(one, received_ns, received_at)

    def _together(self, arrived: Sequence[Arrived], received_ns: int, received_at: int) -> bool:
        """Whether all could be read and are new: then trade i of the receipt is that of connection i."""
        batch = self._decoder.singles([one.body for one in arrived], received_at)
        if batch is None:
            return False
        try:
            receipt = self._gateway.intake.put_new(batch, received_ns=received_ns)
        except TelemetryError:
            return False
        if receipt is None:
            return False
        self._wait(receipt, arrived, received_at)
        measure_client(self._gateway.latency, batch, received_at, received_ns)
        return True

    def _alone(self, one: Arrived, received_ns: int, received_at: int) -> None:
        try:
            batch: Batch = self._decoder.decode(one.body, "json", received_at)
            receipt = self._gateway.intake.put(batch, received_ns=received_ns)
        except TelemetryError as error:
            self._refuse(one.connection, error, received_at)
            return
        except Exception:
            one.connection.fail()
            raise
        self._wait(receipt, [one], received_at)
        measure_client(self._gateway.latency, batch, received_at, received_ns)

    def _wait(self, receipt: Receipt, arrived: Sequence[Arrived], received_at: int) -> None:
        """Go on when the commit is there that the receipt depends on."""
        if receipt.group is None:
            self._committed(receipt, arrived, received_at)
        else:
            receipt.group.after.append(partial(self._committed, receipt, arrived, received_at))

    def _committed(self, receipt: Receipt, arrived: Sequence[Arrived], received_at: int) -> None:
        try:
            receipt = self._gateway.intake.result(receipt)
        except TelemetryError as error:
            for one in arrived:
                self._refuse(one.connection, error, received_at)
            return
        head = b"HTTP/1.1 202 Accepted\r\n%bcontent-type: application/json\r\n%b: %b\r\n%b: " % (
            arrived[0].connection.default_head(),
            *(RECEIVED_AT, stamp(received_at), SENT_AT),
        )
        if receipt.first_seq is None or receipt.accepted != len(arrived):  # one body, of duplicates or several trades
            last = receipt.last_seq or self._gateway.backbone.status().durable_seq
            bodies = accepted(receipt, applied=False), accepted(receipt, applied=True)
            self._answer(arrived[0], head, last, bodies)
            return
        durable = encode(receipt.durable)
        for seq, one in enumerate(arrived, receipt.first_seq):
            start = b'{"accepted":1,"duplicates":0,"first_seq":%d,"last_seq":%d,"durable":%b,' % (seq, seq, durable)
            self._answer(one, head, seq, (start + b'"applied":false}', start + b'"applied":true}'))

    def _answer(self, one: Arrived, head: bytes, last: int, bodies: tuple[bytes, bytes]) -> None:
        """One of the two bodies: trade `last` is not applied, or it is. `head` ends where the sending time begins."""
        wall_ns = self._gateway.clocks.wall_ns

        def tell(applied: bool) -> None:
            body = bodies[applied]
            one.connection.answer(b"%b%b\r\ncontent-length: %d\r\n\r\n%b" % (head, stamp(wall_ns()), len(body), body))

        applied = self._gateway.state.applied >= last
        if one.seconds is None or applied:
            tell(applied)
        else:
            self._gateway.waiters.add(last, one.seconds, tell)

    def _refuse(self, connection: LaneProtocol, error: TelemetryError, received_at: int) -> None:
        self._gateway.refuse(error.problem)
        status, headers, answer = problem(error)
        body = encode(answer)
        headers += times(received_at, self._gateway.clocks.wall_ns())
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
        if data.startswith(REQUEST) and self._idle():
            end = data.find(BLANK_LINE, 0, MAX_HEAD) + len(BLANK_LINE)
            if end >= len(BLANK_LINE):
                head = self._lane.heads.find(data[:end])
                if head.length == len(data) - end:
                    self._waits = True
                    self._lane.take(self, data[end:], head.seconds)
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
