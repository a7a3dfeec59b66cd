"""The cards of the overview."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from tests.ui.rows import AT, LIVE, ZONE, row, view
from ui import asks
from ui.board import View
from ui.cards import HEIGHT, WIDTH, Card, cards, signed, spark
from ui.filters import Filters
from ui.history import History, Sample


def sample(at: float, **given: Any) -> Sample:
    values: dict[str, Any] = {"trades": 1000, "today": 1000, "notional": {"USDT": Decimal(500)}, "rate": 10.0}
    values |= {"p50": 0.001, "p99": 0.01, "p99_minute": 0.01, "backlog": 0}
    return Sample(at=at, **(values | given))


def shown(of: View, *samples: Sample) -> dict[str, Card]:
    history = History()
    for one in samples:
        history.add(one)
    return {card.name: card for card in cards(of, history, Filters(), now=AT, zone=ZONE)}


TOTALS = {"trades": 1234, "quantity": "5", "notional": {"USDT": "1927.503"}}


def test_every_card_says_as_of_which_trade_it_is_true() -> None:
    found = shown(view({"BTC-USDT": row()}, totals=TOTALS))
    assert list(found) == ["rate", "trades", "notional", "latency", "backlog"]
    assert {card.seq for card in found.values()} == {7}
    assert {name: card.value for name, card in found.items()} == {
        "rate": "123.4",
        "trades": "1,234",
        "notional": "1,927.50 USDT",
        "latency": "12.3 ms",
        "backlog": "0",
    }


def test_what_was_not_sent_again_because_it_has_not_changed_stands_as_of_what_was() -> None:
    of = view({}, totals=TOTALS)
    parts = dict(of.parts) | {asks.rate(Filters()): replace(of.part(asks.rate(Filters())), seq=9)}
    assert {card.seq for card in shown(replace(of, parts=parts)).values()} == {9}


def test_a_card_says_what_changed_in_the_last_minute() -> None:
    found = shown(
        view({"BTC-USDT": row()}, totals=TOTALS), sample(AT - 61), sample(AT - 60, p99_minute=0.0023), sample(AT)
    )
    assert found["rate"].change == "▲ +113.4"
    assert found["trades"].change == "▲ +234"
    assert found["notional"].change == "▲ +1,427.50"
    assert (found["latency"].change, found["latency"].tone) == ("▲ +10 ms", "worse")
    assert (found["backlog"].change, found["backlog"].tone) == ("± 0", "")


def test_without_a_minute_of_history_no_change_is_claimed() -> None:
    found = shown(view({}, totals=TOTALS), sample(AT - 300), sample(AT - 5), sample(AT))
    assert {card.change for card in found.values()} == {""}


def test_a_day_that_began_since_is_no_fall() -> None:
    found = shown(view({}, totals=TOTALS), sample(AT - 60, today=900_000))
    assert found["trades"].change == ""


def test_money_of_two_currencies_is_never_added() -> None:
    symbols = {"A": row(currency="EUR", trades=9), "B": row(currency="USD", trades=3), "C": row(currency="", trades=1)}
    notional = {"": "1", "EUR": "20", "USD": "300", "CHF": "1", "JPY": "2"}
    card = shown(view(symbols, totals={"trades": 13, "quantity": "5", "notional": notional}))["notional"]
    assert card.value == "20.00 EUR"
    assert card.detail == "300.00 USD · 1.00 · 1.00 CHF · 1 more"
    assert card.exact == "20 EUR · 300 USD · 1 · 1 CHF · 2 JPY"


def test_before_the_gateway_has_said_anything_no_figure_is_shown_as_zero() -> None:
    found = shown(view({}, status=LIVE._replace(phase="away", connection=0)))
    assert {(card.value, card.seq) for card in found.values()} == {("–", 0)}


def test_a_change_has_an_arrow_and_a_sign_besides_its_colour() -> None:
    assert [signed(change, str) for change in (None, 0.0, 2.5, -2.5)] == ["", "± 0", "▲ +2.5", "▼ −2.5"]


def test_a_sparkline_goes_from_edge_to_edge_and_leaves_out_what_is_not_known() -> None:
    assert spark([None, 5.0, None]) == ""
    path = spark([0.0, None, 10.0, 5.0])
    assert path == f"M0.0 {HEIGHT - 2:.1f}M66.7 2.0L{WIDTH:.1f} {HEIGHT / 2:.1f}"
    assert spark([3.0, 3.0]) == f"M0.0 {HEIGHT / 2:.1f}L{WIDTH:.1f} {HEIGHT / 2:.1f}"
