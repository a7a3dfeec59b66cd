"""Trades that are written alike, for compiled code: what stands between their values is compared, not understood.

Once two trades in a row have the same shape (see objects.trade_at) there is a plan for those behind them: for each
field the bytes before its value, with its quote and the one of the value before, and how the value is read. Slots of
other fields stay as the last trade has left them, so nothing is reset. A trade that is not as planned is read again
from its beginning by trade_at, and the value where it differs as any value from then on.

OF_PLAN integers of a field: where the bytes before its value are, a bit for each, how many they are, how its value is
read, the field.
"""

from __future__ import annotations

from telemetry.compiled import slots as at
from telemetry.compiled.compiler import part
from telemetry.compiled.memory import PLAIN_BYTES, behind, difference, plain_size
from telemetry.compiled.moments import nanoseconds_at
from telemetry.compiled.objects import CLOSE, QUOTE, choice_behind, obeys_rules, skip, trade_at, value_at
from telemetry.compiled.tokens import DOUBT, number_at
from telemetry.frame import Array

_ANY, _TEXT, _CHOICE, _NUMBER, _NANOSECONDS = range(5)  # how a value is read


@part
def next_trade(text: Array, place: int, newline: int, slots: Array, follows: Array) -> int:
    """As trade_at, for one trade of many; its slots were left by the one before."""
    plan = behind(follows, at.PLAN)
    if plan[0] > 0:
        end = _planned(text, place, newline, slots, plan)
        if end != DOUBT:
            return end
    end = trade_at(text, place, newline, slots, follows)
    if end != DOUBT and follows[at.ALIKE]:
        _make_plan(text, follows, plan)
    return end


@part
def _planned(text: Array, place: int, newline: int, slots: Array, plan: Array) -> int:
    """The slots of a trade as planned, and where it ends; DOUBT for any other, whose slots mean nothing then."""
    slots[2 * at.KIND] = 0
    for known in range(plan[0]):
        one = behind(plan, at.PLAN_HEAD + at.OF_PLAN * known)
        end = DOUBT
        if difference(text, place, one[0]) & one[1] == 0:
            end = _content(text, place + one[2], newline, slots, one[3], one[4])
        if end == DOUBT:
            plan[1] |= 1 << known | (1 << known) >> 1
            return DOUBT
        place = end
    if plan[2]:
        if text[place] != QUOTE:
            plan[1] |= 1 << plan[0] - 1
            return DOUBT
        place += 1
    return place + 1 if text[place] == CLOSE and obeys_rules(text, slots) else DOUBT


@part
def _content(text: Array, place: int, newline: int, slots: Array, reading: int, field: int) -> int:
    """The value of a field without its quotes, and where it ends."""
    slot = 2 * field
    if reading == _TEXT:
        size = plain_size(text, place)
        if size == PLAIN_BYTES:
            size += plain_size(text, place + PLAIN_BYTES)
        slots[slot], slots[slot + 1] = place, size
        return place + size  # type: ignore[no-any-return]
    if reading == _NUMBER:
        return number_at(text, place, slots, slot)
    if reading == _CHOICE:
        return choice_behind(text, place, slots, field)
    if reading == _NANOSECONDS:
        return nanoseconds_at(text, place, slots, slot)
    slots[slot], slots[slot + 1] = at.DEFAULTS[slot], at.DEFAULTS[slot + 1]
    return value_at(text, skip(text, place, newline), slots, field)


@part
def _make_plan(text: Array, follows: Array, plan: Array) -> None:
    """The plan for trades of the shape that is in `follows`."""
    was_quoted = False
    for known in range(follows[at.SHAPE]):
        shape = behind(follows, at.SHAPE + 1 + at.OF_SHAPE * known)
        is_last = known + 1 == follows[at.SHAPE]
        is_quoted = text[shape[2]] == QUOTE and (is_last or text[shape[at.OF_SHAPE + 1] - 1] == QUOTE)
        reading = _ANY if plan[1] >> known & 1 else _reading(shape[0], is_quoted)
        one = behind(plan, at.PLAN_HEAD + at.OF_PLAN * known)
        is_quoted = is_quoted and reading != _ANY
        one[0], one[2] = shape[1] - was_quoted, shape[2] - shape[1] + was_quoted + is_quoted
        one[1], one[3], one[4] = (1 << one[2]) - 1, reading, shape[0]
        was_quoted = is_quoted
    plan[0], plan[2] = follows[at.SHAPE], was_quoted


@part
def _reading(field: int, is_quoted: bool) -> int:
    if at.PRICE <= field <= at.FEE:
        return _NUMBER
    if at.TIMESTAMP <= field <= at.ORDER_SENT_AT:
        return _ANY if is_quoted else _NANOSECONDS
    if not is_quoted or field == at.SOURCE_SEQ:
        return _ANY
    return _CHOICE if at.LIQUIDITY <= field <= at.ACTION else _TEXT
