"""Ready-made trades and requests: the eight fields, the same number of bytes each, another trade_id each.

Ten thousand rows are drawn once; later ones differ in trade_id and timestamp only, which are written in place. A
request is bytes in memory that the generator's process shares, so that sending it costs nothing but the send.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

Buffer = bytes | memoryview
SYMBOLS = 50
BLOCK = 10_000
START_NS = 1_763_800_000_000_000_000
STEP_NS = 100_000  # ten thousand trades to a second of market time
SEED = 20261122
_ID, _TIME = b"t-000000000000", b"%d" % START_NS
_ROW = '{"trade_id":"%s","symbol":"S%03d-USDT","venue":"XBENCH","account":"desk-%02d",%s,"timestamp":%s},'
_HEAD = (
    b"POST /v1/trades%b HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: benchmark%b\r\nContent-Type: %b\r\n"
    b"Content-Length: %d\r\n\r\n"
)
_WAIT = b"?wait=applied&timeout=30"
JSON, ARROW = b"application/json", b"application/vnd.apache.arrow.stream"


class Eight(msgspec.Struct):
    """The trade of the floor: bare decoding into this is what speeds are compared with."""

    trade_id: str
    symbol: str
    venue: str
    account: str
    side: str
    price: float
    quantity: float
    timestamp: int


def rows(first: int, count: int, symbols: int = SYMBOLS) -> NDArray[np.uint8]:
    """`count` JSON objects, each with a comma behind it, as a matrix of bytes; numbered from `first`."""
    numbers = np.arange(first, first + count, dtype=np.int64)
    block, id_at, time_at = _block(symbols)
    made = block[numbers % BLOCK]
    _write_digits(made[:, id_at : id_at + 12], numbers)
    _write_digits(made[:, time_at : time_at + 19], START_NS + numbers * STEP_NS)
    return made


def bodies(first: int, count: int, per_body: int = 1000) -> list[bytes]:
    """`count` JSON arrays of trades."""
    return [body.tobytes() for body in _arrays(first, count, per_body)]


def decoded(body: bytes) -> list[Eight]:
    """The floor's decode."""
    return _decoder.decode(body)


@dataclass(frozen=True)
class Requests:
    """Requests in shared memory: count, count + 1 offsets (int64), bytes. `with` frees them."""

    descriptor: int
    count: int
    trades: int  # in each

    def __enter__(self) -> Requests:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)


def requests(first: int, count: int, *, per_body: int = 1, waits: int = 0, symbols: int = SYMBOLS) -> Requests:
    """`count` requests with one object or an array each; of `waits` requests the last one waits until applied."""
    return pack(_bodies(first, count, per_body, symbols), count, per_body, JSON, waits)


def pack(made: Iterator[Buffer], count: int, trades: int, kind: bytes, waits: int = 0) -> Requests:
    """Bodies as requests in shared memory."""
    descriptor = os.memfd_create("requests", 0)
    offsets = np.zeros(count + 2, np.int64)
    offsets[0] = count
    position = offsets.nbytes
    with os.fdopen(os.dup(descriptor), "wb", buffering=1 << 20) as stream:
        stream.seek(position)
        for index, body in enumerate(made):
            waiting = bool(waits) and index % waits == waits - 1
            offsets[index + 1] = position
            position += stream.write(_head(waiting, kind, len(body)))
            position += stream.write(body)
        offsets[count + 1] = position
        stream.seek(0)
        stream.write(offsets.tobytes())
    return Requests(descriptor, count, trades)


def _bodies(first: int, count: int, per_body: int, symbols: int) -> Iterator[Buffer]:
    """An object each, or arrays; some hundred thousand trades are made at a time."""
    step = max(1, 200_000 // per_body)
    for start in range(0, count, step):
        part = min(step, count - start)
        if per_body == 1:
            made = rows(first + start, part, symbols)
            yield from (row[:-1].data for row in made)
        else:
            yield from (row.data for row in _arrays(first + start * per_body, part, per_body, symbols))


def _arrays(first: int, count: int, per_body: int, symbols: int = SYMBOLS) -> NDArray[np.uint8]:
    made = rows(first, count * per_body, symbols).reshape(count, -1)
    framed = np.empty((count, made.shape[1] + 1), np.uint8)
    framed[:, 0] = ord("[")
    framed[:, 1:] = made
    framed[:, -1] = ord("]")
    return framed


@lru_cache(maxsize=8)
def _head(waiting: bool, kind: bytes, size: int) -> bytes:
    # As many bytes with and without waiting: the one is not dearer to read than the other.
    return _HEAD % (_WAIT if waiting else b"", b"" if waiting else b"-" * len(_WAIT), kind, size)


@lru_cache(maxsize=2)
def _block(symbols: int) -> tuple[NDArray[np.uint8], int, int]:
    """Drawn rows of one length, and where trade_id and timestamp stand in them."""
    draw = random.Random(SEED)
    drawn = []
    for _ in range(BLOCK):
        symbol = min(draw.randrange(symbols), draw.randrange(symbols))
        price = (symbol % SYMBOLS + 10) * 1000 + draw.randrange(100_000) / 100
        buy = draw.random() < 0.5
        # A digit more makes up for the shorter word: all rows have the same length.
        quantity = f"{draw.randrange(1, 10)}.{draw.randrange(1, 10**5 if buy else 10**4):0{5 if buy else 4}d}"
        middle = f'"side":"{"buy" if buy else "sell"}","price":{price:.2f},"quantity":{quantity}'
        drawn.append((_ROW % (_ID.decode(), symbol, draw.randrange(20), middle, _TIME.decode())).encode())
    block = np.frombuffer(b"".join(drawn), np.uint8).reshape(BLOCK, -1)
    return block, drawn[0].index(_ID) + 2, drawn[0].index(_TIME)


def _write_digits(into: NDArray[np.uint8], numbers: NDArray[np.int64]) -> None:
    rest = numbers.copy()
    for position in range(into.shape[1] - 1, -1, -1):
        rest, digit = np.divmod(rest, 10)
        into[:, position] = digit + ord("0")


_decoder = msgspec.json.Decoder(list[Eight])
