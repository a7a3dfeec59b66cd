"""From the order to its fill: `timestamp` - `order_sent_at`, by venue, strategy, liquidity and ten seconds.

A function of the journal, as the statistics are: workers count, the gateway adds. A time falls into the slot of ten
seconds of its `timestamp`, and there into a bucket of telemetry.quantiles. Two clocks: it may be negative.

A *cell* is a row of a uint64 matrix: what is known of one (slot, name, bucket). Adding cells is associative and
commutative, and they are exact: sums of 64-bit numbers are kept in two halves of 32 bits, which 2**31 trades do not
overflow. The section of a partial, little endian:

    offset size
     0      4   length of the names in bytes
     4      n   names: MessagePack array of [venue, strategy, liquidity], in order of first appearance
     4+n    ...  cells: uint64[][5], KEY ascending, the name in it an index into the names

It is empty, and nothing is computed, when no trade has `order_sent_at`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from telemetry.errors import InvalidInput
from telemetry.quantiles import NEGATIVE, NOTHING, Counts, buckets

SLOT_SECONDS = 10
SLOT_NS = SLOT_SECONDS * 1_000_000_000
KEY, COUNT, LOW, HIGH, MOST, WIDTH = 0, 1, 2, 3, 4, 5
CODE_BITS, NAME_BITS = 12, 17
SLOT_SHIFT = CODE_BITS + NAME_BITS
NAMES = 1 << NAME_BITS
SLOT_OFFSET = 1 << 30  # makes slots before 1970 positive: int64 nanoseconds reach 2**29.8 slots either way
_HALF = np.uint64(32)
_LOW_MASK = np.uint64((1 << 32) - 1)
_CODE_MASK = np.uint64((1 << CODE_BITS) - 1)
_LENGTH = struct.Struct("<I")

Cells = NDArray[np.uint64]
NO_CELLS: Cells = np.empty((0, WIDTH), np.uint64)


class Name(NamedTuple):
    """Whose orders; `liquidity` tells a maker's time in the queue from a taker's way to the market. "" is not given."""

    venue: str
    strategy: str
    liquidity: str


@dataclass(frozen=True, eq=False)
class OrderTimes:
    """Cells of some trades; the name in a key is an index into `names`."""

    names: tuple[Name, ...]
    cells: Cells

    def __bool__(self) -> bool:
        return len(self.cells) > 0


NONE = OrderTimes((), NO_CELLS)


def added(cells: Cells) -> Cells:
    """One cell for each key, ascending."""
    if len(cells) == 0:
        return cells
    ordered = cells[np.argsort(cells[:, KEY])]
    keys = ordered[:, KEY]
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    if len(starts) == len(ordered):
        return ordered
    sums: Cells = np.add.reduceat(ordered, starts, axis=0)
    sums[:, KEY] = keys[starts]
    sums[:, MOST] = np.maximum.reduceat(ordered[:, MOST], starts)
    sums[:, HIGH] += sums[:, LOW] >> _HALF
    sums[:, LOW] &= _LOW_MASK
    return sums


def counts_of(cells: Cells) -> Counts:
    """What the cells of one name say together, whatever their slots."""
    if len(cells) == 0:
        return NOTHING
    codes = (cells[:, KEY] & _CODE_MASK).astype(np.int64)
    counts = np.zeros(len(buckets().middles), np.int64)
    np.add.at(counts, codes, cells[:, COUNT].astype(np.int64))
    held = np.flatnonzero(counts)
    total = (int(cells[:, HIGH].sum()) << 32) + int(cells[:, LOW].sum())
    positive = bool((held > NEGATIVE).any())
    return Counts(held, counts[held], total, int(cells[:, MOST].max()) if positive else None)


def slots_of(cells: Cells) -> NDArray[np.int64]:
    """The slot of each cell: seconds since 1970 divided by ten."""
    return (cells[:, KEY] >> np.uint64(SLOT_SHIFT)).astype(np.int64) - SLOT_OFFSET


def names_of(cells: Cells) -> NDArray[np.int64]:
    """The index of each cell's name."""
    return ((cells[:, KEY] >> np.uint64(CODE_BITS)) & np.uint64(NAMES - 1)).astype(np.int64)


def renamed(cells: Cells, names: NDArray[np.int64]) -> Cells:
    """A copy with names[i] instead of name i; no longer in order."""
    moved = cells.copy()
    keep = np.uint64(~((NAMES - 1) << CODE_BITS) & ((1 << 64) - 1))
    moved[:, KEY] = (cells[:, KEY] & keep) | (names[names_of(cells)].astype(np.uint64) << np.uint64(CODE_BITS))
    return moved


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[Name, ...])


def encode_orders(times: OrderTimes) -> bytes:
    """The section of a partial."""
    if not times:
        return b""
    names = _encoder.encode(times.names)
    return b"".join((_LENGTH.pack(len(names)), names, times.cells.tobytes()))


def decode_orders(section: bytes) -> OrderTimes:
    """The reverse. Raises InvalidInput on what `encode_orders` did not write."""
    if not section:
        return NONE
    try:
        (length,) = _LENGTH.unpack_from(section)
        names = _decoder.decode(memoryview(section)[_LENGTH.size : _LENGTH.size + length])
        cells = np.frombuffer(section, np.uint64, offset=_LENGTH.size + length).reshape(-1, WIDTH)
    except (struct.error, msgspec.MsgspecError, ValueError) as error:
        raise InvalidInput(f"expected times of orders in a partial, received {len(section)} bytes: {error}") from None
    codes = cells[:, KEY] & _CODE_MASK
    ascending = (cells[1:, KEY] > cells[:-1, KEY]).all()
    if not ascending or (names_of(cells) >= len(names)).any() or (codes >= len(buckets().middles)).any():
        raise InvalidInput(f"expected ascending cells of {len(names)} names and known buckets, received others")
    return OrderTimes(names, cells)


def concatenated(parts: Sequence[Cells]) -> Cells:
    """All cells of the parts."""
    return np.concatenate(parts) if parts else NO_CELLS
