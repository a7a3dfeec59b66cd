"""Large bodies below ASGI: read from the socket in place, in whatever pieces they come, answered as all others are."""

from __future__ import annotations

import itertools
import json
import socket

import pyarrow as pa
import pytest

from gateway.ingest import ARROW_BYTES, THREAD_BYTES
from gateway.ingestion.lane import MOST_BYTES
from tests.e2e.desk import until
from tests.gateway.conftest import Gateway
from tests.gateway.test_lane import Connection, connections, request
from tests.telemetry.arrow_bodies import stream


def trades(symbol: str, count: int, name: str = "t", **fields: object) -> bytes:
    """An array of trades, each with a trade_id."""
    made = [
        {"trade_id": f"{name}{number}", "symbol": symbol, "side": "buy", "price": "1.5", "quantity": "2", **fields}
        for number in range(count)
    ]
    return json.dumps(made).encode()


def arrow(symbol: str, count: int, **columns: list[object]) -> bytes:
    """The same trades as an Arrow stream."""
    made: dict[str, list[object]] = {name: [] for name in ("trade_id", "symbol", "side", "price", "quantity")}
    for trade in json.loads(trades(symbol, count)):
        for name, values in made.items():
            values.append(float(trade[name]) if name in ("price", "quantity") else trade[name])
    return stream(pa.table(made | columns))


def as_arrow(body: bytes) -> bytes:
    return request(body).replace(b"application/json", b"application/vnd.apache.arrow.stream", 1)


def taken(connection: Connection, count: int, duplicates: int = 0) -> None:
    status, answer = connection.answer()
    assert (status, answer["accepted"], answer["duplicates"]) == (202, count, duplicates)


def send_in_pieces(gateway: Gateway, connection: Connection, symbol: str, whole: bytes, cuts: tuple[int, ...]) -> None:
    """A request, its body cut at these places (below 0: from the end), one piece after the other."""
    head = whole.index(b"\r\n\r\n") + 4
    places = [0, *(head + cut if cut > 0 else len(whole) + cut for cut in cuts), len(whole)]
    for start, end in itertools.pairwise(places):
        connection.send(whole[start:end])
        with connections(gateway, 1) as (other,):  # by its answer, the piece before has arrived
            other.send(request(trades(f"{symbol}-{end}", 1)))
            taken(other, 1)


@pytest.mark.parametrize("cuts", [(), (1,), (-1,), (5_000,), (5_000, 5_001, 9_000), tuple(range(300, 20_000, 700))])
def test_a_large_body_counts_once_in_whatever_pieces_it_comes(
    gateway: Gateway, symbol: str, cuts: tuple[int, ...]
) -> None:
    whole = request(trades(symbol, 200))
    with connections(gateway, 1) as (connection,):
        send_in_pieces(gateway, connection, symbol, whole, cuts)
        taken(connection, 200)
        connection.send(whole)
        taken(connection, 0, 200)
    gateway.post(json.loads(trades(symbol, 1, "last")))
    assert gateway.row(symbol)["trades"] == 201
    assert gateway.row(symbol)["buy_quantity"] == "402"


@pytest.mark.parametrize("new", [0, 1, 2])
def test_the_answer_to_a_body_tells_of_its_duplicates_however_many_are_new(
    gateway: Gateway, symbol: str, new: int
) -> None:
    known = json.loads(trades(symbol, 100))
    body = json.dumps(json.loads(trades(symbol, new, "new")) + known).encode()
    with connections(gateway, 1) as (connection,):
        connection.send(request(json.dumps(known).encode()))
        taken(connection, 100)
        connection.send(request(body))
        taken(connection, new, 100)


def test_bodies_of_all_lengths_follow_one_another_on_one_connection(gateway: Gateway, symbol: str) -> None:
    with connections(gateway, 1) as (connection,):
        for count in (100, 1, 1_000, 37, 2_000, 100, 3_000, 1, 500):
            connection.send(request(trades(symbol, count, f"{count}-")))
            status, answer = connection.answer()
            assert (status, int(str(answer["accepted"])) + int(str(answer["duplicates"]))) == (202, count)
    gateway.post(json.loads(trades(symbol, 1, "last")))
    assert gateway.row(symbol)["trades"] == 100 + 1 + 1_000 + 37 + 2_000 + 3_000 + 500 + 1


def test_a_body_may_be_longer_than_what_the_lane_takes(gateway: Gateway, symbol: str) -> None:
    body = trades(symbol, THREAD_BYTES // 80)
    assert len(body) > THREAD_BYTES
    with connections(gateway, 1) as (connection,):
        connection.send(request(body))
        taken(connection, THREAD_BYTES // 80)
        connection.send(request(trades(symbol, 100, "other")))
        taken(connection, 100)


def test_what_follows_a_large_body_at_once_is_answered_after_it(gateway: Gateway, symbol: str) -> None:
    page = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    first, second = request(trades(symbol, 300, "a")), request(trades(symbol, 200, "b"))
    with connections(gateway, 1) as (connection,):
        connection.send(first[:-7])
        connection.send(first[-7:] + second + page + first)
        taken(connection, 300)
        taken(connection, 200)
        assert connection.answer()[0] == 200
        taken(connection, 0, 300)


def test_a_wrong_trade_in_a_large_body_is_named_and_nothing_of_it_is_kept(
    gateway: Gateway, symbol: str, nothing_kept: None
) -> None:
    made = json.loads(trades(symbol, 500))
    made[321]["price"] = "1.5 "
    with connections(gateway, 1) as (connection,):
        for _ in range(2):
            connection.send(request(json.dumps(made).encode()))
            status, answer = connection.answer()
            assert status == 422
            assert answer["errors"][0]["index"] == 321  # type: ignore[index]
            assert answer["errors"][0]["field"] == "price"  # type: ignore[index]
            connection.send(request(json.dumps(made).encode()[:-1]))
            assert connection.answer()[0] == 400


def test_a_large_body_never_shows_what_was_in_its_buffer_before(gateway: Gateway, symbol: str) -> None:
    whole, cut = trades(symbol, 400), trades(symbol, 400)[:-2]
    with connections(gateway, 1) as (connection,):
        connection.send(request(whole))
        taken(connection, 400)
        connection.send(request(cut))
        assert connection.answer()[0] == 400
        connection.send(request(trades(f"{symbol}é", 100)))
        taken(connection, 100)
        wrong = trades(symbol, 100, venue="XX").replace(b'"XX"', b'"\xe9X"')
        connection.send(request(wrong))
        assert connection.answer()[0] == 400


def test_a_conflict_in_a_large_body_is_409(gateway: Gateway, symbol: str) -> None:
    with connections(gateway, 1) as (connection,):
        connection.send(request(trades(symbol, 100)))
        taken(connection, 100)
        connection.send(request(trades(symbol, 100, price="2")))
        status, answer = connection.answer()
        assert (status, len(answer["errors"])) == (409, 100)  # type: ignore[arg-type]


def test_who_goes_away_before_a_large_body_is_complete_leaves_nothing_and_is_counted(
    gateway: Gateway, symbol: str, nothing_kept: None
) -> None:
    def counted() -> float:
        return gateway.desk.counter("telemetry_refused_total").get('reason="bad-request"', 0.0)

    before = counted()
    whole = request(trades(symbol, 300))
    for _ in range(3):
        leaving = socket.create_connection(("127.0.0.1", gateway.port), timeout=30)
        leaving.sendall(whole[:-1])
        leaving.close()
    until(lambda: counted() >= before + 3, "three requests are counted as refused")
    gateway.get(f"/v1/stats/{symbol}", 404)


def test_who_waits_until_a_large_body_is_applied_is_answered_then(gateway: Gateway, symbol: str) -> None:
    made = request(trades(symbol, 300)).replace(b"/v1/trades", b"/v1/trades?wait=applied&timeout=30", 1)
    with connections(gateway, 1) as (connection,):
        connection.send(made)
        status, answer = connection.answer()
        assert (status, answer["applied"]) == (202, True)
    assert gateway.row(symbol)["trades"] == 300


@pytest.mark.parametrize("cuts", [(), (1,), (-1,), (700, 701, 5_000), tuple(range(300, 12_000, 700))])
def test_an_arrow_body_counts_once_in_whatever_pieces_it_comes_and_is_the_same_as_json(
    gateway: Gateway, symbol: str, cuts: tuple[int, ...]
) -> None:
    whole = as_arrow(arrow(symbol, 300))
    with connections(gateway, 1) as (connection,):
        send_in_pieces(gateway, connection, symbol, whole, cuts)
        taken(connection, 300)
        connection.send(whole + as_arrow(arrow(symbol, 1)))
        taken(connection, 0, 300)
        taken(connection, 0, 1)


@pytest.mark.parametrize("currency", ["EUR", "€"])  # what is not ASCII is read in a thread
def test_arrow_bodies_follow_others_on_one_connection_whoever_reads_them(
    gateway: Gateway, symbol: str, currency: str
) -> None:
    made = as_arrow(arrow(symbol, 200, currency=[currency] * 200))
    waits = made.replace(b"/v1/trades", b"/v1/trades?wait=applied&timeout=30", 1)
    with connections(gateway, 1) as (connection,):
        connection.send(made + waits + request(trades(f"{symbol}-json", 100)))
        taken(connection, 200)
        status, answer = connection.answer()
        assert (status, answer["duplicates"], answer["applied"]) == (202, 200, True)
        taken(connection, 100)
        connection.send(as_arrow(arrow(symbol, 2, currency=[currency, "\n"])))
        status, answer = connection.answer()
        assert (status, answer["errors"][0]["index"], answer["errors"][0]["field"]) == (422, 1, "currency")  # type: ignore[index]
        connection.send(as_arrow(arrow(symbol, 2)[:-9]))
        assert connection.answer()[0] == 400


def test_bodies_beyond_the_memory_that_is_kept_for_them_are_taken_too(gateway: Gateway, symbol: str) -> None:
    many = MOST_BYTES // ARROW_BYTES + 3
    with connections(gateway, many) as made:
        bodies = [as_arrow(arrow(f"{symbol}-{number}", 300)) for number in range(many)]
        for connection, body in zip(made, bodies, strict=True):
            connection.send(body[:-1])
        for connection, body in zip(made, bodies, strict=True):
            connection.send(body[-1:])
            taken(connection, 300)


def test_whatever_comes_at_once_each_body_is_answered_as_if_it_were_alone(gateway: Gateway, symbol: str) -> None:
    """Sound ones, duplicates of a neighbour, a wrong one, a conflict, one in doubt, one with an Idempotency-Key."""
    first = trades(symbol, 200)
    with connections(gateway, 1) as (connection,):
        connection.send(request(first))
        taken(connection, 200)
    names = ("a", "b", "c", "d", "e", "f")
    sound = [trades(symbol, 200, name) for name in names]
    doubted = sound[2].replace(b'"symbol"', b'"symb\\u006fl"', 1)
    wrong, conflict = sound[3].replace(b'"1.5"', b'"1.5 "', 1), first.replace(b'"1.5"', b'"2.5"', 1)
    sent = [*(request(body) for body in (sound[0], sound[1], doubted, wrong, conflict, first))]
    sent += [request(sound[4], "Idempotency-Key: k-" + symbol), request(sound[5])]
    with connections(gateway, len(sent)) as made:
        for _ in range(2):  # the second time they are read into place from the first byte on
            for connection, whole in zip(made, sent, strict=True):
                connection.send(whole)
            told = [connection.answer() for connection in made]
            assert [status for status, _ in told] == [202, 202, 202, 422, 409, 202, 202, 202]
            counts = [(answer.get("accepted"), answer.get("duplicates")) for _, answer in told]
            assert (counts[5], counts[6]) == ((0, 200), (200, 0))
            others = [count for place, count in enumerate(counts) if place not in (3, 4, 5, 6)]
            assert others in ([(200, 0)] * 4, [(0, 200)] * 4)
    gateway.post(json.loads(trades(symbol, 1, "last")))
    assert gateway.row(symbol)["trades"] == 200 * (1 + 5) + 1
