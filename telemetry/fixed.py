"""Frames read for analysis: the columns that every trade has, of many frames as one. The optional ones are not looked
at, but for those that tell when orders left, where a frame has such times.

A lease of small commits has many small frames. What costs there is not the bytes but each array that is made; so the
bytes of a column are joined first, and become one array.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from telemetry.columns import Columns, joined
from telemetry.decimals import MAX_SCALE
from telemetry.errors import InvalidInput
from telemetry.frame import (
    HEAD,
    I64,
    OPTIONAL,
    ROW_BYTES,
    U8,
    U32,
    VERSION,
    Array,
    Buffer,
    Text,
    unpack_optional,
    unpack_table,
)
from telemetry.trade import SIDES, Instrument

_WIDTHS = (8, 8, 8, 8, 4, 1, 1, 1)  # price, quantity, timestamp, received_at, instrument, side, and the two scales
_ORDERS = ("order_sent_at", "strategy", "liquidity")
_ORDER_BIT = 1 << OPTIONAL.index("order_sent_at")
_LARGE_FRAMES = 512  # rows: from here on it costs less to look at each frame by itself
_most = np.maximum.reduce  # half the price of .max() on a few rows


def decode_fixed(frames: Sequence[memoryview]) -> Columns:
    """All trades of `frames`, in order, of their optional columns at most _ORDERS; these may point into a frame, the
    others too if it is the only one.

    Raises InvalidInput on fixed columns that `frame.pack` did not write.
    """
    pieces: list[list[memoryview]] = [[] for _ in _WIDTHS]
    tables, counts, masks = [], [], 0
    for view in frames:
        count, entries, mask, end = _head(view)
        at = HEAD.size
        for piece, width in zip(pieces, _WIDTHS, strict=True):
            piece.append(view[at : at + width * count])
            at += width * count
        tables.append(unpack_table(view[end - entries : end]))
        counts.append(count)
        masks |= mask
    price, quantity, timestamp, received_at = (_column(piece, I64) for piece in pieces[:4])
    instrument = _column(pieces[4], U32)
    side, price_scale, quantity_scale = (_column(piece, U8) for piece in pieces[5:])
    if len(price) and not (_most(side) < len(SIDES) and _most(price_scale) <= MAX_SCALE >= _most(quantity_scale)):
        raise InvalidInput("expected known sides and scales in the frame, received others")
    instruments, instrument = _joined(tables, counts, instrument)
    optional = _optional(frames, counts) if masks & _ORDER_BIT else {}
    return Columns(
        instruments, instrument, side, price, price_scale, quantity, quantity_scale, timestamp, received_at, optional
    )


def _column(pieces: list[memoryview], kind: np.dtype[Any]) -> Array:
    """The numbers of one column, in place where they are in one piece at an address that suits them."""
    if len(pieces) == 1 and (found := np.frombuffer(pieces[0], kind)).flags.aligned:
        return found
    return np.frombuffer(b"".join(pieces), kind)


def fixed_pieces(view: memoryview) -> list[Buffer]:
    """A frame that `decode_fixed` reads as this one, in pieces that point into it: the optional columns are left out,
    all of them, unless it has one of _ORDERS' times. `view` is a frame that `frame.pack` wrote."""
    count, entries, mask, end = _head(view)
    if mask & _ORDER_BIT:
        return [view]
    end += -entries % 8
    return [HEAD.pack(VERSION, count, entries, 0, end), view[HEAD.size : end]]


def rows_pieces(view: memoryview, low: int, high: int) -> list[Buffer]:
    """As `fixed_pieces`, of the rows low..high - 1; none when the frame has one of _ORDERS' times."""
    count, entries, mask, end = _head(view)
    if mask & _ORDER_BIT:
        return []
    rows, at, pieces = high - low, HEAD.size, list[Buffer]()
    for width in _WIDTHS:
        pieces.append(view[at + width * low : at + width * high])
        at += width * count
    pieces += [bytes(-ROW_BYTES * rows % 8), view[end - entries : end + -entries % 8]]
    return [HEAD.pack(VERSION, rows, entries, 0, HEAD.size + sum(map(len, pieces))), *pieces]


def _optional(frames: Sequence[memoryview], counts: Sequence[int]) -> dict[str, Array | Text]:
    found = [unpack_optional(view, _ORDERS) for view in frames]
    if len(found) == 1:
        return found[0]
    names = [name for name in _ORDERS if any(name in columns for columns in found)]
    return {name: joined(name, [columns.get(name) for columns in found], counts) for name in names}


def _head(view: memoryview) -> tuple[int, int, int, int]:
    """(rows, bytes of the instrument table, which optional columns there are, where the table ends)."""
    if len(view) < HEAD.size:
        raise InvalidInput(f"expected a frame of at least {HEAD.size} bytes, received {len(view)}")
    version, count, entries, mask, length = HEAD.unpack_from(view)
    end = HEAD.size + ROW_BYTES * count + -ROW_BYTES * count % 8 + entries
    if version != VERSION or not end + -entries % 8 <= length <= len(view):
        raise InvalidInput(
            f"expected frame version {VERSION} of {length} bytes, received version {version} and {len(view)} bytes"
        )
    return count, entries, mask, end


def _joined(
    tables: list[tuple[Instrument, ...]], counts: list[int], instrument: Array
) -> tuple[tuple[Instrument, ...], Array]:
    """One table, and places in it instead of those in each frame's own, which are checked."""
    if len(tables) == 1:
        _check(instrument, len(tables[0]))
        return tables[0], instrument
    joined: dict[Instrument, int] = {}
    codes = [[joined.setdefault(entry, len(joined)) for entry in table] for table in tables]
    if len(instrument) >= _LARGE_FRAMES * len(tables):
        pieces = np.split(instrument, list(accumulate(counts[:-1])))
        return tuple(joined), np.concatenate([_placed(*each) for each in zip(pieces, codes, strict=True)])
    sizes = [len(table) for table in tables]
    _check(instrument, np.repeat(np.array(sizes, np.int64), counts))
    before = np.add.accumulate([0, *sizes[:-1]])
    flat = np.array([code for of in codes for code in of], U32)
    return tuple(joined), flat[np.repeat(before, counts) + instrument]


def _placed(instrument: Array, codes: list[int]) -> Array:
    """The places of one frame's trades in the table that all share."""
    _check(instrument, len(codes))
    return instrument if codes == list(range(len(codes))) else np.array(codes, U32).take(instrument)


def _check(instrument: Array, sizes: int | Array) -> None:
    """InvalidInput where a trade's instrument is not in a table of so many."""
    is_known = len(instrument) == 0 or (
        _most(instrument) < sizes if isinstance(sizes, int) else (instrument < sizes).all()
    )
    if not is_known:
        raise InvalidInput("expected known instruments in the frame, received others")
