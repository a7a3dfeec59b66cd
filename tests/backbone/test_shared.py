"""The backbone with leases and partials in shared memory: nothing is lost or torn, whoever is killed or late."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

import pytest
import zmq

from telemetry.backbone.leases import Limits
from telemetry.backbone.links import PushLink
from telemetry.backbone.room import FROM_BYTES, NAME, SLOTS, WorkerRoom
from telemetry.wire import Heartbeat, Kind, LeaseHead, PartialHead, encode
from tests.backbone.gateway import EmbeddedGateway, WorkerProcess
from tests.backbone.test_links import Gateway, gateway_at, until, worker_at
from tests.backbone.trades import HOLD, VERSION

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has memory without a name"),
]
PADDED = "--padding", str(FROM_BYTES)  # partials that are worth sharing
SINGLE = Limits(lease_trades=1, coalesce_trades=1, second_unknown_seconds=60.0, second_floor_seconds=60.0)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


def rooms() -> int:
    """How many rooms this process, which is the gateway, has open."""
    return sum(NAME in line for line in Path("/proc/self/maps").read_text().splitlines())


@pytest.mark.parametrize("options", [(), PADDED], ids=["small partials", "large partials"])
async def test_leases_go_through_memory_and_every_trade_comes_back_exactly_once(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    before = rooms()
    async with EmbeddedGateway(tmp_path, limits=SINGLE) as gateway:
        with gateway.worker("one", *options), gateway.worker("two", *options):
            await gateway.until_workers(2)
            assert rooms() == before + 2
            for value in range(1, 301):
                await gateway.append(value, padding=FROM_BYTES)
            await gateway.until_applied(300)
            status = gateway.embedded.status()
            assert (status.leases, status.garbage, dict(status.redelivered)) == ({"memory": 300}, 0, {})
    assert gateway.figures.total == sum(range(1, 301))
    assert rooms() == before


async def test_a_worker_without_a_room_gets_its_leases_in_messages(tmp_path: Path) -> None:
    async with EmbeddedGateway(tmp_path, limits=SINGLE) as gateway:
        with gateway.worker("one", "--no-room", *PADDED):
            for value in range(1, 51):
                await gateway.append(value, padding=FROM_BYTES)
            await gateway.until_applied(50)
            assert gateway.embedded.status().leases == {"message": 50}
    assert gateway.figures.total == sum(range(1, 51))


async def test_small_leases_and_large_ones_take_turns(tmp_path: Path) -> None:
    async with EmbeddedGateway(tmp_path, limits=SINGLE) as gateway:
        with gateway.worker("one", *PADDED):
            for value in range(1, 101):
                await gateway.append(value, padding=FROM_BYTES * (value % 2))
            await gateway.until_applied(100)
            assert gateway.embedded.status().leases == {"memory": 50, "message": 50}
    assert gateway.figures.total == sum(range(1, 101))


async def test_of_a_killed_worker_nothing_is_left_and_nothing_is_lost(tmp_path: Path) -> None:
    before = rooms()
    async with EmbeddedGateway(tmp_path, limits=SINGLE) as gateway:
        for _ in range(3):
            await gateway.append(HOLD, padding=FROM_BYTES)
        for name in ("first", "second"):  # a third one would have a trade set aside
            with gateway.worker(name, "--hold", "beating", *PADDED) as doomed:
                await gateway.until(lambda: any(row.outstanding for row in gateway.embedded.status().workers))
                assert rooms() == before + 1
                doomed.send_signal(signal.SIGKILL)
                await gateway.until_workers(0)
                assert rooms() == before
        with gateway.worker("other", *PADDED):
            await gateway.until_applied(3)
        assert set(gateway.embedded.status().leases) == {"memory"}
    assert gateway.figures.total == 3 * HOLD


async def test_a_stopped_worker_begins_with_a_new_room_and_what_it_returns_late_counts_once(tmp_path: Path) -> None:
    async with EmbeddedGateway(tmp_path, limits=SINGLE) as gateway:
        with gateway.worker("sleeper", *PADDED) as sleeper, gateway.worker("other", *PADDED):
            await gateway.until_workers(2)
            os.kill(sleeper.pid, signal.SIGSTOP)
            for value in range(1, 41):
                await gateway.append(value, padding=FROM_BYTES)
            await gateway.until_applied(40)
            await gateway.until_workers(1)  # three heartbeats missed
            os.kill(sleeper.pid, signal.SIGCONT)
            await gateway.until_workers(2)
            assert {w.id: w.generation for w in gateway.embedded.status().workers} == {"other": 1, "sleeper": 2}
            done = {w.id: w.leases_done for w in gateway.embedded.status().workers}["sleeper"]
            value = 40
            while {w.id: w.leases_done for w in gateway.embedded.status().workers}["sleeper"] < done + 5:
                value += 1
                await gateway.append(value, padding=FROM_BYTES)
                await gateway.until_applied(value)
            assert set(gateway.embedded.status().leases) == {"memory"}
    assert gateway.figures.total == sum(range(1, value + 1))


async def test_a_lease_that_was_given_to_another_one_too_keeps_its_slot_until_its_late_partial(tmp_path: Path) -> None:
    limits = Limits(lease_trades=1, coalesce_trades=1, second_unknown_seconds=0.02, second_floor_seconds=0.02)
    async with EmbeddedGateway(tmp_path, limits=limits) as gateway:
        with gateway.worker("slow", "--pause", "0.06", *PADDED), gateway.worker("quick", *PADDED):
            await gateway.until_workers(2)
            await gateway.append(0, padding=FROM_BYTES)
            value = 0
            while sum(gateway.embedded.status().dropped.values()) < 5:  # results that came late
                value += 1
                await gateway.append(value, padding=FROM_BYTES)
                await gateway.until_applied(value + 1)
            status = gateway.embedded.status()
            assert status.redelivered["second"] >= 5
            assert (set(status.leases), status.garbage) == ({"memory"}, 0)
    assert gateway.figures.total == value * (value + 1) // 2


async def test_a_worker_shares_a_new_room_with_a_restarted_gateway(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as sockets:
        results = f"ipc://{sockets}/results.ipc"
        with WorkerProcess(results, "one", "--pause", "0.002", *PADDED):
            async with EmbeddedGateway(tmp_path, results=results, limits=SINGLE) as gateway:
                for value in range(1, 201):
                    await gateway.append(value, padding=FROM_BYTES)
                await gateway.until_applied(20)
            before = gateway.figures
            async with EmbeddedGateway(
                tmp_path, results=results, limits=SINGLE, applied=before.applied, total=before.total
            ) as successor:
                await successor.until_applied(200)
                assert set(successor.embedded.status().leases) == {"memory"}
    assert before.applied < 200
    assert successor.figures.total == sum(range(1, 201))


async def test_a_partial_whose_room_is_not_there_is_counted_and_not_taken(tmp_path: Path) -> None:
    def returns(worker: str, epoch: int) -> bytes:
        return encode(Kind.PARTIAL, PartialHead(epoch, 99, 1, 1, worker, 1, VERSION, 1, 0, 0, 0, (FROM_BYTES, 0)))

    async with EmbeddedGateway(tmp_path, limits=SINGLE) as gateway:
        epoch = gateway.figures.epoch
        with gateway.worker("one", *PADDED), zmq.Context() as context, context.socket(zmq.PUSH) as push:
            await gateway.until_workers(1)
            push.connect(gateway.results)
            push.send(returns("one", epoch))
            push.send(returns("gone", epoch))
            push.send(returns("one", epoch - 1))  # its body is not asked for
            await gateway.until(lambda: gateway.embedded.status().dropped == {"epoch": 1})
            assert gateway.embedded.status().garbage == 2
            await gateway.append(1, padding=FROM_BYTES)
            await gateway.until_applied(1)
    assert gateway.figures.total == 1


async def test_a_lease_that_could_not_be_sent_takes_no_slot() -> None:
    room = WorkerRoom()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with tempfile.TemporaryDirectory() as directory:
        nobody = f"ipc://{directory}/worker.ipc"
        hello = Heartbeat("w", 1, nobody, os.getpid(), VERSION, 0, room.descriptor, room.nonce)
        link = PushLink(context, hello, window=3, on_up=lambda _: None, on_down=lambda _: None)
        content = bytes(FROM_BYTES)
        ways = {link.lease(LeaseHead(1, attempt, 1, 1), [content], len(content)) for attempt in range(SLOTS)}
        link.close()
    context.term()
    taken = os.fstat(room.descriptor).st_blocks * 512
    room.close()
    assert ways == {None}
    assert taken < 2 * FROM_BYTES  # it was the same slot each time


def said(gateway: Gateway, generation: int) -> bool:
    return generation in {hello.generation for hello in gateway.hellos}


async def test_a_worker_leaves_the_room_of_a_generation_that_is_over() -> None:
    before = rooms()
    with tempfile.TemporaryDirectory() as directory:
        results = f"ipc://{directory}/results.ipc"
        async with gateway_at(results) as gateway, worker_at(results) as worker:
            gateway.connect = False
            for generation in range(1, 6):
                await until(partial(said, gateway, generation))
                assert rooms() == before + 1
                os.unlink(worker.endpoint[len("ipc://") :])  # which it notices at its next heartbeat
        assert len({hello.room_nonce for hello in gateway.hellos}) >= 5
    assert rooms() == before


async def test_a_worker_that_hangs_over_a_shared_lease_is_given_up_and_another_one_does_it(tmp_path: Path) -> None:
    limits = Limits(deadline_seconds=0.7, second_unknown_seconds=60.0, lease_trades=1)
    async with EmbeddedGateway(tmp_path, limits=limits) as gateway:
        with gateway.worker("hung", "--hold", "beating", *PADDED):
            await gateway.append(HOLD, padding=FROM_BYTES)
            await gateway.until(lambda: bool(gateway.embedded.status().redelivered))
            with gateway.worker("other", *PADDED):
                await gateway.until_applied(1)
    assert gateway.figures.total == gateway.figures.applied * HOLD
