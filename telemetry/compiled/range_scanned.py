"""What telemetry.compiled.range_scan found, as the arrays that a worker sends."""

from __future__ import annotations

from telemetry.compiled.compiler import CODES, INDICES, INTEGER, INTEGERS, LONGS, MATRIX, TEXT, UNSIGNED, entry, part
from telemetry.compiled.memory import pointer
from telemetry.compiled.range_patterns import (
    CANDIDATES,
    ENDS,
    GAPS,
    end_of,
    end_words,
    fill_candidate,
    gaps_of,
    runs_of,
)
from telemetry.compiled.range_rows import carry
from telemetry.compiled.range_scan import FOUND, PLACE, POSSIBLE, ROWS_FROM, STATE
from telemetry.frame import Array
from telemetry.patterns import LARGEST, TRUNCATED
from telemetry.rows import WIDTH


@entry(INTEGERS, INTEGERS, INTEGERS, INTEGERS)
def arrange_rows(made: Array, row_links: Array, state: Array, rows: Array) -> int:
    """The rows that `scan` made, by instrument and second, their sums carried: how many they are."""
    count, out, to = 0, pointer(made), pointer(rows)
    for instrument in range(len(state) // STATE):
        first = state[instrument * STATE + ROWS_FROM]
        place = first
        while place >= 0:
            count, place = count + 1, row_links[place]
        end, place = count * WIDTH, first
        while place >= 0:
            carry(out, place * WIDTH)
            end -= WIDTH
            for column in range(WIDTH):
                to[end + column] = out[place * WIDTH + column]
            place = row_links[place]
    return count


@part
def _by_instrument(
    instrument: Array, possible: Array, count: int, state: Array, instruments: int, order: Array
) -> None:
    """The possible candidates of each instrument together; those of instrument i end where its FOUND says."""
    begin = 0
    for number in range(instruments):
        found = state[number * STATE + FOUND]
        state[number * STATE + FOUND] = begin
        begin += found
    for number in range(count):
        at = instrument[possible[number * POSSIBLE]] * STATE + FOUND
        order[state[at]] = number
        state[at] += 1


@entry(
    *(CODES, TEXT, LONGS, TEXT, LONGS, TEXT, LONGS),
    *(INTEGERS, INTEGERS, INTEGERS, INTEGERS, INTEGERS, INTEGERS, INTEGER),
    *(MATRIX, MATRIX, INTEGERS, UNSIGNED, MATRIX, MATRIX, MATRIX, MATRIX, INDICES, INTEGERS),
)
def describe(
    instrument: Array, side: Array, price: Array, price_scale: Array, quantity: Array, quantity_scale: Array,
    timestamp: Array, state: Array, slots: Array, best: Array, possible: Array, apart: Array,
    order: Array, found: int, pairs: Array, spare: Array, counts: Array, held: Array, ends: Array, gaps: Array,
    runs: Array, candidates: Array, words: Array, results: Array,
) -> int:  # fmt: skip
    """The five arrays of patterns, of what `scan` found; `results` are the rows of each. `counts` and `held` are zeros,
    and are so afterwards."""
    times, instruments = pointer(apart), len(state) // STATE
    begin = begin_found = 0
    _by_instrument(instrument, possible, found, state, instruments, order)
    for number in range(instruments):
        end, end_found = state[number * STATE + PLACE], state[number * STATE + FOUND]
        if begin < end:
            end_of(number, times, begin, end, ends[results[ENDS]])
            results[ENDS] += 1
            results[GAPS] = gaps_of(number, times, begin, end, counts, held, spare, gaps, results[GAPS])
            runs_of(number, times, begin, end, spare, pairs, runs, words, results)
        for each in range(begin_found, end_found):
            one = order[each] * POSSIBLE
            place, key, group = possible[one], possible[one + 1], possible[one + 2]
            if key >> TRUNCATED >= best[group * LARGEST]:
                fill_candidate(
                    candidates[results[CANDIDATES]], number, place, key, slots[group], side, price, price_scale,
                    quantity, quantity_scale, timestamp,
                )  # fmt: skip
                results[CANDIDATES] += 1
        begin, begin_found = end, end_found
    end_words(words, results)
    return int(results[CANDIDATES])
