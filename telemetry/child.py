"""One service as a child process, and what keeps it running.

Rules of this file:

* What dies is started again, at once; only what keeps dying right after its start waits, by `restart_delay`.
* Exit code 2 means that the service was used or set wrongly: a restart cannot help, its message ends everything.

A child leads its own session, so that Ctrl-C in a terminal reaches the supervisor alone, which then stops its services
in order. What a child leaves behind in its session is killed when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import structlog

from telemetry.errors import InvalidInput, Stop
from telemetry.tasks import Ready

LINE_BYTES = 65_536  # a longer line of a child is cut in two: memory stays bounded, whatever it prints
OUTPUT_SECONDS = 1.0  # the rest of a dead child's output is in the pipe already
FAST_DEATH_SECONDS = 2.0  # a service that lived shorter died of its start
FAST_DEATHS = 5  # so often before everything was ready once: the installation is broken
LONGEST_DELAY = 5.0
POLL_SECONDS, REASON_SECONDS = 0.1, 5.0
CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f]")  # what a child repeats of its input must not steer a terminal
KEPT_LINES = 5  # the last lines that a message repeats when a service refuses to run

logger = structlog.get_logger("supervisor")


@dataclass(frozen=True)
class Service:
    """What to run. `ready_url` answers 200 when the service can do its work; those of one `group` drain together."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    grace: float = 5.0  # seconds to drain
    ready_url: str | None = None
    reloads: bool = False  # it reads something again at SIGHUP
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

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Wait for the end of the process and of its output; the exit code, negative for a signal."""
        code = await self._process.wait()
        self.kill()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._output, OUTPUT_SECONDS)
        return code

    def hang_up(self) -> None:
        """SIGHUP."""
        if self.is_running:
            self._process.send_signal(signal.SIGHUP)

    def terminate(self) -> None:
        """Ask it to drain and exit."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """End it and everything that it started, now."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def restart_delay(fast_deaths: int) -> float:
    """Seconds to wait after so many fast deaths in a row: none at first, at most 1 for the first five."""
    return 0.0 if fast_deaths < 2 else min(LONGEST_DELAY, 0.05 * 2 ** (fast_deaths - 1))


class Keeper:
    """Keeps one service running until it is asked to end."""

    def __init__(self, service: Service, supervisor_fd: int) -> None:
        self.service = service
        self.was_killed = False
        self.settled = False  # it was ready once
        self._supervisor_fd = supervisor_fd
        self._asked = asyncio.Event()
        self._child: Child | None = None

    async def run(self, ready: Ready) -> None:
        """Run and restart the service; raises when it is set wrongly or cannot start."""
        fast_deaths = 0
        loop = asyncio.get_running_loop()
        while not self._asked.is_set():
            started = loop.time()
            child = self._child = await Child.spawn(self.service, self._supervisor_fd)
            if self._asked.is_set():  # while it was being started
                child.terminate()
            ready()
            code = await self._wait(child)
            if self._asked.is_set():
                return
            fast_deaths = fast_deaths + 1 if loop.time() - started < FAST_DEATH_SECONDS else 0
            self._judge(child, code, fast_deaths)
            delay = restart_delay(fast_deaths)
            logger.warning("service died", name=self.service.name, pid=child.pid, exit_code=code, restart_seconds=delay)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), delay)

    def hang_up(self) -> None:
        """SIGHUP, if it runs: it reads something again."""
        if self._child is not None:
            self._child.hang_up()

    def ask(self) -> None:
        """Let it drain and end; it is killed when its grace is over. Asking again changes nothing."""
        if self._asked.is_set():
            return
        self._asked.set()
        asyncio.get_running_loop().call_later(self.service.grace, self._end_grace)
        if self._child is not None:
            self._child.terminate()

    def kill(self) -> None:
        """End it now."""
        self._asked.set()
        self.was_killed = True
        if self._child is not None:
            self._child.kill()

    async def until_ready(self) -> None:
        """Wait until the service can do its work; from then on it is restarted whatever happens."""
        if self.service.ready_url is not None and not self.settled:
            await _until_ready(self.service.name, self.service.ready_url)
        self.settled = True

    def _end_grace(self) -> None:
        if self._child is not None and self._child.is_running:
            logger.error("service was killed, it did not drain in time", name=self.service.name, pid=self._child.pid)
            self.kill()

    async def _wait(self, child: Child) -> int:
        try:
            return await child.wait()
        except asyncio.CancelledError:  # whoever cancels this keeper wants no process left
            self.kill()
            await child.wait()
            raise

    def _judge(self, child: Child, code: int, fast_deaths: int) -> None:
        said = "\n".join(["", *child.last_lines])
        if code == InvalidInput.exit_code:
            raise InvalidInput(f"{self.service.name} refuses to run (exit code {code}):{said}")
        if not self.settled and fast_deaths >= FAST_DEATHS:
            raise Stop(f"{self.service.name} died {fast_deaths} times while starting (exit code {code}):{said}")


async def _until_ready(name: str, url: str) -> None:
    import httpx  # here, because the services import this module too and have no use for it

    loop = asyncio.get_running_loop()
    say_at = loop.time() + REASON_SECONDS
    async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
        while True:
            try:
                answer = await client.get(url)
                reason = answer.text[:500]
                if answer.status_code == httpx.codes.OK:
                    return
            except httpx.HTTPError as error:
                reason = repr(error)
            if loop.time() >= say_at:
                say_at = loop.time() + REASON_SECONDS
                logger.info("waiting", name=name, url=url, reason=reason)
            await asyncio.sleep(POLL_SECONDS)


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
        text = CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", line.decode(errors="replace").rstrip("\r"))
        last_lines.append(text)
        is_json = text.startswith("{") and text.endswith("}")
        with contextlib.suppress(OSError, ValueError):  # nobody may be reading; the services go on
            print(text if is_json else f"{name} | {text}", file=sys.stderr, flush=True)
