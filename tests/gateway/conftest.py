"""A real gateway with one worker, as processes of their own on a free port, shared by the tests of a session.

Tests share it: each uses symbols of its own, and looks at what it added.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.desk import Desk, until

_names = itertools.count(1)


class Gateway:
    """HTTP to a desk, every answer checked for what all answers have in common."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.url, self.port = desk.url, desk.port
        self.http = httpx.Client(base_url=desk.url, timeout=60.0, trust_env=False)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Any request; an error must be a problem document, and never a 500."""
        response = self.http.request(method, path, **options)
        check_shape(response, method)
        return response

    def get(self, path: str, status: int = 200, **parameters: Any) -> dict[str, Any]:
        """A JSON answer of the status expected."""
        response = self.request("GET", path, params=parameters)
        assert response.status_code == status, response.text
        found: dict[str, Any] = response.json()
        return found

    def post(
        self,
        body: object,
        status: int = 202,
        *,
        kind: str = "application/json",
        query: str = "wait=applied&timeout=30",
        **headers: str,
    ) -> dict[str, Any]:
        """Send trades (JSON, or a body in bytes), by default until they are in the figures."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()} | {"content-type": kind}
        response = self.request("POST", f"/v1/trades?{query}", content=content, headers=names)
        assert response.status_code == status, response.text
        found: dict[str, Any] = response.json()
        return found

    def durable(self) -> int:
        """How many trades are on disk."""
        return int(self.get("/v1/freshness")["durable_seq"])

    def row(self, symbol: str, **parameters: Any) -> dict[str, Any]:
        """The statistics of a symbol."""
        return self.get(f"/v1/stats/{path_of(symbol)}", **parameters)


def path_of(symbol: str) -> str:
    """A symbol as a part of a path."""
    return "".join(chr(b) if chr(b).isascii() and chr(b).isalnum() else f"%{b:02X}" for b in symbol.encode())


def check_shape(response: httpx.Response, method: str) -> None:
    """What every answer promises: its length, its media type, and the problem document of an error."""
    assert response.status_code != 500, response.text
    if response.status_code < 400:
        return
    assert response.headers["content-type"] == "application/problem+json"
    if response.status_code in (429, 503):
        assert int(response.headers["retry-after"]) >= 1
    if method == "HEAD":
        return
    document = response.json()
    assert document["status"] == response.status_code
    assert document["type"].startswith("urn:")
    assert document["title"]
    assert document["detail"]
    assert len(document.get("errors", [])) <= 100


@contextmanager
def started(directory: Path, **settings: Any) -> Iterator[Gateway]:
    """A gateway and a worker, started at the same time, ready to take trades."""
    with Desk(directory, **settings) as desk:
        process = desk.start_gateway(wait=False)
        desk.start_worker()
        until(
            lambda: process.code is not None or (desk.takes_trades() and desk.connected()),
            "the gateway takes trades and has a worker",
        )
        assert process.code is None, process.log.read_text("utf-8")
        gateway = Gateway(desk)
        try:
            yield gateway
        finally:
            gateway.http.close()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The gateway that the tests of a session share; it must be well at the end."""
    with started(tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway
        assert gateway.get("/healthz") == {"status": "alive"}
        assert gateway.desk.gateway is not None
        assert gateway.desk.gateway.events("Exception in ASGI application\n") == []
        assert [line for line in gateway.desk.gateway.events("stream") if line["level"] == "error"] == []


@pytest.fixture
def gateway(shared: Gateway) -> Iterator[Gateway]:
    """The same, with everything applied before, and alive after the test."""
    yield shared
    until(lambda: shared.get("/readyz")["ready"], "the gateway is ready after the test")


@pytest.fixture
def symbol() -> str:
    """A symbol that no other test uses."""
    return f"TEST-{next(_names)}"


@pytest.fixture
def nothing_kept(gateway: Gateway) -> Iterator[None]:
    """The test leaves no trade behind."""
    before = gateway.durable()
    yield
    assert gateway.durable() == before
