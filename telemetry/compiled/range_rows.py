"""The rows of a range in one pass: what worker.columnwise.vectorised does in some hundred, for prices of zero and more.

The trades come by instrument (see telemetry.compiled.arranging). Those of an instrument are brought into the order of
their seconds where they are in another one, and are added up in the row of their second.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled.arranging import ROW_BITS, ROW_MASK, sort_pairs
from telemetry.compiled.compiler import INTEGER, INTEGERS, LONGS, MATRIX, TEXT, entry, part
from telemetry.compiled.memory import pointer
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
SECOND_NS, _FUTURE_NS = 1_000_000_000, 5_000_000_000
_SMALL = 1 << 31  # the product of two smaller numbers fits 62 bits
_FEW = 1 << 46  # of as many smaller numbers as a range has trades the sum fits 63 bits
_POWERS = 10 ** np.arange(19, dtype=np.int64)
_CEILING = (LIMIT + _POWERS - 1) // _POWERS  # the smallest number that 10^digits takes to LIMIT or more


@part
def watermark_of(timestamp: Array, received_at: Array) -> int:
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
        finest = max(finest, scale[order[number]])
    return int(finest)


@part
def _by_second(timestamp: Array, order: Array, begin: int, end: int, pairs: Array, spare: Array) -> bool:
    """Whether the trades of an instrument are not in the order of their seconds; then `pairs` have that order."""
    times, places = pointer(timestamp), pointer(order)
    latest, is_behind = times[places[begin]], False
    for number in range(begin + 1, end):
        at = times[places[number]]
        is_behind |= at < latest  # also within a second, which is no harm
        latest = at
    if is_behind:
        for number in range(begin, end):
            place = places[number]
            pairs[number, 0] = (times[place] // SECOND_NS << ROW_BITS) | place
        sort_pairs(pairs, spare, begin, end)
    return is_behind


@part
def aligned(value: int, digits: int) -> int:
    """The value with so many digits more, -1 where it is negative or does not fit."""
    if value < 0 or value >= _CEILING[digits]:
        return -1
    return value * _POWERS[digits] if digits else value


@part
def begin_row(out: Array, row: int, instrument: int, second: int, price: int, quantity: int) -> None:
    """An empty row at this place, to which this trade comes first."""
    for column in range(row, row + WIDTH):
        out[column] = 0
    out[row + INSTRUMENT], out[row + START] = instrument, second
    out[row + PRICE_MIN] = out[row + PRICE_MAX] = price
    out[row + QUANTITY_MIN] = out[row + QUANTITY_MAX] = quantity
    out[row + LAST] = -(1 << 63)
    out[row + OPEN] = (1 << 63) - 1


@part
def _add_product(out: Array, first: int, a: int, b: int) -> None:
    """Add a * b to four lanes, which are carried later. Both are below 2**60."""
    if a < _SMALL and b < _SMALL:
        product = a * b
        if product < _FEW:  # the usual ones, of which as many as a range has fit a lane
            out[first] += product
            return
        out[first] += product & MASK
        out[first + 1] += product >> LANE_BITS
        return
    low_a, high_a, low_b, high_b = a & MASK, a >> LANE_BITS, b & MASK, b >> LANE_BITS
    low = np.uint64(low_a) * np.uint64(low_b)
    middle_a, middle_b, high = high_a * low_b, low_a * high_b, high_a * high_b
    out[first] += np.int64(low & np.uint64(MASK))
    out[first + 1] += np.int64(low >> np.uint64(LANE_BITS)) + (middle_a & MASK) + (middle_b & MASK)
    out[first + 2] += (middle_a >> LANE_BITS) + (middle_b >> LANE_BITS) + (high & MASK)
    out[first + 3] += high >> LANE_BITS


@part
def add(out: Array, row: int, side: int, price: int, quantity: int, timestamp: int, seq: int) -> None:
    """One trade; those of a row come in the order of the journal."""
    out[row + TRADES + side] += 1
    amount = row + QUANTITY + QUANTITY_LANES * side
    if quantity < _FEW:
        out[amount] += quantity
    else:
        out[amount] += quantity & MASK
        out[amount + 1] += quantity >> LANE_BITS
    _add_product(out, row + NOTIONAL + WIDE_LANES * side, price, quantity)
    _add_product(out, row + SQUARES, quantity, quantity)
    out[row + QUANTITY_MIN] = min(out[row + QUANTITY_MIN], quantity)
    out[row + QUANTITY_MAX] = max(out[row + QUANTITY_MAX], quantity)
    out[row + PRICE_MIN] = min(out[row + PRICE_MIN], price)
    out[row + PRICE_MAX] = max(out[row + PRICE_MAX], price)
    if timestamp < out[row + OPEN]:
        out[row + OPEN], out[row + OPEN + 1], out[row + OPEN + 2] = timestamp, seq, price
    if timestamp >= out[row + LAST]:
        out[row + LAST], out[row + LAST + 1], out[row + LAST + 2] = timestamp, seq, price
    out[row + REVISION] = seq


@part
def _carry_lanes(out: Array, first: int, stop: int, lanes: int) -> None:
    for low in range(first, stop, lanes):
        for lane in range(low, low + lanes - 1):
            out[lane + 1] += out[lane] >> LANE_BITS
            out[lane] &= MASK


@part
def carry(out: Array, row: int) -> None:
    """Bring the lanes of a row into their range."""
    _carry_lanes(out, row + QUANTITY, row + NOTIONAL, QUANTITY_LANES)
    _carry_lanes(out, row + NOTIONAL, row + QUANTITY_MIN, WIDE_LANES)


@entry(
    *(INTEGERS, INTEGERS, TEXT, LONGS, TEXT, LONGS, TEXT, LONGS, LONGS),
    *(INTEGER, MATRIX, MATRIX, INTEGERS, INTEGERS, INTEGERS, INTEGERS),
)
def fill(
    starts: Array, order: Array, side: Array, price: Array, price_scale: Array, quantity: Array, quantity_scale: Array,
    timestamp: Array, received_at: Array, first_seq: int, pairs: Array, spare: Array, price_finest: Array,
    quantity_finest: Array, rows: Array, results: Array,
) -> int:  # fmt: skip
    """How many rows there are, by instrument and second, or UNFIT. Also the finest scales of each instrument, and
    `results`. `rows`, one behind the other, `pairs` and `spare` have room for one of each trade."""
    count, row, out, places = 0, 0, pointer(rows), pointer(order)
    prices, quantities, times, sides = pointer(price), pointer(quantity), pointer(timestamp), pointer(side)
    price_scales, quantity_scales = pointer(price_scale), pointer(quantity_scale)
    for instrument in range(len(price_finest)):
        begin, end = starts[instrument], starts[instrument + 1]
        if begin == end:
            continue
        finest = _finest(price_scales, places, begin, end), _finest(quantity_scales, places, begin, end)
        price_finest[instrument], quantity_finest[instrument] = finest
        is_sorted_apart = _by_second(timestamp, order, begin, end, pairs, spare)
        second_ns = 0
        for number in range(begin, end):
            place = pairs[number, 0] & ROW_MASK if is_sorted_apart else places[number]
            of = aligned(prices[place], finest[0] - price_scales[place])
            size = aligned(quantities[place], finest[1] - quantity_scales[place])
            if of < 0 or size < 0:
                return UNFIT
            at = times[place]
            if number == begin or not 0 <= at - second_ns < SECOND_NS:
                second_ns = at // SECOND_NS * SECOND_NS
                row = count * WIDTH
                begin_row(out, row, instrument, at // SECOND_NS, of, size)
                count += 1
            add(out, row, sides[place], of, size, at, first_seq + place)
    for number in range(count):
        carry(out, number * WIDTH)
    results[WATERMARK] = watermark_of(timestamp, received_at)
    return count
