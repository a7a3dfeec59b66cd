"""Atoms as rows of an int64 matrix: the same exact numbers as :class:`telemetry.statistics.Atom`, vectorised.

A row has WIDTH int64 columns. Sums that may pass 64 bits are split into lanes of 32 bits held in int64 columns,
the lowest first: value = sum(lane[i] * 2**(32 * i)), every lane but the last in [0, 2**32), the last one signed.
Adding is lane by lane, :func:`carry` brings the lanes back into range; so a merge of matrices is exact and needs no
Python object per number. Capacity: aligned prices and quantities below LIMIT = 2**60, hence products below 2**120;
two lanes (95 bits) hold 2**35 such quantities, four lanes (159 bits) 2**39 such products. What does not fit stays
an Atom ("wide").

     0  INSTRUMENT  1  LEVEL   2  START       key: instrument, index into LEVELS, start in seconds since 1970
     3  TRADES      by side (unknown, buy, sell)
     6  QUANTITY    by side, 2 lanes each
    12  NOTIONAL    by side, 4 lanes each: price * quantity
    24  SQUARES     4 lanes: quantity * quantity
    28  QUANTITY_MIN  29  QUANTITY_MAX  30  PRICE_MIN  31  PRICE_MAX
    32  OPEN        timestamp, seq, price      35  LAST  timestamp, seq, price
    38  REVISION    largest seq
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from telemetry.statistics import Atom, Extreme

Rows = NDArray[np.int64]
Index = NDArray[np.int64]

INSTRUMENT, LEVEL, START = 0, 1, 2
TRADES, QUANTITY, NOTIONAL, SQUARES = 3, 6, 12, 24
QUANTITY_MIN, QUANTITY_MAX, PRICE_MIN, PRICE_MAX = 28, 29, 30, 31
OPEN, LAST, REVISION, WIDTH = 32, 35, 38, 39
QUANTITY_LANES, WIDE_LANES = 2, 4
LANE_BITS: Final = 32
MASK: Final = (1 << LANE_BITS) - 1
LIMIT: Final = 1 << 60

# (first column, lanes) of every sum that is split into lanes.
LANED: Final = [(QUANTITY + 2 * side, QUANTITY_LANES) for side in range(3)] + [
    (NOTIONAL + 4 * side, WIDE_LANES)
    for side in range(4)  # the fourth is SQUARES, which follows
]
_POWERS: Final = 10 ** np.arange(19, dtype=np.int64)
_CEILING: Final = (LIMIT + _POWERS - 1) // _POWERS  # the smallest number that 10^digits takes to LIMIT or more
_QUANTITY_COLUMNS: Final = (QUANTITY_MIN, QUANTITY_MAX)
_PRICE_COLUMNS: Final = (PRICE_MIN, PRICE_MAX, OPEN + 2, LAST + 2)


def carry(rows: Rows) -> None:
    """Bring all lanes back into range, in place. Values do not change."""
    for first, stop, lanes in ((QUANTITY, NOTIONAL, QUANTITY_LANES), (NOTIONAL, QUANTITY_MIN, WIDE_LANES)):
        for lane in range(first, first + lanes - 1):
            low = rows[:, lane:stop:lanes]
            rows[:, lane + 1 : stop : lanes] += low >> LANE_BITS
            low &= MASK


def merge(a: Rows, b: Rows) -> Rows:
    """Row by row, the atoms of both; keys are taken from `a`. Both must be at the same scales."""
    out = a + b
    out[:, :TRADES] = a[:, :TRADES]
    carry(out)
    for column in (QUANTITY_MIN, PRICE_MIN):
        np.minimum(a[:, column], b[:, column], out=out[:, column])
    for column in (QUANTITY_MAX, PRICE_MAX, REVISION):
        np.maximum(a[:, column], b[:, column], out=out[:, column])
    earlier = _before(b[:, OPEN : OPEN + 3], a[:, OPEN : OPEN + 3])
    out[:, OPEN : OPEN + 3] = np.where(earlier[:, None], b[:, OPEN : OPEN + 3], a[:, OPEN : OPEN + 3])
    later = _before(a[:, LAST : LAST + 3], b[:, LAST : LAST + 3])
    out[:, LAST : LAST + 3] = np.where(later[:, None], b[:, LAST : LAST + 3], a[:, LAST : LAST + 3])
    return out


def _before(x: Rows, y: Rows) -> NDArray[np.bool_]:
    before: NDArray[np.bool_] = (x[:, 0] < y[:, 0]) | ((x[:, 0] == y[:, 0]) & (x[:, 1] < y[:, 1]))
    return before


def reduce(rows: Rows, group: Index) -> tuple[Index, Rows]:
    """Merge the rows of each group: (the groups that occur, ascending; one row each, with the key of its first row)."""
    if len(rows) == 0:
        return group, rows
    order = np.argsort(group, kind="stable")
    rows, group = rows[order], group[order]
    starts = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1])))
    if len(starts) == len(rows):
        return group, rows
    out = np.add.reduceat(rows, starts, axis=0)
    out[:, :TRADES] = rows[starts, :TRADES]
    carry(out)
    for column in (QUANTITY_MIN, PRICE_MIN):
        out[:, column] = np.minimum.reduceat(rows[:, column], starts)
    for column in (QUANTITY_MAX, PRICE_MAX, REVISION):
        out[:, column] = np.maximum.reduceat(rows[:, column], starts)
    by_open = np.lexsort((rows[:, OPEN + 1], rows[:, OPEN], group))
    out[:, OPEN : OPEN + 3] = rows[by_open[starts], OPEN : OPEN + 3]
    by_last = np.lexsort((rows[:, LAST + 1], rows[:, LAST], group))
    ends = np.concatenate((starts[1:], [len(rows)])) - 1
    out[:, LAST : LAST + 3] = rows[by_last[ends], LAST : LAST + 3]
    return group[starts], out


def unfit(rows: Rows, price_digits: Index, quantity_digits: Index) -> NDArray[np.bool_]:
    """Which rows would pass LIMIT when their prices and quantities are multiplied by 10^digits (one number a row)."""
    prices: Rows = np.abs(rows[:, PRICE_MIN : PRICE_MAX + 1]).max(axis=1, initial=0)
    over: NDArray[np.bool_] = (prices >= _CEILING[price_digits]) | (rows[:, QUANTITY_MAX] >= _CEILING[quantity_digits])
    return over


def rescale(rows: Rows, price_digits: Index, quantity_digits: Index) -> None:
    """Multiply prices by 10^price_digits and quantities by 10^quantity_digits (one number a row), in place; the rows
    must not be unfit."""
    for column in _PRICE_COLUMNS:
        rows[:, column] *= _POWERS[price_digits]
    for column in _QUANTITY_COLUMNS:
        rows[:, column] *= _POWERS[quantity_digits]
    for first, lanes in LANED[:3]:
        _scale_lanes(rows, first, lanes, quantity_digits)
    for first, lanes in LANED[3:6]:
        _scale_lanes(rows, first, lanes, price_digits + quantity_digits)
    _scale_lanes(rows, SQUARES, WIDE_LANES, 2 * quantity_digits)


def _scale_lanes(rows: Rows, first: int, lanes: int, digits: Index) -> None:
    while digits.any():
        step = np.minimum(digits, 9)  # lane < 2**32, 10**9 < 2**30: the product stays below 2**62
        rows[:, first : first + lanes] *= _POWERS[step][:, None]
        for lane in range(first, first + lanes - 1):
            rows[:, lane + 1] += rows[:, lane] >> LANE_BITS
            rows[:, lane] &= MASK
        digits = digits - step


def to_atom(row: list[int], price_scale: int, quantity_scale: int) -> Atom:
    """The atom of a row given as a list of Python integers (`rows[i].tolist()`)."""

    def total(first: int, lanes: int) -> int:
        value = row[first + lanes - 1]
        for lane in range(first + lanes - 2, first - 1, -1):
            value = (value << LANE_BITS) + row[lane]
        return value

    return Atom(
        price_scale,
        quantity_scale,
        (row[TRADES], row[TRADES + 1], row[TRADES + 2]),
        (total(QUANTITY, 2), total(QUANTITY + 2, 2), total(QUANTITY + 4, 2)),
        (total(NOTIONAL, 4), total(NOTIONAL + 4, 4), total(NOTIONAL + 8, 4)),
        total(SQUARES, 4),
        row[QUANTITY_MIN],
        row[QUANTITY_MAX],
        row[PRICE_MIN],
        row[PRICE_MAX],
        Extreme(row[OPEN], row[OPEN + 1], row[OPEN + 2]),
        Extreme(row[LAST], row[LAST + 1], row[LAST + 2]),
        row[REVISION],
    )


def fits(atom: Atom) -> bool:
    """Whether an atom can be a row."""
    return -LIMIT < atom.price_min <= atom.price_max < LIMIT and atom.quantity_max < LIMIT


def from_atom(atom: Atom, instrument: int, level: int, start: int) -> list[int]:
    """The row of an atom that fits."""

    def lanes(value: int, count: int) -> list[int]:
        parts = [(value >> (LANE_BITS * lane)) & MASK for lane in range(count - 1)]
        return [*parts, value >> (LANE_BITS * (count - 1))]

    row = [instrument, level, start, *atom.trades]
    for quantity in atom.quantity:
        row += lanes(quantity, QUANTITY_LANES)
    for product in (*atom.notional, atom.squares):
        row += lanes(product, WIDE_LANES)
    row += [atom.quantity_min, atom.quantity_max, atom.price_min, atom.price_max]
    return [*row, *atom.open, *atom.last, atom.revision]
