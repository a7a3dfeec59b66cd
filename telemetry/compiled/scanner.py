"""One pass over the bytes of a body, compiled: from JSON to checked integers, with no Python object in between.

`scan_rows` leaves the slots of each trade (telemetry.compiled.slots), `scan_columns` the columns. Both give the number
of trades, or a negative number for whatever they do not know with certainty: the reference decides then. The body must
be followed by tokens.PADDING zero bytes.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled import slots as at
from telemetry.compiled.compiler import BYTES, INDICES, INTEGER, INTEGERS, TEXT, UNSIGNED, entry, part
from telemetry.compiled.digests import hash_trade
from telemetry.compiled.instruments import code_of
from telemetry.compiled.memory import behind, pointer
from telemetry.compiled.objects import BLANK, LINE, skip, trade_at
from telemetry.compiled.tokens import DOUBT
from telemetry.frame import Array
from telemetry.times import ABSENT

_OBJECT, _ARRAY, _LINES = 0, 1, 2  # how trades follow one another
_DONE = -2
_COMMA, _LIST, _END_OF_LIST = b",[]"
_INTEGERS, _SMALL = np.array(at.INTEGER_COLUMNS), np.array(at.SMALL_COLUMNS)
_TEXTS, _TIMESTAMPS = np.array(at.TEXT_COLUMNS), at.INTEGER_COLUMNS.index(2 * at.TIMESTAMP)


@part
def _next(text: Array, place: int, size: int, layout: int) -> int:
    """From behind a trade to the next one, or _DONE when this was the last."""
    if layout == _LINES:
        place = skip(text, place, BLANK)
        if text[place] == LINE:
            place = skip(text, place, LINE)
            if place != size:
                return place
        return _DONE if place == size else DOUBT
    place = skip(text, place, LINE)
    if layout == _ARRAY:
        if text[place] == _COMMA:
            return skip(text, place + 1, LINE)
        if text[place] != _END_OF_LIST:
            return DOUBT
        place = skip(text, place + 1, LINE)
    return _DONE if place == size else DOUBT


@part
def _layout(text: Array, lines: int) -> tuple[int, int, int]:
    """How the trades follow one another, what is a line break inside them, and where the first one begins."""
    place = skip(text, 0, LINE)
    if lines:
        return _LINES, BLANK, place
    if text[place] == _LIST:
        return _ARRAY, LINE, skip(text, place + 1, LINE)
    return _OBJECT, LINE, place


@part
def _expect_first(follows: Array) -> None:
    for field in range(at.FOLLOWS):
        follows[field] = 0


@entry(TEXT, INTEGER, INTEGER, UNSIGNED, INTEGER, INTEGERS, UNSIGNED, UNSIGNED)
def scan_rows(
    body: Array, size: int, lines: int, scratch: Array, most: int, rows: Array, digests: Array, prints: Array
) -> int:
    """The slots of each trade in `rows`; digest (two words) and fingerprint where there is a trade_id.

    `size` is that of the body, `lines` is 1 when every trade has its line. No more than `most` trades are taken.
    `rows` has room for at.FOLLOWS integers more, `scratch` is u64[WORK_WORDS].
    """
    text, work, follows = pointer(body), pointer(scratch), behind(pointer(rows), most * at.COUNT)
    _expect_first(follows)
    layout, newline, place = _layout(text, lines)
    count = 0
    while place >= 0:
        if count == most:
            return DOUBT
        slots = behind(pointer(rows), count * at.COUNT)
        place = trade_at(text, place, newline, slots, follows)
        if place == DOUBT:
            return DOUBT
        if slots[2 * at.TRADE_ID + 1] > 0:
            prints[count] = hash_trade(text, slots, work, behind(pointer(digests), 2 * count))
        count += 1
        place = _next(text, place, size, layout)
    return count if place == _DONE else DOUBT


@part
def _store(
    slots: Array, row: int, most: int, integers: Array, small: Array, places: Array, code: int, received_at: int
) -> None:
    places[len(_TEXTS) * most + row] = np.uint32(code)
    for index in range(len(_INTEGERS)):
        integers[index * most + row] = slots[_INTEGERS[index]]
    if slots[2 * at.TIMESTAMP] == ABSENT:
        integers[_TIMESTAMPS * most + row] = received_at
    for index in range(len(_SMALL)):
        small[index * most + row] = np.uint8(slots[_SMALL[index]])
    for index in range(len(_TEXTS)):
        length = slots[_TEXTS[index] + 1]
        places[index * most + row] = np.uint32(slots[_TEXTS[index]])
        small[(len(_SMALL) + index) * most + row] = np.uint8(length)
        slots[at.TOTALS + index] += length


@entry(
    *(TEXT, INTEGER, INTEGER, UNSIGNED, INTEGER, INTEGER, INTEGERS, BYTES, INDICES),
    *(INTEGERS, INTEGERS, INTEGERS, UNSIGNED, UNSIGNED),
)
def scan_columns(
    body: Array,
    size: int,
    lines: int,
    scratch: Array,
    received_at: int,
    most: int,
    integers: Array,
    small: Array,
    places: Array,
    table: Array,
    entries: Array,
    result: Array,
    digests: Array,
    prints: Array,
) -> int:
    """The same as columns, one behind the other in `integers`, `small` and `places`: see telemetry.compiled.slots.

    `result` has room for at.FOLLOWS integers more than what slots says that is left there.
    """
    text, work, slots = pointer(body), pointer(scratch), pointer(result)
    follows = behind(slots, at.RESULT)
    _expect_first(follows)
    layout, newline, place = _layout(text, lines)
    count, known = 0, 0
    while place >= 0:
        if count == most:
            return DOUBT
        place = trade_at(text, place, newline, slots, follows)
        code = DOUBT if place == DOUBT else code_of(text, slots, pointer(table), len(table), pointer(entries), known)
        if code == DOUBT:
            return DOUBT
        known += code == known
        _store(slots, count, most, pointer(integers), pointer(small), pointer(places), code, received_at)
        if slots[2 * at.TRADE_ID + 1] > 0:
            prints[count] = hash_trade(text, slots, work, behind(pointer(digests), 2 * count))
        count += 1
        place = _next(text, place, size, layout)
    slots[at.KNOWN] = known
    return count if place == _DONE else DOUBT


@entry(TEXT, INDICES, BYTES, INDICES, BYTES)
def gather(body: Array, starts: Array, lengths: Array, offsets: Array, blob: Array) -> int:
    """One text column: the bytes at `starts`, one behind the other in `blob`, and where each of them ends there."""
    text, out = pointer(body), pointer(blob)
    end = 0
    for row in range(len(starts)):
        offsets[row] = end
        start, length = np.int64(starts[row]), np.int64(lengths[row])
        for place in range(length):
            out[end + place] = text[start + place]
        end += length  # type: ignore[assignment]  # numba's integers are one type
    offsets[len(starts)] = end
    return end
