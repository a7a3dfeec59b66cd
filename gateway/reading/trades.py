"""Single trades as they stand in the journal: those behind an alert, or the newest ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from telemetry.backbone.record import Record
from telemetry.columns import Columns, decode_frame
from telemetry.errors import InvalidInput
from telemetry.frame import Array

LIMIT = 1_000  # trades of one answer
SCANNED = 100_000  # trades that one answer looks through: a tenth of a second; `next` goes on behind them
TEXTS = ("account", "strategy", "source")
Records = Callable[[int, int], Iterator[Record]]


@dataclass(frozen=True)
class Range:
    """Trades `first` to `last`, both included, at most `limit` of them; `wanted` are values by field, any of them."""

    first: int
    last: int
    limit: int
    wanted: Mapping[str, tuple[str, ...]]


def range_of(
    applied: int,
    from_seq: int | None,
    to_seq: int | None,
    limit: int,
    cursor: str | None,
    wanted: Mapping[str, tuple[str, ...]],
) -> Range:
    """What the parameters mean when `applied` is the newest trade; by default the newest `limit` trades.

    Raises InvalidInput.
    """
    if not 1 <= limit <= LIMIT:
        raise InvalidInput(f"limit: expected 1 to {LIMIT}, received {limit}")
    last = applied if to_seq is None else min(to_seq, applied)
    first = max(1, last - limit + 1) if from_seq is None else max(1, from_seq)
    if cursor is not None:
        if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
            raise InvalidInput(f"cursor: expected what `next` gave, received {cursor[:40]!a}")
        first = max(first, int(cursor))
    return Range(first, last, limit, {name: values for name, values in wanted.items() if values})


def listed(records: Records, asked: Range) -> tuple[list[dict[str, Any]], str | None]:
    """The trades, ascending, as JSON values with their `seq`; and where to go on, None when this is all."""
    found: list[dict[str, Any]] = []
    stop = min(asked.last, asked.first + SCANNED - 1)
    for record in records(asked.first, stop) if asked.first <= stop else ():
        if record.count:
            found.extend(islice(_rows(record, asked, stop), asked.limit + 1 - len(found)))
        if len(found) > asked.limit:
            return found[:-1], str(found[-1]["seq"])
    return found, None if stop >= asked.last else str(stop + 1)


def _rows(record: Record, asked: Range, stop: int) -> Iterator[dict[str, Any]]:
    low, high = max(asked.first, record.first_seq), min(stop, record.last_seq)
    columns = decode_frame(record.frame).slice(low - record.first_seq, high + 1 - record.first_seq)
    mask = _mask(columns, asked.wanted)
    for seq, row in zip((np.flatnonzero(mask) + low).tolist(), columns.only(mask).rows(), strict=True):
        yield {"seq": seq} | row


def _mask(columns: Columns, wanted: Mapping[str, Iterable[str]]) -> Array:
    mask = np.ones(len(columns), bool)
    for name, values in wanted.items():
        if name in TEXTS:
            text = columns.text(name)
            mask &= np.isin(text.tolist(), list(values)) if text is not None else False
        else:
            codes = [code for code, of in enumerate(columns.instruments) if getattr(of, name) in values]
            mask &= np.isin(columns.instrument, codes)
    return mask
