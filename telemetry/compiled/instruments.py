"""The instrument table of a body for compiled code: trades to codes, in order of first appearance."""

from __future__ import annotations

from telemetry.compiled import slots as at
from telemetry.compiled.compiler import part
from telemetry.compiled.memory import behind
from telemetry.frame import Array

_TEXTS = 3  # symbol, venue, currency are the first fields, in entry and slots alike
_FREE = -1
_MOST_PROBES = 64  # more come only from someone who looks for collisions: the reference has none
_PRIME = 0x100000001B3  # FNV-1a, of 64 bits that wrap


@part
def code_of(text: Array, slots: Array, table: Array, size: int, entries: Array, count: int) -> int:
    """The index of the trade's instrument in `entries`, `count` for one that is not there yet (and is added), or -1.

    `table` (i64, its size a power of two, more than twice the instruments) is -1 where it is free.
    """
    mask = size - 1
    place = _hash(text, slots) & mask
    for _ in range(_MOST_PROBES):
        code = table[place]
        if code == _FREE:
            table[place] = count
            _add(slots, behind(entries, count * at.ENTRY))
            return count
        if _same(text, slots, behind(entries, code * at.ENTRY)):
            return code  # type: ignore[no-any-return]
        place = (place + 1) & mask
    return -1


@part
def _hash(text: Array, slots: Array) -> int:
    value: int = -3750763034362895579  # FNV's offset basis
    for field in range(_TEXTS):
        start = slots[2 * field]
        for place in range(start, start + slots[2 * field + 1]):
            value = (value ^ text[place]) * _PRIME
        value = (value ^ 0xFF) * _PRIME
    value = (value ^ slots[2 * at.KIND] ^ (slots[2 * at.MULTIPLIER] << 8)) * _PRIME
    return value ^ (value >> 29)


@part
def _same(text: Array, slots: Array, entry: Array) -> bool:
    if entry[6] != slots[2 * at.KIND]:
        return False
    if entry[7] != slots[2 * at.MULTIPLIER] or entry[8] != slots[2 * at.MULTIPLIER + 1]:
        return False
    for field in range(_TEXTS):
        length = slots[2 * field + 1]
        if entry[2 * field + 1] != length:
            return False
        one, other = slots[2 * field], entry[2 * field]
        for place in range(length):
            if text[one + place] != text[other + place]:
                return False
    return True


@part
def _add(slots: Array, entry: Array) -> None:
    for place in range(2 * _TEXTS):
        entry[place] = slots[place]
    entry[6], entry[7], entry[8] = slots[2 * at.KIND], slots[2 * at.MULTIPLIER], slots[2 * at.MULTIPLIER + 1]
