"""What is presented of exact sums: definitions, nulls, currencies."""

from __future__ import annotations

import numpy as np
import pytest

from telemetry.statistics import Atom, add, atom_of, present
from telemetry.trade import Instrument

SECOND = 1_000_000_000
BTC = Instrument("X", "BTC", "print", "USD", 1, 0)


def atom(*trades: tuple[int, int, int, int]) -> Atom:
    """Trades as (side, price in cents, quantity in tenths, second)."""
    total = add(
        atom_of(side, price, 2, quantity, 1, at * SECOND, seq)
        for seq, (side, price, quantity, at) in enumerate(trades, 1)
    )
    assert total is not None
    return total


def test_mean_and_standard_deviation_are_those_of_numpy() -> None:
    quantities = [15, 25, 5, 100]
    row = present([(BTC, atom(*((1, 100, quantity, 0) for quantity in quantities)))])
    exact = np.array(quantities) / 10
    assert row["quantity_mean"] == pytest.approx(np.mean(exact), rel=1e-15)
    assert row["quantity_std"] == pytest.approx(np.std(exact), rel=1e-15)


def test_the_multiplier_counts_in_notional_and_not_in_vwap() -> None:
    future = BTC._replace(symbol="ES", multiplier=505, multiplier_scale=1)
    row = present([(future, atom((1, 10000, 20, 0), (2, 20000, 20, 1)))])
    assert (row["notional"], row["buy_notional"], row["sell_notional"]) == ("30300", "10100", "20200")
    assert row["vwap"] == 150.0


def test_money_of_two_currencies_is_never_added() -> None:
    euro = BTC._replace(currency="EUR")
    row = present([(BTC, atom((1, 100, 10, 0))), (euro, atom((1, 100, 10, 1)))])
    assert row["quantity"] == "2"
    money = [row[name] for name in ("notional", "buy_notional", "vwap", "price_last", "price_high", "currency")]
    assert money == [None] * 6


def test_what_is_undefined_is_null() -> None:
    row = present([(BTC, atom((0, 100, 10, 5)))])
    assert [row[name] for name in ("imbalance", "trades_per_second", "interarrival_mean")] == [None, None, None]


def test_rates_divide_by_the_window_or_by_the_time_between_first_and_last() -> None:
    trades = atom((1, 100, 10, 0), (1, 100, 10, 4))
    assert present([(BTC, trades)])["trades_per_second"] == 0.5
    assert present([(BTC, trades)], 10.0)["trades_per_second"] == 0.2
    assert present([(BTC, trades)])["interarrival_mean"] == 4.0


def test_negative_prices_give_negative_notional() -> None:
    row = present([(BTC, atom((2, -3763, 10, 0)))])
    assert (row["notional"], row["price_low"], row["vwap"]) == ("-37.63", "-37.63", -37.63)


def test_presenting_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one part"):
        present([])
