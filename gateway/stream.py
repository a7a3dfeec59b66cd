"""The WebSocket /v1/stream: subscriptions in, frames out. What to send is decided in live.py.

One task reads the client's commands, one writes. A client that does not read blocks only its own writer; after
SEND_SECONDS it is closed with 1013 and costs the others nothing meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Protocol

import msgspec
import numpy as np
import structlog

from gateway.app import Gateway
from gateway.live import EVENT_TOPICS, SUBSCRIPTIONS, Slot, Wanted, encode, frame
from gateway.websocket import REASON, TRY_AGAIN_LATER
from telemetry.backbone.record import Record
from telemetry.columns import decode_frame
from telemetry.errors import InvalidInput

HEARTBEAT_NS = 5_000_000_000
SEND_SECONDS = 20.0
CLOSE_SECONDS = 5.0
FRAME_TRADES = 500  # of an event frame
TURN_FRAMES = 20  # event frames of one subscription before the others of its connection have their turn
BEHIND_TRADES = 50_000  # a client that falls further behind is told a gap
POLICY_VIOLATION, INTERNAL_ERROR = 1008, 1011
MAX_COMMAND = 1 << 20
logger = structlog.get_logger("gateway")


class Socket(Protocol):
    """What is needed of a WebSocket connection."""

    async def accept(self) -> None: ...
    async def receive(self) -> Mapping[str, Any]: ...
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
        ending = _ending(outcomes, closed)
        if ending is not None:
            with suppress(TimeoutError, closed, RuntimeError):
                await asyncio.wait_for(socket.close(*ending), CLOSE_SECONDS)


def _ending(outcomes: Sequence[BaseException | None], closed: type[Exception]) -> tuple[int, str] | None:
    """Close code and reason, when it is not the client who has ended the connection."""
    reader, writer = outcomes
    if isinstance(writer, TimeoutError):
        return TRY_AGAIN_LATER, REASON
    if isinstance(reader, InvalidInput):
        return POLICY_VIOLATION, reader.detail[:120]
    for outcome in outcomes:
        if outcome is not None and not isinstance(outcome, (closed, asyncio.CancelledError)):
            logger.error("stream", error=repr(outcome))
            return INTERNAL_ERROR, "the gateway failed"
    return None


class _Connection:
    def __init__(self, gateway: Gateway, socket: Socket) -> None:
        self._gateway, self._socket = gateway, socket
        self._wake = asyncio.Event()
        self._answers: list[bytes] = []
        self.slots: dict[str, Slot] = {}

    async def read(self) -> None:
        """Take commands; a wrong one is answered with an error frame and changes nothing."""
        while (message := await self._socket.receive())["type"] != "websocket.disconnect":
            if len(self._answers) > 2 * SUBSCRIPTIONS:
                raise InvalidInput("expected the answers to be read, received more commands")
            text = message.get("text")
            try:
                if text is None:
                    raise InvalidInput("expected a text frame, received a binary one")
                self._obey(text)
            except (InvalidInput, msgspec.MsgspecError, RecursionError) as error:
                detail = error.detail if isinstance(error, InvalidInput) else str(error)
                self._answer({"type": "error", "id": _id_of(text), "detail": detail[:500]})

    def _obey(self, text: str) -> None:
        if len(text) > MAX_COMMAND:
            raise InvalidInput(f"expected a command of at most {MAX_COMMAND} characters, received {len(text)}")
        command = _commands.decode(text)
        if command.subscribe is not None:
            self._subscribe(command.subscribe)
        if command.unsubscribe is not None:
            slot = self.slots.pop(command.unsubscribe, None)
            if slot is None:
                raise InvalidInput(
                    f"unsubscribe: expected the id of a subscription, received {command.unsubscribe[:64]!a}"
                )
            self._gateway.live.unsubscribe([slot])
        if command.subscribe is None and command.unsubscribe is None:
            raise InvalidInput("expected subscribe or unsubscribe, received neither")

    def _subscribe(self, wanted: Wanted) -> None:
        if wanted.id in self.slots:
            raise InvalidInput(f"id: expected one not in use, received {wanted.id[:64]!a}")
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
            for event in islice(self._events(slot), TURN_FRAMES):
                await (self._send(event) if event else asyncio.sleep(0))
                if self.slots.get(slot.wanted.id) is not slot:
                    return  # unsubscribed meanwhile
            if slot.next_seq <= self._gateway.state.applied:
                self._wake.set()
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
        if slot.next_seq >= applied - FRAME_TRADES:
            slot.resuming = False
        elif slot.next_seq < applied - BEHIND_TRADES and not slot.resuming:
            missed = {"first": slot.next_seq, "last": applied - BEHIND_TRADES}
            slot.next_seq = missed["last"] + 1
            yield frame("gap", slot.wanted, missed["last"], encode(missed))
        for record in self._gateway.backbone.records(slot.next_seq, applied) if slot.next_seq <= applied else ():
            if record.count:
                yield from _frames(slot, record, min(applied, record.last_seq))


def _frames(slot: Slot, record: Record, last: int) -> Iterator[bytes]:
    """A record's trades from the cursor to `last`; the cursor stands behind what was given out."""
    columns = decode_frame(record.frame)
    symbols = set(slot.wanted.symbols)
    codes = [code for code, of in enumerate(columns.instruments) if of.symbol in symbols or "*" in symbols]
    wanted = np.isin(columns.instrument, codes)
    for first in range(slot.next_seq, last + 1, FRAME_TRADES):
        stop = min(last + 1, first + FRAME_TRADES)
        slot.next_seq = stop
        low, high = first - record.first_seq, stop - record.first_seq
        if wanted[low:high].any():
            rows = zip(range(first, stop), columns.slice(low, high).rows(), wanted[low:high].tolist(), strict=True)
            chosen = [{"seq": seq} | row for seq, row, is_in in rows if is_in]
            yield frame("update", slot.wanted, stop - 1, encode(chosen))
    yield b""  # a pause, also when there was nothing to send


def _id_of(text: str | None) -> str | None:
    """The id in a command that cannot be obeyed, as far as it can be read."""
    with suppress(msgspec.MsgspecError, RecursionError):
        command = msgspec.json.decode(text or "", type=dict[str, Any])
        of = command.get("subscribe")
        found = of.get("id") if isinstance(of, dict) else command.get("unsubscribe")
        return found[:64] if isinstance(found, str) else None
    return None
