"""Frames read for analysis: the columns that every trade has, of many frames as one, the optional ones not looked at.

A lease of small commits has many small frames. What costs there is not the bytes but each array that is made; so the
bytes of a column are joined first, and become one array.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from telemetry.columns import Columns
from telemetry.decimals import MAX_SCALE
from telemetry.errors import InvalidInput
from telemetry.frame import HEAD, I64, ROW_BYTES, U8, U32, VERSION, Array, unpack_table
from telemetry.trade import SIDES, Instrument

_WIDTHS = (8, 8, 8, 8, 4, 1, 1, 1)  # price, quantity, timestamp, received_at, instrument, side, and the two scales
_most = np.maximum.reduce  # half the price of .max() on a few rows


def decode_fixed(frames: Sequence[memoryview]) -> Columns:
    """All trades of `frames`, in order, without their optional columns; nothing points into the frames.

    Raises InvalidInput on fixed columns that `frame.pack` did not write.
    """
    pieces: list[list[memoryview]] = [[] for _ in _WIDTHS]
    tables, counts = [], []
    for view in frames:
        count, entries, end = _head(view)
        at = HEAD.size
        for piece, width in zip(pieces, _WIDTHS, strict=True):
            piece.append(view[at : at + width * count])
            at += width * count
        tables.append(unpack_table(view[end - entries : end]))
        counts.append(count)
    price, quantity, timestamp, received_at = (np.frombuffer(b"".join(piece), I64) for piece in pieces[:4])
    instrument = np.frombuffer(b"".join(pieces[4]), U32)
    side, price_scale, quantity_scale = (np.frombuffer(b"".join(piece), U8) for piece in pieces[5:])
    if len(price) and not (_most(side) < len(SIDES) and _most(price_scale) <= MAX_SCALE >= _most(quantity_scale)):
        raise InvalidInput("expected known sides and scales in the frame, received others")
    sizes = np.repeat(np.array([len(table) for table in tables], np.int64), counts) if tables[1:] else len(tables[0])
    if (instrument >= sizes).any():
        raise InvalidInput("expected known instruments in the frame, received others")
    instruments, instrument = _joined(tables, counts, instrument)
    return Columns(
        instruments, instrument, side, price, price_scale, quantity, quantity_scale, timestamp, received_at, {}
    )


def _head(view: memoryview) -> tuple[int, int, int]:
    """(rows, bytes of the instrument table, where that ends)."""
    if len(view) < HEAD.size:
        raise InvalidInput(f"expected a frame of at least {HEAD.size} bytes, received {len(view)}")
    version, count, entries, _, length = HEAD.unpack_from(view)
    end = HEAD.size + ROW_BYTES * count + -ROW_BYTES * count % 8 + entries
    if version != VERSION or not end <= length <= len(view):
        raise InvalidInput(
            f"expected frame version {VERSION} of {length} bytes, received version {version} and {len(view)} bytes"
        )
    return count, entries, end


def _joined(
    tables: list[tuple[Instrument, ...]], counts: list[int], instrument: Array
) -> tuple[tuple[Instrument, ...], Array]:
    """One table, and places in it instead of those in each frame's own."""
    if len(tables) == 1:
        return tables[0], instrument
    joined: dict[Instrument, int] = {}
    codes = [joined.setdefault(entry, len(joined)) for table in tables for entry in table]
    before = np.add.accumulate([0, *map(len, tables[:-1])])
    return tuple(joined), np.array(codes, U32)[np.repeat(before, counts) + instrument]
