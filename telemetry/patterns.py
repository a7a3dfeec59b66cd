"""Rates and patterns of a range: gaps between trades, trades by millisecond, the largest trades. What a worker sends.

Counts are kept under keys of 63 bits, so that a set of counts is two arrays and merging is adding. A *cell* counts in
a unit of time (ten seconds, a minute, an hour, a day, 365 days) of an instrument:

    bits 44..62  instrument          bits 12..43  unit of time, see `unit_code`          bits 0..11  bucket

Buckets below NEGATIVE are gaps: those of a floating-point number's exponent and its next six bits, so 64 to an octave,
as in HdrHistogram (G. Tene). It takes no logarithm, so every machine finds the same one. A bucket is shown as its
middle, within 1/128 (0.78 %) of all that is in it. NEGATIVE counts gaps below zero (trades that came late), BURST holds
the most trades in one millisecond: see `burst_value`.

    millisecond  bits 45..62  instrument   bits 0..44  milliseconds since 1970, plus 2**44

Nearly every trade has a millisecond of its own, so these travel in *runs*: the first key of some that ascend and belong
to one instrument, and a word of 32 bits for each, bits 8..31 the milliseconds since the one before (0 for the first),
bits 0..7 the trades. More than 255 trades are 255 and the rest, 0 milliseconds later.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
_greatest = np.maximum.reduce  # of few numbers half the price of .max()

UNITS: Final = (10, 60, 3600, 86400, 31_536_000)  # seconds, by level: to a day, then 365 of them
TRACKED: Final = 1 << 18  # instruments, the first ones seen: as many as have room in a key
INSTRUMENT_SHIFT, UNIT_SHIFT, MILLISECOND_SHIFT = 44, 12, 45
BUCKET_MASK: Final = (1 << UNIT_SHIFT) - 1
UNIT_MASK: Final = (1 << 32) - 1
NEGATIVE, BURST = 4094, 4095
MILLISECOND_OFFSET: Final = 1 << 44
# unit_code: the number of the unit since 1970 plus the second of these, which is as much as 64 bits of nanoseconds need
# before 1970; codes of a level begin at the first.
LEVEL_CODES: Final = (0, 8 << 28, 12 << 28, 14 << 28, 15 << 28)
LEVEL_OFFSETS: Final = (1 << 30, 1 << 29, 1 << 28, 1 << 27, 1 << 26)
BITS: Final = 6  # of a gap's number behind the first one
BIAS: Final = (1023 << BITS) - 1  # so that a gap of 0 is bucket 0, one of 1 ns bucket 1
BURST_SHIFT: Final = 35  # the longest unit has fewer milliseconds than 2**35
LATEST: Final = (1 << BURST_SHIFT) - 1
COUNT_BITS: Final = 8  # of a word of a run
MOST_COUNTED: Final = (1 << COUNT_BITS) - 1
FURTHEST: Final = (1 << 32 - COUNT_BITS) - 1  # milliseconds from one to the next of a run, 4.6 hours

LARGEST = 10  # trades that are shown
# Columns of a candidate for the largest trades. KEY: |price * quantity| as the bits of a float, which are in its order.
# SLOT: ten-second unit that it counts in. CODE: offset in the range | instrument << 17 | side << 34 | scales << 36, 41.
KEY, TIMESTAMP, PRICE, QUANTITY, CODE, SLOT, CANDIDATE_WIDTH = range(7)
LOCAL_BITS: Final = 17
TRUNCATED: Final = 17  # bits of a KEY that the choice of candidates does not look at, so that the group fits beside it
FAR: Final = 1 << 40  # the SLOT of a trade dated more than 5 s ahead of its arrival: it is in no window
# Columns of `ends`: instrument, first and last timestamp by number, whether a timestamp is no multiple of 10 ms.
LOCAL, FIRST, LAST, FINE, ENDS_WIDTH = range(5)
FINE_NS: Final = 10_000_000


@dataclass(frozen=True, eq=False)
class Patterns:
    """Of the trades of a range, with the range's numbers of instruments: gaps[n, 2] (cell, count) of the gaps inside,
    ascending; ends[n, 4]; candidates[n, 6]: of each instrument and SLOT at least the ten largest; runs[n, 2] (first
    millisecond, words) and words[n, 1] (two words of 32 bits each, the last one 0 where they are odd) of the trades by
    millisecond. `block`, where there is one, has their numbers, one array behind the other."""

    ends: Ints
    gaps: Ints
    runs: Ints
    candidates: Ints
    words: Ints
    block: Ints | None = None

    def arrays(self) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """In the order of the message."""
        return self.ends, self.gaps, self.runs, self.candidates, self.words

    @cached_property
    def milliseconds(self) -> int:
        """How many words the runs have."""
        return int(self.runs[:, 1].sum())

    def rows(self) -> int:
        """What there is to take in."""
        return len(self.ends) + len(self.gaps) + len(self.candidates) + self.milliseconds

    def bursts(self) -> Ints:
        """[n, 2] (millisecond, count), ascending."""
        counts = self.runs[:, 1]
        words = self.words.reshape(-1).view(np.uint32)[: self.milliseconds].astype(np.int64)
        if len(words) == 0:
            return np.empty((0, 2), np.int64)
        starts = np.add.accumulate(counts) - counts
        steps = words >> COUNT_BITS
        keys = np.add.accumulate(steps)
        keys += (self.runs[:, 0] - keys.take(starts) + steps.take(starts)).repeat(counts)
        first = np.flatnonzero(np.concatenate((np.ones(1, np.bool_), keys[1:] != keys[:-1])))
        return np.stack((keys.take(first), np.add.reduceat(words & MOST_COUNTED, first)), axis=1)

    def most(self) -> int:
        """The largest number of an instrument in any array, that of a negative one being above all; -1 without any.
        A count that no range has, which is one beyond the bits of a key, may be taken for such a number."""
        found = [-1]
        if len(self.ends):
            found.append(int(_greatest(self.ends[:, LOCAL].view(np.uint64))))
        for array, bits in ((self.gaps, INSTRUMENT_SHIFT), (self.runs, MILLISECOND_SHIFT)):
            if len(array):  # keys and counts: what is side by side is looked at several times as quickly
                found.append(int(_greatest(array.reshape(-1).view(np.uint64))) >> bits)
        if len(self.candidates):
            found.append(int(_greatest(self.candidates[:, CODE] >> LOCAL_BITS & (1 << LOCAL_BITS) - 1)))
        return max(found)


WIDTHS: Final = (ENDS_WIDTH, 2, 2, CANDIDATE_WIDTH, 1)


def in_runs(bursts: Ints) -> tuple[Ints, Ints]:
    """The runs and words of ascending milliseconds with their counts, [n, 2]."""
    pieces = -(-bursts[:, 1] // MOST_COUNTED)
    last = np.add.accumulate(pieces) - 1
    keys, counts = bursts[:, 0].repeat(pieces), np.full(int(pieces.sum()), MOST_COUNTED, np.int64)
    counts[last] = bursts[:, 1] - (pieces - 1) * MOST_COUNTED
    steps = np.diff(keys, prepend=0)
    new = (steps > FURTHEST) | (np.diff(keys >> MILLISECOND_SHIFT, prepend=-1) != 0)
    first = np.flatnonzero(new)
    steps[first] = 0
    words = np.zeros(len(keys) + len(keys) % 2, np.uint32)
    words[: len(keys)] = steps << COUNT_BITS | counts
    runs = np.stack((keys.take(first), np.diff(first, append=len(keys))), axis=1)
    return runs, words.view(np.int64).reshape(-1, 1)


def buckets_of(gaps_ns: Ints) -> Ints:
    """The buckets of gaps in nanoseconds."""
    codes: Ints = gaps_ns.astype(np.float64).view(np.int64) >> (52 - BITS)
    codes -= BIAS
    np.maximum(codes, 0, out=codes)
    if len(gaps_ns) and int(gaps_ns.min()) < 0:
        codes[gaps_ns < 0] = NEGATIVE
    return codes


def value_of(bucket: int) -> float:
    """The gap in nanoseconds that a bucket is shown as: its middle; whole numbers below 128 are exact."""
    if bucket == 0:
        return 0.0
    exponent, step = divmod(bucket - 1, 1 << BITS)
    low, width = (1 << exponent) * (1 + step / (1 << BITS)), (1 << exponent) / (1 << BITS)
    return low if width <= 1 else low + (width - 1) / 2


def unit_code(level: int, start_seconds: int) -> int:
    """The code of a unit of a level that begins at a multiple of its length."""
    return LEVEL_CODES[level] + start_seconds // UNITS[level] + LEVEL_OFFSETS[level]


def levels_of(codes: Ints) -> Ints:
    """The level of each code."""
    return np.searchsorted(np.array(LEVEL_CODES[1:]), codes, side="right")


def starts_of(codes: Ints, levels: Ints) -> Ints:
    """The beginning of each unit, seconds since 1970."""
    first, offset, units = (np.array(of, np.int64)[levels] for of in (LEVEL_CODES, LEVEL_OFFSETS, UNITS))
    return np.asarray((codes - first - offset) * units)


def codes_at(levels: Ints, seconds: Ints) -> Ints:
    """The code of the unit at a level that holds each second."""
    first, offset, units = (np.array(of, np.int64)[levels] for of in (LEVEL_CODES, LEVEL_OFFSETS, UNITS))
    return np.asarray(first + seconds // units + offset)


def burst_values(counts: Ints, milliseconds: Ints, unit_starts: Ints) -> Ints:
    """The values of BURST cells: the larger, the more trades; among equals the larger, the earlier. Both are exact:
    `burst_of` gives them back."""
    return (counts << BURST_SHIFT) | (LATEST - (milliseconds - unit_starts * 1000))


def burst_of(value: int, unit_start: int) -> tuple[int, int]:
    """(trades, their millisecond since 1970) of the value of a BURST cell in the unit that begins at this second."""
    return value >> BURST_SHIFT, unit_start * 1000 + LATEST - (value & LATEST)


def counted(keys: Ints) -> Ints:
    """[n, 2] each key with the number of times that it occurs, ascending. `keys` are sorted in place."""
    keys.sort()
    new = np.empty(len(keys), np.bool_)
    new[:1] = True
    np.not_equal(keys[1:], keys[:-1], out=new[1:])
    first = np.flatnonzero(new)
    found = np.empty((len(first), 2), np.int64)
    found[:, 0] = keys[first]
    found[:-1, 1] = first[1:] - first[:-1]
    if len(first):
        found[-1, 1] = len(keys) - first[-1]
    return found
