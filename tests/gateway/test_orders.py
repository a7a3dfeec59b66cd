"""Times from order to fill: exact whatever the way to them, by the event clock, within bounds, in the snapshot."""

from __future__ import annotations

import math
import random
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.aggregator import Aggregator
from gateway.exporting.orders import BOUNDS, order_seconds
from gateway.reading.orders import SECONDS, OrdersAsked, prepare_orders
from gateway.snapshot import Snapshot
from gateway.state.orders import OTHER, Orders
from telemetry.columns import from_trades
from telemetry.errors import InvalidInput
from telemetry.latencies import SLOT_NS, Name, counts_of
from telemetry.times import ABSENT, parse_time
from telemetry.trade import Trade
from tests.gateway.conftest import Gateway
from tests.gateway.test_aggregator import EPOCH, NOW, offer, trade
from tests.gateway.test_ingest import trade as row_of
from worker.latencies import order_times

SECOND = 1_000_000_000


def read(state: Aggregator, window: str = "all", **asked: Any) -> dict[str, Any]:
    head, rows = prepare_orders(state, OrdersAsked(window, asked.pop("now_ns", NOW), **asked))
    return head | {"orders": list(rows)}


def filled(at: int, elapsed: int | None, **fields: Any) -> Trade:
    return trade(at=at, order_sent_at=ABSENT if elapsed is None else at - elapsed, **fields)


def some_fills(rng: random.Random, count: int, seconds: int = 7200) -> list[Trade]:
    """Out of order, over two hours, some late, some from the future, some with a clock that is wrong."""
    found = []
    for number in range(count):
        at = NOW - seconds * SECOND + number * seconds * SECOND // count - rng.randrange(300) * SECOND
        at = at if rng.random() < 0.95 else at + rng.choice([-5000, 9000, 400_000]) * SECOND
        elapsed = rng.choice([None, 0, -rng.randrange(1, 10**6), *(int(rng.lognormvariate(15, 2)) for _ in range(9))])
        names = {"venue": rng.choice("XY"), "strategy": rng.choice(["", "mm", "arb"])}
        found.append(filled(at, elapsed, liquidity=rng.choice(["maker", "taker"]), received_at=at, **names))
    return found


def applied(some: list[Trade], step: int) -> Aggregator:
    state = Aggregator(epoch=EPOCH)
    for first in range(1, len(some) + 1, step):
        offer(state, some, first, min(len(some), first + step - 1))
    return state


def answers(state: Aggregator, now_ns: int = NOW) -> bytes:
    return msgspec.json.encode([read(state, window, now_ns=now_ns) for window in SECONDS])


def plainly(some: list[Trade], start: int | None, end: int | None) -> dict[Name, list[int]]:
    found: dict[Name, list[int]] = {}
    for one in some:
        inside = start is None or end is None or start <= one.timestamp < end
        if inside and one.order_sent_at != ABSENT:
            name = Name(one.venue, one.strategy, one.liquidity)
            found.setdefault(name, []).append(one.timestamp - one.order_sent_at)
    return found


@pytest.mark.parametrize("window", SECONDS)
def test_every_window_equals_a_plain_count_of_the_trades_in_it_at_many_instants(window: str) -> None:
    some = some_fills(random.Random(11), 3000)
    state = Aggregator(epoch=EPOCH)
    for first in range(1, 3001, 150):
        offer(state, some, first, first + 149)
        assert state.watermark is not None
        for passed in (0, 7, 61):
            now_ns = state.watermark.received_at + passed * SECOND
            answer = read(state, window, now_ns=now_ns)
            bounds = [None if text is None else parse_time(text) for text in list(answer.values())[:2]]
            expected = plainly(some[: first + 149], bounds[0], bounds[1])
            assert [Name(*list(row.values())[:3]) for row in answer["orders"]] == sorted(expected)
            for row in answer["orders"]:
                check(row, expected[Name(row["venue"], row["strategy"], row["liquidity"])])
            if bounds[0] is not None and bounds[1] is not None:
                end = (state.watermark.timestamp + passed * SECOND) // SECOND + 1
                start = end - int(SECONDS[window] or 0)
                assert bounds == [start // 10 * 10 * SECOND, -(-end // 10) * 10 * SECOND]


def check(row: dict[str, Any], elapsed: list[int]) -> None:
    positive = sorted(value for value in elapsed if value >= 0)
    assert (row["count"], row["negative"]) == (len(positive), len(elapsed) - len(positive))
    assert row["max"] == (positive[-1] / 1e9 if positive else None)
    if row["negative"] * 1000 > len(elapsed):
        assert (row["reason"], row["mean"], row["p50"], row["p999"]) == ("clock", None, None, None)
        return
    assert row["reason"] is None
    assert row["mean"] == sum(positive) / len(positive) / 1e9
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)):
        exact = positive[math.ceil(share * len(positive)) - 1] / 1e9
        assert abs(row[name] - exact) <= 0.01 * exact * (1 + 1e-9)


def test_a_minute_falls_to_nothing_within_a_minute_when_the_fills_stop() -> None:
    state = applied([filled(NOW, 5 * SECOND, received_at=NOW)], 1)
    assert read(state, "1m", now_ns=NOW)["orders"][0]["count"] == 1
    assert read(state, "1m", now_ns=NOW + 49 * SECOND)["orders"][0]["count"] == 1
    assert read(state, "1m", now_ns=NOW + 70 * SECOND)["orders"] == []
    assert read(state, "all", now_ns=NOW + 70 * SECOND)["orders"][0]["count"] == 1
    assert read(state, "1m", now_ns=NOW + 70 * SECOND, at="watermark")["orders"][0]["count"] == 1


def test_rows_are_filtered_by_venue_and_strategy_and_the_empty_name_is_one() -> None:
    some = [filled(NOW, 1, venue=venue, strategy=strategy) for venue in ("X", "Y") for strategy in ("", "mm")]
    state = applied(some, 4)
    assert [row["venue"] for row in read(state, venues=("Y",))["orders"]] == ["Y", "Y"]
    assert [row["strategy"] for row in read(state, strategies=("",))["orders"]] == ["", ""]
    assert len(read(state, venues=("X",), strategies=("mm",))["orders"]) == 1
    assert read(state, venues=("Z",))["orders"] == []


def test_an_instant_that_is_no_longer_held_is_refused_and_another_window_too() -> None:
    state = applied([filled(NOW - 8000 * SECOND, 1, received_at=NOW - 8000 * SECOND), filled(NOW, 1)], 1)
    assert read(state, "1m", at=str(NOW))["orders"][0]["count"] == 1
    with pytest.raises(InvalidInput, match="at: expected a window that begins at"):
        read(state, "1m", at=str(NOW - 8000 * SECOND))
    with pytest.raises(InvalidInput, match="window: expected one of"):
        read(state, "1d")


def test_more_names_than_there_is_room_for_count_together_and_no_venue_gets_round_it() -> None:
    orders = Orders(names=2)
    for number, venue in enumerate(["A", "B", "C", "D", OTHER]):
        orders.merge(order_times(from_trades([filled(NOW, number, venue=venue, strategy=f"s{venue}")])))
    assert orders.names == [Name("A", "sA", ""), Name("B", "sB", ""), Name(OTHER, OTHER, "")]
    assert counts_of(orders.everything()[1][2:]).counts.tolist() == [1, 1, 1]


def test_more_cells_than_there_is_room_for_leave_the_windows_oldest_first_and_never_the_sum() -> None:
    orders = Orders(cells=6)
    ahead = [NOW + (7200 + 10 * number) * SECOND for number in range(3)]
    for at in [NOW - 10 * number * SECOND for number in range(8)] + ahead:
        orders.merge(order_times(from_trades([filled(at, 10**6)])))
    orders.bound(NOW)
    held = [orders.between(slot, slot + 1) for slot in (NOW // SLOT_NS, ahead[0] // SLOT_NS, NOW // SLOT_NS - 7)]
    assert [len(cells) for cells in held] == [1, 0, 0]
    assert orders.frontier == NOW // SLOT_NS - 5
    assert sum(int(counts_of(cells).counts.sum()) for cells in orders.everything()) == 11
    orders.merge(order_times(from_trades([filled(NOW - 70 * SECOND, 10**6)])))
    assert int(counts_of(orders.older()).counts.sum()) == 6


def test_the_snapshot_holds_them_and_a_restored_state_goes_on_alike(tmp_path: Path) -> None:
    some = some_fills(random.Random(3), 2000)
    state = applied(some[:1500], 100)
    Snapshot(tmp_path / "snapshot.db", "j").save(state)
    restored = Aggregator(epoch=EPOCH)
    assert Snapshot(tmp_path / "snapshot.db", "j").load(restored, newest=1500) is None
    assert answers(restored) == answers(state)
    for target in (restored, state):
        offer(target, some, 1501, 2000)
    assert answers(restored) == answers(state)
    assert restored.orders.frontier == state.orders.frontier


def test_prometheus_counts_times_by_liquidity_up_to_each_bound() -> None:
    seconds = {"maker": [0.5, 30.0, 7000.0], "taker": [0.00005, 0.002, 0.002, 0.0495], "": [-1.0]}
    some = [
        filled(NOW, round(of * 1e9), liquidity=name, venue=f"V{of}")
        for name, all_of in seconds.items()
        for of in all_of
    ]
    family = order_seconds(applied(some, 3).orders)
    found = {(one.name[28:], *one.labels.values()): one.value for one in family.samples}
    for name, all_of in seconds.items():
        for bound in BOUNDS:
            assert found["_bucket", name, str(bound)] == sum(0 <= of <= bound for of in all_of), (name, bound)
        assert found["_bucket", name, "+Inf"] == found["_count", name] == sum(of >= 0 for of in all_of)
        assert found["_sum", name] == pytest.approx(sum(of for of in all_of if of >= 0), rel=1e-12)


def test_the_route_shows_orders_beside_the_stages(gateway: Gateway, symbol: str) -> None:
    now = time.time_ns()
    fields = {"venue": symbol, "strategy": "mm-1", "liquidity": "maker", "timestamp": now}
    gateway.post([row_of(symbol, order_sent_at=now - elapsed, **fields) for elapsed in (10**6, 10**7, 10**9)])
    answer = gateway.get("/v1/latency", window="1m", venue=symbol)
    (row,) = answer["orders"]
    assert (row["venue"], row["strategy"], row["liquidity"]) == (symbol, "mm-1", "maker")
    assert (row["count"], row["max"], row["mean"]) == (3, 1.0, pytest.approx(0.337))
    assert row["p50"] == pytest.approx(0.01, rel=0.01)
    assert answer["window_start"] < answer["window_end"]
    assert gateway.get("/v1/latency", window="all", venue=symbol, strategy="other")["orders"] == []
    assert gateway.get("/v1/latency", window="all", venue=[symbol, "x"], strategy="mm-1")["orders"][0]["count"] == 3
    assert "expected the parameters" in gateway.get("/v1/latency", 422, symbol=symbol)["detail"]
