"""The large bodies of one turn of the event loop: what putting a body costs in Python, they cost it together.

A turn is one iteration of the loop; when the loop takes much of a core, it is as many as pass in some milliseconds. For
bodies that come one by one would cost it several times as much each, and in the end more than it has.
Each is scanned when it is complete, while its bytes are in the processor's caches. At the end of the turn, or when
there are many trades, or few buffers left, all become one batch that joins the open commit group at once, and each
request gets the receipt that it would have got alone. They are put one by one, in the order in which they came,
whenever not all of them can go together: a conflict, a multiplier that contradicts, too many that wait. A body that the
scanner is not sure of goes alone, after those that came before. So no request ever changes what becomes of another.

    complete ──▶ scan ──▶ … ──▶ end of the turn ──▶ columns ──▶ intake, all at once ─┬─▶ a receipt each
                  └─ in doubt: those before, then alone      └─ one by one ──────────┘
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate, pairwise
from time import monotonic
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
from telemetry.load import Load

ENOUGH_TRADES = 3_000  # a turn that has them ends with this iteration: more of them cost nearly as much each
GATHER_FROM_SHARE = 0.5  # of a core: from here on a turn takes the longer the more of it the event loop takes,
GATHER_MOST_SHARE = 0.8  # up to
GATHER_MOST_SECONDS = 0.002  # this here: a tenth of what trades may take until they are visible


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
        self,
        intake: Intake,
        latency: Latency,
        decoder: Decoder,
        buffers: Buffers,
        answers: Answering,
        load: Load,
    ) -> None:
        self._intake, self._latency, self._decoder, self._answers = intake, latency, decoder, answers
        self._bundle = decoder.bundle(buffers.text)
        self._buffers, self._few = buffers, buffers.left // 4
        self._arrived: list[Arrived] = []
        self._load = load
        self._timer: asyncio.TimerHandle | None = None  # of a turn of several iterations

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
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
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
        first = not self._arrived
        self._arrived.append(Arrived(asked, held, trades, *came))
        self._plan(asked.connection.loop, first=first)
        return True

    def _plan(self, loop: asyncio.AbstractEventLoop, *, first: bool) -> None:
        """When the turn ends, now that one more has arrived."""
        if first and (seconds := gather_seconds(self._load.share(monotonic()))):
            self._timer = loop.call_later(seconds, self.end)
        elif first or self._is_enough():
            self._end_soon(loop)

    def _is_enough(self) -> bool:
        """Whether a turn that would go on has gathered enough."""
        many = self._bundle.count >= ENOUGH_TRADES or self._buffers.left <= self._few
        return many and self._timer is not None

    def _end_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """With this iteration."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop.call_soon(self.end)
        self._intake.expect()

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


def gather_seconds(share: float) -> float:
    """How long a turn takes while the event loop takes so much of a core; 0: one iteration."""
    loaded = (share - GATHER_FROM_SHARE) / (GATHER_MOST_SHARE - GATHER_FROM_SHARE)
    return min(1.0, max(0.0, loaded)) * GATHER_MOST_SECONDS
