"""The profile by the minute of the day."""

from __future__ import annotations

from typing import Any

from ui.profile import MINUTES, profile_chart, words

PROFILE: dict[str, Any] = {
    "zone": "America/New_York",
    "days": 4,
    "minutes": [
        {"minute": "00:00", "trades": 2, "quantity": "1", "days": 1},
        {"minute": "23:59", "trades": 10, "quantity": "0.5", "days": 4},
    ],
}


def test_each_minute_is_the_mean_of_all_days_with_trades_and_one_without_any_counts_as_none() -> None:
    option = profile_chart(PROFILE)
    trades, quantity = (series["data"] for series in option["series"])
    assert len(trades) == len(quantity) == len(option["xAxis"]["data"]) == MINUTES
    assert (trades[0], trades[1], trades[-1]) == (0.5, 0.0, 2.5)
    assert (quantity[0], quantity[-1]) == (0.25, 0.125)


def test_it_says_whose_clock_and_how_many_days() -> None:
    assert words(PROFILE) == "By the minute of the day, America/New_York, mean of 4 days with trades"
    assert words({"days": 1}) == "By the minute of the day, UTC, mean of 1 day with trades"


def test_no_trades_are_a_chart_too() -> None:
    assert set(profile_chart({"days": 0, "minutes": []})["series"][0]["data"]) == {0.0}
