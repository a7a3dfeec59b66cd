"""The contract size: one multiplier per (venue, symbol), whatever trades say of it later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from telemetry.decimals import format_decimal
from telemetry.decode import Batch
from telemetry.errors import InvalidInput
from telemetry.trade import Instrument

Multipliers = dict[tuple[str, str], tuple[int, int]]  # by (venue, symbol): mantissa, scale
MOST_CHECKED = 1 << 14


class Checked:
    """The instruments whose multipliers are the known ones. Those of many bodies are the same objects, which a decoder
    keeps, so a look at which objects they are is enough. Forget all when a known multiplier is taken back."""

    def __init__(self) -> None:
        self._by_id: dict[int, Instrument] = {}  # which also keeps them, or another one might get the id

    def __contains__(self, instruments: tuple[Instrument, ...]) -> bool:
        return all(map(self._by_id.__contains__, map(id, instruments)))

    def add(self, instruments: tuple[Instrument, ...]) -> None:
        """These are well."""
        if len(self._by_id) + len(instruments) > MOST_CHECKED:
            self._by_id.clear()
        if len(instruments) <= MOST_CHECKED:
            self._by_id.update(zip(map(id, instruments), instruments, strict=True))

    def forget(self) -> None:
        """Look at each again."""
        self._by_id.clear()


def new_multipliers(batch: Batch, known: Multipliers) -> Multipliers:
    """The multipliers that this batch brings; InvalidInput (422) when one contradicts what is known."""
    new: Multipliers = {}
    # A trade begins with the fields of its instrument: venue, symbol, kind, currency, multiplier, multiplier_scale.
    rows: Sequence[tuple[Any, ...]] = (batch.trades or ()) if batch.columns is None else batch.columns.instruments
    for position, row in enumerate(rows):
        key, value = row[:2], row[4:6]
        if (first := known.get(key)) is None:
            first = new.setdefault(key, value)
        if first != value:
            columns = batch.columns
            index = position if columns is None else int(np.argmax(columns.instrument == position))
            raise _other(index, first, value)
    return new


def _other(index: int, known: tuple[int, int], received: tuple[int, int]) -> InvalidInput:
    expected = f"expected {format_decimal(*known)}, the multiplier of this venue and symbol so far"
    error = {"index": index, "field": "multiplier", "detail": expected, "received": format_decimal(*received)}
    return InvalidInput("1 trade breaks a rule", errors=[error])
