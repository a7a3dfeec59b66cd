"""Sockets, endpoints and how each side notices the end of the other. Everything here is a real socket."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import msgspec
import pytest
import zmq

from telemetry.backbone import endpoints, sockets
from telemetry.backbone.links import PushLink, ResultsLink, WorkerLink, split_records
from telemetry.errors import InvalidInput, Stop
from telemetry.wire import Head, Heartbeat, Kind, LeaseHead, encode
from tests.backbone.trades import VERSION, Numbers, numbers_of

PATIENCE_SECONDS = 10.0
anyio = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="telemetry-") as name:
        yield Path(name)


@pytest.fixture(params=["ipc", "tcp"])
def results(request: pytest.FixtureRequest, directory: Path) -> str:
    return f"ipc://{directory}/results.ipc" if request.param == "ipc" else "tcp://127.0.0.1:17393"


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - what is waited for is another process's or thread's affair
            await asyncio.sleep(0.002)  # sleeps: looks again until the deadline above


class Gateway:
    """The gateway's end without a dispatcher: connects to whoever says hello."""

    def __init__(self, results: str) -> None:
        self.context: zmq.Context[sockets.Socket] = zmq.Context()
        self.hellos: list[Heartbeat] = []
        self.partials: list[tuple[Head, bytes]] = []
        self.links: list[PushLink] = []
        self.down: list[PushLink] = []
        self.connect = True
        self.results = ResultsLink(self.context, results, self._deliver)

    def _deliver(self, kind: Kind, head: Head, body: memoryview) -> None:
        if not isinstance(head, Heartbeat):
            self.partials.append((head, bytes(body)))
            return
        self.hellos.append(head)
        if self.connect and head.endpoint not in [link.hello.endpoint for link in self.links]:
            self.links.append(PushLink(self.context, head, window=3, on_up=lambda link: None, on_down=self.down.append))

    async def link(self, count: int = 1) -> PushLink:
        """The newest connection, once there have been `count` and it is up."""
        await until(lambda: len(self.links) >= count and self.links[count - 1].up)
        return self.links[count - 1]

    def close(self) -> None:
        for link in self.links:
            link.close()
        self.results.close()
        self.context.term()


@asynccontextmanager
async def gateway_at(results: str) -> AsyncIterator[Gateway]:
    gateway = Gateway(results)
    try:
        yield gateway
    finally:
        gateway.close()


def worker_at(results: str, name: str = "one") -> WorkerLink:
    return WorkerLink(results=results, worker=name, version=VERSION, beat_seconds=0.05)


def lease(attempt: int, *values: int) -> bytes:
    return encode(Kind.LEASE, LeaseHead(7, attempt, 1, len(values)), Numbers(values).record_bytes(1, 0))


@anyio
async def test_a_lease_arrives_with_its_records_and_a_message_comes_back(results: str) -> None:
    async with gateway_at(results) as gateway, worker_at(results) as worker:
        link = await gateway.link()
        assert link.send(lease(3, 5, 6, 7))
        received = await worker.receive()
        assert (received.epoch, received.attempt, received.first, received.last) == (7, 3, 1, 3)
        assert numbers_of(received) == [5, 6, 7]
        await worker.send(encode(Kind.LEASE, LeaseHead(7, 3, 1, 3), b"answer"))
        await until(lambda: gateway.partials)
        assert gateway.partials == [(LeaseHead(7, 3, 1, 3), b"answer")]


@anyio
async def test_leases_arrive_in_the_order_in_which_they_were_sent(results: str) -> None:
    async with gateway_at(results) as gateway, worker_at(results) as worker:
        link = await gateway.link()
        for attempt in range(1, 201):
            assert link.send(lease(attempt, attempt))
            assert (await worker.receive()).attempt == attempt


@anyio
async def test_no_message_of_a_burst_is_overlooked(results: str) -> None:
    # The descriptor is edge triggered: whoever stops reading too early waits for ever.
    async with gateway_at(results) as gateway, worker_at(results) as worker:
        await gateway.link()
        for number in range(5_000):
            await worker.send(encode(Kind.LEASE, LeaseHead(7, number, 1, 1)))
        await until(lambda: len(gateway.partials) == 5_000)
        assert [head.attempt for head, _ in gateway.partials if isinstance(head, LeaseHead)] == list(range(5_000))


@anyio
async def test_a_worker_that_cannot_send_waits_and_sends_when_the_gateway_is_there(results: str) -> None:
    async with worker_at(results) as worker:
        sending = asyncio.create_task(worker.send(encode(Kind.LEASE, LeaseHead(7, 1, 1, 1))))
        await asyncio.wait([sending], timeout=0.1)
        assert not sending.done()
        async with gateway_at(results) as gateway:
            await until(lambda: gateway.partials)
            await sending


@anyio
async def test_a_cancelled_receive_loses_no_lease(results: str) -> None:
    async with gateway_at(results) as gateway, worker_at(results) as worker:
        link = await gateway.link()
        for attempt in range(1, 21):
            waiting = asyncio.create_task(worker.receive())
            await asyncio.sleep(0)
            link.send(lease(attempt, 1))
            waiting.cancel()
            await asyncio.wait([waiting])
            assert (await worker.receive()).attempt == attempt


@anyio
async def test_hellos_come_again_and_again_and_say_who_is_there(results: str) -> None:
    async with gateway_at(results) as gateway, worker_at(results) as worker:
        await until(lambda: len(gateway.hellos) >= 3)
        said = {msgspec.structs.replace(hello, room=-1, room_nonce=b"") for hello in gateway.hellos}
        assert said == {Heartbeat("one", 1, worker.endpoint, os.getpid(), VERSION, 0)}


@anyio
async def test_a_busy_worker_says_hello_between_two_leases(results: str) -> None:
    async with gateway_at(results) as gateway, worker_at(results) as worker:
        link = await gateway.link()
        for attempt in range(1, 4):
            link.send(lease(attempt, 1))
        await worker.receive()
        await until(lambda: len(worker._leases) == 2)
        before = len(gateway.hellos)
        started = monotonic()
        while monotonic() < started + 0.2:  # an analysis: the loop stands still
            pass
        await worker.receive()
        while monotonic() < started + 0.4:
            pass
        await worker.receive()
        while len(gateway.hellos) == before:  # without giving the loop a turn
            assert monotonic() < started + PATIENCE_SECONDS
            gateway.results.drain()


@anyio
async def test_the_gateway_is_told_that_a_worker_is_gone_without_any_heartbeat_missed(results: str) -> None:
    async with gateway_at(results) as gateway:
        async with worker_at(results):
            link = await gateway.link()
        await until(lambda: link in gateway.down)  # a link knows of no deadline: only the connection can have told it
        assert not link.send(lease(1, 1))


@anyio
async def test_a_worker_whose_connection_drops_forgets_its_leases_and_begins_a_new_generation(results: str) -> None:
    async with gateway_at(results) as gateway, worker_at(results) as worker:
        link = await gateway.link()
        first_endpoint = worker.endpoint
        link.send(lease(1, 1))
        link.send(lease(2, 1))
        await until(lambda: len(worker._leases) == 2)
        link.close()
        again = await gateway.link(2)
        assert worker.generation == 2
        assert worker.endpoint != first_endpoint
        again.send(lease(3, 1))
        assert (await worker.receive()).attempt == 3


@anyio
async def test_a_worker_whose_way_back_drops_begins_a_new_generation_though_leases_still_reach_it(results: str) -> None:
    async with gateway_at(results) as gateway, worker_at(results) as worker:
        await gateway.link()
        gateway.results.close()
        await until(lambda: worker.generation == 2)
        await until(lambda: gateway.down)


@anyio
async def test_a_worker_finds_a_restarted_gateway_by_itself(results: str) -> None:
    async with worker_at(results) as worker:
        for start in (1, 2, 3):
            async with gateway_at(results) as gateway:
                (await gateway.link()).send(lease(start, 1))
                assert (await worker.receive()).attempt == start


@anyio
async def test_a_stranger_on_a_worker_s_endpoint_does_not_disturb_it(results: str) -> None:
    async with gateway_at(results) as gateway, worker_at(results) as worker:
        link = await gateway.link()
        with stranger(worker.endpoint) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
        with zmq.Context() as context, context.socket(zmq.PUSH) as push:
            push.connect(worker.endpoint)
            push.send(b"\x80\x04K\x01.")
            push.send_multipart([lease(9, 1), b"b"])
            push.send(encode(Kind.LEASE, LeaseHead(7, 1, 1, 1), b"no record"))
            await until(lambda: worker.garbage == 3)
            link.send(lease(1, 5))
            assert numbers_of(await worker.receive()) == [5]
            assert worker.generation == 1


def stranger(endpoint: str) -> socket.socket:
    if endpoint.startswith("ipc://"):
        raw = socket.socket(socket.AF_UNIX)
        raw.connect(endpoint[6:])
    else:
        raw = socket.create_connection(("127.0.0.1", int(endpoint.rpartition(":")[2])))
    return raw


@anyio
async def test_a_worker_whose_socket_was_cleaned_away_binds_a_new_one(directory: Path) -> None:
    async with worker_at(f"ipc://{directory}/results.ipc") as worker:
        os.unlink(worker.endpoint[6:])
        await until(lambda: worker.generation == 2)
        assert endpoints.exists(worker.endpoint)


@anyio
async def test_nothing_is_connected_to_that_is_not_there(directory: Path) -> None:
    async with gateway_at(f"ipc://{directory}/results.ipc") as gateway:
        gateway._deliver(
            Kind.HEARTBEAT, Heartbeat("x", 1, f"ipc://{directory}/none.ipc", 1, VERSION, 0), memoryview(b"")
        )
        await until(lambda: gateway.down)
        assert not gateway.links[0].up


@anyio
async def test_a_second_gateway_on_the_same_port_is_refused() -> None:
    async with gateway_at("tcp://127.0.0.1:17394"):
        with zmq.Context() as context, pytest.raises(InvalidInput, match="can be bound"):
            ResultsLink(context, "tcp://127.0.0.1:17394", lambda kind, head, body: None)


def test_every_socket_is_bounded_and_keeps_nothing_for_a_peer_that_is_gone() -> None:
    with zmq.Context() as context, sockets.make(context, zmq.PUSH, high_water_mark=4) as made:
        expected = {
            zmq.SNDHWM: 4,
            zmq.RCVHWM: 4,
            zmq.LINGER: 0,
            zmq.IMMEDIATE: 1,
            zmq.MAXMSGSIZE: sockets.MAX_MESSAGE_BYTES,
            zmq.HEARTBEAT_IVL: 1_000,
            zmq.HEARTBEAT_TIMEOUT: 3_000,
        }
        assert {option: made.getsockopt(option) for option in expected} == expected


@anyio
async def test_a_worker_that_does_not_read_is_sent_no_more_than_its_window_and_the_kernel_s_buffers(
    results: str,
) -> None:
    with zmq.Context() as context, context.socket(zmq.PULL) as pull:
        pull.setsockopt(zmq.RCVHWM, 1)
        pull.bind(endpoints.new_endpoint(results))
        hello = Heartbeat("one", 1, pull.getsockopt_string(zmq.LAST_ENDPOINT), 1, VERSION, 0)
        async with gateway_at(results) as gateway:
            gateway._deliver(Kind.HEARTBEAT, hello, memoryview(b""))
            link = await gateway.link()
            large = encode(Kind.LEASE, LeaseHead(7, 1, 1, 1), bytes(8 << 20))
            assert [link.send(large) for _ in range(12)][-1] is False


@anyio
async def test_closing_does_not_wait_for_a_worker_that_does_not_read(results: str) -> None:
    with zmq.Context() as context, context.socket(zmq.PULL) as pull:
        pull.setsockopt(zmq.RCVHWM, 1)
        pull.bind(endpoints.new_endpoint(results))
        hello = Heartbeat("one", 1, pull.getsockopt_string(zmq.LAST_ENDPOINT), 1, VERSION, 0)
        async with gateway_at(results) as gateway:
            gateway._deliver(Kind.HEARTBEAT, hello, memoryview(b""))
            link = await gateway.link()
            for _ in range(4):
                link.send(encode(Kind.LEASE, LeaseHead(7, 1, 1, 1), bytes(8 << 20)))
            closing_at = monotonic()
        assert monotonic() - closing_at < 1.0


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://0.0.0.0:5000",
        "tcp://*:5000",
        "tcp://192.0.2.1:5000",
        "tcp://[::]:5000",
        "tcp://example.org:5000",
        "tcp://127.0.0.1",
        "udp://127.0.0.1:5000",
        "ipc://@abstract",
        "ipc://relative/path",
        "inproc://here",
        "",
        "ipc:///" + 104 * "x",
    ],
)
def test_only_unix_sockets_and_the_loopback_interface_are_listened_to(endpoint: str) -> None:
    with pytest.raises(InvalidInput):
        endpoints.check_endpoint(endpoint)


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:5000", "tcp://127.9.9.9:1", "ipc:///run/telemetry/results.ipc"])
def test_unix_sockets_and_the_loopback_interface_are_accepted(endpoint: str) -> None:
    assert endpoints.check_endpoint(endpoint) == endpoint


def test_the_gateway_connects_only_to_workers_beside_its_own_socket() -> None:
    results = "ipc:///run/mine/results.ipc"
    assert endpoints.same_place("ipc:///run/mine/worker-1-a.ipc", results)
    assert not endpoints.same_place("ipc:///run/mine/../other/worker-1-a.ipc", results)
    assert not endpoints.same_place("tcp://127.0.0.1:5000", results)
    assert endpoints.same_place("tcp://127.0.0.1:5000", "tcp://127.0.0.1:6000")
    assert not endpoints.same_place("tcp://192.0.2.1:5000", "tcp://127.0.0.1:6000")


def test_the_default_endpoint_is_short_and_the_same_by_whatever_path_the_data_is_reached(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a" * 50] * 4)
    deep.mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(deep)
    assert endpoints.default_results(deep) == endpoints.default_results(link)
    assert endpoints.default_results(deep) != endpoints.default_results(tmp_path)
    endpoints.new_endpoint(endpoints.default_results(deep))


def test_the_directory_of_the_sockets_is_made_for_its_user_alone(directory: Path) -> None:
    endpoints.prepare(f"ipc://{directory}/new/results.ipc")
    assert (directory / "new").stat().st_mode & 0o777 == 0o700


def test_a_directory_that_others_may_write_to_is_refused(directory: Path) -> None:
    directory.chmod(0o777)
    with pytest.raises(Stop, match="nobody else may write"):
        endpoints.prepare(f"ipc://{directory}/results.ipc")


def test_a_link_to_a_directory_is_refused(directory: Path) -> None:
    (directory / "real").mkdir()
    (directory / "link").symlink_to(directory / "real")
    with pytest.raises(Stop, match="nobody else may write"):
        endpoints.prepare(f"ipc://{directory}/link/results.ipc")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_another_user_s_directory_is_refused(directory: Path) -> None:
    (directory / "theirs").mkdir()
    os.chown(directory / "theirs", 65534, 65534)
    with pytest.raises(Stop, match=f"directory of user {os.getuid()}"):
        endpoints.prepare(f"ipc://{directory}/theirs/results.ipc")


def test_sockets_of_killed_workers_are_removed_and_those_of_living_ones_are_not(directory: Path) -> None:
    dead, alive = directory / "worker-1-dead.ipc", directory / "worker-2-alive.ipc"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(dead))
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(alive))
        living.listen()
        endpoints.remove_stale(f"ipc://{directory}/results.ipc")
        assert not dead.exists()
        assert alive.exists()


@pytest.mark.parametrize("cut", [1, 40, 64, 100])
def test_records_whose_lengths_do_not_add_up_are_refused(cut: int) -> None:
    body = Numbers([1]).record_bytes(1, 0) + Numbers([2]).record_bytes(2, 0)
    assert [len(record) for record in split_records(memoryview(body))] == [128, 128]
    with pytest.raises(InvalidInput):
        split_records(memoryview(body[:-cut]))
