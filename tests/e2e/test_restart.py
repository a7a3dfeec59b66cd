"""Restarts of the gateway: nothing counts twice, nothing is forgotten, figures and counters go on where they were."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.desk import TELEMETRY, Desk, trade, until
from tests.ports import free_port

ODD_WORKER = (sys.executable, "-m", "tests.e2e.odd_worker")
DRAIN_SECONDS = 10.0
REFUSAL_SECONDS = 1.0


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path) as desk:
        yield desk


def restart(desk: Desk, *, drain: bool, snapshot_seconds: float = 10.0) -> None:
    assert desk.gateway is not None
    if drain:
        assert desk.gateway.drain() == 0
    else:
        desk.gateway.kill()
    desk.start_gateway(snapshot_seconds=snapshot_seconds)


def resend(desk: Desk, times: int, restarts: int) -> None:
    """The same request and the same trades, `times` in all, with restarts in between: each counts once."""
    batch = [trade(number, trade_id=f"t{number}") for number in range(5)]
    desk.start_gateway()
    desk.start_workers(1)
    first = desk.post(batch, key="once")
    assert (first.status, first.body["accepted"]) == (202, 5)
    for number in range(1, times):
        if number % (times // (restarts + 1)) == 0:
            restart(desk, drain=number % 2 == 0)
        again = desk.post(batch, key="once")
        assert again.status == 202
        assert again.headers["idempotent-replayed"] == "true"
        assert {**again.body, "applied": False} == {**first.body, "applied": False}
        other_key = desk.post(batch, key=f"other {number}").body
        assert (other_key["accepted"], other_key["duplicates"]) == (0, 5)
    other = [batch[0] | {"quantity": "77"}, *batch[1:]]
    assert desk.post(other, key="once").status == 409
    conflict = desk.post(other)
    assert conflict.status == 409
    assert [error["index"] for error in conflict.body["errors"]] == [0]
    desk.until_applied()
    assert desk.stats()["totals"]["trades"] == 5


def test_keys_and_trade_ids_that_are_resent_across_restarts_count_once(desk: Desk) -> None:
    resend(desk, times=12, restarts=3)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_thousand_resends_across_ten_restarts_count_once(desk: Desk) -> None:
    resend(desk, times=1000, restarts=10)


def figures(desk: Desk) -> list[Any]:
    """Everything that is a function of the journal."""
    candles = desk.get("/v1/candles/BTC-USDT", interval="1s", limit=10_000).body
    counters = [desk.counter(f"telemetry_{name}_total") for name in ("trades", "quantity", "notional")]
    return [desk.stats(), [{**one, "closed": None} for one in candles["candles"]], counters]


def snapshot_of_the_past(desk: Desk) -> None:
    """Kill it when the snapshot is behind the journal."""
    assert desk.gateway is not None
    desk.gateway.kill()


def drained(desk: Desk) -> None:
    assert desk.gateway is not None
    assert desk.gateway.drain() == 0


def no_snapshot(desk: Desk) -> None:
    snapshot_of_the_past(desk)
    for path in desk.data.glob("snapshot.db*"):
        path.unlink()


def garbage(desk: Desk) -> None:
    drained(desk)
    (desk.data / "snapshot.db").write_bytes(b"\x5a" * 20_000)


def a_flipped_bit(desk: Desk) -> None:
    drained(desk)
    whole = bytearray((desk.data / "snapshot.db").read_bytes())
    nonzero = [place for place in range(len(whole) // 2, len(whole)) if whole[place]]
    whole[nonzero[len(nonzero) // 2]] ^= 1
    (desk.data / "snapshot.db").write_bytes(whole)


def test_a_restart_gives_the_same_figures_whatever_became_of_the_snapshot(desk: Desk) -> None:
    desk.start_gateway(snapshot_seconds=0.05)
    desk.start_workers(2)
    desk.post([trade(number) for number in range(3000)], wait=True)
    desk.post([trade(n, symbol="EURUSD", currency="USD", price=f"-1.0{n}") for n in range(1, 50)], wait=True)
    until((desk.data / "snapshot.db").exists, "a snapshot is written")
    restart(desk, drain=True, snapshot_seconds=1000)
    desk.post([trade(number, symbol="LATE") for number in range(2000)], wait=True)
    before = figures(desk)
    assert before[0]["totals"]["trades"] == 5049
    for happens in (snapshot_of_the_past, drained, no_snapshot, garbage, a_flipped_bit):
        happens(desk)
        desk.start_gateway(snapshot_seconds=1000)
        desk.until_applied(5049)
        assert figures(desk) == before, happens.__name__


def total(desk: Desk) -> float | None:
    """telemetry_trades_total over all labels; None while it is not shown."""
    try:
        samples = desk.counter("telemetry_trades_total")
    except httpx.TransportError:
        return None
    return sum(samples.values()) if samples else None


def test_counters_never_go_back_across_restarts_of_workers_and_gateway(desk: Desk) -> None:
    desk.start_gateway(snapshot_seconds=0.1)
    desk.start_workers(2)
    seen: list[float] = []
    stop = threading.Event()

    def watch() -> None:
        with httpx.Client(base_url=desk.url, trust_env=False) as http:
            while not stop.wait(0.005):
                try:
                    page = http.get("/metrics").text
                except httpx.TransportError:
                    continue
                found = re.findall(r"^telemetry_trades_total\{.*\} (\S+)$", page, re.MULTILINE)
                if found:
                    seen.append(sum(map(float, found)))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        for number in range(8):
            sent = desk.post([trade(500 * number + one) for one in range(500)], wait=number % 2 == 0)
            assert sent.status == 202
            if number % 4 == 1:
                desk.workers[-1].kill()
                desk.start_worker()
            elif number % 4 == 3:
                restart(desk, drain=number == 3, snapshot_seconds=0.1)
        desk.until_applied()
        until(lambda: seen and seen[-1] == 4000, "the counter arrives")
    finally:
        stop.set()
        watching.join()
    assert seen == sorted(seen)
    assert len(set(seen)) > 3


def test_a_second_gateway_on_the_same_data_is_refused_with_a_clear_message(desk: Desk) -> None:
    first = desk.start_gateway()
    started = time.monotonic()
    assert desk.start(sys.executable, "-c", "import gateway.entrypoint", name="import").wait() == 0
    to_import = time.monotonic() - started
    started = time.monotonic()
    second = desk.start(*TELEMETRY, "gateway", name="second", port=free_port())
    assert second.wait() == 1
    assert time.monotonic() - started < 2 * to_import + REFUSAL_SECONDS  # twice: it imports too, on a busy machine
    said = second.log.read_text("utf-8")
    assert f"in use by process {first.pid}" in said
    assert "Traceback" not in said
    assert desk.get("/healthz").status == 200


class Client(threading.Thread):
    """Sends batches of ten trades with ids of their own until told to stop or cut off; `acked` are the first ids."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__()
        self.acked: list[list[dict[str, object]]] = []
        self.statuses: set[int] = set()
        self._url, self._prefix, self._enough = url, name, threading.Event()

    def run(self) -> None:
        with httpx.Client(base_url=self._url, trust_env=False) as http:
            number = 0
            while not self._enough.is_set():
                number += 10
                batch = [trade(one, trade_id=f"{self._prefix}-{one}") for one in range(number, number + 10)]
                try:
                    answer = http.post("/v1/trades", json=batch)
                except httpx.TransportError:
                    return
                self.statuses.add(answer.status_code)
                if answer.status_code == 202:
                    self.acked.append(batch)

    def stop(self) -> None:
        self._enough.set()
        self.join()


def test_sigterm_under_load_drains_in_time_and_loses_nothing_that_was_acknowledged(desk: Desk) -> None:
    gateway = desk.start_gateway()
    desk.start_workers(1)
    clients = [Client(desk.url, f"c{number}") for number in range(4)]
    for client in clients:
        client.start()
    until(lambda: all(len(client.acked) > 20 for client in clients), "load")
    started = time.monotonic()
    assert gateway.drain() == 0
    assert time.monotonic() - started < DRAIN_SECONDS
    for client in clients:
        client.stop()
    assert set().union(*(client.statuses for client in clients)) <= {202, 503}
    desk.start_gateway()
    acked = [one for client in clients for batch in client.acked for one in batch]
    known = [desk.post(acked[start : start + 10_000]).body for start in range(0, len(acked), 10_000)]
    assert sum(answer["accepted"] for answer in known) == 0
    assert sum(answer["duplicates"] for answer in known) == len(acked)
    desk.until_applied()
    assert desk.stats()["totals"]["trades"] >= len(acked)
    desk.audit()


def test_a_partial_of_the_epoch_before_a_restart_is_dropped(desk: Desk, tmp_path: Path) -> None:
    release = tmp_path / "release"
    desk.start_gateway()
    desk.start_worker(*ODD_WORKER, "hold", str(release))
    until(lambda: desk.connected() == 1, "the worker is connected")
    desk.post([trade(number) for number in range(100)])
    until(release.with_name("release.held").exists, "the worker holds a result")  # a lease may still be on its way
    restart(desk, drain=False)
    desk.start_workers(1)
    desk.until_applied(100)
    before = desk.stats()
    release.touch()
    dropped: Callable[[], Any] = lambda: desk.counter("telemetry_partials_dropped_total").get('reason="epoch"')  # noqa: E731
    assert until(dropped, "the old partial is dropped") >= 1
    desk.post([trade(number) for number in range(100, 200)], wait=True)
    desk.until_applied(200)
    after = desk.stats()
    assert (before["totals"]["trades"], after["totals"]["trades"]) == (100, 200)
    desk.audit()
