"""JSON: one object per line, an array of objects, or objects one after another; plain or gzip.

Numbers are never turned into binary floats: they keep their written text exactly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from telemetry.formats.delimited import open_bytes, open_text
from telemetry.formats.row import BadRow, Raw

# One trade has at most a few kilobytes; a megabyte without an end is not a trade, and bounds the memory.
MAX_OBJECT = 1_000_000
CHUNK = 65_536
_GAP = re.compile(r"[\s,]*")


class Repeated(dict[str, Any]):
    """An object that names a key twice: which value was meant cannot be known."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else Repeated(fields)


_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=_object)


def read_lines(path: Path) -> Iterator[Raw | BadRow]:
    """One object per line; the number of a record is that of its line."""
    with open_bytes(path) as stream:
        number = 0
        while line := stream.readline(MAX_OBJECT):
            number += 1
            if len(line) == MAX_OBJECT and not line.endswith(b"\n"):
                yield BadRow(number, f"expected lines shorter than {MAX_OBJECT} bytes", last=True)
                return
            if text := line.strip().removeprefix(b"\xef\xbb\xbf"):
                yield _line(number, text)


def _line(number: int, line: bytes) -> Raw | BadRow:
    try:
        return _record(number, _DECODER.decode(line.decode()))
    except UnicodeDecodeError:
        return BadRow(number, "expected text in UTF-8, received other bytes")
    except (ValueError, RecursionError) as error:
        return BadRow(number, f"expected a JSON object: {error}", received=line[:80].decode(errors="replace"))


def _record(number: int, value: object) -> Raw | BadRow:
    if isinstance(value, Repeated):
        return BadRow(number, "expected each key once, received one twice")
    if not isinstance(value, dict):
        return BadRow(number, "expected an object with named fields", received=str(value)[:80])
    return Raw(number, value)


def read_array(path: Path) -> Iterator[Raw | BadRow]:
    """The objects of an array, or objects one after another, decoded one by one."""
    with open_bytes(path) as stream, open_text(stream) as text:
        text.reconfigure(errors="strict")
        yield from _Values(text).records()


class _Values:
    """A window over the text that moves from value to value."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._buffer = ""
        self._at = 0

    def records(self) -> Iterator[Raw | BadRow]:
        in_array = self._next() == "["
        self._at += in_array
        number = 0
        while (mark := self._next()) and not (in_array and mark == "]"):
            number += 1
            found, value = self._value()
            if not found:
                yield BadRow(number, f"expected a JSON object: {value}", last=True)
                return
            yield _record(number, value)
        if in_array and not mark:
            yield BadRow(number + 1, "expected the end of the array: the file is cut off", last=True)
        self._at += 1
        if in_array and mark and self._next():
            yield BadRow(number + 1, "expected nothing after the array", last=True)

    def _next(self) -> str:
        """Skip to the next value and give its first character; "" at the end of the file."""
        while True:
            match = _GAP.match(self._buffer, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                return ""

    def _value(self) -> tuple[bool, Any]:
        while True:
            try:
                value, self._at = _DECODER.raw_decode(self._buffer, self._at)
                return True, value
            except (ValueError, RecursionError) as error:
                if len(self._buffer) - self._at > MAX_OBJECT or not self._more():
                    return False, str(error)

    def _more(self) -> bool:
        chunk = self._text.read(CHUNK)
        self._buffer = self._buffer[self._at :] + chunk
        self._at = 0
        return bool(chunk)
