"""The answers of the lane: when the commit that a request depends on is on disk, and applied if that is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway.app import Gateway
from gateway.ingest import RECEIVED_AT, SENT_AT, accepted, encode, problem, times
from gateway.ingestion.group import Receipt
from telemetry.errors import TelemetryError
from telemetry.times import stamp


class Connection(Protocol):
    """What the lane needs of a connection."""

    loop: asyncio.AbstractEventLoop

    def default_head(self) -> bytes:
        """Lines that every answer has."""

    def answer(self, response: bytes) -> None:
        """Send the answer to the request in the lane."""

    def fail(self) -> None:
        """End without an answer."""


class Asked(NamedTuple):
    """A request in the lane."""

    connection: Connection
    seconds: float | None  # to wait until applied, None not to wait


class Answers:
    """From receipts and errors to the bytes of answers."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def wait(self, receipt: Receipt, asked: Sequence[Asked], received_at: int) -> None:
        """Answer when the commit is there that the receipt depends on: that of one body, or of a trade each."""
        if receipt.group is None:
            self._committed(receipt, asked, received_at)
        else:
            receipt.group.after.append(partial(self._committed, receipt, asked, received_at))

    def refuse(self, connection: Connection, error: TelemetryError, received_at: int) -> None:
        """Answer with an error."""
        self._gateway.refuse(error.problem)
        status, headers, answer = problem(error)
        body = encode(answer)
        headers += times(received_at, self._gateway.clocks.wall_ns())
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        head = STATUS_LINE[status] + connection.default_head() + lines
        connection.answer(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))

    def failed(self, connection: Connection, error: Exception, received_at: int) -> None:
        """Refuse, or report what should not happen; others are answered all the same."""
        if isinstance(error, TelemetryError):
            self.refuse(connection, error, received_at)
            return
        connection.fail()
        connection.loop.call_exception_handler({"message": "a body in the lane failed", "exception": error})

    def _committed(self, receipt: Receipt, asked: Sequence[Asked], received_at: int) -> None:
        try:
            receipt = self._gateway.intake.result(receipt)
        except TelemetryError as error:
            for one in asked:
                self.refuse(one.connection, error, received_at)
            return
        head = b"HTTP/1.1 202 Accepted\r\n%bcontent-type: application/json\r\n%b: %b\r\n%b: " % (
            asked[0].connection.default_head(),
            *(RECEIVED_AT, stamp(received_at), SENT_AT),
        )
        several = receipt.duplicates or receipt.accepted != len(asked)
        if several or receipt.first_seq is None:  # one body, of duplicates or several trades
            last = receipt.last_seq or self._gateway.backbone.status().durable_seq
            self._answer(asked[0], head, last, lambda applied: accepted(receipt, applied=applied))
            return
        durable = encode(receipt.durable)
        for seq, one in enumerate(asked, receipt.first_seq):
            self._answer(one, head, seq, partial(_one_accepted, seq, durable))

    def _answer(self, one: Asked, head: bytes, last: int, body_of: Callable[[bool], bytes]) -> None:
        """`body_of` tells of trade `last` whether it is applied. `head` ends where the sending time begins."""
        wall_ns = self._gateway.clocks.wall_ns

        def tell(applied: bool) -> None:
            body = body_of(applied)
            one.connection.answer(b"%b%b\r\ncontent-length: %d\r\n\r\n%b" % (head, stamp(wall_ns()), len(body), body))

        applied = self._gateway.state.applied >= last
        if one.seconds is None or applied:
            tell(applied)
        else:
            self._gateway.waiters.add(last, one.seconds, tell)


def _one_accepted(seq: int, durable: bytes, applied: bool) -> bytes:
    """As `accepted`, for a receipt of one new trade."""
    return b'{"accepted":1,"duplicates":0,"first_seq":%d,"last_seq":%d,"durable":%b,"applied":%b}' % (
        *(seq, seq, durable, b"true" if applied else b"false"),
    )
