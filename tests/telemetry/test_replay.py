"""Replaying files through a real HTTP server: order, same bytes and key on each retry, every row in the summary."""

from __future__ import annotations

import socket
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from telemetry.client import Gateway, retry_after
from telemetry.errors import InvalidInput, TryAgain
from telemetry.formats import Options, Row
from telemetry.replay import Pace, Refusal, Summary, Watcher, batches, replay
from tests.telemetry.scripted_gateway import Act, ScriptedGateway, hang_up, problem, scripted_gateway

SOON = {"Retry-After": "0.01"}


@dataclass
class Heard:
    """What the watcher was told."""

    refusals: list[Refusal] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def watcher(self) -> Watcher:
        return Watcher(self.refusals.append, self.notices.append)


def trade_file(directory: Path, count: int, name: str = "trades.csv") -> Path:
    """A file of distinct prices 1, 2, 3, …, so that order can be seen."""
    path = directory / name
    path.write_text("symbol,price,qty\n" + "".join(f"A,{n},1\n" for n in range(1, count + 1)))
    return path


def send(gateway: ScriptedGateway, *files: Path, heard: Heard | None = None, **how: Any) -> Summary:
    options = Options(**{name: how.pop(name) for name in ("symbol", "tz") if name in how})
    with Gateway(gateway.url, "secret", request_seconds=5) as door:
        return replay(files, door, (heard or Heard()).watcher(), options=options, **{"deadline_seconds": 20.0} | how)


def prices(gateway: ScriptedGateway) -> list[int]:
    return [int(trade["price"]) for trade in gateway.kept]


def test_batches_of_a_thousand_arrive_in_file_order_with_the_api_key_and_their_own_keys(tmp_path: Path) -> None:
    with scripted_gateway() as gateway:
        summary = send(gateway, trade_file(tmp_path, 2500), trade_file(tmp_path, 3, "more.csv"))
    assert summary == Summary(read=2503, accepted=2503)
    assert [len(request.trades) for request in gateway.requests] == [1000, 1000, 500, 3]
    assert prices(gateway) == [*range(1, 2501), 1, 2, 3]
    assert len({request.key for request in gateway.requests}) == 4
    assert {request.headers["content-type"] for request in gateway.requests} == {"application/json"}
    assert {request.headers["authorization"] for request in gateway.requests} == {"Bearer secret"}
    assert not any("trade_id" in trade for trade in gateway.kept)


def test_whatever_can_be_retried_is_sent_again_with_the_same_key_and_bytes_before_the_next_batch(
    tmp_path: Path,
) -> None:
    script: list[Act] = [hang_up, problem(503, SOON), problem(429, SOON), problem(500, SOON), problem(409, SOON)]
    heard = Heard()
    with scripted_gateway(*script) as gateway:
        summary = send(gateway, trade_file(tmp_path, 1500), heard=heard)
    first, *retries, _last = gateway.requests
    assert len(retries) == 5
    assert {(request.key, request.body) for request in retries} == {(first.key, first.body)}
    assert prices(gateway) == [*range(1, 1501)]
    assert summary == Summary(read=1500, accepted=1500)
    assert sum("trying again" in notice for notice in heard.notices) == 5


def test_an_answer_lost_after_the_commit_is_given_again_and_counts_once(tmp_path: Path) -> None:
    with scripted_gateway() as gateway:
        path = trade_file(tmp_path, 10)
        assert send(gateway, path) == Summary(read=10, accepted=10)
        assert send(gateway, path) == Summary(read=10, accepted=10, replayed=10)
        assert len(prices(gateway)) == 10


def test_keys_depend_on_content_and_position_but_not_on_the_name_of_the_file(tmp_path: Path) -> None:
    with scripted_gateway() as gateway:
        send(gateway, trade_file(tmp_path, 1001))
        send(gateway, trade_file(tmp_path, 1001, "other.csv"))
        keys = [request.key for request in gateway.requests]
    assert keys[:2] == keys[2:]
    assert len(set(keys)) == 2
    assert all(len(key) <= 128 for key in keys)


def test_the_same_file_read_with_another_symbol_has_other_keys(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("price,qty\n1,1\n")
    with scripted_gateway() as gateway:
        send(gateway, path, symbol="A")
        send(gateway, path, symbol="B")
    assert len({request.key for request in gateway.requests}) == 2


@pytest.mark.parametrize("status", [422, 409])
def test_refused_rows_are_reported_and_the_rest_goes_again_in_order_under_a_new_key(
    tmp_path: Path, status: int
) -> None:
    errors = [
        {"index": 1, "field": "quantity", "detail": "expected more than 0", "received": "0"},
        {"index": 1, "field": "price", "detail": "expected a number", "received": "x"},
        {"index": 4, "field": "trade_id", "detail": "used before", "received": "7"},
    ]
    heard = Heard()
    path = trade_file(tmp_path, 1005)
    with scripted_gateway(problem(status, errors=errors), hang_up) as gateway:
        summary = send(gateway, path, heard=heard)
    assert summary == Summary(read=1005, accepted=1003, refused=2)
    assert prices(gateway) == [1, 3, 4, *range(6, 1006)]
    assert heard.refusals == [
        Refusal(str(path), 2, "quantity", "expected more than 0; expected a number", "0"),
        Refusal(str(path), 5, "trade_id", "used before", "7"),
    ]
    refused, lost, again, _rest = gateway.requests
    assert refused.key != again.key
    assert (lost.key, lost.body) == (again.key, again.body)


def test_a_refusal_that_names_no_row_refuses_its_batch_and_the_next_one_is_sent(tmp_path: Path) -> None:
    heard = Heard()
    with scripted_gateway(problem(409, errors=[])) as gateway:
        summary = send(gateway, trade_file(tmp_path, 1002), heard=heard)
    assert summary == Summary(read=1002, accepted=2, refused=1000)
    assert {refusal.reason for refusal in heard.refusals} == {"scripted"}


def test_a_batch_where_every_row_is_refused_in_several_answers_ends(tmp_path: Path) -> None:
    errors = [{"index": 0, "field": "price", "detail": "no", "received": "1"}]
    with scripted_gateway(*[problem(422, errors=errors)] * 3) as gateway:
        assert send(gateway, trade_file(tmp_path, 3)) == Summary(read=3, refused=3)
    assert len(gateway.requests) == 3


def test_a_batch_that_is_too_large_is_halved_in_order(tmp_path: Path) -> None:
    with scripted_gateway(problem(413), problem(413)) as gateway:
        assert send(gateway, trade_file(tmp_path, 8)) == Summary(read=8, accepted=8)
    assert [len(request.trades) for request in gateway.requests] == [8, 4, 2, 2, 4]
    assert prices(gateway) == [*range(1, 9)]


def test_duplicates_are_counted_apart(tmp_path: Path) -> None:
    with scripted_gateway(lambda request: (202, {}, {"accepted": 1, "duplicates": 2})) as gateway:
        assert send(gateway, trade_file(tmp_path, 3)) == Summary(read=3, accepted=1, duplicates=2)


def test_rows_that_cannot_be_read_are_refused_with_their_number_and_the_others_sent(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("symbol,price,qty,side\nA,1,1,buy\nA,2,1,long\nA,3\nA,4,1,sell\n")
    heard = Heard()
    with scripted_gateway() as gateway:
        assert send(gateway, path, heard=heard) == Summary(read=4, accepted=2, refused=2)
    assert [(refusal.row, refusal.field) for refusal in heard.refusals] == [(2, "side"), (3, "")]


def test_nothing_is_sent_when_one_of_the_files_cannot_be_read(tmp_path: Path) -> None:
    with scripted_gateway() as gateway, pytest.raises(InvalidInput, match=r"missing\.csv"):
        send(gateway, trade_file(tmp_path, 3), tmp_path / "missing.csv")
    assert gateway.requests == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 415])
def test_an_answer_that_is_not_about_rows_ends_the_replay(tmp_path: Path, status: int) -> None:
    with scripted_gateway(problem(status)) as gateway, pytest.raises(InvalidInput, match="scripted"):
        send(gateway, trade_file(tmp_path, 3))
    assert len(gateway.requests) == 1


def test_the_deadline_ends_the_retries(tmp_path: Path) -> None:
    with scripted_gateway(*[problem(503, SOON)] * 10_000) as gateway, pytest.raises(TryAgain):
        send(gateway, trade_file(tmp_path, 3), deadline_seconds=0.2)
    assert len(gateway.requests) > 1


def test_a_gateway_that_is_not_there_is_waited_for_until_the_deadline(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        nowhere = ScriptedGateway(url=f"http://127.0.0.1:{held.getsockname()[1]}")
        with pytest.raises(TryAgain, match="does not answer"):
            send(nowhere, trade_file(tmp_path, 3), deadline_seconds=0.3)


@pytest.mark.parametrize("url", ["ftp://x", "localhost:8000", "http://"])
def test_an_address_that_is_none_is_wrong_input(url: str) -> None:
    with pytest.raises(InvalidInput, match="--url"):
        Gateway(url)


def test_a_server_that_is_not_the_gateway_is_recognised(tmp_path: Path) -> None:
    with scripted_gateway(lambda request: (200, {}, {"hello": 1})) as gateway, pytest.raises(InvalidInput, match="not"):
        send(gateway, trade_file(tmp_path, 1))


def test_retry_after_is_read_as_seconds_or_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert (retry_after("2"), retry_after("0.5"), retry_after(None), retry_after("soon")) == (2.0, 0.5, 0.0, 0.0)
    assert 50 < retry_after(later) <= 60


def rows(*seconds: float) -> list[Row]:
    return [Row(n, {"price": "1", "timestamp": int(at * 10**9)}) for n, at in enumerate(seconds, 1)]


def test_a_speed_divides_batches_where_rows_fall_due_at_different_times() -> None:
    found = [[row.number for row in batch] for batch in batches(rows(100.0, 100.9, 101.0, 105, 105.1, 100), 10)]
    assert found == [[1, 2], [3], [4, 5], [6]]
    assert [len(batch) for batch in batches(rows(*range(2500)), None)] == [1000, 1000, 500]


def test_ten_times_real_time_waits_a_tenth_of_the_time_between_trades_and_catches_up_when_late() -> None:
    clock = deque([0.0, 0.0, 0.25, 9.0])
    slept: list[float] = []
    pace = Pace(10, clock=clock.popleft, sleep=slept.append)
    for row in rows(100, 105, 110):
        pace.wait(row)
    assert slept == [0.25]


def test_a_replay_at_a_given_speed_takes_its_time_and_keeps_order(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("symbol,price,qty,ts\n" + "".join(f"A,{n},1,{1_700_000_000 + n}\n" for n in range(1, 5)))
    with scripted_gateway() as gateway:
        began = datetime.now(UTC)
        send(gateway, path, speed=10)
        took = (datetime.now(UTC) - began).total_seconds()
    assert prices(gateway) == [1, 2, 3, 4]
    assert len(gateway.requests) == 4
    assert took >= 0.3


def test_the_equity_file_arrives_whole_and_in_order(tmp_path: Path, market_data: Path) -> None:
    with scripted_gateway(hang_up) as gateway:
        summary = send(gateway, market_data / "us_equity_multi/sampleMultiTradeData.csv.gz")
    assert summary == Summary(read=43581, accepted=43581)
    times = [trade["timestamp"] for trade in gateway.kept]
    assert times == sorted(times)
