"""The offset of two clocks: within the error, whatever the way there and back took."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from telemetry.offset import Exchange, best

nanoseconds = st.integers(0, 10**10)
NOW = 1_700_000_000_000_000_000


def exchange(ahead: int, there: int, work: int, back: int) -> Exchange:
    """What is seen when their clock is so far ahead and the ways take so long, in ns."""
    received = NOW + there + ahead
    return Exchange(NOW, received, received + work, NOW + there + work + back)


@given(st.integers(-(10**12), 10**12), nanoseconds, nanoseconds, nanoseconds)
def test_the_truth_is_within_the_error_however_the_delay_is_divided(
    ahead: int, there: int, work: int, back: int
) -> None:
    seen = exchange(ahead, there, work, back)
    assert seen.delay == (there + back) / 1e9
    assert abs(seen.offset - ahead / 1e9) <= seen.error + 1e-12


def test_equal_ways_give_the_offset_itself_and_a_clock_ahead_is_above_zero() -> None:
    seen = exchange(5 * 10**9, 3 * 10**6, 10**6, 3 * 10**6)
    assert (seen.offset, seen.error) == (5.0, 0.003)


def test_the_least_delay_is_the_best_and_an_exchange_in_which_a_clock_was_set_is_none() -> None:
    some = [exchange(0, 5, 1, 90), exchange(0, 20, 100, 20), exchange(0, 50, 1, 1)]
    assert best(some) is some[1]
    broken = Exchange(NOW, NOW, NOW + 10, NOW + 5)
    assert best([broken]) is None
    assert best([broken, some[0]]) is some[0]
