"""A stream server for the tests of the feed: a real WebSocket, with what it answers in the hands of the test."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

EMPTY: dict[str, dict[str, Any]] = {
    "stats": {"symbols": {}, "totals": {"trades": 0}},
    "totals": {"totals": {"trades": 0, "quantity": "0", "notional": {}}},
    "freshness": {"streams": {}, "counts": {}},
    "latency": {"stages": {}},
    "health": {"ready": True, "reasons": [], "workers": 1, "backlog": 0},
}


class ScriptedStream:
    """Answers every subscription with a snapshot; `symbols` are the rows of `stats`, `candles` those of `candles`."""

    def __init__(self, port: int = 0) -> None:
        self.symbols: dict[str, Any] = {}
        self.candles: dict[str, Any] = {}
        self.seq = 1
        self.commands: list[dict[str, Any]] = []
        self._connections: list[ServerConnection] = []
        self._server = serve(self._serve, "127.0.0.1", port)
        self.port: int = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.cut()
        self._server.shutdown()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """End all connections."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def say(self, frame: dict[str, Any]) -> None:
        """Send a frame to everybody."""
        for connection in self._connections:
            connection.send(json.dumps(frame))

    def _serve(self, connection: ServerConnection) -> None:
        self._connections.append(connection)
        try:
            for text in connection:
                command = json.loads(text)
                self.commands.append(command)
                if wanted := command.get("subscribe"):
                    connection.send(json.dumps(self._snapshot(wanted)))
        except ConnectionClosed:
            pass

    def _snapshot(self, wanted: dict[str, Any]) -> dict[str, Any]:
        topic = wanted["topic"]
        if topic == "candles":
            data: dict[str, Any] = {"interval": wanted["interval"], "symbols": self.candles}
        else:
            data = EMPTY[topic] | ({"symbols": self.symbols} if topic == "stats" else {})
        return {"type": "snapshot", "id": wanted["id"], "topic": topic, "seq": self.seq, "skipped": 0, "data": data}


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Return as soon as something holds."""
    pause, end = threading.Event(), time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to hold"
        pause.wait(0.01)
