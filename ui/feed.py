"""The page's one WebSocket to the gateway, shared by everybody who looks: a daemon thread that never gives up.

Phases: `connecting` until the first snapshots are there, `live`, `away` with a reason and since when. While the gateway
is away the last figures stay and say as of which trade they are true. Nothing here asks REST for live figures.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from websockets.exceptions import InvalidHandshake, WebSocketException
from websockets.sync.client import ClientConnection, connect

from telemetry.client import FRAME_BYTES, LOOPBACK
from telemetry.errors import TryAgain
from ui.board import INTERVAL_MS, SUBSCRIPTIONS, Board, Status, View

OPEN_SECONDS = 3.0
POLL_SECONDS = 0.2  # how late a new subscription or the end may be noticed
SILENCE_SECONDS = 12.0  # heartbeats come each 5 s: two missed ones mean that nobody is there
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0  # a gateway on this machine is back within a second or two
WATCHED = 90  # candles at a time; a connection may have 100 subscriptions
UNWATCHED_SECONDS = 20.0  # nobody has looked at a chart for that long

logger = structlog.get_logger("feed")


class Feed:
    """`start` begins, `view` is what is known now, `watch` asks for candles to be kept up to date."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self._address = "ws" + url.removeprefix("http") + "/v1/stream"
        self._options: dict[str, Any] = {"max_size": FRAME_BYTES, "open_timeout": OPEN_SECONDS, "close_timeout": 1}
        if api_key:
            self._options["additional_headers"] = {"authorization": f"Bearer {api_key}"}
        if urlsplit(url).hostname in LOOPBACK:
            self._options["proxy"] = None  # a proxy of the environment cannot reach this machine's own loopback
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._board = Board()
        self._status = Status("connecting", "", time.time_ns(), 0)
        self._heard = time.time_ns()
        self._watches: dict[tuple[str, str], float] = {}
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def close(self) -> None:
        """End the connection and the thread."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def view(self) -> View:
        """What is known now."""
        with self._lock:
            board = self._board
            parts = {str(wanted["id"]): board.part(str(wanted["id"])) for wanted in SUBSCRIPTIONS}
            return View(self._status, board.seq, **parts)

    def watch(self, symbol: str, interval: str) -> list[dict[str, Any]]:
        """The newest candles that the stream has sent of a symbol; empty until it does. Ask again to keep it so."""
        with self._lock:
            if (symbol, interval) in self._watches or len(self._watches) < WATCHED:
                self._watches[symbol, interval] = time.monotonic()
            rows: list[dict[str, Any]] = self._board.part(_candles_id(symbol, interval)).rows.get(symbol, [])
            return rows

    # --- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        wait = 0.0
        while not self._closing.wait(wait):
            before = self._status.connection
            try:
                self._connection()
            except InvalidHandshake as error:
                self._lost(f"the stream was refused: {error}")
            except (WebSocketException, OSError, TryAgain, ValueError, LookupError) as error:
                self._lost(str(error) or type(error).__name__)
            longer = min(LONGEST_WAIT, max(FIRST_WAIT, wait * 2))
            wait = FIRST_WAIT if self._status.connection > before else longer
            wait *= random.uniform(0.8, 1.2)  # noqa: S311 - pages on many machines shall not come back at once

    def _connection(self) -> None:
        with connect(self._address, **self._options) as socket:
            board, subscribed = Board(), dict[tuple[str, str], str]()
            for wanted in SUBSCRIPTIONS:
                _send(socket, {"subscribe": wanted})
            heard = time.monotonic()
            while not self._closing.is_set():
                self._follow(socket, board, subscribed)
                try:
                    text = socket.recv(POLL_SECONDS)
                except TimeoutError:
                    if time.monotonic() - heard > SILENCE_SECONDS:
                        raise TryAgain(f"the stream is silent since {SILENCE_SECONDS:.0f} s") from None
                    continue
                heard = time.monotonic()
                self._take(board, msgspec.json.decode(text))

    def _take(self, board: Board, frame: Mapping[str, Any]) -> None:
        """One frame; the board is shown as soon as it is complete, so that a reconnect does not blank the page."""
        with self._lock:
            board.apply(frame)
            self._heard = time.time_ns()
            if board is not self._board and board.complete:
                self._board = board
                self._status = Status("live", "", self._heard, self._status.connection + 1)
                logger.info("live", seq=board.seq, connection=self._status.connection)

    def _follow(self, socket: ClientConnection, board: Board, subscribed: dict[tuple[str, str], str]) -> None:
        """Subscribe to the candles that somebody looks at, and unsubscribe from the others."""
        now = time.monotonic()
        with self._lock:
            self._watches = {key: at for key, at in self._watches.items() if now - at < UNWATCHED_SECONDS}
            new = [key for key in self._watches if key not in subscribed]
            old = [key for key in subscribed if key not in self._watches]
            for key in old:
                board.forget(subscribed[key])
        for key in old:
            _send(socket, {"unsubscribe": subscribed.pop(key)})
        for symbol, interval in new:
            name = subscribed[symbol, interval] = _candles_id(symbol, interval)
            wanted = {"id": name, "topic": "candles", "symbols": [symbol], "interval": interval}
            _send(socket, {"subscribe": wanted | {"interval_ms": INTERVAL_MS}})

    def _lost(self, reason: str) -> None:
        with self._lock:
            if self._status.phase == "live" or (self._status.phase == "connecting" and not self._closing.is_set()):
                logger.warning("away", address=self._address, reason=reason)
                self._status = self._status._replace(phase="away", since=self._heard)
            self._status = self._status._replace(reason=reason)


def _candles_id(symbol: str, interval: str) -> str:
    """Symbols are longer than ids may be."""
    return f"candles {interval} {abs(hash(symbol)):x}"


def _send(socket: ClientConnection, command: Mapping[str, Any]) -> None:
    socket.send(msgspec.json.encode(command).decode())
