"""The frame: the bytes of many trades that the journal keeps and the workers read in place.

Version 1, all integers little endian. n rows; sections follow each other, each padded with zeros to a multiple of 8:

    offset size
     0      1   version = 1
     1      3   zero
     4      4   n, the number of rows
     8      4   t, the length of the instrument table in bytes
    12      4   bit mask of the optional columns that follow, in the order of OPTIONAL (bit 0 = trade_id)
    16      8   length of the whole frame
    24     8n   price (i64 mantissa)
           8n   quantity (i64 mantissa)
           8n   timestamp (i64 ns)
           8n   received_at (i64 ns)
           4n   instrument (u32, index into the table)
            n   side (u8: 0 unknown, 1 buy, 2 sell)
            n   price_scale (u8)
            n   quantity_scale (u8), then padding
            t   instrument table: MessagePack array of [venue, symbol, kind, currency, multiplier, scale of it], padding
           ...  optional columns: integers 8n; fee_scale n; text: u32 n+1 offsets into the bytes that follow them

A text is absent when it is empty, an integer when it is times.ABSENT, a fee when its scale is NO_FEE. The frame
carries no checksum: the record around it does.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from telemetry.decimals import MAX_SCALE
from telemetry.errors import InvalidInput
from telemetry.trade import NO_FEE, SIDES, Instrument

if TYPE_CHECKING:
    from telemetry.columns import Columns

VERSION = 1
OPTIONAL = (
    "trade_id",
    "ref_trade_id",
    "account",
    "strategy",
    "order_id",
    "liquidity",
    "fee",
    "fee_scale",
    "fee_currency",
    "source",
    "source_seq",
    "sent_at",
    "order_sent_at",
    "tags",
)
INTEGERS = frozenset(("fee", "source_seq", "sent_at", "order_sent_at"))

Buffer = bytes | bytearray | memoryview
Array = npt.NDArray[Any]
Rows = slice | Array
Unpacked = tuple[
    tuple[Instrument, ...], Array, Array, Array, Array, Array, Array, Array, Array, dict[str, "Array | Text"]
]
U32, I64, U8 = np.dtype("<u4"), np.dtype("<i8"), np.dtype("u1")
HEAD = struct.Struct("<B3xIIIQ")
_FEW_BYTES = 4096
_FIXED = (I64, I64, I64, I64, U32, U8, U8, U8)  # the columns that every trade has
ROW_BYTES = 39  # of these
_table_encoder = msgspec.msgpack.Encoder()
_table_decoder = msgspec.msgpack.Decoder(tuple[Instrument, ...])


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """n texts: row i is bytes offsets[i] to offsets[i + 1] of the blob (UTF-8); empty is absent."""

    offsets: Array
    blob: Array

    def __getitem__(self, row: int) -> str:
        return str(self.blob[self.offsets[row] : self.offsets[row + 1]].tobytes(), "utf-8", "replace")

    def tolist(self) -> list[str]:
        """All of them."""
        blob = self.blob.tobytes()
        text = str(blob, "utf-8", "replace")
        if len(text) != len(blob):  # not ASCII: places of characters are not places of bytes
            return [str(part, "utf-8", "replace") for part in self.parts()]
        return [text[start:end] for start, end in pairwise(self.offsets.tolist())]

    def parts(self) -> list[bytes]:
        """All of them as UTF-8."""
        blob = self.blob.tobytes()
        return [blob[start:end] for start, end in pairwise(self.offsets.tolist())]

    def slice(self, start: int, stop: int) -> Text:
        """Rows start..stop - 1."""
        offsets = self.offsets[start : stop + 1]
        return Text(offsets - offsets[0], self.blob[offsets[0] : offsets[-1]])

    def only(self, mask: Array) -> Text:
        """The rows that the mask has."""
        lengths = np.diff(self.offsets)
        offsets = np.zeros(np.count_nonzero(mask) + 1, U32)
        np.cumsum(lengths[mask], out=offsets[1:])
        return Text(offsets, self.blob[np.repeat(mask, lengths)])

    def rows(self, which: Rows) -> Text:
        """As `slice` or `only`."""
        return self.slice(which.start, which.stop) if isinstance(which, slice) else self.only(which)

    @classmethod
    def of(cls, values: Sequence[str]) -> Text:
        """The column of these texts."""
        joined = "".join(values)
        blob = joined.encode()
        sized: Sequence[str | bytes] = values if len(blob) == len(joined) else [value.encode() for value in values]
        offsets = np.zeros(len(values) + 1, U32)
        np.cumsum(np.fromiter(map(len, sized), U32, len(values)), out=offsets[1:])
        return cls(offsets, np.frombuffer(blob, U8))


def pack(columns: Columns) -> bytes:
    """The frame of these columns."""
    return b"".join(pieces(columns))


def pieces(columns: Columns) -> list[Buffer]:
    """The frame in pieces, which point into the columns when they are large: whoever joins them copies them once."""
    fixed = (
        *(columns.price, columns.quantity, columns.timestamp, columns.received_at),
        *(columns.instrument.astype(U32, copy=False), columns.side, columns.price_scale, columns.quantity_scale),
    )
    optional = {
        name: (column.offsets, column.blob) if isinstance(column, Text) else (column,)
        for name, column in columns.optional.items()
    }
    return pieces_of(columns.instruments, len(columns), fixed, optional)


def pieces_of(
    instruments: tuple[Instrument, ...], count: int, fixed: Iterable[Array], optional: Mapping[str, Iterable[Array]]
) -> list[Buffer]:
    """As `pieces`, of arrays that follow one another: those of the columns that every trade has, in the frame's order,
    and those of each optional one."""
    table = _table_encoder.encode(instruments)
    parts = [*map(_octets, fixed), bytes(-ROW_BYTES * count % 8), table, bytes(-len(table) % 8)]
    mask = 0
    for bit, name in enumerate(OPTIONAL):
        if (arrays := optional.get(name)) is not None:
            mask |= 1 << bit
            octets = list(map(_octets, arrays))
            parts += [*octets, bytes(-sum(map(len, octets)) % 8)]
    length = HEAD.size + sum(map(len, parts))
    return [HEAD.pack(VERSION, count, len(table), mask, length), *parts]


def _octets(array: Array) -> Buffer:
    """The bytes of an array; few are copied, which is quicker, and so are those that are not in one piece."""
    return array.view(U8).data if array.nbytes >= _FEW_BYTES and array.flags.c_contiguous else array.tobytes()


def unpack(buffer: Buffer) -> Unpacked:
    """The arguments of Columns. Raises InvalidInput on anything that `pack` did not write."""
    view = memoryview(buffer).cast("B").toreadonly()
    if len(view) < HEAD.size:
        raise InvalidInput(f"expected a frame of at least {HEAD.size} bytes, received {len(view)}")
    version, count, table_bytes, mask, length = HEAD.unpack_from(view)
    if version != VERSION or mask >> len(OPTIONAL):
        raise InvalidInput(f"expected frame version {VERSION} and known columns, received version {version}, {mask:#x}")
    if not HEAD.size <= length <= len(view):
        raise InvalidInput(f"expected a frame of {length} bytes, received {len(view)}")
    reader = _Reader(view[:length])
    fixed = reader.fixed(count)
    instruments = unpack_table(reader.take(U8, table_bytes).tobytes())
    reader.align()
    are_known = not count or (_most(fixed[4]) < len(instruments) and _most(fixed[5]) < len(SIDES))
    if not are_known or (count and max(map(_most, fixed[6:])) > MAX_SCALE):
        raise InvalidInput("expected known instruments, sides and scales in the frame, received others")
    optional = {name: reader.optional(name, count) for bit, name in enumerate(OPTIONAL) if mask >> bit & 1}
    reader.finish()
    return _unpacked(instruments, fixed, optional)


def unpack_own(buffer: Buffer, instruments: tuple[Instrument, ...]) -> Unpacked:
    """As `unpack`, of a frame that was packed just now, of these instruments: nothing is looked at."""
    view = memoryview(buffer).toreadonly()
    _, count, table_bytes, mask, length = HEAD.unpack_from(view)
    reader = _Reader(view[:length], is_sure=True)
    fixed = reader.fixed(count)
    reader.skip(table_bytes)
    optional = {name: reader.optional(name, count) for bit, name in enumerate(OPTIONAL) if mask >> bit & 1}
    return _unpacked(instruments, fixed, optional)


def _unpacked(
    instruments: tuple[Instrument, ...], fixed: Sequence[Array], optional: dict[str, Array | Text]
) -> Unpacked:
    price, quantity, timestamp, received_at, codes, side, price_scale, quantity_scale = fixed
    return instruments, codes, side, price, price_scale, quantity, quantity_scale, timestamp, received_at, optional


def unpack_optional(buffer: Buffer, names: Collection[str]) -> dict[str, Array | Text]:
    """Only these optional columns of a frame, those that it has. Raises InvalidInput where they end too late."""
    view = memoryview(buffer).cast("B").toreadonly()
    _, count, table_bytes, mask, length = HEAD.unpack_from(view)
    reader = _Reader(view[:length])
    reader.skip(ROW_BYTES * count, table_bytes)
    columns = {name: reader.optional(name, count) for bit, name in enumerate(OPTIONAL) if mask >> bit & 1}
    return {name: columns[name] for name in names if name in columns}


_most = np.maximum.reduce  # half the price of .max() on a few rows


def unpack_table(packed: Buffer) -> tuple[Instrument, ...]:
    """The instruments of a table. Raises InvalidInput."""
    try:
        table = _table_decoder.decode(packed)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput(f"expected a table of instruments in the frame, received: {error}") from None
    if any(not 0 <= entry.multiplier_scale <= MAX_SCALE for entry in table):
        raise InvalidInput("expected scales of multipliers within limits in the frame, received others")
    return table


class _Reader:
    """Takes arrays from a frame in order; never reads beyond its end."""

    def __init__(self, view: memoryview, *, is_sure: bool = False) -> None:
        """`is_sure`: what it holds is as it should be."""
        self._view, self._is_sure = view, is_sure
        self._bytes: Array = np.frombuffer(view, U8)
        if not self._bytes[:8].view(I64).flags.aligned:  # a view into a larger message; else it is read in place
            self._bytes = self._bytes.copy()
            self._bytes.flags.writeable = False
        self._at = HEAD.size

    def fixed(self, count: int) -> list[Array]:
        """The columns that every trade has, in the frame's order."""
        columns = [self.take(dtype, count) for dtype in _FIXED]
        self.align()
        return columns

    def take(self, dtype: np.dtype[Any], count: int) -> Array:
        """The next `count` values."""
        end = self._at + count * dtype.itemsize
        if end > len(self._view):
            raise InvalidInput(f"expected {end} bytes in the frame, received {len(self._view)}")
        values = self._bytes[self._at : end].view(dtype)
        self._at = end
        return values

    def skip(self, *sections: int) -> None:
        """Passes over sections of so many bytes, each with its padding."""
        for section in sections:
            self._at += section + -section % 8

    def align(self) -> None:
        """Skips the padding of a section."""
        self._at += -self._at % 8

    def optional(self, name: str, count: int) -> Array | Text:
        """The optional column `name`."""
        column: Array | Text
        if name in INTEGERS:
            column = self.take(I64, count)
        elif name == "fee_scale":
            column = self.take(U8, count)
            if count and not self._is_sure and ((column > MAX_SCALE) & (column != NO_FEE)).any():
                raise InvalidInput("expected scales of fees within limits in the frame, received others")
        else:
            column = self._text(count)
        self.align()
        return column

    def finish(self) -> None:
        """Refuses a frame that has more bytes than its columns."""
        if self._at != len(self._view):
            raise InvalidInput(f"expected {self._at} bytes in the frame, received {len(self._view)}")

    def _text(self, count: int) -> Text:
        offsets = self.take(U32, count + 1)
        if self._is_sure:
            return Text(offsets, self.take(U8, int(offsets[-1])))
        if offsets[0] or (offsets[1:] < offsets[:-1]).any():
            raise InvalidInput("expected ascending text offsets in the frame, received others")
        blob = self.take(U8, int(offsets[-1]))
        try:
            str(blob.data, "utf-8")
        except UnicodeDecodeError:
            raise InvalidInput("expected UTF-8 text in the frame, received other bytes") from None
        return Text(offsets, blob)
