"""The times from order to fill in the columns of a range: pure and vectorised, nothing where no trade has one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telemetry.columns import Columns
from telemetry.latencies import (
    CODE_BITS,
    COUNT,
    HIGH,
    KEY,
    LOW,
    MOST,
    NONE,
    SLOT_NS,
    SLOT_OFFSET,
    SLOT_SHIFT,
    WIDTH,
    Name,
    OrderTimes,
    added,
)
from telemetry.quantiles import NEGATIVE, Ints, codes_of
from telemetry.times import ABSENT

Words = NDArray[np.uint64]
_ODD = np.uint64(0x9E3779B97F4A7C15)
CROSSOVER = 1000  # measured: below so many rows numpy's fixed cost is more than the loop
_HALF = np.uint64(32)
_LOW_MASK = np.uint64((1 << 32) - 1)


def order_times(columns: Columns) -> OrderTimes:
    """The cells of all trades with `order_sent_at`."""
    sent = columns.integers("order_sent_at")
    rows = None if sent is None else np.flatnonzero(sent != ABSENT)
    if sent is None or rows is None or len(rows) == 0:
        return NONE
    sent, timestamp = sent[rows], columns.timestamp[rows]
    # Both are 64 bits wide and may lie on both sides of 1970: their difference needs all 64 bits without a sign.
    elapsed = timestamp.astype(np.uint64) - sent.astype(np.uint64)
    negative = timestamp < sent
    elapsed[negative] = 0
    codes = codes_of(elapsed)
    codes[negative] = NEGATIVE
    names, named = (named_at_once if len(rows) >= CROSSOVER else named_plainly)(columns, rows)
    key = (timestamp // SLOT_NS + SLOT_OFFSET) << SLOT_SHIFT | named << CODE_BITS | codes
    cells = np.empty((len(rows), WIDTH), np.uint64)
    cells[:, KEY], cells[:, COUNT], cells[:, MOST] = key, 1, elapsed
    cells[:, LOW], cells[:, HIGH] = elapsed & _LOW_MASK, elapsed >> _HALF
    return OrderTimes(names, added(cells))


def named_plainly(columns: Columns, rows: Ints) -> tuple[tuple[Name, ...], Ints]:
    """(the names in order of first appearance, the index of each row's): the reference."""
    venues = [columns.instruments[code].venue for code in columns.instrument[rows].tolist()]
    strategies, liquidities = (_texts(columns, name, rows) for name in ("strategy", "liquidity"))
    table: dict[tuple[str, str, str], int] = {}
    found = [table.setdefault(name, len(table)) for name in zip(venues, strategies, liquidities, strict=True)]
    return tuple(map(Name._make, table)), np.array(found, np.int64)


def _texts(columns: Columns, name: str, rows: Ints) -> list[str]:
    text = columns.text(name)
    if text is None:
        return [""] * len(rows)
    every = text.tolist()
    return every if len(rows) == len(every) else [every[row] for row in rows.tolist()]


def named_at_once(columns: Columns, rows: Ints) -> tuple[tuple[Name, ...], Ints]:
    """The same, quicker for many rows.

    Rows are told apart by a number made of what names them, and then compared with the first row of that number: should
    two names ever have the same one, they are told apart by the plain loop.
    """
    parts = [_venues(columns, rows), *(_words(columns, name, rows) for name in ("strategy", "liquidity"))]
    words = np.concatenate(parts, axis=1)
    mixed = words @ (_ODD ** np.arange(1, words.shape[1] + 1, dtype=np.uint64))
    _, first, codes = np.unique(mixed, return_index=True, return_inverse=True)
    if not (words == words[first[codes]]).all():
        _, first, codes = np.unique(words, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(first), np.int64)
    rank[order] = np.arange(len(first))
    return tuple(_name(columns, row) for row in rows[first[order]].tolist()), rank[codes.ravel()]


def _name(columns: Columns, row: int) -> Name:
    strategy, liquidity = columns.text("strategy"), columns.text("liquidity")
    venue = columns.instruments[int(columns.instrument[row])].venue
    return Name(venue, "" if strategy is None else strategy[row], "" if liquidity is None else liquidity[row])


def _venues(columns: Columns, rows: Ints) -> Words:
    """The venue of each row as a number."""
    table: dict[str, int] = {}
    of = [table.setdefault(instrument.venue, len(table)) for instrument in columns.instruments]
    return np.array(of, np.uint64)[columns.instrument[rows], None]


def _words(columns: Columns, name: str, rows: Ints) -> Words:
    """The text of each row as words of eight bytes behind its length; equal words are equal texts."""
    text = columns.text(name)
    if text is None:
        return np.empty((len(rows), 0), np.uint64)
    starts = text.offsets[rows].astype(np.int64)
    lengths = text.offsets[rows + 1].astype(np.int64) - starts
    width = -(-int(lengths.max()) // 8) * 8
    padded = np.concatenate((text.blob, np.zeros(width, np.uint8)))
    places = np.arange(width)
    taken = padded[np.minimum(starts[:, None] + places, len(padded) - 1)] * (places < lengths[:, None])
    words = np.ascontiguousarray(taken, np.uint8).view(np.uint64).reshape(len(rows), width // 8)
    return np.concatenate((lengths.astype(np.uint64)[:, None], words), axis=1)
