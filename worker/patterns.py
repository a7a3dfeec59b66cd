"""Gaps, milliseconds and the largest trades of a range, in few passes over whole columns; `loop` is the reference.

The trades of an instrument are looked at in the order of the journal: the gap of a trade is its timestamp less that of
the trade of this instrument before it, and counts in the ten seconds of the later number. What is before the first
trade is not in the range: the gateway adds that gap (see telemetry.patterns).
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from telemetry import patterns as layout
from telemetry.columns import Columns
from telemetry.patterns import Ints, Patterns

FUTURE_NS = 5_000_000_000
_SLOT_NS = 10_000_000_000
_MILLISECOND_NS = 1_000_000
_CODE = layout.LEVEL_OFFSETS[0]  # code of a ten-second unit less its number
_TENS = [float(10**digits) for digits in range(19)]
_TEN = np.array(_TENS)

# instrument, side, price, its scale, quantity, its scale, timestamp, received_at
Trade = tuple[int, int, int, int, int, int, int, int]


def vectorised(columns: Columns) -> Patterns:
    """Of at least one trade."""
    small = len(columns.instruments) <= 1 << 16  # numpy sorts numbers of 16 bits digit by digit, which is quicker
    order = columns.instrument.astype(np.uint16 if small else np.int64).argsort(kind="stable")
    of, at = columns.instrument.take(order).astype(np.int64), columns.timestamp.take(order)
    new = np.empty(len(of), np.bool_)
    new[0] = True
    np.not_equal(of[1:], of[:-1], out=new[1:])
    starts = np.flatnonzero(new)
    slot = at // _SLOT_NS
    bursts = layout.counted((of << layout.MILLISECOND_SHIFT) + (at // _MILLISECOND_NS + layout.MILLISECOND_OFFSET))
    runs, words = layout.in_runs(bursts)
    candidates = _candidates(columns, order, of, slot)
    return Patterns(_ends(of, at, starts), _gaps(of, at, slot, new), runs, candidates, words)


def _ends(of: Ints, at: Ints, starts: Ints) -> Ints:
    ends = np.empty((len(starts), layout.ENDS_WIDTH), np.int64)
    ends[:, layout.LOCAL] = of.take(starts)
    ends[:, layout.FIRST] = at.take(starts)
    ends[:-1, layout.LAST] = at.take(starts[1:] - 1)
    ends[-1, layout.LAST] = at[-1]
    ends[:, layout.FINE] = np.bitwise_or.reduceat(at % layout.FINE_NS, starts) != 0
    return ends


def _gaps(of: Ints, at: Ints, slot: Ints, new: NDArray[np.bool_]) -> Ints:
    later = np.flatnonzero(~new)
    keys = layout.buckets_of((at[1:] - at[:-1]).take(later - 1))
    keys += (of.take(later) << layout.INSTRUMENT_SHIFT) + ((slot.take(later) + _CODE) << layout.UNIT_SHIFT)
    return layout.counted(keys)


def _candidates(columns: Columns, order: Ints, of: Ints, slot: Ints) -> Ints:
    """See telemetry.patterns.Patterns.candidates; in order of instrument and number."""
    key = _keys(columns).take(order)
    at, received = columns.timestamp.take(order), columns.received_at.take(order)
    ahead = at > received
    if ahead.any():
        slot = np.where(ahead, received // _SLOT_NS, slot)
        slot[at > received + FUTURE_NS] = layout.FAR
    if len(of) > layout.LARGEST:
        chosen = _chosen(key, of, slot)
        order, of, slot, key = order.take(chosen), of.take(chosen), slot.take(chosen), key.take(chosen)
    found = np.empty((len(order), layout.CANDIDATE_WIDTH), np.int64)
    found[:, layout.KEY] = key
    found[:, layout.TIMESTAMP] = columns.timestamp.take(order)
    found[:, layout.PRICE] = columns.price.take(order)
    found[:, layout.QUANTITY] = columns.quantity.take(order)
    small = columns.side.astype(np.int64) | (columns.price_scale.astype(np.int64) << 2)
    small |= columns.quantity_scale.astype(np.int64) << 7
    found[:, layout.CODE] = (small.take(order) << (2 * layout.LOCAL_BITS)) | (of << layout.LOCAL_BITS) | order
    found[:, layout.SLOT] = slot
    return found


def _keys(columns: Columns) -> Ints:
    """|price * quantity|, as KEY holds it."""
    keys: NDArray[np.float64] = np.abs(columns.price / _TEN.take(columns.price_scale)) * (
        columns.quantity / _TEN.take(columns.quantity_scale)
    )
    return keys.view(np.int64)


def _chosen(key: Ints, of: Ints, slot: Ints) -> Ints:
    """Which rows to keep, ascending; rows of an instrument stand together."""
    new = np.empty(len(of), np.bool_)
    new[0] = True
    np.not_equal(of[1:], of[:-1], out=new[1:])
    if not (slot == slot[0]).all():
        order = np.lexsort((slot, of))
        new[1:] |= slot[order[1:]] != slot[order[:-1]]
    else:
        order = None
    group = np.add.accumulate(new, dtype=np.int64)
    starts = np.flatnonzero(new)
    counts = np.diff(starts, append=len(of))
    if int(counts.max()) <= layout.LARGEST:
        return np.arange(len(of))
    ranked = (group << (63 - layout.TRUNCATED)) | ((key if order is None else key.take(order)) >> layout.TRUNCATED)
    in_order = np.sort(ranked)
    least = in_order.take(starts + np.maximum(counts - layout.LARGEST, 0))
    chosen = np.flatnonzero(ranked >= least.take(group - 1))
    return chosen if order is None else np.sort(order.take(chosen))


def loop(trades: Iterable[Trade]) -> Patterns:
    """Of some trades, one after the other."""
    ends: dict[int, list[int]] = {}
    gaps, bursts = Counter[int](), Counter[int]()
    groups: dict[tuple[int, int], list[list[int]]] = {}
    for number, trade in enumerate(trades):
        instrument, timestamp = trade[0], trade[6]
        if (known := ends.get(instrument)) is not None:
            unit = (timestamp // _SLOT_NS + _CODE) << layout.UNIT_SHIFT
            gaps[instrument << layout.INSTRUMENT_SHIFT | unit | _bucket(timestamp - known[layout.LAST])] += 1
        else:
            known = ends[instrument] = [instrument, timestamp, timestamp, 0]
        known[layout.LAST] = timestamp
        known[layout.FINE] |= timestamp % layout.FINE_NS != 0
        millisecond = timestamp // _MILLISECOND_NS + layout.MILLISECOND_OFFSET
        bursts[instrument << layout.MILLISECOND_SHIFT | millisecond] += 1
        candidate = _candidate(number, trade)
        groups.setdefault((instrument, candidate[layout.SLOT]), []).append(candidate)
    chosen = sorted((one for group in groups.values() for one in _largest(group)), key=_place)
    runs, words = layout.in_runs(_matrix(sorted(bursts.items()), 2))
    return Patterns(
        _matrix([ends[key] for key in sorted(ends)], layout.ENDS_WIDTH),
        _matrix(sorted(gaps.items()), 2),
        runs,
        _matrix(chosen, layout.CANDIDATE_WIDTH),
        words,
    )


def _bucket(gap_ns: int) -> int:
    wrapped = (gap_ns + (1 << 63)) % (1 << 64) - (1 << 63)  # three hundred years and more are as in 64 bits
    if wrapped <= 0:
        return layout.NEGATIVE if wrapped else 0
    fraction, exponent = math.frexp(wrapped)
    return ((exponent - 1) << layout.BITS) + int(fraction * (2 << layout.BITS)) - (1 << layout.BITS) + 1


def _candidate(number: int, trade: Trade) -> list[int]:
    instrument, side, price, price_scale, quantity, quantity_scale, timestamp, received_at = trade
    key = abs(price / _TENS[price_scale]) * (quantity / _TENS[quantity_scale])
    slot = min(timestamp, received_at) // _SLOT_NS if timestamp <= received_at + FUTURE_NS else layout.FAR
    code = (side | price_scale << 2 | quantity_scale << 7) << (2 * layout.LOCAL_BITS)
    code |= instrument << layout.LOCAL_BITS | number
    return [struct.unpack("<q", struct.pack("<d", key))[0], timestamp, price, quantity, code, slot]


def _largest(group: list[list[int]]) -> list[list[int]]:
    ranked = sorted((candidate[layout.KEY] >> layout.TRUNCATED for candidate in group), reverse=True)
    least = ranked[min(layout.LARGEST, len(ranked)) - 1]
    return [candidate for candidate in group if candidate[layout.KEY] >> layout.TRUNCATED >= least]


def _place(candidate: list[int]) -> int:
    return candidate[layout.CODE] & (1 << 2 * layout.LOCAL_BITS) - 1


def _matrix(rows: Sequence[Sequence[int]], width: int) -> Ints:
    return np.array(rows, np.int64).reshape(len(rows), width)
