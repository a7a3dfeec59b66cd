"""A desk of real processes for the tests: a gateway, workers, clients; started, killed, stopped and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx

from telemetry.audit import Live, Report, audit
from telemetry.client import Gateway
from telemetry.formats import Options
from telemetry.replay import Summary, Watcher, replay
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60.0  # for a busy machine; nothing takes so long when all is well
LOOK_SECONDS = 0.01
TELEMETRY = (sys.executable, "-P", "-m", "telemetry")


class Answer(NamedTuple):
    """What the gateway answered to a request; `body` is decoded JSON."""

    status: int
    headers: httpx.Headers
    body: Any


class Process:
    """A process whose output goes to a file; killed at the latest by `end`."""

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str], *, descriptor: int | None = None
    ) -> None:
        self.log = log
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                pass_fds=() if descriptor is None else (descriptor,),
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.send(signal.SIGKILL)
        self._process.wait(PATIENCE_SECONDS)

    def drain(self, seconds: float = PATIENCE_SECONDS) -> int:
        """SIGTERM; the exit code."""
        self.send(signal.SIGTERM)
        return self._process.wait(seconds)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """The exit code, when it has ended by itself."""
        return self._process.wait(seconds)

    def end(self) -> None:
        """Whatever state it is in."""
        if self.code is None:
            self.send(signal.SIGCONT)
            self.kill()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of its log about one event."""
        lines = self.log.read_text("utf-8").splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{")]
        return [entry for entry in entries if entry.get("event") == name]


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """The first true value of the condition; fails when it does not come."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(LOOK_SECONDS)  # sleeps: between two looks at another process
    return value


class Desk:
    """One data directory and the processes that belong to it; `with` it. Settings are TELEMETRY_* in lower case."""

    def __init__(self, directory: Path, *, data: Path | None = None, **settings: object) -> None:
        self.data = data or directory / "data"
        self.logs = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.workers: list[Process] = []
        self.gateway: Process | None = None
        self._everything: list[Process] = []
        self._environment = {f"TELEMETRY_{name.upper()}": str(value) for name, value in settings.items()}
        self._environment |= {"TELEMETRY_DATA": str(self.data), "TELEMETRY_PORT": str(self.port)}
        self._environment |= {"TELEMETRY_URL": self.url, "PYTHONUNBUFFERED": "1"}
        self._http = httpx.Client(base_url=self.url, timeout=30.0, trust_env=False)

    def __enter__(self) -> Self:
        # Whatever happens to this process, the services see the pipe's end and drain.
        self._supervised, self._supervising = os.pipe()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        for process in self._everything:
            process.end()
        os.close(self._supervising)
        os.close(self._supervised)
        for process in self._everything:  # shown when a test fails
            print(f"--- {process.log.name}\n{process.log.read_text('utf-8', 'replace')[-3000:]}")

    # --- processes -------------------------------------------------------------------------------------------------

    def start(self, *command: str, name: str = "", **settings: object) -> Process:
        """Any program, with the desk's environment."""
        log = self.logs / f"{len(self._everything):03d}-{name or command[0]}.log"
        environment = self._environment | {"TELEMETRY_SUPERVISOR_FD": str(self._supervised)}
        environment |= {f"TELEMETRY_{key.upper()}": str(value) for key, value in settings.items()}
        process = Process(command, log, environment, descriptor=self._supervised)
        self._everything.append(process)
        return process

    def start_gateway(
        self, *prefix: str, wait: bool = True, snapshot_seconds: float = 10.0, **settings: object
    ) -> Process:
        """The gateway; `prefix` is put before its command. `wait`: until it takes trades."""
        self.gateway = gateway = self.start(
            *prefix, *TELEMETRY, "gateway", name="gateway", snapshot_seconds=snapshot_seconds, **settings
        )
        if wait:
            until(lambda: gateway.code is not None or self.takes_trades(), "the gateway takes trades")
            assert gateway.code is None, gateway.log.read_text("utf-8")
        return gateway

    def start_worker(self, *command: str) -> Process:
        """A worker, or the program that stands in for one."""
        worker = self.start(*(command or (*TELEMETRY, "worker")), name="worker")
        self.workers.append(worker)
        return worker

    def start_workers(self, count: int) -> None:
        """Workers, until the gateway knows them."""
        known = self.connected()
        for _ in range(count):
            self.start_worker()
        until(lambda: self.connected() >= known + count, f"{count} workers are connected")

    def run(self, *arguments: str, code: int | None = 0) -> str:
        """A command of the program `telemetry`, to its end; its standard output."""
        done = subprocess.run(
            [*TELEMETRY, *arguments],
            cwd=ROOT,
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert code in (None, done.returncode), f"exit code {done.returncode}\n{done.stdout}\n{done.stderr[-3000:]}"
        return done.stdout

    def replay(self, file: Path, *, symbol: str | None = None) -> Summary:
        """`telemetry replay` in this process."""
        watcher = Watcher(lambda refusal: print(refusal), print)
        with Gateway(self.url) as gateway:
            return replay([file], gateway, watcher, options=Options(symbol=symbol))

    def audit(self) -> Report:
        """The audit of the running gateway, which must find nothing."""
        with Gateway(self.url) as gateway:
            report = audit(self.data / "journal", Live(gateway))
        assert report.differences == []
        return report

    # --- requests --------------------------------------------------------------------------------------------------

    def get(self, path: str, **parameters: object) -> Answer:
        """An answer, whatever its status. Raises httpx.TransportError when there is none."""
        response = self._http.get(path, params={name: str(value) for name, value in parameters.items()})
        kind = response.headers.get("content-type", "")
        return Answer(response.status_code, response.headers, response.json() if "json" in kind else response.text)

    def bytes_of(self, path: str, **parameters: object) -> bytes:
        """The body of an answer as it was sent."""
        response = self._http.get(path, params={name: str(value) for name, value in parameters.items()})
        assert response.status_code == 200, response.text
        return response.content

    def post(self, trades: object, *, key: str | None = None, wait: bool = False) -> Answer:
        """Send trades (JSON or a body in bytes)."""
        headers = {"content-type": "application/json"} | ({"idempotency-key": key} if key else {})
        body = trades if isinstance(trades, bytes) else json.dumps(trades).encode()
        query = "?wait=applied&timeout=30" if wait else ""
        response = self._http.post(f"/v1/trades{query}", content=body, headers=headers)
        return Answer(response.status_code, response.headers, response.json())

    def ask(self, method: str, path: str, body: str = "") -> Answer:
        """Any request, its query in the path; an answer without a body has None."""
        response = self._http.request(method, path, content=body.encode())
        return Answer(response.status_code, response.headers, response.json() if response.content else None)

    def post_json(self, path: str, body: object) -> Answer:
        """A JSON body to any path."""
        return self.ask("POST", path, json.dumps(body))

    def stats(self, **parameters: object) -> dict[str, Any]:
        """`GET /v1/stats` of all data."""
        answer = self.get("/v1/stats", limit=100_000, **parameters)
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.body
        return found

    def freshness(self) -> dict[str, Any]:
        """`GET /v1/freshness`; empty when nobody answers."""
        try:
            found: dict[str, Any] = self.get("/v1/freshness").body
        except httpx.TransportError:
            return {}
        return found

    def takes_trades(self) -> bool:
        """Whether the gateway is up and knows its keys: then it refuses an empty array as wrong, not as too early."""
        try:
            return self.post([]).status == 422
        except httpx.TransportError:
            return False

    def connected(self) -> int:
        """How many workers the gateway knows."""
        return len(self.get("/v1/workers").body["workers"])

    def applied(self) -> int:
        """As of which trade the figures are; -1 when nobody answers."""
        return int(self.freshness().get("as_of_seq", -1))

    def until_applied(self, seq: int | None = None, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until the figures contain trade `seq`, or everything that is durable."""

        def reached() -> bool:
            fresh = self.freshness()
            return bool(fresh) and fresh["as_of_seq"] >= (fresh["durable_seq"] if seq is None else seq)

        until(reached, f"trade {seq or 'last'} is applied", seconds)

    def counter(self, family: str) -> dict[str, float]:
        """The samples of one family in /metrics by their labels as text; empty while it is not shown."""
        samples: dict[str, float] = {}
        for line in str(self.get("/metrics").body).splitlines():
            name, _, rest = line.partition("{") if "{" in line else line.partition(" ")
            if name == family:
                labels, _, value = rest.rpartition(" ")
                samples[labels.removesuffix("}")] = float(value)
        return samples


def trade(number: int = 1, **fields: object) -> dict[str, object]:
    """A trade, another one for each number."""
    second = 1_700_000_000 + number // 10
    return {
        "symbol": "BTC-USDT",
        "side": ("buy", "sell", "unknown")[number % 3],
        "quantity": f"{1 + number % 7}.{number % 97:02d}",
        "price": f"{64_000 + number % 1_000}.{number % 10}",
        "timestamp": second * 1_000_000_000 + number,
        **fields,
    }
