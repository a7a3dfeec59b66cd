"""The large bodies of one turn of the event loop: what putting a body costs in Python, they cost it together.

Each is scanned when it is complete, while its bytes are in the processor's caches. At the end of the turn, or when
there are many trades, all become one batch that joins the open commit group at once, and each request gets the receipt
that it would have got alone. They are put one by one, in the order in which they came, whenever not all of them can
go together: a conflict, a multiplier that contradicts, too many that wait. A body that the scanner is not sure of goes
alone, after those that came before. So no request ever changes what becomes of another.

    complete ──▶ scan ──▶ … ──▶ end of the turn ──▶ columns ──▶ intake, all at once ─┬─▶ a receipt each
                  └─ in doubt: those before, then alone      └─ one by one ──────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate, pairwise
from typing import NamedTuple, Protocol

from gateway.ingest import measure_client
from gateway.ingestion.answering import Asked, Connection
from gateway.ingestion.body import Buffers, Held
from gateway.ingestion.group import Receipt
from gateway.intake import Intake
from gateway.latency import Latency
from telemetry.decode import Batch, Decoder
from telemetry.decode_compiled import MoreError
from telemetry.literals import Doubt


class Arrived(NamedTuple):
    """A body of this turn."""

    asked: Asked
    held: Held
    trades: int
    received_ns: int  # monotonic
    received_at: int  # UTC


class Answering(Protocol):
    """Who tells what became of the bodies, see gateway.ingestion.answering."""

    def wait(self, receipt: Receipt, asked: Sequence[Asked], received_at: int) -> None:
        """Answer when the commit is there that the receipt depends on."""

    def failed(self, connection: Connection, error: Exception, received_at: int) -> None:
        """Refuse the body. Raises nothing."""


class Turn:
    """Complete bodies in, receipts out. What waits here is bounded by the buffers that it is in."""

    def __init__(
        self, intake: Intake, latency: Latency, decoder: Decoder, buffers: Buffers, answers: Answering
    ) -> None:
        self._intake, self._latency, self._decoder, self._answers = intake, latency, decoder, answers
        self._bundle = decoder.bundle(buffers.text)
        self._arrived: list[Arrived] = []

    def take(self, asked: Asked, held: Held, came: tuple[int, int]) -> None:
        """Put a body of JSON at the end of this turn; its head came at (monotonic ns, UTC ns)."""
        if not self._add(asked, held, came):
            self.end()
            self._alone(Arrived(asked, held, 0, *came))
            held.give_back()

    def alone(self, asked: Asked, decode: Callable[[], Batch], came: tuple[int, int]) -> None:
        """Put a body after those that came before."""
        self.end()
        self._put(asked, decode, *came)

    def end(self) -> None:
        """Put what has arrived."""
        arrived, self._arrived = self._arrived, []
        if not arrived:
            return
        try:
            self._put_all(Batch(None, *self._bundle.take()), arrived)
        except Doubt:
            for one in arrived:
                self._alone(one)
        except Exception as error:  # what should not happen: nobody is left without an answer, no buffer is lost
            for one in arrived:
                self._answers.failed(one.asked.connection, error, one.received_at)
        finally:
            for one in arrived:
                one.held.give_back()

    def _add(self, asked: Asked, held: Held, came: tuple[int, int]) -> bool:
        """Whether it could be scanned."""
        try:
            try:
                trades = self._bundle.add(held.start, held.size, came[1])
            except MoreError:
                self.end()
                trades = self._bundle.add(held.start, held.size, came[1])
        except Doubt:
            return False
        if not self._arrived:
            asked.connection.loop.call_soon(self.end)
            self._intake.expect()
        self._arrived.append(Arrived(asked, held, trades, *came))
        return True

    def _put_all(self, batch: Batch, arrived: Sequence[Arrived]) -> None:
        bodies = [(one.trades, one.received_ns) for one in arrived]
        receipts = self._intake.put_bodies(batch, bodies)
        if receipts is None:
            ends = accumulate([one.trades for one in arrived], initial=0)
            for one, (start, stop) in zip(arrived, pairwise(ends), strict=True):
                self._put(one.asked, partial(batch.slice, start, stop), one.received_ns, one.received_at)
            return
        for one, receipt in zip(arrived, receipts, strict=True):
            self._answers.wait(receipt, [one.asked], one.received_at)
        measure_client(self._latency, batch, arrived[-1].received_ns)

    def _alone(self, one: Arrived) -> None:
        """Read and put a body as if there were no others."""
        decode = partial(self._decoder.in_place, one.held.text, one.held.size, one.received_at)
        self._put(one.asked, decode, one.received_ns, one.received_at)

    def _put(self, asked: Asked, decode: Callable[[], Batch], received_ns: int, received_at: int) -> None:
        try:
            batch = decode()
            receipt = self._intake.put(batch, received_ns=received_ns)
        except Exception as error:
            self._answers.failed(asked.connection, error, received_at)
            return
        self._answers.wait(receipt, [asked], received_at)
        measure_client(self._latency, batch, received_ns)
