"""The embedded backbone with real sockets, a real journal and real worker processes."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import numpy as np
import numpy.typing as npt
import pytest
import zmq

from telemetry.backbone import Verdict
from telemetry.backbone.leases import Limits
from telemetry.backbone.record import Buffer, Take, anywhere
from telemetry.backbone.record_memory import BLOCK_BYTES
from telemetry.errors import Stop
from telemetry.wire import Heartbeat, Kind, encode
from tests.backbone.gateway import EmbeddedGateway, WorkerProcess
from tests.backbone.trades import HOLD, VERSION, Numbers

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def any_loop(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """uvloop, as in production; both loops where a test asks for it."""
    use_uvloop = bool(request.getfixturevalue("any_loop")) if "any_loop" in request.fixturenames else True
    return "asyncio", {"use_uvloop": use_uvloop}


async def test_every_trade_comes_back_exactly_once_from_two_workers(tmp_path: Path, any_loop: bool) -> None:
    async with EmbeddedGateway(tmp_path) as gateway:
        with gateway.worker("one"), gateway.worker("two"):
            for start in range(1, 3001, 10):
                await gateway.append(*range(start, start + 10))
            await gateway.until_applied(3000)
    assert gateway.figures.total == sum(range(1, 3001))


@dataclass(frozen=True)
class InMemory:
    """Numbers whose record is made in the journal's memory."""

    numbers: Numbers
    begins: list[int]  # where their records were made

    @property
    def count(self) -> int:
        return self.numbers.count

    def record_bytes(self, first_seq: int, synced_seq: int, take: Take = anywhere) -> Buffer:
        raw = self.numbers.record_bytes(first_seq, synced_seq)
        place = take(len(raw))
        place[:] = raw
        self.begins.append(np.frombuffer(place, np.uint8).ctypes.data)
        return place


async def test_a_record_whose_trades_are_accepted_gives_its_memory_to_the_next_ones(tmp_path: Path) -> None:
    begins: list[int] = []
    async with EmbeddedGateway(tmp_path) as gateway:
        with gateway.worker("one"):
            for value in range(1, 21):
                await gateway.embedded.append(InMemory(Numbers([value], 10_000), begins))
                await gateway.until_applied(value)
    assert gateway.figures.total == sum(range(1, 21))
    assert len(begins) == 20
    assert max(begins) - min(begins) < 40_000, "expected the memory of three records to be enough"


@dataclass(frozen=True)
class Watched(InMemory):
    """Numbers of whose record somebody keeps a column, and a copy to compare it with."""

    columns: list[tuple[npt.NDArray[np.uint8], bytes]]

    def record_bytes(self, first_seq: int, synced_seq: int, take: Take = anywhere) -> Buffer:
        place = super().record_bytes(first_seq, synced_seq, take)
        column = np.frombuffer(memoryview(place)[-8_000:], np.uint8)[7:]
        self.columns.append((column, column.tobytes()))
        return place


async def test_what_somebody_keeps_of_a_record_stays_as_it_is_when_its_trades_are_accepted(tmp_path: Path) -> None:
    begins: list[int] = []
    columns: list[tuple[npt.NDArray[np.uint8], bytes]] = []
    async with EmbeddedGateway(tmp_path) as gateway:
        with gateway.worker("one"):
            for value in range(1, 41):
                await gateway.embedded.append(Watched(Numbers([value] * 1000), begins, columns))
                await gateway.until_applied(1000 * value)
                del columns[value % 7 :]
                assert all(column.tobytes() == before for column, before in columns)
    assert gateway.figures.total == 1000 * sum(range(1, 41))
    assert len({begin // BLOCK_BYTES for begin in begins}) < 40, "expected the memory of what nobody keeps again"


async def test_within_one_callback_a_commit_is_heard_of_its_lease_goes_and_its_result_is_taken(
    tmp_path: Path, any_loop: bool
) -> None:
    """Reading all connections may take the event loop long; what others have done goes on meanwhile."""
    done = asyncio.Event()
    async with EmbeddedGateway(tmp_path) as gateway:
        with gateway.worker("one"):
            await gateway.append(1)
            await gateway.until_applied(1)
            found: list[int] = []

            def within_a_callback() -> None:
                give_up_at = monotonic() + 5
                while gateway.figures.applied < 2 and monotonic() < give_up_at:
                    gateway.embedded.hear()
                found.append(gateway.figures.applied)
                done.set()

            second = asyncio.create_task(gateway.append(2))
            asyncio.get_running_loop().call_soon(within_a_callback)
            await done.wait()
            assert found == [2]
            await second


async def test_within_a_task_nobody_else_goes_on(tmp_path: Path) -> None:
    async with EmbeddedGateway(tmp_path) as gateway:
        task = asyncio.create_task(gateway.append(1))
        await asyncio.sleep(0)  # it is with the journal's writer
        give_up_at = monotonic() + 0.1
        while monotonic() < give_up_at:
            gateway.embedded.hear()
        assert gateway.writer.journal.last_seq == 1
        assert not task.done()
        await task


async def test_over_loopback_tcp_as_well(tmp_path: Path) -> None:
    async with EmbeddedGateway(tmp_path, results="tcp://127.0.0.1:17391") as gateway:
        with gateway.worker("one"):
            await gateway.append(1, 2, 3)
            await gateway.until_applied(3)
    assert gateway.figures.total == 6


async def test_a_killed_worker_s_leases_are_with_another_one_within_a_second(tmp_path: Path) -> None:
    # Heartbeats and deadlines are far away: it is the connection that tells.
    slow = Limits(beat_seconds=60.0, deadline_seconds=60.0, second_unknown_seconds=60.0, lease_trades=1, window=2)
    async with EmbeddedGateway(tmp_path, limits=slow) as gateway:
        with gateway.worker("doomed", "--hold", "blocked") as doomed, gateway.worker("other") as other:
            await gateway.until_workers(2)
            await hold(gateway, "doomed")
            killed_at = monotonic()
            doomed.send_signal(signal.SIGKILL)
            await gateway.until_applied(gateway.embedded.status().durable_seq)
            seconds = monotonic() - killed_at
            assert not other.dead()
            assert gateway.embedded.status().redelivered == {"connection": 1}
    print(f"redelivered {seconds * 1000:.1f} ms after SIGKILL")
    assert seconds < 1.0
    assert gateway.figures.total == gateway.figures.applied * HOLD


async def hold(gateway: EmbeddedGateway, worker: str) -> None:
    """Append HOLD until `worker` holds a lease, and the other workers have returned theirs."""
    while not any(row.outstanding for row in gateway.embedded.status().workers if row.id == worker):
        await gateway.append(HOLD)
    await gateway.until(lambda: sum(row.outstanding for row in gateway.embedded.status().workers) == 1)


async def test_a_stopped_worker_s_leases_end_and_its_late_results_count_once(tmp_path: Path) -> None:
    limits = Limits(lease_trades=1, second_unknown_seconds=60.0)
    async with EmbeddedGateway(tmp_path, limits=limits) as gateway:
        with gateway.worker("sleeper") as sleeper, gateway.worker("other"):
            await gateway.until_workers(2)
            os.kill(sleeper.pid, signal.SIGSTOP)
            for value in range(1, 21):
                await gateway.append(value)
            await gateway.until_applied(20)
            await gateway.until_workers(1)  # three heartbeats missed
            os.kill(sleeper.pid, signal.SIGCONT)
            await gateway.until_workers(2)
            assert {w.id: w.generation for w in gateway.embedded.status().workers} == {"other": 1, "sleeper": 2}
            await gateway.append(21)
            await gateway.until_applied(21)
    assert gateway.figures.total == sum(range(1, 22))


async def test_a_worker_whose_heart_beats_while_its_lease_hangs_is_given_up_at_the_deadline(tmp_path: Path) -> None:
    limits = Limits(deadline_seconds=0.7, second_unknown_seconds=60.0, lease_trades=1)
    async with EmbeddedGateway(tmp_path, limits=limits) as gateway:
        with gateway.worker("hung", "--hold", "beating"):
            await gateway.append(HOLD)
            await gateway.until(lambda: bool(gateway.embedded.status().redelivered))
            assert gateway.embedded.status().redelivered == {"deadline": 1}
            with gateway.worker("other"):
                await gateway.until_applied(1)


async def test_a_stalled_worker_does_not_freeze_the_figures_for_a_whole_lease(tmp_path: Path) -> None:
    limits = Limits(beat_seconds=60.0, deadline_seconds=60.0, second_unknown_seconds=0.2, lease_trades=1)
    async with EmbeddedGateway(tmp_path, limits=limits) as gateway:
        with gateway.worker("stalled", "--hold", "blocked"), gateway.worker("other"):
            await gateway.until_workers(2)
            await hold(gateway, "stalled")
            await gateway.until_applied(gateway.embedded.status().durable_seq)
            assert gateway.embedded.status().redelivered == {"second": 1}


async def test_workers_find_a_restarted_gateway_by_themselves_and_its_new_epoch_counts_once(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as sockets:
        results = f"ipc://{sockets}/results.ipc"
        with WorkerProcess(results, "one", "--pause", "0.002") as worker:
            async with EmbeddedGateway(tmp_path, results=results, limits=Limits(lease_trades=1)) as gateway:
                for value in range(1, 201):
                    await gateway.append(value)
                await gateway.until_applied(20)
            before = gateway.figures
            async with EmbeddedGateway(
                tmp_path, results=results, applied=before.applied, total=before.total
            ) as successor:
                await successor.until_applied(200)
                assert [row.generation > 1 for row in successor.embedded.status().workers] == [True]
            assert not worker.dead()
    assert before.applied < 200
    assert successor.figures.total == sum(range(1, 201))


async def test_connections_that_are_reset_while_the_worker_lives_lose_nothing(tmp_path: Path) -> None:
    ss = shutil.which("ss")
    if ss is None:
        pytest.skip("ss (iproute2) is not installed")
    port = 17392
    slow = Limits(beat_seconds=60.0, deadline_seconds=60.0, second_unknown_seconds=60.0, second_floor_seconds=60.0)
    async with EmbeddedGateway(tmp_path, results=f"tcp://127.0.0.1:{port}", limits=slow) as gateway:
        with gateway.worker("one", "--pause", "0.001") as worker:
            await gateway.until_workers(1)
            resets = 0
            for value in range(1, 1001):
                await gateway.append(value)
                if value % 200 == 100:
                    resets += reset(ss, gateway, worker, port)
            if not resets:
                pytest.skip("this kernel or user may not reset connections (ss -K)")
            await gateway.until_applied(1000)
            assert not worker.dead()
            assert gateway.embedded.status().redelivered.keys() <= {"connection"}
    print(f"{resets} connections were reset")
    assert gateway.figures.total == sum(range(1, 1001))


def reset(ss: str, gateway: EmbeddedGateway, worker: WorkerProcess, results_port: int) -> int:
    """Reset every connection between gateway and worker; how many there were."""
    listening = subprocess.run([ss, "-Hltnp"], capture_output=True, text=True, check=True).stdout
    ports = {int(found) for found in re.findall(rf"127\.0\.0\.1:(\d+).*pid={worker.pid},", listening)} | {results_port}
    killed = 0
    for port in ports:
        query = [ss, "-HtnK", "state", "established", "dport", "=", f":{port}", "dst", "127.0.0.1"]
        killed += len(subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines())
    return killed


async def test_without_workers_trades_are_accepted_and_the_backlog_is_shown_and_done_when_one_comes(
    tmp_path: Path,
) -> None:
    async with EmbeddedGateway(tmp_path) as gateway:
        for value in range(1, 51):
            await gateway.append(value)
        status = gateway.embedded.status()
        assert (status.durable_seq, status.queued_trades, status.workers) == (50, 50, [])
        with gateway.worker("one"):
            await gateway.until_applied(50)
    assert gateway.figures.total == sum(range(1, 51))


async def test_a_worker_of_another_version_gets_no_lease_and_is_shown_as_such(tmp_path: Path) -> None:
    async with EmbeddedGateway(tmp_path) as gateway:
        with gateway.worker("old", "--version", "v0"):
            await gateway.append(1)
            await gateway.until_workers(1)
            (row,) = gateway.embedded.status().workers
            assert (row.version, row.version_ok, row.outstanding) == ("v0", False, 0)
            with gateway.worker("new"):
                await gateway.until_applied(1)
            assert {worker for worker, _, _ in gateway.figures.accepted_from} == {"new"}


async def test_what_the_aggregator_drops_comes_again(tmp_path: Path) -> None:
    async with EmbeddedGateway(tmp_path) as gateway:
        drops = iter([Verdict.OVERLAP, Verdict.UNDECODABLE])
        gateway.override = lambda partial: next(drops, None)
        with gateway.worker("one"):
            await gateway.append(1, 2, 3)
            await gateway.until_applied(3)
            assert gateway.embedded.status().dropped == {"overlap": 1, "undecodable": 1}
    assert gateway.figures.total == 6


async def test_a_lease_of_too_many_bytes_is_cut_after_a_whole_record(tmp_path: Path) -> None:
    async with EmbeddedGateway(tmp_path, lease_bytes=10_000) as gateway:
        for value in range(1, 11):
            await gateway.append(value, padding=4_000)
        with gateway.worker("one"):
            await gateway.until_applied(10)
    ranges = sorted((first, last) for _, first, last in gateway.figures.accepted_from)
    assert ranges == [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10)]


async def test_one_process_of_a_name_at_a_time_is_served(tmp_path: Path) -> None:
    async with EmbeddedGateway(tmp_path) as gateway:
        with gateway.worker("twin") as first:
            await gateway.until_workers(1)
            with gateway.worker("twin") as second:
                await gateway.until(lambda: gateway.embedded.status().garbage > 0)
                assert gateway.embedded.status().workers[0].pid == first.pid
                first.send_signal(signal.SIGKILL)
                await gateway.until(lambda: [row.pid for row in gateway.embedded.status().workers] == [second.pid])


async def test_garbage_on_the_results_socket_is_counted_and_disturbs_nobody(tmp_path: Path) -> None:
    async with EmbeddedGateway(tmp_path) as gateway:
        stranger = Heartbeat("stranger", 1, "tcp://192.0.2.1:9", 1, VERSION, 0)
        elsewhere = Heartbeat("stranger", 1, "ipc:///run/elsewhere.ipc", 1, VERSION, 0)
        with zmq.Context() as context, context.socket(zmq.PUSH) as push:
            push.connect(gateway.results)
            push.send(b"")
            push.send(b"\x80\x04K\x01.")
            push.send_multipart([encode(Kind.HEARTBEAT, stranger), b"two"])
            push.send(encode(Kind.HEARTBEAT, stranger))
            push.send(encode(Kind.HEARTBEAT, elsewhere))
            push.send(encode(Kind.HEARTBEAT, stranger)[:-1] + b"?")
            await gateway.until(lambda: gateway.embedded.status().garbage == 6)
        assert gateway.embedded.status().workers == []
        with gateway.worker("one"):
            await gateway.append(1)
            await gateway.until_applied(1)


async def test_a_cancelled_wait_for_results_loses_none(tmp_path: Path) -> None:
    async with EmbeddedGateway(tmp_path, limits=Limits(lease_trades=1)) as gateway:
        with gateway.worker("one"):
            for value in range(1, 101):
                await gateway.append(value)
                assert gateway._task is not None
                gateway._task.cancel()
                await asyncio.wait([gateway._task])
                gateway._task = asyncio.create_task(gateway._run())
            await gateway.until_applied(100)
    assert gateway.figures.total == sum(range(1, 101))


def segments(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.stat().st_size > 1024]


async def test_records_that_cannot_be_read_back_are_raised_where_results_are_awaited(tmp_path: Path) -> None:
    async with EmbeddedGateway(tmp_path, recent_bytes=0) as gateway:
        await gateway.append(1)
        for segment in segments(tmp_path):
            os.truncate(segment, 0)
        with gateway.worker("one"), pytest.raises(Stop):
            await gateway.until_applied(1)
        gateway._task = asyncio.create_task(asyncio.sleep(0))
