"""A batch of trades into the rings of their instruments: see gateway.alerting.rings, whose reference gives the same.

Matrices of two rows, prices and quantities, come flat: the second row begins at their middle.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled.compiler import (
    CODES,
    DOUBLES,
    INTEGER,
    INTEGERS,
    LONGS,
    SINGLES,
    TEXT,
    entry,
    part,
)
from telemetry.compiled.memory import behind, pointer
from telemetry.frame import Array

# As in gateway.alerting, which this package never imports; a test holds them together.
RING, FIRST, STEP, FADE = 512, 32, 384, 0.9
TAKEN, DUE, HALVE = 0, 1, 2
NORMAL = np.float32(1.4826)


@entry(LONGS, *(CODES, LONGS, TEXT, LONGS, TEXT), DOUBLES, INTEGER, *(INTEGERS, DOUBLES, DOUBLES))
def collect(
    numbers: Array, instrument: Array, price: Array, price_scale: Array, quantity: Array, quantity_scale: Array,
    powers: Array, at: int, codes: Array, prices: Array, quantities: Array,
) -> int:  # fmt: skip
    """The trades of a commit as rules see them, from place `at` on: the `numbers` of their instruments, and doubles."""
    of, units, factors = pointer(numbers), pointer(instrument), pointer(powers)
    to_codes, to_prices, to_quantities = (
        behind(pointer(codes), at),
        behind(pointer(prices), at),
        behind(pointer(quantities), at),
    )
    values, scales, sizes, size_scales = (
        pointer(price),
        pointer(price_scale),
        pointer(quantity),
        pointer(quantity_scale),
    )
    for row in range(len(price)):
        to_codes[row] = of[units[row]]
        to_prices[row] = values[row] * factors[scales[row]]
        to_quantities[row] = sizes[row] * factors[size_scales[row]]
    return len(price)


@part
def _count(codes: Array, start: int, stop: int, lengths: Array, found: Array) -> int:
    """How many trades each instrument has, in `lengths`, and in `found` each instrument once; how many they are. Ends
    at the first that has more than any batch may."""
    number, of, counts, to = 0, pointer(codes), pointer(lengths), pointer(found)
    for place in range(start, stop):
        code = of[place]
        count = counts[code] + 1
        to[number] = code
        number += count == 1
        counts[code] = count
        if count > RING:
            break
    return number


@part
def _judged(present: Array, number: int, count: Array, due: Array, lengths: Array) -> int:
    """What comes of the batch. `lengths` are zeros afterwards."""
    what = TAKEN
    for place in range(number):
        code = present[place]
        if lengths[code] > min(max(count[code], FIRST), RING):
            what = HALVE
        elif what == TAKEN and count[code] >= due[code]:
            what = DUE
        lengths[code] = 0
    return what


@part
def _due(present: Array, number: int, count: Array, due: Array) -> int:
    """Leave only the instruments whose limits are to be renewed; how many they are."""
    kept = 0
    for place in range(number):
        code = present[place]
        late = count[code] - due[code]
        if late >= 0 or (late >= -STEP // 2 and count[code] >= STEP):
            present[kept] = code
            kept += 1
    return kept


@entry(
    *(INTEGERS, INTEGER, INTEGER), *(INTEGERS, INTEGERS, INTEGERS, INTEGERS, INTEGERS),
)  # fmt: skip
def judge(
    codes: Array, start: int, stop: int, count: Array, due: Array, lengths: Array, found: Array, results: Array,
) -> int:  # fmt: skip
    """What comes of the trades start..stop - 1: with DUE, `results` instruments in `found`, which has room for one more
    than they are. `lengths` are zeros, and are so afterwards."""
    number = _count(codes, start, stop, lengths, found)
    what = _judged(found, number, count, due, lengths)
    if what == DUE:
        results[0] = _due(found, number, count, due)
    return what


@entry(*(INTEGERS, DOUBLES, DOUBLES, INTEGER, INTEGER), *(INTEGERS, DOUBLES, DOUBLES, SINGLES, INTEGERS))
def take(
    codes: Array, prices: Array, quantities: Array, start: int, stop: int,
    count: Array, low: Array, high: Array, last: Array, found: Array,
) -> int:  # fmt: skip
    """Take in the trades start..stop - 1: the places of those that do not pass in `found`, and how many they are."""
    instruments, number = len(count), 0
    of, values, sizes, counts = pointer(codes), pointer(prices), pointer(quantities), pointer(count)
    least, most, ring, other = pointer(low), pointer(high), pointer(last), instruments * RING
    for place in range(start, stop):
        code, price, quantity = of[place], values[place], sizes[place]
        if price > most[code] or price < least[code] or quantity > most[instruments + code]:
            found[number] = place
            number += 1
        held = counts[code]
        at = code * RING + (held & (RING - 1))
        ring[at] = price
        ring[other + at] = quantity
        counts[code] = held + 1
    return number


@part
def _deviation(ordered: Array, begin: int, size: int) -> np.float32:
    """The median distance of `size` ascending values from their median: distances ascend from it to both sides, so it
    is found by bisection between how many of the smaller half are below and how many above."""
    middle = begin + size // 2
    smaller, above = size // 2 + 1, size - size // 2 - 1
    least, most = smaller - above, smaller
    while least < most:
        below = (least + most) // 2
        if ordered[middle] - ordered[middle - below] >= ordered[middle + smaller - below] - ordered[middle]:
            most = below
        else:
            least = below + 1
    largest = np.float32(0)
    if least > 0:
        largest = ordered[middle] - ordered[middle - least + 1]
    if smaller > least:
        largest = max(largest, ordered[middle + smaller - least] - ordered[middle])
    return largest


@entry(*(INTEGERS, SINGLES, INTEGER), *(INTEGERS, INTEGERS, DOUBLES, DOUBLES), *(DOUBLES, DOUBLES, DOUBLES))
def measure(
    codes: Array, ordered: Array, width: int, count: Array, due: Array, low: Array, high: Array,
    middle: Array, deviation: Array, tail: Array,
) -> int:  # fmt: skip
    """Median, deviation and tail of these instruments, whose trades are `ordered`, `width` places for each; no limits,
    and the number at which they are due again."""
    instruments, number = len(count), len(codes)
    for place in range(number):
        code = codes[place]
        size = min(count[code], RING)
        for row in range(2):
            of, begin = row * instruments + code, (row * number + place) * width
            middle[of] = ordered[begin + size // 2]
            deviation[of] = NORMAL * _deviation(ordered, begin, size)
            tail[of] = max(np.float64(ordered[begin - (-99 * size // 100) - 1]), FADE * tail[of])
            high[of] = np.inf
        low[code] = -np.inf
        due[code] = count[code] + min(max(size, FIRST), STEP)
    return number


@entry(
    *(INTEGERS, INTEGER, INTEGER, DOUBLES), *(DOUBLES, DOUBLES, DOUBLES), INTEGERS, *(DOUBLES, DOUBLES),
    *(INTEGERS, DOUBLES, DOUBLES),
)  # fmt: skip
def limit(
    codes: Array, row: int, trades: int, parameters: Array, middle: Array, deviation: Array, tail: Array,
    judged: Array, lowest: Array, highest: Array, count: Array, low: Array, high: Array,
) -> int:  # fmt: skip
    """The limits of one rule, as gateway.alerting.outliers says, and what passes it and the rules before. `parameters`
    are deviations, the floor of them and the factor of the tail; `row` 1 is of quantities."""
    instruments = len(count)
    for place in range(len(codes)):
        code = codes[place]
        of = row * instruments + code
        if min(count[code], RING) >= trades:
            spread = parameters[0] * max(deviation[of], parameters[1] * abs(middle[of]))
            if spread == 0 or judged[code] == 0:
                spread = np.inf
            if row == 1:
                highest[code] = max(middle[of] + spread, parameters[2] * tail[of])
            else:
                lowest[code], highest[code] = middle[of] - spread, middle[of] + spread
        low[code], high[of] = max(low[code], lowest[code]), min(high[of], highest[code])
    return len(codes)
