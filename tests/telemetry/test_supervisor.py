"""The supervisor with real processes: order, restarts, readiness, drains, and its own death."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from telemetry.child import restart_delay
from telemetry.environ import Up
from telemetry.errors import InvalidInput
from telemetry.supervisor import announcement, check_ports, services, up
from tests.ports import free_port

PROGRAM = Path(__file__).with_name("supervised.py")

pytestmark = pytest.mark.timeout(40)


class Supervised:
    """A supervisor in its own process; its services write to its standard error, read here line by line."""

    def __init__(self, *services: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM), json.dumps(services)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.stdout, self.stderr = self._process.stdout, self._process.stderr
        self.pids: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for pid in [self._process.pid, *self.pids]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self.stdout.close()
        self.stderr.close()

    def line(self, pattern: str) -> re.Match[str]:
        """Read on to the next line on standard error that matches."""
        for line in self.stderr:
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"no line matched {pattern!r}")

    def pid(self, name: str) -> int:
        """Read on to the process id that a service says."""
        self.pids.append(int(self.line(rf"^{name} \| pid (\d+)")[1]))
        return self.pids[-1]

    def until_ready(self) -> None:
        """Read standard output to the line `ready`."""
        assert list(iter(self.stdout.readline, "ready\n")) == ["somewhere http://127.0.0.1\n"]

    def signal(self, number: int) -> None:
        """Signal the supervisor alone."""
        self._process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Wait for the end; the exit code and the rest of standard error."""
        rest = self.stderr.read()
        return self._process.wait(), rest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_the_services_in_the_reverse_order_of_their_start_and_exits_0(number: int) -> None:
    with Supervised({"name": "gateway", "role": "a"}, {"name": "page", "role": "b"}) as supervised:
        supervised.until_ready()
        supervised.pid("(?:gateway|page)")
        supervised.pid("(?:gateway|page)")
        supervised.signal(number)
        code, rest = supervised.end()
    said = [line for line in rest.splitlines() if "|" in line]
    assert said == ["page | drains", "page | ended b", "gateway | drains", "gateway | ended a"]
    assert code == 0


def test_services_of_one_group_drain_together_and_their_grace_counts_once() -> None:
    deaf = [{"name": f"worker {number}", "role": "deaf", "group": "worker", "grace": 1.0} for number in range(2, 8)]
    with Supervised({"name": "worker 1", "role": "a", "group": "worker"}, *deaf) as supervised:
        for _ in range(7):
            supervised.pid("worker [0-9]")
        started = time.monotonic()
        supervised.signal(signal.SIGTERM)
        supervised.line(r"worker 1 \| drains")  # first to start, so last to stop, but asked with the others
        assert supervised.end()[0] == 1
        assert time.monotonic() - started < 4.0  # one after the other takes 6


def test_a_service_that_dies_is_back_within_a_second() -> None:
    with Supervised({"name": "worker", "role": "a"}) as supervised:
        for _ in range(3):
            os.kill(supervised.pid("worker"), signal.SIGKILL)
            assert float(supervised.line(r'"restart_seconds": ([0-9.]+)')[1]) < 0.5
        supervised.pid("worker")


def test_restarts_wait_only_for_what_keeps_dying_at_its_start_and_at_most_a_second_for_the_first_five() -> None:
    delays = [restart_delay(deaths) for deaths in range(12)]
    assert delays[:2] == [0, 0]
    assert all(delay <= 1 for delay in delays[:6])
    assert delays == sorted(delays)
    assert delays[-1] == 5


def test_a_service_that_was_set_wrongly_is_not_restarted_and_ends_all_with_its_message() -> None:
    with Supervised(
        {"name": "worker", "role": "a"}, {"name": "gateway", "role": "exit", "argument": "2"}
    ) as supervised:
        code, rest = supervised.end()
    assert code == 2
    assert "failed: gateway refuses to run (exit code 2):\nexpected something else" in rest
    assert rest.count("gateway | expected") == 1


def test_a_service_that_cannot_start_ends_all_after_five_deaths() -> None:
    port = free_port()
    never = {"name": "gateway", "role": "exit", "argument": "1", "ready_url": f"http://127.0.0.1:{port}"}
    with Supervised(never) as supervised:
        code, rest = supervised.end()
    assert code == 1
    assert "failed: gateway died 5 times while starting (exit code 1):\nexpected something else" in rest


def test_ready_is_said_when_the_services_say_so_and_what_waits_for_that_starts_then() -> None:
    port = free_port()
    gateway = {"name": "g", "role": "http", "argument": str(port), "ready_url": f"http://127.0.0.1:{port}"}
    with Supervised(gateway, {"name": "simulator", "role": "a", "after_ready": True}) as supervised:
        supervised.until_ready()
        supervised.pid("simulator")
        supervised.signal(signal.SIGTERM)
        assert supervised.end()[0] == 0


def test_a_signal_before_everything_is_ready_drains_too() -> None:
    port = free_port()
    waiting = {"name": "gateway", "role": "a", "ready_url": f"http://127.0.0.1:{port}"}
    with Supervised(waiting, {"name": "simulator", "role": "a", "after_ready": True}) as supervised:
        supervised.pid("gateway")
        supervised.signal(signal.SIGTERM)
        code, rest = supervised.end()
    assert code == 0
    assert "gateway | ended a" in rest
    assert "simulator" not in rest


def test_a_service_that_does_not_drain_in_time_is_killed_and_the_exit_code_says_so() -> None:
    with Supervised({"name": "gateway", "role": "deaf", "grace": 0.2}) as supervised:
        supervised.pid("gateway")
        supervised.signal(signal.SIGTERM)
        code, rest = supervised.end()
    assert code == 1
    assert "did not drain in time" in rest


def test_a_second_signal_kills() -> None:
    with Supervised({"name": "gateway", "role": "deaf", "grace": 3600}) as supervised:
        pid = supervised.pid("gateway")
        supervised.signal(signal.SIGTERM)
        supervised.line("stopping")
        with contextlib.suppress(subprocess.TimeoutExpired):  # two signals at once count as one
            supervised._process.wait(0.6)
        supervised.signal(signal.SIGTERM)
        assert supervised.end()[0] == 1
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("role", ["watching", "framework"])
def test_services_drain_when_their_supervisor_is_killed(role: str) -> None:
    with Supervised({"name": "gateway", "role": role}) as supervised:
        descriptor = os.pidfd_open(supervised.pid("gateway"))
        supervised.signal(signal.SIGKILL)
        with os.fdopen(descriptor) as ended:
            assert select.select([ended], [], [], 10)[0]  # readable when the process has ended


def test_lines_that_are_json_pass_unchanged_others_are_named_cut_and_cannot_steer_a_terminal() -> None:
    with Supervised({"name": "gateway", "role": "print"}) as supervised:
        supervised.line('^{"event": "structured"}$')
        cut = 0
        while cut < 200_000:
            length = len(supervised.line("^gateway \\| (x+)")[1])
            assert length < 140_000
            cut += length
        supervised.line(r"^gateway \| plain \ufffd \\x1b line without end")


def test_the_services_of_an_installation_show_what_they_are_and_take_their_settings_from_the_environment() -> None:
    settings = Up(port=9000, workers=2, data=Path("/data"))
    wanted = services(settings, page=True, simulate=True)
    assert [service.name for service in wanted] == ["worker 1", "worker 2", "gateway", "ui", "simulate"]
    assert "telemetry gateway" in " ".join(wanted[2].command)
    assert wanted[0].environment["TELEMETRY_PORT"] == "9000"
    assert wanted[0].environment["TELEMETRY_DATA"] == "/data"
    assert wanted[0].environment["TELEMETRY_URL"] == "http://127.0.0.1:9000"
    assert sum({service.group: service.grace for service in services(settings, page=True)}.values()) <= 9


def test_the_last_line_of_the_announcement_begins_with_ready_and_each_address_is_named() -> None:
    lines = announcement(Up(port=9000, ui_port=9001), page=True)
    assert lines[-1].startswith("ready")
    assert any("http://127.0.0.1:9000" in line for line in lines)
    assert any("http://127.0.0.1:9001" in line for line in lines)


def test_a_port_in_use_is_named_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            InvalidInput, match=f"port {port} on 127.0.0.1 cannot be used .* choose another port with --port"
        ):
            up(Up(port=port, data=tmp_path / "data"))
        with pytest.raises(InvalidInput, match="with --ui-port"):
            check_ports(Up(port=free_port(), ui_port=port), page=True)
    assert not (tmp_path / "data").exists()


def test_gateway_and_page_need_two_ports() -> None:
    with pytest.raises(InvalidInput, match="two different ports"):
        check_ports(Up(port=9000, ui_port=9000), page=True)


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="the data directory .*/file/data cannot be made: Not a directory"):
        up(Up(port=free_port(), data=tmp_path / "file" / "data"), page=False)
