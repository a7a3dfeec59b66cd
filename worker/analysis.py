"""From the columns of a range to its partial statistics: pure, the same result however the range is computed.

Two ways give identical partials. The plain loop over Python integers is the reference; it is quicker below CROSSOVER
trades, and it alone handles values that do not fit 60 bits at their instrument's common scale. Above that the
vectorised way: dense group numbers, `bincount` over 32-bit lanes (exact: 65,536 lanes below 2**34 sum to less than
the 2**53 that a float64 holds), `ufunc.at` for extremes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from telemetry import rows as layout
from telemetry.columns import Columns, concatenate
from telemetry.partial import EMPTY, Partial, Watermark
from telemetry.rows import LIMIT, MASK, Rows
from telemetry.statistics import Atom, atom_of
from telemetry.trade import Instrument

CROSSOVER = 70  # measured: below this many trades numpy's fixed cost per call is more than the loop
MAXIMUM = 1 << 17  # trades at once: what keeps the float64 sums of 34-bit lanes exact is 2**19, with room to spare
FUTURE_NS = 5_000_000_000  # a timestamp further ahead of its arrival never moves the watermark

Ints = NDArray[np.int64]


def analyse(parts: Sequence[Columns], first_seq: int) -> Partial:
    """The partial of consecutive parts of the journal; the first trade of the first part has number `first_seq`."""
    total = sum(len(part) for part in parts)
    if total == 0:
        return EMPTY
    if total > MAXIMUM:
        raise ValueError(f"expected at most {MAXIMUM} trades at once, received {total}")
    if total < CROSSOVER:
        return loop(parts, first_seq)
    columns = parts[0] if len(parts) == 1 else concatenate(parts)
    return vectorised(columns, first_seq) or loop([columns], first_seq)


def loop(parts: Sequence[Columns], first_seq: int) -> Partial:
    """The reference: one trade after the other."""
    table: dict[Instrument, int] = {}
    atoms: dict[tuple[int, int], Atom] = {}
    negative: dict[int, Atom] = {}
    scales: list[tuple[int, int]] = []
    watermark: Watermark | None = None
    seq = first_seq
    for part in parts:
        local = [table.setdefault(instrument, len(table)) for instrument in part.instruments]
        scales += [(0, 0)] * (len(table) - len(scales))
        for code, side, price, price_scale, quantity, quantity_scale, timestamp, received_at in _tuples(part):
            instrument = local[code]
            atom = atom_of(side, price, price_scale, quantity, quantity_scale, timestamp, seq)
            scale = scales[instrument]
            scales[instrument] = max(scale[0], price_scale), max(scale[1], quantity_scale)
            key = instrument, timestamp // 1_000_000_000
            known = atoms.get(key)
            atoms[key] = atom if known is None else known + atom
            if price < 0:
                below = negative.get(instrument)
                negative[instrument] = atom if below is None else below + atom
            if timestamp <= received_at + FUTURE_NS and (watermark is None or timestamp > watermark.timestamp):
                watermark = Watermark(timestamp, received_at)
            seq += 1
    return _partial(tuple(table), scales, atoms, negative, watermark)


def _tuples(part: Columns) -> zip[tuple[int, ...]]:
    return zip(
        part.instrument.tolist(),
        part.side.tolist(),
        part.price.tolist(),
        part.price_scale.tolist(),
        part.quantity.tolist(),
        part.quantity_scale.tolist(),
        part.timestamp.tolist(),
        part.received_at.tolist(),
        strict=True,
    )


def _partial(
    instruments: tuple[Instrument, ...],
    scales: list[tuple[int, int]],
    atoms: dict[tuple[int, int], Atom],
    negative: dict[int, Atom],
    watermark: Watermark | None,
) -> Partial:
    scaled = {key: atom.at_scale(*scales[key[0]]) for key, atom in sorted(atoms.items())}
    # An instrument is wide as a whole or not at all, so that the split does not depend on how trades fall into seconds.
    wide = {key[0] for key, atom in scaled.items() if not layout.fits(atom)}
    narrow = [layout.from_atom(atom, key[0], 0, key[1]) for key, atom in scaled.items() if key[0] not in wide]
    matrix = np.array(narrow, np.int64).reshape(len(narrow), layout.WIDTH)
    return Partial(
        instruments,
        tuple(scale[0] for scale in scales),
        tuple(scale[1] for scale in scales),
        matrix,
        {key: atom for key, atom in scaled.items() if key[0] in wide},
        {key: _negated(atom.at_scale(*scales[key]).notional) for key, atom in negative.items()},
        watermark,
    )


def _negated(sums: tuple[int, int, int]) -> tuple[int, int, int]:
    return -sums[0], -sums[1], -sums[2]


def vectorised(columns: Columns, first_seq: int) -> Partial | None:
    """The partial of at most MAXIMUM trades, or None when a value does not fit a row at its instrument's scale."""
    count = len(columns.instruments)
    instrument = columns.instrument.astype(np.int64)
    price, price_scale = _align(columns.price, columns.price_scale, instrument, count)
    quantity, quantity_scale = _align(columns.quantity, columns.quantity_scale, instrument, count)
    if price is None or quantity is None:
        return None
    second = columns.timestamp // 1_000_000_000
    group, instruments, seconds = _groups(instrument, second, count)
    matrix = np.zeros((len(seconds), layout.WIDTH), np.int64)
    matrix[:, layout.INSTRUMENT] = instruments
    matrix[:, layout.START] = seconds
    _fill_sums(matrix, group, columns.side.astype(np.int64), price, quantity)
    _fill_extremes(matrix, group, price, quantity)
    _fill_order(matrix, group, columns.timestamp, price, first_seq)
    return Partial(
        columns.instruments,
        tuple(price_scale.tolist()),
        tuple(quantity_scale.tolist()),
        matrix,
        {},
        _negative(instrument, columns.side, price, quantity),
        _watermark(columns),
    )


def _align(values: Ints, scales: NDArray[np.uint8], instrument: Ints, count: int) -> tuple[Ints | None, Ints]:
    """(values at their instrument's finest scale or None, that scale per instrument)."""
    finest = np.zeros(count, np.int64)
    np.maximum.at(finest, instrument, scales)
    missing = finest[instrument] - scales
    factors = 10 ** np.arange(19, dtype=np.int64)
    if (np.abs(values) >= ((LIMIT + factors - 1) // factors)[missing]).any():
        return None, finest
    return values * factors[missing], finest


def _groups(instrument: Ints, second: Ints, count: int) -> tuple[Ints, Ints, Ints]:
    """(group number of each trade, instrument and second of each group), groups ordered by (instrument, second)."""
    start, span = int(second.min()), int(np.ptp(second)) + 1
    if span * count <= 4 * len(second):
        key = instrument * span + (second - start)
        present = np.zeros(span * count, np.int64)
        present[key] = 1
        keys = np.flatnonzero(present)
        present[keys] = np.arange(len(keys))
        return present[key], keys // span, keys % span + start
    order = np.lexsort((second, instrument))
    sorted_instrument, sorted_second = instrument[order], second[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (sorted_instrument[1:] != sorted_instrument[:-1]) | (sorted_second[1:] != sorted_second[:-1])
    group = np.empty(len(order), np.int64)
    group[order] = np.cumsum(new) - 1
    return group, sorted_instrument[new], sorted_second[new]


def _fill_sums(matrix: Rows, group: Ints, side: Ints, price: Ints, quantity: Ints) -> None:
    groups = len(matrix)
    by_side = group * 3 + side
    matrix[:, layout.TRADES : layout.TRADES + 3] = np.bincount(by_side, minlength=groups * 3).reshape(groups, 3)

    def put(first: int, lanes: list[Ints], index: Ints, width: int) -> None:
        for number, lane in enumerate(lanes):
            sums = np.bincount(index, lane, groups * width).reshape(groups, width)
            columns = [first + number + position * len(lanes) for position in range(width)]
            matrix[:, columns] = sums.astype(np.int64)

    put(layout.QUANTITY, [quantity & MASK, quantity >> 32], by_side, 3)
    put(layout.NOTIONAL, _product(price, quantity), by_side, 3)
    put(layout.SQUARES, _product(quantity, quantity), group, 1)
    layout.carry(matrix)


def _product(a: Ints, b: Ints) -> list[Ints]:
    """a * b in four lanes of 32 bits (not yet carried); |a|, |b| < 2**60 and b >= 0."""
    if int(np.abs(a).max()) * int(b.max()) < 1 << 62:
        product = a * b
        zero = np.zeros_like(product)
        return [product & MASK, product >> 32, zero, zero]
    low_a, high_a, low_b, high_b = a & MASK, a >> 32, b & MASK, b >> 32
    low = low_a.astype(np.uint64) * low_b.astype(np.uint64)
    middle_a, middle_b, high = high_a * low_b, low_a * high_b, high_a * high_b
    return [
        (low & np.uint64(MASK)).astype(np.int64),
        (low >> np.uint64(32)).astype(np.int64) + (middle_a & MASK) + (middle_b & MASK),
        (middle_a >> 32) + (middle_b >> 32) + (high & MASK),
        high >> 32,
    ]


def _fill_extremes(matrix: Rows, group: Ints, price: Ints, quantity: Ints) -> None:
    for column, ufunc, values, start in (
        (layout.QUANTITY_MIN, np.minimum, quantity, LIMIT),
        (layout.QUANTITY_MAX, np.maximum, quantity, -LIMIT),
        (layout.PRICE_MIN, np.minimum, price, LIMIT),
        (layout.PRICE_MAX, np.maximum, price, -LIMIT),
    ):
        extreme = np.full(len(matrix), start, np.int64)
        ufunc.at(extreme, group, values)
        matrix[:, column] = extreme


def _fill_order(matrix: Rows, group: Ints, timestamp: Ints, price: Ints, first_seq: int) -> None:
    """Open, last and revision. Among equal timestamps the first row opens and the last one closes: rows stand in
    order of seq, and of repeated indices numpy keeps the last assignment."""
    first = np.full(len(matrix), np.iinfo(np.int64).max)
    last = np.full(len(matrix), np.iinfo(np.int64).min)
    np.minimum.at(first, group, timestamp)
    np.maximum.at(last, group, timestamp)
    row = np.empty(len(matrix), np.int64)
    opening = np.flatnonzero(timestamp == first[group])[::-1]
    row[group[opening]] = opening
    matrix[:, layout.OPEN], matrix[:, layout.OPEN + 1], matrix[:, layout.OPEN + 2] = first, row + first_seq, price[row]
    closing = np.flatnonzero(timestamp == last[group])
    row[group[closing]] = closing
    matrix[:, layout.LAST], matrix[:, layout.LAST + 1], matrix[:, layout.LAST + 2] = last, row + first_seq, price[row]
    row[group] = np.arange(len(group))
    matrix[:, layout.REVISION] = row + first_seq


def _negative(
    instrument: Ints, side: NDArray[np.uint8], price: Ints, quantity: Ints
) -> dict[int, tuple[int, int, int]]:
    sums: dict[int, list[int]] = {}
    for row in np.flatnonzero(price < 0).tolist():
        by_side = sums.setdefault(int(instrument[row]), [0, 0, 0])
        by_side[side[row]] -= int(price[row]) * int(quantity[row])
    return {key: (value[0], value[1], value[2]) for key, value in sums.items()}


def _watermark(columns: Columns) -> Watermark | None:
    eligible = np.flatnonzero(columns.timestamp <= columns.received_at + FUTURE_NS)
    if len(eligible) == 0:
        return None
    newest = eligible[np.argmax(columns.timestamp[eligible])]
    return Watermark(int(columns.timestamp[newest]), int(columns.received_at[newest]))
