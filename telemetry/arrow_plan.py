"""Where the columns of a plain Arrow stream are, without pyarrow: what compiled code needs to read them in place.

Plain is: one record batch, texts (also by dictionary), whole and floating numbers, decimals of 128 bits, times with a
zone, nothing compressed. Whatever else there is, or is not where it should be, raises Doubt: pyarrow reads it then, and
says what is wrong. All places that are given are inside of the body. See Arrow's format/Message.fbs and Schema.fbs for
the numbers of the fields, and its "IPC Streaming Format" for what is around them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain
from math import prod
from typing import NamedTuple

from telemetry.compiled import cells
from telemetry.compiled import slots as at
from telemetry.decode_reference import MAX_TRADES
from telemetry.flatbuffer import BOOL, I16, I32, I64, U8, Table
from telemetry.literals import Doubt

MAX_ENTRIES = 1 << 16  # of all dictionaries
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3  # kinds of messages
_VERSION, _KIND, _HEADER, _BODY_LENGTH = range(4)  # of Message
_V5 = 4
_ENDIANNESS, _FIELDS = 0, 1  # of Schema
_NAME, _TYPE_KIND, _TYPE, _ENCODING = 0, 2, 3, 4  # of Field
_ID, _INDEX_TYPE = 0, 1  # of DictionaryEncoding
_DATA, _IS_DELTA = 1, 2  # of DictionaryBatch; its id is as above
_LENGTH, _NODES, _BUFFERS, _COMPRESSION, _VARIADIC = range(5)  # of RecordBatch
_PAIR = struct.Struct("<qq")  # FieldNode: length, count of nulls; Buffer: offset, length
_INT, _FLOAT, _UTF8, _DECIMAL, _TIMESTAMP, _LARGE_UTF8 = 2, 3, 5, 7, 10, 20  # kinds of types
_DOUBLE, _DECIMAL_BITS, _DECIMAL_BYTES = 2, 128, 16
_TICKS = (10**9, 10**6, 10**3, 1)
_MARK, END = b"\xff\xff\xff\xff", b"\xff\xff\xff\xff\0\0\0\0"
_OFFSET_BYTES = {_UTF8: 4, _LARGE_UTF8: 8}
_MOST_SCALE = 76
_TEXTS = frozenset(range(at.ACTION + 1))
_DECIMALS = frozenset((at.PRICE, at.QUANTITY, at.MULTIPLIER, at.FEE))
_MOMENTS = frozenset((at.TIMESTAMP, at.SENT_AT, at.ORDER_SENT_AT))
_OF_INSTRUMENTS = frozenset((at.SYMBOL, at.VENUE, at.CURRENCY, at.KIND, at.MULTIPLIER))
_WHOLE = {  # the kinds in which a column is read whole
    **dict.fromkeys(range(at.ACCOUNT, at.TRADE_ID + 1), (cells.TEXTS, cells.CODED)),
    at.SIDE: (cells.CODED,),
    **dict.fromkeys((at.PRICE, at.QUANTITY, at.FEE), (cells.DECIMALS, cells.DOUBLES)),
    **dict.fromkeys(range(at.TIMESTAMP, at.SOURCE_SEQ + 1), (cells.TICKS, cells.INTEGERS)),
}
_KEPT_BYTES = 1 << 14  # of a schema that is kept: what else a sender writes into it has no bound
_MOST_CODES = 1 << 62
_SLOTS = {name: field for field, name in enumerate(at.FIELDS)}


class Column(NamedTuple):
    """A column of the schema."""

    field: int  # of telemetry.compiled.slots
    kind: int  # of telemetry.compiled.cells
    width: int
    is_signed: bool = False
    scale: int = 0
    dictionary: int | None = None  # its id
    offset_bytes: int = 0  # of the offsets of its dictionary


class Dictionary(NamedTuple):
    """Where the texts of a dictionary are."""

    offsets: int
    offset_bytes: int
    blob: int
    blob_end: int
    entries: int
    first: int  # of its entries among all


class Plan(NamedTuple):
    """A body that can be read in place: `columns` has cells.SIZE integers for each."""

    rows: int
    columns: list[int]
    dictionaries: list[Dictionary]
    entries: int  # of all dictionaries
    metadata: list[tuple[int, int]]  # where they begin and end in the body: what the plan depends on, but for the size


class _Message(NamedTuple):
    kind: int
    header: Table
    metadata: bytes
    start: int  # of its body
    size: int


def plan_of(body: bytes | memoryview) -> Plan:
    """The plan of a stream. Raises Doubt."""
    try:
        return _plan(body)
    except (struct.error, IndexError, OverflowError) as error:
        raise Doubt("metadata that end too soon") from error


def _plan(body: bytes | memoryview) -> Plan:
    messages = _messages(body)
    first = next(messages, None)
    if first is None or first.kind != _SCHEMA or first.size:
        raise Doubt("no schema")
    columns = _known_columns(first.metadata) if len(first.metadata) <= _KEPT_BYTES else _columns(first.metadata)
    kinds = {column.dictionary: column for column in columns if column.dictionary is not None}
    dictionaries: dict[int, Dictionary] = {}
    entries, metadata = 0, [(0, first.start)]
    for message in messages:
        metadata.append((message.start - len(message.metadata) - 8, message.start))
        if message.kind == _BATCH:
            if next(messages, None) is not None:
                raise Doubt("more than one batch")
            rows, cells_of = _batch(message, columns, dictionaries)
            return Plan(rows, cells_of, list(dictionaries.values()), entries, metadata)
        known, dictionary = _dictionary(message, kinds, entries)
        if known in dictionaries:
            raise Doubt("a dictionary that comes again")
        dictionaries[known] = dictionary
        entries += dictionary.entries
        if entries > MAX_ENTRIES:
            raise Doubt("many entries")
    raise Doubt("no batch")


def ordered(plan: Plan) -> list[int]:
    """The columns as compiled code wants them, see telemetry.compiled.cells."""
    columns = [plan.columns[start : start + cells.SIZE] for start in range(0, len(plan.columns), cells.SIZE)]
    made = [column for column in columns if column[cells.SLOT] >> 1 in _OF_INSTRUMENTS]
    codes = prod(column[cells.COUNT] for column in made)
    if codes >= _MOST_CODES or any(column[cells.KIND] != cells.CODED or column[cells.VALID] >= 0 for column in made):
        made = []
    whole = [
        column
        for column in columns
        if column[cells.VALID] < 0 and column[cells.KIND] in _WHOLE.get(column[cells.SLOT] >> 1, ())
    ]
    rest = [column for column in columns if column not in made and column not in whole]
    head = (len(made), len(whole), len(columns), plan.entries, len(plan.dictionaries))
    return [*head, *chain.from_iterable(made + whole + rest), *chain.from_iterable(plan.dictionaries)]


def _messages(body: bytes | memoryview) -> Iterator[_Message]:
    place, end = 0, len(body) - len(END)
    while place < end:
        if body[place : place + 4] != _MARK:
            raise Doubt("no message")
        size = int(I32.unpack_from(body, place + 4)[0])
        start = place + 8 + size
        if size <= 0 or start > end:
            raise Doubt("a message that ends too soon")
        metadata = bytes(body[place + 8 : start])
        message = Table.root(metadata)
        length = message.number(I64, _BODY_LENGTH)
        if message.number(I16, _VERSION) != _V5 or not 0 <= length <= end - start:
            raise Doubt("another version, or a body that ends too soon")
        yield _Message(message.number(U8, _KIND), message.table(_HEADER), metadata, start, length)
        place = start + length
    if place != end or body[end:] != END:
        raise Doubt("no end")


@lru_cache(maxsize=64)
def _known_columns(metadata: bytes) -> tuple[Column, ...]:
    """As _columns; clients send the same again and again."""
    return _columns(metadata)


def _columns(metadata: bytes) -> tuple[Column, ...]:
    """The columns of a schema."""
    schema = Table.root(metadata).table(_HEADER)
    if schema.number(I16, _ENDIANNESS):
        raise Doubt("big endian")
    columns: list[Column] = []
    for field in schema.tables(_FIELDS):
        number = _SLOTS.get(str(field.text(_NAME), "ascii", "replace"))
        if number is None or len(columns) > len(at.FIELDS):
            raise Doubt("the names of the columns")
        columns.append(_column(number, field))
    if len({column.field for column in columns}) < len(columns):
        raise Doubt("a name that comes twice")
    if not {at.SYMBOL, at.PRICE, at.QUANTITY} <= {column.field for column in columns}:
        raise Doubt("a column that is missing")
    return tuple(columns)


def _column(number: int, field: Table) -> Column:
    kind, details = field.number(U8, _TYPE_KIND), field.table(_TYPE)
    if field.field(_ENCODING):
        if kind not in _OFFSET_BYTES or number not in _TEXTS:
            raise Doubt("a dictionary of something else")
        encoding = field.table(_ENCODING)
        width, is_signed = _integer(encoding.table(_INDEX_TYPE)) if encoding.field(_INDEX_TYPE) else (4, True)
        known = encoding.number(I64, _ID)
        return Column(number, cells.CODED, width, is_signed, 0, known, _OFFSET_BYTES[kind])
    if number in _TEXTS and kind in _OFFSET_BYTES:
        return Column(number, cells.TEXTS, _OFFSET_BYTES[kind])
    if number in _DECIMALS and kind == _DECIMAL:
        scale = details.number(I32, 1)
        if details.number(I32, 2, _DECIMAL_BITS) == _DECIMAL_BITS and 0 <= scale <= _MOST_SCALE:
            return Column(number, cells.DECIMALS, _DECIMAL_BYTES, scale=scale)
    if number in _DECIMALS and kind == _FLOAT and details.number(I16, 0) == _DOUBLE:
        return Column(number, cells.DOUBLES, 8)
    if number in _MOMENTS and kind == _TIMESTAMP and _is_zone(details.text(1)):
        return Column(number, cells.TICKS, 8, is_signed=True, scale=_TICKS[details.number(I16, 0)])
    if number not in _TEXTS and kind == _INT:
        width, is_signed = _integer(details)
        return Column(number, cells.INTEGERS, width, is_signed)
    raise Doubt("a type that is read otherwise")


def _is_zone(text: bytes) -> bool:
    return text != b"" and text.isascii()


def _integer(table: Table) -> tuple[int, bool]:
    """Bytes of an integer, and whether it has a sign."""
    bits = table.number(I32, 0)
    if bits not in (8, 16, 32, 64):
        raise Doubt("an integer of another size")
    return bits // 8, bool(table.number(BOOL, 1))


class _Buffers:
    """The buffers of a batch, one after the other."""

    def __init__(self, message: _Message, batch: Table) -> None:
        if batch.field(_COMPRESSION) or batch.field(_VARIADIC):
            raise Doubt("compression, or views")
        self.rows = batch.number(I64, _LENGTH)
        if not 0 < self.rows <= MAX_TRADES:
            raise Doubt("the number of rows")
        self._nodes, self._buffers = iter(batch.structs(_PAIR, _NODES)), batch.structs(_PAIR, _BUFFERS)
        self._start, self._size, self._next = message.start, message.size, 0
        if sum(length for _, length in self._buffers) > message.size:
            raise Doubt("columns that share their bytes")

    def take(self, least: int) -> tuple[int, int]:
        """Where the next buffer begins and ends in the body; it has at least so many bytes."""
        offset, length = self._buffers[self._next]
        self._next += 1
        if offset < 0 or length < least or offset + length > self._size:
            raise Doubt("a buffer that is too small or elsewhere")
        return self._start + offset, self._start + offset + length

    def valid(self) -> int:
        """Where the bits are that tell which rows of the next column have a value; -1 when all have one."""
        rows, nulls = next(self._nodes, (-1, 0))
        if rows != self.rows or not 0 <= nulls <= rows:
            raise Doubt("a column of another length")
        place, _ = self.take((rows + 7) // 8 if nulls else 0)
        return place if nulls else -1

    def finish(self) -> None:
        """Raises Doubt when there are more."""
        if self._next != len(self._buffers) or next(self._nodes, None) is not None:
            raise Doubt("more buffers than columns")


def _dictionary(message: _Message, kinds: Mapping[int, Column], first: int) -> tuple[int, Dictionary]:
    known = message.header.number(I64, _ID)
    if message.kind != _DICTIONARY or known not in kinds or message.header.number(BOOL, _IS_DELTA):
        raise Doubt("a dictionary that nobody uses, or more of one")
    buffers = _Buffers(message, message.header.table(_DATA))
    if buffers.valid() >= 0:
        raise Doubt("an entry without a value")
    width = kinds[known].offset_bytes
    offsets, _ = buffers.take(width * (buffers.rows + 1))
    blob, blob_end = buffers.take(0)
    buffers.finish()
    return known, Dictionary(offsets, width, blob, blob_end, buffers.rows, first)


def _batch(
    message: _Message, columns: tuple[Column, ...], dictionaries: dict[int, Dictionary]
) -> tuple[int, list[int]]:
    buffers = _Buffers(message, message.header)
    rows = buffers.rows
    found: list[int] = []
    for column in columns:
        valid = buffers.valid()
        values, _ = buffers.take(column.width * (rows + (column.kind == cells.TEXTS)))
        blob, blob_end = buffers.take(0) if column.kind == cells.TEXTS else (0, 0)
        entries = count = 0
        if column.dictionary is not None:
            if column.dictionary not in dictionaries:
                raise Doubt("a dictionary that is missing")
            entries, count = dictionaries[column.dictionary].first, dictionaries[column.dictionary].entries
        found += (2 * column.field, column.kind, values, blob, blob_end, valid, column.width, column.is_signed)
        found += (column.scale, entries, count)
    buffers.finish()
    return rows, found
