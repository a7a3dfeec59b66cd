"""The rows of a range in one pass: what worker.columnwise.vectorised does in some hundred, for prices of zero and more.

The trades come by instrument (see telemetry.compiled.arranging). Those of an instrument are brought into the order of
their seconds where they are in another one, and are added up in the row of their second.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled.arranging import ROW_BITS, ROW_MASK, sort_pairs
from telemetry.compiled.compiler import INTEGER, INTEGERS, LONGS, MATRIX, TEXT, entry, part
from telemetry.frame import Array
from telemetry.rows import (
    INSTRUMENT,
    LANE_BITS,
    LAST,
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

WATERMARK, RESULTS = range(2)  # what is found besides: the place of the newest trade that is not too far ahead, or -1
UNFIT = -1  # a value does not fit a row, or a price is negative: that is left to others
_SECOND_NS, _FUTURE_NS = 1_000_000_000, 5_000_000_000
_SMALL = 1 << 31  # the product of two smaller numbers fits 62 bits
_POWERS = 10 ** np.arange(19, dtype=np.int64)
_CEILING = (LIMIT + _POWERS - 1) // _POWERS  # the smallest number that 10^digits takes to LIMIT or more


@part
def _watermark(timestamp: Array, received_at: Array) -> int:
    """The newest trade, of equals the first, that is at most five seconds ahead of its arrival; -1 without one."""
    newest, at = 0, -1
    for place in range(len(timestamp)):
        if (at < 0 or timestamp[place] > newest) and timestamp[place] <= received_at[place] + _FUTURE_NS:
            newest, at = timestamp[place], place
    return at


@part
def _finest(scale: Array, order: Array, begin: int, end: int) -> int:
    finest = scale[order[begin]]
    for number in range(begin, end):
        if scale[np.uintp(order[number])] > finest:
            finest = scale[np.uintp(order[number])]
    return int(finest)


@part
def _by_second(timestamp: Array, order: Array, begin: int, end: int, pairs: Array, spare: Array) -> bool:
    """Whether the trades of an instrument are not in the order of their seconds; then `pairs` have that order."""
    latest, is_behind = timestamp[order[begin]], False
    for number in range(begin + 1, end):
        at = timestamp[np.uintp(order[number])]
        is_behind |= at < latest  # also within a second, which is no harm
        latest = at
    if is_behind:
        for number in range(begin, end):
            place = order[number]
            pairs[number, 0] = (timestamp[place] // _SECOND_NS << ROW_BITS) | place
        sort_pairs(pairs, spare, begin, end)
    return is_behind


@part
def _aligned(value: int, digits: int) -> int:
    """The value with so many digits more, -1 where it is negative or does not fit."""
    if value < 0 or value >= _CEILING[digits]:
        return -1
    return value * _POWERS[digits] if digits else value


@part
def _begin(row: Array, instrument: int, second: int, price: int, quantity: int) -> None:
    for column in range(WIDTH):
        row[column] = 0
    row[INSTRUMENT], row[START] = instrument, second
    row[PRICE_MIN] = row[PRICE_MAX] = price
    row[QUANTITY_MIN] = row[QUANTITY_MAX] = quantity
    row[LAST] = -(1 << 63)
    row[OPEN] = (1 << 63) - 1


@part
def _add_product(row: Array, first: int, a: int, b: int) -> None:
    """Add a * b to four lanes, which are carried later. Both are below 2**60."""
    if a < _SMALL and b < _SMALL:
        product = a * b
        row[first] += product & MASK
        row[first + 1] += product >> LANE_BITS
        return
    low_a, high_a, low_b, high_b = a & MASK, a >> LANE_BITS, b & MASK, b >> LANE_BITS
    low = np.uint64(low_a) * np.uint64(low_b)
    middle_a, middle_b, high = high_a * low_b, low_a * high_b, high_a * high_b
    row[first] += np.int64(low & np.uint64(MASK))
    row[first + 1] += np.int64(low >> np.uint64(LANE_BITS)) + (middle_a & MASK) + (middle_b & MASK)
    row[first + 2] += (middle_a >> LANE_BITS) + (middle_b >> LANE_BITS) + (high & MASK)
    row[first + 3] += high >> LANE_BITS


@part
def _add(row: Array, side: int, price: int, quantity: int, timestamp: int, seq: int) -> None:
    """One trade; those of a row come in the order of the journal."""
    row[TRADES + side] += 1
    row[QUANTITY + QUANTITY_LANES * side] += quantity & MASK
    row[QUANTITY + QUANTITY_LANES * side + 1] += quantity >> LANE_BITS
    _add_product(row, NOTIONAL + WIDE_LANES * side, price, quantity)
    _add_product(row, SQUARES, quantity, quantity)
    row[QUANTITY_MIN] = min(row[QUANTITY_MIN], quantity)
    row[QUANTITY_MAX] = max(row[QUANTITY_MAX], quantity)
    row[PRICE_MIN] = min(row[PRICE_MIN], price)
    row[PRICE_MAX] = max(row[PRICE_MAX], price)
    if timestamp < row[OPEN]:
        row[OPEN], row[OPEN + 1], row[OPEN + 2] = timestamp, seq, price
    if timestamp >= row[LAST]:
        row[LAST], row[LAST + 1], row[LAST + 2] = timestamp, seq, price
    row[REVISION] = seq


@part
def _carry(row: Array, first: int, stop: int, lanes: int) -> None:
    for low in range(first, stop, lanes):
        for lane in range(low, low + lanes - 1):
            row[lane + 1] += row[lane] >> LANE_BITS
            row[lane] &= MASK


@entry(
    *(INTEGERS, INTEGERS, TEXT, LONGS, TEXT, LONGS, TEXT, LONGS, LONGS),
    *(INTEGER, MATRIX, MATRIX, INTEGERS, INTEGERS, MATRIX, INTEGERS),
)
def fill(
    starts: Array, order: Array, side: Array, price: Array, price_scale: Array, quantity: Array, quantity_scale: Array,
    timestamp: Array, received_at: Array, first_seq: int, pairs: Array, spare: Array, price_finest: Array,
    quantity_finest: Array, rows: Array, results: Array,
) -> int:  # fmt: skip
    """How many rows there are, by instrument and second, or UNFIT. Also the finest scales of each instrument, and
    `results`. `rows`, `pairs` and `spare` have room for one of each trade."""
    count = 0
    for instrument in range(len(price_finest)):
        begin, end = starts[instrument], starts[instrument + 1]
        if begin == end:
            continue
        finest = _finest(price_scale, order, begin, end), _finest(quantity_scale, order, begin, end)
        price_finest[instrument], quantity_finest[instrument] = finest
        is_sorted_apart = _by_second(timestamp, order, begin, end, pairs, spare)
        second_ns = 0
        for number in range(begin, end):
            place = pairs[number, 0] & ROW_MASK if is_sorted_apart else order[number]
            row = np.uintp(place)
            of = _aligned(price[row], finest[0] - price_scale[row])
            size = _aligned(quantity[row], finest[1] - quantity_scale[row])
            if of < 0 or size < 0:
                return UNFIT
            at = timestamp[row]
            if number == begin or not 0 <= at - second_ns < _SECOND_NS:
                second_ns = at // _SECOND_NS * _SECOND_NS
                _begin(rows[count], instrument, at // _SECOND_NS, of, size)
                count += 1
            _add(rows[count - 1], side[row], of, size, at, first_seq + place)
    for number in range(count):
        _carry(rows[number], QUANTITY, NOTIONAL, QUANTITY_LANES)
        _carry(rows[number], NOTIONAL, QUANTITY_MIN, WIDE_LANES)
    results[WATERMARK] = _watermark(timestamp, received_at)
    return count
