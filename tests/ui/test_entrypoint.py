"""The page's process: its options, its name, how it begins and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.ports import free_port
from tests.ui.scripted_stream import until
from ui.entrypoint import server_options
from ui.environment import UiSettings

pytestmark = pytest.mark.timeout(90)


@contextmanager
def page(port: int, *, supervisor_fd: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """`telemetry ui` in its own process."""
    environment = {**os.environ, "TELEMETRY_UI_PORT": str(port)}
    if supervisor_fd is not None:
        environment["TELEMETRY_SUPERVISOR_FD"] = str(supervisor_fd)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "telemetry", "ui"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=() if supervisor_fd is None else (supervisor_fd,),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/_stcore/health", trust_env=False, timeout=30).is_success
    except httpx.TransportError:
        return False


def test_nothing_leaves_this_machine_and_the_protections_are_on() -> None:
    options = server_options(UiSettings(ui_port=8600))
    expected = {
        "server.address": "127.0.0.1",
        "server.port": 8600,
        "server.headless": True,
        "server.enableCORS": True,
        "server.enableXsrfProtection": True,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.toolbarMode": "minimal",
        "runner.postScriptGC": False,  # a look through all objects behind every run
    }
    assert expected.items() <= options.items()
    assert "localhost" in options["server.allowedHosts"]


def test_it_serves_under_its_own_name_logs_json_and_ends_with_0_when_asked() -> None:
    port = free_port()
    with page(port) as process:
        until(lambda: answers(port), 60)
        assert b"telemetry\0ui" in Path(f"/proc/{process.pid}/cmdline").read_bytes()
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=10)
        assert process.returncode == 0, log
        assert [line for line in log.splitlines() if not line.startswith("{")] == []


@pytest.mark.parametrize("blocking", [True, False])
def test_it_ends_when_its_supervisor_is_gone(blocking: bool) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, blocking)  # the loop of another service that shares the pipe may have done that
    port = free_port()
    with page(port, supervisor_fd=reading) as process:
        os.close(reading)
        until(lambda: answers(port), 60)
        os.close(writing)
        assert process.wait(10) == 0


def test_a_port_in_use_is_named_and_the_exit_code_says_wrong_use() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with page(port) as process:
            _, log = process.communicate(timeout=60)
            assert process.returncode == 2
            assert f"TELEMETRY_UI_PORT: expected a free port, {port} is not" in log


@pytest.mark.parametrize(("origin", "status"), [("http://evil.example", 403), (None, 101)])
def test_a_page_of_another_site_cannot_open_the_page_s_socket(origin: str | None, status: int) -> None:
    port = free_port()
    with page(port):
        until(lambda: answers(port), 60)
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        } | ({"Origin": origin} if origin else {})
        with closing(socket.create_connection(("127.0.0.1", port), 10)) as client:
            lines = [f"GET /_stcore/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            client.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            assert client.recv(4096).split(b" ")[1] == str(status).encode()
