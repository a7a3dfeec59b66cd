"""What `telemetry up` runs: gateway, workers and page, each in its own process, kept alive and stopped in order.

Rules of this file:

* SIGHUP is passed on to the gateway, which reads its alert rules again; when it came because the terminal is gone it
  drains as the other signals do.
* One signal drains: page, gateway, workers, each within its grace, 10 s in all. A second one kills.
* Services find a pipe in TELEMETRY_SUPERVISOR_FD whose other end only the supervisor holds. When it ends the supervisor
  is gone, however it died, and the service drains and exits (`watch_supervisor`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import structlog

from telemetry.child import Keeper, Service
from telemetry.environ import PREFIX, Up
from telemetry.errors import InvalidInput
from telemetry.hangup import on_hang_up
from telemetry.logs import begin_logs
from telemetry.tasks import AsyncTaskManager

PAGE_GRACE, GATEWAY_GRACE, WORKER_GRACE = 1.5, 6.0, 1.5  # seconds; leaves one for killing, within 10 in all
KILL_SECONDS = 2.0  # the kernel takes that long only for a process with a lot of memory
SAME_SIGNAL_SECONDS = 0.5  # Ctrl-C may come twice at once: from the terminal, and from a launcher that passes it on

logger = structlog.get_logger("supervisor")


class Supervisor:
    """Starts `services` in their order, says `announcement` when all are ready, stops them in the reverse order."""

    def __init__(self, services: Sequence[Service], announcement: Sequence[str]) -> None:
        self._services = services
        self._announcement = announcement
        self._keepers: list[Keeper] = []
        self._stop = asyncio.Event()
        self._asked_at: float | None = None

    async def run(self) -> int:
        """Run until a signal; the exit code: 0 when every service drained, 1 when one had to be killed."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for number in signals[:2]:
            loop.add_signal_handler(number, self._on_signal)
        loop.add_signal_handler(signal.SIGHUP, on_hang_up(self._pass_on, self._on_signal))
        reading, writing = os.pipe()
        try:
            await self._supervise(reading)
        finally:
            os.close(writing)
            os.close(reading)
            for number in signals:
                loop.remove_signal_handler(number)
        return 1 if any(keeper.was_killed for keeper in self._keepers) else 0

    async def _supervise(self, supervisor_fd: int) -> None:
        async with AsyncTaskManager() as tasks:
            for service in self._services:
                if service.after_ready:
                    await self._unless_stopped(self._all_ready())
                if not self._stop.is_set():
                    keeper = Keeper(service, supervisor_fd)
                    self._keepers.append(keeper)
                    grace = service.grace + KILL_SECONDS  # the keeper itself ends the service's
                    await tasks.start(service.name, keeper.run, stop=self._asking(service), grace=grace)
            if await self._unless_stopped(self._all_ready()):
                _say(self._announcement)
                await self._stop.wait()
            logger.info("stopping")

    async def _all_ready(self) -> None:
        for keeper in self._keepers:
            await keeper.until_ready()

    def _asking(self, service: Service) -> Callable[[], None]:
        def ask() -> None:
            for keeper in self._keepers:
                if keeper.service is service or (service.group and keeper.service.group == service.group):
                    keeper.ask()

        return ask

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do the work, or give it up at the first signal; whether it was done."""
        working, stopped = asyncio.create_task(work), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
            return working.done()
        finally:
            for task in (working, stopped):
                task.cancel()
            await asyncio.wait({working, stopped})

    def _pass_on(self) -> None:
        """SIGHUP, to those who read something again."""
        for keeper in self._keepers:
            if keeper.service.reloads:
                keeper.hang_up()

    def _on_signal(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._asked_at is None:
            self._asked_at = now
            self._stop.set()
        elif now - self._asked_at > SAME_SIGNAL_SECONDS:
            logger.warning("killing the services")
            for keeper in self._keepers:
                keeper.kill()


def _say(lines: Sequence[str]) -> None:
    with contextlib.suppress(OSError):  # nobody may be reading
        for line in lines:
            print(line, flush=True)


def watch_supervisor(loop: asyncio.AbstractEventLoop, descriptor: int | None, on_gone: Callable[[], None]) -> None:
    """Call `on_gone` once when the supervisor is gone; does nothing for a service that has none (`descriptor` None)."""
    if descriptor is None:
        return
    os.set_inheritable(descriptor, False)  # what this service starts has no supervisor of that kind

    def readable() -> None:
        if not os.read(descriptor, 64):
            loop.remove_reader(descriptor)
            on_gone()

    loop.add_reader(descriptor, readable)


def wait_supervisor_gone(descriptor: int) -> None:
    """Block until the supervisor is gone: for a service whose loop belongs to a framework, in a daemon thread."""
    os.set_inheritable(descriptor, False)
    gone = select.poll()  # the loop of another service may have made the pipe, which all share, non-blocking
    gone.register(descriptor, select.POLLIN)
    while True:
        gone.poll()
        with contextlib.suppress(BlockingIOError):
            if not os.read(descriptor, 64):
                return


def check_ports(settings: Up, *, page: bool) -> None:
    """Raises InvalidInput when a port that the services need is taken."""
    ports = [("--port", settings.port)] + ([("--ui-port", settings.ui_port)] if page else [])
    if page and settings.port == settings.ui_port:
        raise InvalidInput(f"expected two different ports for gateway and page, received {settings.port} for both")
    for option, port in ports:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, port))
            except OSError as error:
                raise InvalidInput(
                    f"port {port} on {settings.host} cannot be used ({error.strerror}): stop what listens there,"
                    f" or choose another port with {option}"
                ) from error


def services(settings: Up, *, page: bool, simulate: bool = False) -> list[Service]:
    """The services of one installation, in the order of their start; they stop in the reverse order."""
    environment = {
        PREFIX + name.upper(): str(value)
        for name, value in settings.model_dump(exclude={"supervisor_fd"}).items()
        if value is not None
    }
    environment |= {f"{PREFIX}URL": settings.base_url, "PYTHONUNBUFFERED": "1"}

    def service(command: str, name: str = "", **options: Any) -> Service:
        # -P: a folder named telemetry in the current directory is not the program.
        arguments = (sys.executable, "-P", "-m", "telemetry", command)
        return Service(name or command, arguments, environment, group=command, **options)

    wanted = [service("worker", f"worker {number}", grace=WORKER_GRACE) for number in range(1, settings.workers + 1)]
    wanted.append(service("gateway", grace=GATEWAY_GRACE, reloads=True, ready_url=f"{settings.base_url}/readyz"))
    if page:
        # After the gateway: loading the page's libraries would only hold up what everybody waits for.
        page_health = f"{settings.page_url}/_stcore/health"
        wanted.append(service("ui", grace=PAGE_GRACE, ready_url=page_health, after_ready=True))
    if simulate:
        wanted.append(service("simulate", grace=PAGE_GRACE, after_ready=True))
    return wanted


def announcement(settings: Up, *, page: bool) -> list[str]:
    """What `up` prints when everything is ready; the last line begins with `ready`."""
    lines = [
        f"gateway  {settings.base_url}",
        f"docs     {settings.base_url}/docs",
        f"metrics  {settings.base_url}/metrics",
    ]
    if page:
        lines.append(f"page     {settings.page_url}")
    workers = "1 worker" if settings.workers == 1 else f"{settings.workers} workers"
    return [*lines, f"ready: {workers}, data in {settings.data}, Ctrl-C stops"]


def up(settings: Up, *, page: bool = True, simulate: bool = False) -> int:
    """Run gateway, workers and page until SIGINT or SIGTERM; the exit code."""
    check_ports(settings, page=page)
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"the data directory {settings.data} cannot be made: {error.strerror}") from error

    begin_logs("supervisor", settings)

    async def run() -> int:
        wanted = services(settings, page=page, simulate=simulate)
        return await Supervisor(wanted, announcement(settings, page=page)).run()

    return asyncio.run(run())


def demo(settings: Up, *, page: bool = True) -> int:
    """`up` on a fresh directory with a simulated market, until interrupted; the directory is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="telemetry-demo-", ignore_cleanup_errors=True) as directory:
        fresh = settings.model_copy(update={"data": Path(directory) / "data"})
        return up(fresh, page=page, simulate=True)
