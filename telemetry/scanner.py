"""One pass over the bytes of a body, compiled: from JSON to checked integers, with no Python object in between.

`scan_rows` leaves the slots of each trade (telemetry.slots), `scan_columns` the columns. Both give the number of
trades, or a negative number for whatever they do not know with certainty: the reference decides then.

JSON is read strictly, without a tree: an object is names and values in any order; the order of the trade before tells
which name to expect, so that a name usually costs one comparison. `text` is the body and PADDING zeros, see tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from telemetry import slots as at
from telemetry.compiler import (
    BYTES,
    INDICES,
    INTEGER,
    INTEGERS,
    TEXT,
    UNSIGNED,
    entry,
    part,
)
from telemetry.digests_compiled import WORK_WORDS, hash_trade
from telemetry.frame import Array
from telemetry.instruments import code_of
from telemetry.memory import WORD_BYTES, behind, pointer, word_at
from telemetry.tokens import DOUBT, decimal_at, identifier_at, integer_at, text_at, time_at
from telemetry.trade import KINDS, LIQUIDITIES, SIDES

OBJECT, ARRAY, LINES = 0, 1, 2  # how trades follow one another
_DONE = -2
_BLANK, _TAB, _RETURN, _LINE = b" \t\r\n"
_QUOTE, _COLON, _COMMA, _OPEN, _CLOSE, _LIST, _END_OF_LIST = b'":,{}[]'
_N, _U, _L = b"nul"
_HIGHEST_ASCII = 0x7F



def _words(texts: Sequence[str]) -> tuple[Array, Array, Array]:
    """For texts of at most 15 bytes: the two words of each with the quote behind it, the masks, the size with it."""
    sizes = [len(text) + 1 for text in texts]
    raw = b"".join(f'{text}"'.encode().ljust(2 * WORD_BYTES, b"\0") for text in texts)
    masks = b"".join((b"\xff" * size).ljust(2 * WORD_BYTES, b"\0") for size in sizes)
    return np.frombuffer(raw, np.uint64), np.frombuffer(masks, np.uint64), np.array(sizes)


_NAMES, _NAME_MASKS, _NAME_SIZES = _words(at.FIELDS)
_CHOICES: dict[int, tuple[str, ...]] = {
    at.SIDE: SIDES,
    at.KIND: ("\0", *KINDS),  # its code 0 is "not given", which no text says
    at.ACTION: ("new",),
    at.LIQUIDITY: ("", *LIQUIDITIES),
}
_MOST_CHOICES = 4
_CHOICE, _CHOICE_MASKS, _CHOICE_SIZES = _words(
    [
        text
        for field in range(len(at.FIELDS))
        for text in (*_CHOICES.get(field, ()), *["\0"] * _MOST_CHOICES)[:_MOST_CHOICES]
    ]
)
_INTEGERS, _SMALL = np.array(at.INTEGER_COLUMNS), np.array(at.SMALL_COLUMNS)
_TEXTS = np.array(at.TEXT_COLUMNS)
_FOLLOWS = len(at.FIELDS) + 1
SCRATCH_WORDS = _FOLLOWS + WORK_WORDS
_REQUIRED = 1 << at.SYMBOL | 1 << at.PRICE | 1 << at.QUANTITY


@part
def _skip(text: Array, place: int, newline: int) -> int:
    """Behind white space; `newline` is a blank where a line break is none."""
    while True:
        code = text[place]
        if code > _BLANK or (code != _BLANK and code != newline and code != _RETURN and code != _TAB):
            return place
        place += 1


@part
def _is_name(text: Array, place: int, field: int) -> bool:
    low = word_at(text, place) & _NAME_MASKS[2 * field] == _NAMES[2 * field]
    return low and word_at(text, place + WORD_BYTES) & _NAME_MASKS[2 * field + 1] == _NAMES[2 * field + 1]


@part
def _field_at(text: Array, place: int, guess: int) -> int:
    if _is_name(text, place, guess):
        return guess
    for field in range(len(at.FIELDS)):
        if _is_name(text, place, field):
            return field
    return DOUBT


@part
def _choice_at(text: Array, place: int, slots: Array, field: int) -> int:
    """One of a few texts: its code is left in the first slot, but liquidity stays a text."""
    if text[place] != _QUOTE:
        return DOUBT
    word = word_at(text, place + 1)
    for code in range(_MOST_CHOICES):
        choice = field * _MOST_CHOICES + code
        if word & _CHOICE_MASKS[2 * choice] == _CHOICE[2 * choice]:
            slots[2 * field] = place + 1 if field == at.LIQUIDITY else code
            slots[2 * field + 1] = _CHOICE_SIZES[choice] - 1
            return place + 1 + _CHOICE_SIZES[choice]  # type: ignore[no-any-return]
    return DOUBT


@part
def _value_at(text: Array, place: int, slots: Array, field: int) -> int:
    slot = 2 * field
    if text[place] == _N:
        is_null = text[place + 1] == _U and text[place + 2] == _L and text[place + 3] == _L
        return place + 4 if is_null and not _REQUIRED >> field & 1 else DOUBT
    if field <= at.SOURCE:
        return text_at(text, place, slots, slot)
    if field == at.TRADE_ID:
        return identifier_at(text, place, slots, slot)
    if field <= at.ACTION:
        return _choice_at(text, place, slots, field)
    if field <= at.FEE:
        return decimal_at(text, place, slots, slot)
    if field <= at.ORDER_SENT_AT:
        return time_at(text, place, slots, slot)
    return integer_at(text, place, slots, slot)


@part
def _trade_at(text: Array, place: int, newline: int, slots: Array, follows: Array) -> int:
    """One object: its values in `slots`. `follows` is the field that came behind each one last time."""
    for slot in range(at.COUNT):
        slots[slot] = at.DEFAULTS[slot]
    if text[place] != _OPEN:
        return DOUBT
    seen, last = 0, len(at.FIELDS)
    while True:
        place = _skip(text, place + 1, newline)
        if text[place] != _QUOTE:
            return DOUBT
        field = _field_at(text, place + 1, np.int64(follows[last]))
        if field == DOUBT or seen >> field & 1:
            return DOUBT
        follows[last] = np.uint64(field)
        seen |= 1 << field
        last = field
        place = _skip(text, place + 1 + _NAME_SIZES[field], newline)
        if text[place] != _COLON:
            return DOUBT
        place = _value_at(text, _skip(text, place + 1, newline), slots, field)
        if place == DOUBT:
            return DOUBT
        place = _skip(text, place, newline)
        if text[place] != _COMMA:
            break
    if text[place] != _CLOSE or seen & _REQUIRED != _REQUIRED or not _obeys_rules(text, slots):
        return DOUBT
    return place + 1


@part
def _obeys_rules(text: Array, slots: Array) -> bool:
    """What no value alone can tell; completes the kind."""
    start, length = slots[2 * at.SYMBOL], slots[2 * at.SYMBOL + 1]
    if length == 0 or text[start] == _BLANK or text[start + length - 1] == _BLANK:
        return False
    if slots[2 * at.KIND] == 0:
        is_ours = slots[2 * at.ACCOUNT + 1] > 0 or slots[2 * at.ORDER_ID + 1] > 0
        slots[2 * at.KIND] = at.FILL if is_ours else at.PRINT
    return slots[2 * at.QUANTITY] > 0 and slots[2 * at.MULTIPLIER] > 0  # type: ignore[no-any-return]


@part
def _next(text: Array, place: int, size: int, layout: int) -> int:
    """From behind a trade to the next one, or _DONE when this was the last."""
    if layout == LINES:
        place = _skip(text, place, _BLANK)
        if text[place] == _LINE:
            place = _skip(text, place, _LINE)
            if place != size:
                return place
        return _DONE if place == size else DOUBT
    place = _skip(text, place, _LINE)
    if layout == ARRAY:
        if text[place] == _COMMA:
            return _skip(text, place + 1, _LINE)
        if text[place] != _END_OF_LIST:
            return DOUBT
        place = _skip(text, place + 1, _LINE)
    return _DONE if place == size else DOUBT


@part
def _layout(text: Array, lines: int) -> tuple[int, int, int]:
    """How the trades follow one another, what is a line break inside them, and where the first one begins."""
    place = _skip(text, 0, _LINE)
    if lines:
        return LINES, _BLANK, place
    if text[place] == _LIST:
        return ARRAY, _LINE, _skip(text, place + 1, _LINE)
    return OBJECT, _LINE, place


@part
def _expect_first(follows: Array) -> None:
    for field in range(_FOLLOWS):
        follows[field] = np.uint64(0)


@entry(TEXT, INTEGER, INTEGER, UNSIGNED, INTEGER, INTEGERS, UNSIGNED, UNSIGNED)
def scan_rows(
    body: Array, size: int, lines: int, scratch: Array, most: int, rows: Array, digests: Array, prints: Array
) -> int:
    """The slots of each trade in `rows`; digest (two words) and fingerprint where there is a trade_id.

    `size` is that of the body, `lines` is 1 when every trade has its line. No more than `most` trades are taken.
    """
    text, follows, work = pointer(body), pointer(scratch), behind(pointer(scratch), _FOLLOWS)
    _expect_first(follows)
    layout, newline, place = _layout(text, lines)
    count = 0
    while place >= 0:
        if count == most:
            return DOUBT
        slots = behind(pointer(rows), count * at.COUNT)
        place = _trade_at(text, place, newline, slots, follows)
        if place == DOUBT:
            return DOUBT
        if slots[2 * at.TRADE_ID + 1] > 0:
            prints[count] = hash_trade(text, slots, work, behind(pointer(digests), 2 * count))
        count += 1
        place = _next(text, place, size, layout)
    return count if place == _DONE else DOUBT


@entry(
    *(TEXT, INTEGER, INTEGER, UNSIGNED, INTEGER, INTEGERS, BYTES, INDICES, INDICES),
    *(INTEGERS, INTEGERS, INTEGERS, UNSIGNED, UNSIGNED),
)
def scan_columns(
    body: Array,
    size: int,
    lines: int,
    scratch: Array,
    most: int,
    integers: Array,
    small: Array,
    places: Array,
    codes: Array,
    table: Array,
    entries: Array,
    totals: Array,
    digests: Array,
    prints: Array,
) -> int:
    """The same as columns: one behind the other in `integers`, `small` and `places` (see slots), codes of instruments.

    `totals` has the bytes of each text column, and behind them the number of instruments.
    """
    text, follows, work = pointer(body), pointer(scratch), behind(pointer(scratch), _FOLLOWS)
    slots = pointer(totals)
    _expect_first(follows)
    layout, newline, place = _layout(text, lines)
    count, known = 0, 0
    while place >= 0:
        if count == most:
            return DOUBT
        place = _trade_at(text, place, newline, slots, follows)
        if place == DOUBT:
            return DOUBT
        code = code_of(text, slots, pointer(table), len(table), pointer(entries), known)
        if code == DOUBT:
            return DOUBT
        known += code == known
        codes[count] = code
        for index in range(len(_INTEGERS)):
            integers[index * most + count] = slots[_INTEGERS[index]]
        for index in range(len(_SMALL)):
            small[index * most + count] = slots[_SMALL[index]]
        for index in range(len(_TEXTS)):
            places[index * most + count] = slots[_TEXTS[index]]
            small[(len(_SMALL) + index) * most + count] = slots[_TEXTS[index] + 1]
            totals[at.COUNT + index] += slots[_TEXTS[index] + 1]
        if slots[2 * at.TRADE_ID + 1] > 0:
            prints[count] = hash_trade(text, slots, work, behind(pointer(digests), 2 * count))
        count += 1
        place = _next(text, place, size, layout)
    totals[at.COUNT + len(_TEXTS)] = known
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
        end += length
    offsets[len(starts)] = end
    return end
