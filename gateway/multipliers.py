"""The contract size: one multiplier per (venue, symbol), whatever trades say of it later."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from telemetry.decimals import format_decimal
from telemetry.decode import Batch
from telemetry.errors import InvalidInput
from telemetry.trade import Instrument

Multipliers = dict[tuple[str, str], tuple[int, int]]  # by (venue, symbol): mantissa, scale


def new_multipliers(batch: Batch, known: Sequence[Multipliers]) -> Multipliers:
    """The multipliers that this batch brings; InvalidInput (422) when one contradicts what is known."""
    new: Multipliers = {}
    if batch.columns is not None:
        instruments = list(batch.columns.instruments)
    else:
        instruments = [Instrument._make(trade[:6]) for trade in batch.trades or ()]
    for position, instrument in enumerate(instruments):
        key = instrument.venue, instrument.symbol
        value = instrument.multiplier, instrument.multiplier_scale
        first = next((of[key] for of in known if key in of), None) or new.setdefault(key, value)
        if first != value:
            columns = batch.columns
            index = position if columns is None else int(np.argmax(columns.instrument == position))
            raise _other(index, first, value)
    return new


def _other(index: int, known: tuple[int, int], received: tuple[int, int]) -> InvalidInput:
    expected = f"expected {format_decimal(*known)}, the multiplier of this venue and symbol so far"
    error = {"index": index, "field": "multiplier", "detail": expected, "received": format_decimal(*received)}
    return InvalidInput("1 trade breaks a rule", errors=[error])
