"""The ten largest trades of a symbol in a window, by |price · quantity · multiplier|."""

from __future__ import annotations

from typing import Any

import numpy as np

from gateway.aggregator import Aggregator
from gateway.reading.running import EVER, Range
from gateway.state.largest import INSTRUMENTS, KEY, PRICE, QUANTITY, SEQ, SLOT, SMALL, TIMESTAMP, Largest
from gateway.state.merging import Ints
from telemetry.decimals import format_decimal
from telemetry.patterns import LARGEST, UNITS
from telemetry.statistics import SIDES
from telemetry.times import format_time
from telemetry.trade import Instrument


def largest(state: Aggregator, held: Largest, ids: Ints, of: Range) -> tuple[list[dict[str, Any]], bool]:
    """(the trades, the largest first; whether none is missing)."""
    found: list[tuple[float, int, int, list[int]]] = []
    for number in ids.tolist():
        entries = held.of(number)
        if of != EVER:
            starts = entries[:, SLOT] * UNITS[0]
            entries = entries[(starts >= of.start) & (starts < of.end)]
        instrument = state.instruments[number]
        multiplier = instrument.multiplier / 10**instrument.multiplier_scale
        sizes = np.ascontiguousarray(entries[:, KEY]).view(np.float64) * multiplier
        found += [
            (-size, entry[SEQ], number, entry) for size, entry in zip(sizes.tolist(), entries.tolist(), strict=True)
        ]
    shown = [_trade(state.instruments[number], entry) for _, _, number, entry in sorted(found)[:LARGEST]]
    first = of.start // UNITS[0]
    complete = of == EVER or all(held.since.get(number, first) <= first for number in ids.tolist())
    return shown, complete and int(ids.max(initial=0)) < INSTRUMENTS


def _trade(instrument: Instrument, entry: list[int]) -> dict[str, Any]:
    small = entry[SMALL]
    side, price_scale, quantity_scale = small & 3, small >> 2 & 31, small >> 7
    notional = entry[PRICE] * entry[QUANTITY] * instrument.multiplier
    return {
        "seq": entry[SEQ],
        "timestamp": format_time(entry[TIMESTAMP]),
        "venue": instrument.venue or None,
        "kind": instrument.kind,
        "side": SIDES[side],
        "price": format_decimal(entry[PRICE], price_scale),
        "quantity": format_decimal(entry[QUANTITY], quantity_scale),
        "notional": format_decimal(notional, price_scale + quantity_scale + instrument.multiplier_scale),
        "currency": instrument.currency or None,
    }
