"""Messages between gateway and workers: one envelope, three heads.

    offset size
     0      1   version of this layout
     1      1   kind: 1 lease, 2 partial, 3 heartbeat
     2      2   zero
     4      4   crc32 of everything from byte 8 to the end (of a lease: to the end of the head, because
                the records in its body carry the checksum that the journal gave them)
     8      4   length of the head in bytes
    12      4   zero
    16      h   head: MessagePack map of the struct below
    16+h    p   zeros up to a multiple of 8
    ...         body, raw: records (lease, see telemetry.backbone.leased) or a statistics.Partial (partial); read in
                place. Nothing when the head has a `place`: it is in shared memory, see telemetry.backbone.room

All integers little endian. One frame per message: multipart is several times dearer.
"""

from __future__ import annotations

import struct
from enum import IntEnum

import msgspec
from isal.isal_zlib import crc32

from telemetry.errors import InvalidInput

VERSION = 1
_PREFIX = struct.Struct("<BBHIII")  # version, kind, zero, crc, head length, zero
_ALIGN = 8

Place = tuple[int, int]  # where a body is in the room that worker and gateway share


class Kind(IntEnum):
    """What a message is."""

    LEASE = 1
    PARTIAL = 2
    HEARTBEAT = 3


class LeaseHead(msgspec.Struct, frozen=True, omit_defaults=True):
    """Gateway to worker: analyse exactly the trades `first`..`last` of the records in the body, or at `place` (its
    first byte, its length) of the room that this generation of the worker told of."""

    epoch: int
    attempt: int
    first: int
    last: int
    place: Place | None = None


class PartialHead(msgspec.Struct, frozen=True, omit_defaults=True):
    """Worker to gateway: the statistics of `first`..`last`; `*_ns` are the worker's monotonic clock. With a `place`
    (its length, its crc32) they are behind the records of that lease in the worker's room."""

    epoch: int
    attempt: int
    first: int
    last: int
    worker: str
    generation: int
    version: str
    trades: int
    received_ns: int
    started_ns: int
    finished_ns: int
    place: Place | None = None


class Heartbeat(msgspec.Struct, frozen=True, omit_defaults=True):
    """Worker to gateway twice a second: I am here, push leases to `endpoint`; `done` counts leases returned. `room` is
    the descriptor of the memory that this generation shares, if it does; `room_nonce` stands at its beginning."""

    worker: str
    generation: int
    endpoint: str
    pid: int
    version: str
    done: int
    room: int = -1
    room_nonce: bytes = b""


Head = LeaseHead | PartialHead | Heartbeat
Buffer = bytes | bytearray | memoryview
_encoder = msgspec.msgpack.Encoder()
_decoders: dict[int, msgspec.msgpack.Decoder[Head]] = {
    Kind.LEASE: msgspec.msgpack.Decoder(LeaseHead),
    Kind.PARTIAL: msgspec.msgpack.Decoder(PartialHead),
    Kind.HEARTBEAT: msgspec.msgpack.Decoder(Heartbeat),
}


def encode(kind: Kind, head: Head, *body: Buffer) -> bytes:
    """One message as one frame."""
    packed = _encoder.encode(head)
    lengths = struct.pack("<II", len(packed), 0)
    packed += bytes(-(len(packed)) % _ALIGN)
    checksum = crc32(packed, crc32(lengths))
    if kind is not Kind.LEASE:
        for part in body:
            checksum = crc32(part, checksum)
    return b"".join((struct.pack("<BBHI", VERSION, kind, 0, checksum), lengths, packed, *body))


def decode(message: Buffer) -> tuple[Kind, Head, memoryview]:
    """Kind, head and body (a view into `message`). Raises InvalidInput on anything that `encode` did not write."""
    view = memoryview(message).cast("B")
    if len(view) < _PREFIX.size:
        raise InvalidInput(f"expected a message of at least {_PREFIX.size} bytes, received {len(view)}")
    version, kind, zero, checksum, length, _ = _PREFIX.unpack_from(view)
    if version != VERSION or kind not in _decoders or zero:
        raise InvalidInput(
            f"expected message version {VERSION} and a known kind, received version {version}, kind {kind}"
        )
    start = _PREFIX.size + length + -length % _ALIGN
    if start > len(view):
        raise InvalidInput(f"expected a head of {length} bytes, received {len(view) - _PREFIX.size} bytes in all")
    covered = view[8:start] if kind == Kind.LEASE else view[8:]
    if crc32(covered) != checksum:
        raise InvalidInput(f"expected checksum {checksum:08x}, received bytes with {crc32(covered):08x}")
    try:
        head = _decoders[kind].decode(view[_PREFIX.size : _PREFIX.size + length])
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"expected the head of a {Kind(kind).name.lower()}, received: {error}") from None
    return Kind(kind), head, view[start:]
