"""Freshness under injected clocks: who is silent, who only sleeps, and what a file of old trades does (nothing)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
import pytest

from gateway.freshness import Freshness
from gateway.watching.calendars import Calendars
from gateway.watching.gaps import KNOWN, Gaps
from gateway.watching.markets import Sessions
from gateway.watching.states import Changed, Requests
from telemetry.columns import Columns
from telemetry.errors import InvalidInput
from telemetry.frame import Array, Text
from telemetry.times import parse_time
from telemetry.trade import Instrument

SECOND, HOUR = 10**9, 3600 * 10**9
WALL = parse_time("2026-11-23T12:00:00Z")  # at 0 of the monotonic clock
Trade = tuple[str, str, str, str]  # venue, symbol, source, strategy


def request(trades: Sequence[Trade], wall_ns: int) -> Columns:
    table = {Instrument(venue, symbol, "own", "", 1, 0): None for venue, symbol, _, _ in trades}
    places = {instrument[:2]: place for place, instrument in enumerate(table)}
    count = len(trades)
    integers, small = np.ones(count, np.int64), np.zeros(count, np.uint8)
    times = np.full(count, wall_ns, np.int64)
    optional: dict[str, Array | Text] = {
        "source": Text.of([trade[2] for trade in trades]),
        "strategy": Text.of([trade[3] for trade in trades]),
    }
    codes = np.array([places[venue, symbol] for venue, symbol, _, _ in trades], np.uint32)
    return Columns(tuple(table), codes, small, integers, small, integers, small, times, times, optional)


class Desk:
    """The object with two clocks that go together, ticked once a second."""

    def __init__(self, sessions: Sessions | None = None, *, wall_ns: int = WALL, **more: dict[str, int]) -> None:
        self.now, self.start = 0, wall_ns
        self.fresh = Freshness(sessions, now_ns=0, most=more.get("most"))
        self.events: list[Changed] = []

    @property
    def wall(self) -> int:
        return self.start + self.now

    def send(self, *trades: Trade, made_ns: int | None = None) -> None:
        columns = request(trades, self.wall if made_ns is None else made_ns)
        self.fresh.arrived(columns, Requests(np.zeros(1, np.int64), np.array([self.wall]), np.array([self.now])))

    def tick(self, seconds: float = 1.0) -> list[Changed]:
        self.now += round(seconds * SECOND)
        found = self.fresh.tick(self.wall, self.now)
        self.events += found
        return found

    def learn(self, *trades: Trade, every: float = 0.1) -> None:
        """So many arrivals that their gaps are known."""
        for _ in range(KNOWN + 1):
            self.send(*trades)
            self.now += round(every * SECOND)
        self.tick(0)
        self.tick(0)

    def states(self, kind: str) -> dict[str, str]:
        return {name: reading.state for name, reading in self.fresh.readings(self.now)[kind].items()}


def silent(events: Iterable[Changed]) -> list[tuple[str, str]]:
    return [(event.kind, event.name) for event in events if event.state == "silent"]


BTC = ("BINANCE", "BTC-USDT", "bot-1", "mm")


def test_a_stream_is_learning_until_a_thousand_gaps_are_known_and_fresh_from_then_on() -> None:
    desk = Desk()
    for count in range(KNOWN + 1):
        desk.send(BTC)
        desk.tick(0.1)
        expected = "fresh" if count == KNOWN else "learning"
        assert {*desk.states("source").values(), *desk.states("symbol").values()} == {expected}
    assert [(event.was, event.state) for event in desk.events if event.kind == "venue"] == [
        ("never_seen", "learning"),
        ("learning", "fresh"),
    ]


def test_what_stops_is_silent_after_five_seconds_and_fresh_with_the_next_arrival() -> None:
    desk = Desk()
    desk.learn(BTC)
    desk.tick(0)
    assert desk.tick(4.8) == []  # 4.9 s since the last arrival
    found = desk.tick(0.2)
    assert sorted(silent(found)) == [
        ("source", "bot-1"), ("strategy", "mm"), ("symbol", "BTC-USDT"), ("venue", "BINANCE"),
    ]  # fmt: skip
    assert found[0].allowed_seconds == pytest.approx(5)
    assert (found[0].since_ns, found[0].last_arrival_ns) == (desk.wall, WALL + KNOWN * SECOND // 10)
    desk.send(BTC)
    assert desk.states("venue") == {"BINANCE": "fresh"}
    assert {(event.was, event.state) for event in desk.tick()} == {("silent", "fresh")}


def test_a_pause_is_allowed_three_times_the_longest_but_one_of_a_thousand_gaps() -> None:
    desk = Desk()
    random = np.random.default_rng(4)
    gaps = random.permutation(np.linspace(0.5, 3.4, KNOWN))
    desk.send(BTC)
    for gap in gaps.tolist():
        desk.now += round(gap * SECOND)
        desk.send(BTC)
        desk.tick(0)
    allowed = 3 * float(np.sort(gaps)[-2])
    assert next(one for one in desk.fresh.streams(desk.now) if one.kind == "source").allowed_seconds == pytest.approx(
        allowed, rel=1e-6
    )
    while not silent(desk.tick(0.1)):
        pass
    assert desk.fresh.readings(desk.now)["source"]["bot-1"].seconds == pytest.approx(allowed, abs=0.11)


def test_one_source_of_fifty_that_stops_is_exactly_one_silence() -> None:
    desk = Desk()
    everybody = [("V", f"S{number % 7}", f"source-{number}", "mm") for number in range(50)]
    desk.learn(*everybody)
    for _ in range(60):
        desk.send(*everybody[:17], *everybody[18:])
        desk.tick()
    assert silent(desk.events) == [("source", "source-17")]


def test_a_replay_of_an_old_file_makes_nobody_fresh_or_silent_or_seen() -> None:
    desk = Desk()
    desk.fresh.expect("source", ["bot-1"])
    for _ in range(1200):
        desk.send(BTC, made_ns=desk.wall - 61 * SECOND)
        desk.now += SECOND // 10
    desk.tick()
    assert (desk.events, desk.states("source"), desk.states("symbol")) == ([], {"bot-1": "never_seen"}, {})
    desk.learn(BTC)
    desk.tick(0)
    for _ in range(10):  # alive only by old trades, and by trades of the future
        desk.send(BTC, made_ns=desk.wall - 61 * SECOND)
        desk.send(BTC, made_ns=desk.wall + 61 * SECOND)
        desk.tick()
    assert desk.states("source") == {"bot-1": "silent"}


def test_of_a_request_only_the_streams_of_its_live_trades_arrive() -> None:
    desk = Desk()
    columns = request([BTC, ("KRAKEN", "XRP-ETH", "bot-2", "mm")], desk.wall)
    columns.timestamp[1] -= HOUR
    at = np.zeros(1, np.int64)
    desk.fresh.arrived(columns, Requests(at, at + desk.wall, at + desk.now))
    assert desk.states("source") == {"bot-1": "learning"}
    assert desk.states("venue") == {"BINANCE": "learning"}


def test_what_is_expected_is_never_seen_until_it_arrives_and_never_fresh_or_silent() -> None:
    desk = Desk()
    desk.fresh.expect("venue", ["XNYS"])
    for _ in range(30):
        desk.tick()
    assert desk.states("venue") == {"XNYS": "never_seen"}
    assert desk.events == []
    assert desk.fresh.counts()["venue"] == {"fresh": 0, "learning": 0, "quiet": 0, "silent": 0, "never_seen": 1}


def sessions() -> Calendars:
    """Monday and Tuesday 09:00 to 11:00, Wednesday is a holiday, Thursday until 10:00."""
    days = [("16", 9, 11), ("20", 9, 11), ("23", 9, 11), ("24", 9, 11), ("26", 9, 10), ("27", 9, 11), ("30", 9, 11)]
    found = [(parse_time(f"2026-11-{d}T{a:02}:00:00Z"), parse_time(f"2026-11-{d}T{b:02}:00:00Z")) for d, a, b in days]
    return Calendars({"NYSE": found})


STOCK = ("NYSE", "MSFT", "bot-1", "mm")


def trading_day(desk: Desk, start: int, end: int) -> None:
    desk.now = start - desk.start
    while desk.wall < end:
        desk.send(STOCK)
        desk.tick(3)  # 1,200 an hour


def test_a_close_a_night_a_holiday_and_an_early_close_make_nobody_silent() -> None:
    desk = Desk(sessions(), wall_ns=parse_time("2026-11-23T09:00:00Z"))
    opens = {"23": 11, "24": 11, "26": 10, "27": 11}
    for day, closes in opens.items():
        begin, end = parse_time(f"2026-11-{day}T09:00:00Z"), parse_time(f"2026-11-{day}T{closes}:00:00Z")
        while desk.wall < begin:
            desk.tick(60)
        trading_day(desk, begin + SECOND, end)
        assert {name for kind in ("venue", "source", "symbol") for name in desk.states(kind).values()} == {"quiet"}
    assert silent(desk.events) == []
    assert {event.state for event in desk.events} == {"learning", "fresh", "quiet"}


def test_after_the_opening_the_silence_clock_starts_at_the_opening() -> None:
    desk = Desk(sessions(), wall_ns=parse_time("2026-11-23T09:00:00Z"))
    trading_day(desk, desk.start, parse_time("2026-11-23T11:00:00Z"))
    opening = parse_time("2026-11-24T09:00:00Z")
    while desk.wall < opening - SECOND:
        desk.tick(30)
    assert desk.states("venue") == {"NYSE": "quiet"}
    desk.events.clear()
    desk.now = opening + 8 * SECOND - desk.start
    desk.tick(0)
    assert desk.states("venue") == {"NYSE": "quiet"}  # has opened, nothing has come and it is not overdue: 9 s
    desk.tick(0.9)
    assert silent(desk.events) == []
    desk.tick(0.2)
    assert sorted(silent(desk.events))[-1] == ("venue", "NYSE")


def test_a_source_on_two_venues_is_quiet_only_when_both_are_closed() -> None:
    day = parse_time("2026-11-23T00:00:00Z")
    hours = {"A": (9, 12), "B": (11, 14)}
    spans = {
        v: [(day + (24 * d + a) * HOUR, day + (24 * d + b) * HOUR) for d in (-1, 0, 1)] for v, (a, b) in hours.items()
    }
    desk = Desk(Calendars(spans), wall_ns=day + 11 * HOUR + HOUR // 2)
    desk.send(("A", "X", "both", "s"), ("B", "Y", "both", "s"), ("A", "Z", "one", "s"))
    desk.tick()
    seen = []
    for half in range(1, 6):
        desk.now = half * HOUR // 2 + SECOND
        desk.tick(0)
        seen.append((desk.states("source")["both"], desk.states("source")["one"], desk.states("venue")["A"]))
    assert seen[0] == ("learning", "quiet", "quiet")  # 12:00
    assert seen[-1] == ("quiet", "quiet", "quiet")  # 14:00


def test_a_night_without_a_calendar_makes_nobody_silent_whose_pauses_are_long_by_night() -> None:
    desk = Desk(wall_ns=parse_time("2026-11-23T20:00:00Z"))
    random = np.random.default_rng(7)
    print("seed 7")
    while desk.now < 27 * HOUR:
        by_night = desk.wall // HOUR % 24 in (22, 23, 0, 1, 2, 3, 4, 5)
        desk.send(BTC)
        desk.tick(min(float(random.exponential(60 if by_night else 3)), 400))  # a day of 1,200 an hour
    assert silent(desk.events) == []
    assert {"fresh", "learning"} <= {event.state for event in desk.events}


def test_a_pause_that_began_when_pauses_were_long_is_not_overdue_when_the_hour_of_short_ones_begins() -> None:
    desk = Desk(wall_ns=parse_time("2026-11-23T08:00:00Z"))
    for hour, every in ((8, 3.4), (9, 0.5)):
        desk.now = (hour - 8) * HOUR
        while desk.now < (hour - 7) * HOUR:
            desk.send(BTC)
            desk.tick(every)
    desk.now = 24 * HOUR + HOUR - 6 * SECOND
    desk.send(BTC)
    desk.events.clear()
    for _ in range(10):
        desk.tick()
    assert silent(desk.events) == []  # 3 × 3.4 s are not over
    desk.tick()
    assert silent(desk.events)


def test_a_wall_clock_that_jumps_makes_nobody_silent() -> None:
    desk = Desk()
    desk.learn(BTC)
    for jump in (600, -600, 30):
        desk.start += jump * SECOND
        for _ in range(10):
            desk.send(BTC)
            desk.tick()
    assert silent(desk.events) == []


def test_a_gateway_that_stood_still_reads_what_has_come_before_it_calls_anybody_silent() -> None:
    desk = Desk()
    desk.learn(BTC)
    assert desk.tick(30) == []
    desk.send(BTC)
    desk.tick()
    assert desk.states("source") == {"bot-1": "fresh"}
    desk.tick(30)
    assert silent(desk.tick())


def test_a_restart_keeps_what_was_learnt_and_tells_nothing_twice() -> None:
    old = Desk()
    old.learn(BTC, ("KRAKEN", "XRP-ETH", "bot-2", "mm"))
    for _ in range(10):
        old.send(BTC)
        old.tick()
    assert old.states("source") == {"bot-1": "fresh", "bot-2": "silent"}
    plain = msgspec.msgpack.decode(msgspec.msgpack.encode(old.fresh.export()))
    new = Desk(wall_ns=old.wall + 60 * SECOND)  # it was away for a minute
    new.fresh.restore(plain, new.wall, 0)
    for _ in range(4):
        assert new.tick() == []
    assert new.states("source") == {"bot-1": "fresh", "bot-2": "silent"}
    found = new.tick()
    assert sorted(silent(found)) == [
        ("source", "bot-1"),
        ("strategy", "mm"),
        ("symbol", "BTC-USDT"),
        ("venue", "BINANCE"),
    ]
    new.send(("KRAKEN", "XRP-ETH", "bot-2", "mm"))
    assert new.states("source")["bot-2"] == "fresh"


def test_a_restart_keeps_whose_market_is_closed() -> None:
    old = Desk(sessions(), wall_ns=parse_time("2026-11-23T10:00:00Z"))
    old.send(STOCK)
    old.tick()
    new = Desk(sessions(), wall_ns=parse_time("2026-11-23T18:00:00Z"))
    new.fresh.restore(old.fresh.export(), new.wall, 0)
    new.tick()
    assert new.states("source") == {"bot-1": "quiet"}


@pytest.mark.parametrize(
    "change",
    [{"version": 0}, {"streams": [["planet", "x"]]}, {"state": [9]}, {"since": []}, {"gaps": {"counts": b""}}],
)
def test_what_is_no_export_is_refused(change: dict[str, object]) -> None:
    desk = Desk()
    desk.fresh.expect("venue", ["XNYS"])
    with pytest.raises(InvalidInput, match="freshness: expected"):
        Desk().fresh.restore(desk.fresh.export() | change, WALL, 0)


def test_of_too_many_symbols_those_not_heard_of_for_longest_are_forgotten_and_counted() -> None:
    desk = Desk(most={"symbol": 32})
    for number in range(40):
        desk.send(("V", "ALWAYS", "s", "t"), ("V", f"S{number}", "s", "t"))
        desk.tick()
    known = desk.states("symbol")
    assert {"ALWAYS", "S39"} <= known.keys() or {"ALWAYS", "S38"} <= known.keys()
    assert len(known) <= 32
    assert "S0" not in known
    assert desk.fresh.forgotten["symbol"] >= 4
    desk.send(*[("V", f"new{number}", "s", "t") for number in range(1000)])
    assert len(desk.states("symbol")) <= 32


def test_names_that_come_mixed_in_one_request_are_told_apart() -> None:
    desk = Desk()
    trades = [
        ("V", "X", f"source-{n % 13}" if n % 5 else "", f"a-strategy-with-a-long-name-{n % 3}") for n in range(200)
    ]
    desk.send(*trades)
    assert set(desk.states("source")) == {trade[2] for trade in trades} - {""}
    assert set(desk.states("strategy")) == {trade[3] for trade in trades}


@pytest.mark.parametrize("count", [1000, 1001, 1999, 2000, 5000, 7999])
def test_the_usual_gap_is_exactly_the_nearest_rank(count: int) -> None:
    gaps, ids = Gaps(0.0), np.array([3])
    gaps.grow(5)
    values = np.random.default_rng(count).exponential(10, count).astype(np.float32).astype(np.float64)
    for value in values.tolist():
        gaps.add(ids, 7, np.array([value]))
    assert gaps.usual(ids, 7)[0] == np.sort(values)[-(-count * 999 // 1000) - 1]
    assert np.isinf(gaps.usual(ids, 8)[0])


def test_the_usual_gap_follows_when_pauses_get_longer() -> None:
    gaps, ids = Gaps(0.0), np.array([0])
    gaps.grow(1)
    for value in [1.0] * 50_000 + [10.0] * 20_000:
        gaps.add(ids, 0, np.array([value]))
    assert gaps.usual(ids, 0)[0] == 10


def test_hours_with_few_gaps_are_judged_together() -> None:
    gaps, ids = Gaps(0.0), np.array([0])
    gaps.grow(1)
    for number in range(KNOWN):
        gaps.add(ids, number % 10, np.array([float(number)]))
    assert gaps.usual(ids, 3)[0] == KNOWN - 2
    assert np.isinf(gaps.usual(ids, 15)[0])  # nothing is known of this hour
