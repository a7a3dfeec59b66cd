"""The journal's record: one commit group, one checksum. What a lease carries of it is a record again: see leased.py.

    offset size
     0      8   magic "TTRECORD", always on a 64-byte boundary of its file so that a scan finds later records
     8      4   crc32 of everything from byte 12 to the end of the payload
    12      4   payload length in bytes
    16      8   first_seq: sequence number of the first trade (u64, starts at 1)
    24      8   synced_seq: last sequence number known to be on disk when this record was written (u64)
    32      8   minimum timestamp (i64, UTC ns)
    40      8   maximum timestamp (i64, UTC ns)
    48      4   count of trades (u32, may be 0: a request all of whose trades were duplicates)
    52      4   number of request entries
    56      4   number of trade-key entries
    60      1   version = 1
    61      1   row kind = 1 (trades)
    62      2   zero
    64          payload: request entries of 64 bytes (REQUEST_ENTRY), trade-key entries of 32 bytes (KEY_ENTRY),
                the frame (columns), then zeros up to a multiple of 64

All integers little endian. Record k+1 starts at first_seq + count of record k.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from isal.isal_zlib import crc32

from telemetry.errors import InvalidInput

MAGIC = b"TTRECORD"
VERSION = 1
TRADES = 1  # row kind
ALIGN = 64
HEADER_BYTES = 64

_CHECKED = struct.Struct("<IQQqqIIIBBH")  # byte 12 onwards: what the checksum covers
_HEADER = struct.Struct("<8sIIQQqqIIIBBH")
_CHECKED_FROM = 12

Buffer = bytes | bytearray | memoryview
Entries = npt.NDArray[np.void]

# One per request that carried an Idempotency-Key. `digest` and `fingerprint` are 128 bits as two u64.
REQUEST_ENTRY = np.dtype(
    [
        ("digest", "<u8", (2,)),
        ("fingerprint", "<u8", (2,)),
        ("accepted", "<u4"),
        ("duplicates", "<u4"),
        ("first_row", "<u4"),
        ("rows", "<u4"),
        ("journaled_at", "<i8"),
        ("zero", "<u8"),
    ]
)
# One per trade that carried a key; its sequence number is first_seq + row.
KEY_ENTRY = np.dtype([("digest", "<u8", (2,)), ("fingerprint", "<u8"), ("row", "<u4"), ("zero", "<u4")])

_REQUEST_ROW = struct.Struct("<QQQQIIIIq8x")
_PACKED_REQUEST = struct.Struct("<16s16sIIIIq8x")
# digest low, high; fingerprint low, high; accepted, duplicates, first_row, rows, journaled_at
RequestRow = tuple[int, int, int, int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Record:
    """A checked record, read in place: every array and view points into the buffer it was decoded from."""

    first_seq: int
    count: int
    synced_seq: int
    min_timestamp: int
    max_timestamp: int
    request_count: int
    key_count: int
    payload_bytes: int
    raw: memoryview  # the whole record including its padding

    @property
    def last_seq(self) -> int:
        """Sequence number of the last trade; first_seq - 1 when the record holds no trade."""
        return self.first_seq + self.count - 1

    @property
    def requests(self) -> Entries:
        """The request entries, read only (REQUEST_ENTRY)."""
        return np.frombuffer(self.raw, REQUEST_ENTRY, self.request_count, HEADER_BYTES)

    @property
    def keys(self) -> Entries:
        """The trade-key entries, read only (KEY_ENTRY)."""
        return np.frombuffer(self.raw, KEY_ENTRY, self.key_count, HEADER_BYTES + 64 * self.request_count)

    def request_rows(self) -> Iterator[RequestRow]:
        """The request entries as plain integers: quicker than `requests` for a few of them."""
        return _REQUEST_ROW.iter_unpack(self.raw[HEADER_BYTES : HEADER_BYTES + 64 * self.request_count])

    @property
    def key_bytes(self) -> memoryview:
        """The trade-key entries as they are: quicker than `keys` when those of many records are joined."""
        start = HEADER_BYTES + 64 * self.request_count
        return self.raw[start : start + 32 * self.key_count]

    @property
    def frame(self) -> memoryview:
        """The columns of the trades, as encoded by telemetry.columns."""
        return self.raw[
            HEADER_BYTES + 64 * self.request_count + 32 * self.key_count : HEADER_BYTES + self.payload_bytes
        ]


def request_entry(
    digest: bytes, fingerprint: bytes, accepted: int, duplicates: int, first_row: int, rows: int, journaled_at: int = 0
) -> bytes:
    """One REQUEST_ENTRY."""
    return _PACKED_REQUEST.pack(digest, fingerprint, accepted, duplicates, first_row, rows, journaled_at)


class About(NamedTuple):
    """What a record says of its trades: the number of the first, the last one that is on disk, how many there are, and
    the least and largest of their timestamps (UTC ns)."""

    first_seq: int
    synced_seq: int
    trades: int
    min_timestamp: int
    max_timestamp: int

    def checked(self, payload: int, requests: int, keys: int) -> bytes:
        """The header from what the checksum covers on: with the length of the payload, requests and keys, in bytes."""
        first, synced, trades, *times = self
        entries = trades, requests // REQUEST_ENTRY.itemsize, keys // KEY_ENTRY.itemsize
        return _CHECKED.pack(payload, first, synced, *times, *entries, VERSION, TRADES, 0)


def encode_record(
    about: About, frame: Buffer | Sequence[Buffer], *, requests: Buffer = b"", keys: Buffer = b""
) -> bytes:
    """One record; `frame` may be in pieces, which are copied once. `requests` and `keys` are the bytes of REQUEST_ENTRY
    and KEY_ENTRY arrays (`array.tobytes()`)."""
    pieces = (frame,) if isinstance(frame, bytes | bytearray | memoryview) else frame
    return b"".join(record_pieces(about, pieces, requests=requests, keys=keys))


def record_pieces(about: About, frame: Sequence[Buffer], *, requests: Buffer = b"", keys: Buffer = b"") -> list[Buffer]:
    """As `encode_record`, to be joined."""
    payload = (requests, keys, *frame)
    length = sum(map(len, payload))
    checked = about.checked(length, len(requests), len(keys))
    crc = crc32(checked)
    for piece in payload:
        crc = crc32(piece, crc)
    return [MAGIC, crc.to_bytes(4, "little"), checked, *payload, bytes(-length % ALIGN)]


class Piece(Protocol):
    """A part of a record that is made where it stays."""

    def __len__(self) -> int: ...  # bytes

    def write(self, out: memoryview) -> None: ...  # all of them


Take = Callable[[int], memoryview]  # so many bytes, whatever is in them


def anywhere(size: int) -> memoryview:
    """Memory from Python."""
    return np.empty(size, np.uint8).data


def write_record(
    about: About,
    frame: Sequence[Buffer],
    *,
    requests: Buffer = b"",
    keys: Sequence[Piece] = (),
    take: Take = anywhere,
) -> memoryview:
    """As `encode_record`, for many trades: the sum of each piece is made right behind its copy, while that is in the
    processor's caches. `keys` and `frame` are in pieces, `take` gives the memory."""
    payload: tuple[Buffer | Piece, ...] = (requests, *keys, *frame)
    length = sum(map(len, payload))
    checked = about.checked(length, len(requests), sum(map(len, keys)))
    raw = take(HEADER_BYTES + length + -length % ALIGN)
    crc, start = crc32(checked), HEADER_BYTES
    for piece in payload:
        written = raw[start : start + len(piece)]
        if isinstance(piece, bytes | bytearray | memoryview):
            written[:] = piece
        else:
            piece.write(written)
        crc, start = crc32(written, crc), start + len(piece)
    raw[:HEADER_BYTES] = b"".join((MAGIC, crc.to_bytes(4, "little"), checked))
    raw[start:] = bytes(-length % ALIGN)
    return raw


def read_header(raw: memoryview) -> Record:
    """A record of which it is known that it is whole and undamaged: unchecked."""
    _, _, length, first_seq, synced_seq, low, high, count, requests, keys, _, _, _ = _HEADER.unpack_from(raw)
    return Record(first_seq, count, synced_seq, low, high, requests, keys, length, raw)


def decode_record(buffer: Buffer, offset: int = 0) -> Record | None:
    """The record at `offset`, or None when what is there is no whole and undamaged record (padding included)."""
    view = memoryview(buffer).toreadonly()
    if len(view) - offset < HEADER_BYTES:
        return None
    (magic, crc, length, first_seq, synced_seq, low, high, count, requests, keys, version, kind, zero) = (
        _HEADER.unpack_from(view, offset)
    )
    if magic != MAGIC or version != VERSION or kind != TRADES or zero:
        return None
    end = offset + HEADER_BYTES + length
    padded = end + -length % ALIGN
    if padded > len(view) or 64 * requests + 32 * keys > length or first_seq < 1 or synced_seq >= first_seq:
        return None
    if crc32(view[offset + _CHECKED_FROM : end]) != crc or any(view[end:padded]):
        return None
    return Record(first_seq, count, synced_seq, low, high, requests, keys, length, view[offset:padded])


def iterate_records(buffer: Buffer) -> Iterator[Record]:
    """The records that fill `buffer` back to back (the body of a lease); InvalidInput where one is damaged."""
    offset = 0
    while offset < len(buffer):
        record = decode_record(buffer, offset)
        if record is None:
            raise InvalidInput(f"expected a journal record at byte {offset} of {len(buffer)}, received something else")
        yield record
        offset += len(record.raw)


def find_records(buffer: Buffer, start: int) -> Iterator[tuple[int, Record]]:
    """(offset, record) of every good record on a 64-byte boundary from `start` on, whatever lies between them."""
    content: Any = bytes(buffer) if isinstance(buffer, memoryview) else buffer
    position = content.find(MAGIC, start)
    while position >= 0:
        record = decode_record(content, position) if position % ALIGN == 0 else None
        if record is not None:
            yield position, record
        position = content.find(MAGIC, position + (len(record.raw) if record else 1))
