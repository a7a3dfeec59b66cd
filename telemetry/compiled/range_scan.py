"""A range in the order of the journal: what range_rows and range_patterns give, without bringing trades into another
order first. Each instrument has a row of its own that its trades are added to, so all that is written to stays in the
processor's nearest memory, and columns are read once, from the beginning to the end.

The rows of an instrument are a chain, the latest second first; so are its groups of candidates, by the tens of seconds
that they count in. The next trade is mostly of the same row and group, sometimes of a later one, and where senders take
turns of one a few steps down the chain. Where it is further, or there are too many of them, it stops: then the other
two do it all.

Most trades are far from the ten largest of their instrument. What they are worth is first compared as a product that
costs a fraction of the exact one, with a margin that is thousands of times what the two may differ by.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled.compiler import (
    CODES,
    DOUBLES,
    INTEGER,
    INTEGERS,
    LONGS,
    TEXT,
    entry,
    part,
)
from telemetry.compiled.memory import pointer
from telemetry.compiled.range_patterns import (
    SLOT_NS,
    forget_ranks,
    key_of,
    rank,
    slot_of,
)
from telemetry.compiled.range_rows import SECOND_NS, UNFIT, add, aligned, begin_row, watermark_of
from telemetry.frame import Array
from telemetry.patterns import FAR, LARGEST, TRUNCATED
from telemetry.rows import WIDTH

BEHIND = -2  # a second is too far behind others, or there are too many rows or groups
_STEPS = 16
# What is known of an instrument: where its row begins and of which second it is; its group of candidates, its slot and
# where that begins; the first ones of both chains; how many possible candidates there are; where its next timestamp
# belongs.
ROW, SECOND, GROUP, SLOT, SLOT_BEGIN, ROWS_FROM, GROUPS_FROM, FOUND, PLACE, STATE = range(10)
WATERMARK, ROWS, GROUPS, FOUND_IN_ALL, RESULTS = range(5)
POSSIBLE = 3  # numbers of a possible candidate: place, KEY, group
_FUTURE_NS = 5_000_000_000
_SHRINKING = 10.0 ** -np.arange(37)
_MARGIN = 1 - 2.0**-30  # 2**-35 is what a truncated KEY tells apart, 2**-50 what the products differ by


@part
def _begin(codes: Array, size: int, instruments: int, state: Array, limits: Array) -> None:
    """Nothing is known of the instruments but where their timestamps belong."""
    for number in range(instruments * STATE):
        state[number] = 0
    for place in range(size):
        state[codes[place] * STATE + PLACE] += 1
    begin = 0
    for instrument in range(instruments):
        at = instrument * STATE
        count = state[at + PLACE]
        state[at + PLACE], state[at + ROW], state[at + GROUP] = begin, -1, -1
        state[at + ROWS_FROM] = state[at + GROUPS_FROM] = -1
        limits[instrument] = -1.0
        begin += count


@part
def _align(codes: Array, scale: Array, finest: Array) -> None:
    """The finest scale of each instrument. Mostly it is one for all, which is soon seen of each."""
    most = np.uint8(0)
    for place in range(len(scale)):
        most = max(most, scale[place])
    scales, left, place = pointer(scale), len(finest), 0
    for instrument in range(len(finest)):
        finest[instrument] = 0
    while left and most and place < len(scale):
        code = codes[place]
        if scales[place] > finest[code]:
            left -= scales[place] == most
            finest[code] = scales[place]
        place += 1


@part
def _linked(keys: Array, links: Array, state: Array, first: int, key: int, count: int) -> int:
    """The place of a key in a chain that begins where state[first] says and descends; `count`, the next free one, when
    it was not there and is now. BEHIND when it is too far down, or there is no room."""
    later, place, steps = -1, state[first], 0
    while place >= 0 and keys[place] > key:
        later, place, steps = place, links[place], steps + 1
        if steps > _STEPS:
            return BEHIND
    if place >= 0 and keys[place] == key:
        return int(place)
    if count == len(keys):
        return BEHIND
    keys[count], links[count] = key, place
    if later < 0:
        state[first] = count
    else:
        links[later] = count
    return count


@part
def _turn_row(
    made: Array, seconds: Array, row_links: Array, state: Array, at: int, instrument: int, when: int, price: int,
    quantity: int, results: Array,
) -> int:  # fmt: skip
    """The row of another second of an instrument, or BEHIND."""
    second = when // SECOND_NS
    place = _linked(seconds, row_links, state, at + ROWS_FROM, second, results[ROWS])
    if place == BEHIND:
        return BEHIND
    if place == results[ROWS]:
        begin_row(made, place * WIDTH, instrument, second, price, quantity)
        results[ROWS] += 1
    state[at + ROW], state[at + SECOND] = place * WIDTH, second * SECOND_NS
    return int(place * WIDTH)


@part
def _turn_group(
    slots: Array, group_links: Array, best: Array, limits: Array, state: Array, at: int, instrument: int, when: int,
    received_at: int, results: Array,
) -> int:  # fmt: skip
    """The group of another slot of an instrument, or BEHIND."""
    slot = slot_of(when, received_at)
    group = _linked(slots, group_links, state, at + GROUPS_FROM, slot, results[GROUPS])
    if group == BEHIND:
        return BEHIND
    if group == results[GROUPS]:
        forget_ranks(best, group * LARGEST)
        results[GROUPS] += 1
    state[at + GROUP], state[at + SLOT] = group, slot
    state[at + SLOT_BEGIN] = 0 if slot == FAR else slot * SLOT_NS
    limits[instrument] = _limit(best[group * LARGEST])
    return group


@part
def _limit(worth: int) -> float:
    """What a product must be at least for a truncated KEY not to be smaller than this one."""
    return np.int64(worth << TRUNCATED).view(np.float64) * _MARGIN if worth >= 0 else -1.0


@part
def _is_in_slot(state: Array, at: int, when: int, received_at: int) -> bool:
    if when > received_at:
        if when > received_at + _FUTURE_NS:
            return bool(state[at + SLOT] == FAR)
        when = received_at
    return bool(state[at + SLOT] != FAR) and 0 <= when - state[at + SLOT_BEGIN] < SLOT_NS


@part
def _possible(
    possible: Array, best: Array, limits: Array, state: Array, at: int, instrument: int, place: int,
    key: int, results: Array,
) -> None:  # fmt: skip
    """Note a trade that may be among the largest of its group, and what others must be worth from now on."""
    group = state[at + GROUP]
    first, worth = group * LARGEST, key >> TRUNCATED
    if worth < best[first]:
        return
    to = results[FOUND_IN_ALL] * POSSIBLE
    possible[to], possible[to + 1], possible[to + 2] = place, key, group
    results[FOUND_IN_ALL] += 1
    state[at + FOUND] += 1
    rank(best, first, worth)
    limits[instrument] = _limit(best[first])


@entry(
    *(CODES, TEXT, LONGS, TEXT, LONGS, TEXT, LONGS, LONGS, INTEGER),
    *(INTEGERS, DOUBLES, INTEGERS, INTEGERS, INTEGERS, INTEGERS),
    *(INTEGERS, INTEGERS, INTEGERS, INTEGERS, INTEGERS, INTEGERS, INTEGERS),
)
def scan(
    instrument: Array, side: Array, price: Array, price_scale: Array, quantity: Array, quantity_scale: Array,
    timestamp: Array, received_at: Array, first_seq: int,
    state: Array, limits: Array, price_finest: Array, quantity_finest: Array, made: Array, seconds: Array,
    row_links: Array, slots: Array, group_links: Array, best: Array, possible: Array, apart: Array, results: Array,
) -> int:  # fmt: skip
    """The rows in any order, the timestamps of each instrument apart, possible candidates, and `results`: 0, else UNFIT
    or BEHIND. `made` and the chains have room for rows and groups, `possible` and `apart` for all trades."""
    codes, sides, prices, quantities = pointer(instrument), pointer(side), pointer(price), pointer(quantity)
    price_scales, quantity_scales = pointer(price_scale), pointer(quantity_scale)
    times, arrivals, known, out, to = (
        pointer(timestamp), pointer(received_at), pointer(state), pointer(made), pointer(apart)
    )  # fmt: skip
    finest, finest_size, least, most = pointer(price_finest), pointer(quantity_finest), pointer(limits), pointer(best)
    _begin(codes, len(price), len(price_finest), known, least)
    _align(codes, price_scale, price_finest)
    _align(codes, quantity_scale, quantity_finest)
    for place in range(len(price)):
        code, when = int(np.int64(codes[place])), int(times[place])
        of = aligned(prices[place], finest[code] - price_scales[place])
        size = aligned(quantities[place], finest_size[code] - quantity_scales[place])
        if of < 0 or size < 0:
            return UNFIT
        at = code * STATE
        row, group = known[at + ROW], known[at + GROUP]
        if row < 0 or not 0 <= when - known[at + SECOND] < SECOND_NS:
            row = _turn_row(out, seconds, row_links, known, at, code, when, of, size, results)
        if group < 0 or not _is_in_slot(known, at, when, arrivals[place]):
            group = _turn_group(slots, group_links, most, least, known, at, code, when, arrivals[place], results)
        if row < 0 or group < 0:
            return BEHIND
        add(out, row, sides[place], of, size, when, first_seq + place)
        to[known[at + PLACE]] = when
        known[at + PLACE] += 1
        if np.float64(of) * np.float64(size) * _SHRINKING[finest[code] + finest_size[code]] >= least[code]:
            key = key_of(prices[place], price_scales[place], quantities[place], quantity_scales[place])
            _possible(possible, most, least, known, at, code, place, key, results)
    results[WATERMARK] = watermark_of(timestamp, received_at)
    return 0
