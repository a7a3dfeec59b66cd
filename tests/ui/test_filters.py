"""Filters, as an address has them."""

from __future__ import annotations

from tests.ui.rows import LIVE, ZONE
from ui import asks
from ui.board import ALL, Part, View
from ui.filters import Filters, read


def test_an_address_says_what_is_chosen_and_what_is_no_kind_is_left_out() -> None:
    given = {"venue": ["X", "Y", "X", ""], "kind": ["fill", "market"], "other": ["1"]}
    assert read(given) == Filters(venue=("X", "Y"), kind=("fill",))
    assert read({}) == Filters()
    assert Filters(venue=("X", "Y"), kind=("fill",)).words == "venue X, Y · kind fill"


def test_venue_and_kind_choose_figures_account_and_strategy_do_not() -> None:
    found = asks.chosen(ALL, Filters(("X",), ("desk-1",), ("mm-1",), ("print",)))
    assert (found.venues, found.kinds) == (("X",), ("print",))
    assert found.command("a") == {
        "id": "a", "topic": "stats", "symbols": ["*"], "window": "all", "venues": ["X"], "kinds": ["print"],
        "interval_ms": 500,
    }  # fmt: skip


def test_today_is_the_day_of_the_desk_also_when_its_clocks_change() -> None:
    ask = asks.today(Filters(), 1_793_574_000.0, ZONE)  # 2026-11-02 in Zurich, after the change of October
    assert (ask.start, ask.end) == ("2026-11-02T00:00:00+01:00", "2026-11-03T00:00:00+01:00")
    ask = asks.today(Filters(), 1_792_886_400.0, ZONE)  # 2026-10-25 02:00 in Zurich, a day of 25 hours
    assert (ask.start, ask.end) == ("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00")


def test_venues_and_strategies_to_choose_from_are_those_that_the_gateway_watches() -> None:
    names = (("venue", "Y"), ("venue", "X"), ("strategy", "mm-1"), ("symbol", "A"))
    rows = {f"{kind} {name}": {"kind": kind, "name": name, "state": "fresh"} for kind, name in names}
    view = View(LIVE, 7, {asks.STREAMS: Part(rows, {}, 7, True)})
    assert asks.known(view) == {"venue": ["X", "Y"], "strategy": ["mm-1"]}
