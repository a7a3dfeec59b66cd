"""The WebSocket /v1/stream: subscriptions in, frames out. What to send is decided in live.py.

One task reads the client's commands, one writes. A client that does not read blocks only its own writer; after
SEND_SECONDS it is closed with 1013 and costs the others nothing meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Protocol

import msgspec

from gateway.app import Gateway
from gateway.live import EVENT_TOPICS, SUBSCRIPTIONS, Slot, Wanted, encode, frame
from telemetry.columns import decode_frame
from telemetry.errors import InvalidInput

HEARTBEAT_NS = 5_000_000_000
SEND_SECONDS = 20.0
CLOSE_SECONDS = 5.0
FRAME_TRADES = 500  # of an event frame
BEHIND_TRADES = 50_000  # a client further behind is told a gap
TRY_AGAIN_LATER = 1013
MAX_COMMAND = 1 << 20


class Socket(Protocol):
    """What is needed of a WebSocket connection."""

    async def accept(self) -> None: ...
    async def receive_text(self) -> str: ...
    async def send_text(self, data: str) -> None: ...
    async def close(self, code: int = 1000, reason: str | None = None) -> None: ...


class _Command(msgspec.Struct, forbid_unknown_fields=True):
    subscribe: Wanted | None = None
    unsubscribe: str | None = None


_commands = msgspec.json.Decoder(_Command)


class Stream:
    """All connections of /v1/stream."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.clients = 0

    async def serve(self, socket: Socket, closed: type[Exception]) -> None:
        """Serve one connection until it ends; `closed` is what the socket raises when the client has gone."""
        await socket.accept()
        connection = _Connection(self._gateway, socket)
        self.clients += 1
        writer = asyncio.create_task(connection.write(), name="stream-writer")
        reader = asyncio.create_task(connection.read(), name="stream-reader")
        try:
            await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.clients -= 1
            self._gateway.live.unsubscribe(connection.slots.values())
            for task in (reader, writer):
                task.cancel()
            outcomes = await asyncio.gather(reader, writer, return_exceptions=True)
        if isinstance(outcomes[1], TimeoutError):
            with suppress(TimeoutError, closed, RuntimeError):
                await asyncio.wait_for(socket.close(TRY_AGAIN_LATER, "the client does not read"), CLOSE_SECONDS)


class _Connection:
    def __init__(self, gateway: Gateway, socket: Socket) -> None:
        self._gateway, self._socket = gateway, socket
        self._wake = asyncio.Event()
        self._answers: list[bytes] = []
        self.slots: dict[str, Slot] = {}

    async def read(self) -> None:
        """Take commands; a wrong one is answered with an error frame and changes nothing."""
        while True:
            text = await self._socket.receive_text()
            if len(self._answers) > 2 * SUBSCRIPTIONS:
                raise InvalidInput("expected the answers to be read, received more commands")
            try:
                self._obey(text)
            except (InvalidInput, msgspec.MsgspecError) as error:
                detail = error.detail if isinstance(error, InvalidInput) else str(error)
                self._answer({"type": "error", "id": None, "detail": detail[:500]})

    def _obey(self, text: str) -> None:
        if len(text) > MAX_COMMAND:
            raise InvalidInput(f"expected a command of at most {MAX_COMMAND} characters, received {len(text)}")
        command = _commands.decode(text)
        if command.subscribe is not None:
            self._subscribe(command.subscribe)
        if command.unsubscribe is not None:
            slot = self.slots.pop(command.unsubscribe, None)
            if slot is None:
                raise InvalidInput(f"unsubscribe: expected the id of a subscription, received {command.unsubscribe!r}")
            self._gateway.live.unsubscribe([slot])
        if command.subscribe is None and command.unsubscribe is None:
            raise InvalidInput("expected subscribe or unsubscribe, received neither")

    def _subscribe(self, wanted: Wanted) -> None:
        if wanted.id in self.slots:
            raise InvalidInput(f"id: expected one not in use, received {wanted.id[:64]!r}")
        if len(self.slots) >= SUBSCRIPTIONS:
            raise InvalidInput(f"expected at most {SUBSCRIPTIONS} subscriptions, received one more")
        seq, now_ns = self._gateway.state.applied, self._gateway.clocks.monotonic_ns()
        self._answer({"type": "subscribed", "id": wanted.id, "topic": wanted.topic, "seq": seq})
        try:
            self.slots[wanted.id] = self._gateway.live.subscribe(wanted, self._wake, seq=seq, now_ns=now_ns)
        except InvalidInput:
            self._answers.pop()
            raise

    def _answer(self, answer: dict[str, Any]) -> None:
        self._answers.append(encode(answer))
        self._wake.set()

    async def write(self) -> None:
        """Send what there is, and a heartbeat every five seconds. TimeoutError: nobody reads."""
        clock = self._gateway.clocks.monotonic_ns
        beat_ns = clock() + HEARTBEAT_NS
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(0.0, (beat_ns - clock()) / 1e9))
            if clock() >= beat_ns:
                beat_ns = clock() + HEARTBEAT_NS
                self._answers.append(b'{"type":"heartbeat","seq":%d}' % self._gateway.state.applied)
            self._wake.clear()
            answers, self._answers = self._answers, []
            for answer in answers:
                await self._send(answer)
            for slot in list(self.slots.values()):
                await self._serve(slot)

    async def _serve(self, slot: Slot) -> None:
        if slot.wanted.topic in EVENT_TOPICS:
            for event in self._events(slot):
                await self._send(event)
        elif (answer := slot.take()) is not None:
            await self._send(answer)
            clock = self._gateway.clocks.monotonic_ns
            self._gateway.latency.stages["publish"].add(max(0, clock() - slot.published_ns), 1, clock())

    async def _send(self, data: bytes) -> None:
        async with asyncio.timeout(SEND_SECONDS):
            await self._socket.send_text(data.decode())

    def _events(self, slot: Slot) -> Iterator[bytes]:
        """Frames of the trades from the slot's cursor to the applied one; loss is told by a gap, never silent."""
        applied = self._gateway.state.applied
        if not slot.started:
            slot.started = True
            yield frame("snapshot", slot.wanted, slot.next_seq - 1, b"[]")
        if slot.next_seq < applied - BEHIND_TRADES:
            missed = {"first": slot.next_seq, "last": applied - BEHIND_TRADES}
            slot.next_seq = missed["last"] + 1
            yield frame("gap", slot.wanted, missed["last"], encode(missed))
        while slot.next_seq <= applied:
            last = min(applied, slot.next_seq + FRAME_TRADES - 1)
            rows = list(self._trades(slot.wanted, slot.next_seq, last))
            slot.next_seq = last + 1
            if rows:
                yield frame("update", slot.wanted, last, encode(rows))

    def _trades(self, wanted: Wanted, first: int, last: int) -> Iterator[dict[str, Any]]:
        for record in self._gateway.backbone.records(first, last):
            if not record.count:
                continue
            low, high = max(first, record.first_seq), min(last, record.last_seq)
            columns = decode_frame(record.frame).slice(low - record.first_seq, high - record.first_seq + 1)
            for seq, row in enumerate(columns.rows(), low):
                if "*" in wanted.symbols or row["symbol"] in wanted.symbols:
                    yield {"seq": seq} | row
