"""The worker over a source of leases: whatever their size and values, the partials of the plain analysis come back."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import pytest

from telemetry.backbone import Lease
from telemetry.columns import Columns, from_trades
from telemetry.decode_compiled import available
from telemetry.partial import encode_partial
from telemetry.wire import PartialHead, decode
from tests.backbone.test_leased import record
from tests.worker.test_analysis import NOW, some_trade
from worker.analysis import analyse
from worker.app import THREAD_TRADES, Worker
from worker.compiled import CompiledAnalysis

FIRST = 7


class One:
    """A source of one lease."""

    def __init__(self, lease: Lease) -> None:
        self._leases = [lease]
        self.partial: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def receive(self) -> Lease:
        while not self._leases:
            await asyncio.Event().wait()
        return self._leases.pop()

    async def send(self, partial: bytes) -> None:
        self.partial.set_result(partial)


async def answer(columns: Columns, *, compiled: bool) -> tuple[PartialHead, bytes]:
    source = One(Lease(1, 1, FIRST, FIRST + len(columns) - 1, [record(columns, FIRST)]))
    worker = Worker(source, name="w", generation=lambda: 1, quick=CompiledAnalysis() if compiled else None)
    running = asyncio.create_task(worker.run(lambda: None))
    try:
        _, head, body = decode(await asyncio.wait_for(source.partial, 60))
    finally:
        running.cancel()
    assert isinstance(head, PartialHead)
    return head, bytes(body)


@pytest.mark.parametrize(
    "compiled", [False, pytest.param(True, marks=pytest.mark.skipif(not available(), reason="numba"))]
)
@pytest.mark.parametrize("count", [5, THREAD_TRADES, THREAD_TRADES + 1])
@pytest.mark.parametrize("lowest", [1, -1], ids=["usual", "beyond compiled code"])
def test_a_lease_becomes_the_partial_of_the_plain_analysis(compiled: bool, count: int, lowest: int) -> None:
    columns = from_trades(
        [
            some_trade("AB"[row % 2], "fill", row % 3, (lowest + row, 2), (row + 1, row % 2), NOW + row * 10**6)
            for row in range(count)
        ]
    )
    head, body = asyncio.run(answer(columns, compiled=compiled))
    assert (head.first, head.last, head.trades) == (FIRST, FIRST + count - 1, count)
    assert body == encode_partial(analyse([columns], FIRST))
