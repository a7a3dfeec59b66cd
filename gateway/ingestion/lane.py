"""The lane below ASGI: POST /v1/trades of small bodies, many requests at a time, and of large ones, read in place.

What a framework costs for each request is more than all else that happens to a trade. So a request whose head is
known - the same bytes as one that the HTTP parser and the guards have passed before - is not parsed again; the bodies
that arrived in one turn of the event loop are decoded and put together, and answered when their commit is on disk. A
larger one, and one of Arrow, is read from the socket into a buffer of ours (see gateway.ingestion.body) and decoded
there; Arrow that cannot be read in place is decoded in a thread.
Whatever is not exactly that (another head, a body that is too large for the event loop or small and in pieces, an
Idempotency-Key, a request behind one that is not answered yet) goes the usual way through gateway.ingest, with the
same result. Bodies that cannot be read together are read one by one, so that no request ever changes what becomes of
another. The connections are in gateway.ingestion.short_cut, the answers in gateway.ingestion.answering.

    head known ─┬─▶ small ──▶ end of the turn: decode together ───────────┬─▶ intake ──▶ commit ──▶ answers
                ├─▶ large: complete ──▶ scan ──▶ end of the turn: columns ┤    (gateway.ingestion.turn)
                └─▶ Arrow: complete ──▶ decode ───────────────────────────┘
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from gateway.app import Gateway
from gateway.guard import Guard
from gateway.ingest import measure_client, too_slow
from gateway.ingestion.answering import Answers, Asked, Connection
from gateway.ingestion.body import Body, Buffers, Held
from gateway.ingestion.heads import MAX_BODY, MAX_HEAD, Head, Heads
from gateway.ingestion.turn import Turn
from telemetry.decode import AnyMedia, Decoder
from telemetry.errors import TelemetryError
from telemetry.load import Load

MOST_BYTES = 64 << 20  # of buffers of each size
EARLY: dict[AnyMedia, int] = {"json": 64, "arrow": 12}  # of them, whose memory is there before they are needed


class Small(NamedTuple):
    """A body that waits for the end of the turn."""

    asked: Asked
    body: bytes


class Lane:
    """Bodies in, answers out; one for all connections. A connection has one request in it at most, and what waits for
    the journal is bounded by intake."""

    def __init__(
        self, gateway: Gateway, guard: Guard, decoder: Decoder, load: Load, hear: Callable[[], None] = lambda: None
    ) -> None:
        """`hear` goes on with what others have done meanwhile: called after each large body of JSON, which takes its
        time."""
        self.heads = Heads(guard)
        self._gateway, self._decoder, self._answers = gateway, decoder, Answers(gateway)
        self._arrived: list[Small] = []
        self._hear = hear
        self._threads: set[asyncio.Task[None]] = set()  # one for each body that is decoded in a thread
        self.buffers: dict[AnyMedia, Buffers] = {
            media: Buffers(size, MOST_BYTES // size, MAX_HEAD, EARLY[media]) for media, size in MAX_BODY.items()
        }
        self._large = Turn(gateway.intake, gateway.latency, decoder, self.buffers["json"], self._answers, load)

    def take(self, connection: Connection, body: bytes, seconds: float | None) -> None:
        """Answer this body when its trade is on disk, and applied if that is asked for."""
        if not self._arrived:
            connection.loop.call_soon(self._turn)
            self._gateway.intake.expect()
        self._arrived.append(Small(Asked(connection, seconds), body))

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
        asked, held = Asked(connection, head.seconds), body.take()
        if head.media == "json":
            self._large.take(asked, held, came)
            self._hear()
        else:  # commits and leases of single bodies of Arrow cost more than those of many, so nothing is heard between
            self._take_arrow(asked, held, came)

    def _take_arrow(self, asked: Asked, held: Held, came: tuple[int, int]) -> None:
        try:
            batch = self._decoder.plain_arrow(held.content, came[1], quickly=True)
            if batch is None:
                thread = asked.connection.loop.create_task(self._in_thread(asked, bytes(held.content), came))
                self._threads.add(thread)
                thread.add_done_callback(self._threads.discard)
            else:
                self._large.alone(asked, lambda: batch, came)
        finally:
            held.give_back()

    async def _in_thread(self, asked: Asked, body: bytes, came: tuple[int, int]) -> None:
        """Decode what is not plain, and go on."""
        try:
            batch = await asyncio.to_thread(self._decoder.decode, body, "arrow", came[1])
        except Exception as error:
            self._answers.failed(asked.connection, error, came[1])
            return
        self._large.alone(asked, lambda: batch, came)

    def large_late(self, connection: Connection, received: int, received_at: int) -> None:
        """A large body was not here in time."""
        self._answers.refuse(connection, too_slow(received), received_at)

    def large_lost(self) -> None:
        """A client went away before its large body was here."""
        self._gateway.refuse("bad-request")

    def _turn(self) -> None:
        """Put what has arrived since the last turn."""
        arrived, self._arrived = self._arrived, []
        came = self.now()
        try:
            self._gateway.admit()
        except TelemetryError as error:
            for one in arrived:
                self._answers.refuse(one.asked.connection, error, came[1])
            return
        if not self._together(arrived, *came):
            for one in arrived:
                self._large.alone(one.asked, partial(self._decoder.decode, one.body, "json", came[1]), came)

    def _together(self, arrived: Sequence[Small], received_ns: int, received_at: int) -> bool:
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
        self._answers.wait(receipt, [one.asked for one in arrived], received_at)
        measure_client(self._gateway.latency, batch, received_ns)
        return True
