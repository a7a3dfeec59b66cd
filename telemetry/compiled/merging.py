"""Rows of atoms merged into a table in place: what telemetry.rows does in some forty passes, in one.

Importing it may compile it, so that only gateway.state.merging does, and not by name.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telemetry.compiled.compiler import INTEGER, INTEGERS, MATRIX, entry, part
from telemetry.rows import (
    INSTRUMENT,
    LANE_BITS,
    LAST,
    LEVEL,
    LIMIT,
    MASK,
    NOTIONAL,
    OPEN,
    PRICE_MAX,
    PRICE_MIN,
    QUANTITY,
    QUANTITY_LANES,
    QUANTITY_MAX,
    QUANTITY_MIN,
    REVISION,
    SQUARES,
    START,
    TRADES,
    WIDE_LANES,
    WIDTH,
)

Ints = NDArray[np.int64]


@part
def _add(target: Ints, row: Ints, first: int, stop: int, lanes: int) -> None:
    for low in range(first, stop, lanes):
        carry = 0
        for lane in range(low, low + lanes - 1):
            value = target[lane] + row[lane] + carry
            target[lane] = value & MASK
            carry = value >> LANE_BITS
        target[low + lanes - 1] += row[low + lanes - 1] + carry


@part
def _merge(target: Ints, row: Ints) -> None:
    for column in range(TRADES, QUANTITY):
        target[column] += row[column]
    _add(target, row, QUANTITY, NOTIONAL, QUANTITY_LANES)
    _add(target, row, NOTIONAL, QUANTITY_MIN, WIDE_LANES)
    target[QUANTITY_MIN] = min(target[QUANTITY_MIN], row[QUANTITY_MIN])
    target[QUANTITY_MAX] = max(target[QUANTITY_MAX], row[QUANTITY_MAX])
    target[PRICE_MIN] = min(target[PRICE_MIN], row[PRICE_MIN])
    target[PRICE_MAX] = max(target[PRICE_MAX], row[PRICE_MAX])
    if row[OPEN] < target[OPEN] or (row[OPEN] == target[OPEN] and row[OPEN + 1] < target[OPEN + 1]):
        for column in range(OPEN, LAST):
            target[column] = row[column]
    if row[LAST] > target[LAST] or (row[LAST] == target[LAST] and row[LAST + 1] > target[LAST + 1]):
        for column in range(LAST, REVISION):
            target[column] = row[column]
    target[REVISION] = max(target[REVISION], row[REVISION])


@part
def _power(digits: int) -> int:
    factor = 1
    for _ in range(digits):
        factor *= 10
    return factor


@part
def _scale(row: Ints, first: int, stop: int, lanes: int, digits: int) -> None:
    while digits > 0:
        step = min(digits, 9)  # lane < 2**32, 10**9 < 2**30: the product stays below 2**62
        factor = _power(step)
        for low in range(first, stop, lanes):
            carry = 0
            for lane in range(low, low + lanes - 1):
                value = row[lane] * factor + carry
                row[lane] = value & MASK
                carry = value >> LANE_BITS
            row[low + lanes - 1] = row[low + lanes - 1] * factor + carry
        digits -= step


@part
def _rescale(row: Ints, price_digits: int, quantity_digits: int) -> None:
    factor = _power(price_digits)
    row[PRICE_MIN] *= factor
    row[PRICE_MAX] *= factor
    row[OPEN + 2] *= factor
    row[LAST + 2] *= factor
    factor = _power(quantity_digits)
    row[QUANTITY_MIN] *= factor
    row[QUANTITY_MAX] *= factor
    _scale(row, QUANTITY, NOTIONAL, QUANTITY_LANES, quantity_digits)
    _scale(row, NOTIONAL, SQUARES, WIDE_LANES, price_digits + quantity_digits)
    _scale(row, SQUARES, QUANTITY_MIN, WIDE_LANES, 2 * quantity_digits)


@entry(MATRIX, INTEGERS, INTEGERS, INTEGERS)
def adopt(rows: Ints, ids: Ints, price_digits: Ints, quantity_digits: Ints) -> int:
    """Give rows the ids and scales of the state, see gateway.state.merging; 0, and no change, if one does not fit."""
    for number in range(len(rows)):
        row = rows[number]
        factor = _power(price_digits[row[INSTRUMENT]])
        most = (LIMIT + factor - 1) // factor
        factor = _power(quantity_digits[row[INSTRUMENT]])
        if max(row[PRICE_MAX], -row[PRICE_MIN]) >= most or row[QUANTITY_MAX] >= (LIMIT + factor - 1) // factor:
            return 0
    for number in range(len(rows)):
        row = rows[number]
        local = row[INSTRUMENT]
        if price_digits[local] + quantity_digits[local] > 0:
            _rescale(row, price_digits[local], quantity_digits[local])
        row[INSTRUMENT] = ids[local]
    return 1


@entry(MATRIX, INTEGERS, MATRIX)
def absorb(target: Ints, at: Ints, rows: Ints) -> int:
    """Merge rows[i] into target[at[i]], one after the other; where that has no REVISION yet, it becomes rows[i]."""
    for number in range(len(rows)):
        row, into = rows[number], target[at[number]]
        if into[REVISION]:
            _merge(into, row)
        else:
            for column in range(WIDTH):
                into[column] = row[column]
    return len(rows)


@entry(MATRIX, MATRIX)
def absorb_totals(totals: Ints, rows: Ints) -> int:
    """As `absorb`, into the row of each one's instrument, which has no time."""
    for number in range(len(rows)):
        row = rows[number]
        into = totals[row[INSTRUMENT]]
        if into[REVISION]:
            _merge(into, row)
        else:
            for column in range(WIDTH):
                into[column] = row[column]
            into[LEVEL] = into[START] = 0
    return len(rows)


@entry(INTEGERS, INTEGERS, MATRIX, INTEGER, INTEGER, INTEGER, INTEGERS, INTEGERS)
def find(
    known: Ints, places: Ints, rows: Ints, instrument_shift: int, level_shift: int, offset: int, keys: Ints, at: Ints
) -> int:
    """The key of each row, and the place of that key in the table, -1 where there is none; how many have none."""
    missing = 0
    for number in range(len(rows)):
        row = rows[number]
        key = (row[INSTRUMENT] << instrument_shift) | (row[LEVEL] << level_shift) | (row[START] + offset)
        low, high = 0, len(known)
        while low < high:
            middle = (low + high) >> 1
            if known[middle] < key:
                low = middle + 1
            else:
                high = middle
        keys[number] = key
        if low < len(known) and known[low] == key:
            at[number] = places[low]
        else:
            at[number] = -1
            missing += 1
    return missing
