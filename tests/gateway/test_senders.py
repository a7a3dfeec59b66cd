"""The clocks of sources, from what their trades say: a slow one is seen, a slow way alone is not taken for one."""

from __future__ import annotations

import random

import pytest

from gateway.watching.senders import SOURCES, SenderClocks
from telemetry.columns import Columns, from_trades
from telemetry.times import ABSENT, LATEST
from tests.gateway.test_aggregator import NOW, trade

SECOND = 1_000_000_000
MS = 1_000_000


def request(*elapsed: int | None, source: str = "a", at: int = 0) -> Columns:
    """Trades of one request that was received at a second, sent so many ns before."""
    received = NOW + at * SECOND
    return from_trades(
        [
            trade(received_at=received, sent_at=ABSENT if one is None else received - one, source=source)
            for one in elapsed
        ]
    )


def test_a_clock_five_seconds_slow_in_one_of_many_sources_is_seen_and_only_there() -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng, clocks = random.Random(seed), SenderClocks()
    for second in range(60):
        for source in range(50):
            slow = 5 * SECOND if source == 17 else 0
            way = int(rng.lognormvariate(14, 1)) + (2 * SECOND if rng.random() < 0.05 else 0)
            clocks.arrived(request(way + slow, way + slow + MS, source=f"s{source}", at=second), second * SECOND)
    readings = clocks.readings(59 * SECOND)
    assert len(readings) == 50
    off = {name: of for name, of in readings.items() if of.offset is not None and abs(of.offset) - of.error > 2}
    assert list(off) == ["s17"]
    assert off["s17"].offset == pytest.approx(5, abs=0.1)
    assert (off["s17"].samples, off["s17"].negative) == (120, 0)


def test_a_fast_clock_has_a_negative_offset_and_negative_differences() -> None:
    clocks = SenderClocks()
    clocks.arrived(request(-3 * SECOND, -2 * SECOND, MS), 0)
    assert clocks.readings(0) == {"a": (3, 2, -3.0, 0.0)}


def test_one_wrong_stamp_moves_no_estimate() -> None:
    clocks = SenderClocks()
    for second in range(0, 60, 5):
        clocks.arrived(request(MS, -80_000 * SECOND if second == 20 else MS, at=second), second * SECOND)
    reading = clocks.readings(59 * SECOND)["a"]
    assert (reading.samples, reading.negative) == (24, 1)
    assert reading.offset == pytest.approx(0.001, abs=1e-6)
    assert reading.error == pytest.approx(0, abs=1e-6)


def test_a_clock_that_is_set_is_seen_after_half_a_minute() -> None:
    clocks = SenderClocks()
    off = []
    for second in range(120):
        clocks.arrived(request(MS if second < 60 else 5 * SECOND, at=second), second * SECOND)
        reading = clocks.readings(second * SECOND)["a"]
        off.append(reading.offset is not None and reading.offset - reading.error > 2)
    assert off.index(True) == 90
    assert all(off[90:])


def test_what_is_older_than_a_minute_is_forgotten() -> None:
    clocks = SenderClocks()
    clocks.arrived(request(MS), 0)
    assert "a" in clocks.readings(59 * SECOND)
    assert clocks.readings(60 * SECOND) == {}


def test_trades_that_do_not_say_who_sent_them_or_when_are_left_out() -> None:
    clocks = SenderClocks()
    clocks.arrived(request(None, None), 0)
    clocks.arrived(request(MS, source=""), 0)
    assert clocks.readings(0) == {}
    clocks.arrived(request(None, MS, None, source="b"), 0)
    assert clocks.readings(0)["b"].samples == 1


def test_any_legal_instant_is_taken_and_what_is_further_than_a_day_says_nothing_about_a_clock() -> None:
    clocks = SenderClocks()
    clocks.arrived(from_trades([trade(received_at=LATEST, sent_at=ABSENT + 1, source="a")]), 0)
    assert clocks.readings(0) == {}
    clocks.arrived(request(86_401 * SECOND, 86_399 * SECOND), 0)
    assert clocks.readings(0)["a"].samples == 1


def test_the_source_that_was_not_heard_of_for_longest_makes_room() -> None:
    clocks = SenderClocks()
    for number in range(SOURCES):
        clocks.arrived(request(MS, source=f"s{number}"), 0)
    clocks.arrived(request(MS, source="s0"), 1)
    clocks.arrived(request(MS, source="new"), 2)
    readings = clocks.readings(2)
    assert len(readings) == SOURCES
    assert {"s0", "s2", "new"} <= readings.keys()
    assert "s1" not in readings
