"""Figures as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.ui.rows import row
from ui.figures import MONEY, amount, clock, decimals_of, matching, price, rate, seconds, short

NOW = datetime(2026, 11, 22, 19, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0", "0"),
        ("1", "1"),
        ("0.47082461", "0.470825"),
        ("999.5", "999.5"),
        ("1234.5678", "1,234.57"),
        ("9999999", "9,999,999"),
        ("10000000", "10.000M"),
        ("2178926182639.49360361", "2.179T"),
        ("-36015002.38929", "-36.015M"),
        ("0.000000000000000001", "1e-18"),
        ("123456789012345678901234567890", "123,456,789,012,345,678.901T"),
    ],
)
def test_sums_are_grouped_and_shortened_for_the_eye(text: str, shown: str) -> None:
    assert amount(text).text == shown


def test_what_was_shortened_goes_along_exactly() -> None:
    assert amount("0.47082461").exact == "0.47082461"
    assert amount("10000000").exact == "10000000"
    assert amount("12.5").exact == ""


def test_money_has_two_decimals() -> None:
    assert [amount(text, MONEY).text for text in ("3", "734.037599", "1234")] == ["3.00", "734.04", "1,234.00"]


def test_prices_of_one_instrument_line_up() -> None:
    assert decimals_of(["5781.5", "5782.75", None]) == 2
    assert decimals_of(["5781", "5782"]) == 2
    assert decimals_of(["0.000000008525"]) == 12
    assert [price(text, 2).text for text in ("5781.5", "-37.63", None)] == ["5,781.50", "-37.63", "–"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0.0, "0 s"), (2.5, "2.5 s"), (0.0123, "12.3 ms"), (0.00005, "50 µs"), (1e-9, "< 1 µs")],
)
def test_durations_have_the_unit_that_reads_best(value: float | None, shown: str) -> None:
    assert seconds(value) == shown


def test_rates() -> None:
    assert [rate(trades) for trades in (0, 3, 90, 12_000)] == ["0", "0.05", "1.5", "200"]


def test_a_time_has_its_date_when_that_is_not_today() -> None:
    assert clock("2026-11-22T18:26:12.830624506Z", NOW) == "18:26:12"
    assert clock("2026-11-21T18:26:12.830624506Z", NOW) == "2026-11-21 18:26:12"
    assert clock(None, NOW) == "–"


def test_the_most_traded_symbols_come_first_and_the_filter_reads_any_case() -> None:
    rows = {"btc-usdt": row(trades=1), "BTC-EUR": row(trades=5), "AAPL": row(trades=5)}
    assert matching(rows, "") == ["AAPL", "BTC-EUR", "btc-usdt"]
    assert matching(rows, " Btc") == ["BTC-EUR", "btc-usdt"]
    assert matching(rows, "nothing") == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0", "0.00"),
        ("1240000", "1.24 M"),
        ("-36015002.38929", "-36.02 M"),
        ("2178926182639.49360361", "2.18 T"),
        ("38411.7", "38,412"),
        ("734.037599", "734.04"),
        ("0.47082461", "0.47082"),
        ("0.000000000000000001", "1e-18"),
    ],
)
def test_amounts_read_at_a_glance(value: str, shown: str) -> None:
    assert short(Decimal(value)) == shown
