"""The times from order to fill in the columns of a range: pure and vectorised, nothing where no trade has one."""

from __future__ import annotations

import numpy as np

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
    names, named = _named(columns, rows)
    key = (timestamp // SLOT_NS + SLOT_OFFSET) << SLOT_SHIFT | named << CODE_BITS | codes
    cells = np.empty((len(rows), WIDTH), np.uint64)
    cells[:, KEY], cells[:, COUNT], cells[:, MOST] = key, 1, elapsed
    cells[:, LOW], cells[:, HIGH] = elapsed & _LOW_MASK, elapsed >> _HALF
    return OrderTimes(names, added(cells))


def _named(columns: Columns, rows: Ints) -> tuple[tuple[Name, ...], Ints]:
    """(the names in order of first appearance, the index of each row's)."""
    instruments = columns.instruments
    venues = [instruments[code].venue for code in columns.instrument[rows].tolist()]
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
