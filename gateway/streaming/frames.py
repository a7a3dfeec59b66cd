"""What the live stream writes: JSON messages as WebSocket text frames, ready for the wire.

The frames of a server are not masked, so the same bytes serve every client that is told the same.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import msgspec

encode = msgspec.json.encode

_TEXT = 0x81  # the only, hence last frame of a text
_SHORT, _MEDIUM, _LONG = struct.Struct("!BB"), struct.Struct("!BBH"), struct.Struct("!BBQ")
_WRAPPERS = {"latency": b"stages", "freshness": b"streams"} | dict.fromkeys(
    ("stats", "candles", "patterns"), b"symbols"
)
WRAPPED = _WRAPPERS.keys()  # topics whose data are rows of many; the others are one object


def text_frame(text: bytes) -> bytes:
    """A frame around UTF-8."""
    size = len(text)
    if size < 126:
        return _SHORT.pack(_TEXT, size) + text
    if size < 1 << 16:
        return _MEDIUM.pack(_TEXT, 126, size) + text
    return _LONG.pack(_TEXT, 127, size) + text


def message(kind: str, name: str, topic: str, seq: int, data: bytes, skipped: int = 0) -> bytes:
    """The frame of a message to the subscription `name`; `data` is JSON already."""
    head = b'{"type":%b,"id":%b,"topic":%b,"seq":%d,"skipped":%d,"data":%b}'
    return text_frame(head % (encode(kind), encode(name), encode(topic), seq, skipped, data))


def state(topic: str, rows: Mapping[str, bytes], also: bytes) -> bytes:
    """The data of a state topic from rows that are JSON already, and from what is sent along with them."""
    data = b",".join([encode(key) + b":" + row for key, row in rows.items()])
    if wrapper := _WRAPPERS.get(topic):
        data = b'"%b":{%b}' % (wrapper, data)
    if also:
        data = also + b"," + data if data else also
    return b"{%b}" % data
