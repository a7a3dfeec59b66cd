"""Where the values of trades that are written alike stand in a body, and the columns of those that need no rule table.

One look for quotes gives all places; what stands between the values is then compared as bytes, one field at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from telemetry.alike_layout import FIRST_BYTES, LAST_BYTES, Field, Layout, layout_of, tail_of
from telemetry.decode_reference import MAX_TRADES, Media
from telemetry.frame import U8, U32, Array, Text
from telemetry.json_rows import ALL_NAMES, DECIMALS, TIMES
from telemetry.literal_times import times
from telemetry.literals import NO_DECIMAL, Doubt, Literals, decimals
from telemetry.pieces import joined, pieces, words
from telemetry.trade import MAX_TEXT, REQUIRED

_BLANK, _QUOTE, _BACKSLASH, _DELETE = b' "\\\x7f'
_NUMBERS = frozenset((*DECIMALS, *TIMES))  # that may be texts too
_ALWAYS_NUMBER = "source_seq"


class Values:
    """The values of all trades, by name."""

    def __init__(self, text: Array, places: dict[str, tuple[Array, Array, bool]], count: int) -> None:
        self.count = count
        self._text = text
        self._places = places  # first byte, the byte behind the last one (each i64[n]), whether these are texts

    @classmethod
    def joined(cls, parts: Sequence[Values]) -> Values:
        """Those of bodies in one text that are alike."""
        if len(parts) == 1:
            return parts[0]
        places = {}
        for name, (_, _, quoted) in parts[0]._places.items():
            starts, ends, _ = zip(*(part._places[name] for part in parts), strict=True)
            places[name] = np.concatenate(starts), np.concatenate(ends), quoted
        return cls(parts[0]._text, places, sum(part.count for part in parts))

    def is_like(self, other: Values) -> bool:
        """Whether they have the same fields, and the same of these are texts."""
        return self._kinds() == other._kinds()

    def _kinds(self) -> dict[str, bool]:
        return {name: quoted for name, (_, _, quoted) in self._places.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def one(self, name: str, row: int) -> str:
        """The text of one value."""
        starts, ends, _ = self._places[name]
        return self._text[starts[row] : ends[row]].tobytes().decode("ascii")

    def literals(self, *names: str) -> Literals:
        """Numbers, or texts of them: all of the first field, then all of the next one."""
        starts, ends, quoted = zip(*(self._places[name] for name in names), strict=True)
        marks = np.repeat(quoted, self.count)
        return Literals(self._text, np.concatenate(starts), np.concatenate(ends), marks)

    def prices(self) -> tuple[Array, Array]:
        """Mantissas and scales of all prices, then of all quantities."""
        mantissas, scales = decimals(self.literals("price", "quantity"))
        if np.count_nonzero(mantissas[self.count :] <= 0) or np.count_nonzero(scales == NO_DECIMAL):
            raise Doubt("a price or quantity")
        return mantissas, scales

    def times(self, name: str) -> Array:
        """Nanoseconds, times.ABSENT for null."""
        return times(self.literals(name))

    def column(self, name: str) -> Text:
        """A column of texts."""
        starts, lengths = self._lengths(name)
        offsets = np.zeros(self.count + 1, U32)
        np.cumsum(lengths, out=offsets[1:])
        return Text(offsets, joined(self._text, starts, lengths))

    def words(self, name: str) -> Array:
        """Texts as words u64[count, n], with zeros behind."""
        starts, lengths = self._lengths(name)
        return words(self._text, starts, lengths)

    def are_empty(self, name: str) -> tuple[bool, bool]:
        """Whether all texts are empty, and whether any is."""
        lengths = self._lengths(name)[1]
        given = int(np.count_nonzero(lengths))
        return not given, given < self.count

    def codes(self, name: str, choices: tuple[str, ...]) -> Array:
        """Which of the choices (texts shorter than a word) each one is (u8)."""
        found = self.words(name)[0]  # of a longer text no byte in it is zero
        result, known = np.zeros(self.count, U8), np.zeros(self.count, bool)
        for code, choice in enumerate(choices):
            same = found == int.from_bytes(choice.encode(), "little")
            known |= same
            result += same * U8.type(code)
        if np.count_nonzero(known) < self.count:
            raise Doubt("none of the choices")
        return result

    def _lengths(self, name: str) -> tuple[Array, Array]:
        starts, ends, _ = self._places[name]
        lengths = ends - starts
        if int(np.maximum.reduce(lengths)) > MAX_TEXT:
            raise Doubt("a long text")
        return starts, lengths


def find_values(text: Array, size: int, media: Media, start: int = 0) -> Values:
    """The values in `size` bytes of a text, which zeros follow. Raises Doubt."""
    body = text[start : start + size]
    layout = layout_of(body[:FIRST_BYTES].tobytes(), media)
    _require_known(layout)
    if int(np.maximum.reduce(body)) >= _DELETE or np.count_nonzero(body == _BACKSLASH):
        raise Doubt("an escape, or characters beyond ASCII")
    tail = tail_of(body[-LAST_BYTES:].tobytes(), media, layout.fields[-1].quoted)
    count, names = _names(body, layout)
    controls = layout.controls(count, tail)
    if int(np.count_nonzero(body < _BLANK) if controls else np.minimum.reduce(body) < _BLANK) != controls:
        raise Doubt("a control character in a text, or other blanks")
    return Values(text, _places(text, layout, names + start, start + size - len(tail)), count)


def _require_known(layout: Layout) -> None:
    names = {field.name for field in layout.fields}
    if not names <= ALL_NAMES or not names >= {*REQUIRED}:
        raise Doubt("other fields")
    for field in layout.fields:
        if field.name not in _NUMBERS and field.quoted == (field.name == _ALWAYS_NUMBER):
            raise Doubt("a value of another kind")


def _names(body: Array, layout: Layout) -> tuple[int, Array]:
    """How many trades there are, and the places of the quotes that begin their names (i64[fields, n])."""
    marks = body == _QUOTE
    count, rest = divmod(int(np.count_nonzero(marks)), layout.quotes)
    if rest or not 1 < count <= MAX_TRADES:
        raise Doubt("trades that are not alike, or too many")
    places = np.flatnonzero(marks).reshape(count, layout.quotes)
    return count, places.T[[field.column for field in layout.fields]]


def _places(text: Array, layout: Layout, names: Array, end: int) -> dict[str, tuple[Array, Array, bool]]:
    """Where each value begins and ends; the last one at `end`. Raises Doubt where other things stand between them."""
    begins = [_compared(text, field, place) for field, place in zip(layout.fields[1:], names[1:], strict=True)]
    first = _compared(text, layout.fields[0], names[0, 1:])
    begins.append(np.append(first, end))  # the last value ends where the next trade's first name begins
    found = {}
    for field, place, ends in zip(layout.fields, names, begins, strict=True):
        starts = place + len(field.named)
        if not field.quoted and int(np.minimum.reduce(ends - starts)) < 1:
            raise Doubt("no value")
        found[field.name] = starts, ends, field.quoted
    return found


def _compared(text: Array, field: Field, names: Array) -> Array:
    """Where begins what stands before these names. Raises Doubt when it is something else, or the name is."""
    begins: Array = names - len(field.before)
    expected = field.before + field.named
    if int(begins[0]) < 0 or pieces(text, begins, len(expected)).tobytes() != expected * len(begins):
        raise Doubt("trades that are not alike")
    return begins
