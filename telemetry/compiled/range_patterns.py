"""The patterns of a range in one pass over the trades of each instrument: see worker.patterns, whose loop is the
reference, and telemetry.patterns for what the arrays are."""

from __future__ import annotations

import numpy as np

from telemetry.compiled.arranging import ROW_BITS, ROW_MASK, add_up, sort_pairs
from telemetry.compiled.compiler import BYTES, INDICES, INTEGERS, LONGS, MATRIX, TEXT, UNSIGNED, entry, part
from telemetry.compiled.memory import pointer, trailing_zeros
from telemetry.compiled.patterns import bucket_of
from telemetry.frame import Array
from telemetry.patterns import (
    CODE,
    COUNT_BITS,
    FAR,
    FINE,
    FINE_NS,
    FIRST,
    FURTHEST,
    INSTRUMENT_SHIFT,
    KEY,
    LARGEST,
    LAST,
    LEVEL_OFFSETS,
    LOCAL,
    LOCAL_BITS,
    MILLISECOND_OFFSET,
    MILLISECOND_SHIFT,
    MOST_COUNTED,
    PRICE,
    QUANTITY,
    SLOT,
    TIMESTAMP,
    TRUNCATED,
    UNIT_SHIFT,
    UNITS,
)

ENDS, GAPS, RUNS, CANDIDATES, WORDS, RESULTS = range(6)  # rows that were made of each
SLOT_NS, _MILLISECOND_NS, _FUTURE_NS = UNITS[0] * 1_000_000_000, 1_000_000, 5_000_000_000
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
def gaps_of(
    instrument: int, times: Array, begin: int, end: int, counts: Array, held: Array, spare: Array, gaps: Array,
    count: int,
) -> int:  # fmt: skip
    """The gaps inside of an instrument, whose trades are at `times`; how many rows there are then."""
    known, key, slot_ns, is_behind = count, 0, 0, False
    numbers, words, before = pointer(counts), pointer(held), times[begin]
    for number in range(begin + 1, end):
        at = times[number]
        if number == begin + 1 or not 0 <= at - slot_ns < SLOT_NS:
            if number > begin + 1:
                is_behind |= at < slot_ns
                count = _write_out(counts, held, key, gaps, count)
            slot_ns = at // SLOT_NS * SLOT_NS
            key = (instrument << INSTRUMENT_SHIFT) + ((at // SLOT_NS + _CODE_OF_SLOT) << UNIT_SHIFT)
        bucket = bucket_of(at - before)
        numbers[bucket] += 1
        words[bucket >> _WORD] |= _ONE << np.uint64(bucket & 63)
        before = at
    if end > begin + 1:
        count = _write_out(counts, held, key, gaps, count)
    return add_up(gaps, spare, known, count) if is_behind else count


@part
def _by_millisecond(instrument: int, times: Array, begin: int, end: int, spare: Array, bursts: Array) -> int:
    """The trades by millisecond of an instrument, ascending; how many there are."""
    count, is_behind, latest = 0, False, np.int64(-1)
    first = (instrument << MILLISECOND_SHIFT) + MILLISECOND_OFFSET
    for number in range(begin, end):
        key = times[number] // _MILLISECOND_NS + first
        if key == latest:
            bursts[count - 1, 1] += 1
        else:
            is_behind |= key < latest
            bursts[count, 0], bursts[count, 1] = key, 1
            count += 1
            latest = key
    return add_up(bursts, spare, 0, count) if is_behind else count


@part
def runs_of(
    instrument: int, times: Array, begin: int, end: int, spare: Array, bursts: Array, runs: Array, words: Array,
    results: Array,
) -> None:  # fmt: skip
    """The runs of the milliseconds of an instrument, see telemetry.patterns.in_runs. `bursts` is room for them."""
    run, word, before = results[RUNS] - 1, results[WORDS], np.int64(-1) << 32
    for number in range(_by_millisecond(instrument, times, begin, end, spare, bursts)):
        key, left = bursts[number, 0], bursts[number, 1]
        step = key - before
        if step > FURTHEST:
            run, step = run + 1, 0
            runs[run, 0], runs[run, 1] = key, 0
        first = word
        while left > MOST_COUNTED:
            words[word] = (step << COUNT_BITS) | MOST_COUNTED
            word, step, left = word + 1, 0, left - MOST_COUNTED
        words[word] = (step << COUNT_BITS) | left
        word += 1
        runs[run, 1] += word - first
        before = key
    results[RUNS], results[WORDS] = run + 1, word


@part
def end_words(words: Array, results: Array) -> None:
    """Words become pairs of them, in which they are counted from now on."""
    if results[WORDS] & 1:
        words[results[WORDS]] = 0
    results[WORDS] = (results[WORDS] + 1) >> 1


@part
def end_of(instrument: int, times: Array, begin: int, end: int, row: Array) -> None:
    """What `ends` say of an instrument."""
    row[LOCAL], row[FIRST], row[LAST] = instrument, times[begin], times[end - 1]
    row[FINE] = 0
    for number in range(begin, end):
        if times[number] % FINE_NS != 0:
            row[FINE] = 1
            break


@part
def slot_of(timestamp: int, received_at: int) -> int:
    if timestamp <= received_at:
        return timestamp // SLOT_NS
    return FAR if timestamp > received_at + _FUTURE_NS else received_at // SLOT_NS


@part
def rank(best: Array, first: int, key: int) -> None:
    """Take a truncated KEY in among the ten largest, which ascend from place `first` on, in place of the smallest one;
    it is not smaller than that. Without a branch: whether one is among the largest cannot be foretold."""
    for at in range(first, first + LARGEST - 1):
        best[at] = min(best[at + 1], max(best[at], key))
    best[first + LARGEST - 1] = max(best[first + LARGEST - 1], key)


@part
def forget_ranks(best: Array, first: int) -> None:
    """Begin with ten that are smaller than any."""
    for at in range(first, first + LARGEST):
        best[at] = -1


@part
def _least(pairs: Array, begin: int, end: int, best: Array) -> int:
    """The tenth largest KEY of a group, truncated; -1 where there are fewer."""
    forget_ranks(best, 0)
    for number in range(begin, end):
        if pairs[number, 1] >> TRUNCATED > best[0]:
            rank(best, 0, pairs[number, 1] >> TRUNCATED)
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
def key_of(price: int, price_scale: int, quantity: int, quantity_scale: int) -> int:
    """|price * quantity| as KEY holds it."""
    size = np.abs(price / _TENS[price_scale]) * (quantity / _TENS[quantity_scale])
    return int(np.float64(size).view(np.int64))


@part
def fill_candidate(
    row: Array, instrument: int, at: int, key: int, slot: int, side: Array, price: Array, price_scale: Array,
    quantity: Array, quantity_scale: Array, timestamp: Array,
) -> None:  # fmt: skip
    """The trade at this place of the range as a row of `candidates`."""
    row[KEY], row[SLOT] = key, slot
    row[TIMESTAMP], row[PRICE], row[QUANTITY] = timestamp[at], price[at], quantity[at]
    small = side[at] | (np.int64(price_scale[at]) << 2) | (np.int64(quantity_scale[at]) << 7)
    row[CODE] = (small << (2 * LOCAL_BITS)) | (instrument << LOCAL_BITS) | at


@entry(
    *(INTEGERS, INTEGERS, TEXT, LONGS, TEXT, LONGS, TEXT, LONGS, LONGS),
    *(MATRIX, MATRIX, INTEGERS, BYTES, INTEGERS, UNSIGNED, INTEGERS, MATRIX, MATRIX, MATRIX, MATRIX, INDICES, INTEGERS),
)
def find(
    starts: Array, order: Array, side: Array, price: Array, price_scale: Array, quantity: Array, quantity_scale: Array,
    timestamp: Array, received_at: Array, pairs: Array, spare: Array, apart: Array, chosen: Array, counts: Array,
    held: Array, best: Array, ends: Array, gaps: Array, runs: Array, candidates: Array, words: Array, results: Array,
) -> int:  # fmt: skip
    """Make the five arrays, which have room for a row of each trade; `results` are the rows of each. `counts` and
    `held` are zeros, and are so afterwards."""
    times = pointer(apart)
    for instrument in range(len(starts) - 2):
        begin, end = starts[instrument], starts[instrument + 1]
        if begin == end:
            continue
        for number in range(begin, end):
            apart[number] = timestamp[order[number]]
        end_of(instrument, times, begin, end, ends[results[ENDS]])
        results[ENDS] += 1
        results[GAPS] = gaps_of(instrument, times, begin, end, counts, held, spare, gaps, results[GAPS])
        runs_of(instrument, times, begin, end, spare, pairs, runs, words, results)
        for number in range(begin, end):
            at = np.uintp(order[number])
            pairs[number, 0] = (slot_of(timestamp[at], received_at[at]) << ROW_BITS) | order[number]
            pairs[number, 1] = key_of(price[at], price_scale[at], quantity[at], quantity_scale[at])
        _choose(pairs, spare, begin, end, best, chosen)
        for number in range(begin, end):
            at = order[number]
            if chosen[at]:
                key = key_of(price[at], price_scale[at], quantity[at], quantity_scale[at])
                slot = slot_of(timestamp[at], received_at[at])
                row = candidates[results[CANDIDATES]]
                fill_candidate(
                    row, instrument, at, key, slot, side, price, price_scale, quantity, quantity_scale, timestamp
                )
                results[CANDIDATES] += 1
    end_words(words, results)
    return results[CANDIDATES]  # type: ignore[no-any-return]
