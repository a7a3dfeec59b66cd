"""Gateway, worker and page as real processes on free ports, for the tests with a browser."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.ports import free_port

START_SECONDS = 60.0


class Stack:
    """The installation; what it writes is in files of `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.gateway_url = f"http://127.0.0.1:{free_port()}"
        self.page_url = f"http://127.0.0.1:{free_port()}"

    def __enter__(self) -> Self:
        try:
            for service in ("gateway", "worker", "ui"):
                self.start(service)
            self.until_answers(f"{self.gateway_url}/readyz")
            self.until_answers(f"{self.page_url}/_stcore/health")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for service in list(self._processes):
            self.kill(service)

    def start(self, service: str) -> None:
        """Start a service; it is not ready yet."""
        environment = {
            **os.environ,
            "TELEMETRY_DATA": str(self._directory / "data"),
            "TELEMETRY_PORT": self.gateway_url.rpartition(":")[2],
            "TELEMETRY_UI_PORT": self.page_url.rpartition(":")[2],
            "TELEMETRY_URL": self.gateway_url,
        }
        with (self._directory / f"{service}.log").open("ab") as log:
            command = [sys.executable, "-P", "-m", "telemetry", service]
            self._processes[service] = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def pid(self, service: str) -> int:
        """The process of a service."""
        return self._processes[service].pid

    def kill(self, service: str) -> None:
        """SIGKILL."""
        process = self._processes.pop(service)
        process.kill()
        process.wait()

    def terminate(self, service: str) -> tuple[int, float]:
        """SIGTERM; the exit code and how many seconds it took."""
        process = self._processes.pop(service)
        began = time.monotonic()
        process.terminate()
        return process.wait(20), time.monotonic() - began

    def until_answers(self, url: str) -> None:
        """Return when a URL answers 200."""
        pause, end = threading.Event(), time.monotonic() + START_SECONDS
        while True:
            try:
                if httpx.get(url, trust_env=False, timeout=10).is_success:
                    return
            except httpx.TransportError:
                pass
            assert time.monotonic() < end, f"{url} does not answer; see {self._directory}"
            pause.wait(0.1)

    def post(self, **trade: Any) -> dict[str, Any]:
        """Send one trade; the gateway's answer."""
        answer = httpx.post(f"{self.gateway_url}/v1/trades", json=trade, trust_env=False, timeout=30)
        assert answer.status_code == 202, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def trades(self, symbol: str) -> int:
        """How many trades of a symbol the gateway has counted."""
        answer = httpx.get(
            f"{self.gateway_url}/v1/stats", params={"symbol": symbol}, trust_env=False, timeout=30
        ).json()
        return int(answer["symbols"].get(symbol, {"trades": 0})["trades"])

    def metric(self, name: str) -> float:
        """One value of /metrics."""
        page = httpx.get(f"{self.gateway_url}/metrics", trust_env=False, timeout=30).text
        return next(float(line.split(" ")[1]) for line in page.splitlines() if line.startswith(f"{name} "))
