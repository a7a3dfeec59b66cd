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
from ui.board import ALWAYS, Ask, Board, Status, View

OPEN_SECONDS = 3.0
POLL_SECONDS = 0.2  # how late a new subscription or the end may be noticed
SILENCE_SECONDS = 12.0  # heartbeats come each 5 s: two missed ones mean that nobody is there
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0  # a gateway on this machine is back within a second or two
WANTED = 90  # subscriptions at a time, besides those that are always there; a connection may have 100
UNWANTED_SECONDS = 20.0  # nobody has asked for a subscription for that long
TICK_SECONDS = 0.1  # a view stands so long, for all who look: ten viewers cost as many views as two

logger = structlog.get_logger("feed")


class Feed:
    """`start` begins, `view` is what is known now, `want` asks for more to be kept up to date.

    A want is a lease, not a count: it ends when nobody has renewed it for UNWANTED_SECONDS, so a viewer who vanishes
    leaves nothing behind. All who want the same share one subscription.
    """

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
        self._wants: dict[Ask, float] = {}
        self._view = View(self._status, 0, {})
        self._viewed = float("-inf")
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
        """What is known now, at most TICK_SECONDS old."""
        now = time.monotonic()
        with self._lock:
            if now - self._viewed >= TICK_SECONDS or self._view.status != self._status:
                board, asks = self._board, (*ALWAYS, *self._wants)
                parts = {ask: board.part(ask) for ask in asks}
                self._view, self._viewed = View(self._status, board.seq, parts, self._heard), now
            return self._view

    def want(self, *asks: Ask) -> View:
        """Keep these up to date, and what is known now; empty until the stream has said it. Ask again to keep it so."""
        now = time.monotonic()
        with self._lock:
            for ask in asks:
                if ask in self._wants or (len(self._wants) < WANTED and ask not in ALWAYS):
                    self._wants[ask] = now
        return self.view()

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
            board = Board(ALWAYS)
            for ask in ALWAYS:
                _send(socket, board.open(ask))
            heard = time.monotonic()
            while not self._closing.is_set():
                self._follow(socket, board)
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

    def _follow(self, socket: ClientConnection, board: Board) -> None:
        """Subscribe to what somebody wants, and unsubscribe from what nobody wants any more."""
        now = time.monotonic()
        with self._lock:
            self._wants = {ask: at for ask, at in self._wants.items() if now - at < UNWANTED_SECONDS}
            wanted = {*ALWAYS, *self._wants}
            commands = [board.close(ask) for ask in board.asks - wanted]
            commands += [board.open(ask) for ask in self._wants if ask not in board.asks]
        for command in commands:
            _send(socket, command)

    def _lost(self, reason: str) -> None:
        with self._lock:
            if self._status.phase == "live" or (self._status.phase == "connecting" and not self._closing.is_set()):
                logger.warning("away", address=self._address, reason=reason)
                self._status = self._status._replace(phase="away", since=self._heard)
            self._status = self._status._replace(reason=reason)


def _send(socket: ClientConnection, command: Mapping[str, Any]) -> None:
    socket.send(msgspec.json.encode(command).decode())
