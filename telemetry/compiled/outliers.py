"""Single trades into the rings of their instruments, and what passes: see gateway.alerting.looking, whose reference
gives the same.

Matrices come flat: of two rows those of prices come first, then those of quantities; of rules one after the other.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled.compiler import (
    BITS,
    BYTES,
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
from telemetry.compiled.selecting import nth_smallest, turned
from telemetry.frame import Array

# As in gateway.alerting, which this package never imports; a test holds them together.
RING, FIRST, STEP, FADE = 512, 32, 384, 0.9
NORMAL = np.float32(1.4826)
_RINGS = INTEGERS, INTEGERS, DOUBLES, DOUBLES, SINGLES, BITS, DOUBLES, DOUBLES, DOUBLES
_RULES = LONGS, LONGS, DOUBLES, BYTES, DOUBLES, DOUBLES
_WORK = SINGLES, BITS


@part
def _measure(
    code: int, instruments: int, size: int, bits: Array, middle: Array, deviation: Array, tail: Array,
    work: Array, keys: Array,
) -> int:  # fmt: skip
    """Median, robust deviation and tail of an instrument whose last trades are `size`."""
    for row in range(2):
        of = row * instruments + code
        ring = behind(bits, of * RING)
        for place in range(size):
            keys[place] = turned(ring[place])
        half, most = nth_smallest(keys, size, size // 2), turned(keys[0])
        if row == 1:
            most = turned(nth_smallest(keys, size, -(-99 * size // 100) - 1))
        for place in range(size):
            keys[place] = turned(keys[place])
        keys[size] = turned(half)
        keys[size + 1] = most
        median = work[size]
        middle[of] = median
        if row == 1:
            tail[code] = max(np.float64(work[size + 1]), FADE * tail[code])
        for place in range(size):
            work[place] = abs(work[place] - median)
        keys[0] = nth_smallest(keys, size, size // 2)
        deviation[of] = NORMAL * work[0]
    return size


@part
def _limit(
    code: int, instruments: int, size: int, low: Array, high: Array, middle: Array, deviation: Array, tail: Array,
    rules: int, rows: Array, trades: Array, factors: Array, judged: Array, lowest: Array, highest: Array,
) -> int:  # fmt: skip
    """The limits of each rule for an instrument, as gateway.alerting.outliers says, and what passes all of them."""
    low[code], high[code], high[instruments + code] = -np.inf, np.inf, np.inf
    for rule in range(rules):
        row, at = rows[rule], rule * instruments + code
        of = row * instruments + code
        if size >= trades[rule]:
            spread = factors[3 * rule] * max(deviation[of], factors[3 * rule + 1] * abs(middle[of]))
            if spread == 0 or judged[at] == 0:
                spread = np.inf
            if row == 1:
                highest[at] = max(middle[of] + spread, factors[3 * rule + 2] * tail[code])
            else:
                lowest[at], highest[at] = middle[of] - spread, middle[of] + spread
        low[code], high[of] = max(low[code], lowest[at]), min(high[of], highest[at])
    return rules


@part
def _renew(
    code: int, count: Array, low: Array, high: Array, bits: Array, middle: Array, deviation: Array, tail: Array,
    rows: Array, trades: Array, factors: Array, judged: Array, lowest: Array, highest: Array,
    work: Array, keys: Array,
) -> int:  # fmt: skip
    """Measure the last trades of an instrument and renew what passes; how many they are."""
    instruments, size = len(count), min(count[code], RING)
    known = pointer(middle), pointer(deviation), pointer(tail)
    _measure(code, instruments, size, pointer(bits), *known, pointer(work), pointer(keys))
    of_rules = pointer(rows), pointer(trades), pointer(factors), pointer(judged), pointer(lowest), pointer(highest)
    _limit(code, instruments, size, pointer(low), pointer(high), *known, len(rows), *of_rules)
    return int(size)


@entry(LONGS, *_RINGS, *_RULES, *_WORK)
def renew(
    codes: Array, count: Array, due: Array, low: Array, high: Array, last: Array, bits: Array,
    middle: Array, deviation: Array, tail: Array,
    rows: Array, trades: Array, factors: Array, judged: Array, lowest: Array, highest: Array,
    work: Array, keys: Array,
) -> int:  # fmt: skip
    """As `_renew`, of these instruments."""
    rules = rows, trades, factors, judged, lowest, highest
    for place in range(len(codes)):
        _renew(codes[place], count, low, high, bits, middle, deviation, tail, *rules, work, keys)
    return len(codes)


@entry(*(LONGS, CODES, LONGS, TEXT, LONGS, TEXT), *(DOUBLES, INTEGER), *_RINGS, *_RULES, *_WORK, *(INTEGERS, INTEGERS))
def feed(
    numbers: Array, instrument: Array, price: Array, price_scale: Array, quantity: Array, quantity_scale: Array,
    powers: Array, start: int, count: Array, due: Array, low: Array, high: Array, last: Array, bits: Array,
    middle: Array, deviation: Array, tail: Array,
    rows: Array, trades: Array, factors: Array, judged: Array, lowest: Array, highest: Array,
    work: Array, keys: Array, found: Array, results: Array,
) -> int:  # fmt: skip
    """Take in the trades of a commit from row `start` on; the row behind the last one. `results` are how many do not
    pass, whose rows are in `found`, and how many are of instruments that are left out. Ends when `found` is full, and
    before limits are renewed while something is found: it is to be told by those that it was judged by."""
    instruments, row, beyond, left_out = len(count), start, 0, 0
    of, units, tens = pointer(numbers), pointer(instrument), pointer(powers)
    scales, size_scales = pointer(price_scale), pointer(quantity_scale)
    prices, sizes, counts, dues = pointer(price), pointer(quantity), pointer(count), pointer(due)
    least, most, ring, other, to = pointer(low), pointer(high), pointer(last), instruments * RING, pointer(found)
    while row < len(price) and beyond < len(found):
        code = of[units[row]]
        if code >= instruments:
            left_out, row = left_out + 1, row + 1
            continue
        held = counts[code]
        if held >= dues[code]:
            if beyond:
                break
            rules = rows, trades, factors, judged, lowest, highest
            size = _renew(code, count, low, high, bits, middle, deviation, tail, *rules, work, keys)
            dues[code] = held + min(max(size, FIRST), STEP)
        value, amount = prices[row] * tens[scales[row]], sizes[row] * tens[size_scales[row]]
        at, counts[code] = code * RING + (held & (RING - 1)), held + 1
        ring[at], ring[other + at] = value, amount
        if value > most[code] or value < least[code] or amount > most[instruments + code]:
            to[beyond] = row
            beyond += 1
        row += 1
    results[0], results[1] = beyond, left_out
    return row
