"""Processes that a benchmark starts: their CPU time, their lines, their end. Nothing else is ever ended.

A process dies with the benchmark even when that is killed: the kernel sends it SIGTERM then.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 120.0
END_SECONDS = 15.0
LOOK_SECONDS = 0.005  # a look may cost the gateway half a millisecond
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Failed(Exception):
    """A process or a comparison did not do what the benchmark expects; the benchmark is worth nothing then."""


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used so far, all its threads.

    The kernel's clock of that process: what /proc/PID/stat shows in hundredths of a second, in nanoseconds.
    """
    return time.clock_gettime((~pid << 3) | 2)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Look until the condition holds. Raises Failed when it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds:.0f} s")
        time.sleep(LOOK_SECONDS)


def listens(port: int) -> bool:
    """Whether somebody answers at this port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A process with a pipe to its standard input and from its output; `log` takes its errors. `with` ends it."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        descriptors: Sequence[int] = (),
        user: str | None = None,
    ) -> None:
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT if user is None else log.parent,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                pass_fds=descriptors,
                user=user,
                start_new_session=True,  # Ctrl-C is the benchmark's, which then ends what it started
                preexec_fn=_die_with_parent,
            )
        self._rest = b""

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu(self) -> float:
        """CPU seconds so far."""
        return cpu_seconds(self.pid)

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def line(self, seconds: float = PATIENCE_SECONDS) -> str:
        """The next line that it prints. Raises Failed when it ends or takes too long."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(self._process.stdout.fileno(), 1 << 16) if ready else b""
            if not chunk:
                raise Failed(f"{self._log.name}: expected a line within {seconds:.0f} s: {self.tail()}")
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def answer(self, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """The next line as JSON."""
        found: dict[str, Any] = json.loads(self.line(seconds))
        return found

    def tail(self) -> str:
        """The end of its log."""
        return self._log.read_text("utf-8", "replace")[-1500:]

    def end(self) -> None:
        """SIGTERM, then SIGKILL; it is gone when this returns."""
        if self.running():
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def module(name: str, *arguments: object, log: Path, descriptors: Sequence[int] = ()) -> Process:
    """A module of the benchmarks as a process."""
    command = [sys.executable, "-P", "-m", name, *map(str, arguments)]
    return Process(command, log, environment={"PYTHONPATH": str(ROOT)}, descriptors=descriptors)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
