"""Loss, counted end to end: what the senders numbered (`source`, `source_seq`) against what the journal holds.

A source is expected to number its trades 1, 2, 3 … (from any number on). Of each source, in the order of the journal:

    missing     numbers between the first and the highest that have not come
    healed      numbers that were missing and came after all
    reordered   numbers that came after a higher one, other than repeats: the healed ones and those below the first
    repeats     numbers that came before
    lost        numbers given up: missing when the numbering began anew, or beyond the ranges that are kept
    unjudged    numbers that came where something had been given up: late ones or repeats, nobody knows
    restarts    how often the numbering began anew
    holes       how often numbers were found missing, healed or not: a counter that never goes back

A numbering begins anew with a number that is not above the highest, is at most 1 or at most half the highest, and whose
`timestamp` is later than every one of that source's numbering so far. So trades sent again are repeats (they carry
their old time), late ones are late, and a bot that starts again at 1, or at 2 with the first one lost, is a restart.

All this is a function of the journal's order alone, whatever the commits: `feed` takes them one after another. Memory:
at most `most` sources (the one not heard of for longest is forgotten, and counted) with at most `ranges` missing ranges
of 16 bytes each. Pure: no clock at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import Any

import numpy as np

from gateway.alerting.readings import SourceReading
from gateway.watching.names import only_name
from gateway.watching.naming import Naming, Runs
from gateway.watching.numbering import Numbering
from telemetry.columns import Columns
from telemetry.errors import InvalidInput
from telemetry.frame import Array
from telemetry.times import ABSENT

VERSION = 1
SOURCES, RANGES = 1_000, 1_000
LABELLED = 100
NUMBERED = "source", "source_seq"  # the columns that are looked at
_FIRST = np.zeros(1, np.int64)


class Loss:
    """All sources."""

    def __init__(self, *, most: int = SOURCES, ranges: int = RANGES) -> None:
        self.seq = 0  # the last trade that was counted; whoever feeds says so
        self.forgotten = 0  # sources
        self.labelled: list[str] = []  # the first sources there were: they are labels of metrics, and stay so
        self.naming = Naming()
        self._most, self._ranges = most, ranges
        self._sources: dict[str, Numbering] = {}  # the one heard of last is last
        self._names: dict[int, str] = {}  # by key, as many as there are sources

    def feed(self, columns: Columns) -> None:
        """Count the trades of the next commit."""
        source, numbers = columns.text("source"), columns.integers("source_seq")
        if source is None or numbers is None:
            return
        name = only_name(source)
        if name and not (numbers == ABSENT).any():
            self._runs([name], _runs_of_one(numbers, columns.timestamp))
            return
        runs = self.naming.runs(source, numbers, columns.timestamp)
        if not len(runs.rows):
            return
        of = self.naming.coded(source)
        names = [
            self._names.get(key) or self._name(key, source[row])
            for key, row in zip(of.keys[of.codes[runs.rows]].tolist(), runs.rows.tolist(), strict=True)
        ]
        self._runs(names, runs)
        if len(self._names) > 2 * self._most:
            self._names.clear()

    def rows(self, names: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """By source, ascending, as `GET /v1/sources` shows them: of these, or of all."""
        wanted = self._sources if names is None else self._sources.keys() & set(names)
        return {name: self._sources[name].row() for name in sorted(wanted)}

    def readings(self) -> dict[str, SourceReading]:
        """What rules look at: all that never came, given up or not, and the newest hole."""
        return {name: _reading(source) for name, source in self._sources.items()}

    def export(self) -> dict[str, Any]:
        """All of it as plain data."""
        sources = [[name, source.export()] for name, source in self._sources.items()]
        head = {"version": VERSION, "seq": self.seq, "forgotten": self.forgotten, "labelled": list(self.labelled)}
        return head | {"sources": sources}

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Take up what `export` gave. Raises InvalidInput, and changes nothing, when it is of another version."""
        if plain.get("version") != VERSION:
            raise InvalidInput(f"loss: expected version {VERSION}, received {plain.get('version')!r}")
        try:
            sources = {str(name): Numbering.of(source, self._ranges) for name, source in plain["sources"]}
            seq, forgotten = int(plain["seq"]), int(plain["forgotten"])
            labelled = [str(name) for name in plain["labelled"]]
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"loss: expected what was exported, received {error!r}") from None
        self._sources, self.seq, self.forgotten, self.labelled = sources, seq, forgotten, labelled

    def _runs(self, names: list[str], runs: Runs) -> None:
        """`names` has the source of each run, or one of all."""
        starts, firsts, newest = (each.tolist() for each in (runs.begins, runs.firsts, runs.newest))
        owners, times = names if len(names) > 1 else repeat(names[0]), runs.times
        for name, first, start, stop, latest in zip(owners, firsts, starts, [*starts[1:], len(times)], newest):  # noqa: B905
            source = self._sources.pop(name, None)
            if source is None:
                source = self._new(name, first)
            source.run(first, times, start, stop, latest)
            self._sources[name] = source

    def _new(self, name: str, first: int) -> Numbering:
        if len(self.labelled) < LABELLED and name not in self.labelled:
            self.labelled.append(name)
        if len(self._sources) >= self._most:
            del self._sources[next(iter(self._sources))]
            self.forgotten += 1
        return Numbering(first, self._ranges)

    def _name(self, key: int, name: str) -> str:
        self._names[key] = name
        return name


def _reading(source: Numbering) -> SourceReading:
    hole = (source.starts[-1], source.ends[-1]) if source.starts else (None, None)
    return SourceReading(source.missing + source.lost, *hole)


def _runs_of_one(numbers: Array, times: Array) -> Runs:
    begins = np.concatenate((_FIRST, np.flatnonzero(np.diff(numbers) != 1) + 1))
    return Runs(begins, begins, numbers[begins], np.maximum.reduceat(times, begins), times)
