"""From the columns of a range to its partial statistics: pure, the same result however the range is computed.

Two ways give identical partials. The plain loop over Python integers is the reference; it is quicker below CROSSOVER
trades, and it alone handles values that do not fit 60 bits at their instrument's common scale. Above that, see
worker.columnwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from telemetry import rows as layout
from telemetry.columns import Columns, concatenate
from telemetry.partial import EMPTY, Partial, Watermark
from telemetry.statistics import Atom, atom_of
from telemetry.trade import Instrument
from worker import patterns
from worker.columnwise import FUTURE_NS, MAXIMUM, vectorised
from worker.latencies import order_times

CROSSOVER = 10  # measured: below this many trades numpy's fixed cost per call is more than the loop


class Quick(Protocol):
    """Another way to the same partial, but for the times of orders; None: not for these trades."""

    def __call__(self, columns: Columns, first_seq: int, *, basic: bool) -> Partial | None: ...


def analyse(parts: Sequence[Columns], first_seq: int, *, basic: bool = False, quick: Quick | None = None) -> Partial:
    """The partial of consecutive parts of the journal; the first trade of the first part has number `first_seq`. A
    basic one lacks the sections that cost more. `quick` is used where there is one."""
    total = sum(len(part) for part in parts)
    if total == 0:
        return EMPTY
    if total > MAXIMUM:
        raise ValueError(f"expected at most {MAXIMUM} trades at once, received {total}")
    if total < CROSSOVER:
        partial = loop(parts, first_seq)
        return partial if basic else _with_sections(partial, concatenate(parts))
    columns = parts[0] if len(parts) == 1 else concatenate(parts)
    if quick is not None and (found := quickly(columns, first_seq, basic=basic, quick=quick)) is not None:
        return found
    partial = vectorised(columns, first_seq) or loop([columns], first_seq)
    return partial if basic else _with_sections(partial, columns)


def quickly(columns: Columns, first_seq: int, *, basic: bool, quick: Quick) -> Partial | None:
    """As `analyse`, in milliseconds for as many trades as a lease has; None when that is not possible for these."""
    found = quick(columns, first_seq, basic=basic)
    return found if found is None or basic else _with_orders(found, columns)


def _with_sections(partial: Partial, columns: Columns) -> Partial:
    """The partial with the patterns, and with the times of orders where a trade has one."""
    found = patterns.loop(_tuples(columns)) if len(columns) < CROSSOVER else patterns.vectorised(columns)
    return _with_orders(replace(partial, patterns=found), columns)


def _with_orders(partial: Partial, columns: Columns) -> Partial:
    return replace(partial, orders=order_times(columns)) if "order_sent_at" in columns.optional else partial


def loop(parts: Sequence[Columns], first_seq: int) -> Partial:
    """The reference: one trade after the other."""
    table: dict[Instrument, int] = {}
    atoms: dict[tuple[int, int], Atom] = {}
    negative: dict[int, Atom] = {}
    scales: list[tuple[int, int]] = []
    watermark: Watermark | None = None
    seq = first_seq
    for part in parts:
        local = [table.setdefault(instrument, len(table)) for instrument in part.instruments]
        scales += [(0, 0)] * (len(table) - len(scales))
        for code, side, price, price_scale, quantity, quantity_scale, timestamp, received_at in _tuples(part):
            instrument = local[code]
            atom = atom_of(side, price, price_scale, quantity, quantity_scale, timestamp, seq)
            scale = scales[instrument]
            scales[instrument] = max(scale[0], price_scale), max(scale[1], quantity_scale)
            key = instrument, timestamp // 1_000_000_000
            known = atoms.get(key)
            atoms[key] = atom if known is None else known + atom
            if price < 0:
                below = negative.get(instrument)
                negative[instrument] = atom if below is None else below + atom
            if timestamp <= received_at + FUTURE_NS and (watermark is None or timestamp > watermark.timestamp):
                watermark = Watermark(timestamp, received_at)
            seq += 1
    return _partial(tuple(table), scales, atoms, negative, watermark)


def _tuples(part: Columns) -> zip[patterns.Trade]:
    return zip(
        part.instrument.tolist(),
        part.side.tolist(),
        part.price.tolist(),
        part.price_scale.tolist(),
        part.quantity.tolist(),
        part.quantity_scale.tolist(),
        part.timestamp.tolist(),
        part.received_at.tolist(),
        strict=True,
    )


def _partial(
    instruments: tuple[Instrument, ...],
    scales: list[tuple[int, int]],
    atoms: dict[tuple[int, int], Atom],
    negative: dict[int, Atom],
    watermark: Watermark | None,
) -> Partial:
    scaled = {key: atom.at_scale(*scales[key[0]]) for key, atom in sorted(atoms.items())}
    # An instrument is wide as a whole or not at all, so that the split does not depend on how trades fall into seconds.
    wide = {key[0] for key, atom in scaled.items() if not layout.fits(atom)}
    narrow = [layout.from_atom(atom, key[0], 0, key[1]) for key, atom in scaled.items() if key[0] not in wide]
    matrix = np.array(narrow, np.int64).reshape(len(narrow), layout.WIDTH)
    return Partial(
        instruments,
        tuple(scale[0] for scale in scales),
        tuple(scale[1] for scale in scales),
        matrix,
        {key: atom for key, atom in scaled.items() if key[0] in wide},
        {key: _negated(atom.at_scale(*scales[key]).notional) for key, atom in negative.items()},
        watermark,
    )


def _negated(sums: tuple[int, int, int]) -> tuple[int, int, int]:
    return -sums[0], -sums[1], -sums[2]
