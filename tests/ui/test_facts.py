"""The exact values of a symbol."""

from __future__ import annotations

from gateway.reading.figures import empty_row
from tests.ui.rows import AT, LIVE, row
from ui import facts
from ui.board import Part, View
from ui.facts import FIELDS, WINDOWS, quote
from ui.filters import Filters
from ui.market import Market


def test_every_figure_of_the_gateway_is_there_with_its_own_digits() -> None:
    values = {name: f"{number}.000000000000000001" for number, (name, _) in enumerate(FIELDS)}
    asks = facts.asks("A", Filters(venue=("X",)))
    assert [ask.window for ask in asks] == list(WINDOWS)
    assert {(ask.symbols, ask.venues) for ask in asks} == {(("A",), ("X",))}
    view = View(LIVE, 7, {asks[0]: Part({"A": values}, {}, 7, True)})
    shown = facts.facts(view, "A", Filters(venue=("X",)))
    assert [fact.values[0] for fact in shown] == list(values.values())
    assert {fact.values[1] for fact in shown} == {"–"}


def test_a_figure_that_the_page_does_not_know_by_name_is_shown_too() -> None:
    (ask, *_) = facts.asks("A", Filters())
    view = View(LIVE, 7, {ask: Part({"A": empty_row("1m") | {"new_figure": "1.5"}}, {}, 7, True)})
    shown = {fact.label: fact.values[0] for fact in facts.facts(view, "A", Filters())}
    assert shown["New figure"] == "1.5"
    assert set(empty_row("1m")) == {name for name, _ in FIELDS}


def test_the_head_says_how_the_symbol_stands_and_nothing_about_one_that_is_not_known() -> None:
    rows = Part({"A": row()}, {}, 7, True)
    market = Market(rows, rows, rows, Part({"symbol A": {"state": "silent"}}, {}, 7, True), {"A": "60000"}, AT)
    head = quote(market, "A")
    assert (head.last.text, head.change.text, head.state) == ("64,250.10", "▲ +7.08%", "silent")
    assert dict(head.facts)["Last trade"] == "47 s ago"
    assert quote(market, "B").last.text == "–"
