"""A batch of trades into the rings of their instruments: see gateway.alerting.rings, whose reference gives the same."""

from __future__ import annotations

from telemetry.compiled.compiler import DOUBLES, INTEGERS, SINGLES, entry, part
from telemetry.frame import Array

# As in gateway.alerting, which this package never imports; a test holds them together.
RING, FIRST, STEP = 512, 32, 384
TAKEN, DUE, HALVE = 0, 1, 2


@part
def _judged(codes: Array, count: Array, due: Array, lengths: Array) -> int:
    """What comes of the batch. `lengths` are zeros, and are so afterwards."""
    what = TAKEN
    for place in range(len(codes)):
        lengths[codes[place]] += 1
    for place in range(len(codes)):
        code = codes[place]
        if lengths[code] > min(max(count[code], FIRST), RING):
            what = HALVE
        elif lengths[code] and what == TAKEN and count[code] >= due[code]:
            what = DUE
        lengths[code] = 0
    return what


@part
def _due(codes: Array, count: Array, due: Array, lengths: Array, found: Array) -> int:
    """The instruments whose limits are to be renewed, each once; how many they are."""
    number = 0
    for place in range(len(codes)):
        code = codes[place]
        late = count[code] - due[code]
        if lengths[code] == 0 and (late >= 0 or (late >= -STEP // 2 and count[code] >= STEP)):
            found[number] = code
            number += 1
        lengths[code] = 1
    for place in range(len(codes)):
        lengths[codes[place]] = 0
    return number


@entry(INTEGERS, DOUBLES, INTEGERS, INTEGERS, DOUBLES, DOUBLES, SINGLES, INTEGERS, INTEGERS, INTEGERS)
def look(
    codes: Array, values: Array, count: Array, due: Array, low: Array, high: Array, last: Array, lengths: Array,
    found: Array, results: Array,
) -> int:  # fmt: skip
    """What comes of the batch, with `results` places (or instruments) in `found`."""
    what = _judged(codes, count, due, lengths)
    if what == HALVE:
        return what
    if what == DUE:
        results[0] = _due(codes, count, due, lengths, found)
        return what
    trades, instruments = len(codes), len(count)
    for place in range(trades):
        code, price, quantity = codes[place], values[place], values[trades + place]
        if price > high[code] or price < low[code] or quantity > high[instruments + code]:
            found[results[0]] = place
            results[0] += 1
        at = code * RING + (count[code] & (RING - 1))
        last[at] = price
        last[instruments * RING + at] = quantity
        count[code] += 1
    return what
