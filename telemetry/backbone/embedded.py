"""The backbone of one machine: journal, dispatcher and sockets put together. What decides is in dispatcher.py.

Bounds: the intake bounds what waits for the journal, the dispatcher what is out or waits to be merged. A worker that
takes no more leaves its lease in the queue. The backlog is one number: data is read back when it is leased.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol, Self

import zmq

from telemetry.backbone import Committed, Group, Partial, Quarantined, Status, Verdict, endpoints, sockets
from telemetry.backbone.connections import Connections
from telemetry.backbone.desk import Desk
from telemetry.backbone.dispatcher import Dispatcher
from telemetry.backbone.leases import Limits, Send
from telemetry.backbone.links import ResultsLink
from telemetry.backbone.recent import RECENT_BYTES, Recent
from telemetry.backbone.record import Record
from telemetry.errors import InvalidInput, Stop
from telemetry.wire import Buffer, Head, Heartbeat, Kind, LeaseHead, PartialHead

LEASE_BYTES = 32 << 20  # a lease ends before the record that would exceed this


class OpenJournal(Protocol):
    """What is used of telemetry.backbone.journal.Journal."""

    @property
    def last_seq(self) -> int: ...

    @property
    def durable_seq(self) -> int: ...

    def memory(self, size: int) -> memoryview: ...

    def records(self, first: int, last: int) -> Iterator[Record]: ...


class Writer(Protocol):
    """What is used of telemetry.backbone.writer.JournalWriter."""

    @property
    def journal(self) -> OpenJournal: ...

    def append(self, encode: Callable[[int, int], Buffer], count: int) -> Awaitable[Committed]: ...

    def hear(self) -> bool: ...


def whole(raw: memoryview, first: int, last: int) -> Sequence[Buffer]:
    """All of a record."""
    return (raw,)


class Embedded:
    """The gateway's side; `async with` it, inside the writer's. `results` is the endpoint that workers connect to,
    `leased` gives the pieces of what goes to them of a record for a lease of first..last: one of these at least."""

    def __init__(
        self,
        writer: Writer,
        *,
        results: str,
        version: str,
        limits: Limits | None = None,
        lease_bytes: int = LEASE_BYTES,
        recent_bytes: int = RECENT_BYTES,
        leased: Callable[[memoryview, int, int], Sequence[Buffer]] = whole,
    ) -> None:
        self._writer, self._version = writer, version
        self._limits = limits or Limits()
        self._lease_bytes, self._leased = lease_bytes, leased
        self._endpoint = endpoints.check_endpoint(results)
        self._context: zmq.Context[sockets.Socket] | None = None
        self._started = asyncio.Event()
        self._garbage = 0
        self._recent = Recent(recent_bytes)
        self.coming: Callable[[], bool] = lambda: True  # whether trades wait for `append`

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send nothing more, hear nothing more. Workers notice, and wait for the next start."""
        if self._context is None:
            return
        context, self._context = self._context, None
        self._desk.close()
        self._connections.close_all()
        self._results.close()
        await asyncio.to_thread(context.term)

    def __del__(self, warn: Any = warnings.warn) -> None:
        if getattr(self, "_context", None) is not None:
            warn("an embedded backbone was not closed", ResourceWarning, source=self)

    async def append(self, group: Group) -> Committed:
        """Journal `group`, then offer it to the workers. Raises TryAgain when it is full, Stop when the disk failed.

        The record is made here: the writer's thread would share the interpreter's lock with the event loop for it, and
        then both take longer. It is made again there if what it says of the last sync is not true any more.
        """
        journal = self._writer.journal
        made_for = journal.last_seq + 1, journal.durable_seq
        written = group.record_bytes(*made_for, journal.memory)

        def encode(first_seq: int, synced_seq: int) -> Buffer:
            nonlocal written
            if made_for != (first_seq, synced_seq):
                written = group.record_bytes(first_seq, synced_seq, journal.memory)
            return written

        committed = await self._writer.append(encode, group.count)
        self._recent.add(committed.first_seq, committed.last_seq, written)
        if self._started.is_set():
            self._desk.available(committed.last_seq)
        return committed

    def records(self, first: int, last: int) -> Iterator[Record]:
        """The journal's records that hold any trade of [first, last], in order."""
        return self._writer.journal.records(first, last)

    async def start(self, *, epoch: int, applied: int) -> None:
        """Begin to dispatch everything after `applied`; from now on workers are heard. Called once."""
        last_seq = self._writer.journal.last_seq
        if self._started.is_set() or applied > last_seq:
            raise Stop(f"expected one start with at most {last_seq} trades applied, received a start with {applied}")
        dispatcher = Dispatcher(version=self._version, applied=applied, limits=self._limits)
        self._desk = Desk(
            dispatcher,
            epoch=epoch,
            carry=self._carry,
            close=self._close,
            listen=self._listen,
            coming=lambda: self.coming(),
        )
        context: zmq.Context[sockets.Socket] = zmq.Context()
        try:
            self._results = ResultsLink(context, self._endpoint, self._deliver)
        except BaseException:
            context.term()
            raise
        self._context = context
        self._connections = Connections(context, self._results.endpoint, self._desk, window=self._limits.window)
        self._started.set()
        self._desk.available(last_seq)

    async def results(self) -> list[Partial | Quarantined]:
        """Wait for at least one result, take all there are. Nothing is lost when the caller is cancelled."""
        await self._started.wait()
        return await self._desk.results()

    def hear(self) -> None:
        """Go on at once with what the journal's writer and the workers have to say, and with leases that are due. Else
        the event loop comes to that when every connection has been read that has something to say."""
        if asyncio.current_task() is not None:  # within which no other one can go on
            return
        heard = self._writer.hear()
        if self._context is not None:
            if heard:
                self._desk.push()
            self._results.hear()
            self._desk.push_due()

    def settle(self, result: Partial, verdict: Verdict) -> None:
        """Tell what became of a result: exactly once for each Partial that `results` gave."""
        self._desk.settle(result, verdict)
        self._recent.forget(self._desk.accepted_seq)

    def status(self) -> Status:
        """Workers, leases and backlog at this instant."""
        journal = self._writer.journal
        if not self._started.is_set():
            return Status(0, self._version, journal.durable_seq, 0, journal.last_seq, 0, 0, (), journal=journal)
        garbage = self._garbage + self._results.garbage + self._connections.refused + self._desk.refused
        leases = dict(self._connections.leases)
        return replace(
            self._desk.status(), durable_seq=journal.durable_seq, garbage=garbage, leases=leases, journal=journal
        )

    def _carry(self, send: Send) -> int | None:
        """Send a lease with the records that cover it, as many as fit; the last trade that went, None: nothing went."""
        records: list[Buffer] = []
        size = last = 0
        for record_last, raw in self._records(send):
            pieces = self._leased(raw, send.first, send.last)
            length = sum(map(len, pieces))
            if records and size + length > self._lease_bytes:
                break
            records += pieces
            size += length
            last = min(record_last, send.last)
        if not records:
            raise Stop(f"expected the journal to hold trades {send.first}..{send.last}, found none of them")
        head = LeaseHead(self._desk.epoch, send.attempt, send.first, last)
        return last if self._connections.lease(send.worker, head, records, size) else None

    def _records(self, send: Send) -> Iterator[tuple[int, memoryview]]:
        """The last trade and the bytes of each record that holds any trade of a lease."""
        recent = self._recent.covering(send.first, send.last)
        if recent is not None:
            return ((kept.last, kept.raw) for kept in recent)
        read_back = self._writer.journal.records(send.first, send.last)
        return ((record.last_seq, record.raw) for record in read_back if record.count)

    def _close(self, worker: str) -> None:
        self._connections.close(worker)

    def _listen(self) -> None:
        self._results.drain()

    def _deliver(self, kind: Kind, head: Head, body: memoryview) -> None:
        if isinstance(head, Heartbeat):
            self._connections.hello(head)
        elif isinstance(head, PartialHead):
            try:
                partial = Partial(head, self._connections.partial(head, body))
            except InvalidInput:
                self._garbage += 1
            else:
                self._desk.received(partial)
        else:
            self._garbage += 1
