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
def _run(pairs: Array, begin: int, end: int) -> int:
    """Where the pairs from `begin` on are not in order any more."""
    at = begin + 1
    while at < end and pairs[at, 0] >= pairs[at - 1, 0]:
        at += 1
    return at


@part
def _merge(pairs: Array, begin: int, middle: int, end: int, to: Array) -> None:
    """Two runs that follow each other become one."""
    one, other = begin, middle
    for at in range(begin, end):
        if other == end or (one < middle and pairs[one, 0] <= pairs[other, 0]):
            to[at, 0], to[at, 1] = pairs[one, 0], pairs[one, 1]
            one += 1
        else:
            to[at, 0], to[at, 1] = pairs[other, 0], pairs[other, 1]
            other += 1


@part
def sort_pairs(pairs: Array, spare: Array, begin: int, end: int) -> None:
    """By the first number of each, by merging the runs that are there, so that what is nearly in order costs little and
    no order more than n log n: natural merge sort (Knuth, 5.2.4). `spare` is as large as `pairs`."""
    source, target = pairs, spare
    is_apart = False  # whether what is sorted so far is in `spare`
    while _run(source, begin, end) < end:
        at = begin
        while at < end:
            middle = _run(source, at, end)
            stop = _run(source, middle, end) if middle < end else end
            _merge(source, at, middle, stop, target)
            at = stop
        source, target = target, source
        is_apart = not is_apart
    if is_apart:
        for at in range(begin, end):
            pairs[at, 0], pairs[at, 1] = spare[at, 0], spare[at, 1]


@part
def add_up(pairs: Array, spare: Array, begin: int, end: int) -> int:
    """Counts by key in any order: in order, each key once; where they end then."""
    sort_pairs(pairs, spare, begin, end)
    to = begin
    for number in range(begin + 1, end):
        if pairs[number, 0] == pairs[to, 0]:
            pairs[to, 1] += pairs[number, 1]
        else:
            to += 1
            pairs[to, 0], pairs[to, 1] = pairs[number, 0], pairs[number, 1]
    return to + 1
