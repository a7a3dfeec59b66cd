"""POST /v1/trades as a raw ASGI endpoint: no routing, no dependency, no model between the socket and the journal.

It stands in front of the FastAPI app and shares its guards; routes.py documents it in the same OpenAPI page.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import numpy as np

from gateway.app import Gateway
from gateway.guard import Guard
from gateway.ingestion.group import Receipt, RequestKey
from gateway.latency import Latency
from telemetry.decode import AnyMedia, Batch, Decoder
from telemetry.errors import InvalidInput, Stop, TelemetryError, TryAgain
from telemetry.times import ABSENT, LATEST, stamp

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PATH = "/v1/trades"
STREAM = "/v1/stream"
RECEIVED_AT, SENT_AT = b"telemetry-received-at", b"telemetry-sent-at"
MAX_BODY = 16 << 20
DISCARD = 256 << 20  # a client that is still sending a refused body can read the refusal only after it was taken in
BODY_SECONDS = 30.0
encode = msgspec.json.encode
THREAD_BYTES = 256 << 10  # larger bodies are decoded in a thread, so that nobody else waits for them
ARROW_BYTES = 2 << 20  # as many milliseconds, if it can be read in place; what cannot is found out in 0.1 ms
MEDIA: dict[str, AnyMedia] = {
    "application/json": "json",
    "application/x-ndjson": "lines",
    "application/jsonl": "lines",
    "application/vnd.apache.arrow.stream": "arrow",
}


class Ingest:
    """The ASGI app of the gateway: guards all, answers POST /v1/trades itself, hands on the rest."""

    def __init__(self, gateway: Gateway, guard: Guard, rest: App, decoder: Decoder) -> None:
        self._gateway, self._guard, self._rest = gateway, guard, rest
        self._decoder = decoder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._rest(scope, receive, send)
            return
        try:
            self._guard.check(scope["headers"], stream=scope["type"] == "websocket" and scope["path"] == STREAM)
        except InvalidInput as error:
            self._gateway.refuse("forbidden")
            await self._forbid(scope, send, error)
            return
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == PATH:
            await self.post_trades(scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "HEAD":
            # What GET would answer, without its body: the server leaves that out.
            await self._rest({**scope, "method": "GET"}, receive, send)
        else:
            await self._rest(scope, receive, send)

    async def post_trades(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the trades of one request; answers when they are on disk, and says when it came and when that was."""
        clocks = self._gateway.clocks
        received_at = clocks.wall_ns()
        try:
            receipt, applied = await self._take(scope, receive, received_at)
        except TelemetryError as error:
            self._gateway.refuse(error.problem)
            status, headers, answer = problem(error)
            await respond(send, status, headers + times(received_at, clocks.wall_ns()), encode(answer))
            return
        headers = [(b"content-type", b"application/json")]
        if receipt.replay_of is not None:
            headers.append((b"idempotent-replayed", b"true"))
        body = accepted(receipt, applied=applied)
        await respond(send, 202, headers + times(received_at, clocks.wall_ns()), body)

    async def _take(self, scope: Scope, receive: Receive, received_at: int) -> tuple[Receipt, bool]:
        received_ns = self._gateway.clocks.monotonic_ns()
        headers = dict(scope["headers"])
        wait, seconds = waiting(scope["query_string"])
        self._gateway.admit()
        media = _media(headers)
        body = await _read(receive)
        key = _request_key(headers.get(b"idempotency-key"), body)
        batch = await decoded(self._decoder, body, media, received_at)
        receipt = self._gateway.intake.put(batch, received_ns=received_ns, key=key)
        receipt = await self._gateway.intake.committed(receipt)
        measure_client(self._gateway.latency, batch, received_ns)
        last = receipt.last_seq or self._gateway.backbone.status().durable_seq
        if wait:
            return receipt, await self._gateway.applied(last, seconds)
        return receipt, self._gateway.state.applied >= last

    async def _forbid(self, scope: Scope, send: Send, error: InvalidInput) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": error.detail[:120]})
            return
        status, headers, answer = problem(error)
        if scope["method"] == "POST" and scope["path"] == PATH:
            now = self._gateway.clocks.wall_ns()
            headers += times(now, now)
        await respond(send, status, headers, encode(answer))


async def decoded(decoder: Decoder, body: bytes, media: AnyMedia, received_at: int) -> Batch:
    """The trades of a body, decoded where that holds nobody else up. Raises what Decoder.decode does."""
    if media == "arrow":
        batch = decoder.plain_arrow(body, received_at, quickly=True) if len(body) <= ARROW_BYTES else None
        if batch is not None:
            return batch
    elif len(body) <= THREAD_BYTES:
        return decoder.decode(body, media, received_at)
    return await asyncio.to_thread(decoder.decode, body, media, received_at)


def times(received_at: int, sent_at: int) -> list[tuple[bytes, bytes]]:
    """The headers that let a client compare its clock with ours, as NTP does (see telemetry.clock); UTC ns."""
    return [(RECEIVED_AT, stamp(received_at)), (SENT_AT, stamp(sent_at))]


def accepted(receipt: Receipt, *, applied: bool) -> bytes:
    """The answer to a request whose trades are on disk."""
    return encode(
        {
            "accepted": receipt.accepted,
            "duplicates": receipt.duplicates,
            "first_seq": receipt.first_seq,
            "last_seq": receipt.last_seq,
            "durable": receipt.durable,
            "applied": applied,
        }
    )


def measure_client(latency: Latency, batch: Batch, now_ns: int) -> None:
    """The stage before the gateway: from the sender's clock to ours."""
    stage = latency.stages["client"]
    if batch.columns is not None:
        sent = batch.columns.integers("sent_at")
        if sent is not None:
            given = sent != ABSENT
            received_at = batch.columns.received_at[given]
            # Differences beyond 292 years do not fit 64 bits: they count as so long.
            stage.add_all(received_at - np.maximum(sent[given], received_at - LATEST), now_ns)
    for trade in batch.trades or ():
        if trade.sent_at != ABSENT:
            stage.add(trade.received_at - trade.sent_at, 1, now_ns)


def problem(error: TelemetryError) -> tuple[int, list[tuple[bytes, bytes]], dict[str, Any]]:
    """(status, extra headers, problem document) of an error."""
    headers = [(b"content-type", b"application/problem+json")]
    if isinstance(error, TryAgain):
        # Jitter: a thousand clients refused at once shall not come back at once.
        seconds = math.ceil(error.retry_after * random.uniform(1, 1.5))  # noqa: S311 - no secret depends on it
        headers.append((b"retry-after", b"%d" % max(1, seconds)))
    if isinstance(error, Stop):
        # The trades may be on disk or not: only the next start can tell. Sending them again with a key is safe.
        again = TryAgain(f"the journal failed, the gateway restarts: {error.detail}", retry_after=2)
        return problem(again)
    return error.status, headers, error.body()


async def respond(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """One answer."""
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _read(receive: Receive) -> bytes:
    """The body, at most MAX_BODY by counted bytes: a Content-Length may lie or be absent."""
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise InvalidInput("the client went away before its body was complete", problem="bad-request")
                chunk = message.get("body", b"")
                size += len(chunk)
                if size <= MAX_BODY:
                    chunks.append(chunk)
                if not message.get("more_body", False) or size > DISCARD:
                    break
    except TimeoutError:
        raise too_slow(size) from None
    if size > MAX_BODY:
        raise InvalidInput(f"expected at most {MAX_BODY} bytes, received {size} or more", problem="too-large")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def too_slow(received: int) -> InvalidInput:
    """The refusal of a body of which so many bytes were here when its time was over."""
    detail = f"expected the whole body within {BODY_SECONDS:.0f} s, received {received} bytes"
    return InvalidInput(detail, problem="bad-request")


def _media(headers: dict[bytes, bytes]) -> AnyMedia:
    given = headers.get(b"content-type", b"").decode("latin-1")
    name, _, parameters = given.partition(";")
    media = MEDIA.get(name.strip().lower())
    if media is None or parameters.strip().lower().replace('"', "") not in ("", "charset=utf-8"):
        received = ascii(given[:80]) if given else "none"
        raise InvalidInput(
            f"Content-Type: expected one of {', '.join(MEDIA)}, received {received}", problem="media-type"
        )
    encoding = headers.get(b"content-encoding", b"identity").decode("latin-1")
    if encoding.strip().lower() != "identity":
        raise InvalidInput(
            f"Content-Encoding: expected none, received {encoding[:40]!a}; send the body as it is",
            problem="media-type",
        )
    return media


def _request_key(given: bytes | None, body: bytes) -> RequestKey | None:
    if given is None:
        return None
    if not 1 <= len(given) <= 255 or not given.isascii():
        raise InvalidInput(f"Idempotency-Key: expected 1 to 255 ASCII characters, received {len(given)} bytes")
    return RequestKey(
        blake2b(given, digest_size=16, person=b"request key").digest(),
        blake2b(body, digest_size=16, person=b"request body").digest(),
    )


def waiting(query: bytes) -> tuple[bool, float]:
    """(whether to wait until applied, at most how many seconds) from `wait=applied&timeout=5`."""
    given = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    wait, timeout = given.pop("wait", None), given.pop("timeout", "5")
    if given:
        raise InvalidInput(f"expected the parameters wait and timeout, received {next(iter(given))[:40]!a}")
    if wait not in (None, "applied"):
        raise InvalidInput(f"wait: expected applied, received {str(wait)[:40]!a}")
    try:
        seconds = float(timeout)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 60:
        raise InvalidInput(f"timeout: expected 0 to 60 seconds, received {timeout[:40]!a}")
    return wait is not None, seconds
