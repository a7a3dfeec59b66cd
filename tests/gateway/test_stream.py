"""/v1/stream of a running gateway, over real WebSockets."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.e2e.desk import until
from tests.gateway.conftest import Gateway
from tests.gateway.test_ingest import trade

PATIENCE = 30.0
FRESHNESS = ("as_of", "as_of_seq", "durable_seq", "backlog", "watermark", "journal")
Frame = dict[str, Any]


class Client:
    """A connection that speaks frames."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def say(self, command: object) -> None:
        self.connection.send(command if isinstance(command, str | bytes) else json.dumps(command))

    def subscribe(self, name: str = "a", topic: str = "stats", **fields: Any) -> Frame:
        """Subscribe; the answer is followed by the snapshot, which is returned."""
        self.say({"subscribe": {"id": name, "topic": topic, "interval_ms": 20} | fields})
        answer = self.next(name)
        assert (answer["type"], answer["id"], answer["topic"]) == ("subscribed", name, topic), answer
        snapshot = self.next(name)
        assert (snapshot["type"], snapshot["topic"], snapshot["skipped"]) == ("snapshot", topic, 0), snapshot
        assert snapshot["seq"] >= answer["seq"] or topic == "trades"
        return snapshot

    def next(self, name: str | None = None) -> Frame:
        """The next frame (of one subscription), heartbeats left out."""
        return self.first(lambda frame: frame["type"] != "heartbeat" and name in (None, frame["id"]))

    def first(self, wanted: Callable[[Frame], Any]) -> Frame:
        """The first frame that is wanted."""
        while True:
            frame: Frame = json.loads(self.connection.recv(PATIENCE))
            if wanted(frame):
                return frame


@contextmanager
def client(gateway: Gateway, **options: Any) -> Iterator[Client]:
    settings = {"proxy": None, "max_size": 1 << 27, "compression": None, "ping_interval": None} | options
    with connect(f"ws://127.0.0.1:{gateway.port}/v1/stream", **settings) as connection:
        yield Client(connection)


def clients(gateway: Gateway) -> float:
    return gateway.desk.counter("telemetry_stream_clients").get("", 0.0)


def gauge(gateway: Gateway, name: str) -> float:
    line = next(line for line in gateway.http.get("/metrics").text.splitlines() if line.startswith(f"{name} "))
    return float(line.split()[1])


# --- state topics ----------------------------------------------------------------------------------------------------


def test_a_subscriber_gets_a_snapshot_and_then_updates_with_rising_seq(gateway: Gateway, symbol: str) -> None:
    gateway.post(trade(symbol))
    with client(gateway) as mine:
        snapshot = mine.subscribe(symbols=[symbol])
        assert snapshot["data"]["symbols"][symbol]["trades"] == 1
        seqs, counts = [snapshot["seq"]], [1]
        for number in range(2, 12):
            last = gateway.post(trade(symbol))["last_seq"]
            update = mine.next()
            assert (update["type"], update["id"]) == ("update", "a")
            seqs.append(update["seq"])
            counts.append(update["data"]["symbols"][symbol]["trades"])
            assert update["seq"] >= last
            assert counts[-1] == number
        assert seqs == sorted(set(seqs))
        fields = gateway.row(symbol)
        assert update["data"]["symbols"][symbol].items() <= fields.items()


def test_the_shape_of_each_topic_is_that_of_its_route(gateway: Gateway, symbol: str) -> None:
    gateway.post(trade(symbol))
    with client(gateway) as mine:
        stats = mine.subscribe("s", "stats", symbols=[symbol], window="1m")["data"]
        route = gateway.get("/v1/stats", symbol=symbol, window="1m")
        assert stats.keys() == {"window", "window_start", "window_end", "totals", "symbols"}
        assert stats["symbols"][symbol].keys() == route["symbols"][symbol].keys()
        assert stats["totals"].keys() == route["totals"].keys()
        candles = mine.subscribe("c", "candles", symbols=[symbol], interval="1d")["data"]
        assert candles["interval"] == "1d"
        of = gateway.get(f"/v1/candles/{symbol}", interval="1d")["candles"]
        assert candles["symbols"][symbol] == of
        pattern = mine.subscribe("p", "patterns", symbols=[symbol, "never"], window="1m", interval_ms=1000)["data"]
        shown = gateway.get(f"/v1/patterns/{symbol}", window="1m")
        assert pattern.keys() == {"window", "symbols"}
        assert pattern["symbols"].keys() == {symbol}
        assert shown.items() >= pattern["symbols"][symbol].items()
        assert pattern["symbols"][symbol].keys() == {
            name for name, value in shown.items() if name not in FRESHNESS and not isinstance(value, list)
        }
        latency = mine.subscribe("l", "latency", window="5m")["data"]
        assert latency["stages"].keys() == gateway.get("/v1/latency")["stages"].keys()
        fresh = mine.subscribe("f", "freshness")["data"]
        assert fresh.keys() <= gateway.get("/v1/freshness").keys()
        health = mine.subscribe("h", "health")["data"]
        assert health["ready"] is True


def test_a_filter_lets_only_its_symbols_through_and_unsubscribing_ends_it(gateway: Gateway, symbol: str) -> None:
    with client(gateway) as mine:
        assert mine.subscribe("mine", symbols=[symbol])["data"]["symbols"] == {}
        mine.subscribe("all", symbols=["*"])
        gateway.post(trade(f"{symbol}-other"))
        assert f"{symbol}-other" in mine.next()["data"]["symbols"]
        gateway.post(trade(symbol))
        got = {frame["id"]: frame for frame in (mine.next(), mine.next())}
        assert list(got["mine"]["data"]["symbols"]) == [symbol]
        mine.say({"unsubscribe": "all"})
        mine.say({"unsubscribe": "all"})
        assert mine.first(lambda frame: frame["type"] == "error")["id"] == "all"
        gateway.post(trade(symbol))
        assert mine.next()["id"] == "mine"


def test_a_reader_that_is_late_gets_the_newest_state_and_the_number_skipped(gateway: Gateway, symbol: str) -> None:
    names = [f"{symbol}-{number}" for number in range(400)]
    gateway.post([trade(name) for name in names])
    with socket.socket() as narrow:
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.connect(("127.0.0.1", gateway.port))
        before = gauge(gateway, "telemetry_stream_skipped_total")
        with client(gateway, sock=narrow, max_queue=1) as mine:
            mine.subscribe(symbols=names)
            rounds = 25
            for _ in range(rounds):
                gateway.post([trade(name) for name in names])
            until(lambda: gauge(gateway, "telemetry_stream_skipped_total") > before, "updates are skipped")
            frames: list[Frame] = []
            while not frames or frames[-1]["data"]["symbols"][names[0]]["trades"] < rounds + 1:
                frames.append(mine.next())
            seqs = [frame["seq"] for frame in frames]
            assert seqs == sorted(seqs)
            assert len(frames) + sum(frame["skipped"] for frame in frames) <= rounds + 1
            assert sum(frame["skipped"] for frame in frames) >= 1
            last = frames[-1]["data"]["symbols"]
            assert {last[name]["trades"] for name in last} == {rounds + 1}


def test_a_heartbeat_comes_at_least_every_five_seconds(gateway: Gateway) -> None:
    with client(gateway) as mine:
        began = time.monotonic()
        frame = mine.first(lambda frame: frame["type"] == "heartbeat")
        assert time.monotonic() - began < 8
        assert frame["seq"] <= gateway.durable()


# --- events ----------------------------------------------------------------------------------------------------------


def test_the_topic_trades_gives_every_trade_with_its_number_as_it_was_sent(gateway: Gateway, symbol: str) -> None:
    with client(gateway) as mine:
        assert mine.subscribe(topic="trades", symbols=[symbol])["data"] == []
        first = gateway.post(
            trade(
                symbol, price="-1.50", trade_id=7, account="x", timestamp="2026-11-20T10:00:00.5+01:00", tags={"k": "v"}
            )
        )["first_seq"]
        gateway.post([trade(f"{symbol}-other")] * 3)
        last = gateway.post([trade(symbol, side="buy")] * 2)["last_seq"]
        found: list[Frame] = []
        while not found or found[-1]["seq"] < last:
            found += mine.next()["data"]
    assert [row["seq"] for row in found] == [first, last - 1, last]
    assert found[0] | {"received_at": ""} == {
        "seq": first,
        "symbol": symbol,
        "side": "unknown",
        "kind": "fill",
        "quantity": "1.5",
        "price": "-1.5",
        "multiplier": "1",
        "timestamp": "2026-11-20T09:00:00.500000000Z",
        "received_at": "",
        "trade_id": "7",
        "account": "x",
        "tags": {"k": "v"},
    }


def events(mine: Client, name: str, last: int) -> tuple[list[int], list[dict[str, int]]]:
    """Numbers of trades until `last`, and gaps."""
    seqs: list[int] = []
    gaps: list[dict[str, int]] = []
    reached = 0
    while reached < last:
        frame = mine.next(name)
        reached = frame["seq"]
        if frame["type"] == "gap":
            gaps.append(frame["data"])
        else:
            seqs += [row["seq"] for row in frame["data"]]
    return seqs, gaps


def test_from_seq_gives_the_past_and_goes_on_with_what_comes(gateway: Gateway, symbol: str) -> None:
    first = gateway.post([trade(symbol)] * 700)["first_seq"]
    with client(gateway) as mine:
        snapshot = mine.subscribe(topic="trades", from_seq=first + 100)
        assert snapshot["seq"] == first + 99
        last = gateway.post([trade(symbol)] * 10)["last_seq"]
        assert events(mine, "a", last) == (list(range(first + 100, last + 1)), [])


def test_who_falls_behind_is_told_the_gap_and_gets_what_is_missing_by_from_seq(gateway: Gateway, symbol: str) -> None:
    lines = b"\n".join([json.dumps(trade(symbol, strategy="x" * 60, tags={"note": "y" * 200})).encode()] * 25_000)
    with socket.socket() as narrow:
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.connect(("127.0.0.1", gateway.port))
        with client(gateway, sock=narrow, max_queue=1) as mine:
            mine.subscribe(topic="trades")
            first = gateway.post(trade(symbol))["first_seq"]
            for _ in range(4):
                last = gateway.post(lines, kind="application/x-ndjson")["last_seq"]
            seqs, gaps = events(mine, "a", last)
            assert len(gaps) == 1
            missing = list(range(gaps[0]["first"], gaps[0]["last"] + 1))
            assert len(missing) > 10_000
            assert sorted(seqs + missing) == list(range(first, last + 1))
        with client(gateway) as again:
            again.subscribe(topic="trades", from_seq=missing[0])
            found, more = events(again, "a", last)
            assert more == [], "who asks for the past is given it, however long it is"
            assert found == list(range(missing[0], last + 1))


# --- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("", None),
        ("{", None),
        ("[]", None),
        ("5", None),
        ("null", None),
        ("{}", None),
        ('{"subscribe": null}', None),
        ('{"subscribe": {}}', None),
        ('{"subscribe": {"id": "x", "topic": "positions"}}', "x"),
        ('{"subscribe": {"id": "x", "topic": "stats", "window": "7m"}}', "x"),
        ('{"subscribe": {"id": "x", "topic": "candles", "interval": "7m"}}', "x"),
        ('{"subscribe": {"id": "x", "topic": "stats", "symbols": "A"}}', "x"),
        ('{"subscribe": {"id": "x", "topic": "stats", "symbols": []}}', "x"),
        ('{"subscribe": {"id": "x", "topic": "stats", "symbols": [1]}}', "x"),
        ('{"subscribe": {"id": "x", "topic": "stats", "interval_ms": 1}}', "x"),
        ('{"subscribe": {"id": "x", "topic": "stats", "interval_ms": "250"}}', "x"),
        ('{"subscribe": {"id": "x", "topic": "stats", "interval_ms": true}}', "x"),
        ('{"subscribe": {"id": "x", "topic": "trades", "from_seq": 1.5}}', "x"),
        ('{"subscribe": {"id": "x", "topic": "stats", "other": 1}}', "x"),
        ('{"subscribe": {"id": 5, "topic": "stats"}}', None),
        ('{"subscribe": {"id": "", "topic": "stats"}}', ""),
        ('{"subscribe": {"id": "\\ud800", "topic": "stats"}}', None),
        ('{"unsubscribe": "x"}', "x"),
        ('{"unsubscribe": ["x"]}', None),
        ('{"publish": 1}', None),
        ("[" * 100_000, None),
        ('{"a":' * 50_000, None),
        ('{"subscribe": {"id": "x", "topic": "' + "y" * 900_000 + '"}}', "x"),
        (b"\x00\xff", None),
        (b'{"unsubscribe": "x"}', None),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_command_is_answered_with_an_error_and_changes_nothing(
    gateway: Gateway, symbol: str, command: str | bytes, name: str | None
) -> None:
    with client(gateway) as mine:
        mine.subscribe(symbols=[symbol])
        mine.say(command)
        answer = mine.next()
        assert (answer["type"], answer["id"]) == ("error", name)
        assert 0 < len(answer["detail"]) <= 500
        gateway.post(trade(symbol))
        assert mine.next()["type"] == "update"


def test_an_id_in_use_is_refused_and_the_subscription_goes_on(gateway: Gateway, symbol: str) -> None:
    with client(gateway) as mine:
        mine.subscribe(symbols=[symbol])
        mine.say({"subscribe": {"id": "a", "topic": "trades"}})
        assert mine.next()["type"] == "error"
        gateway.post(trade(symbol))
        assert mine.next()["topic"] == "stats"


def test_a_connection_has_at_most_a_hundred_subscriptions(gateway: Gateway) -> None:
    with client(gateway) as mine:
        for number in range(100):
            mine.subscribe(f"s{number}", "freshness", interval_ms=60_000)
        mine.say({"subscribe": {"id": "one more", "topic": "freshness"}})
        assert mine.next("one more")["type"] == "error"


def test_a_command_over_a_mebibyte_ends_the_connection_and_nothing_else(gateway: Gateway) -> None:
    with client(gateway) as mine:
        mine.subscribe("a", "freshness", interval_ms=60_000)
        with pytest.raises(ConnectionClosed) as closed:
            mine.say("x" * (1 << 20) + "y")
            while True:
                mine.next()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    assert gateway.get("/healthz") == {"status": "alive"}


def test_text_that_is_no_utf8_ends_the_connection_with_1007(gateway: Gateway) -> None:
    with client(gateway) as mine, pytest.raises(ConnectionClosed) as closed:
        mine.connection.send(b"\xff\xfe", text=True)
        while True:
            mine.next()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1007


@pytest.mark.parametrize(
    "options",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"additional_headers": {"Host": "evil.example"}},
        {"additional_headers": {"Host": "localhost.evil.example"}},
    ],
    ids=str,
)
def test_a_handshake_from_elsewhere_is_refused_before_it_is_accepted(gateway: Gateway, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidStatus) as refused, client(gateway, **options):
        pass
    assert refused.value.response.status_code == 403


def test_our_own_page_may_connect_and_another_path_may_not(gateway: Gateway) -> None:
    with client(gateway, origin="http://127.0.0.1:8501") as mine:
        mine.subscribe(topic="freshness")
    with pytest.raises(InvalidStatus), connect(f"ws://127.0.0.1:{gateway.port}/v1/other", proxy=None):
        pass


def test_clients_that_come_and_go_leave_nothing(gateway: Gateway) -> None:
    before = gauge(gateway, "telemetry_stream_clients")
    for number in range(30):
        with client(gateway) as mine:
            mine.subscribe(topic=("stats", "trades", "freshness")[number % 3])
            if number % 2:
                sock = mine.connection.socket
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
    until(lambda: gauge(gateway, "telemetry_stream_clients") == before, "all are gone")


# --- who does not read -----------------------------------------------------------------------------------------------


def raw_subscriber(gateway: Gateway, command: dict[str, Any] | None) -> socket.socket:
    """A connection that has made its handshake, and sent a command, and reads nothing."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", gateway.port))
    connection.sendall(
        b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    if command is not None:
        payload = json.dumps(command).encode()
        connection.sendall(b"\x81" + bytes((0x80 | 126,)) + struct.pack("!H", len(payload)) + bytes(4) + payload)
    return connection


def last_close_code(connection: socket.socket) -> int | None:
    """Read everything that is there; the code of the closing frame."""
    connection.settimeout(10)
    received = b""
    while part := connection.recv(1 << 16):
        received += part
    _, _, rest = received.partition(b"\r\n\r\n")
    code = None
    while rest:
        opcode, length, start = rest[0] & 15, rest[1] & 127, 2
        if length == 126:
            length, start = struct.unpack_from("!H", rest, 2)[0], 4
        elif length == 127:
            length, start = struct.unpack_from("!Q", rest, 2)[0], 10
        if opcode == 8:
            code = struct.unpack_from("!H", rest, start)[0]
        rest = rest[start + length :]
    return code


@pytest.mark.long
@pytest.mark.parametrize("busy", [True, False], ids=["while much is sent", "while little is sent"])
def test_clients_that_do_not_read_are_closed_with_1013_within_30_s_and_cost_the_others_nothing(
    gateway: Gateway, symbol: str, busy: bool
) -> None:
    names = [f"{symbol}-{number}" for number in range(300)]
    gateway.post([trade(name) for name in names])
    command = {"subscribe": {"id": "a", "topic": "stats", "symbols": names if busy else [symbol], "interval_ms": 20}}
    before = gauge(gateway, "telemetry_stream_clients")
    began = time.monotonic()
    stalled = [raw_subscriber(gateway, command if number else None if not busy else command) for number in range(20)]
    until(lambda: gauge(gateway, "telemetry_stream_clients") == before + 20, "all are connected")
    delays = []
    with client(gateway) as reader:
        reader.subscribe(symbols=[symbol])
        while gauge(gateway, "telemetry_stream_clients") > before + 1:
            assert time.monotonic() - began < 30
            gateway.post([trade(name) for name in (names if busy else [])] + [trade(symbol)])
            sent = time.monotonic()
            reader.next()
            delays.append(time.monotonic() - sent)
    delays.sort()
    print(f"{len(delays)} updates, p50 {delays[len(delays) // 2]:.3f} s, max {delays[-1]:.3f} s")
    assert delays[int(len(delays) * 0.99)] < 1.0
    for connection in stalled:
        with connection:
            assert last_close_code(connection) == 1013
