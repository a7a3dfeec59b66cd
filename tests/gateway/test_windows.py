"""Windows: the event clock, the instant that is asked for, and borders on seconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.reading.windows import INTERVALS, WINDOWS, event_clock, instant_of, interval_of, window_of
from gateway.state.atoms import AtomTable
from telemetry.errors import InvalidInput
from telemetry.partial import Watermark
from tests.gateway.test_aggregator import NOW

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
instants = st.integers(-(2**62), 2**62)


def test_a_live_feed_ends_its_windows_now_and_they_go_on_when_it_dies() -> None:
    fresh = Watermark(timestamp=NOW - 5_000_000, received_at=NOW)
    assert event_clock(fresh, NOW) == NOW - 5_000_000
    assert event_clock(fresh, NOW + HOUR) == NOW + HOUR - 5_000_000


def test_a_replay_of_an_old_file_ends_its_windows_at_the_time_of_the_file_and_goes_on_from_there() -> None:
    old = Watermark(timestamp=NOW - 1000 * HOUR, received_at=NOW)
    assert event_clock(old, NOW) == NOW - 1000 * HOUR
    assert event_clock(old, NOW + 7 * SECOND) == NOW - 1000 * HOUR + 7 * SECOND


@given(instants, instants, instants)
def test_the_event_clock_is_never_beyond_now(timestamp: int, received_at: int, now: int) -> None:
    assert event_clock(Watermark(timestamp, received_at), now) <= now


def test_the_event_clock_stands_when_the_wall_clock_was_set_back() -> None:
    assert event_clock(Watermark(NOW - HOUR, NOW), NOW - 60 * SECOND) == NOW - HOUR
    assert event_clock(None, NOW) == NOW


def test_at_takes_an_instant_the_watermark_or_nothing() -> None:
    mark = Watermark(NOW - HOUR, NOW)
    assert instant_of(None, mark, NOW + SECOND) == NOW - HOUR + SECOND
    assert instant_of("watermark", mark, NOW + SECOND) == NOW - HOUR
    assert instant_of("watermark", None, NOW) == NOW
    assert instant_of(str(NOW - 1), mark, NOW) == NOW - 1
    assert instant_of("2023-11-14T22:13:20.000000001Z", mark, NOW) == NOW + 1
    assert instant_of("2023-11-14T23:13:20+01:00", mark, NOW) == NOW


@pytest.mark.parametrize(
    "at",
    ["", "now", "5", "1700000000", "-1", "²", "9" * 5000, "2023-11-14", "2023-11-14T22:13:20", "Watermark", "1e18"],
)
def test_another_at_is_refused(at: str) -> None:
    with pytest.raises(InvalidInput, match="^at: expected") as caught:
        instant_of(at, None, NOW)
    assert caught.value.status == 422


@given(st.sampled_from([name for name in WINDOWS if name != "all"]), instants)
def test_a_window_ends_with_the_second_or_minute_that_holds_the_instant(name: str, instant: int) -> None:
    window = window_of(name, instant, AtomTable(1000))
    assert window is not None
    unit = 60 if name == "1d" else 1
    assert window.end - window.start == WINDOWS[name]
    assert window.end % unit == 0
    assert (window.end - unit) * SECOND <= instant < window.end * SECOND


@given(st.sampled_from([name for name in WINDOWS if name != "all"]), st.integers(0, 10**6), st.integers(0, 200))
def test_borders_of_a_window_never_cut_an_atom(name: str, minute: int, hour: int) -> None:
    atoms = AtomTable(1000)
    atoms.frontier = [hour * 3600 + minute % 600 * 60, hour * 3600, 0]
    window = window_of(name, (hour * 3600 + minute) * SECOND, atoms)
    assert window is not None
    for border in (window.start, window.end):
        inside = border - 1 if border == window.end else border
        length = 1 if inside >= atoms.frontier[0] else 60 if inside >= atoms.frontier[1] else 3600
        assert border % length == 0
    assert window.start <= hour * 3600 + minute - WINDOWS[name] + 60  # type: ignore[operator]
    assert window.end > hour * 3600 + minute


def test_all_is_no_window_and_other_names_are_refused() -> None:
    assert window_of("all", NOW, AtomTable(1000)) is None
    for name in ("2m", "", "1M", "all "):
        with pytest.raises(InvalidInput, match="^window: expected one of 10s 1m 5m 1h 1d all"):
            window_of(name, NOW, AtomTable(1000))


def test_a_candle_may_be_as_long_as_divides_a_day_and_nothing_else() -> None:
    assert [interval_of(name) for name in INTERVALS] == [1, 5, 10, 30, 60, 300, 900, 1800, 3600, 14400, 86400]
    given = {"2m": 120, "10m": 600, "90s": 90, "45m": 2700, "2h": 7200, "86400s": 86400, "1440m": 86400, "24h": 86400}
    assert {name: interval_of(name) for name in given} == given
    for name in (
        "7m",
        "0s",
        "-1m",
        "1",
        "m",
        "1M",
        "01m",
        "1.5h",
        "5h",
        "2d",
        "1w",
        "86401s",
        "1m ",
        " 1m",
        "",
        "9" * 99,
    ):
        with pytest.raises(InvalidInput, match="^interval: expected a length that divides a day, such as 1s 5s"):
            interval_of(name)
