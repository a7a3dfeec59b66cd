"""Every answer to ingest says when the gateway received the request and when it answered."""

from __future__ import annotations

import json
import re
import time

import httpx
import pytest

from telemetry.client import Gateway as Client
from telemetry.commands.doctor import examine
from telemetry.environ import Up
from telemetry.offset import best
from telemetry.times import parse_time
from tests.gateway.conftest import Gateway
from tests.gateway.test_feed import sender
from tests.gateway.test_ingest import trade
from tests.gateway.test_lane import Connection, body, request

JSON = {"content-type": "application/json"}


def times_of(texts: httpx.Headers | dict[str, str]) -> tuple[int, int]:
    """(received, sent) in UTC ns; both must have nine decimals."""
    found = texts["telemetry-received-at"], texts["telemetry-sent-at"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", text) for text in found)
    return parse_time(found[0]), parse_time(found[1])


@pytest.mark.parametrize(
    ("content", "headers", "query", "status"),
    [
        (b'{"symbol": "CLOCK", "quantity": "1", "price": "1"}', JSON, "", 202),
        (b'{"symbol": "CLOCK", "quantity": "1", "price": "1"}', JSON | {"idempotency-key": "clock"}, "", 202),
        (b'[{"symbol": "CLOCK", "quantity": "1", "price": "1"}]', JSON, "?wait=applied&timeout=30", 202),
        (b"{", JSON, "", 400),
        (b'{"symbol": "CLOCK"}', JSON, "", 422),
        (b"{}", {"content-type": "text/html"}, "", 415),
        (b"{}", JSON | {"host": "example.com"}, "", 403),
    ],
)
def test_every_answer_to_a_post_has_both_times_and_they_lie_between_sending_and_answer(
    gateway: Gateway, content: bytes, headers: dict[str, str], query: str, status: int
) -> None:
    before = time.time_ns()
    response = gateway.request("POST", f"/v1/trades{query}", content=content, headers=headers)
    after = time.time_ns()
    assert response.status_code == status
    received, sent = times_of(response.headers)
    assert before <= received <= sent <= after


@pytest.mark.parametrize(("wait", "content"), [("", None), ("?wait=applied", None), ("", b'{"symbol": "CLOCK"}')])
def test_the_lane_says_the_same_and_an_answer_that_waits_is_stamped_when_it_goes_out(
    gateway: Gateway, symbol: str, wait: str, content: bytes | None
) -> None:
    connection = Connection(gateway.port)
    try:
        for _ in range(2):  # the second head is known
            before = time.time_ns()
            connection.send(request(content or body(symbol)).replace(b"/v1/trades ", b"/v1/trades%b " % wait.encode()))
            head = connection.head()
            after = time.time_ns()
            lines = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n"))
            received, sent = (
                parse_time(lines[name].upper()) for name in ("telemetry-received-at", "telemetry-sent-at")
            )
            assert before <= received <= sent <= after
    finally:
        connection.close()


def test_a_client_finds_the_offset_of_a_gateway_on_the_same_machine_to_be_none(gateway: Gateway) -> None:
    with Client(gateway.url) as client:
        found = best(client.exchange() for _ in range(10))
    assert found is not None
    assert abs(found.offset) <= found.error < 1


def test_the_doctor_shows_the_offset_and_its_error(gateway: Gateway) -> None:
    checks = {check.name: check for check in examine(Up(port=gateway.port))}
    assert checks["gateway clock"].ok
    assert re.search(r" [+-]\d+\.\d{3} ms ± \d+\.\d{3} ms against ours", checks["gateway clock"].detail)


def test_a_frame_is_answered_with_both_times_also_when_it_is_refused(gateway: Gateway, symbol: str) -> None:
    with sender(gateway) as mine:
        for frame in (trade(symbol), {"symbol": symbol}):
            before = time.time_ns()
            answer = mine.exchange(json.dumps(frame))
            after = time.time_ns()
            assert before <= parse_time(answer["received_at"]) <= parse_time(answer["sent_at"]) <= after
