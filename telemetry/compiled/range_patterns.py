"""The patterns of a range in one pass over the trades of each instrument: see worker.patterns, whose loop is the
reference, and telemetry.patterns for what the arrays are."""

from __future__ import annotations

import numpy as np

from telemetry.compiled.arranging import ROW_BITS, ROW_MASK, add_up, sort_pairs
from telemetry.compiled.compiler import BYTES, INTEGERS, LONGS, MATRIX, TEXT, UNSIGNED, entry, part
from telemetry.compiled.memory import trailing_zeros
from telemetry.compiled.patterns import bucket_of
from telemetry.frame import Array
from telemetry.patterns import (
    CODE,
    FAR,
    FINE,
    FINE_NS,
    FIRST,
    INSTRUMENT_SHIFT,
    KEY,
    LARGEST,
    LAST,
    LEVEL_OFFSETS,
    LOCAL,
    LOCAL_BITS,
    MILLISECOND_OFFSET,
    MILLISECOND_SHIFT,
    PRICE,
    QUANTITY,
    SLOT,
    TIMESTAMP,
    TRUNCATED,
    UNIT_SHIFT,
    UNITS,
)

ENDS, GAPS, BURSTS, CANDIDATES, RESULTS = range(5)  # rows that were made of each
_SLOT_NS, _MILLISECOND_NS, _FUTURE_NS = UNITS[0] * 1_000_000_000, 1_000_000, 5_000_000_000
_CODE_OF_SLOT = LEVEL_OFFSETS[0]
_TENS = 10.0 ** np.arange(19)
_WORD = 6  # bits of a bucket within its word of the map
_ONE = np.uint64(1)


@part
def _write_out(counts: Array, held: Array, keys: int, gaps: Array, count: int) -> int:
    """The counts by bucket as rows, ascending, and zeros in their place; how many rows there are then."""
    for word in range(len(held)):
        left = held[word]
        while left:
            bucket = (word << _WORD) + np.int64(trailing_zeros(left))
            gaps[count, 0], gaps[count, 1] = keys + bucket, counts[bucket]
            counts[bucket] = 0
            count += 1
            left &= left - _ONE
        held[word] = np.uint64(0)
    return count


@part
def _gaps(
    instrument: int,
    timestamp: Array,
    order: Array,
    begin: int,
    end: int,
    counts: Array,
    held: Array,
    spare: Array,
    gaps: Array,
    count: int,
) -> int:
    """The gaps inside of an instrument; how many rows there are then."""
    known, key, slot_ns, is_behind = count, 0, 0, False
    before = timestamp[order[begin]]
    for number in range(begin + 1, end):
        at = timestamp[np.uintp(order[number])]
        if number == begin + 1 or not 0 <= at - slot_ns < _SLOT_NS:
            if number > begin + 1:
                is_behind |= at < slot_ns
                count = _write_out(counts, held, key, gaps, count)
            slot_ns = at // _SLOT_NS * _SLOT_NS
            key = (instrument << INSTRUMENT_SHIFT) + ((at // _SLOT_NS + _CODE_OF_SLOT) << UNIT_SHIFT)
        bucket = bucket_of(at - before)
        counts[bucket] += 1
        held[bucket >> _WORD] |= _ONE << np.uint64(bucket & 63)
        before = at
    if end > begin + 1:
        count = _write_out(counts, held, key, gaps, count)
    return add_up(gaps, spare, known, count) if is_behind else count


@part
def _bursts(
    instrument: int, timestamp: Array, order: Array, begin: int, end: int, spare: Array, bursts: Array, count: int
) -> int:
    """The trades by millisecond of an instrument; how many rows there are then."""
    known, is_behind = count, False
    for number in range(begin, end):
        millisecond = timestamp[np.uintp(order[number])] // _MILLISECOND_NS + MILLISECOND_OFFSET
        key = (instrument << MILLISECOND_SHIFT) + millisecond
        if count > known and bursts[count - 1, 0] == key:
            bursts[count - 1, 1] += 1
        else:
            is_behind |= count > known and key < bursts[count - 1, 0]
            bursts[count, 0], bursts[count, 1] = key, 1
            count += 1
    return add_up(bursts, spare, known, count) if is_behind else count


@part
def _end(instrument: int, timestamp: Array, order: Array, begin: int, end: int, row: Array) -> None:
    row[LOCAL], row[FIRST], row[LAST] = instrument, timestamp[order[begin]], timestamp[order[end - 1]]
    row[FINE] = 0
    for number in range(begin, end):
        if timestamp[order[number]] % FINE_NS != 0:
            row[FINE] = 1
            break


@part
def _slot(timestamp: int, received_at: int) -> int:
    if timestamp <= received_at:
        return timestamp // _SLOT_NS
    return FAR if timestamp > received_at + _FUTURE_NS else received_at // _SLOT_NS


@part
def _least(pairs: Array, begin: int, end: int, best: Array) -> int:
    """The tenth largest KEY of a group, truncated; the smallest one of a smaller group."""
    held = 0
    for number in range(begin, end):
        key = pairs[number, 1] >> TRUNCATED
        if held == LARGEST and key <= best[0]:
            continue
        at = held if held < LARGEST else 0  # the smallest one goes
        if held < LARGEST:
            while at > 0 and best[at - 1] > key:
                best[at] = best[at - 1]
                at -= 1
            held += 1
        else:
            while at + 1 < LARGEST and best[at + 1] < key:
                best[at] = best[at + 1]
                at += 1
        best[at] = key
    return int(best[0])


@part
def _choose(pairs: Array, spare: Array, begin: int, end: int, best: Array, chosen: Array) -> None:
    """Which trades of an instrument are candidates; `pairs` have (SLOT and place, KEY) of each."""
    for number in range(begin + 1, end):
        if pairs[number, 0] < pairs[number - 1, 0]:
            sort_pairs(pairs, spare, begin, end)
            break
    at = begin
    while at < end:
        stop = at
        while stop < end and pairs[stop, 0] >> ROW_BITS == pairs[at, 0] >> ROW_BITS:
            stop += 1
        least = _least(pairs, at, stop, best)
        for number in range(at, stop):
            chosen[pairs[number, 0] & ROW_MASK] = pairs[number, 1] >> TRUNCATED >= least
        at = stop


@part
def _key(price: int, price_scale: int, quantity: int, quantity_scale: int) -> int:
    """|price * quantity| as KEY holds it."""
    size = np.abs(price / _TENS[price_scale]) * (quantity / _TENS[quantity_scale])
    return int(np.float64(size).view(np.int64))


@entry(
    *(INTEGERS, INTEGERS, TEXT, LONGS, TEXT, LONGS, TEXT, LONGS, LONGS),
    *(MATRIX, MATRIX, BYTES, INTEGERS, UNSIGNED, INTEGERS, MATRIX, MATRIX, MATRIX, MATRIX, INTEGERS),
)
def find(
    starts: Array, order: Array, side: Array, price: Array, price_scale: Array, quantity: Array, quantity_scale: Array,
    timestamp: Array, received_at: Array, pairs: Array, spare: Array, chosen: Array, counts: Array, held: Array,
    best: Array, ends: Array, gaps: Array, bursts: Array, candidates: Array, results: Array,
) -> int:  # fmt: skip
    """Make the four arrays, which have room for a row of each trade; `results` are the rows of each. `counts` and
    `held` are zeros, and are so afterwards."""
    for instrument in range(len(starts) - 2):
        begin, end = starts[instrument], starts[instrument + 1]
        if begin == end:
            continue
        _end(instrument, timestamp, order, begin, end, ends[results[ENDS]])
        results[ENDS] += 1
        results[GAPS] = _gaps(instrument, timestamp, order, begin, end, counts, held, spare, gaps, results[GAPS])
        results[BURSTS] = _bursts(instrument, timestamp, order, begin, end, spare, bursts, results[BURSTS])
        for number in range(begin, end):
            at = np.uintp(order[number])
            pairs[number, 0] = (_slot(timestamp[at], received_at[at]) << ROW_BITS) | order[number]
            pairs[number, 1] = _key(price[at], price_scale[at], quantity[at], quantity_scale[at])
        _choose(pairs, spare, begin, end, best, chosen)
        for number in range(begin, end):
            at = order[number]
            if chosen[at]:
                row = candidates[results[CANDIDATES]]
                row[KEY] = _key(price[at], price_scale[at], quantity[at], quantity_scale[at])
                row[SLOT] = _slot(timestamp[at], received_at[at])
                row[TIMESTAMP], row[PRICE], row[QUANTITY] = timestamp[at], price[at], quantity[at]
                small = side[at] | (np.int64(price_scale[at]) << 2) | (np.int64(quantity_scale[at]) << 7)
                row[CODE] = (small << (2 * LOCAL_BITS)) | (instrument << LOCAL_BITS) | at
                results[CANDIDATES] += 1
    return results[CANDIDATES]  # type: ignore[no-any-return]
