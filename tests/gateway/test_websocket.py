"""The direct way of the live stream: real sockets and the real protocol, around rows and ticks that a test sets."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import uvicorn
import uvloop
from starlette.websockets import WebSocket
from uvicorn.server import ServerState

from gateway.app import Clocks, Gateway
from gateway.latency import Latency
from gateway.live import SHARED_IDS, Live, View, Wanted
from gateway.stream import Stream
from gateway.streaming.connection import Connection
from gateway.streaming.websocket import PING_SECONDS, PONG_SECONDS, TRY_AGAIN_LATER, StreamProtocol

PATIENCE = 20.0
INTERVAL_MS = 20
NARROW = 1 << 14
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Impatient(StreamProtocol):
    """The protocol, which waits less long."""

    send_seconds = 0.5


class Frame(NamedTuple):
    """A WebSocket frame that was whole."""

    opcode: int
    data: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.data)
        return found


class Stand:
    """A stream on a port, and what its clients are told: `rows`, at every `tick`."""

    def __init__(self, protocol: type[StreamProtocol]) -> None:
        self.rows: dict[str, Any] = {"A": 0}
        self.asked = 0
        self.live = Live(self._view)
        self.state = SimpleNamespace(applied=7)
        self._now = 0
        clocks = Clocks(monotonic_ns=lambda: self._now)
        parts = SimpleNamespace(live=self.live, state=self.state, clocks=clocks, latency=Latency())
        self.gateway = cast(Gateway, parts)
        self.stream = Stream(self.gateway)
        config = uvicorn.Config(
            self._application,
            ws=protocol,
            ws_ping_interval=PING_SECONDS,
            ws_ping_timeout=PONG_SECONDS,
            ws_per_message_deflate=False,
            interface="asgi3",
            log_config=None,
            lifespan="off",
        )
        config.load()
        self.states = ServerState()
        self._protocol: Callable[[], StreamProtocol] = lambda: protocol(config, self.states, {})
        self.port = 0
        self.clients: list[Client] = []

    def _view(self, wanted: Wanted, _: object) -> View:
        self.asked += 1
        chosen = self.rows if "*" in wanted.symbols else {name: self.rows[name] for name in wanted.symbols}
        return View(dict(chosen))

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        await self.stream.serve(WebSocket(scope, receive, send))

    def tick(self) -> None:
        """An interval is over."""
        self.state.applied += 1
        self._now += INTERVAL_MS * 1_000_000
        self.live.tick(self.state.applied, self._now)

    async def client(self, buffer: int = 1 << 18) -> Client:
        """A new client, closed at the end; the kernel keeps so many bytes for it while it does not read."""
        self.clients.append(await Client.connect(self.port, buffer))
        return self.clients[-1]

    async def serve(self) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._protocol, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server


@asynccontextmanager
async def stand(protocol: type[StreamProtocol] = StreamProtocol) -> AsyncIterator[Stand]:
    made = Stand(protocol)
    server = await made.serve()
    try:
        yield made
    finally:
        server.close()
        for client in made.clients:
            client.close()
        await asyncio.gather(*made.states.tasks)


class Client:
    """A connection that reads only when told so."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._data = b""

    @classmethod
    async def connect(cls, port: int, buffer: int) -> Client:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, ("127.0.0.1", port))
        head = b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        key = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        await loop.sock_sendall(connection, head + key)
        client = cls(connection)
        while b"\r\n\r\n" not in client._data:
            await client._receive(1 << 16)
        client._data = client._data.partition(b"\r\n\r\n")[2]
        return client

    async def say(self, data: bytes, opcode: int = TEXT) -> None:
        head = bytes((0x80 | opcode, 0x80 | 126)) + struct.pack("!H", len(data))
        if opcode >= CLOSE:
            head = bytes((0x80 | opcode, 0x80 | len(data)))
        await asyncio.get_running_loop().sock_sendall(self._socket, head + bytes(4) + data)

    async def subscribe(self, name: str = "a", **fields: Any) -> None:
        """Subscribe and read until the snapshot."""
        wanted = {"id": name, "topic": "stats", "interval_ms": INTERVAL_MS} | fields
        await self.say(json.dumps({"subscribe": wanted}).encode())
        confirmed, snapshot = await self.next(), await self.next()
        assert (confirmed.json["type"], snapshot.json["type"]) == ("subscribed", "snapshot")

    async def next(self, size: int = 1 << 16) -> Frame:
        """The next frame, read in pieces of `size` bytes at most; the last one is CLOSE, then the end."""
        while (frame := self._frame()) is None:
            await self._receive(size)
        return frame

    async def update(self) -> dict[str, Any]:
        """The next update."""
        while (frame := await self.next()).json["type"] == "heartbeat":
            pass
        assert frame.json["type"] == "update"
        return frame.json

    async def rest(self) -> list[Frame]:
        """All that comes until the server closes; nothing may be left over."""
        found = []
        try:
            while True:
                found.append(await self.next())
        except EOFError:
            assert self._data == b"", "the last frame is whole"
        return found

    def close(self) -> None:
        self._socket.close()

    def _frame(self) -> Frame | None:
        data = self._data
        if len(data) < 2:
            return None
        assert data[0] & 0xF0 == 0x80, "whole messages, no extension"
        length, start = data[1], 2
        if length >= 126:
            start = 4 if length == 126 else 10
            if len(data) < start:
                return None
            length = int.from_bytes(data[2:start], "big")
        if len(data) < start + length:
            return None
        self._data = data[start + length :]
        return Frame(data[0] & 15, data[start : start + length])

    async def _receive(self, size: int) -> None:
        loop = asyncio.get_running_loop()
        part = await asyncio.wait_for(loop.sock_recv(self._socket, size), PATIENCE)
        if not part:
            raise EOFError
        self._data += part


async def until(condition: Callable[[], bool]) -> None:
    """Let others run until the condition holds."""
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came")


def run(test: Coroutine[Any, Any, None]) -> None:
    """On the event loop that the gateway has."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test)


def test_clients_of_one_channel_with_other_ids_get_the_same_rows_under_their_own_id() -> None:
    async def test() -> None:
        async with stand() as made:
            clients = {f"{number} é": await made.client() for number in range(2 * SHARED_IDS)}
            for name, client in clients.items():
                await client.subscribe(name)
            twin = await made.client()
            await twin.subscribe("0 é")
            for round_ in range(3):
                made.rows = {"A": round_ + 1, "B": "x" * 300}
                made.asked = 0
                made.tick()
                assert made.asked == 1
                found = {name: await client.update() for name, client in clients.items()}
                assert [update["id"] for update in found.values()] == list(clients)
                told = [update["data"]["symbols"] for update in found.values()]
                changed = made.rows if round_ == 0 else {"A": round_ + 1}
                assert told == [changed] * len(clients)
                assert await twin.update() == found["0 é"]

    run(test())


def test_who_stops_reading_is_skipped_then_closed_with_1013_while_the_others_go_on() -> None:
    async def test() -> None:
        async with stand(Impatient) as made:
            stalled, reader = await made.client(NARROW), await made.client()
            await stalled.subscribe()
            await reader.subscribe()
            ticks = 0
            while made.stream.clients == 2:
                ticks += 1
                made.rows["A"] = str(ticks) + "x" * 50_000
                made.tick()
                update = await reader.update()
                assert (update["skipped"], update["data"]["symbols"]) == (0, {"A": made.rows["A"]})
            frames = await stalled.rest()
            assert frames[-1].opcode == CLOSE
            assert struct.unpack_from("!H", frames[-1].data) == (TRY_AGAIN_LATER,)
            assert {frame.opcode for frame in frames[:-1]} == {TEXT}
            assert made.live.skipped > 0
            # What waits for one more tick is not skipped yet, and was never written.
            assert len(frames) - 1 + made.live.skipped + 1 == ticks
            made.rows["A"] = 0
            made.tick()
            assert (await reader.update())["data"]["symbols"] == {"A": 0}

    run(test())


def test_who_reads_again_gets_the_newest_and_is_told_how_many_it_missed() -> None:
    async def test() -> None:
        async with stand() as made:
            client = await made.client(NARROW)
            await client.subscribe()
            ticks = 0
            while made.live.skipped < 10:
                ticks += 1
                made.rows["A"] = str(ticks) + "x" * 50_000
                made.rows["B"] = made.rows.get("B", ticks)  # changes once
                made.tick()
                await asyncio.sleep(0)
            updates = [await client.update()]
            while updates[-1]["data"]["symbols"].get("A") != made.rows["A"]:
                updates.append(await client.update())
            assert len(updates) + sum(update["skipped"] for update in updates) == ticks
            seqs = [update["seq"] for update in updates]
            assert seqs == sorted(set(seqs))
            assert seqs[-1] == made.state.applied
            assert [update["skipped"] for update in updates].count(0) == len(updates) - 1
            made.rows["A"] = "again"
            made.tick()
            assert (await client.update())["skipped"] == 0

    run(test())


def test_updates_answers_and_pongs_never_cut_one_another_however_slowly_they_are_read() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)

    async def talk(client: Client, made: Stand) -> None:
        for number in range(300):
            await client.say(b"%d" % number, PING)
            if number % 3 == 0:
                await client.say(b"wrong")
            for name in made.rows:
                made.rows[name] = str(number) + "x" * dice.choice((1, 10, 60, 200, 70_000))
            made.tick()
            await asyncio.sleep(0)

    async def test() -> None:
        async with stand() as made:
            made.rows = {"A": 0, "B": 0, "C": 0}
            client = await made.client()
            for name in made.rows:
                await client.subscribe(name, symbols=[name])
            talking = asyncio.create_task(talk(client, made))
            frames: list[Frame] = []
            answers = 0
            while answers < 400:
                frames.append(await client.next(dice.choice((100, 5_000, 100_000))))
                answers += frames[-1].opcode == PONG or frames[-1].json["type"] == "error"
            await talking
            await client.say(struct.pack("!H", 1000), CLOSE)
            while frames[-1].opcode != CLOSE:
                made.rows["A"] += "y"
                made.tick()
                frames.append(await client.next())
            made.rows["A"] += "y"
            made.tick()
            assert await client.rest() == [], "nothing follows the closing frame"
            pongs = [int(frame.data) for frame in frames if frame.opcode == PONG]
            assert pongs == list(range(300))
            texts = [frame.json for frame in frames if frame.opcode == TEXT]
            assert {text["type"] for text in texts} <= {"update", "error", "heartbeat"}
            assert struct.unpack_from("!H", frames[-1].data) == (1000,), "the answer to the client's"
            for name in made.rows:
                seqs = [text["seq"] for text in texts if text.get("id") == name]
                assert len(seqs) > 1
                assert seqs == sorted(set(seqs))

    run(test())


class Paper:
    """The writing end of a connection that takes everything."""

    def __init__(self) -> None:
        self.room = True
        self.frames: list[bytes] = []
        self.write: Callable[[bytes], None] = self.frames.append

    def on_room(self, call: Callable[[], None]) -> None:
        """There always is."""

    def end(self, code: int, reason: str) -> None:
        raise AssertionError(f"{code} {reason}")


def test_while_a_tick_is_written_to_many_clients_others_have_their_turn() -> None:
    async def test() -> None:
        made = Stand(StreamProtocol)
        papers = [Paper() for _ in range(1000)]
        for paper in papers:
            connection = Connection(made.gateway, paper, made.stream._enqueue)
            wanted = Wanted(id="a", topic="stats", interval_ms=INTERVAL_MS)
            connection.slots["a"] = made.live.subscribe(wanted, connection._wake, seq=1, now_ns=0)
        await until(lambda: bool(papers[-1].frames))
        made.rows["A"] = 1
        slow = iter(range(0, 1 << 62, 100_000))  # every look at the clock takes it 0.1 ms further
        vars(made.gateway)["clocks"] = Clocks(monotonic_ns=lambda: next(slow))
        made.tick()
        written = [0]
        while written[-1] < len(papers):
            await asyncio.sleep(0)
            written.append(sum(len(paper.frames) - 1 for paper in papers))
        steps = [after - before for before, after in pairwise(written)]
        assert 1 <= max(steps) <= 21
        assert {paper.frames[1] for paper in papers} == {papers[0].frames[1]}
        assert all(paper.frames[1] is papers[0].frames[1] for paper in papers), "one frame for all, not copies"

    run(test())
