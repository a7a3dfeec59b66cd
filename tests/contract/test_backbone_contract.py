"""What every backbone promises; one suite over all of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from telemetry.backbone import Partial, Verdict
from telemetry.backbone.leases import Limits
from telemetry.backbone.memory import Memory
from telemetry.errors import Stop
from tests.backbone.gateway import EmbeddedGateway, Pump, WorkerProcess
from tests.backbone.trades import POISON, VERSION, Numbers, analyse

pytestmark = pytest.mark.anyio

Running = Callable[..., AbstractAsyncContextManager[Pump]]


@asynccontextmanager
async def memory(directory: Path, *, workers: int = 2, limits: Limits | None = None) -> AsyncIterator[Pump]:
    names = [f"worker-{number}" for number in range(workers)]
    async with Memory(version=VERSION, analyse=analyse, workers=names, limits=limits) as backbone:
        yield Pump(backbone)


@asynccontextmanager
async def embedded(directory: Path, *, workers: int = 2, limits: Limits | None = None) -> AsyncIterator[Pump]:
    gateway = EmbeddedGateway(directory, limits=limits)
    async with gateway.open():
        supervisor = asyncio.create_task(supervise(gateway.results, workers))
        try:
            yield Pump(gateway.embedded)
        finally:
            supervisor.cancel()
            await asyncio.wait([supervisor])


async def supervise(results: str, count: int) -> None:
    """Keep that many workers running."""
    workers = [WorkerProcess(results, f"worker-{number}") for number in range(count)]
    try:
        while True:
            for number, worker in enumerate(workers):
                if worker.dead():
                    workers[number] = WorkerProcess(results, worker.name)
            await asyncio.sleep(0.02)  # sleeps: how often a supervisor looks
    finally:
        for worker in workers:
            worker.__exit__(None, None, None)


@pytest.fixture(params=[memory, embedded], ids=["memory", "embedded"])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Running:
    """`running(workers=2)`: a pump over an open backbone with that many workers, not started yet."""

    def run(**options: object) -> AbstractAsyncContextManager[Pump]:
        context: AbstractAsyncContextManager[Pump] = request.param(tmp_path, **options)
        return context

    return run


async def test_every_trade_counts_exactly_once_in_whatever_groups_it_came(running: Running) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    values = [dice.randrange(1_000_000) for _ in range(2_000)]
    async with running() as pump, pump:
        start = 0
        while start < len(values):
            stop = start + dice.choice([1, 2, 10, 300])
            await pump.backbone.append(Numbers(values[start:stop]))
            start = stop
        await pump.until_applied(len(values))
    assert pump.figures.total == sum(values)


async def test_sequence_numbers_are_dense_from_one_on(running: Running) -> None:
    async with running(workers=0) as pump, pump:
        first = await pump.backbone.append(Numbers([1, 2, 3]))
        second = await pump.backbone.append(Numbers([4]))
        assert (first.first_seq, first.last_seq, first.durable) == (1, 3, True)
        assert (second.first_seq, second.last_seq) == (4, 4)


async def test_a_group_without_trades_takes_no_sequence_number_and_no_lease(running: Running) -> None:
    async with running(workers=1) as pump, pump:
        empty = await pump.backbone.append(Numbers([]))
        assert (empty.first_seq, empty.last_seq) == (1, 0)
        await pump.backbone.append(Numbers([7]))
        await pump.until_applied(1)
    assert pump.figures.total == 7


async def test_what_was_appended_before_the_start_is_dispatched_at_the_start(running: Running) -> None:
    async with running() as pump:
        await pump.backbone.append(Numbers([1, 2, 3]))
        async with pump:
            await pump.until_applied(3)
    assert pump.figures.total == 6


async def test_dispatch_begins_after_what_is_applied(running: Running) -> None:
    async with running() as pump:
        await pump.backbone.append(Numbers([1, 2, 3]))
        pump.figures.applied = 2
        async with pump:
            await pump.until_applied(3)
    assert [(first, last) for _, first, last in pump.figures.accepted_from] == [(3, 3)]


async def test_a_second_start_and_one_ahead_of_the_journal_are_refused(running: Running) -> None:
    async with running() as pump:
        with pytest.raises(Stop):
            await pump.backbone.start(epoch=1, applied=1)
        async with pump:
            with pytest.raises(Stop):
                await pump.backbone.start(epoch=1, applied=0)


async def test_records_are_read_back_as_they_were_written(running: Running) -> None:
    async with running(workers=0) as pump:
        for values in ([1, 2], [3], [4, 5, 6]):
            await pump.backbone.append(Numbers(values))
        records = list(pump.backbone.records(2, 3))
        assert [(record.first_seq, record.last_seq) for record in records] == [(1, 2), (3, 3)]
        assert bytes(records[1].raw) == Numbers([3]).record_bytes(3, 2)


async def test_a_result_carries_the_epoch_of_the_start_and_the_version_of_its_worker(running: Running) -> None:
    async with running(workers=1) as pump:
        await pump.backbone.start(epoch=77, applied=0)
        await pump.backbone.append(Numbers([1]))
        async with asyncio.timeout(10):
            (result,) = await pump.backbone.results()
        assert isinstance(result, Partial)
        assert (result.head.epoch, result.head.version, result.head.trades) == (77, VERSION, 1)
        pump.backbone.settle(result, Verdict.MERGED)
        assert pump.backbone.status().accepted_seq == 1


@pytest.mark.parametrize("verdict", [Verdict.OVERLAP, Verdict.DUPLICATE, Verdict.COUNT])
async def test_what_the_aggregator_dropped_comes_again(running: Running, verdict: Verdict) -> None:
    async with running() as pump, pump:
        drops = iter([verdict])
        pump.override = lambda partial: next(drops, None)
        await pump.backbone.append(Numbers([1, 2, 3]))
        await pump.until_applied(3)
        assert pump.backbone.status().dropped == {verdict.value: 1}
        assert pump.backbone.status().redelivered[verdict.value] == 1
    assert pump.figures.total == 6


async def test_without_workers_the_backlog_is_shown(running: Running) -> None:
    async with running(workers=0) as pump, pump:
        await pump.backbone.append(Numbers([1] * 100))
        status = pump.backbone.status()
        assert (status.durable_seq, status.accepted_seq, status.queued_trades, status.leased) == (100, 0, 100, 0)


async def test_workers_are_shown_with_what_they_have_done(running: Running) -> None:
    async with running(workers=1) as pump, pump:
        await pump.until_workers(1)
        await pump.backbone.append(Numbers([1, 2, 3]))
        await pump.until_applied(3)
        (row,) = pump.backbone.status().workers
        assert (row.id, row.version_ok, row.outstanding, row.leases_done, row.trades_done) == (
            "worker-0",
            True,
            0,
            1,
            3,
        )


async def test_a_poisoned_record_is_quarantined_and_everything_else_counts(running: Running) -> None:
    async with running(workers=2) as pump, pump:
        await pump.backbone.append(Numbers([1, 2, POISON, 4]))
        await pump.backbone.append(Numbers([5, 6]))
        await pump.until_applied(6)
        status = pump.backbone.status()
    assert pump.figures.quarantined == [3]
    assert status.quarantined == 1
    assert pump.figures.total == 1 + 2 + 4 + 5 + 6


async def test_a_cancelled_wait_for_results_loses_none(running: Running) -> None:
    async with running(workers=1) as pump:
        await pump.backbone.start(epoch=1, applied=0)
        waiting = asyncio.create_task(pump.backbone.results())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        await pump.backbone.append(Numbers([1]))
        async with asyncio.timeout(10):
            assert len(await pump.backbone.results()) == 1


async def test_results_in_any_order_lost_or_twice_count_once() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)

    def arrange(results: list[Partial]) -> list[Partial]:
        arranged = [partial for partial in results for _ in range(dice.choice([0, 1, 1, 1, 1, 1, 1, 1, 2, 2]))]
        dice.shuffle(arranged)
        return arranged

    limits = Limits(lease_trades=7, window=4, deadline_seconds=0.05, second_unknown_seconds=0.05)
    backbone = Memory(version=VERSION, analyse=analyse, workers=["a", "b", "c"], arrange=arrange, limits=limits)
    async with backbone, Pump(backbone) as pump:
        values = [dice.randrange(1_000_000) for _ in range(500)]
        for start in range(0, 500, 20):
            await backbone.append(Numbers(values[start : start + 20]))
        await pump.until_applied(500)
    assert pump.figures.quarantined == []
    assert pump.figures.total == sum(values)
