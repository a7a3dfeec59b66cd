"""The command line's side of the gateway's HTTP and WebSocket doors: an answer is a value or one of three errors."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Generator, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote, urlsplit

import httpx

from telemetry.errors import PROBLEMS, InvalidInput, TelemetryError, TryAgain
from telemetry.offset import Exchange
from telemetry.times import parse_time

# A gateway answers in milliseconds; 30 s covers a disk that stalls, and the retry that follows costs nothing but time.
REQUEST_SECONDS = 30.0
CONNECT_SECONDS = 5.0
# The stream sends a heartbeat each 5 s: six missed ones mean that nobody is there.
SILENCE_SECONDS = 30.0
FRAME_BYTES = 64 * 1024 * 1024
LOOPBACK = ("localhost", "127.0.0.1", "::1")
CLOCK_HEADERS = ("telemetry-received-at", "telemetry-sent-at")
_NAME_OF_STATUS = {status: name for name, (status, _) in PROBLEMS.items()} | {401: "forbidden"}


class Answer(NamedTuple):
    """What the gateway acknowledged; `replayed` when it had acknowledged the same request before, `applied` when the
    figures contain it by now."""

    accepted: int
    duplicates: int
    replayed: bool
    last_seq: int | None = None  # None when all were duplicates
    applied: bool = False


class Gateway:
    """One keep-alive connection to the gateway at `url`; `api_key` goes along as `Authorization: Bearer`."""

    def __init__(self, url: str, api_key: str | None = None, *, request_seconds: float = REQUEST_SECONDS) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput(f"--url: expected http://HOST:PORT, received {url!r}")
        self.url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._direct = parts.hostname in LOOPBACK  # a proxy of the environment cannot reach this machine's own loopback
        self._http = httpx.Client(
            base_url=self.url,
            headers=self._headers,
            timeout=httpx.Timeout(request_seconds, connect=CONNECT_SECONDS),
            trust_env=not self._direct,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object at a path."""
        return _object(self._send("GET", path, params=dict(parameters or {})))

    def post(self, path: str, content: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a JSON object, or nothing; the JSON object that is answered."""
        return _object(self._send("POST", path, json=content) if content is not None else self._send("POST", path))

    def delete(self, path: str) -> None:
        """Take away what is at a path."""
        self._send("DELETE", path)

    def answers(self, path: str) -> bool:
        """Whether something there answers this path well."""
        try:
            return self._send("GET", path).is_success
        except TelemetryError:
            return False

    def exchange(self) -> Exchange:
        """One request and its answer, to compare the gateway's clock with ours. InvalidInput when it tells no times."""
        sent = time.time_ns()
        response = self._send("GET", "/healthz")
        came = time.time_ns()
        try:
            received, answered = (parse_time(response.headers[name]) for name in CLOCK_HEADERS)
        except (KeyError, ValueError) as error:
            raise InvalidInput(f"{self.url} does not tell its time", problem="bad-request") from error
        return Exchange(sent, received, answered, came)

    def stats(self, symbol: str | None, window: str) -> dict[str, Any]:
        """`/v1/stats`, or one symbol's row of it."""
        path = "/v1/stats" if symbol is None else f"/v1/stats/{quote(symbol, safe='')}"
        return self.get(path, {"window": window})

    def candles(self, symbol: str, interval: str, limit: int, **parameters: Any) -> dict[str, Any]:
        """The newest candles of a symbol; `parameters` are those of the route, such as `end`."""
        given = {"interval": interval, "limit": limit} | parameters
        return self.get(f"/v1/candles/{quote(symbol, safe='')}", given)

    def post_trades(self, body: bytes, key: str, *, wait_seconds: float | None = None) -> Answer:
        """Send an array of trades; safe to repeat with the same body and key. The answer comes when they are on disk,
        or with `wait_seconds` when they are applied, at the latest so much later."""
        headers = {"content-type": "application/json", "idempotency-key": key}
        wait = {} if wait_seconds is None else {"wait": "applied", "timeout": wait_seconds}
        response = self._send("POST", "/v1/trades", content=body, headers=headers, params=wait)
        answer = _object(response)
        try:
            replayed = response.headers.get("idempotent-replayed") == "true"
            counts = int(answer["accepted"]), int(answer["duplicates"])
            return Answer(*counts, replayed, answer.get("last_seq"), answer.get("applied") is True)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"{self.url} is not this product's gateway", problem="bad-request") from error

    def stream(self, subscription: Mapping[str, Any]) -> Generator[dict[str, Any], None, None]:
        """The frames of one subscription until the connection ends, which raises TryAgain."""
        from websockets.exceptions import InvalidHandshake, WebSocketException
        from websockets.sync.client import connect

        address = "ws" + self.url.removeprefix("http") + "/v1/stream"
        options: dict[str, Any] = {"max_size": FRAME_BYTES, "open_timeout": CONNECT_SECONDS, "close_timeout": 2}
        if self._direct:
            options["proxy"] = None
        try:
            with connect(address, additional_headers=self._headers, **options) as socket:
                socket.send(json.dumps({"subscribe": dict(subscription)}))
                while True:
                    yield json.loads(socket.recv(SILENCE_SECONDS))
        except InvalidHandshake as error:
            raise TryAgain(f"{address}: the stream was refused: {error}") from error
        except (WebSocketException, OSError) as error:
            raise TryAgain(f"{address}: the stream ended: {str(error) or type(error).__name__}") from error

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **request)
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise InvalidInput(f"--url: {error}") from error
        except httpx.TransportError as error:
            raise TryAgain(f"{self.url} does not answer: {str(error) or type(error).__name__}") from error
        if response.is_success:
            return response
        raise _problem(response)


def _problem(response: httpx.Response) -> InvalidInput | TryAgain:
    """The error that a problem document (RFC 9457) stands for; any other body is shown as its status."""
    document: dict[str, Any] = {}
    with contextlib.suppress(InvalidInput):
        document = _object(response)
    detail = str(document.get("detail") or f"{response.request.url} answered {response.status_code}")
    # 408 and 5xx say nothing about the input; 409 with Retry-After: the first copy of this request is still under way.
    waits = response.status_code == 409 and "retry-after" in response.headers
    if response.status_code in (408, 429) or response.status_code >= 500 or waits:
        return TryAgain(detail, retry_after=retry_after(response.headers.get("retry-after")))
    errors = [error for error in _list(document.get("errors")) if isinstance(error, dict)]
    name = _NAME_OF_STATUS.get(response.status_code, "bad-request")
    return InvalidInput(detail, problem=name, errors=errors)


def retry_after(header: str | None) -> float:
    """Seconds to wait; 0 when the header does not say (the caller then backs off by itself)."""
    if not header:
        return 0.0
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    return max(0.0, (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError as error:
        raise InvalidInput(f"{response.request.url}: expected JSON", problem="bad-request") from error
    if not isinstance(document, dict):
        raise InvalidInput(f"{response.request.url}: expected a JSON object", problem="bad-request")
    return document


def _list(value: object) -> Iterator[Any]:
    return iter(value if isinstance(value, list) else [])
