"""The backbone in one process, for tests and trials: the journal is a list, the workers are names, nothing is durable.

`analyse` does a lease's work; a worker dies of what it raises, and is there again at once. `arrange` stands between the
workers and the aggregator and may reorder, repeat or lose results.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from telemetry.backbone import Committed, Group, Lease, Partial, Quarantined, Status, Verdict
from telemetry.backbone.desk import Desk
from telemetry.backbone.dispatcher import Dispatcher
from telemetry.backbone.leases import Limits, Send
from telemetry.backbone.record import Record, decode_record
from telemetry.errors import Stop
from telemetry.wire import PartialHead

Analyse = Callable[[Lease], bytes]
Arrange = Callable[[list[Partial]], list[Partial]]


class Memory:
    """The gateway's side; `async with` it. `workers` are there from the start and beat for ever."""

    def __init__(
        self,
        *,
        version: str,
        analyse: Analyse,
        workers: Sequence[str] = ("memory-1", "memory-2"),
        arrange: Arrange = lambda results: results,
        limits: Limits | None = None,
    ) -> None:
        self._version, self._analyse, self._workers, self._arrange = version, analyse, workers, arrange
        self._limits = limits or Limits()
        self._journal: list[Record] = []
        self._last_seq = 0
        self._desk: Desk | None = None
        self._started = asyncio.Event()
        self._work: deque[Send] = deque()
        self._turn: asyncio.Handle | None = None

    async def append(self, group: Group) -> Committed:
        """Keep `group`, then offer it to the workers."""
        first = self._last_seq + 1
        record = decode_record(group.record_bytes(first, self._last_seq))
        if record is None or record.first_seq != first or record.count != group.count:
            raise Stop(f"expected the record of {group.count} trades from {first}, received something else")
        self._journal.append(record)
        self._last_seq += record.count
        if self._desk is not None:
            self._desk.available(self._last_seq)
        return Committed(first, self._last_seq)

    def records(self, first: int, last: int) -> Iterator[Record]:
        """The records that hold any trade of [first, last], in order."""
        return (record for record in self._journal if record.first_seq <= last and first <= record.last_seq)

    async def start(self, *, epoch: int, applied: int) -> None:
        """Begin to dispatch everything after `applied`. Called once."""
        if self._desk is not None or applied > self._last_seq:
            raise Stop(f"expected one start with at most {self._last_seq} trades applied, received {applied}")
        dispatcher = Dispatcher(version=self._version, applied=applied, limits=self._limits)
        self._desk = Desk(dispatcher, epoch=epoch, carry=self._carry, close=self._join, listen=self._beat)
        self._started.set()
        for worker in self._workers:
            self._join(worker)
        self._desk.available(self._last_seq)

    async def results(self) -> list[Partial | Quarantined]:
        """Wait for at least one result, take all there are."""
        await self._started.wait()
        return await self._open_desk().results()

    def settle(self, result: Partial, verdict: Verdict) -> None:
        """Tell what became of a result."""
        self._open_desk().settle(result, verdict)

    def status(self) -> Status:
        """Where the work stands."""
        if self._desk is None:
            return Status(0, self._version, self._last_seq, 0, self._last_seq, 0, 0, ())
        return self._desk.status()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing more."""
        if self._desk is not None:
            self._desk.close()
        if self._turn is not None:
            self._turn.cancel()

    def _open_desk(self) -> Desk:
        if self._desk is None:
            raise Stop("expected a backbone that was started")
        return self._desk

    def _join(self, worker: str) -> None:
        asyncio.get_running_loop().call_soon(
            lambda: self._open_desk().joined(worker, self._version, generation=1, pid=0)
        )

    def _beat(self) -> None:
        for worker in self._workers:
            self._open_desk().beat(worker)

    def _carry(self, send: Send) -> int:
        self._work.append(send)
        if self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._work_all)
        return send.last

    def _work_all(self) -> None:
        self._turn = None
        results: list[Partial] = []
        dead: list[str] = []
        while self._work:
            send = self._work.popleft()
            if send.worker in dead:
                continue
            try:
                results.append(self._work_one(send))
            except Exception:  # of whatever kind: it killed this worker
                dead.append(send.worker)
        desk = self._open_desk()
        for partial in self._arrange(results):
            desk.received(partial)
        for worker in dead:
            desk.lost(worker, "connection")
            self._join(worker)

    def _work_one(self, send: Send) -> Partial:
        records = [record.raw for record in self.records(send.first, send.last) if record.count]
        epoch = self._open_desk().epoch
        body = self._analyse(Lease(epoch, send.attempt, send.first, send.last, records))
        head = PartialHead(
            epoch=epoch,
            attempt=send.attempt,
            first=send.first,
            last=send.last,
            worker=send.worker,
            generation=1,
            version=self._version,
            trades=send.last - send.first + 1,
            received_ns=0,
            started_ns=0,
            finished_ns=0,
        )
        return Partial(head, memoryview(body))
