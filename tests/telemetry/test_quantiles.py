"""Quantiles: within one per cent by nearest rank, merging is adding, and two clocks that disagree give none."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.quantiles import (
    ACCURACY,
    LARGEST,
    NOTHING,
    SHARES,
    ZERO,
    Counts,
    Sketch,
    buckets,
    code_of,
    codes_of,
    seconds,
    sum_of,
)

RANKS = (0.0, 0.5, 0.9, 0.99, 0.999, 1.0)
values = st.lists(st.integers(0, 10**13) | st.integers(0, 100) | st.integers(0, LARGEST), min_size=1, max_size=200)


def counts_of(some: list[int]) -> Counts:
    sketch = Sketch()
    for value in some:
        sketch.add(value)
    return sketch.counts()


def same(a: Counts, b: Counts) -> bool:
    return a.codes.tolist() == b.codes.tolist() and a.counts.tolist() == b.counts.tolist() and a[2:] == b[2:]


@given(values)
def test_each_quantile_is_within_one_per_cent_of_the_value_at_its_rank(some: list[int]) -> None:
    ordered = sorted(some)
    for share, found in zip(RANKS, counts_of(some).quantiles(RANKS), strict=True):
        exact = ordered[max(1, math.ceil(share * len(some))) - 1]
        assert found is not None
        assert abs(found - exact) <= ACCURACY * exact * (1 + 1e-9)


@pytest.mark.parametrize("count", [1, 2, 9, 10, 100, 101, 999, 1000, 1001])
def test_ranks_are_the_nearest_and_not_one_beside_it(count: int) -> None:
    """Each value is more than 3 % above the one before: a rank beside the right one is outside the bound."""
    some = [round(1000 * 1.03**number) for number in range(count)]
    for share, found in zip(SHARES.values(), counts_of(some).quantiles(SHARES.values()), strict=True):
        exact = some[math.ceil(Fraction(str(share)) * count) - 1]
        assert found == pytest.approx(exact, rel=ACCURACY * (1 + 1e-9)), share


def test_the_buckets_are_those_of_the_rule_and_both_ways_to_them_agree() -> None:
    gamma = Fraction(101, 99)
    found = buckets()
    assert found.bounds == sorted(set(found.bounds))
    assert found.bounds[-1] == LARGEST
    near = sorted({value for bound in found.bounds for value in (bound - 1, bound, bound + 1) if 0 <= value <= LARGEST})
    assert codes_of(np.array(near, np.uint64)).tolist() == [code_of(value) for value in near]
    for value in (1, 2, 3, 99, 100, 12345, 10**9 - 1, 10**9, 10**15):
        index = 0
        while gamma**index < value:
            index += 1
        middle = float(2 * gamma**index / (gamma + 1))
        assert found.middles[code_of(value)] == pytest.approx(middle, rel=1e-12)
    assert (code_of(-1), code_of(0)) == (0, ZERO)


@given(values, values)
def test_the_counts_of_a_whole_are_the_sum_of_the_counts_of_its_parts(some: list[int], more: list[int]) -> None:
    whole, parts = counts_of(some + more), [counts_of(some), counts_of(more), NOTHING]
    assert same(sum_of(parts), whole)
    assert same(sum_of(parts[::-1]), whole)
    assert sum_of(parts).quantiles(RANKS) == whole.quantiles(RANKS)


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3), max_size=50), values)
def test_counting_all_at_once_is_counting_one_by_one(some: list[int], before: list[int]) -> None:
    one_by_one, at_once = Sketch(), Sketch()
    for value in before + some:
        one_by_one.add(value)
    for value in before:
        at_once.add(value)
    at_once.add_all(np.array(some, np.int64))
    assert same(at_once.counts(), one_by_one.counts())


def test_count_sum_and_maximum_are_exact_and_no_quantile_is_above_the_maximum() -> None:
    counts = counts_of([7] * 1000 + [1_000_003])
    assert (int(counts.counts.sum()), counts.total, counts.maximum) == (1001, 7 * 1000 + 1_000_003, 1_000_003)
    assert all(value is not None and value <= 1_000_003 for value in counts.quantiles(RANKS))


def test_one_negative_in_a_thousand_is_counted_apart_and_is_in_no_quantile() -> None:
    row = seconds(counts_of([-(10**9)] + [10**9] * 999))
    assert (row["count"], row["negative"], row["reason"], row["mean"], row["max"]) == (999, 1, None, 1.0, 1.0)
    assert [row[name] for name in SHARES] == [1.0] * 4


def test_more_negatives_than_that_leave_no_quantile_and_say_that_it_is_the_clock() -> None:
    row = seconds(counts_of([-1] * 2 + [10**9] * 998))
    assert (row["count"], row["negative"], row["reason"], row["max"]) == (998, 2, "clock", 1.0)
    assert [row[name] for name in ("mean", *SHARES)] == [None] * 5
    row = seconds(counts_of([-1]))
    assert (row["count"], row["negative"], row["reason"], row["max"]) == (0, 1, "clock", None)


def test_nothing_counted_is_null_without_a_reason() -> None:
    row = seconds(NOTHING)
    assert (row["count"], row["negative"], row["reason"]) == (0, 0, None)
    assert [row[name] for name in ("mean", "max", *SHARES)] == [None] * 6
