"""Trouble of every kind: no workers, no room, a disk that fails, a damaged journal, a trade that kills workers."""

from __future__ import annotations

import pickle
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import zmq

from telemetry.backbone.endpoints import default_results
from telemetry.backbone.segments import SEGMENT_HEADER_BYTES
from telemetry.statistics import VERSION
from telemetry.wire import Heartbeat, Kind, PartialHead, encode
from tests.e2e.desk import Desk, trade, until

ODD_WORKER = (sys.executable, "-m", "tests.e2e.odd_worker")
SMALL_SEGMENT = 65_536
RESUME_SECONDS = 5.0
MIDDLE_SEGMENT, MIDDLE_SYNC = 1 << 20, 100  # preparing such a segment takes fewer syncs
SLOW_SECONDS = 0.3


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path) as desk:
        yield desk


def batch(start: int, count: int = 100, **fields: object) -> list[dict[str, object]]:
    return [trade(number, trade_id=f"t{number}", **fields) for number in range(start, start + count)]


def reasons(desk: Desk) -> str:
    answer = desk.get("/readyz")
    assert answer.status in (200, 503)
    return "" if answer.status == 200 else str(answer.body["detail"])


def test_without_workers_trades_are_taken_up_to_the_bound_and_workers_catch_up(desk: Desk) -> None:
    desk.start_gateway(backlog_trades=1000)
    assert "no worker" in reasons(desk)
    for start in range(0, 1000, 100):
        assert desk.post(batch(start)).status == 202
    refused = desk.post(batch(1000))
    assert refused.status == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert "are workers running?" in refused.body["detail"]
    assert desk.get("/healthz").status == 200
    fresh = desk.freshness()
    assert (fresh["durable_seq"], fresh["as_of_seq"], fresh["backlog"]) == (1000, 0, 1000)
    desk.start_workers(2)
    desk.until_applied(1000)
    assert reasons(desk) == ""
    assert desk.post(batch(1000), wait=True).status == 202
    assert desk.stats()["totals"]["trades"] == 1100


@contextmanager
def small_disk(directory: Path, size: str) -> Iterator[Path]:
    """A file system of its own with so much room; the test is skipped where none can be mounted."""
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(directory)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def test_a_full_disk_refuses_keeps_what_was_acknowledged_and_resumes_by_itself(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk, Desk(tmp_path, data=disk / "data") as desk:
        desk.start_gateway(segment_bytes=SMALL_SEGMENT, snapshot_seconds=1000)
        desk.start_workers(1)
        ballast = disk / "ballast"
        with ballast.open("wb") as stream:
            stream.write(bytes(shutil.disk_usage(disk).free - 4096))
        acked = 0
        while (answer := desk.post(batch(acked))).status == 202:
            acked += 100
            assert acked < 20_000
        assert answer.status == 503
        assert "retry-after" in answer.headers
        assert "no room" in answer.body["detail"]
        assert "no room" in reasons(desk)
        desk.until_applied(acked)
        assert desk.stats()["totals"]["trades"] == acked
        assert desk.post(batch(acked)).status == 503
        ballast.unlink()
        freed = time.monotonic()
        until(lambda: reasons(desk) == "", "it is ready again", RESUME_SECONDS)
        assert desk.post(batch(acked), wait=True).status == 202
        assert time.monotonic() - freed < RESUME_SECONDS
        assert desk.stats()["totals"]["trades"] == acked + 100
        desk.audit()


def injecting(fault: str) -> tuple[str, ...]:
    """What is put before a command so that its syncs fail or are slow."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed (Debian: apt-get install strace)")
    # -D: the gateway stays our child. `when` counts in each thread: only the one that appends comes so far.
    inject = f"inject=fdatasync:{fault}:when={MIDDLE_SYNC}+"
    return (strace, "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", inject)


def test_no_answer_comes_before_the_sync_has_returned(desk: Desk) -> None:
    desk.start_gateway(*injecting(f"delay_exit={round(SLOW_SECONDS * 1e6)}"), segment_bytes=MIDDLE_SEGMENT)
    slow = 0
    for number in range(2 * MIDDLE_SYNC):
        started = time.monotonic()
        assert desk.post(batch(number, 1)).status == 202
        waited = time.monotonic() - started >= SLOW_SECONDS
        assert waited or not slow
        slow += waited
        if slow == 3:
            break
    assert slow == 3


def test_a_failing_sync_is_final_nothing_is_acknowledged_after_it_and_a_restart_has_it_all(desk: Desk) -> None:
    gateway = desk.start_gateway(*injecting("error=EIO"), segment_bytes=MIDDLE_SEGMENT)
    acked: list[dict[str, object]] = []
    after: list[int] = []
    for start in range(0, 2000, 10):
        try:
            answer = desk.post(batch(start, 10))
        except httpx.TransportError:
            break
        if answer.status == 202:
            assert not after
            acked += batch(start, 10)
        else:
            after.append(answer.status)
    assert set(after) <= {503}
    assert len(acked) >= 10
    assert gateway.wait(10.0) not in (0, None)
    assert "Input/output error" in gateway.log.read_text("utf-8")
    desk.start_gateway()
    desk.start_workers(1)
    assert desk.post(acked, wait=True).body["duplicates"] == len(acked)
    assert desk.stats()["totals"]["trades"] - len(acked) in (0, 10)  # the commit that failed may be on disk
    desk.audit()


class Malicious:
    """What a pickle can do to those who read it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def test_pickles_and_garbage_at_the_results_endpoint_are_counted_and_break_nothing(desk: Desk, tmp_path: Path) -> None:
    desk.start_gateway()
    desk.start_workers(1)
    desk.post(batch(0), wait=True)
    before = desk.stats()
    rng = random.Random(20)
    head = PartialHead(1, 1, 101, 200, "stranger", 1, VERSION, 100, 0, 0, 0)
    partial = encode(Kind.PARTIAL, head, rng.randbytes(400))
    flipped = bytes([*partial[:-1], partial[-1] ^ 1])  # as good as `partial` but for its checksum
    hello = Heartbeat("stranger", 1, "ipc:///tmp/somewhere-else/socket.ipc", 1, VERSION, 0)
    garbage = [pickle.dumps(Malicious(tmp_path / "touched")), b"", b"\0", partial[:30], flipped]
    garbage += [rng.randbytes(rng.randrange(1, 2000)) for _ in range(100)]
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.connect(default_results(desk.data))
        for message in (*garbage, encode(Kind.HEARTBEAT, hello), partial):
            push.send(message)
        push.send_multipart([b"a", partial])

        def dropped() -> dict[str, float]:
            return desk.counter("telemetry_partials_dropped_total")

        # The message of two frames and the address of a stranger are garbage too.
        until(lambda: dropped().get('reason="garbage"', 0) >= len(garbage) + 2, "all of it is counted")
        until(lambda: dropped().get('reason="epoch"'), "what only looks right is dropped")
    assert not (tmp_path / "touched").exists()
    assert desk.stats() == before
    assert desk.post(batch(100), wait=True).body["applied"]
    assert desk.audit().trades == 200


def segment_of(desk: Desk) -> Path:
    return desk.data / "journal" / "journal-00000001.segment"


def filled(desk: Desk) -> list[int]:
    """A journal of ten records at rest; their offsets."""
    gateway = desk.start_gateway()
    desk.start_workers(1)
    for start in range(0, 1000, 100):
        desk.post(batch(start), wait=True)
    assert gateway.drain() == 0
    content = segment_of(desk).read_bytes()
    offsets, place = [], SEGMENT_HEADER_BYTES
    while (place := content.find(b"TTRECORD", place)) >= 0:
        offsets.append(place)
        place += 1
    assert len(offsets) == 10
    return offsets


def overwrite(path: Path, place: int, content: bytes) -> None:
    with path.open("r+b") as stream:
        stream.seek(place)
        stream.write(content)


def test_a_torn_tail_is_cut_and_reported_and_the_rest_is_served(desk: Desk) -> None:
    offsets = filled(desk)
    overwrite(segment_of(desk), offsets[-1] + 1000, b"\xff" * 64)
    gateway = desk.start_gateway()
    (report,) = gateway.events("journal")
    assert (report["trades"], report["torn_offset"]) == (900, offsets[-1])
    assert report["torn_bytes"] > 0
    desk.until_applied(900)
    assert desk.stats()["totals"]["trades"] == 900
    assert desk.post(batch(900), wait=True).body["accepted"] == 100
    desk.audit()


def test_damage_in_the_middle_is_named_and_refused(desk: Desk) -> None:
    offsets = filled(desk)
    overwrite(segment_of(desk), offsets[4] + 1000, b"\xff" * 64)
    gateway = desk.start_gateway(wait=False)
    assert gateway.wait() == 1
    said = gateway.log.read_text("utf-8")
    assert f"damaged at offset {offsets[4]}: trades 401 to 500 are missing" in said
    assert "Traceback" not in said


def poisoned(desk: Desk) -> list[dict[str, Any]]:
    """Workers that die on a marked trade, started again whenever they do; until everything is applied."""
    started = [desk.start_worker(*ODD_WORKER, "die", "POISON") for _ in range(2)]

    def done() -> bool:
        for number, worker in enumerate(started):
            if worker.code is not None:
                started[number] = desk.start_worker(*ODD_WORKER, "die", "POISON")
        fresh = desk.freshness()
        return bool(fresh["as_of_seq"] == fresh["durable_seq"])

    until(done, "everything is applied but the poison")
    rows: list[dict[str, Any]] = desk.get("/v1/workers").body["workers"]
    return rows


def test_a_trade_that_kills_workers_is_found_quarantined_and_left_out_and_the_others_go_on(desk: Desk) -> None:
    desk.start_gateway()
    sent = batch(0, 8)
    sent[5] |= {"symbol": "POISON"}
    assert desk.post(sent).status == 202
    poisoned(desk)
    fresh = desk.freshness()
    assert (fresh["as_of_seq"], fresh["quarantined"]) == (8, [6])
    stats = desk.stats()
    assert stats["totals"]["trades"] == 7
    assert stats["quarantined"] == [6]
    assert "POISON" not in stats["symbols"]
    assert desk.counter("telemetry_quarantined_total") == {"": 1.0}
    assert desk.post(batch(8, 10), wait=True).status == 202
    report = desk.audit()
    assert (report.quarantined, report.trades) == ([6], 17)
    assert desk.gateway is not None
    assert desk.gateway.drain() == 0
    desk.start_gateway()
    assert desk.freshness()["quarantined"] == [6]
