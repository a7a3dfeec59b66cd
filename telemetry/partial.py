"""Partial statistics: what a worker returns for one range of the journal, and what the aggregator merges.

Layout of the body of a partial message (little endian):

    offset size
     0      4   length of the head in bytes
     4      4   number of rows
     8      h   head, MessagePack: LAYOUT, instruments with their scales, wide atoms, gross corrections, watermark,
                and the section of each module that brings its own: telemetry.latencies
     8+h    p   zeros up to a multiple of 8
    ...         rows: int64[number of rows][rows.WIDTH], INSTRUMENT is an index into the head's instruments
    ...         the arrays of telemetry.patterns, int64, as many rows of each as the head says; or nothing
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import NamedTuple

import msgspec
import numpy as np

from telemetry.errors import InvalidInput
from telemetry.latencies import NONE, OrderTimes, decode_orders, encode_orders
from telemetry.patterns import FURTHEST, MILLISECOND_SHIFT, WIDTHS, Patterns
from telemetry.rows import WIDTH, Rows
from telemetry.statistics import Atom, Extreme
from telemetry.trade import Instrument
from telemetry.wire import Buffer

LAYOUT = 2  # of the body
_LENGTHS = struct.Struct("<II")
_least, _most = np.minimum.reduce, np.maximum.reduce  # of few numbers half the price of .min() and .max()


class Watermark(NamedTuple):
    """The largest timestamp not more than 5 s ahead of its own `received_at`; both UTC ns."""

    timestamp: int
    received_at: int


@dataclass(frozen=True)
class Partial:
    """Statistics of the trades first..last, per (instrument, second).

    `instruments` stand in order of first appearance; `price_scale` and `quantity_scale` are theirs, the finest that
    occurs in the range. `wide` holds the atoms that do not fit a row, by (instrument, second). `negative` is, per
    instrument that traded at negative prices, the sum of |price| * quantity of just those trades by side: what is
    added twice to the signed notional to get the gross one. `patterns` is None when only basic statistics are made.
    """

    instruments: tuple[Instrument, ...]
    price_scale: tuple[int, ...]
    quantity_scale: tuple[int, ...]
    rows: Rows
    wide: Mapping[tuple[int, int], Atom] = field(default_factory=dict)
    negative: Mapping[int, tuple[int, int, int]] = field(default_factory=dict)
    watermark: Watermark | None = None
    orders: OrderTimes = NONE
    patterns: Patterns | None = None


EMPTY = Partial((), (), (), np.empty((0, WIDTH), np.int64))


class _Head(msgspec.Struct, array_like=True):
    layout: int
    instruments: list[Instrument]
    price_scale: list[int]
    quantity_scale: list[int]
    wide: list[tuple[int, int, list[str]]]
    negative: dict[int, tuple[str, str, str]]
    watermark: tuple[int, int] | None
    orders: bytes
    patterns: list[int] | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Head)


def encode_partial(partial: Partial) -> bytes:
    """The body of a partial message."""
    return b"".join(partial_pieces(partial))


def partial_pieces(partial: Partial) -> list[Buffer]:
    """The body of a partial message, to be joined; the arrays are those of the partial."""
    head = _encoder.encode(
        _Head(
            LAYOUT,
            list(partial.instruments),
            list(partial.price_scale),
            list(partial.quantity_scale),
            [(instrument, second, atom_to_texts(atom)) for (instrument, second), atom in partial.wide.items()],
            {key: (str(value[0]), str(value[1]), str(value[2])) for key, value in partial.negative.items()},
            partial.watermark,
            encode_orders(partial.orders),
            None if partial.patterns is None else [len(array) for array in partial.patterns.arrays()],
        )
    )
    padding = bytes(-(_LENGTHS.size + len(head)) % 8)
    arrays = [partial.rows] if partial.patterns is None else [partial.rows, *partial.patterns.arrays()]
    lengths = _LENGTHS.pack(len(head), len(partial.rows))
    return [lengths, head, padding, *(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data for array in arrays)]


def row_count(body: Buffer) -> int:
    """The number of rows in a message body, by its own word; 0 when it is too short to say."""
    view = memoryview(body).cast("B")
    return int(_LENGTHS.unpack_from(view)[1]) if len(view) >= _LENGTHS.size else 0


def decode_partial(body: Buffer) -> Partial:
    """The partial of a message body; its rows are a copy that the receiver may change, its
    patterns are not. Raises InvalidInput."""
    view = memoryview(body).cast("B")
    try:
        length, count = _LENGTHS.unpack_from(view)
        head = _decoder.decode(view[_LENGTHS.size : _LENGTHS.size + length])
        if head.layout != LAYOUT:
            raise ValueError(f"it is in layout {head.layout}, expected {LAYOUT}")
        start = (_LENGTHS.size + length + 7) // 8 * 8
        rows = np.frombuffer(view, np.int64, count * WIDTH, start).reshape(count, WIDTH).copy()
        wide = {(instrument, second): atom_from_texts(texts) for instrument, second, texts in head.wide}
        negative = {key: (int(a), int(b), int(c)) for key, (a, b, c) in head.negative.items()}
        patterns = None if head.patterns is None else _patterns(view[start + rows.nbytes :], head.patterns)
    except (struct.error, msgspec.MsgspecError, ValueError) as error:
        raise InvalidInput(f"expected the body of a partial, received {len(view)} bytes: {error}") from None
    known = len(head.instruments)
    named = {*negative, *(instrument for instrument, _ in wide)}
    if count:
        named |= {int(_least(rows[:, 0])), int(_most(rows[:, 0]))}
    if patterns is not None and (most := patterns.most()) >= 0:
        named.add(most)
    is_known = all(0 <= number < known for number in named)
    if len(head.price_scale) != known or len(head.quantity_scale) != known or not is_known:
        raise InvalidInput(f"expected scales and rows for {known} instruments, received others")
    return Partial(
        tuple(head.instruments),
        tuple(head.price_scale),
        tuple(head.quantity_scale),
        rows,
        wide,
        negative,
        Watermark(*head.watermark) if head.watermark else None,
        decode_orders(head.orders),
        patterns,
    )


def _patterns(view: memoryview, counts: list[int]) -> Patterns:
    """In place; ValueError when the bytes are not those of so many rows."""
    sizes = [count * width for count, width in zip(counts, WIDTHS, strict=True)]
    numbers = np.frombuffer(view, np.int64)
    if len(numbers) != sum(sizes):
        raise ValueError(f"expected {sum(sizes)} numbers of patterns, received {len(numbers)}")
    ends = list(accumulate(sizes, initial=0))
    parts = zip(pairwise(ends), WIDTHS, strict=True)
    last, gaps, runs, candidates, words = (numbers[begin:end].reshape(-1, width) for (begin, end), width in parts)
    patterns = Patterns(last, gaps, runs, candidates, words, numbers)
    _check_runs(patterns)
    return patterns


def _check_runs(patterns: Patterns) -> None:
    """ValueError when the words are not those of the runs, or a run could leave its instrument."""
    runs, words, total = patterns.runs, patterns.words.reshape(-1).view(np.uint32), patterns.milliseconds
    if len(runs):
        first, counts = runs.T
        end = (first & (1 << MILLISECOND_SHIFT) - 1) + counts * (FURTHEST + 1)
        if _least(counts) <= 0 or _most(counts) > len(words) or _most(end) >> MILLISECOND_SHIFT:
            raise ValueError("expected runs of milliseconds, each of one instrument, received others")
    if total + total % 2 != len(words) or (total % 2 and words[-1]):
        raise ValueError(f"expected {total} words of {len(runs)} runs, received others, {len(words)} with their end")


def atom_to_texts(atom: Atom) -> list[str]:
    """All numbers of an atom in a fixed order, as text: MessagePack and SQLite integers end at 64 bits."""
    return [
        str(number)
        for number in (
            atom.price_scale,
            atom.quantity_scale,
            *atom.trades,
            *atom.quantity,
            *atom.notional,
            atom.squares,
            atom.quantity_min,
            atom.quantity_max,
            atom.price_min,
            atom.price_max,
            *atom.open,
            *atom.last,
            atom.revision,
        )
    ]


def atom_from_texts(texts: list[str]) -> Atom:
    """The reverse of :func:`atom_to_texts`; ValueError on anything else."""
    n = [int(text) for text in texts]
    if len(n) != 23:
        raise ValueError(f"expected 23 numbers of an atom, received {len(n)}")
    return Atom(
        n[0],
        n[1],
        (n[2], n[3], n[4]),
        (n[5], n[6], n[7]),
        (n[8], n[9], n[10]),
        n[11],
        n[12],
        n[13],
        n[14],
        n[15],
        Extreme(n[16], n[17], n[18]),
        Extreme(n[19], n[20], n[21]),
        n[22],
    )
