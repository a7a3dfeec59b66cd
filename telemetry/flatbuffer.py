"""Reading tables of a flatbuffer by the numbers of their fields, in place. Reading outside raises struct.error."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

BOOL, U8, I16, U16, I32, U32, I64 = map(struct.Struct, ("<?", "<B", "<h", "<H", "<i", "<I", "<q"))
_TABLE = 4  # bytes before the offsets of a table's fields


class Table:
    """A table (its fields by number)."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        start = at - int(I32.unpack_from(data, at)[0])
        if start < 0:
            raise struct.error("a part of the metadata is outside of them")
        count = (int(U16.unpack_from(data, start)[0]) - _TABLE) // 2
        self._offsets: tuple[int, ...] = struct.unpack_from(f"<{max(0, count)}H", data, start + _TABLE)

    @classmethod
    def root(cls, data: bytes) -> Table:
        """The outermost."""
        return cls(data, int(U32.unpack_from(data)[0]))

    def field(self, number: int) -> int:
        """Where the field is, 0 when it is absent."""
        offset = self._offsets[number] if number < len(self._offsets) else 0
        return self._at + offset if offset else 0

    def number(self, kind: struct.Struct, number: int, default: int = 0) -> int:
        """A number."""
        place = self.field(number)
        return int(kind.unpack_from(self._data, place)[0]) if place else default

    def table(self, number: int) -> Table:
        """A table that must be there."""
        place = self.field(number)
        if not place:
            raise struct.error("a part of the metadata is missing")
        return Table(self._data, place + int(U32.unpack_from(self._data, place)[0]))

    def tables(self, number: int) -> Iterator[Table]:
        """The tables of a vector."""
        start, count = self._vector(number, U32.size)
        for place in range(start, start + U32.size * count, U32.size):
            yield Table(self._data, place + int(U32.unpack_from(self._data, place)[0]))

    def text(self, number: int) -> bytes:
        """The bytes of a text, none when it is absent."""
        start, count = self._vector(number, 1)
        return self._data[start : start + count]

    def structs(self, kind: struct.Struct, number: int) -> list[tuple[Any, ...]]:
        """The elements of a vector."""
        start, count = self._vector(number, kind.size)
        return list(kind.iter_unpack(self._data[start : start + count * kind.size]))

    def _vector(self, number: int, size: int) -> tuple[int, int]:
        """Where its elements begin, and how many of this size there are; 0 when it is absent."""
        place = self.field(number)
        if not place:
            return 0, 0
        place += int(U32.unpack_from(self._data, place)[0])
        start, count = place + U32.size, int(U32.unpack_from(self._data, place)[0])
        if start + count * size > len(self._data):
            raise struct.error("a part of the metadata is outside of them")
        return start, count
