"""Single trades below ASGI: whoever sends one cannot tell, and what arrives together stays apart."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.gateway.conftest import Gateway

ANSWER = re.compile(rb"HTTP/1\.1 (\d+) [^\r]*\r\n(.*?)\r\n\r\n", re.DOTALL)


class Connection:
    """A raw connection that is kept open."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._received = b""

    def send(self, data: bytes) -> None:
        """All of these bytes."""
        self._socket.sendall(data)

    def answer(self) -> tuple[int, dict[str, object]]:
        """The next answer: its status and what it says."""
        while True:
            found = ANSWER.match(self._received)
            if found is not None:
                (length,) = re.findall(rb"(?i)content-length: (\d+)", found[2])
                end = found.end() + int(length)
                if len(self._received) >= end:
                    body, self._received = self._received[found.end() : end], self._received[end:]
                    return int(found[1]), json.loads(body)
            self._receive()

    def head(self) -> bytes:
        """The header lines of the next answer, which is taken."""
        while (found := ANSWER.match(self._received)) is None:
            self._receive()
        self.answer()
        return found[2]

    def status(self) -> int:
        """The status of the next answer, whatever its form."""
        while (found := ANSWER.match(self._received)) is None:
            self._receive()
        return int(found[1])

    def _receive(self) -> None:
        data = self._socket.recv(1 << 16)
        assert data, f"expected an answer, the connection ended after {self._received!r}"
        self._received += data

    def close(self) -> None:
        """Go away."""
        self._socket.close()


@contextmanager
def connections(gateway: Gateway, count: int) -> Iterator[list[Connection]]:
    with ExitStack() as stack:
        made = [Connection(gateway.port) for _ in range(count)]
        for connection in made:
            stack.callback(connection.close)
        yield made


def request(body: bytes, *lines: str, host: str = "127.0.0.1") -> bytes:
    """One that the lane takes, without more lines."""
    head = [
        "POST /v1/trades HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *lines,
    ]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + body


def body(symbol: str, **fields: object) -> bytes:
    return json.dumps({"symbol": symbol, "quantity": "2", "price": "1.5", "side": "buy", **fields}).encode()


def exchange(gateway: Gateway, bodies: list[bytes]) -> list[tuple[int, dict[str, object]]]:
    """Bodies sent at once, each on its own connection, on which something was sent before."""
    with connections(gateway, len(bodies)) as made:
        for connection, content in zip(made, bodies, strict=True):
            connection.send(request(content))
        return [connection.answer() for connection in made]


def test_many_clients_at_once_get_a_number_each_and_every_trade_counts(gateway: Gateway, symbol: str) -> None:
    answers = exchange(gateway, [body(symbol, trade_id=f"t{number}") for number in range(100)])
    assert {status for status, _ in answers} == {202}
    numbers = sorted(int(str(answer["first_seq"])) for _, answer in answers)
    assert numbers == list(range(numbers[0], numbers[0] + 100))
    for _, answer in answers:
        assert answer == {
            "accepted": 1,
            "duplicates": 0,
            "first_seq": answer["first_seq"],
            "last_seq": answer["first_seq"],
            "durable": True,
            "applied": answer["applied"],
        }
    gateway.post([json.loads(body(symbol, trade_id="last"))])
    row = gateway.row(symbol)
    assert (row["trades"], row["buy_quantity"]) == (101, "202")


def test_a_wrong_one_among_many_is_refused_alone(gateway: Gateway, symbol: str) -> None:
    bodies = [body(symbol) for _ in range(20)]
    bodies[7] = body(symbol, price="1.5 ")
    bodies[11] = b"[" + body(symbol) + b"," + body(symbol) + b"]"
    bodies[13] = b"{"
    answers = exchange(gateway, bodies)
    assert [status for status, _ in answers] == [{7: 422, 13: 400}.get(number, 202) for number in range(20)]
    assert answers[7][1]["errors"][0]["index"] == 0  # type: ignore[index]
    assert answers[7][1]["errors"][0]["field"] == "price"  # type: ignore[index]
    assert answers[11][1]["accepted"] == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b'{"symbol":"%b","quantity":"1"', b'"price":"1"}'),
        (b'{"symbol":"%b","quantity":"1","price":"1"},{"symbol":"%b"', b'"quantity":"1","price":"1"}'),
        (b'{"symbol":"%b","quantity":"1","price":"1"}\n{"symbol":"%b","quantity":"1","price":"1"}', b" "),
        (b'[{"symbol":"%b","quantity":"1","price":"1"}', b"]"),
        (b'{"symbol":"%b","quantity":"1","price":"1","venue":"', b'"}'),
    ],
)
def test_bodies_that_make_sense_only_together_are_all_refused(
    gateway: Gateway, symbol: str, first: bytes, second: bytes
) -> None:
    first = first.replace(b"%b", symbol.encode())
    answers = exchange(gateway, [first, second] * 8)
    assert {status for status, _ in answers} == {400}
    gateway.get(f"/v1/stats/{symbol}", 404)


def test_a_trade_that_many_send_at_once_counts_once_and_another_payload_is_409(gateway: Gateway, symbol: str) -> None:
    answers = exchange(gateway, [body(symbol, trade_id="same")] * 20 + [body(symbol, trade_id="same", price="2")] * 2)
    statuses = [status for status, _ in answers]
    first_was_other = statuses.count(409) == 20
    assert statuses.count(409) in (2, 20)
    assert sum(int(str(answer["accepted"])) for status, answer in answers if status == 202) == 1
    gateway.post([json.loads(body(symbol, trade_id="another"))])
    assert gateway.row(symbol)["trades"] == 2, first_was_other


def test_requests_behind_one_another_are_answered_in_their_order(gateway: Gateway, symbol: str) -> None:
    usual = request(body(symbol, trade_id="usual"), "Idempotency-Key: " + symbol)
    page = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    first, last = request(body(symbol, trade_id="first")), request(body(symbol, trade_id="last"))
    with connections(gateway, 1) as (connection,):
        connection.send(first + usual + page + last + first)
        found = [connection.answer() for _ in range(5)]
    assert [status for status, _ in found] == [202, 202, 200, 202, 202]
    assert [answer.get("accepted") for _, answer in found] == [1, 1, None, 1, 0]
    sequence = [int(str(answer["first_seq"])) for _, answer in found if answer.get("accepted")]
    assert sequence == sorted(sequence)


def test_what_comes_in_pieces_is_taken_too_and_the_connection_goes_on(gateway: Gateway, symbol: str) -> None:
    whole = request(body(symbol))
    with connections(gateway, 1) as (connection,):
        connection.send(whole)
        assert connection.answer()[0] == 202
        for cut in (1, 30, len(whole) - 50, len(whole) - 1):
            connection.send(whole[:cut])
            with connections(gateway, 1) as (other,):  # by its answer, the first piece has arrived
                other.send(whole)
                assert other.answer()[0] == 202
            connection.send(whole[cut:])
            assert connection.answer()[0] == 202
            connection.send(whole)
            assert connection.answer()[0] == 202


@pytest.mark.parametrize(
    ("lines", "host", "status"),
    [
        ((), "evil.example", 403),
        (("Origin: http://evil.example",), "127.0.0.1", 403),
        (("Host: 127.0.0.1",), "127.0.0.1", 403),
        (("Content-Encoding: gzip",), "127.0.0.1", 415),
        (("Origin: http://127.0.0.1:{port}",), "127.0.0.1", 202),
        (("X-Request-Id: 5",), "127.0.0.1", 202),
        (("Content-Length: 5",), "127.0.0.1", 400),
    ],
)
def test_guards_hold_for_every_head_also_the_second_time(
    gateway: Gateway, symbol: str, lines: tuple[str, ...], host: str, status: int
) -> None:
    made = request(body(symbol), *(line.replace("{port}", str(gateway.port)) for line in lines), host=host)
    for _ in range(3):
        with connections(gateway, 1) as (connection,):
            connection.send(made)
            assert connection.status() == status


def test_a_thousand_heads_that_differ_are_taken_one_like_the_other(gateway: Gateway, symbol: str) -> None:
    with connections(gateway, 1) as (connection,):
        for number in range(1_100):
            connection.send(request(body(symbol), f"User-Agent: {number}"))
            assert connection.answer()[0] == 202


def test_a_body_that_looks_like_a_request_is_a_body(gateway: Gateway, symbol: str) -> None:
    inner = request(body(symbol))
    outer = b"POST /v1/trades HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/nothing\r\nContent-Length: %d\r\n\r\n"
    with connections(gateway, 1) as (connection,):
        connection.send(outer % len(inner))
        assert connection.answer()[0] == 415  # before the body is here
        connection.send(inner)
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert connection.answer()[0] == 200
    gateway.get(f"/v1/stats/{symbol}", 404)


def test_who_waits_until_applied_is_answered_then_and_who_does_not_before(gateway: Gateway, symbol: str) -> None:
    content = [body(symbol, trade_id=f"t{number}") for number in range(40)]
    with connections(gateway, 40) as made:
        for number, (connection, one) in enumerate(zip(made, content, strict=True)):
            query = b"?wait=applied&timeout=30" if number % 2 else b""
            connection.send(request(one).replace(b"/v1/trades", b"/v1/trades" + query, 1))
        answers = [connection.answer() for connection in made]
    assert {status for status, _ in answers} == {202}
    assert all(answer["applied"] for _, answer in answers[1::2])
    assert gateway.row(symbol)["trades"] >= 20


def test_who_waits_for_nothing_is_told_so(gateway: Gateway, symbol: str) -> None:
    made = request(body(symbol)).replace(b"/v1/trades", b"/v1/trades?wait=applied&timeout=0", 1)
    with connections(gateway, 1) as (connection,):
        connection.send(made)
        status, answer = connection.answer()
    assert (status, answer["accepted"]) == (202, 1)


@pytest.mark.parametrize(
    "query", [b"?wait=never", b"?wait=applied&timeout=x", b"?limit=1", b"?wait=applied&timeout=61"]
)
def test_wrong_parameters_are_422_also_the_second_time(gateway: Gateway, symbol: str, query: bytes) -> None:
    made = request(body(symbol)).replace(b"/v1/trades", b"/v1/trades" + query, 1)
    for _ in range(2):
        with connections(gateway, 1) as (connection,):
            connection.send(made)
            assert connection.answer()[0] == 422
    gateway.get(f"/v1/stats/{symbol}", 404)
