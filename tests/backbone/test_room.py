"""Memory that worker and gateway share: what is written is what is read, whoever is late, gone or not what he says."""

from __future__ import annotations

import os
import random
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from telemetry.backbone import memfd
from telemetry.backbone.room import (
    FROM_BYTES,
    HEAD_BYTES,
    LEASE_BYTES,
    NAME,
    NONCE_BYTES,
    ROOM_BYTES,
    SLOT_BYTES,
    SLOTS,
    GatewayRoom,
    WorkerRoom,
)
from telemetry.errors import InvalidInput
from telemetry.wire import Heartbeat, Place
from tests.backbone.trades import VERSION

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has memory without a name")


def hello_of(descriptor: int, nonce: bytes, pid: int | None = None) -> Heartbeat:
    return Heartbeat("w", 1, "ipc:///x", os.getpid() if pid is None else pid, VERSION, 0, descriptor, nonce)


def opened(room: WorkerRoom) -> GatewayRoom:
    found = GatewayRoom.opened(hello_of(room.descriptor, room.nonce))
    assert found is not None
    return found


@pytest.fixture
def worker() -> Iterator[WorkerRoom]:
    room = WorkerRoom()
    yield room
    room.close()


@pytest.fixture
def gateway(worker: WorkerRoom) -> GatewayRoom:
    return opened(worker)


def placed(gateway: GatewayRoom, attempt: int, content: bytes) -> Place:
    place = gateway.place(attempt, [content], len(content))
    assert place is not None
    return place


@pytest.mark.parametrize("pieces", [1, 7, 5_000])
def test_a_lease_is_read_where_it_was_written_and_its_partial_comes_back(
    worker: WorkerRoom, gateway: GatewayRoom, pieces: int
) -> None:
    lease = [secrets.token_bytes(100_000 // pieces) for _ in range(pieces)]
    place = gateway.place(1, lease, sum(map(len, lease)))
    assert place is not None
    records, answer = worker.lease(*place)
    assert bytes(records) == b"".join(lease)
    assert records.readonly
    partial = [secrets.token_bytes(len(piece)) for piece in lease]
    returned = answer.write(partial)
    assert returned is not None
    assert gateway.take(1, returned) == b"".join(partial)
    assert bytes(records) == b"".join(lease)  # the partial is behind them


def test_a_slot_is_one_attempts_until_its_partial_is_back(worker: WorkerRoom, gateway: GatewayRoom) -> None:
    """Leases are answered in any order, some much later than others; each is what it was until its answer is taken."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    held: dict[int, tuple[Place, bytes, memoryview]] = {}
    full = 0
    for attempt in range(1, 1_500):
        content = attempt.to_bytes(8, "little") * (FROM_BYTES // 8 + rng.randrange(200))
        place = gateway.place(attempt, [content], len(content))
        assert (place is None) == (len(held) == SLOTS)
        full += place is None
        if place is not None:
            held[attempt] = place, content, worker.lease(*place)[0]
        for _ in range(rng.choice((0, 0, 0, 1, 1, 2)) if held else 0):
            if held:
                answer(worker, gateway, held, rng)
        assert all(records == content for _, content, records in held.values())
    assert full > 10


def answer(
    worker: WorkerRoom, gateway: GatewayRoom, held: dict[int, tuple[Place, bytes, memoryview]], rng: random.Random
) -> None:
    attempt = rng.choice(list(held))
    place, _, _ = held.pop(attempt)
    partial = rng.randbytes(FROM_BYTES + rng.randrange(1000))
    if rng.random() < 0.2:
        gateway.release(attempt)  # it came in a message
        return
    returned = worker.lease(*place)[1].write([partial])
    assert returned is not None
    assert gateway.take(attempt, returned) == partial


def test_slots_are_used_again_before_others_are(worker: WorkerRoom, gateway: GatewayRoom) -> None:
    used = set()
    for attempt in range(100):
        used.add(placed(gateway, attempt, bytes(FROM_BYTES))[0])
        gateway.release(attempt)
    assert len(used) == 1
    assert os.fstat(worker.descriptor).st_blocks * 512 < 4 * FROM_BYTES  # of the 256 MiB


@pytest.mark.parametrize("size", [0, FROM_BYTES - 1, LEASE_BYTES + 1])
def test_what_is_small_or_does_not_fit_goes_in_the_message(gateway: GatewayRoom, size: int) -> None:
    assert gateway.place(1, [bytes(size)], size) is None


def test_a_partial_that_is_small_or_does_not_fit_goes_in_the_message(worker: WorkerRoom, gateway: GatewayRoom) -> None:
    _, answer = worker.lease(*placed(gateway, 1, bytes(LEASE_BYTES)))
    assert answer.write([bytes(FROM_BYTES - 1)]) is None
    assert answer.write([bytes(SLOT_BYTES - LEASE_BYTES), b"1"]) is None
    assert answer.write([bytes(SLOT_BYTES - LEASE_BYTES)]) is not None


def test_a_room_in_which_another_connection_has_written_is_left_alone(worker: WorkerRoom) -> None:
    # The worker may be at work on what the other one gave it, and not know yet that it is given up.
    first = opened(worker)
    content = secrets.token_bytes(FROM_BYTES)
    records, _ = worker.lease(*placed(first, 1, content))
    del first
    second = opened(worker)
    assert second.place(2, [bytes(FROM_BYTES)], FROM_BYTES) is None
    assert records == content


def test_a_room_that_was_opened_and_not_used_is_another_connection_s(worker: WorkerRoom) -> None:
    opened(worker)
    assert placed(opened(worker), 2, bytes(FROM_BYTES)) == (HEAD_BYTES, FROM_BYTES)


def test_a_partial_is_taken_once_and_of_its_own_attempt_only(worker: WorkerRoom, gateway: GatewayRoom) -> None:
    _, answer = worker.lease(*placed(gateway, 1, bytes(FROM_BYTES)))
    returned = answer.write([bytes(FROM_BYTES)])
    assert returned is not None
    with pytest.raises(InvalidInput, match="attempt 2"):
        gateway.take(2, returned)
    gateway.take(1, returned)
    with pytest.raises(InvalidInput, match="attempt 1"):
        gateway.take(1, returned)


@pytest.mark.parametrize("length", [-1, SLOT_BYTES - FROM_BYTES + 1, 1 << 70])
def test_a_partial_of_an_impossible_length_is_refused(gateway: GatewayRoom, length: int) -> None:
    placed(gateway, 1, bytes(FROM_BYTES))
    with pytest.raises(InvalidInput, match="in its slot"):
        gateway.take(1, (length, 0))


def test_a_partial_that_is_not_what_its_checksum_says_is_refused(worker: WorkerRoom, gateway: GatewayRoom) -> None:
    _, answer = worker.lease(*placed(gateway, 1, bytes(FROM_BYTES)))
    returned = answer.write([secrets.token_bytes(FROM_BYTES)])
    assert returned is not None
    with pytest.raises(InvalidInput, match="checksum"):
        gateway.take(1, (returned[0], returned[1] ^ 1))


@pytest.mark.parametrize("place", [(0, 64), (4096 + 64, 64), (4096, -1), (4096, LEASE_BYTES + 1), (ROOM_BYTES, 64)])
def test_a_worker_reads_nothing_but_slots(worker: WorkerRoom, place: Place) -> None:
    with pytest.raises(InvalidInput, match="slots"):
        worker.lease(*place)


def test_what_is_at_work_when_a_generation_ends_is_still_there_and_its_partial_goes_in_the_message() -> None:
    worker = WorkerRoom()
    gateway = opened(worker)
    content = secrets.token_bytes(FROM_BYTES)
    records, answer = worker.lease(*placed(gateway, 1, content))
    worker.close()
    worker.close()
    del gateway, worker
    assert records == content
    assert answer.write([bytes(FROM_BYTES)]) is None


def test_nothing_is_left_of_a_room_when_both_have_gone() -> None:
    before = rooms()
    worker = WorkerRoom()
    gateway = opened(worker)
    placed(gateway, 1, bytes(FROM_BYTES))
    assert rooms() == (before[0] + 2, before[1] + 3)  # a mapping keeps a descriptor of its own
    worker.close()
    del gateway, worker
    assert rooms() == before


def rooms() -> tuple[int, int]:
    """How many rooms are mapped by this process, and how many of its descriptors are rooms."""
    mapped = sum(NAME in line for line in Path("/proc/self/maps").read_text().splitlines())
    links = []
    for entry in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{entry}"))
        except FileNotFoundError:  # that of the listing itself
            continue
    return mapped, sum(NAME in link for link in links)


@contextmanager
def memory(size: int = ROOM_BYTES, seals: int = memfd.SEAL_SHRINK | memfd.SEAL_GROW) -> Iterator[int]:
    """The descriptor of what looks like a room, of zeros."""
    descriptor = memfd.create(NAME, size, seals)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


ZEROS = bytes(NONCE_BYTES)


def test_what_looks_like_a_room_is_opened() -> None:
    with memory() as descriptor:
        assert GatewayRoom.opened(hello_of(descriptor, ZEROS)) is not None


@pytest.mark.parametrize("size", [ROOM_BYTES - 4096, ROOM_BYTES + 4096, 0])
def test_a_room_of_another_size_is_not_opened(size: int) -> None:
    with memory(size) as descriptor:
        assert GatewayRoom.opened(hello_of(descriptor, ZEROS)) is None


@pytest.mark.parametrize("seals", [0, memfd.SEAL_SHRINK, memfd.SEAL_GROW])
def test_a_room_that_could_shrink_or_grow_is_not_opened(seals: int) -> None:
    with memory(seals=seals) as descriptor:
        assert GatewayRoom.opened(hello_of(descriptor, ZEROS)) is None


@pytest.mark.parametrize("nonce", [b"", b"\0", b"\1" * NONCE_BYTES, bytes(NONCE_BYTES + 1)])
def test_a_room_with_another_nonce_is_not_opened(nonce: bytes) -> None:
    with memory() as descriptor:
        assert GatewayRoom.opened(hello_of(descriptor, nonce)) is None


@pytest.mark.parametrize("pid", [0, -1, 1 << 30])
def test_a_room_of_a_process_that_is_not_there_is_not_opened(pid: int) -> None:
    with memory() as descriptor:
        assert GatewayRoom.opened(hello_of(descriptor, ZEROS, pid)) is None


def make_file(path: Path) -> None:
    path.write_bytes(bytes(4096))
    os.truncate(path, ROOM_BYTES)


@pytest.mark.parametrize("make", [make_file, os.mkfifo], ids=["file", "fifo"])
def test_a_descriptor_of_something_else_is_not_opened(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / NAME)
    descriptor = os.open(tmp_path / NAME, os.O_RDWR)  # opening a fifo to read it would wait for a writer
    try:
        assert GatewayRoom.opened(hello_of(descriptor, ZEROS)) is None
    finally:
        os.close(descriptor)
    assert GatewayRoom.opened(hello_of(descriptor, ZEROS)) is None


OLD_PYTHON = """
import fcntl, os
for module, names in ((os, ("memfd_create", "MFD_CLOEXEC", "MFD_ALLOW_SEALING")),
                      (fcntl, ("F_ADD_SEALS", "F_GET_SEALS", "F_SEAL_SHRINK", "F_SEAL_GROW"))):
    for name in names:
        delattr(module, name)
from telemetry.backbone.room import FROM_BYTES, GatewayRoom, WorkerRoom
from telemetry.wire import Heartbeat
worker = WorkerRoom()
assert not os.get_inheritable(worker.descriptor)
gateway = GatewayRoom.opened(Heartbeat("w", 1, "ipc:///x", os.getpid(), "v", 0, worker.descriptor, worker.nonce))
place = gateway.place(1, [b"a" * FROM_BYTES], FROM_BYTES)
print(len(worker.lease(*place)[0]))
"""


def test_there_are_rooms_where_python_was_built_on_a_system_without_them() -> None:
    found = subprocess.run([sys.executable, "-c", OLD_PYTHON], capture_output=True, text=True, timeout=60)
    assert (found.stdout, found.stderr) == (f"{FROM_BYTES}\n", "")
