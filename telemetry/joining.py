"""The frame of several parts without joining their columns first: what a part has is copied once, to where it stays."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple, cast

import numpy as np

from telemetry.columns import ABSENCE, Columns, common_table
from telemetry.frame import I64, INTEGERS, OPTIONAL, U8, U32, Array, Buffer, Text, pieces, pieces_of, unpack_own
from telemetry.trade import Instrument

_NOTHING = np.empty(0, U8)


class Joined(NamedTuple):
    """A frame in pieces, to be joined."""

    instruments: tuple[Instrument, ...]
    pieces: list[Buffer]

    def columns(self, frame: Buffer) -> Columns:
        """The columns where they are now, read only: `frame` is what the pieces became."""
        return Columns(*unpack_own(frame, self.instruments))


def joined_frame(parts: Sequence[Columns]) -> Joined:
    """The frame of all rows of the parts, of which there is one at least: what frame.pack makes of
    telemetry.columns.concatenate."""
    if len(parts) == 1:
        return Joined(parts[0].instruments, pieces(parts[0]))
    instruments, found = common_table(parts)
    codes = [of.astype(U32, copy=False) for of in found]
    counts = [len(part) for part in parts]
    fixed = (
        *([part.price for part in parts], [part.quantity for part in parts]),
        *(
            [part.timestamp for part in parts],
            [part.received_at for part in parts],
            codes,
        ),
        *([part.side for part in parts], [part.price_scale for part in parts], [part.quantity_scale for part in parts]),
    )
    names = {name for part in parts for name in part.optional}
    optional = {
        name: _arrays(name, [part.optional.get(name) for part in parts], counts) for name in OPTIONAL if name in names
    }
    arrays = (array for column in fixed for array in column)
    return Joined(instruments, pieces_of(instruments, sum(counts), arrays, optional))


def _arrays(name: str, columns: Sequence[Array | Text | None], counts: Sequence[int]) -> list[Array]:
    """Those that make an optional column of parts with so many rows, None where a part does not have it."""
    if name not in INTEGERS and name != "fee_scale":
        return _texts(cast("Sequence[Text | None]", columns), counts)
    dtype, absence = I64 if name in INTEGERS else U8, ABSENCE[name]
    pairs = zip(columns, counts, strict=True)
    return [np.full(count, absence, dtype) if column is None else cast("Array", column) for column, count in pairs]


def _texts(columns: Sequence[Text | None], counts: Sequence[int]) -> list[Array]:
    """Offsets, each part's behind those of the one before, then the bytes."""
    blobs = [_NOTHING if column is None else column.blob for column in columns]
    begins = accumulate(map(len, blobs), initial=0)
    offsets = [np.zeros(1, U32)]
    for column, count, begin in zip(columns, counts, begins, strict=False):
        shift = U32.type(begin)
        offsets.append(np.full(count, shift) if column is None else column.offsets[1:] + shift)
    return [*offsets, *blobs]
