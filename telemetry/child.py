"""One service as a child process: its start, its output and its end.

A child leads its own session, so that Ctrl-C in a terminal reaches the supervisor alone, which then stops its services
in order. What a child leaves behind in its session is killed when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

LINE_BYTES = 65_536  # a longer line of a child is cut in two: memory stays bounded, whatever it prints
OUTPUT_SECONDS = 1.0  # the rest of a dead child's output is in the pipe already
KEPT_LINES = 5  # the last lines that a message repeats when a service refuses to run


@dataclass(frozen=True)
class Service:
    """What to run. `ready_url` answers 200 when the service can do its work; those of one `group` drain together."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    grace: float = 5.0  # seconds to drain
    ready_url: str | None = None
    after_ready: bool = False  # started only when those before it are ready


class Child:
    """A running process of a service. `wait` must be called: it also collects the output and what was left behind."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, output: int) -> None:
        self.last_lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._process = process
        self._output = asyncio.create_task(_relay(output, name, self.last_lines))

    @classmethod
    async def spawn(cls, service: Service, supervisor_fd: int) -> Self:
        """Start the process; it finds `supervisor_fd` in TELEMETRY_SUPERVISOR_FD."""
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *service.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                env={**os.environ, **service.environment, "TELEMETRY_SUPERVISOR_FD": str(supervisor_fd)},
                pass_fds=(supervisor_fd,),
                start_new_session=True,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        return cls(service.name, process, reading)

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its session."""
        return self._process.pid

    async def wait(self) -> int:
        """Wait for the end of the process and of its output; the exit code, negative for a signal."""
        code = await self._process.wait()
        self.kill()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._output, OUTPUT_SECONDS)
        return code

    def terminate(self) -> None:
        """Ask it to drain and exit."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """End it and everything that it started, now."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


async def _relay(descriptor: int, name: str, last_lines: deque[str]) -> None:
    """Copy a child's lines to standard error, with its name before those that are not JSON and so do not say it."""
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    loop = asyncio.get_running_loop()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(descriptor, "rb", buffering=0))
    try:
        rest = b""
        while chunk := await reader.read(LINE_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LINE_BYTES:
                lines, rest = [*lines, rest], b""
            _print_lines(lines, name, last_lines)
        _print_lines([rest] if rest else [], name, last_lines)
    finally:
        transport.close()


def _print_lines(lines: Sequence[bytes], name: str, last_lines: deque[str]) -> None:
    for line in lines:
        text = line.decode(errors="replace").rstrip("\r")
        last_lines.append(text)
        is_json = text.startswith("{") and text.endswith("}")
        with contextlib.suppress(OSError, ValueError):  # nobody may be reading; the services go on
            print(text if is_json else f"{name} | {text}", file=sys.stderr, flush=True)
