"""The WebSocket /v1/ingest: frames of trades in, acknowledgements out. What a POST is there, a frame is here.

Two tasks per connection, none per frame. The reader decodes a frame and puts it in the open commit group, and goes on
with the next one while the disk is at work; the writer answers in the order of the frames, all that a commit has made
ready in one go. Between the two stand at most CREDIT frames: when they are not answered yet, or nobody reads the
answers, the reader stops, the socket's buffers fill and the sender waits. Nothing is dropped.

    frame ──▶ admit, decode, put ──▶ unanswered (CREDIT) ──▶ its commit is on disk ──▶ ack

Bounds: the trades of unanswered frames are in the intake, which has its own bound; a connection holds besides them its
receipts, one frame that is being read (MAX_BYTES) and what arrived with it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from itertools import takewhile
from typing import Any, Protocol

import structlog

from gateway.app import Gateway
from gateway.ingest import MEDIA, decoded, measure_client, problem
from gateway.ingestion.group import Receipt
from gateway.reading.parameters import only
from gateway.streaming.connection import Outlet
from gateway.streaming.frames import encode, text_frame
from gateway.streaming.websocket import OUTLET, REASON, TRY_AGAIN_LATER
from telemetry.decode import AnyMedia, Decoder
from telemetry.decode_reference import MAX_TRADES
from telemetry.errors import InvalidInput, TelemetryError
from telemetry.times import stamp

CREDIT = 64  # unanswered frames of a connection: 30,000 a second when the disk takes 2 ms, and few to send again
MAX_BYTES = 1 << 20  # of a message; the server closes with 1009 above it
SEND_SECONDS = 10.0  # for a client to take its answers; who keeps to its credit has 10 KB of them at most
CLOSE_SECONDS = 5.0
FINISH_SECONDS = 3.0  # at the end, for the answers to what was taken
POLICY_VIOLATION, INTERNAL_ERROR, SERVICE_RESTART = 1008, 1011, 1012
TEXTS: Mapping[str, AnyMedia] = {name: media for name, media in MEDIA.items() if media != "arrow"}
WELCOME = encode({"type": "welcome", "credit": CREDIT, "max_bytes": MAX_BYTES, "max_trades": MAX_TRADES}).decode()
logger = structlog.get_logger("gateway")

_Outcome = tuple[int, int, Receipt | TelemetryError]  # number of the frame, when it came, what became of it so far


class Socket(Protocol):
    """What is needed of a WebSocket connection; its scope has the extension that writes frames (websocket.py)."""

    scope: MutableMapping[str, Any]

    async def accept(self) -> None: ...
    async def receive(self) -> Mapping[str, Any]: ...
    async def send_text(self, data: str) -> None: ...
    async def close(self, code: int = 1000, reason: str | None = None) -> None: ...


class Feed:
    """All connections of /v1/ingest."""

    def __init__(self, gateway: Gateway, decoder: Decoder) -> None:
        self._gateway, self._decoder = gateway, decoder
        self._connections: dict[_Connection, asyncio.Event] = {}

    async def serve(self, socket: Socket, closed: type[Exception], parameters: Sequence[tuple[str, str]]) -> None:
        """Serve one connection until it ends; `closed` is what the socket raises when the client has gone."""
        await socket.accept()
        try:
            media = _media(parameters)
        except InvalidInput as error:
            self._gateway.refuse(error.problem)
            await _close(socket, closed, POLICY_VIOLATION, error.detail[:120])
            return
        connection = _Connection(self._gateway, self._decoder, socket, media)
        if self._gateway.draining:
            connection.stop()
        gone = self._connections[connection] = asyncio.Event()
        try:
            ending = await connection.run(closed)
            if ending is not None:
                await _close(socket, closed, *ending)
        finally:
            del self._connections[connection]
            gone.set()

    async def finish(self) -> None:
        """Read no more, answer what was taken, close."""
        waiting = [asyncio.ensure_future(gone.wait()) for gone in self._connections.values()]
        for connection in self._connections:
            connection.stop()
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=FINISH_SECONDS)
            for task in late:
                task.cancel()


def _media(parameters: Sequence[tuple[str, str]]) -> AnyMedia:
    """What text frames are, from `media=application/x-ndjson`."""
    only(parameters, "media")
    given = dict(parameters).get("media", "application/json")
    if (media := TEXTS.get(given)) is None:
        raise InvalidInput(f"media: expected one of {', '.join(TEXTS)}, received {given[:40]!a}")
    return media


async def _close(socket: Socket, closed: type[Exception], code: int, reason: str) -> None:
    with suppress(TimeoutError, closed, RuntimeError):
        await asyncio.wait_for(socket.close(code, reason), CLOSE_SECONDS)


class _Connection:
    def __init__(self, gateway: Gateway, decoder: Decoder, socket: Socket, media: AnyMedia) -> None:
        self._gateway, self._decoder, self._socket, self._media = gateway, decoder, socket, media
        self._outlet: Outlet = socket.scope["extensions"][OUTLET]
        self._unanswered: deque[_Outcome] = deque()
        self._arrived, self._room = asyncio.Event(), asyncio.Event()
        self._frames = 0
        self._stopping = False
        self._reader: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Read no more; `run` ends when what was taken is answered."""
        self._stopping = True
        self._arrived.set()
        if self._reader is not None:
            self._reader.cancel()

    async def run(self, closed: type[Exception]) -> tuple[int, str] | None:
        """Until the connection ends; close code and reason when it is not the client who ends it."""
        reader = self._reader = asyncio.create_task(self._read(), name="feed-reader")
        writer = asyncio.create_task(self._write(), name="feed-writer")
        if self._stopping:
            reader.cancel()
        try:
            await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
            if self._stopping:
                await asyncio.wait((writer,), timeout=FINISH_SECONDS)
        finally:
            reader.cancel()
            writer.cancel()
            outcomes = await asyncio.gather(reader, writer, return_exceptions=True)
        failures = [error for error in outcomes if isinstance(error, Exception) and not isinstance(error, closed)]
        if any(isinstance(error, TimeoutError) for error in failures):
            return TRY_AGAIN_LATER, REASON
        if failures:
            logger.error("feed", error=repr(failures[0]))
            return INTERNAL_ERROR, "the gateway failed"
        return (SERVICE_RESTART, "the gateway is shutting down") if self._stopping else None

    # --- frames in -------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            while len(self._unanswered) >= CREDIT:
                self._room.clear()
                await self._room.wait()
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            self._frames += 1
            received_at = self._gateway.clocks.wall_ns()
            self._unanswered.append((self._frames, received_at, await self._take(message, received_at)))
            self._arrived.set()

    async def _take(self, message: Mapping[str, Any], received_at: int) -> Receipt | TelemetryError:
        """Put the trades of one frame in the open group: all of them, or none and the reason."""
        gateway = self._gateway
        received_ns = gateway.clocks.monotonic_ns()
        try:
            gateway.admit()
            body, media = self._content(message)
            batch = await decoded(self._decoder, body, media, received_at)
            receipt = gateway.intake.put(batch, received_ns=received_ns)
        except TelemetryError as error:
            return error
        measure_client(gateway.latency, batch, received_ns)
        return receipt

    def _content(self, message: Mapping[str, Any]) -> tuple[bytes, AnyMedia]:
        text = message.get("text")
        if text is not None:
            return text.encode(), self._media
        return bytes(message["bytes"]), "arrow"

    # --- answers out -----------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        """Answer frame after frame. TimeoutError: nobody reads."""
        await self._socket.send_text(WELCOME)
        while self._unanswered or not self._stopping:
            if not self._unanswered:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            first = self._unanswered[0][-1]
            if isinstance(first, Receipt) and first.group is not None:
                await first.group.done.wait()
            ready = list(takewhile(_ended, self._unanswered))
            answers = [await self._answer(*frame) for frame in ready]
            async with asyncio.timeout(SEND_SECONDS):
                await self._send(answers)
            for _ in ready:
                self._unanswered.popleft()
            self._room.set()

    async def _send(self, answers: Sequence[bytes]) -> None:
        """All in one write when the client has taken what it was told before; else one by one as it takes them."""
        if self._outlet.room:
            self._outlet.write(b"".join([text_frame(answer) for answer in answers]))
            return
        for answer in answers:
            await self._socket.send_text(answer.decode())

    async def _answer(self, number: int, received_at: int, outcome: Receipt | TelemetryError) -> bytes:
        try:
            if isinstance(outcome, TelemetryError):
                raise outcome
            receipt = await self._gateway.intake.committed(outcome)
        except TelemetryError as error:
            self._gateway.refuse(error.problem)
            return encode(_refusal(number, error) | self._times(received_at))
        acknowledgement = {
            "type": "ack",
            "frame": number,
            "accepted": receipt.accepted,
            "duplicates": receipt.duplicates,
            "first_seq": receipt.first_seq,
            "last_seq": receipt.last_seq,
            "durable": receipt.durable,
        }
        return encode(acknowledgement | self._times(received_at))

    def _times(self, received_at: int) -> dict[str, str]:
        """When a frame came and is answered, as the headers of a POST's answer say it."""
        sent_at = self._gateway.clocks.wall_ns()
        return {"received_at": stamp(received_at).decode(), "sent_at": stamp(sent_at).decode()}


def _ended(frame: _Outcome) -> bool:
    """Whether nothing is left to wait for."""
    outcome = frame[-1]
    return not isinstance(outcome, Receipt) or outcome.group is None or outcome.group.done.is_set()


def _refusal(number: int, error: TelemetryError) -> dict[str, Any]:
    """The problem document of the POST as a frame; its `type` is called `problem` here."""
    status, headers, document = problem(error)
    frame = {"type": "error", "frame": number, "status": status, "problem": document.pop("type")} | document
    if (seconds := dict(headers).get(b"retry-after")) is not None:
        frame["retry_after"] = int(seconds)
    return frame
