"""The patterns of ranges into the state in one pass: see gateway.state.taking, whose reference gives the same."""

from __future__ import annotations

import numpy as np

from telemetry.compiled.bursts import YOUNG_HELD, counted
from telemetry.compiled.compiler import BYTES, CODES, INTEGER, INTEGERS, LONGS, MATRIX, entry, part
from telemetry.compiled.largest import FLOOR_KEY, FLOOR_SLOT, SEQ, SMALL
from telemetry.compiled.largest import KEY as ENTRY_KEY
from telemetry.compiled.largest import PRICE as ENTRY_PRICE
from telemetry.compiled.largest import QUANTITY as ENTRY_QUANTITY
from telemetry.compiled.largest import SLOT as ENTRY_SLOT
from telemetry.compiled.largest import TIMESTAMP as ENTRY_TIMESTAMP
from telemetry.compiled.memory import expect, pointer
from telemetry.compiled.tally import home_of, last_of, put
from telemetry.frame import Array
from telemetry.patterns import (
    BIAS,
    BITS,
    BURST,
    BURST_SHIFT,
    CANDIDATE_WIDTH,
    CODE,
    COUNT_BITS,
    ENDS_WIDTH,
    FAR,
    FINE,
    FIRST,
    INSTRUMENT_SHIFT,
    KEY,
    LAST,
    LATEST,
    LEVEL_OFFSETS,
    LOCAL,
    LOCAL_BITS,
    MILLISECOND_OFFSET,
    MILLISECOND_SHIFT,
    MOST_COUNTED,
    NEGATIVE,
    PRICE,
    QUANTITY,
    SLOT,
    TIMESTAMP,
    TRACKED,
    UNIT_MASK,
    UNIT_SHIFT,
    UNITS,
)

# Columns of a range: where its ids and its numbers begin, its first trade, how many rows of each array it has, and how
# many milliseconds are in its runs.
IDS, BEGIN, FIRST_SEQ, ENDS, GAPS, RUNS, CANDIDATES, WORDS, MILLISECONDS, RANGE_WIDTH = range(10)
# What has come to be, counted: cells, rows of `late`, entries; as many cells as there is room for.
NEW_CELLS, LATE, ENTRIES, ROOM, RESULTS = range(5)
_SLOT_NS, _SLOT_MS = UNITS[0] * 1_000_000_000, UNITS[0] * 1000
_CODE = LEVEL_OFFSETS[0]
_AHEAD = 8  # rows: what is fetched now is there when it is needed
_DOUBLE_BITS = 52
_LOCAL_MASK = (1 << LOCAL_BITS) - 1
_IN_INSTRUMENT = (1 << MILLISECOND_SHIFT) - 1


@part
def bucket_of(gap_ns: int) -> int:
    """As telemetry.patterns.buckets_of."""
    if gap_ns < 0:
        return NEGATIVE
    bucket = int(np.float64(gap_ns).view(np.int64) >> (_DOUBLE_BITS - BITS)) - BIAS
    return max(0, bucket)


@part
def _cell(cells: Array, last: np.uint64, late: Array, results: Array, frontier: int, key: int, value: int) -> None:
    """One value of a cell; of one whose time is no longer held in ten seconds, a row of `late`."""
    if (key >> UNIT_SHIFT & UNIT_MASK) < frontier:
        late[results[LATE], 0] = key
        late[results[LATE], 1] = value
        results[LATE] += 1
    else:
        results[NEW_CELLS] += put(cells, last, key, value)


@part
def _between(block: Array, at: int, of: int, last: Array, seen: Array, fine: Array) -> int:
    """What is known of an instrument's newest trade, brought up to date; the cell of the gap before the first trade of
    a range less its instrument, -1 when there is none."""
    first, code = block[at + FIRST], -1
    if seen[of]:
        code = ((first // _SLOT_NS + _CODE) << UNIT_SHIFT) + bucket_of(first - last[of])
    last[of] = block[at + LAST]
    seen[of] = 1
    fine[of] |= block[at + FINE] != 0
    return code


@part
def _gaps(
    block: Array, at: int, count: int, ids: Array, begin: int, instruments: int, cells: Array, late: Array,
    results: Array, frontier: int,
) -> None:  # fmt: skip
    """The gaps inside a range. Those of an instrument stand together."""
    numbers, slots, last, end = pointer(block), pointer(cells), last_of(cells), at + 2 * count
    while at < end:
        local = numbers[at] >> INSTRUMENT_SHIFT
        moved, is_kept = (ids[begin + local] - local) << INSTRUMENT_SHIFT, ids[begin + local] < instruments
        while at < end and numbers[at] >> INSTRUMENT_SHIFT == local:
            if is_kept:
                ahead = min(at + 2 * _AHEAD, end - 2)
                expect(cells, np.int64(home_of(numbers[ahead] + moved, last)) << 1)
                _cell(slots, last, late, results, frontier, numbers[at] + moved, numbers[at + 1])
            at += 2


@part
def _candidate(block: Array, at: int, places: Array, of: int, first_seq: int, entries: Array, results: Array) -> bool:
    """Whether a candidate is an entry now: it is none where ten are known to beat it."""
    slot, key = block[at + SLOT], block[at + KEY]
    if slot != FAR and slot <= places[of, FLOOR_SLOT] and key < places[of, FLOOR_KEY]:
        return False
    entry_row = entries[results[ENTRIES]]
    code = block[at + CODE]
    entry_row[ENTRY_SLOT] = slot
    entry_row[ENTRY_KEY] = key
    entry_row[SEQ] = first_seq + (code & _LOCAL_MASK)
    entry_row[ENTRY_TIMESTAMP] = block[at + TIMESTAMP]
    entry_row[ENTRY_PRICE] = block[at + PRICE]
    entry_row[ENTRY_QUANTITY] = block[at + QUANTITY]
    entry_row[SMALL] = code >> (2 * LOCAL_BITS)
    results[ENTRIES] += 1
    return True


@part
def _newest(log: Array, latest: Array, of: int) -> int:
    """The key of an instrument's latest millisecond in a generation, -1 where there is none."""
    place = latest[of]
    return int(log[place - 1, 0]) if place else -1


@part
def _note(latest: Array, marks: Array, of: int, held: int) -> None:
    """The log ends behind the latest millisecond of an instrument, unless nothing was put there."""
    if held > marks[YOUNG_HELD]:
        latest[of] = marks[YOUNG_HELD] = held


@part
def _burst(cells: Array, late: Array, results: Array, frontier: int, instruments: int, key: int, most: int) -> None:
    """The most trades of a millisecond in a cell, of an instrument that has any; -1 is no cell. Of a range whose gaps
    do not go with its bursts there is not always room."""
    if 0 <= key < instruments << INSTRUMENT_SHIFT and results[NEW_CELLS] < results[ROOM]:
        _cell(pointer(cells), last_of(cells), late, results, frontier, key, most)


@part
def _bursts(
    block: Array, at: int, count: int, words: Array, word: int, ids: Array, begin: int, instruments: int, cells: Array,
    log: Array, table: Array, latest: Array, old_log: Array, old_table: Array, old_latest: Array, marks: Array,
    late: Array, results: Array, frontier: int,
) -> None:  # fmt: skip
    """The milliseconds of the runs of a range, whose words begin at place `word`; of those that count in one cell,
    which stand together, the largest goes there.

    A run mostly comes after all that is known of its instrument: then its milliseconds only go to the end of the log,
    without a look at what is there."""
    known, most, steps, runs = -1, 0, pointer(words), pointer(block)
    for run in range(at, at + 2 * count, 2):
        of, end = ids[begin + (runs[run] >> MILLISECOND_SHIFT)], word + runs[run + 1]
        key = (of << MILLISECOND_SHIFT) + (runs[run] & _IN_INSTRUMENT)
        first_ms, held, bound = 1 << 62, marks[YOUNG_HELD], 0
        if of < TRACKED:
            bound = max(_newest(log, latest, of), _newest(old_log, old_latest, of))
        else:
            word = end
        while word < end:
            key, total = key + (steps[word] >> COUNT_BITS), int(steps[word] & MOST_COUNTED)
            word += 1
            if key > bound:
                log[np.uintp(held), 0], log[np.uintp(held), 1] = key, total
                bound, held = key, held + 1
            else:
                _note(latest, marks, of, held)
                total = counted(log, table, latest, old_log, old_table, old_latest, marks, key, total)
                held = marks[YOUNG_HELD]
            millisecond = (key & _IN_INSTRUMENT) - MILLISECOND_OFFSET
            if not 0 <= millisecond - first_ms < _SLOT_MS:
                first_ms = millisecond // _SLOT_MS * _SLOT_MS
                cell = (of << INSTRUMENT_SHIFT) + ((millisecond // _SLOT_MS + _CODE) << UNIT_SHIFT) + BURST
                if cell != known:
                    _burst(cells, late, results, frontier, instruments, known, most)
                    known, most = cell, 0
            most = max(most, (total << BURST_SHIFT) | (LATEST - (millisecond - first_ms)))
        _note(latest, marks, of, held)
    _burst(cells, late, results, frontier, instruments, known, most)


@entry(
    *(LONGS, CODES, MATRIX, INTEGERS, INTEGERS, BYTES, BYTES, INTEGERS),
    *(MATRIX, INTEGERS, INTEGERS, MATRIX, INTEGERS, INTEGERS, INTEGERS),
    *(MATRIX, INTEGERS, MATRIX, MATRIX, INTEGERS, INTEGER, INTEGER, INTEGER),
)
def take(
    block: Array, words: Array, ranges: Array, ids: Array, last: Array, seen: Array, fine: Array, cells: Array,
    log: Array, table: Array, latest: Array, old_log: Array, old_table: Array, old_latest: Array, marks: Array,
    places: Array, owners: Array, entries: Array, late: Array, results: Array, frontier: int, instruments: int,
    most: int,
) -> int:  # fmt: skip
    """Ranges one after the other, the numbers of their arrays in `block`, which are `words` of 32 bits too. Cells are
    kept of the first `instruments`, the largest trades of the first `most`; all tables have room, those of
    telemetry.compiled.bursts too."""
    for number in range(len(ranges)):
        begin, at, first_seq = ranges[number, IDS], ranges[number, BEGIN], ranges[number, FIRST_SEQ]
        for _ in range(ranges[number, ENDS]):
            of = ids[begin + block[at + LOCAL]]
            code = _between(block, at, of, last, seen, fine)
            if code >= 0 and of < instruments:
                _cell(pointer(cells), last_of(cells), late, results, frontier, (of << INSTRUMENT_SHIFT) + code, 1)
            at += ENDS_WIDTH
        _gaps(block, at, ranges[number, GAPS], ids, begin, instruments, cells, late, results, frontier)
        at += 2 * ranges[number, GAPS]
        stop = at + 2 * ranges[number, RUNS] + CANDIDATE_WIDTH * ranges[number, CANDIDATES]
        _bursts(
            block, at, ranges[number, RUNS], words, 2 * stop, ids, begin, instruments, cells, log, table, latest,
            old_log, old_table, old_latest, marks, late, results, frontier,
        )  # fmt: skip
        for place in range(at + 2 * ranges[number, RUNS], stop, CANDIDATE_WIDTH):
            of = ids[begin + (block[place + CODE] >> LOCAL_BITS & _LOCAL_MASK)]
            if of < most and _candidate(block, place, places, of, first_seq, entries, results):
                owners[results[ENTRIES] - 1] = of
    return len(ranges)
