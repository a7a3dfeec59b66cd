"""POST /v1/trades of a running gateway: every rule, every refusal, and that nothing of a refused request is kept."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from telemetry.trade import UNPRINTABLE, printable
from tests.gateway.conftest import Gateway
from tests.telemetry.hostile import FIELDS, GOOD, SYNTAX

MEBIBYTE = 1 << 20
TIME = "2026-11-20T10:00:00Z"


def trade(symbol: str, **fields: object) -> dict[str, object]:
    return {"symbol": symbol, "quantity": "1.5", "price": "100.25", **fields}


def exchange(gateway: Gateway, *chunks: bytes, end: bool = False) -> bytes:
    """Send bytes as they are; everything that comes back within the connection."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
        for chunk in chunks:
            connection.sendall(chunk)
        if end:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def head(gateway: Gateway, *lines: str) -> bytes:
    start = (
        "POST /v1/trades HTTP/1.1",
        f"Host: 127.0.0.1:{gateway.port}",
        "Content-Type: application/json",
        "Connection: close",
    )
    return "\r\n".join((*start, *lines, "", "")).encode()


# --- what is taken ---------------------------------------------------------------------------------------------------


def test_one_trade_an_array_and_lines_are_taken_and_numbered_without_a_hole(gateway: Gateway, symbol: str) -> None:
    one = gateway.post(trade(symbol, side="buy"))
    many = gateway.post([trade(symbol), trade(symbol)])
    lines = b"\n".join(json.dumps(trade(symbol)).encode() for _ in range(3)) + b"\n\n"
    ndjson = gateway.post(lines, kind="application/x-ndjson")
    jsonl = gateway.post(lines, kind="application/jsonl; charset=utf-8")
    first = one["first_seq"]
    assert one == {
        "accepted": 1,
        "duplicates": 0,
        "first_seq": first,
        "last_seq": first,
        "durable": True,
        "applied": True,
    }
    assert [answer["first_seq"] for answer in (many, ndjson, jsonl)] == [first + 1, first + 3, first + 6]
    assert [answer["last_seq"] for answer in (many, ndjson, jsonl)] == [first + 2, first + 5, first + 8]
    assert gateway.row(symbol)["trades"] == 9


def test_what_was_posted_with_wait_applied_is_in_the_next_answer(gateway: Gateway, symbol: str) -> None:
    for count in range(1, 21):
        answer = gateway.post(trade(symbol))
        row = gateway.row(symbol)
        assert (answer["applied"], row["trades"]) == (True, count)
        assert row["as_of_seq"] >= answer["last_seq"]


def test_without_wait_the_answer_does_not_wait_and_with_timeout_zero_it_says_whether_it_is_applied(
    gateway: Gateway, symbol: str
) -> None:
    assert gateway.post(trade(symbol), query="")["durable"] is True
    assert gateway.post(trade(symbol), query="wait=applied&timeout=0")["applied"] in (True, False)


def test_every_field_is_taken_in_every_form_that_the_table_allows(gateway: Gateway, symbol: str) -> None:
    full = trade(
        symbol,
        side="sell",
        kind="fill",
        quantity=2,
        price=-37.63,
        multiplier="1e2",
        timestamp=1_795_000_000_000_000_000,
        trade_id=12345,
        action="new",
        ref_trade_id="r",
        venue="NYMEX",
        account="a",
        strategy="s",
        order_id="o",
        currency="USD",
        liquidity="maker",
        fee="-0.1",
        fee_currency="USD",
        source="feed",
        source_seq=-5,
        sent_at="2026-11-20T10:00:00.123456789+05:30",
        order_sent_at=TIME,
        tags={"note": "ünï\U0001f600", "": ""},
    )
    assert gateway.post(full)["accepted"] == 1
    row = gateway.row(symbol, kind="fill", venue="NYMEX")
    assert (row["quantity"], row["notional"], row["price_last"], row["currency"]) == ("2", "-7526", "-37.63", "USD")
    assert gateway.row(symbol, kind="print")["trades"] == 0


@pytest.mark.parametrize(
    ("fields", "kind"),
    [({}, "print"), ({"account": "a"}, "fill"), ({"order_id": "7"}, "fill"), ({"venue": "v"}, "print")],
)
def test_the_kind_is_fill_when_an_account_or_order_is_given(
    gateway: Gateway, symbol: str, fields: dict[str, object], kind: str
) -> None:
    gateway.post(trade(symbol, **fields))
    other = {"fill": "print", "print": "fill"}[kind]
    assert gateway.row(symbol, kind=kind)["trades"] == 1
    assert gateway.row(symbol, kind=other)["trades"] == 0


@pytest.mark.parametrize(
    "name",
    ["BTC/USDT:USDT", "BRK.B", "ES.c.0", "トヨタ自動車", "a b", "100%", "?x#y&z", "..", "../../etc", "é" * 32, "\\"],
)
def test_symbols_of_all_kinds_come_back_by_their_name(gateway: Gateway, name: str) -> None:
    before = gateway.get("/v1/stats", symbol=name)["totals"]["trades"]
    gateway.post(trade(name))
    assert gateway.row(name)["symbol"] == name
    assert gateway.row(name)["trades"] == before + 1
    assert gateway.get("/v1/stats", symbol=name)["order"] == [name]


def test_a_body_of_fifty_thousand_trades_is_taken_and_one_more_is_413(gateway: Gateway, symbol: str) -> None:
    line = json.dumps(trade(symbol)).encode()
    assert gateway.post(b"\n".join([line] * 50_000), kind="application/x-ndjson")["accepted"] == 50_000
    before = gateway.durable()
    for body, kind in (
        (b"\n".join([line] * 50_001), "application/x-ndjson"),
        (b"[" + b",".join([line] * 50_001) + b"]", "application/json"),
        (b"[" + b",".join([b"{}"] * 200_000) + b"]", "application/json"),
        (b"[" + b",".join([b"1"] * 1_000_000) + b"]", "application/json"),
    ):
        assert "50,000" in gateway.post(body, 413, kind=kind)["detail"]
    assert gateway.durable() == before


# --- duplicates and keys ---------------------------------------------------------------------------------------------


def test_a_resent_trade_counts_once_decimals_and_times_by_value_and_without_sent_at(
    gateway: Gateway, symbol: str
) -> None:
    first = trade(symbol, trade_id="t", quantity="1.50", price=100, timestamp=TIME, sent_at=TIME)
    again = trade(
        symbol, trade_id="t", quantity=1.5, price="1e2", timestamp="2026-11-20T11:00:00.000+01:00", side="unknown"
    )
    gateway.post(first)
    answer = gateway.post(again)
    assert answer == {
        "accepted": 0,
        "duplicates": 1,
        "first_seq": None,
        "last_seq": None,
        "durable": True,
        "applied": True,
    }
    assert gateway.row(symbol)["trades"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"price": "100.26"},
        {"quantity": 2},
        {"side": "buy"},
        {"timestamp": TIME},
        {"strategy": "s"},
        {"tags": {"a": "b"}},
    ],
)
def test_another_payload_under_a_known_trade_id_is_409_with_its_index(
    gateway: Gateway, symbol: str, change: dict[str, object]
) -> None:
    gateway.post(trade(symbol, trade_id="t"))
    before = gateway.durable()
    document = gateway.post([trade(symbol), trade(symbol, trade_id="t") | change], 409)
    assert [(error["index"], error["field"], error["received"]) for error in document["errors"]] == [
        (1, "trade_id", "t")
    ]
    assert gateway.durable() == before


def test_a_trade_id_is_unique_within_venue_symbol_kind_account_and_order(gateway: Gateway, symbol: str) -> None:
    others: list[dict[str, object]] = [
        {"venue": "v"},
        {"symbol": f"{symbol}-2"},
        {"kind": "fill"},
        {"account": "a"},
        {"order_id": "o"},
        {"trade_id": 8},
    ]
    for number, fields in enumerate([{}, *others]):
        assert gateway.post(trade(symbol, trade_id=7, price=number) | fields)["accepted"] == 1
    assert gateway.post(trade(symbol, trade_id="7", price=0))["duplicates"] == 1


def test_a_trade_twice_in_one_body_is_one_accepted_and_one_duplicate(gateway: Gateway, symbol: str) -> None:
    body = [trade(symbol, trade_id="t"), trade(symbol), trade(symbol, trade_id="t"), trade(symbol)]
    answer = gateway.post(body)
    assert (answer["accepted"], answer["duplicates"]) == (3, 1)
    assert answer["last_seq"] - answer["first_seq"] == 2
    assert gateway.row(symbol)["trades"] == 3


def test_two_payloads_under_one_trade_id_in_one_body_are_409_and_neither_is_kept(gateway: Gateway, symbol: str) -> None:
    before = gateway.durable()
    body = [trade(symbol, trade_id="t"), trade(symbol, trade_id="t", price=1)]
    assert [error["index"] for error in gateway.post(body, 409)["errors"]] == [1]
    assert gateway.durable() == before
    assert gateway.post(trade(symbol, trade_id="t", price=1))["accepted"] == 1, "its key was not kept either"


def test_a_large_body_finds_its_duplicates_and_conflicts_as_a_small_one_does(gateway: Gateway, symbol: str) -> None:
    body = [trade(symbol, trade_id=number % 900) for number in range(1000)]
    answer = gateway.post(body)
    assert (answer["accepted"], answer["duplicates"]) == (900, 100)
    assert gateway.post(body)["duplicates"] == 1000
    body[500] = trade(symbol, trade_id=3, price=5)
    assert [error["index"] for error in gateway.post(body, 409)["errors"]] == [500]


def test_the_same_key_and_body_is_answered_as_the_first_time_and_marked(gateway: Gateway, symbol: str) -> None:
    body = [trade(symbol), trade(symbol)]
    first = gateway.post(body, idempotency_key=symbol)
    content = json.dumps(body).encode()
    headers = {"idempotency-key": symbol, "content-type": "application/json"}
    again = gateway.request("POST", "/v1/trades?wait=applied", content=content, headers=headers)
    assert (again.status_code, again.headers["idempotent-replayed"], again.json()) == (202, "true", first)
    assert gateway.row(symbol)["trades"] == 2


def test_the_first_answer_of_a_key_is_not_marked_as_replayed(gateway: Gateway, symbol: str) -> None:
    headers = {"idempotency-key": symbol, "content-type": "application/json"}
    first = gateway.request("POST", "/v1/trades", content=json.dumps(trade(symbol)).encode(), headers=headers)
    assert "idempotent-replayed" not in first.headers


def test_a_key_with_another_body_is_409_also_when_only_white_space_differs(gateway: Gateway, symbol: str) -> None:
    body = json.dumps(trade(symbol)).encode()
    gateway.post(body, idempotency_key=symbol)
    before = gateway.durable()
    gateway.post(body + b" ", 409, idempotency_key=symbol)
    gateway.post(trade(symbol, price=1), 409, idempotency_key=symbol)
    assert gateway.durable() == before


def test_a_request_of_duplicates_only_is_replayed_too(gateway: Gateway, symbol: str) -> None:
    gateway.post(trade(symbol, trade_id="t"))
    for _ in range(2):
        answer = gateway.post(trade(symbol, trade_id="t"), idempotency_key=symbol)
        assert (answer["accepted"], answer["duplicates"], answer["first_seq"]) == (0, 1, None)


@pytest.mark.parametrize(("key", "status"), [("k" * 255, 202), ("k" * 256, 422), ("", 422)])
def test_a_key_has_1_to_255_characters(gateway: Gateway, symbol: str, key: str, status: int) -> None:
    gateway.post(trade(symbol), status, idempotency_key=key and symbol + key[len(symbol) :])


def test_many_clients_with_one_key_at_once_store_one_request(gateway: Gateway, symbol: str) -> None:
    body = [trade(symbol), trade(symbol)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: gateway.post(body, idempotency_key=symbol), range(24)))
    assert all(answer == answers[0] for answer in answers)
    assert gateway.row(symbol)["trades"] == 2


def test_422_is_judged_before_409(gateway: Gateway, symbol: str) -> None:
    gateway.post(trade(symbol, trade_id="t", multiplier=5), idempotency_key=symbol)
    before = gateway.durable()
    conflict = trade(symbol, trade_id="t", price=1, multiplier=5)
    gateway.post([conflict, trade(symbol, price="x")], 422)
    gateway.post([conflict, trade(symbol, multiplier=6)], 422)
    gateway.post(trade(symbol, quantity=0), 422, idempotency_key=symbol)
    gateway.post(trade(symbol, multiplier=6), 422, idempotency_key=symbol)
    assert gateway.durable() == before


def test_the_multiplier_of_a_venue_and_symbol_stays_what_it_was(gateway: Gateway, symbol: str) -> None:
    gateway.post(trade(symbol, multiplier="50"))
    gateway.post([trade(symbol, multiplier=5e1), trade(symbol, multiplier="10", venue="other")])
    before = gateway.durable()
    for body in (
        [trade(symbol, multiplier="50"), trade(symbol, multiplier="10")],
        [trade(symbol, multiplier="50"), trade(symbol)],
    ):
        (error,) = gateway.post(body, 422)["errors"]
        assert (error["index"], error["field"], error["detail"].split(",")[0]) == (1, "multiplier", "expected 50")
    (error,) = gateway.post([trade(f"{symbol}x", multiplier=1), trade(f"{symbol}x", multiplier=2)], 422)["errors"]
    assert (error["index"], error["received"]) == (1, "2")
    assert gateway.durable() == before


# --- what is refused -------------------------------------------------------------------------------------------------


def _raised(body: bytes) -> Iterator[tuple[bytes, str, int]]:
    yield body, "application/json", 0
    yield b"[" + GOOD + b"," + body + b"]", "application/json", 1
    yield GOOD + b"\n" + body + b"\n" + GOOD, "application/x-ndjson", 1


@pytest.mark.usefixtures("nothing_kept")
def test_every_broken_rule_is_answered_with_index_field_and_what_was_received(gateway: Gateway) -> None:
    for body, problem, field in FIELDS:
        for content, kind, index in _raised(body):
            document = gateway.post(content, 422, kind=kind)
            assert document["type"].endswith(problem)
            error = document["errors"][0]
            if content is not body or not body.startswith(b"["):
                assert (error["index"], error["field"]) == (index, field and printable(field)), body[:200]
            assert error["detail"].startswith(("expected", "unknown field"))
            assert len(error["received"]) <= 200
            assert not UNPRINTABLE.search(error["received"])


@pytest.mark.usefixtures("nothing_kept")
def test_what_is_no_json_is_400(gateway: Gateway) -> None:
    for body in SYNTAX:
        assert "errors" not in gateway.post(body, 400), body[:100]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"  \n", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"[[]]", "application/json", 422),
        (b"", "application/x-ndjson", 422),
        (b"\n\n", "application/x-ndjson", 422),
        (b"[" + GOOD, "application/json", 400),
        (b"[" + GOOD + b",]", "application/json", 400),
        (GOOD + b"\n" + GOOD[:-1], "application/x-ndjson", 400),
        (GOOD + GOOD, "application/json", 400),
        (GOOD + b"\n" + GOOD, "application/json", 400),
        (b"[" + GOOD + b"]", "application/x-ndjson", 422),
        (b"\xff\xfe{", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[" * 9 + b"]" * 9, "application/json", 400),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "application/json", 400),
        (b"9" * 5_000_000, "application/json", 422),
        (b'"' + b"a" * 5_000_000 + b'"', "application/json", 422),
        (b"{" + b'"a":1,' * 100_000 + b'"a":1}', "application/json", 400),
    ],
)
@pytest.mark.usefixtures("nothing_kept")
def test_bodies_without_trades_are_refused(gateway: Gateway, body: bytes, kind: str, status: int) -> None:
    gateway.post(body, status, kind=kind)


@pytest.mark.usefixtures("nothing_kept")
def test_the_first_hundred_errors_are_listed_in_order(gateway: Gateway, symbol: str) -> None:
    document = gateway.post([trade(symbol, price="x")] * 1000, 422)
    assert [error["index"] for error in document["errors"]] == list(range(100))
    document = gateway.post([trade(symbol)] * 700 + [trade(symbol, price="5 ", quantity=True)], 422)
    found = {(error["index"], error["field"], error["received"]) for error in document["errors"]}
    assert found == {(700, "price", "5 "), (700, "quantity", "true")}


@pytest.mark.usefixtures("nothing_kept")
def test_what_was_received_is_never_echoed_unescaped(gateway: Gateway) -> None:
    evil = "\x1b[31m\r\nSet-Cookie: a=b<script>\u202e"
    content = json.dumps({"symbol": evil, "quantity": 1, "price": 1, evil: 1}, ensure_ascii=False).encode()
    response = gateway.request("POST", "/v1/trades", content=content, headers={"content-type": "application/x-ndjson"})
    assert response.status_code in (400, 422)
    assert not any(character in response.text for character in "\x1b\r\n")
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "text/json",
        "application/xml",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/vnd.apache.arrow.file",
        "application/octet-stream",
        "application/jsonx",
        "x" * 5000,
    ],
)
@pytest.mark.usefixtures("nothing_kept")
def test_other_media_types_are_415(gateway: Gateway, kind: str) -> None:
    detail = gateway.post(GOOD, 415, kind=kind)["detail"]
    assert "application/json" in detail
    assert len(detail) < 400


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
@pytest.mark.usefixtures("nothing_kept")
def test_compressed_bodies_are_415(gateway: Gateway, encoding: str) -> None:
    gateway.post(GOOD, 415, content_encoding=encoding)


@pytest.mark.parametrize(
    "query", ["wait=durable", "wait=", "timeout=-1", "timeout=61", "timeout=x", "timeout=nan", "timeout=inf", "other=1"]
)
@pytest.mark.usefixtures("nothing_kept")
def test_wrong_query_parameters_are_422(gateway: Gateway, query: str) -> None:
    gateway.post(GOOD, 422, query=query)


@pytest.mark.usefixtures("nothing_kept")
def test_a_body_over_16_mebibytes_is_413_by_counted_bytes(gateway: Gateway) -> None:
    blanks = b" " * (16 * MEBIBYTE + 1 - len(GOOD))
    gateway.post(GOOD + blanks, 413)
    assert b" 413 " in exchange(gateway, head(gateway, "Transfer-Encoding: chunked"), *_chunked(17)).split(b"\r\n")[0]


def test_a_body_of_exactly_16_mebibytes_is_read(gateway: Gateway) -> None:
    body = b" " * (16 * MEBIBYTE - len(GOOD)) + GOOD
    assert gateway.post(body, kind="application/json")["accepted"] == 1


@pytest.mark.usefixtures("nothing_kept")
def test_a_hundred_mebibytes_are_413_with_or_without_their_length_and_cost_little_memory(gateway: Gateway) -> None:
    before = _resident(gateway)
    chunk = b" " * MEBIBYTE
    answers = (
        exchange(gateway, head(gateway, "Transfer-Encoding: chunked"), *_chunked(100)),
        exchange(gateway, head(gateway, f"Content-Length: {100 * MEBIBYTE}"), *([chunk] * 100)),
    )
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"application/problem+json" in answer
    assert _resident(gateway) - before < 64 * MEBIBYTE


def _chunked(mebibytes: int) -> Iterator[bytes]:
    for _ in range(mebibytes):
        yield b"%x\r\n%b\r\n" % (MEBIBYTE, b" " * MEBIBYTE)
    yield b"0\r\n\r\n"


def _resident(gateway: Gateway) -> int:
    assert gateway.desk.gateway is not None
    with open(f"/proc/{gateway.desk.gateway.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.usefixtures("nothing_kept")
def test_lengths_that_lie_keep_nothing(gateway: Gateway) -> None:
    short = exchange(gateway, head(gateway, "Content-Length: 10") + GOOD)
    assert short.startswith(b"HTTP/1.1 400 ")
    assert exchange(gateway, head(gateway, "Content-Length: 1000"), GOOD, end=True) == b""
    for lines in (("Content-Length: -1",), ("Content-Length: x",), ("Content-Length: 5", "Content-Length: 6")):
        assert exchange(gateway, head(gateway, *lines) + GOOD, end=True).startswith(b"HTTP/1.1 400 ")
    assert exchange(gateway, head(gateway, "Transfer-Encoding: chunked") + b"zz\r\n" + GOOD).startswith(
        b"HTTP/1.1 400 "
    )


def test_a_body_in_chunks_of_one_byte_is_taken(gateway: Gateway, symbol: str) -> None:
    body = json.dumps([trade(symbol)] * 20).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    answer = exchange(gateway, head(gateway, "Transfer-Encoding: chunked"), chunks)
    assert answer.startswith(b"HTTP/1.1 202 ")


@pytest.mark.usefixtures("nothing_kept")
def test_a_client_that_goes_away_within_its_body_leaves_nothing(gateway: Gateway) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
            connection.sendall(head(gateway, f"Content-Length: {len(GOOD)}") + GOOD[:-1])
    assert gateway.get("/healthz") == {"status": "alive"}


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "localhost.evil.example"},
        {"host": "127.0.0.1.nip.io"},
        {"host": "0.0.0.0"},
        {"host": "x/?"},
        {"host": "127.0.0.1:80@evil.example"},
        {"host": ""},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost.evil.example"},
        {"origin": "https://127.0.0.1"},
        {"origin": ""},
    ],
)
@pytest.mark.usefixtures("nothing_kept")
def test_other_hosts_and_origins_are_403_on_every_route(gateway: Gateway, headers: dict[str, str]) -> None:
    gateway.post(GOOD, 403, **headers)
    for path in ("/v1/stats", "/metrics", "/healthz", "/docs", "/openapi.json", "/nothing"):
        assert gateway.request("GET", path, headers=headers).status_code == 403


@pytest.mark.usefixtures("nothing_kept")
def test_two_hosts_and_no_host_are_refused(gateway: Gateway) -> None:
    two = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\nHost: evil\r\nConnection: close\r\n\r\n"
    none = "GET /healthz HTTP/1.0\r\n\r\n"
    for request in (two, none):
        assert exchange(gateway, request.encode()).startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 400 "))


def test_names_of_loopback_and_origins_of_our_own_pages_are_let_in(gateway: Gateway, symbol: str) -> None:
    for host in ("localhost", "127.0.0.1", "[::1]", "LOCALHOST"):
        assert gateway.request("GET", "/healthz", headers={"host": f"{host}:{gateway.port}"}).status_code == 200
    assert gateway.post(trade(symbol), origin=f"http://127.0.0.1:{gateway.port}")["accepted"] == 1
    assert gateway.post(trade(symbol), origin="http://localhost:8501")["accepted"] == 1


def test_refusals_are_counted_by_their_reason(gateway: Gateway) -> None:
    def counted() -> dict[str, float]:
        return gateway.desk.counter("telemetry_refused_total")

    before = counted()
    gateway.post(b"{", 400)
    gateway.post(b"[]", 422)
    gateway.post(GOOD, 415, kind="text/plain")
    after = counted()
    for reason in ("not-parsable", "invalid", "media-type"):
        label = f'reason="{reason}"'
        assert after[label] - before.get(label, 0) == 1


def test_a_thousand_keys_of_headers_and_long_urls_end_no_process(gateway: Gateway) -> None:
    many = "".join(f"X-{number}: {number}\r\n" for number in range(1000))
    answers: list[Any] = [
        exchange(gateway, f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{many}\r\n".encode()),
        exchange(gateway, f"GET /{'a' * 60_000} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()),
        exchange(gateway, b"\x16\x03\x01\x02\x00\x01\x00", end=True),
        exchange(gateway, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", end=True),
    ]
    assert answers[0].startswith(b"HTTP/1.1 200 ")
    assert answers[1].startswith(b"HTTP/1.1 404 ")
    assert all(not answer or answer.startswith(b"HTTP/1.1 400 ") for answer in answers[2:])
