"""/v1/ingest of a running gateway, over real WebSockets."""

from __future__ import annotations

import json
import select
import signal
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from gateway.ingestion.feed import CREDIT
from tests.e2e.desk import Desk, until
from tests.faults.test_trouble import MIDDLE_SEGMENT, MIDDLE_SYNC, SLOW_SECONDS, injecting
from tests.gateway.conftest import Gateway, started
from tests.gateway.test_ingest import trade
from tests.telemetry.hostile import FIELDS, SYNTAX

PATIENCE = 30.0
Answer = dict[str, Any]


class Sender:
    """A connection that speaks frames; the welcome has been read."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.welcome = self.answer()

    def send(self, frame: object) -> None:
        self.connection.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    def answer(self) -> Answer:
        answer: Answer = json.loads(self.connection.recv(PATIENCE))
        return answer

    def exchange(self, frame: object) -> Answer:
        self.send(frame)
        return self.answer()

    def exchange_all(self, frames: Iterable[object]) -> list[Answer]:
        """All answers; never more frames on their way than the credit allows."""
        answers: list[Answer] = []
        sent = 0
        for frame in frames:
            if sent - len(answers) == CREDIT:
                answers.append(self.answer())
            self.send(frame)
            sent += 1
        return answers + [self.answer() for _ in range(sent - len(answers))]


@contextmanager
def sender(gateway: Gateway | Desk, query: str = "", **options: Any) -> Iterator[Sender]:
    settings = {"proxy": None, "compression": None, "ping_interval": None} | options
    with connect(f"ws://127.0.0.1:{gateway.port}/v1/ingest{query}", **settings) as connection:
        yield Sender(connection)


def closing_code(mine: Sender) -> int | None:
    """The code that the gateway closes with."""
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            mine.answer()
    return None if closed.value.rcvd is None else closed.value.rcvd.code


# --- what is taken ---------------------------------------------------------------------------------------------------


def test_the_welcome_tells_the_credit_and_the_bounds(gateway: Gateway) -> None:
    with sender(gateway) as mine:
        assert mine.welcome == {"type": "welcome", "credit": 64, "max_bytes": 1 << 20, "max_trades": 50_000}


def test_one_trade_an_array_and_lines_are_acknowledged_as_a_post_is(gateway: Gateway, symbol: str) -> None:
    with sender(gateway) as mine:
        one = mine.exchange(trade(symbol))
        first = one["first_seq"]
        assert one == {
            "type": "ack",
            "frame": 1,
            "accepted": 1,
            "duplicates": 0,
            "first_seq": first,
            "last_seq": first,
            "durable": True,
            "received_at": one["received_at"],
            "sent_at": one["sent_at"],
        }
        many = mine.exchange([trade(symbol, trade_id=number % 2) for number in range(3)])
        assert (many["frame"], many["accepted"], many["duplicates"]) == (2, 2, 1)
        assert (many["first_seq"], many["last_seq"]) == (first + 1, first + 2)
    with sender(gateway, "?media=application/x-ndjson") as mine:
        lines = mine.exchange("\n".join(json.dumps(trade(symbol)) for _ in range(3)) + "\n\n")
        assert (lines["frame"], lines["accepted"], lines["last_seq"]) == (1, 3, first + 5)
    gateway.desk.until_applied(first + 5)
    assert gateway.row(symbol)["trades"] == 6


def test_acks_come_in_the_order_of_the_frames_with_rising_numbers_and_the_figures_contain_them(
    gateway: Gateway, symbol: str
) -> None:
    sizes = [1 + number * 7 % 40 for number in range(1000)]
    with sender(gateway) as mine:
        acks = mine.exchange_all([trade(symbol, quantity=size)] * size for size in sizes)
    assert [ack["frame"] for ack in acks] == list(range(1, 1001))
    assert [ack["accepted"] for ack in acks] == sizes
    assert all(ack["last_seq"] - ack["first_seq"] + 1 == size for ack, size in zip(acks, sizes, strict=True))
    assert all(later["first_seq"] > earlier["last_seq"] for earlier, later in pairwise(acks))
    gateway.desk.until_applied(acks[-1]["last_seq"])
    row = gateway.row(symbol)
    assert (row["trades"], row["quantity"]) == (sum(sizes), str(sum(size * size for size in sizes)))


def test_frames_that_are_decoded_in_a_thread_keep_their_place(gateway: Gateway, symbol: str) -> None:
    large = [trade(symbol, account="a" * 60)] * 5000
    assert 256 << 10 < len(json.dumps(large)) < 1 << 20
    with sender(gateway) as mine:
        acks = mine.exchange_all([large, trade(symbol), trade(symbol), large, trade(symbol)])
    assert [ack["accepted"] for ack in acks] == [5000, 1, 1, 5000, 1]
    assert [ack["first_seq"] for ack in acks] == sorted(ack["first_seq"] for ack in acks)


def test_trades_that_are_sent_again_in_other_frames_count_once(gateway: Gateway, symbol: str) -> None:
    frames = [[trade(symbol, trade_id=number) for number in range(start, start + 10)] for start in range(0, 300, 5)]
    with sender(gateway) as mine:
        acks = mine.exchange_all(frames)
        again = mine.exchange_all(frames)
    assert (acks[0]["accepted"], acks[0]["duplicates"]) == (10, 0)
    assert {(ack["accepted"], ack["duplicates"]) for ack in acks[1:]} == {(5, 5)}
    assert {(ack["accepted"], ack["duplicates"], ack["first_seq"], ack["last_seq"]) for ack in again} == {
        (0, 10, None, None)
    }
    gateway.desk.until_applied(acks[-1]["last_seq"])
    assert gateway.row(symbol)["trades"] == 305


def test_the_senders_clock_is_a_stage_of_frames_too(gateway: Gateway, symbol: str) -> None:
    before = gateway.get("/v1/latency", window="all")["stages"]["client"]["count"]
    with sender(gateway) as mine:
        mine.exchange([trade(symbol, sent_at=time.time_ns())] * 3)
    assert gateway.get("/v1/latency", window="all")["stages"]["client"]["count"] == before + 3


def test_a_binary_frame_is_an_arrow_stream(gateway: Gateway, symbol: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table({"symbol": [symbol] * 5, "quantity": ["1.5"] * 5, "price": ["2"] * 5})
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    with sender(gateway) as mine:
        answer = mine.exchange(sink.getvalue().to_pybytes())
        assert (answer["type"], answer["accepted"]) == ("ack", 5), answer
        assert mine.exchange(b"no Arrow")["status"] == 400
        assert mine.exchange(trade(symbol))["type"] == "ack"


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_kept")
def test_wrong_frames_are_answered_as_the_post_would_be_and_keep_nothing(gateway: Gateway, symbol: str) -> None:
    wrong = [(body, 422) for body, _, _ in FIELDS] + [(body, 400) for body in SYNTAX]
    texts = []
    for body, status in wrong:
        with suppress(UnicodeDecodeError):
            texts += [(body.decode(), status)] if len(body) <= 1 << 20 else []
    assert len(texts) > 100
    with sender(gateway) as mine:
        answers = mine.exchange_all(text for text, _ in texts)
        for number, ((text, status), answer) in enumerate(zip(texts, answers, strict=True), 1):
            document = gateway.post(text.encode(), status)
            document["problem"] = document.pop("type")
            times = {name: answer[name] for name in ("received_at", "sent_at")}
            assert answer == {"type": "error", "frame": number} | document | times, text[:200]
        answer = mine.exchange([trade(symbol), trade(symbol, price="x")])
        (error,) = answer["errors"]
        assert (error["index"], error["field"], error["received"]) == (1, "price", "x")


def test_after_an_error_the_connection_goes_on_and_refusals_are_counted(gateway: Gateway, symbol: str) -> None:
    def counted() -> float:
        return gateway.desk.counter("telemetry_refused_total").get('reason="conflict"', 0.0)

    before = counted()
    with sender(gateway) as mine:
        first = mine.exchange(trade(symbol, trade_id="t"))
        conflict = mine.exchange([trade(symbol), trade(symbol, trade_id="t", price=1)])
        assert (conflict["type"], conflict["frame"], conflict["status"]) == ("error", 2, 409)
        assert [error["index"] for error in conflict["errors"]] == [1]
        assert "retry_after" not in conflict
        last = mine.exchange(trade(symbol))
        assert (last["type"], last["frame"], last["first_seq"]) == ("ack", 3, first["last_seq"] + 1)
    assert counted() == before + 1


def test_a_message_over_a_mebibyte_ends_the_connection_with_1009(gateway: Gateway, symbol: str) -> None:
    with sender(gateway) as mine:
        assert mine.exchange(" " * ((1 << 20) - 200) + json.dumps(trade(symbol)))["type"] == "ack"
        with suppress(ConnectionClosed):
            mine.send(" " * (1 << 20) + json.dumps(trade(symbol)))
        assert closing_code(mine) == 1009
    gateway.desk.until_applied()
    assert gateway.row(symbol)["trades"] == 1


@pytest.mark.parametrize(
    "query",
    ["?media=text/plain", "?media=", "?media=application/vnd.apache.arrow.stream", "?other=1", "?media=a&media=b"],
)
def test_wrong_parameters_end_the_connection_with_1008_and_what_is_expected(gateway: Gateway, query: str) -> None:
    with (
        pytest.raises(ConnectionClosed) as closed,
        connect(f"ws://127.0.0.1:{gateway.port}/v1/ingest{query}", proxy=None) as connection,
    ):
        connection.recv(PATIENCE)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, "media" in closed.value.rcvd.reason) == (1008, True)


@pytest.mark.parametrize(
    "options", [{"origin": "http://evil.example"}, {"additional_headers": {"Host": "evil.example"}}], ids=str
)
def test_a_handshake_from_elsewhere_is_refused_before_it_is_accepted(gateway: Gateway, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidStatus) as refused, sender(gateway, **options):
        pass
    assert refused.value.response.status_code == 403


def test_a_client_that_goes_away_within_a_frame_or_before_its_acks_leaves_whole_frames_only(
    gateway: Gateway, symbol: str
) -> None:
    for number in range(10):
        with raw(gateway) as connection:
            frame = masked(json.dumps([trade(symbol)] * 7).encode())
            connection.sendall(frame * number + frame[:-1])
    gateway.post(trade(symbol))  # behind whatever was taken
    assert gateway.row(symbol)["trades"] % 7 == 1


# --- when it is ready ------------------------------------------------------------------------------------------------


def test_no_ack_comes_before_the_sync_has_returned_and_frames_share_a_sync(tmp_path: Path) -> None:
    slow = f"delay_exit={round(SLOW_SECONDS * 1e6)}"
    with Desk(tmp_path) as desk:
        desk.start_gateway(*injecting(slow), segment_bytes=MIDDLE_SEGMENT)
        with sender(desk) as mine:
            waits: list[bool] = []
            while waits.count(True) < 3:
                began = time.monotonic()
                assert mine.exchange(trade("A"))["durable"] is True
                waits.append(time.monotonic() - began >= SLOW_SECONDS)
                assert waits[-1] or True not in waits
                assert len(waits) < 2 * MIDDLE_SYNC
            began = time.monotonic()
            acks = mine.exchange_all([trade("A")] * 4 * CREDIT)
            elapsed = time.monotonic() - began
            assert [ack["first_seq"] for ack in acks] == list(range(len(waits) + 1, len(waits) + 4 * CREDIT + 1))
            assert elapsed >= SLOW_SECONDS
            assert elapsed < 4 * CREDIT * SLOW_SECONDS / 8


def test_a_full_intake_answers_503_and_the_same_frames_are_taken_later(tmp_path: Path) -> None:
    with started(tmp_path, intake_trades=8) as gateway, sender(gateway) as mine:
        left = [trade("A", trade_id=number) for number in range(5 * CREDIT)]
        refused = 0
        while left:
            answers = mine.exchange_all(left)
            for answer in answers:
                assert answer["type"] == "ack" or (answer["status"], answer["retry_after"] >= 1) == (503, True), answer
            left = [frame for frame, answer in zip(left, answers, strict=True) if answer["type"] == "error"]
            refused += len(left)
        assert refused > 0
        gateway.desk.until_applied()
        assert gateway.row("A")["trades"] == 5 * CREDIT


def test_at_a_shutdown_everything_that_was_taken_is_acknowledged_then_the_connection_closes_with_1012(
    tmp_path: Path,
) -> None:
    with started(tmp_path) as gateway, ThreadPoolExecutor(1) as pool:
        process = gateway.desk.gateway
        assert process is not None
        with sender(gateway) as mine:
            sending = pool.submit(_send_until_closed, mine)
            acked, draining = 0, False
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    answer = mine.answer()
                    if answer["type"] == "ack":
                        acked += answer["accepted"]
                        assert answer["last_seq"] == acked
                    if acked >= 2000 and not draining:
                        draining = True
                        process.send(signal.SIGTERM)
        sending.result(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        until(lambda: process.code is not None, "the gateway has ended")
        assert process.code == 0
        gateway.desk.start_gateway()
        gateway.desk.until_applied()
        assert gateway.row("A")["trades"] == acked


def _send_until_closed(mine: Sender) -> None:
    with suppress(ConnectionClosed):
        while True:
            mine.send([trade("A")] * 10)


# --- who does not read -----------------------------------------------------------------------------------------------


@contextmanager
def raw(gateway: Gateway) -> Iterator[socket.socket]:
    """A connection that has made its handshake; what comes is not read unless the test does."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", gateway.port))
        connection.sendall(
            b"GET /v1/ingest HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        assert head.startswith(b"HTTP/1.1 101 ")
        yield connection


def masked(payload: bytes) -> bytes:
    """A text frame of a client."""
    return b"\x81" + bytes((0x80 | 126,)) + struct.pack("!H", len(payload)) + bytes(4) + payload


def flood(connection: socket.socket, data: bytes) -> int:
    """Send until nothing goes through for a second; how many bytes went."""
    connection.setblocking(False)
    sent = 0
    while sent < len(data) and select.select([], [connection], [], 1.0)[1]:
        sent += connection.send(data[sent : sent + (1 << 16)])
    return sent


def answers_of(connection: socket.socket, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Send the rest and read: (opcode, payload) of every frame that comes, until the closing one."""
    received = b""
    while True:
        can_read, can_write, _ = select.select([connection], [connection] if data else [], [], PATIENCE)
        assert can_read or can_write, "nothing comes"
        if can_write:
            data = data[connection.send(data[: 1 << 16]) :]
        if can_read:
            part = connection.recv(1 << 16)
            assert part, "no closing frame came"
            received += part
        while len(received) >= 4:
            opcode, length, start = received[0] & 15, received[1], 2
            if length == 126:
                length, start = struct.unpack_from("!H", received, 2)[0], 4
            if len(received) < start + length:
                break
            yield opcode, received[start : start + length]
            received = received[start + length :]


def padded(symbol: str, count: int) -> bytes:
    """So many frames of one trade in 2 KB."""
    frame = masked(json.dumps(trade(symbol)).encode().ljust(2000))
    return frame * count


def test_who_sends_beyond_the_credit_and_does_not_read_is_stopped_and_later_gets_every_answer(
    gateway: Gateway, symbol: str
) -> None:
    data = padded(symbol, 10_000)
    with raw(gateway) as connection:
        sent = flood(connection, data)
        assert sent < len(data)
        assert gateway.post(trade(f"{symbol}-other"))["accepted"] == 1, "nobody else is stopped"
        frames = (json.loads(payload) for opcode, payload in answers_of(connection, data[sent:]) if opcode == 1)
        assert next(frames)["type"] == "welcome"
        assert [next(frames)["frame"] for _ in range(10_000)] == list(range(1, 10_001))
    gateway.desk.until_applied()
    assert gateway.row(symbol)["trades"] == 10_000


@pytest.mark.long
def test_who_never_reads_is_closed_with_1013_within_30_s_and_costs_the_others_nothing(
    gateway: Gateway, symbol: str
) -> None:
    data = padded(symbol, 10_000)
    with raw(gateway) as connection:
        began = time.monotonic()
        sent = flood(connection, data)
        assert sent < len(data)
        delays = []
        # Once it is closed, the gateway throws away what still comes: there is room to send again.
        while not select.select([], [connection], [], 0)[1]:
            posted = time.monotonic()
            gateway.post(trade(f"{symbol}-other"), query="")
            delays.append(time.monotonic() - posted)
            assert posted - began < 30
        delays.sort()
        print(f"{len(delays)} requests, p50 {delays[len(delays) // 2]:.4f} s, max {delays[-1]:.4f} s")
        assert delays[len(delays) // 2] < 0.1
        frames = list(_until_closed(connection))
        assert time.monotonic() - began < 30
    acks = [json.loads(payload) for opcode, payload in frames if opcode == 1][1:]
    assert [ack["frame"] for ack in acks] == list(range(1, len(acks) + 1))
    assert struct.unpack("!H", frames[-1][1][:2])[0] == 1013
    gateway.desk.until_applied()
    assert len(acks) <= gateway.row(symbol)["trades"] <= len(acks) + CREDIT


def _until_closed(connection: socket.socket) -> Iterator[tuple[int, bytes]]:
    for opcode, payload in answers_of(connection, b""):
        yield opcode, payload
        if opcode == 8:
            return
