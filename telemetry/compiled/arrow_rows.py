"""Rows of an Arrow body to the slots of one trade, for compiled code: whatever columns there are."""

from __future__ import annotations

from telemetry.compiled import cells
from telemetry.compiled import slots as at
from telemetry.compiled.arrow_values import choice, decimal_of, integer_at, text_of, time_of
from telemetry.compiled.compiler import part
from telemetry.compiled.memory import behind
from telemetry.compiled.tokens import DOUBT
from telemetry.frame import Array
from telemetry.times import ABSENT

_REQUIRED = 1 << at.SYMBOL | 1 << at.PRICE | 1 << at.QUANTITY


@part
def _store_text(text: Array, column: Array, entries: Array, row: int, is_there: bool, slots: Array) -> int:
    slot = column[cells.SLOT]
    field = slot >> 1
    start, length = text_of(text, column, entries, row, is_there)
    if length == DOUBT:
        return DOUBT
    if at.LIQUIDITY <= field <= at.ACTION and is_there:
        code = choice(text, start, length, field)
        if code == DOUBT:
            return DOUBT
        if field != at.LIQUIDITY:
            start = code
    if is_there:
        slots[slot], slots[slot + 1] = start, length
    return 0


@part
def _cell(text: Array, column: Array, entries: Array, row: int, slots: Array) -> int:
    """The value of one row into its slots; DOUBT or 0."""
    slot, valid = column[cells.SLOT], column[cells.VALID]
    is_there = valid < 0 or (text[valid + (row >> 3)] >> (row & 7)) & 1 == 1
    field = slot >> 1
    if not is_there and _REQUIRED >> field & 1:
        return DOUBT
    if field <= at.ACTION:
        return _store_text(text, column, entries, row, is_there, slots)
    if not is_there:
        return 0
    if field <= at.FEE:
        mantissa, scale = decimal_of(text, column, row)
        slots[slot], slots[slot + 1] = mantissa, scale
        return 0 if scale >= 0 else DOUBT
    if field <= at.ORDER_SENT_AT:
        value = time_of(text, column, row)
    else:
        width = column[cells.WIDTH]
        value = integer_at(text, column[cells.VALUES] + width * row, width, column[cells.IS_SIGNED])
    slots[slot] = value
    return DOUBT if value == ABSENT else 0


@part
def read_row(text: Array, columns: Array, first: int, stop: int, entries: Array, row: int, slots: Array) -> bool:
    """These columns of one row over the one before: only what may be absent now is set to what stands for that."""
    for index in range(first, stop):
        column = behind(columns, index * cells.SIZE)
        if column[cells.VALID] >= 0:
            slot = column[cells.SLOT]
            slots[slot], slots[slot + 1] = at.DEFAULTS[slot], at.DEFAULTS[slot + 1]
        if _cell(text, column, entries, row, slots) == DOUBT:
            return False
    return True
