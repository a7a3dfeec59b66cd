"""The partial of many trades at once: what worker.analysis.loop gives, in few passes over whole columns.

The trades are brought into the order of (instrument, second, side, row); then every sum and every extreme is one
`reduceat`. A sum that provably fits 64 bits is added as such, any other in lanes of 32 bits: 2**17 lanes below 2**34
stay below 2**51.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telemetry import rows as layout
from telemetry.columns import Columns
from telemetry.partial import Partial, Watermark
from telemetry.rows import LANE_BITS, LIMIT, MASK, Rows

MAXIMUM = 1 << 17  # trades at once
FUTURE_NS = 5_000_000_000  # a timestamp further ahead of its arrival never moves the watermark
_SECOND_NS = 1_000_000_000
_FEW_GROUPS = 512  # a table of so many (instrument, second) costs less than a sort
_POWERS = 10 ** np.arange(19, dtype=np.int64)
_CEILING = (LIMIT + _POWERS - 1) // _POWERS  # the smallest number that 10^digits takes to LIMIT or more
_BEYOND = np.iinfo(np.int64).max

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
_least, _most = np.minimum.reduce, np.maximum.reduce  # of few numbers half the price of .min() and .max()


def vectorised(columns: Columns, first_seq: int) -> Partial | None:
    """The partial of 1 to MAXIMUM trades, or None when a value does not fit a row at its instrument's scale."""
    count = len(columns.instruments)
    instrument = columns.instrument.astype(np.int64)
    price, price_scale = _align(columns.price, columns.price_scale, instrument, count)
    quantity, quantity_scale = _align(columns.quantity, columns.quantity_scale, instrument, count)
    if price is None or quantity is None:
        return None
    order, sides, instruments, seconds = _sorted(instrument, columns.timestamp // _SECOND_NS, columns.side, count)
    matrix = np.zeros((len(sides), layout.WIDTH), np.int64)
    matrix[:, layout.INSTRUMENT], matrix[:, layout.START] = instruments, seconds
    starts = _starts(sides[:, 0] + sides[:, 1] + sides[:, 2])
    lowest = _fill(matrix, sides, starts, price.take(order), quantity.take(order))
    _fill_order(matrix, order, starts, columns.timestamp, price, first_seq)
    return Partial(
        columns.instruments,
        tuple(price_scale),
        tuple(quantity_scale),
        matrix,
        {},
        _negative(instrument, columns.side, price, quantity) if lowest < 0 else {},
        _watermark(columns.timestamp, columns.received_at),
    )


def _align(values: Ints, scales: Bytes, instrument: Ints, count: int) -> tuple[Ints | None, list[int]]:
    """(values at their instrument's finest scale or None, that scale per instrument)."""
    finest = np.zeros(count, np.int64)
    np.maximum.at(finest, instrument, scales.astype(np.int64))
    missing = finest.take(instrument) - scales
    digits = int(_most(missing))
    if _largest(values) * 10**digits >= LIMIT and (np.abs(values) >= _CEILING[missing]).any():
        return None, finest.tolist()
    return values * _POWERS.take(missing) if digits else values, finest.tolist()


def _largest(values: Ints) -> int:
    return max(int(_most(values)), -int(_least(values)))


def _sorted(instrument: Ints, second: Ints, side: Bytes, count: int) -> tuple[Ints, Ints, Ints, Ints]:
    """(the rows in order of (instrument, second, side, row); and of each (instrument, second), in that order: how many
    trades each side has; instrument; second)."""
    start = int(_least(second))
    span = int(_most(second)) - start + 1
    if span * count > max(len(second), _FEW_GROUPS):
        return _sorted_sparse(instrument, second, side)
    group = instrument if span == 1 else instrument * span + (second - start)
    key = group * 3 + side
    sides = np.bincount(key, minlength=span * count * 3).reshape(span * count, 3)
    held = np.flatnonzero(sides[:, 0] + sides[:, 1] + sides[:, 2])
    # numpy sorts numbers of 16 bits digit by digit, which is many times quicker
    order = (key.astype(np.uint16) if len(sides) * 3 <= 1 << 16 else key).argsort(kind="stable")
    if span == 1:
        return order, sides[held], held, np.full(len(held), start)
    return order, sides[held], held // span, held % span + start


def _sorted_sparse(instrument: Ints, second: Ints, side: Bytes) -> tuple[Ints, Ints, Ints, Ints]:
    order = np.lexsort((side, second, instrument))
    instrument, second = instrument[order], second[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (instrument[1:] != instrument[:-1]) | (second[1:] != second[:-1])
    group = np.cumsum(new) - 1
    sides = np.bincount(group * 3 + side[order], minlength=3 * (int(group[-1]) + 1)).reshape(-1, 3)
    return order, sides, instrument[new], second[new]


def _starts(counts: Ints) -> Ints:
    """Where each of consecutive segments begins."""
    starts: Ints = np.add.accumulate(counts)
    starts -= counts
    return starts


def _fill(matrix: Rows, sides: Ints, starts: Ints, price: Ints, quantity: Ints) -> int:
    """Sums and extremes of trades in order, and the lowest price of all; `starts` are those of the rows of `matrix`."""
    least, most = np.minimum.reduceat(price, starts), np.maximum.reduceat(price, starts)
    small, large = np.minimum.reduceat(quantity, starts), np.maximum.reduceat(quantity, starts)
    matrix[:, layout.PRICE_MIN], matrix[:, layout.PRICE_MAX] = least, most
    matrix[:, layout.QUANTITY_MIN], matrix[:, layout.QUANTITY_MAX] = small, large
    matrix[:, layout.TRADES : layout.TRADES + 3] = sides
    lowest, highest, largest, count = int(_least(least)), int(_most(most)), int(_most(large)), len(price)
    flat = sides.ravel()
    present = np.flatnonzero(flat)
    starts_by_side = _starts(flat.take(present))

    def by_side(values: Ints) -> Ints:
        sums = np.zeros(len(flat), np.int64)
        sums[present] = np.add.reduceat(values, starts_by_side)
        return sums.reshape(len(matrix), 3)

    amounts = [quantity] if largest * count < _BEYOND else [quantity & MASK, quantity >> LANE_BITS]
    notional = _product(price, quantity, max(highest, -lowest) * largest, count)
    squares = _product(quantity, quantity, largest * largest, count)
    _put(matrix, layout.QUANTITY, layout.NOTIONAL, [by_side(lane) for lane in amounts])
    _put(matrix, layout.NOTIONAL, layout.SQUARES, [by_side(lane) for lane in notional])
    _put(matrix, layout.SQUARES, layout.QUANTITY_MIN, [np.add.reduceat(lane, starts)[:, None] for lane in squares])
    if lowest < 0 or len(amounts) + len(notional) + len(squares) > 3:
        layout.carry(matrix)
    return lowest


def _put(matrix: Rows, first: int, stop: int, lanes: list[Ints]) -> None:
    """Sums (a column each) into columns first..stop - 1; they are whole, or in lanes that are to be carried."""
    width = (stop - first) // lanes[0].shape[1]
    if len(lanes) == 1:
        lanes = [lanes[0] & MASK, lanes[0] >> LANE_BITS]
    for lane, sums in enumerate(lanes):
        matrix[:, first + lane : stop : width] = sums


def _product(a: Ints, b: Ints, largest: int, count: int) -> list[Ints]:
    """a * b, of which none is above `largest`: whole when `count` of them fit 64 bits, else in two or four lanes of 32
    bits (not yet carried). |a|, |b| < 2**60 and b >= 0."""
    if largest < 1 << 62:
        product = a * b
        return [product] if largest * count < _BEYOND else [product & MASK, product >> LANE_BITS]
    low_a, high_a, low_b, high_b = a & MASK, a >> LANE_BITS, b & MASK, b >> LANE_BITS
    low = low_a.astype(np.uint64) * low_b.astype(np.uint64)
    middle_a, middle_b, high = high_a * low_b, low_a * high_b, high_a * high_b
    return [
        (low & np.uint64(MASK)).astype(np.int64),
        (low >> np.uint64(LANE_BITS)).astype(np.int64) + (middle_a & MASK) + (middle_b & MASK),
        (middle_a >> LANE_BITS) + (middle_b >> LANE_BITS) + (high & MASK),
        high >> LANE_BITS,
    ]


def _fill_order(matrix: Rows, order: Ints, starts: Ints, timestamp: Ints, price: Ints, first_seq: int) -> None:
    """Open, last and revision. Among equal timestamps the first row opens and the last one closes."""
    opening, closing = np.minimum.reduceat(order, starts), np.maximum.reduceat(order, starts)
    matrix[:, layout.REVISION] = closing + first_seq
    if not (timestamp[1:] >= timestamp[:-1]).all():
        at, counts = timestamp.take(order), np.diff(starts, append=len(order))
        earliest, latest = np.minimum.reduceat(at, starts), np.maximum.reduceat(at, starts)
        opening = np.minimum.reduceat(np.where(at == earliest.repeat(counts), order, _BEYOND), starts)
        closing = np.maximum.reduceat(np.where(at == latest.repeat(counts), order, -1), starts)
    for column, row in ((layout.OPEN, opening), (layout.LAST, closing)):
        matrix[:, column] = timestamp.take(row)
        matrix[:, column + 1] = row + first_seq
        matrix[:, column + 2] = price.take(row)


def _negative(instrument: Ints, side: Bytes, price: Ints, quantity: Ints) -> dict[int, tuple[int, int, int]]:
    sums: dict[int, list[int]] = {}
    for row in np.flatnonzero(price < 0).tolist():
        by_side = sums.setdefault(int(instrument[row]), [0, 0, 0])
        by_side[side[row]] -= int(price[row]) * int(quantity[row])
    return {key: (value[0], value[1], value[2]) for key, value in sums.items()}


def _watermark(timestamp: Ints, received_at: Ints) -> Watermark | None:
    newest = int(timestamp.argmax())
    if timestamp[newest] > received_at[newest] + FUTURE_NS:
        eligible = np.flatnonzero(timestamp <= received_at + FUTURE_NS)
        if len(eligible) == 0:
            return None
        newest = int(eligible[timestamp[eligible].argmax()])
    return Watermark(int(timestamp[newest]), int(received_at[newest]))
