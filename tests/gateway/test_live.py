"""Subscriptions: a snapshot first, then what changed, the newest for who is late, and how much was skipped."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from gateway.freshness import Freshness
from gateway.latency import Latency
from gateway.live import Live, Slot, View, Wanted
from gateway.reading.open_windows import OPEN
from gateway.reading.running import EVER, Range
from gateway.streaming.views import Views
from telemetry.errors import InvalidInput
from telemetry.times import format_time
from tests.gateway.test_aggregator import NOW, offer, trade
from tests.gateway.test_figures import SECOND, state_of

MS = 1_000_000


class Board:
    """A topic whose rows a test sets."""

    def __init__(self, **rows: Any) -> None:
        self.rows: dict[str, Any] = rows
        self.asked = 0
        self.broken = False

    def __call__(self, wanted: Wanted, mark: object) -> View:
        self.asked += 1
        if self.broken:
            raise InvalidInput("expected something else")
        return View(dict(self.rows), {"window": wanted.window})


def subscribe(live: Live, now_ns: int = 0, **fields: Any) -> Slot:
    wanted = Wanted(**({"id": "a", "topic": "stats"} | fields))
    return live.subscribe(wanted, lambda _: None, seq=7, now_ns=now_ns)


def payload(taken: bytes) -> bytes:
    """The text of a WebSocket frame that is whole, not masked, and nothing else."""
    first, length = struct.unpack_from("!BB", taken)
    assert first == 0x81
    if length == 126:
        (length,) = struct.unpack_from("!H", taken, 2)
        return taken[4 : 4 + length] if len(taken) == 4 + length > 129 else b""
    if length == 127:
        (length,) = struct.unpack_from("!Q", taken, 2)
        return taken[10:] if len(taken) == 10 + length > 65_545 else b""
    return taken[2:] if len(taken) == 2 + length else b""


def frame(slot: Slot) -> dict[str, Any]:
    taken = slot.take()
    assert taken is not None
    found: dict[str, Any] = json.loads(payload(taken))
    return found


def test_the_snapshot_is_whole_and_an_update_has_what_changed() -> None:
    board = Board(A=1, B=2)
    live = Live(board)
    slot = subscribe(live)
    first = frame(slot)
    assert first == {
        "type": "snapshot",
        "id": "a",
        "topic": "stats",
        "seq": 7,
        "skipped": 0,
        "data": {"window": "all", "symbols": {"A": 1, "B": 2}},
    }
    board.rows["B"] = 3
    live.tick(9, 250 * MS)
    second = frame(slot)
    assert (second["type"], second["seq"], second["data"]["symbols"]) == ("update", 9, {"B": 3})
    live.tick(10, 500 * MS)
    assert slot.take() is None, "nothing changed"


def test_an_empty_snapshot_is_sent_too() -> None:
    slot = subscribe(Live(Board()))
    assert frame(slot)["data"] == {"window": "all", "symbols": {}}
    assert slot.take() is None


def test_who_is_late_gets_the_newest_of_each_row_and_the_number_skipped() -> None:
    board = Board(A=0, B=0)
    live = Live(board)
    slot = subscribe(live)
    frame(slot)
    for number in range(1, 6):
        board.rows["A"] = number
        if number == 2:
            board.rows["B"] = 2
        live.tick(10 + number, number * 250 * MS)
    update = frame(slot)
    assert (update["seq"], update["skipped"], update["data"]["symbols"]) == (15, 4, {"A": 5, "B": 2})
    assert live.skipped == 4
    board.rows["A"] = 9
    live.tick(16, 2000 * MS)
    assert frame(slot)["skipped"] == 0


def test_a_snapshot_that_was_not_taken_yet_becomes_newer_and_skips_nothing() -> None:
    board = Board(A=0)
    live = Live(board)
    slot = subscribe(live)
    board.rows["A"] = 1
    live.tick(8, 250 * MS)
    found = frame(slot)
    assert (found["type"], found["seq"], found["skipped"]) == ("snapshot", 8, 0)
    assert found["data"]["symbols"] == {"A": 1}
    assert live.skipped == 0


def test_subscriptions_that_are_alike_are_computed_once_and_each_gets_everything() -> None:
    board = Board(A=0)
    live = Live(board)
    slots = [subscribe(live) for _ in range(3)]
    board.asked = 0
    board.rows["A"] = 1
    live.tick(8, 250 * MS)
    assert board.asked == 1
    assert [frame(slot)["data"]["symbols"] for slot in slots] == [{"A": 1}] * 3
    late = subscribe(live, 300 * MS)
    board.rows["A"] = 2
    live.tick(9, 500 * MS)
    assert [frame(slot)["data"]["symbols"] for slot in (*slots, late)] == [{"A": 2}] * 4


def test_a_newcomer_takes_no_update_away_from_the_others() -> None:
    board = Board(A=0)
    live = Live(board)
    old = subscribe(live)
    frame(old)
    board.rows["A"] = 1
    new = subscribe(live)
    assert frame(new)["data"]["symbols"] == {"A": 1}
    live.tick(8, 250 * MS)
    assert frame(old)["data"]["symbols"] == {"A": 1}


def test_each_is_told_in_its_own_interval() -> None:
    board = Board(A=0)
    live = Live(board)
    fast, slow = subscribe(live, interval_ms=100), subscribe(live, id="b", interval_ms=1000)
    frame(fast), frame(slow)
    board.rows["A"] = 1
    assert live.tick(8, 100 * MS) == 200 * MS
    assert fast.take() is not None
    assert slow.take() is None
    live.tick(8, 1000 * MS)
    assert slow.take() is not None


def test_a_flat_topic_is_told_whole() -> None:
    board = Board(ready=1, workers=1)
    live = Live(board)
    slot = subscribe(live, topic="health")
    assert frame(slot)["data"] == {"window": "all", "ready": 1, "workers": 1}
    board.rows["workers"] = 2
    live.tick(8, 250 * MS)
    assert frame(slot)["data"] == {"window": "all", "ready": 1, "workers": 2}


def test_after_unsubscribing_nothing_is_due() -> None:
    live = Live(Board(A=1))
    slots = [subscribe(live), subscribe(live, id="b")]
    live.unsubscribe(slots[:1])
    assert live.tick(8, 250 * MS) == 500 * MS
    live.unsubscribe(slots[1:])
    assert live.tick(8, 500 * MS) is None


def test_a_view_that_cannot_be_had_any_more_ends_nothing() -> None:
    board = Board(A=1)
    live = Live(board)
    slot = subscribe(live)
    frame(slot)
    board.broken = True
    assert live.tick(8, 250 * MS) == 500 * MS
    assert slot.take() is None
    board.broken, board.rows["A"] = False, 2
    live.tick(9, 500 * MS)
    assert frame(slot)["data"]["symbols"] == {"A": 2}


@pytest.mark.parametrize(
    "fields",
    [
        {"topic": "positions"},
        {"id": ""},
        {"id": "x" * 65},
        {"interval_ms": 19},
        {"interval_ms": 60_001},
        {"symbols": ()},
        {"symbols": ("A",) * 10_001},
        {"window": "2m"},
        {"topic": "candles", "interval": "7m"},
        {"topic": "latency", "window": "1d"},
        {"topic": "patterns", "interval_ms": 1000},
        {"topic": "patterns", "interval_ms": 1000, "symbols": ("A", "B", "C", "D", "E")},
        {"topic": "patterns", "interval_ms": 999, "symbols": ("A",)},
        {"topic": "patterns", "interval_ms": 1000, "symbols": ("A",), "window": "2m"},
        {"kinds": ("market",)},
        {"topic": "totals", "start": "2026-11-22T00:00:00Z"},
        {"topic": "totals", "start": "2026-11-22T00:00:00Z", "end": "2026-11-22T00:00:00Z"},
        {"topic": "totals", "start": "2026-11-22T00:00:00Z", "end": "2027-11-22T00:00:00Z"},
        {"topic": "totals", "start": "today", "end": "2026-11-22T00:00:00Z"},
        {"topic": "stats", "start": "2026-11-22T00:00:00Z", "end": "2026-11-23T00:00:00Z"},
    ],
)
def test_a_wrong_subscription_is_refused_and_leaves_nothing(fields: dict[str, Any]) -> None:
    live = Live(views())
    with pytest.raises(InvalidInput, match="expected"):
        subscribe(live, **fields)
    assert live.tick(1, 0) is None


# --- the real views --------------------------------------------------------------------------------------------------


class Time:
    """A wall clock that a test sets."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def views(*trades: Any, wall: Time | None = None, atoms: int = 500_000) -> Views:
    return Views(
        state_of(list(trades), atoms),
        Latency(),
        streams=Freshness(now_ns=0),
        freshness=lambda: {"as_of_seq": 1},
        health=lambda: {"ready": True},
        wall_ns=wall or Time(),
        monotonic_ns=lambda: 0,
    )


def test_a_window_that_empties_tells_so_once_and_drops_the_row() -> None:
    wall = Time()
    live = Live(views(trade(at=NOW), trade(symbol="B", at=NOW - 30 * SECOND), wall=wall))
    slot = subscribe(live, window="1m")
    assert sorted(frame(slot)["data"]["symbols"]) == ["A", "B"]
    wall.now += 45 * SECOND
    live.tick(2, 250 * MS)
    update = frame(slot)["data"]
    assert list(update["symbols"]) == ["B"]
    assert (update["symbols"]["B"]["trades"], update["symbols"]["B"]["vwap"]) == (0, None)
    assert update["totals"]["trades"] == 1
    assert list(frame(subscribe(live, window="1m"))["data"]["symbols"]) == ["A"], "not in a new snapshot"
    live.tick(2, 500 * MS)
    assert slot.take() is None


def test_a_candle_is_told_again_when_it_closes_though_nobody_trades() -> None:
    wall = Time(NOW)
    live = Live(views(trade(at=NOW), wall=wall))
    slot = subscribe(live, topic="candles", interval="10s")
    (candle,) = frame(slot)["data"]["symbols"]["A"]
    assert candle["closed"] is False
    wall.now += 11 * SECOND
    live.tick(1, 250 * MS)
    (candle,) = frame(slot)["data"]["symbols"]["A"]
    assert candle["closed"] is True
    wall.now += 11 * SECOND
    live.tick(1, 500 * MS)
    assert slot.take() is None


def test_a_late_trade_is_told_with_the_candle_that_it_revises_however_old_that_is() -> None:
    minute = 60 * SECOND
    some = [trade(number, at=NOW - number * minute, symbol=symbol) for number in range(700, 0, -1) for symbol in "AB"]
    state = state_of(some)
    live = Live(
        Views(
            state,
            Latency(),
            streams=Freshness(now_ns=0),
            freshness=dict,
            health=dict,
            wall_ns=lambda: NOW,
            monotonic_ns=lambda: 0,
        )
    )
    slot = subscribe(live, topic="candles", interval="1m")
    assert {name: len(of) for name, of in frame(slot)["data"]["symbols"].items()} == {"A": 2, "B": 2}
    late = [trade(5000, at=NOW - 600 * minute), trade(6000, at=NOW - 1000 * minute - 1), trade(7000, at=NOW - minute)]
    offer(state, [*some, *late], 1401, 1403)
    live.tick(1403, 250 * MS)
    data = frame(slot)["data"]
    assert data["symbols"].keys() == {"A"}
    assert [(of["start"], of["high"], of["revision"], of["trades"]) for of in data["symbols"]["A"]] == [
        (_minute(NOW - 1000 * minute - 1), "6000", 1402, 1),
        (_minute(NOW - 600 * minute), "5000", 1401, 2),
        (_minute(NOW - 2 * minute), "2", 1397, 1),
        (_minute(NOW - minute), "7000", 1403, 2),
    ]
    assert data["reread"] == []
    offer(state, [*some, *late, trade(1, at=NOW)], 1404, 1404)
    live.tick(1404, 500 * MS)
    assert len(frame(slot)["data"]["symbols"]["A"]) == 2, "what was told is not told again"


def test_more_late_candles_than_an_update_tells_are_named_to_be_read_again() -> None:
    minute = 60 * SECOND
    some = [trade(number, at=NOW - number * minute) for number in range(300, 0, -1)]
    state = state_of(some)
    live = Live(
        Views(
            state,
            Latency(),
            streams=Freshness(now_ns=0),
            freshness=dict,
            health=dict,
            wall_ns=lambda: NOW,
            monotonic_ns=lambda: 0,
        )
    )
    slot = subscribe(live, topic="candles", interval="1m")
    frame(slot)
    offer(state, [*some, *(trade(9, at=NOW - number * minute) for number in range(200, 2, -1))], 301, 498)
    live.tick(498, 250 * MS)
    data = frame(slot)["data"]
    assert (data["reread"], len(data["symbols"]["A"])) == (["A"], 102)
    assert [of["revision"] for of in data["symbols"]["A"][:100]] == list(range(399, 499)), "the newest of them"


def _minute(at: int) -> str:
    return format_time(at // (60 * SECOND) * 60 * SECOND)


def test_candles_of_a_symbol_that_is_held_coarser_are_empty_and_end_nothing() -> None:
    many = [trade(symbol="new", at=NOW - number * SECOND) for number in range(5000)]
    live = Live(views(trade(symbol="old", at=NOW - 100_000 * SECOND), *reversed(many), atoms=1000))
    symbols = frame(subscribe(live, topic="candles", interval="1s"))["data"]["symbols"]
    assert symbols["old"] == []
    assert len(symbols["new"]) == 2


def test_too_many_symbols_are_refused_when_a_subscription_begins() -> None:
    live = Live(views(*(trade(symbol=f"S{number}") for number in range(1001))))
    with pytest.raises(InvalidInput, match="at most 1000"):
        subscribe(live, topic="candles")
    assert len(frame(subscribe(live, topic="candles", symbols=("S5", "S6")))["data"]["symbols"]) == 2
    assert len(frame(subscribe(live, topic="stats"))["data"]["symbols"]) == 1001


def test_totals_of_a_period_are_those_of_the_trades_in_it_and_follow_those_that_come() -> None:
    begin = NOW // (3600 * SECOND) * 3600 * SECOND
    before, first, last, after = begin - 1, begin, begin + 3600 * SECOND - 1, begin + 3600 * SECOND
    state = state_of([trade(quantity=number, at=at) for number, at in enumerate((before, first, last, after), 1)])
    wall = Time(after)
    streams = Freshness(now_ns=0)
    topics = Views(state, Latency(), streams=streams, freshness=dict, health=dict, wall_ns=wall, monotonic_ns=lambda: 0)
    live = Live(topics, topics.warm)
    slot = subscribe(live, topic="totals", start=str(begin), end=str(after))
    data = frame(slot)["data"]
    assert (data["totals"]["trades"], data["totals"]["quantity"]) == (2, "5")
    assert data["window_start"] < data["window_end"]
    late = [trade(quantity=10, at=first), trade(quantity=100, at=after)]
    offer(state, [trade()] * 4 + late, 5, 6)
    for _ in live.ahead_of(250 * MS):  # what was made ahead is told too
        pass
    live.tick(6, 250 * MS)
    assert frame(slot)["data"]["totals"]["quantity"] == "15"
    live.tick(6, 500 * MS)
    assert slot.take() is None, "nothing has changed"


def test_venues_and_kinds_choose_what_every_topic_of_figures_is_about() -> None:
    fill: dict[str, Any] = {"venue": "X", "kind": "fill"}
    live = Live(views(trade(venue="X"), trade(quantity=2, **fill), trade(symbol="B", venue="Y", quantity=4)))
    wanted: list[tuple[dict[str, Any], str]] = [
        ({"venues": ("X",)}, "3"),
        ({"kinds": ("fill",)}, "2"),
        ({"venues": ("Z",)}, "0"),
    ]
    for chosen, quantity in wanted:
        totals = frame(subscribe(live, topic="totals", **chosen))["data"]["totals"]
        stats = frame(subscribe(live, topic="stats", **chosen))["data"]
        assert totals["quantity"] == stats["totals"]["quantity"] == quantity
    candles = frame(subscribe(live, topic="candles", interval="1m", symbols=("A",), kinds=("fill",)))["data"]
    assert [candle["quantity"] for candle in candles["symbols"]["A"]] == ["2"]


def test_windows_that_are_open_are_bounded_and_those_that_are_read_stay() -> None:
    state = state_of([trade(at=NOW)])
    for number in range(100):
        state.windows.at_once("all", EVER)
        state.windows.at_once(f"period {number}", Range(NOW // SECOND - number, NOW // SECOND + 1))
    assert state.windows.current("all") is not None
    assert sum(state.windows.current(f"period {number}") is not None for number in range(100)) == OPEN - 1
