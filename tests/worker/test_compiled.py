"""Compiled analysis: the bytes of the plain loop, or left to others, whatever the order, sizes and times are."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.columns import from_trades
from telemetry.decode_compiled import available
from telemetry.partial import encode_partial
from telemetry.trade import Trade
from tests.worker.test_analysis import NOW, any_size, some_trade, trades
from worker.analysis import analyse
from worker.compiled import CompiledAnalysis

pytestmark = pytest.mark.skipif(not available(), reason="nothing can be compiled here")
SECOND = 1_000_000_000
positive = st.tuples(st.integers(0, 10**9), st.integers(0, 6))
huge = st.tuples(st.integers(10**15, 10**18 - 1), st.integers(0, 1))


@pytest.fixture(scope="module")
def quick() -> CompiledAnalysis:
    return CompiledAnalysis()


def same(quick: CompiledAnalysis, some: list[Trade], first: int) -> bool:
    """Whether the compiled analysis took these trades; it must give the same bytes then."""
    columns = from_trades(some)
    for basic in (True, False):
        found = quick(columns, first, basic=basic)
        if found is None:
            return False
        assert encode_partial(found) == encode_partial(analyse([columns], first, basic=basic))
    return True


@settings(max_examples=300, deadline=None)
@given(trades(positive, positive), st.integers(1, 10**9))
def test_it_gives_the_bytes_of_the_plain_loop(quick: CompiledAnalysis, some: list[Trade], first: int) -> None:
    assert same(quick, some, first)


@settings(max_examples=300, deadline=None)
@given(st.one_of(trades(any_size, any_size), trades(huge, huge)), st.integers(1, 10**9))
def test_values_of_any_legal_size_are_exact_or_left_to_others(
    quick: CompiledAnalysis, some: list[Trade], first: int
) -> None:
    taken = same(quick, some, first)
    assert not (taken and min(one.price for one in some) < 0)


@pytest.mark.parametrize("seed", range(60))
def test_ranges_of_many_trades_in_any_order_give_the_bytes_of_the_reference(quick: CompiledAnalysis, seed: int) -> None:
    rng = random.Random(seed)
    spread, symbols = rng.choice((10**3, 10**8, 10**11, 10**14)), rng.choice((1, 5, 200))
    some, now = [], NOW
    for _ in range(rng.choice((10, 300, 3000))):
        now += rng.randrange(spread // 300 + 1)
        at = now - rng.choice((0, 0, 0, rng.randrange(spread)))
        price, size = (rng.randrange(1, 10**6), rng.randrange(4)), (rng.randrange(1, 10**6), rng.randrange(4))
        one = some_trade(f"S{rng.randrange(symbols)}", "fill", rng.randrange(3), price, size, at)
        some.append(one._replace(received_at=at - rng.choice((0, 0, SECOND, 10 * SECOND))))
    assert same(quick, some, 1 + rng.randrange(10**6))


@pytest.mark.parametrize("seed", range(30))
def test_trades_of_senders_that_take_turns_are_read_in_the_order_of_the_journal(
    quick: CompiledAnalysis, seed: int
) -> None:
    rng = random.Random(seed)
    some = [
        some_trade(f"S{rng.randrange(5)}", "fill", rng.randrange(3), (rng.randrange(1, 10**6), 2), (7, 1), at + number)
        for at in (NOW + turn * 3 * SECOND for turn in rng.sample(range(12), 12))
        for number in range(rng.choice((50, 400)))
    ]
    columns, scales = from_trades(some), np.zeros((2, 5), np.int64)
    assert quick.in_order(columns, 1, scales, basic=False) is not None
    assert same(quick, some, 1)


@pytest.mark.parametrize("spread", [10**5, 10**10, 10**13])
def test_in_order_or_in_any_order_it_is_the_same(quick: CompiledAnalysis, spread: int) -> None:
    rng = random.Random(spread)
    times = (NOW + number * spread + rng.randrange(2) * rng.randrange(3 * spread) for number in range(400))
    some = [some_trade("S", "fill", 1, (rng.randrange(1, 10**6), 2), (rng.randrange(1, 99), 1), at) for at in times]
    columns, found = from_trades(some), []
    for way in (quick.in_order, quick.in_any_order):
        scales = np.zeros((2, 1), np.int64)
        found.append((scales.tolist(), way(columns, 1, scales, basic=False)))
    (scales_in_order, in_order), (scales_in_any, in_any_order) = found
    assert in_any_order is not None
    assert in_any_order.patterns is not None
    if in_order is None:  # a row for nearly every trade
        assert spread == 10**13
        return
    assert in_order.patterns is not None
    assert scales_in_order == scales_in_any
    assert in_order.newest == in_any_order.newest
    arrays = [(one.rows, *one.patterns.arrays()) for one in (in_order, in_any_order) if one.patterns is not None]
    assert [array.tolist() for array in arrays[0]] == [array.tolist() for array in arrays[1]]


@pytest.mark.parametrize("seed", range(20))
def test_among_trades_of_nearly_the_same_size_the_largest_are_those_of_the_reference(
    quick: CompiledAnalysis, seed: int
) -> None:
    rng = random.Random(seed)
    sizes = [(10**16 + rng.randrange(3) * 10 ** rng.randrange(8), rng.randrange(10, 12)) for _ in range(60)]
    prices = [(10**9 + rng.randrange(3) * 10 ** rng.randrange(4), rng.randrange(4, 6)) for _ in range(60)]
    many = [some_trade("S", "fill", 1, rng.choice(prices), rng.choice(sizes), NOW + number) for number in range(2000)]
    assert same(quick, many, 1)


def test_a_value_that_does_not_fit_a_row_is_left_to_others(quick: CompiledAnalysis) -> None:
    fits, longer = (10**18 - 1, 0), (1, 2)
    assert same(quick, [some_trade("A", "fill", 1, fits, (1, 0), NOW)] * 10, 1)
    assert not same(quick, [some_trade("A", "fill", 1, price, (1, 0), NOW) for price in (fits, longer)] * 5, 1)
    assert not same(quick, [some_trade("A", "fill", 1, (-1, 0), (1, 0), NOW)] * 10, 1)


@pytest.mark.parametrize("furthest", [2**63 - 1, 9_200_000_000_000_000_000])
def test_times_at_both_ends_of_time_are_left_to_others(quick: CompiledAnalysis, furthest: int) -> None:
    for times in ([furthest] * 10, [-furthest] * 10, [furthest, -furthest] * 6):
        assert not same(quick, [some_trade("A", "fill", 1, (1, 0), (1, 0), at) for at in times], 7)
    inside = 9_200_000_000_000_000_000 - 1
    for times in ([inside] * 10, [-inside] * 10, [inside, -inside] * 6):
        assert same(quick, [some_trade("A", "fill", 1, (1, 0), (1, 0), at) for at in times], 7)
