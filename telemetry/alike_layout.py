"""How the trades of a body are written that one program wrote: what stands between the values, from the first trade.

Every trade of such a body has the same names in the same order, with the same blanks: only the values differ.

    [{"trade_id":"t-1","symbol":"A","price":1.5},{"trade_id":"t-2","symbol":"B","price":2.5}]
    XXX
A value ends where what is `before` the next name begins. All names have quotes, and where no text has one in it, the
places of all quotes are known from one trade.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from telemetry.decode_reference import Media
from telemetry.literals import Doubt

FIRST_BYTES = 4096  # in which the first trade must end and the second one begin
LAST_BYTES = 256  # in which the last one must end
_BLANKS = {"json": b" \t\r\n", "lines": b" \t\r"}  # that may stand inside a trade
_FIELD = {
    media: re.compile(rb'[%b]*"([a-z_]+)"[%b]*:[%b]*("[^"\\]*"|[-+.0-9eE]+)[%b]*([,}])' % ((blanks,) * 4))
    for media, blanks in _BLANKS.items()
}
_HEAD = {"json": re.compile(rb"[ \t\r\n]*\[[ \t\r\n]*\{"), "lines": re.compile(rb"[ \t\r\n]*\{")}
_NEXT = {
    "json": re.compile(rb'[ \t\r\n]*,[ \t\r\n]*\{[ \t\r\n]*(?=")'),
    "lines": re.compile(rb'[ \t\r]*\n[ \t\r\n]*\{[ \t\r]*(?=")'),
}
_CONTROL = re.compile(rb"[\x00-\x1f]")


@dataclass(frozen=True)
class Field:
    """One field of every trade."""

    name: str
    quoted: bool  # whether the value is a text
    before: bytes  # from the end of the value before (with the quote that ends it) to the quote of this name
    named: bytes  # from there to the value, with the quote that begins it
    column: int  # of the quote of the name among the quotes of a trade


@dataclass(frozen=True)
class Layout:
    """What stands between values."""

    fields: tuple[Field, ...]
    quotes: int  # of a trade
    head: bytes  # before the first name

    def controls(self, trades: int, tail: bytes) -> int:
        """Control characters that stand between the values of so many trades, the last of which ends with `tail`."""
        once = _controls(self.head) + _controls(tail) - _controls(self.fields[0].before)
        return once + trades * sum(_controls(field.before) + _controls(field.named) for field in self.fields)


def layout_of(first: bytes, media: Media) -> Layout:
    """The layout of a body that begins with these bytes. Raises Doubt."""
    found = _HEAD[media].match(first)
    if found is None:
        raise Doubt("not several trades")
    at = found.end()
    fields: list[tuple[str, bool, bytes, bytes, int]] = []
    quotes = end = 0
    while found[0][-1:] != b"}":
        found = _FIELD[media].match(first, at)
        if found is None:
            raise Doubt("a value that is neither a text nor a number")
        name, start = found.start(1) - 1, found.start(2)
        quoted = first[start : start + 1] == b'"'
        fields.append((found[1].decode(), quoted, first[end:name], first[name : start + quoted], quotes))
        quotes += 2 + 2 * quoted
        at, end = found.end(), found.end(2) - quoted
    follows = _NEXT[media].match(first, at)
    if follows is None or len({name for name, *_ in fields}) < len(fields):
        raise Doubt("no second trade, or a name that comes twice")
    first_name, first_quoted, head, named, column = fields[0]
    fields[0] = first_name, first_quoted, first[end : follows.end()], named, column
    return Layout(tuple(Field(*field) for field in fields), quotes, head)


def tail_of(last: bytes, media: Media, quoted: bool) -> bytes:
    """What follows the last value in a body that ends with these bytes. Raises Doubt."""
    rest = last.rstrip(b" \t\r\n")
    if media == "json":
        rest = _without(rest, b"]").rstrip(b" \t\r\n")
    rest = _without(rest, b"}").rstrip(_BLANKS[media])
    if quoted:
        rest = _without(rest, b'"')
    return last[len(rest) :]


def _without(text: bytes, end: bytes) -> bytes:
    if not text.endswith(end):
        raise Doubt("another end")
    return text[: -len(end)]


def _controls(text: bytes) -> int:
    return len(_CONTROL.findall(text))
