"""One pass over the bytes of a body, compiled: from JSON to checked integers, with no Python object in between.

`scan_rows` leaves the slots of each trade (telemetry.compiled.slots), `scan_columns` the columns. Both give the number
of trades, or a negative number for whatever they do not know with certainty: the reference decides then. The body must
be followed by tokens.PADDING zero bytes.

The columns are written to memory for `capacity` trades (telemetry.compiled.slots), from where
telemetry.compiled.columns takes them. With `before` the trades of a body come behind so many that are there from bodies
elsewhere in the same bytes, which must stay as they are until then. `most` trades and `instruments` are the limits for
all of them, the first at most the capacity, the second at most that or the trades. It gives the number of all, MORE
when there would be more trades, DOUBT also for more instruments; with both the memory holds what it held before.
"""

from __future__ import annotations

from telemetry.compiled import slots as at
from telemetry.compiled.alike import next_trade
from telemetry.compiled.columns import begin_columns, store
from telemetry.compiled.compiler import BYTES, INDICES, INTEGER, INTEGERS, TEXT, UNSIGNED, entry, part
from telemetry.compiled.digests import hash_trade, of_instrument
from telemetry.compiled.instruments import clear, code_of, forget, size_of_table
from telemetry.compiled.memory import behind, pointer
from telemetry.compiled.objects import BLANK, LINE, skip, trade_at
from telemetry.compiled.tokens import DOUBT
from telemetry.frame import Array

_OBJECT, _ARRAY, _LINES = 0, 1, 2  # how trades follow one another
_DONE = -2
MORE = -3  # trades than there is memory for
_COMMA, _LIST, _END_OF_LIST = b",[]"
_TABLE = len(at.TEXT_COLUMNS) + 1
Memory = tuple[Array, Array, Array]  # the columns of integers, indices and small ones


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
def _layout(text: Array, start: int, lines: int) -> tuple[int, int, int]:
    """How the trades follow one another, what is a line break inside them, and where the first one begins."""
    place = skip(text, start, LINE)
    if lines:
        return _LINES, BLANK, place
    if text[place] == _LIST:
        return _ARRAY, LINE, skip(text, place + 1, LINE)
    return _OBJECT, LINE, place


@part
def _expect_first(follows: Array) -> None:
    for field in range(at.SHAPE + 1):
        follows[field] = 0
    follows[at.PLAN], follows[at.PLAN + 1] = 0, 0


@entry(TEXT, INTEGER, INTEGER, UNSIGNED, INTEGER, INTEGERS, UNSIGNED)
def scan_rows(body: Array, size: int, lines: int, words: Array, most: int, rows: Array, digests: Array) -> int:
    """The slots of each trade in `rows`; the key digests (two words each) and fingerprints behind them in `digests`.

    `size` is that of the body, `lines` is 1 when every trade has its line. No more than `most` trades are taken.
    `rows` has room for at.FOLLOWS integers more, `digests` for at.SUMS more. For `words` see compiled.digests.
    """
    text, random, follows = pointer(body), pointer(words), behind(pointer(rows), most * at.COUNT)
    sums = behind(pointer(digests), at.DIGESTS * most)
    _expect_first(follows)
    layout, newline, place = _layout(text, 0, lines)
    count = 0
    while place >= 0:
        if count == most:
            return DOUBT
        slots = behind(pointer(rows), count * at.COUNT)
        place = trade_at(text, place, newline, slots, follows)
        if place == DOUBT:
            return DOUBT
        if slots[2 * at.TRADE_ID + 1] > 0:
            kind, multiplier, scale = slots[2 * at.KIND], slots[2 * at.MULTIPLIER], slots[2 * at.MULTIPLIER + 1]
            of_instrument(text, slots, kind, multiplier, scale, random, sums)
        digests[2 * most + count] = hash_trade(text, slots, random, sums, behind(pointer(digests), 2 * count))
        count += 1
        place = _next(text, place, size, layout)
    return count if place == _DONE else DOUBT


@part
def _add(slots: Array, memory: Memory, capacity: int, row: int, code: int, new_fields: int) -> None:
    """One trade to the columns; its instrument is `code`."""
    columns, places, octets = memory
    if new_fields:
        begin_columns(new_fields, row, capacity, columns, octets)
    if code == slots[at.KNOWN]:
        texts = slots[2 * at.VENUE + 1] + slots[2 * at.SYMBOL + 1] + slots[2 * at.CURRENCY + 1]
        slots[at.RECORDS] += at.RECORD + texts
        slots[at.KNOWN] += 1
    store(slots, row, capacity, columns, octets, places, code)


@part
def _begin(slots: Array, follows: Array, table: Array, table_size: int) -> None:
    for slot in range(at.SEEN, at.RESULT):
        slots[slot] = 0
    _expect_first(follows)
    clear(table, table_size)


@part
def _mark(slots: Array, follows: Array) -> None:
    for slot in range(at.SEEN, at.RESULT):
        follows[at.MARK + slot - at.SEEN] = slots[slot]


@part
def _take_back(slots: Array, follows: Array, table: Array, table_size: int) -> None:
    """As it was at the mark. The shape may be that of a trade in this body, whose memory will have another one."""
    for slot in range(at.SEEN, at.RESULT):
        slots[slot] = follows[at.MARK + slot - at.SEEN]
    _expect_first(follows)
    forget(table, table_size, slots[at.KNOWN])


@entry(
    *(TEXT, INTEGER, INTEGER, INTEGER),
    *(INTEGER, INTEGER, INTEGER, INTEGER, INTEGERS, INDICES, BYTES),
)
def scan_columns(
    body: Array,
    start: int,
    size: int,
    lines: int,
    before: int,
    most: int,
    instruments: int,
    capacity: int,
    integers: Array,
    indices: Array,
    small: Array,
) -> int:
    """The same as columns of the `size` bytes from `start` on, in memory for `capacity` trades; see the module."""
    text, slots = pointer(body), pointer(integers)
    follows = behind(slots, at.RESULT)
    memory = (behind(follows, at.FOLLOWS), pointer(indices), pointer(small))
    entries = behind(memory[0], len(at.INTEGER_COLUMNS) * capacity)
    table, table_size = behind(memory[1], _TABLE * capacity), size_of_table(instruments)
    if before == 0:
        _begin(slots, follows, table, table_size)
    _mark(slots, follows)
    layout, newline, place = _layout(text, start, lines)
    count, end = before, start + size
    while place >= 0 and count < most:
        seen = slots[at.SEEN]
        place = next_trade(text, place, newline, slots, follows)
        code = DOUBT if place == DOUBT else code_of(text, slots, table, table_size, entries, slots[at.KNOWN])
        if code in (DOUBT, instruments):
            place = DOUBT
            break
        _add(slots, memory, capacity, count, code, slots[at.SEEN] ^ seen)
        count += 1
        place = _next(text, place, end, layout)
    if place == _DONE:
        return count
    _take_back(slots, follows, table, table_size)
    return DOUBT if place == DOUBT else MORE
