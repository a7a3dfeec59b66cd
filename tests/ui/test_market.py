"""The table of symbols: its order, its changes, and the cells of the rows that are shown."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ui.rows import AT, row
from ui.board import Part
from ui.market import COLUMNS, ROWS_AT_MOST, Market, Order, age, cells, ordered, visible

HOSTILE = "<img src=x onerror=alert(1)>"


def market(
    symbols: dict[str, Any], *, day_ago: dict[str, str] | None = None, streams: dict[str, Any] | None = None
) -> Market:
    rows = Part(symbols, {}, 7, True)
    return Market(rows, rows, rows, Part(streams or {}, {}, 7, True), day_ago or {}, AT)


def texts(of: Market, symbol: str) -> dict[str, str]:
    return {column.name: cell.text for column, cell in zip(COLUMNS, cells(of, symbol), strict=True)}


def test_the_most_traded_come_first_and_any_column_sorts_either_way() -> None:
    of = market({"B": row(trades=5), "a": row(trades=5, price_last="7"), "C": row(trades=9, price_last="1e3")})
    assert ordered(of, Order()) == ["C", "B", "a"]
    assert ordered(of, Order(column="symbol", down=False)) == ["a", "B", "C"]
    assert ordered(of, Order(column="last", down=False)) == ["a", "C", "B"]


@pytest.mark.parametrize("down", [True, False])
def test_what_is_undefined_comes_last_either_way(down: bool) -> None:
    of = market({"A": row(vwap=None), "B": row(vwap=2.0), "C": row(vwap=1.0)})
    assert ordered(of, Order(column="vwap", down=down))[-1] == "A"


def test_changes_sort_as_they_are_shown() -> None:
    symbols = {"A": row(price_last="-36", price_open="-40"), "B": row(price_last="90", price_open="100")}
    of = market(
        symbols | {"C": row(price_last="2", price_open="0"), "D": row(price_last="5", price_open="9")},
        day_ago={"D": "4"},
    )
    assert [of.change(symbol) for symbol in ordered(of, Order(column="change"))] == [25.0, 10.0, -10.0, None]


@pytest.mark.parametrize("column", [column.name for column in COLUMNS])
def test_every_column_sorts(column: str) -> None:
    of = market({"A": row(), "B": row(imbalance=-0.5, last_timestamp=None)}, streams={"symbol A": {"state": "fresh"}})
    assert sorted(ordered(of, Order(column=column))) == ["A", "B"]


def test_the_search_reads_any_case_and_pinned_symbols_stay_on_top_whatever_it_is() -> None:
    of = market({"btc-usdt": row(trades=1), "BTC-EUR": row(trades=5), "AAPL": row(trades=5)})
    assert ordered(of, Order(find=" Btc")) == ["BTC-EUR", "btc-usdt"]
    assert ordered(of, Order(find="btc", pins=("AAPL", "GONE"))) == ["AAPL", "BTC-EUR", "btc-usdt"]


def test_a_change_is_against_the_last_price_a_day_ago_and_else_against_the_first_trade_and_says_which() -> None:
    of = market({"A": row(price_last="110", price_open="100")}, day_ago={"A": "88"})
    change = cells(of, "A")[2]
    assert (change.text, change.number) == ("▲ +25.00%", 25.0)
    assert change.exact == "Against 88, the last price 24 hours ago"
    young = cells(market({"A": row(price_last="90", price_open="100")}), "A")[2]
    assert young.text == "▼ −10.00%"
    assert young.exact == "Against 100, the first trade, 2026-11-22 12:26:12 UTC"
    assert texts(market({"A": row(price_open="0")}), "A")["change"] == "–"
    assert texts(market({"A": row(price_last="-36", price_open="-40")}), "A")["change"] == "▲ +10.00%"


def test_a_row_reads_at_a_glance_and_has_the_exact_values_with_it() -> None:
    of = market({"A": row(quantity="1240000.5")}, streams={"symbol A": {"state": "never_seen"}})
    shown = texts(of, "A")
    assert shown["volume"] == "1.24 M"
    assert cells(of, "A")[4].exact == "1240000.5"
    assert (shown["imbalance"], shown["age"], shown["state"]) == ("+50%", "47 s", "never seen")


def test_a_row_has_a_cell_for_every_column_also_when_figures_are_undefined() -> None:
    empty = dict.fromkeys(("vwap", "imbalance", "price_open", "price_high", "price_low", "price_last", "quantity"))
    of = market({"A": row(**empty, trades=0, last_timestamp=None, first_timestamp=None)})
    shown = texts(of, "A")
    assert [shown.pop("trades"), shown.pop("rate")] == ["0", "0"]
    assert set(list(shown.values())[1:]) == {"–"}


def test_a_symbol_that_is_markup_stays_text() -> None:
    assert texts(market({HOSTILE: row()}), HOSTILE)["symbol"] == HOSTILE


def test_only_rows_that_are_asked_for_are_shown_and_never_more_than_a_browser_needs() -> None:
    symbols = [str(number) for number in range(5000)]
    assert visible(symbols, 300, 40) == (300, symbols[300:340])
    assert visible(symbols, 4990, 40) == (4960, symbols[4960:])
    assert visible(symbols, -5, 10**9) == (0, symbols[:ROWS_AT_MOST])
    assert visible(symbols[:3], 300, 40) == (0, symbols[:3])


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0 s"), (59.9, "59 s"), (60, "1 min"), (7199, "1 h"), (86_399, "23 h"), (1e6, "11 d")]
)
def test_ages_are_never_rounded_up(seconds: float, shown: str) -> None:
    assert age(seconds) == shown
