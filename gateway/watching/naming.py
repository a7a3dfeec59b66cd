"""Whose trades are whose, by the names that they carry: in NumPy, or in compiled code with the same results."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.watching.names import Codes, Keys, coded, factors, keys_of
from telemetry.frame import Array, Text
from telemetry.times import ABSENT

Ids = NDArray[np.int64]
FURTHEST_SECONDS = 86_400.0
_FIRST = np.zeros(1, np.int64)
_REMEMBERED = 2  # columns of texts: sources and strategies
_NAMES, _SLOTS = 1_024, 4_096  # names of a block that are told apart quickly, and how large a table is for that


class Coded(NamedTuple):
    """The names of a column: each key once, ascending, and for every row the place of its key among them."""

    keys: Keys
    codes: Codes


class Differences(NamedTuple):
    """How far clocks are, by name: the first row that says so, how many do, how many of them say less than nothing,
    and the least of them in seconds."""

    rows: Ids
    counts: Ids
    negative: Ids
    least: NDArray[np.float64]


class Runs(NamedTuple):
    """Runs of consecutive numbers, those of a name together: where each begins among the `times`, the row and number
    that it begins with, and the latest of its times."""

    begins: Ids
    rows: Ids
    firsts: Ids
    newest: Ids
    times: Ids


class Naming:
    """The reference. What was asked of a column last is remembered: several ask for the same.

    `piece` is how many trades are watched at a time, for a pause of the event loop of 2 ms: a live trade with names and
    numbers takes some 130 ns, 50 in compiled code.
    """

    piece = 16_384

    def __init__(self) -> None:
        self._asked: list[tuple[Text, Coded]] = []

    def coded(self, text: Text) -> Coded:
        """The names of a column."""
        for asked, found in self._asked:
            if asked is text:
                return found
        found = self._coded(text)
        self._asked = [*self._asked[1 - _REMEMBERED :], (text, found)]
        return found

    def mark(self, places: Ids, codes: Ids, request: Ids, requests: int, there: NDArray[np.bool_]) -> None:
        """Set where there is a row: at places[code] * requests + request."""
        there[places[codes] * requests + request] = True

    def differences(self, received: Array, sent: Array, of: Coded) -> Differences:
        """Between the clock that says when trades were received and those that say when they were sent (ns), those of
        at most a day. Names that say nothing are left out."""
        # Floats: any two instants have a difference then; near zero it is exact to a microsecond.
        seconds = (received.astype(np.float64) - sent.astype(np.float64)) / 1e9
        rows = np.flatnonzero((sent != ABSENT) & (np.abs(seconds) <= FURTHEST_SECONDS))
        codes = of.codes[rows]
        order = _order(codes, len(of.keys))
        rows, ordered, seconds = rows[order], codes[order], seconds[rows[order]]
        begins = np.flatnonzero(np.diff(ordered, prepend=-1))
        if not len(begins):
            return Differences(rows, rows, rows, seconds)
        counts = np.diff(begins, append=len(rows))
        negative = np.add.reduceat((seconds < 0).astype(np.int64), begins)
        return Differences(rows[begins], counts, negative, np.minimum.reduceat(seconds, begins))

    def runs(self, source: Text, numbers: Array, times: Array) -> Runs:
        """Runs of the numbers of trades that have a number and a source, by source."""
        of = self.coded(source)
        order = _order(of.codes, len(of.keys))
        there = (numbers != ABSENT) & (np.diff(source.offsets) > 0)
        if not there.all():
            order = order[there[order]]
        codes, numbers, times = of.codes[order], numbers[order], times[order]
        if not len(order):
            return Runs(order, order, order, order, times)
        begins = np.concatenate((_FIRST, np.flatnonzero((np.diff(numbers) != 1) | (np.diff(codes) != 0)) + 1))
        return Runs(begins, order[begins], numbers[begins], np.maximum.reduceat(times, begins), times)

    def _coded(self, text: Text) -> Coded:
        return Coded(*coded(keys_of(text)))


class CompiledNaming(Naming):
    """The quickest. Raises ImportError where nothing can be compiled."""

    piece = 40_000

    def __init__(self) -> None:
        super().__init__()
        self._kernels: Any = import_module("telemetry.compiled.names")
        self._factors = factors()
        self._furthest = np.full(1, FURTHEST_SECONDS)

    def mark(self, places: Ids, codes: Ids, request: Ids, requests: int, there: NDArray[np.bool_]) -> None:
        """See Naming."""
        self._kernels.mark(places, codes, request, requests, there.view(np.uint8))

    def differences(self, received: Array, sent: Array, of: Coded) -> Differences:
        """See Naming."""
        rows, counts, negative = np.zeros((3, len(of.keys)), np.int64)
        least = np.zeros(len(of.keys))
        self._kernels.clocks(received, sent, of.codes, self._furthest, rows, counts, negative, least)
        said = np.flatnonzero(counts)
        return Differences(rows[said], counts[said], negative[said], least[said])

    def runs(self, source: Text, numbers: Array, times: Array) -> Runs:
        """See Naming."""
        of = self.coded(source)
        ends = np.zeros(len(of.keys), np.int64)
        order, begins, rows, firsts, newest, ordered = np.empty((6, len(numbers)), np.int64)
        found = begins, rows, firsts, newest
        count = self._kernels.runs(of.codes, source.offsets, numbers, times, ends, order, *found, ordered)
        total = int(ends[0]) if len(ends) else 0
        return Runs(begins[:count], rows[:count], firsts[:count], newest[:count], ordered[:total])

    def _coded(self, text: Text) -> Coded:
        table, keys = np.zeros(_SLOTS, np.int64), np.empty(_NAMES, np.uint64)
        codes = np.empty(len(text.offsets) - 1, np.int64)
        count = self._kernels.code(text.offsets, text.blob, self._factors, table, keys, codes)
        if count < 0:
            return super()._coded(text)
        order = np.argsort(keys[:count])
        place = np.empty(count, np.int64)
        place[order] = np.arange(count)
        return Coded(keys[order], place.take(codes))


def _order(codes: Ids, distinct: int) -> Ids:
    # 16 bits: numpy sorts them by counting, in a fraction of the time.
    return np.argsort(codes.astype(np.uint16) if distinct <= 1 << 16 else codes, kind="stable")
