"""One trade in JSON, for compiled code: an object of names and values in any order, into its slots.

JSON is read strictly and without a tree. The order of the fields in the trade before tells which name to expect, so
that a name usually costs one comparison. See tokens for what places are and why nothing reads beyond the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from telemetry.compiled import slots as at
from telemetry.compiled.compiler import part
from telemetry.compiled.memory import WORD_BYTES, behind, word_at
from telemetry.compiled.moments import time_at
from telemetry.compiled.tokens import DOUBT, decimal_at, identifier_at, integer_at, text_at
from telemetry.frame import Array
from telemetry.trade import KINDS, LIQUIDITIES, SIDES

BLANK, LINE = b" \n"
_TAB, _RETURN = b"\t\r"
QUOTE, _COLON, _COMMA, _OPEN, CLOSE = b'":,{}'
_N, _U, _L = b"nul"
_NONE = np.uint64(0)
_REQUIRED = 1 << at.SYMBOL | 1 << at.PRICE | 1 << at.QUANTITY


def _words(texts: Sequence[str | None]) -> tuple[Array, Array, Array]:
    """For texts of at most 15 bytes: the two words of each with the quote behind it, the masks, the size with it.

    None equals no text.
    """
    raw = b"".join((b"!" if text is None else f'{text}"'.encode()).ljust(2 * WORD_BYTES, b"\0") for text in texts)
    sizes = [0 if text is None else len(text) + 1 for text in texts]
    masks = b"".join((b"\xff" * size).ljust(2 * WORD_BYTES, b"\0") for size in sizes)
    return np.frombuffer(raw, np.uint64), np.frombuffer(masks, np.uint64), np.array(sizes)


_NAMES, _NAME_MASKS, _NAME_SIZES = _words(at.FIELDS)
_MOST_CHOICES = 4
_CHOICES: dict[int, tuple[str | None, ...]] = {
    at.SIDE: (*SIDES, None),
    at.KIND: (None, *KINDS, None),  # its code 0 is "not given", which no text says
    at.ACTION: ("new", None, None, None),
    at.LIQUIDITY: ("", *LIQUIDITIES),
}
_CHOICE, _CHOICE_MASKS, _CHOICE_SIZES = _words(
    [text for field in range(len(at.FIELDS)) for text in _CHOICES.get(field, (None,) * _MOST_CHOICES)]
)


@part
def skip(text: Array, place: int, newline: int) -> int:
    """Behind white space; `newline` is a blank where a line break is none."""
    while True:
        code = text[place]
        if code > BLANK or (code != BLANK and code != newline and code != _RETURN and code != _TAB):
            return place
        place += 1


@part
def _is_name(text: Array, place: int, field: int) -> bool:
    low: bool = word_at(text, place) & _NAME_MASKS[2 * field] == _NAMES[2 * field]
    high: bool = word_at(text, place + WORD_BYTES) & _NAME_MASKS[2 * field + 1] == _NAMES[2 * field + 1]
    return low and high


@part
def _field_at(text: Array, place: int, guess: int) -> int:
    if _is_name(text, place, guess):
        return guess
    for field in range(len(at.FIELDS)):
        if _is_name(text, place, field):
            return field
    return DOUBT


@part
def choice_behind(text: Array, place: int, slots: Array, field: int) -> int:
    """Behind its first quote one of a few texts, up to the second one: its code is left in the first slot, but
    liquidity stays a text."""
    word = word_at(text, place)
    found = DOUBT
    for code in range(_MOST_CHOICES):  # all are compared: which one it is cannot be foreseen
        choice = 2 * (field * _MOST_CHOICES + code)
        found = code if word & _CHOICE_MASKS[choice] == _CHOICE[choice] else found
    if found == DOUBT:
        return DOUBT
    size = _CHOICE_SIZES[field * _MOST_CHOICES + found]
    slots[2 * field], slots[2 * field + 1] = place if field == at.LIQUIDITY else found, size - 1
    return place + size - 1  # type: ignore[no-any-return]


@part
def _choice_at(text: Array, place: int, slots: Array, field: int) -> int:
    if text[place] != QUOTE:
        return DOUBT
    end = choice_behind(text, place + 1, slots, field)
    return DOUBT if end == DOUBT else end + 1


@part
def value_at(text: Array, place: int, slots: Array, field: int) -> int:
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
def _is_same(text: Array, place: int, other: int, size: int) -> bool:
    """Whether so many bytes at two places are the same, at most 24."""
    if size > 3 * WORD_BYTES:
        return False
    others = word_at(text, place) ^ word_at(text, other)
    if size < WORD_BYTES:
        return others << np.uint64(8 * (WORD_BYTES - size)) == _NONE  # type: ignore[no-any-return]
    last = size - WORD_BYTES
    middle = min(last, WORD_BYTES)
    others |= word_at(text, place + middle) ^ word_at(text, other + middle)
    return others | word_at(text, place + last) ^ word_at(text, other + last) == _NONE  # type: ignore[no-any-return]


@part
def trade_at(text: Array, place: int, newline: int, slots: Array, follows: Array) -> int:
    """One object: its values in `slots`. `follows` has the field that came behind each one last time, and the shape:
    as long as the fields begin as those of the shape, byte for byte, names are not looked at."""
    for slot in range(at.SEEN):
        slots[slot] = at.DEFAULTS[slot]
    if text[place] != _OPEN:
        return DOUBT
    known, seen, last, is_alike = 0, 0, len(at.FIELDS), True
    while known == 0 or text[place] != CLOSE:
        one = behind(follows, at.SHAPE + 1 + at.OF_SHAPE * known)
        is_alike = is_alike and known < follows[at.SHAPE] and _is_same(text, place, one[1], one[2] - one[1])
        if is_alike:
            last, seen, place = one[0], one[3], skip(text, place + one[2] - one[1], newline)
        else:
            place, last, seen = _name_at(text, place, newline, follows, known, last, seen)
            if last == DOUBT:
                break
        place = value_at(text, place, slots, last)
        if place == DOUBT:
            return DOUBT
        known += 1
    if not is_alike:
        follows[at.SHAPE], follows[at.PLAN], follows[at.PLAN + 1] = known, 0, 0
    follows[at.ALIKE] = is_alike and known == follows[at.SHAPE]
    slots[at.SEEN] |= seen
    if text[place] != CLOSE or seen & _REQUIRED != _REQUIRED or not obeys_rules(text, slots):
        return DOUBT
    return place + 1


@part
def _name_at(
    text: Array, place: int, newline: int, follows: Array, known: int, last: int, seen: int
) -> tuple[int, int, int]:
    """The name of the next field, behind `known` ones, of which `last` was the last one: where its value begins, the
    field, the fields that were seen with it. DOUBT as the field where there is none. Adds to the shape of the trade."""
    start = place
    if known > 0:
        place = skip(text, place, newline)
        if text[place] != _COMMA:
            return place, DOUBT, seen
    name = skip(text, place + 1, newline)
    if text[name] != QUOTE:
        return start, DOUBT, seen
    field = _field_at(text, name + 1, follows[last])
    if field == DOUBT or seen >> field & 1:
        return start, DOUBT, seen
    place = skip(text, name + 1 + _NAME_SIZES[field], newline)
    if text[place] != _COLON:
        return start, DOUBT, seen
    place = skip(text, place + 1, newline)
    follows[last] = field
    one = behind(follows, at.SHAPE + 1 + at.OF_SHAPE * known)
    one[0], one[1], one[2], one[3] = field, start, place, seen | 1 << field
    return place, field, seen | 1 << field


@part
def obeys_rules(text: Array, slots: Array) -> bool:
    """What no value alone can tell; completes the kind."""
    start, length = slots[2 * at.SYMBOL], slots[2 * at.SYMBOL + 1]
    if length == 0 or text[start] == BLANK or text[start + length - 1] == BLANK:
        return False
    if slots[2 * at.KIND] == 0:
        is_ours = slots[2 * at.ACCOUNT + 1] > 0 or slots[2 * at.ORDER_ID + 1] > 0
        slots[2 * at.KIND] = at.FILL if is_ours else at.PRINT
    return slots[2 * at.QUANTITY] > 0 and slots[2 * at.MULTIPLIER] > 0  # type: ignore[no-any-return]
