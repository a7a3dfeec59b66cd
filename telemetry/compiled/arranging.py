"""The trades of a range by instrument, and pairs of numbers in order: for compiled code."""

from __future__ import annotations

from telemetry.compiled.compiler import CODES, INTEGERS, entry, part
from telemetry.frame import Array

ROW_BITS = 17  # of a trade's place in its range, below what is sorted by
ROW_MASK = (1 << ROW_BITS) - 1


@entry(CODES, INTEGERS, INTEGERS)
def arrange(instrument: Array, starts: Array, order: Array) -> int:
    """The places of the trades, those of an instrument together, else in order; instrument i's begin at starts[i].
    `starts` is zeros, two more than instruments."""
    for place in range(len(instrument)):
        starts[instrument[place] + 2] += 1
    for number in range(2, len(starts)):
        starts[number] += starts[number - 1]
    for place in range(len(instrument)):  # the one before counts up to where the next begins
        number = instrument[place] + 1
        order[starts[number]] = place
        starts[number] += 1
    return len(order)


@part
def _sink(pairs: Array, begin: int, root: int, count: int) -> None:
    while 2 * root + 1 < count:
        child = 2 * root + 1
        if child + 1 < count and pairs[begin + child, 0] < pairs[begin + child + 1, 0]:
            child += 1
        if pairs[begin + root, 0] >= pairs[begin + child, 0]:
            return
        swap(pairs, begin + root, begin + child)
        root = child


@part
def swap(pairs: Array, one: int, other: int) -> None:
    """Two rows change places."""
    first, second = pairs[one, 0], pairs[one, 1]
    pairs[one, 0], pairs[one, 1] = pairs[other, 0], pairs[other, 1]
    pairs[other, 0], pairs[other, 1] = first, second


@part
def sort_pairs(pairs: Array, begin: int, end: int) -> None:
    """By the first number of each, which are no two alike: heapsort (Williams, 1964), which no order makes slow."""
    count = end - begin
    for root in range(count // 2 - 1, -1, -1):
        _sink(pairs, begin, root, count)
    for last in range(count - 1, 0, -1):
        swap(pairs, begin, begin + last)
        _sink(pairs, begin, 0, last)


@part
def add_up(pairs: Array, begin: int, end: int) -> int:
    """Counts by key in any order: in order, each key once; where they end then."""
    sort_pairs(pairs, begin, end)
    to = begin
    for number in range(begin + 1, end):
        if pairs[number, 0] == pairs[to, 0]:
            pairs[to, 1] += pairs[number, 1]
        else:
            to += 1
            pairs[to, 0], pairs[to, 1] = pairs[number, 0], pairs[number, 1]
    return to + 1
