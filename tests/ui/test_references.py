"""Prices of a day ago: asked once for all, one by one only where that did not help, and never for a young symbol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telemetry.errors import InvalidInput
from tests.ui.rows import row
from ui.references import ONE_BY_ONE, day_ago, older_than

AT = "2026-11-21T13:00:00.000000000Z"
OLD = row(first_timestamp="2026-11-01T00:00:00.000000000Z")


class Door:
    """A gateway whose answers the test decides."""

    def __init__(self, stats: dict[str, Any], candles: dict[str, Any]) -> None:
        self.stats, self._candles = stats, candles
        self.asked: list[str] = []

    def get(self, path: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append(path)
        return {"symbols": self.stats}

    def candles(self, symbol: str, interval: str, limit: int, **parameters: Any) -> dict[str, Any]:
        self.asked.append(symbol)
        if symbol not in self._candles:
            raise InvalidInput("held coarser")
        return {"candles": self._candles[symbol]}


def test_a_symbol_that_began_since_has_no_price_of_a_day_ago_and_nothing_is_asked() -> None:
    door = Door({}, {})
    assert older_than({"A": row(), "B": OLD, "C": row(first_timestamp=None)}, AT) == ["B"]
    assert day_ago(door, {"A": row()}, AT, {}) == {}
    assert door.asked == []


def test_one_request_answers_for_all_that_traded_the_day_before_and_candles_for_the_others() -> None:
    door = Door({"A": {"price_last": "5"}, "Z": {"price_last": None}}, {"B": [{"close": "7"}], "C": []})
    found = day_ago(door, {"A": OLD, "B": OLD, "C": OLD, "D": OLD}, AT, {})
    assert found == {"A": "5", "B": "7"}
    assert door.asked == ["/v1/stats", "B", "C", "D"]


def test_what_is_known_of_those_who_rest_is_kept_and_few_are_asked_for_at_a_time() -> None:
    door = Door({}, {})
    rows = dict.fromkeys(map(str, range(ONE_BY_ONE * 2)), OLD)
    assert day_ago(door, rows, AT, {"0": "9", "gone": "1"}) == {"0": "9"}
    assert len(door.asked) == 1 + ONE_BY_ONE
