"""The n-th smallest of a few hundred numbers, without sorting them: by bisection between the least and the largest, in
passes that look at many numbers at once. Of 512 floats that takes some twelve passes of 15 ns.

Floats are compared by their bits, as whole numbers: those of positive floats ascend as the floats do, those of negative
ones the other way round, unless all but the sign are turned over.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled.compiler import part
from telemetry.frame import Array

_LEAST, _LARGEST = np.int32(-0x80000000), np.int32(0x7FFFFFFF)


@part
def turned(bits: np.int32) -> np.int32:
    """The bits of a float as a number that ascends as floats do; of such a number the bits."""
    return np.int32(bits ^ ((bits >> np.int32(31)) & _LARGEST))


@part
def nth_smallest(keys: Array, size: int, which: int) -> np.int32:
    """Of the first `size` keys, at least one, the one that `which` others go before.

    It is from `low` to `high`; `before` keys are below, and `until` are not above. Where a pass takes none away, or few
    are left, the bounds become keys themselves: so of many that are equal it does not take more passes than of a few.
    """
    low, high, before, until = _least_from(keys, size, _LEAST), _largest_to(keys, size, _LARGEST), 0, size
    while low < high:
        left, middle = until - before, (np.int64(low) + np.int64(high)) >> 1
        count = _at_most(keys, size, np.int32(middle))
        if count > which:
            high, until = np.int32(middle), count
        else:
            low, before = np.int32(middle + 1), count
        if until - before in (1, left):
            low, high = _least_from(keys, size, low), _largest_to(keys, size, high)
    return low


@part
def _at_most(keys: Array, size: int, bound: np.int32) -> int:
    count = np.int32(0)  # as wide as the keys: twice as many at once
    for place in range(size):
        count = np.int32(count + np.int32(keys[place] <= bound))
    return np.int64(count)  # type: ignore[return-value]  # numba's integers are one type


@part
def _least_from(keys: Array, size: int, bound: np.int32) -> np.int32:
    least = _LARGEST
    for place in range(size):
        key = keys[place]
        least = min(least, key if key >= bound else _LARGEST)
    return least


@part
def _largest_to(keys: Array, size: int, bound: np.int32) -> np.int32:
    largest = _LEAST
    for place in range(size):
        key = keys[place]
        largest = max(largest, key if key <= bound else _LEAST)
    return largest
