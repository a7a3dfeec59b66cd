"""Quantiles: within one per cent, and merging is adding."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from telemetry.quantiles import ACCURACY, Sketch, sum_of

SHARES = (0.0, 0.5, 0.9, 0.99, 0.999, 1.0)
values = st.lists(st.integers(0, 10**13) | st.integers(0, 100), min_size=1, max_size=200)


def sketch_of(some: list[int]) -> Sketch:
    sketch = Sketch()
    for value in some:
        sketch.add(value)
    return sketch


@given(values)
def test_each_quantile_is_within_one_per_cent_of_the_value_at_its_rank(some: list[int]) -> None:
    ordered = sorted(some)
    for share, found in zip(SHARES, sketch_of(some).quantiles(SHARES), strict=True):
        exact = ordered[max(1, math.ceil(share * len(some))) - 1]
        assert found is not None
        assert abs(found - exact) <= ACCURACY * exact * (1 + 1e-9)


@given(values, values)
def test_the_sketch_of_a_whole_is_the_sum_of_the_sketches_of_its_parts(some: list[int], more: list[int]) -> None:
    whole, parts = sketch_of(some + more), sum_of([sketch_of(some), sketch_of(more), Sketch()])
    assert parts.counts == whole.counts
    assert (parts.count, parts.total, parts.maximum, parts.negative) == (
        whole.count, whole.total, whole.maximum, whole.negative,
    )  # fmt: skip
    assert parts.quantiles(SHARES) == whole.quantiles(SHARES)


def test_count_sum_and_maximum_are_exact_and_no_quantile_is_above_the_maximum() -> None:
    sketch = Sketch()
    sketch.add(7, 1000)
    sketch.add(1_000_003)
    assert (sketch.count, sketch.total, sketch.maximum) == (1001, 7 * 1000 + 1_000_003, 1_000_003)
    assert all(value is not None and value <= 1_000_003 for value in sketch.quantiles(SHARES))


def test_negative_values_are_counted_apart_and_have_no_quantile() -> None:
    sketch = Sketch()
    sketch.add(-5, 3)
    assert (sketch.count, sketch.negative, sketch.maximum, sketch.quantiles(SHARES)) == (0, 3, None, [None] * 6)
    sketch.add(0)
    assert sketch.quantiles((0.5,)) == [0.0]
