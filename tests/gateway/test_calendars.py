"""Sessions of venues: those written down here, and those of exchange-calendars."""

from __future__ import annotations

import pytest

from gateway.watching.calendars import Calendars, load
from gateway.watching.markets import EVER, AroundTheClock, Markets
from telemetry.errors import InvalidInput
from telemetry.times import format_time, parse_time

NOW = parse_time("2026-11-22T21:00:00Z")


def test_a_session_is_open_from_its_first_instant_to_before_its_last_and_changes_are_told() -> None:
    calendars = Calendars({"V": [(0, 10), (20, 30), (30, 40), (50, 60)]})
    assert [calendars.is_open("V", instant) for instant in (9, 10, 19, 20, 30, 39, 40, 49, 50)] == [
        True, False, False, True, True, True, False, False, True,
    ]  # fmt: skip
    assert calendars.changes_at("V", 10) == (10, 20)
    assert calendars.changes_at("V", 35) == (20, 40)  # one session follows on the other
    assert (calendars.covers("V"), calendars.known_until_ns) == (True, 50)


def test_beyond_what_is_known_a_venue_is_open_so_that_silence_is_shown() -> None:
    calendars = Calendars({"V": [(0, 10), (20, 30), (50, 60)]})
    assert calendars.is_open("V", 70)
    assert calendars.changes_at("V", 70) == (50, EVER)
    assert calendars.changes_at("V", -5) == (-EVER, 10)


def test_a_venue_without_a_calendar_is_always_open() -> None:
    for sessions in (Calendars({"V": [(0, 10), (20, 30)]}), AroundTheClock(), load({}, NOW)):
        assert sessions.is_open("W", 15)
        assert sessions.changes_at("W", 15) == (-EVER, EVER)
        assert not sessions.covers("W")


def test_a_market_of_several_venues_is_open_as_long_as_one_of_them_is() -> None:
    markets = Markets(Calendars({"A": [(-9, -5), (0, 10), (30, 40)], "B": [(-9, -5), (8, 20), (30, 40)]}))
    both = markets.union(markets.of("A"), markets.of("B"))
    seen = []
    for instant in (5, 15, 25, 30):
        markets.refresh(instant)
        seen.append((bool(markets.open[both]), int(markets.opened[both])))
    assert seen == [(True, 0), (True, 0), (False, 20), (True, 30)]
    assert markets.union(both, markets.of("elsewhere")) == 0
    assert markets.venues(both) == ["A", "B"]


def test_new_york_has_its_holiday_its_early_close_and_its_hours_on_both_days_of_daylight_saving() -> None:
    pytest.importorskip("exchange_calendars", reason="exchange-calendars is not installed")
    calendars = load({"NYSE": "XNYS", "HK": "XHKG", "CRYPTO": "24/7"}, NOW)
    when = {
        "2026-11-23T14:29:59.999999999Z": False,
        "2026-11-23T14:30:00Z": True,
        "2026-11-26T15:00:00Z": False,  # Thanksgiving
        "2026-11-27T17:59:59Z": True,
        "2026-11-27T18:00:00Z": False,  # closes at 13:00
        "2027-03-12T14:29:00Z": False,
        "2027-03-15T13:30:00Z": True,  # summer time
    }
    assert {at: calendars.is_open("NYSE", parse_time(at)) for at in when} == when
    assert not calendars.is_open("HK", parse_time("2026-11-23T04:30:00Z"))  # lunch
    assert not calendars.covers("CRYPTO")
    since, until = calendars.changes_at("NYSE", NOW)
    assert [format_time(since)[:16], format_time(until)[:16]] == ["2026-11-20T21:00", "2026-11-23T14:30"]


def test_every_calendar_that_cannot_be_had_is_named() -> None:
    pytest.importorskip("exchange_calendars", reason="exchange-calendars is not installed")
    with pytest.raises(InvalidInput, match=r"A: expected a calendar.*received 'NOPE'.*B: .*received 'ZZZ'"):
        load({"A": "NOPE", "B": "ZZZ"}, NOW)
