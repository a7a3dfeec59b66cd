"""The lane below ASGI: POST /v1/trades of small bodies, many requests at a time, and of large ones, read in place.

What a framework costs for each request is more than all else that happens to a trade. So a request whose head is
known - the same bytes as one that the HTTP parser and the guards have passed before - is not parsed again; the bodies
that arrived in one turn of the event loop are decoded and put together, and answered when their commit is on disk. A
larger one, and one of Arrow, is read from the socket into a buffer of ours (see gateway.ingestion.body) and decoded
there; Arrow that cannot be read in place is decoded in a thread.
Whatever is not exactly that (another head, a body that is too large for the event loop or small and in pieces, an
Idempotency-Key, a request behind one that is not answered yet) goes the usual way through gateway.ingest, with the
same result. Bodies that cannot be read together are read one by one, so that no request ever changes what becomes of
another. The connections are in gateway.ingestion.short_cut.

    head known ─┬─▶ small: waits for the end of the turn ──▶ decode together ─┬─▶ intake ──▶ commit ──▶ answers
                └─▶ large: until all of it is in its buffer ──▶ decode there ─┘
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway.app import Gateway
from gateway.ingest import RECEIVED_AT, SENT_AT, accepted, encode, measure_client, problem, times, too_slow
from gateway.ingestion.body import Body, Buffers
from gateway.ingestion.group import Receipt
from gateway.ingestion.heads import MAX_BODY, Head, Heads
from telemetry.decode import AnyMedia, Batch, Decoder
from telemetry.errors import TelemetryError
from telemetry.times import stamp

MOST_BYTES = 64 << 20  # of buffers of each size


class Connection(Protocol):
    """What the lane needs of a connection."""

    loop: asyncio.AbstractEventLoop

    def default_head(self) -> bytes:
        """Lines that every answer has."""

    def answer(self, response: bytes) -> None:
        """Send the answer to the request in the lane."""

    def fail(self) -> None:
        """End without an answer."""


class Arrived(NamedTuple):
    """A body that waits for the end of the turn."""

    connection: Connection
    body: bytes
    seconds: float | None  # to wait until applied, None not to wait


class Lane:
    """Bodies in, answers out; one for all connections. A connection has one request in it at most, and what waits for
    the journal is bounded by intake."""

    def __init__(self, gateway: Gateway, heads: Heads, decoder: Decoder) -> None:
        self.heads = heads
        self._gateway, self._decoder = gateway, decoder
        self._arrived: list[Arrived] = []
        self._threads: set[asyncio.Task[None]] = set()  # one for each body that is decoded in a thread
        self.buffers: dict[AnyMedia, Buffers] = {
            media: Buffers(size, MOST_BYTES // size) for media, size in MAX_BODY.items()
        }

    def take(self, connection: Connection, body: bytes, seconds: float | None) -> None:
        """Answer this body when its trade is on disk, and applied if that is asked for."""
        if not self._arrived:
            connection.loop.call_soon(self._turn)
        self._arrived.append(Arrived(connection, body, seconds))

    def admits(self, head: Head) -> bool:
        """Whether a large body can be taken now; if not, the usual way knows what to say."""
        if not self.buffers[head.media].left:
            return False
        try:
            self._gateway.admit()
        except TelemetryError:
            return False
        return True

    def now(self) -> tuple[int, int]:
        """(monotonic ns, UTC ns)."""
        clocks = self._gateway.clocks
        return clocks.monotonic_ns(), clocks.wall_ns()

    def take_large(self, connection: Connection, body: Body, head: Head, came: tuple[int, int]) -> None:
        """As `take`, for a body that is complete in its buffer; its head came at `came`."""
        buffer, decoder, one = body.take(), self._decoder, Arrived(connection, b"", head.seconds)
        try:
            if head.media == "json":
                self._alone(one, partial(decoder.in_place, buffer, body.size), *came)
                return
            content = memoryview(buffer)[: body.size]
            batch = decoder.plain_arrow(content, came[1], quickly=True)
            if batch is None:
                thread = connection.loop.create_task(self._in_thread(one._replace(body=bytes(content)), *came))
                self._threads.add(thread)
                thread.add_done_callback(self._threads.discard)
            else:
                self._alone(one, lambda _: batch, *came)
        finally:
            body.give_back(buffer)

    async def _in_thread(self, one: Arrived, received_ns: int, received_at: int) -> None:
        """Decode what is not plain, and go on."""
        try:
            batch = await asyncio.to_thread(self._decoder.decode, one.body, "arrow", received_at)
        except Exception as error:
            self._failed(one.connection, error, received_at)
            return
        self._alone(one, lambda _: batch, received_ns, received_at)

    def large_late(self, connection: Connection, received: int, received_at: int) -> None:
        """A large body was not here in time."""
        self._refuse(connection, too_slow(received), received_at)

    def large_lost(self) -> None:
        """A client went away before its large body was here."""
        self._gateway.refuse("bad-request")

    def _turn(self) -> None:
        """Put what has arrived since the last turn."""
        arrived, self._arrived = self._arrived, []
        received_ns, received_at = self.now()
        try:
            self._gateway.admit()
        except TelemetryError as error:
            for one in arrived:
                self._refuse(one.connection, error, received_at)
            return
        if not self._together(arrived, received_ns, received_at):
            for one in arrived:
                self._alone(one, partial(self._decoder.decode, one.body, "json"), received_ns, received_at)

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

    def _alone(self, one: Arrived, decode: Callable[[int], Batch], received_ns: int, received_at: int) -> None:
        try:
            batch = decode(received_at)
            receipt = self._gateway.intake.put(batch, received_ns=received_ns)
        except Exception as error:
            self._failed(one.connection, error, received_at)
            return
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

    def _failed(self, connection: Connection, error: Exception, received_at: int) -> None:
        if not isinstance(error, TelemetryError):
            connection.fail()
            raise error
        self._refuse(connection, error, received_at)

    def _refuse(self, connection: Connection, error: TelemetryError, received_at: int) -> None:
        self._gateway.refuse(error.problem)
        status, headers, answer = problem(error)
        body = encode(answer)
        headers += times(received_at, self._gateway.clocks.wall_ns())
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        head = STATUS_LINE[status] + connection.default_head() + lines
        connection.answer(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))
