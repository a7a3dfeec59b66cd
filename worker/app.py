"""The worker: a lease in, its partial out. It keeps nothing between two leases."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog

from telemetry.backbone import Lease, WorkSource, returned
from telemetry.backbone.record import decode_record
from telemetry.columns import Columns, concatenate
from telemetry.errors import InvalidInput
from telemetry.fixed import decode_fixed
from telemetry.partial import Partial, partial_pieces
from telemetry.statistics import BASIC, VERSION
from telemetry.tasks import Ready
from telemetry.wire import PartialHead
from worker.analysis import Quick, analyse, quickly

THREAD_TRADES = 4096  # larger leases that are not analysed quickly are so in a thread, so that heartbeats go on

logger = structlog.get_logger("worker")


class Worker:
    """Analyses what its source leases to it; `name`, `generation` and `version` (of the statistics, all or basic) go
    into every partial. `quick`: see `analyse`."""

    def __init__(
        self,
        source: WorkSource,
        *,
        name: str,
        generation: Callable[[], int],
        version: str = VERSION,
        quick: Quick | None = None,
    ) -> None:
        self._source, self._name, self._generation, self._version = source, name, generation, version
        self._quick = quick

    async def run(self, ready: Ready) -> None:
        """Lease after lease, until cancelled."""
        ready()
        while True:
            lease = await self._source.receive()
            received_ns = time.monotonic_ns()
            try:
                message = await self._answer(lease, received_ns)
            except InvalidInput as error:
                # The lease ends at its deadline and the range is read from the journal again.
                logger.error("lease", first=lease.first, last=lease.last, error=error.detail)
                continue
            await self._source.send(message)

    async def _answer(self, lease: Lease, received_ns: int) -> bytes:
        started_ns = time.monotonic_ns()
        parts = columns_of(lease)
        partial = partial_pieces(await self._analysed(parts, lease.first))
        head = PartialHead(
            epoch=lease.epoch,
            attempt=lease.attempt,
            first=lease.first,
            last=lease.last,
            worker=self._name,
            generation=self._generation(),
            version=self._version,
            trades=sum(len(part) for part in parts),
            received_ns=received_ns,
            started_ns=started_ns,
            finished_ns=time.monotonic_ns(),
        )
        return returned(lease, head, partial)

    async def _analysed(self, parts: Sequence[Columns], first: int) -> Partial:
        basic, quick = self._version == BASIC, self._quick
        trades = sum(map(len, parts))
        if trades <= THREAD_TRADES:
            return analyse(parts, first, basic=basic, quick=quick)
        if quick is not None and (found := quickly(concatenate(parts), first, basic=basic, quick=quick)) is not None:
            return found
        return await asyncio.to_thread(analyse, parts, first, basic=basic)


def columns_of(lease: Lease) -> list[Columns]:
    """The trades first..last of a lease, what is analysed of them. InvalidInput when a record is not what the journal
    wrote, or when its records do not follow each other."""
    frames: list[memoryview] = []
    begin = end = 0
    for raw in lease.records:
        record = decode_record(raw)
        if record is None:
            raise InvalidInput(f"expected an undamaged record, received {len(raw)} bytes that are none")
        if frames and record.first_seq != end:
            raise InvalidInput(f"expected the record of trade {end}, received that of {record.first_seq}")
        begin, end = begin or record.first_seq, record.first_seq + record.count
        frames.append(record.frame)
    if not begin <= lease.first <= lease.last < end:
        raise InvalidInput(f"expected the trades {lease.first}..{lease.last}, received {begin}..{end - 1}")
    # Of a record that other leases share there may be instruments that have no trade here.
    return [decode_fixed(frames).slice(lease.first - begin, lease.last - begin + 1).compact()]
