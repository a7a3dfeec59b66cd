"""Compiled analysis: the bytes of the plain loop, or left to others, whatever the order, sizes and times are."""

from __future__ import annotations

import random

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
