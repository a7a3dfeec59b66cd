"""From the bytes of an Arrow IPC stream to record batches that can be read without fear.

The metadata of every message is looked at before anything is read: what would take more memory or time than its bytes
deserve (compression, dictionaries that grow or are used again and again, columns that share their bytes) is refused.
Then all buffers are checked: offsets ascend and stay inside, texts are UTF-8, indices have an entry.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow import types

from telemetry.decode_reference import MAX_TRADES, MAX_VALUES, too_many, unparsable
from telemetry.flatbuffer import BOOL, I64, Table
from telemetry.trade import printable

MAX_BATCHES = 1_000  # a batch costs as much as some hundred trades, however few it has
MAX_BYTES = 64 << 20  # that are looked at: every batch with all its dictionaries; four times the largest body
_OPTIONS = pa.ipc.IpcReadOptions(use_threads=False)
# What pyarrow raises; its own errors are ValueErrors, OSErrors, KeyErrors or MemoryErrors.
_ERRORS = (pa.ArrowException, ValueError, OSError, KeyError, MemoryError, OverflowError, struct.error)

# Where the fields are in the tables of Message.fbs and Schema.fbs.
_HEADER, _BODY_LENGTH = 2, 3  # of Message
_ID, _DATA, _IS_DELTA = 0, 1, 2  # of DictionaryBatch
_LENGTH, _BUFFERS, _COMPRESSION = 0, 2, 3  # of RecordBatch
_BUFFER = struct.Struct("<qq")  # offset, length


def read_batches(body: bytes) -> list[pa.RecordBatch]:
    """All rows of the stream, in order, in one batch if that can be; none when there are none.

    Raises InvalidInput: 400 what is no such stream, 413 too many rows.
    """
    try:
        _check_messages(body)
        with pa.ipc.open_stream(pa.py_buffer(body), options=_OPTIONS) as reader:
            _check_schema(reader.schema)
            batches = [batch for batch in reader if batch.num_rows]
        for batch in batches:
            for column in batch.columns:
                _validate(column)
        return _joined(batches) if len(batches) > 1 else batches
    except _ERRORS as error:
        raise unparsable(f"expected an Arrow IPC stream: {_first_line(error)}") from None


def _validate(column: pa.Array[Any]) -> None:
    """Raises ArrowInvalid for what must not be read. Fully where it costs little or matters: whether decimals keep the
    precision of their type does not."""
    if types.is_dictionary(column.type) and not column.null_count:
        column.validate()
        column.dictionary.validate(full=True)  # type: ignore[attr-defined]
        codes = column.indices.to_numpy()  # type: ignore[attr-defined]
        if codes.min() < 0 or codes.max() >= len(column.dictionary):  # type: ignore[attr-defined]
            raise pa.ArrowInvalid("an index without an entry in its dictionary")
    else:
        column.validate(full=not types.is_decimal(column.type))


def _joined(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    concat_batches: Any = pa.concat_batches  # type: ignore[attr-defined]  # the stubs are older than it
    try:
        return [concat_batches(batches)]
    except pa.ArrowException:  # different dictionaries that have null in them
        return batches


def _first_line(error: BaseException) -> str:
    return printable((str(error).splitlines() or [type(error).__name__])[0])


def _check_schema(schema: pa.Schema) -> None:
    """Raises InvalidInput for too many columns, UnicodeDecodeError for a name that is no text."""
    if len(schema.names) > MAX_VALUES or _count_fields(iter(schema)) > MAX_VALUES:
        raise unparsable(f"expected at most {MAX_VALUES} columns, with those inside of others")
    # What validate lets pass of damaged views can end the process when they are read.
    if any("view" in str(field.type) for field in schema):
        raise unparsable("expected utf8 or large_utf8, received views of texts or lists")


def _count_fields(fields: Iterator[pa.Field[Any]]) -> int:
    """How many there are with those inside, or more than MAX_VALUES."""
    count, todo = 0, list(fields)
    while todo and count <= MAX_VALUES:
        kind = todo.pop().type
        count += 1
        todo += [kind.field(index) for index in range(min(kind.num_fields, MAX_VALUES + 1))]
    return count


def _check_messages(body: bytes) -> None:
    """Refuses what may be dear before it is read."""
    dictionaries: dict[int, int] = {}  # bytes of each
    rows = batches = looked_at = 0
    for message in _messages(body):
        table = Table.root(message.metadata.to_pybytes())
        header = table.table(_HEADER)
        if message.type == "dictionary":
            if header.number(BOOL, _IS_DELTA):
                raise unparsable("expected whole dictionaries, received a delta")
            dictionaries[header.number(I64, _ID)] = _bytes_of(header.table(_DATA), table)
        elif message.type == "record batch":
            rows += header.number(I64, _LENGTH)
            batches += 1
            looked_at += _bytes_of(header, table) + sum(dictionaries.values())
        if rows > MAX_TRADES:
            raise too_many()
        if batches > MAX_BATCHES:
            raise unparsable(f"expected at most {MAX_BATCHES:,} record batches, received more; put more rows into each")
        if looked_at > MAX_BYTES:
            raise unparsable("expected dictionaries no larger than the batches that use them; put more rows into each")


def _messages(body: bytes) -> Iterator[pa.ipc.Message]:
    """Each of them; pyarrow has verified that the metadata are a well formed flatbuffer. Nothing may be missing."""
    source = pa.BufferReader(body)
    reader = pa.ipc.MessageReader.open_stream(source)
    while True:
        end = source.tell()
        try:
            message = reader.read_next_message()
        except StopIteration:
            break
        yield message
    if not end < source.tell() == len(body):
        what = "more behind it" if source.tell() < len(body) else "none: the stream was cut off or not closed"
        raise unparsable(f"expected the mark of the end of an Arrow IPC stream and nothing behind, received {what}")


def _bytes_of(batch: Table, message: Table) -> int:
    """The bytes of all buffers of a RecordBatch. Raises InvalidInput when they may stand for more than they are."""
    if batch.field(_COMPRESSION):
        raise unparsable("expected buffers without compression; send the stream without a codec")
    if batch.number(I64, _LENGTH) < 0:
        raise unparsable("expected an Arrow IPC stream: a batch with fewer rows than none")
    size: int = sum(length for _, length in batch.structs(_BUFFER, _BUFFERS))
    if size > message.number(I64, _BODY_LENGTH):
        raise unparsable("expected columns that do not share their bytes")
    return size
