"""What instruments traded interval by interval, as candles show it."""

from __future__ import annotations

import numpy as np

from gateway.aggregator import Aggregator
from gateway.state.merging import Ints
from telemetry import rows as layout
from telemetry.rows import INSTRUMENT, START
from telemetry.statistics import Atom


def series(
    state: Aggregator, instruments: Ints, start: int, end: int, interval: int, newest: int | None = None
) -> dict[int, dict[int, Atom]]:
    """Atoms by interval start (seconds, a multiple of `interval`), then by instrument, over [start, end); of the
    intervals with trades at least the `newest`."""
    # An interval has an atom a second at most: what is left out belongs to older ones.
    rows = state.atoms.select(instruments, start, end, None if newest is None else newest * interval)
    count = len(state.instruments)
    groups, sums = layout.reduce(rows, rows[:, START] // interval * count + rows[:, INSTRUMENT])
    if newest is not None:
        oldest = np.unique(groups // count)[-newest:][:1]
        first = int(np.searchsorted(groups, oldest * count).sum())
        groups, sums = groups[first:], sums[first:]
    found: dict[int, dict[int, Atom]] = {}
    for key, row in zip(groups.tolist(), sums.tolist(), strict=True):
        slot, instrument = divmod(key, count)
        scales = int(state.price_scale[instrument]), int(state.quantity_scale[instrument])
        found.setdefault(slot * interval, {})[instrument] = layout.to_atom(row, *scales)
    for instrument, second, atom in state.wide.between(instruments.tolist(), start, end):
        slots = found.setdefault(second // interval * interval, {})
        slots[instrument] = slots[instrument] + atom if instrument in slots else atom
    return found
