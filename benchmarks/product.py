"""The product as it is installed: a gateway and workers as processes on a data directory of their own."""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.bodies import Requests
from benchmarks.generator import Drive, Loaded, drive
from benchmarks.processes import LOOK_SECONDS, Failed, Process, free_port, until

TELEMETRY = (sys.executable, "-P", "-m", "telemetry")
PREFIX = "TELEMETRY_"
FINISH_SECONDS, MOST_SECONDS = 600.0, 0.1
CONNECTIONS = 64  # of bulk: what the gateway takes at most; with more it is not quicker
Settings = Mapping[str, object]


class Product:
    """Gateway and workers; `with` it. `settings` are those of docs/settings.md in lower case."""

    def __init__(
        self, directory: Path, *, workers: int = 1, worker: tuple[str, ...] = (), settings: Settings | None = None
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.data, self.port = directory, directory / "data", free_port()
        self.gateway: Process | None = None
        self.workers: list[Process] = []
        self._count, self._command = workers, worker or (*TELEMETRY, "worker")
        given = {"data": self.data, "port": self.port, "log_level": "warning", **(settings or {})}
        # What the shell has set for another instance must not change what is measured.
        unset = {name: "" for name in os.environ if name.upper().startswith(PREFIX)}
        self._environment = unset | {f"{PREFIX}{name.upper()}": str(value) for name, value in given.items()}
        self._stack = ExitStack()
        self._http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self._stack.close)
            self.gateway = self._start("gateway", (*TELEMETRY, "gateway"))
            self._start_workers(self._count)
            until(self._takes_trades, "the gateway takes trades")
            self._until_connected()
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        self._stack.close()

    def start_workers(self, count: int) -> None:
        """Until the gateway knows them."""
        self._start_workers(count)
        self._until_connected()

    def cpu(self) -> float:
        """CPU seconds of gateway and workers so far."""
        return self.gateway_cpu() + sum(worker.cpu() for worker in self.workers)

    def gateway_cpu(self) -> float:
        """CPU seconds of the gateway so far."""
        assert self.gateway is not None
        return self.gateway.cpu()

    def drive(self, requests: Requests, plan: Drive, *, cpu: Callable[[], float] | None = None) -> Loaded:
        """Send requests until they are in the statistics."""
        return drive(requests, plan, self.directory / "load.log", cpu=cpu or self.cpu, finish=self.finish)

    def send(
        self, requests: Requests, *, first: int = 0, count: int | None = None, connections: int = CONNECTIONS
    ) -> Loaded:
        """Send requests as fast as they are answered, until they are in the statistics."""
        count = requests.count - first if count is None else count
        return self.drive(requests, Drive(port=self.port, first=first, count=count, connections=connections))

    def finish(self) -> float:
        """Wait until all that is durable is in the statistics; the seconds that took. Looks cost the gateway time that
        it would have for the trades: the more is left, judged by how quick it was so far, the later is the next one."""
        began = time.monotonic()
        first = left = self._unapplied()
        while left > 0:
            took, done = time.monotonic() - began, first - left
            if took > FINISH_SECONDS:
                raise Failed(f"everything is applied: not within {FINISH_SECONDS:.0f} s")
            pause = took * left / done / 2 if done > 0 else 0.0
            time.sleep(min(max(pause, LOOK_SECONDS), MOST_SECONDS))
            left = self._unapplied()
        return time.monotonic() - began

    def _unapplied(self) -> int:
        """How many trades are on disk and not in the statistics."""
        for worker in self.workers:
            if not worker.running():
                raise Failed(f"a worker ended: {worker.tail()}")
        fresh = self.get("/v1/freshness")
        return int(fresh["durable_seq"] - fresh["as_of_seq"])

    def applied(self) -> int:
        """The last trade in the statistics."""
        return int(self.get("/v1/freshness")["as_of_seq"])

    def get(self, path: str) -> Any:
        """The JSON answer."""
        status, body = self._request("GET", path)
        if status != 200:
            raise Failed(f"GET {path}: {status} {body[:300]!r}")
        return json.loads(body)

    def post(self, body: bytes, kind: str = "application/json") -> tuple[int, bytes]:
        """(status, body) of the answer to a body of trades."""
        return self._request("POST", "/v1/trades?wait=applied", body, {"Content-Type": kind})

    def _request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        try:
            self._http.request(method, path, body, headers or {})
            answer = self._http.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self._http.close()  # the gateway ends a connection that was idle for some seconds; the next one is new
            self._http.request(method, path, body, headers or {})
            answer = self._http.getresponse()
        return answer.status, answer.read()

    def _start_workers(self, count: int) -> None:
        for _ in range(count):
            self.workers.append(self._start("worker", self._command))

    def _until_connected(self) -> None:
        if self.workers:
            until(lambda: len(self.get("/v1/workers")["workers"]) >= len(self.workers), "the workers are connected")

    def _start(self, name: str, command: tuple[str, ...]) -> Process:
        return self._stack.enter_context(
            Process(command, self.directory / f"{name}.log", environment=self._environment)
        )

    def _takes_trades(self) -> bool:
        assert self.gateway is not None
        if not self.gateway.running():
            raise Failed(f"the gateway ended: {self.gateway.tail()}")
        try:
            return self.post(b"[]")[0] == 422
        except OSError:
            self._http.close()
            return False
