"""Rates and patterns of all instruments: gaps between trades, bursts, the largest trades. See telemetry.patterns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from gateway.state.bursts import Bursts, CompiledBursts, NumpyBursts
from gateway.state.cells import Cells
from gateway.state.held import Held
from gateway.state.largest import CompiledLargest, Largest, PlainLargest
from gateway.state.taking import CompiledTake, Take, Waiting, plainly
from gateway.state.tally import Coarsen, CompiledTally, NumpyTally, Tally, coarsen
from telemetry import patterns as layout
from telemetry.patterns import Ints

_SHARE = 2  # of the cap of atoms: there may be one fine cell to two atoms
RANGES = 256  # that wait to be taken in: of single trades too, with few rows each, that is some three milliseconds


@dataclass(frozen=True)
class Parts:
    """What the state is made of: the reference, or compiled code with the same results."""

    tally: Callable[[], Tally] = NumpyTally
    bursts: Callable[[], Bursts] = NumpyBursts
    largest: Callable[[], Largest] = PlainLargest
    coarsen: Coarsen = coarsen
    take: Callable[[], Take] = lambda: plainly
    rows: int = 8_192  # that wait to be taken in: some milliseconds of work


def compiled_parts(take_pages: Callable[[Ints], object] = lambda _: None) -> Parts:
    """The quickest; `take_pages` takes the memory of an array in a thread. Raises ImportError where nothing can be
    compiled."""
    to_level = import_module("telemetry.compiled.tally").coarsen
    return Parts(
        partial(CompiledTally, take_pages), CompiledBursts, CompiledLargest, to_level, CompiledTake, rows=65_536
    )


class Patterns(Held):
    """All of it, and what waits to be taken in."""

    def __init__(self, atoms: int, parts: Parts) -> None:
        super().__init__(Cells(max(1, atoms // _SHARE), parts.tally, parts.coarsen), parts.bursts(), parts.largest())
        self._take, self._most = parts.take(), parts.rows
        self._waiting: list[Waiting] = []
        self._rows = 0  # of those that wait

    def merge(self, ids: Ints, first_seq: int, of: layout.Patterns) -> None:
        """Take in the patterns of a range that begins with trade `first_seq`; `ids` are those of its instruments.

        They wait until there are many, for what is done with a range costs more than what is done with its trades."""
        self._waiting.append(Waiting(ids, first_seq, of))
        self._rows += of.rows()
        self.cells.fold_some()
        if self._rows > self._most or len(self._waiting) >= RANGES:
            self._take_in()

    def take_in(self) -> None:
        """Bring the state up to what was merged: before it is read, folded or saved."""
        self._take_in()
        self.cells.finish()

    def _take_in(self) -> None:
        if self._waiting:
            waiting, self._waiting, self._rows = self._waiting, [], 0
            self._take(self, waiting)

    def fold(self) -> None:
        """At a stride: have no more than there is room for."""
        self.take_in()
        self.cells.fold()
        self.bursts.turn()
        self.largest.bound()

    # --- what is saved -----------------------------------------------------------------------------------------------

    def copied(self, count: int) -> Callable[[], dict[str, Any]]:
        """A copy of all, of so many instruments, which gives numbers in lists, and the arrays; in any thread. Changes
        nothing once all is taken in, so that a thread may call it while nothing is merged."""
        self.take_in()
        ends = [self.last[:count].copy(), self.seen[:count].astype(np.int64), self.fine[:count].astype(np.int64)]
        ends.append(self.cells.frontier.copy())
        numbers = {"instruments": self.cells.instruments, "since": sorted(self.largest.since.items())}
        cells, bursts, largest = self.cells.copied(), self.bursts.copied(), self.largest.copied()

        def ordered() -> dict[str, Any]:
            arrays = [*ends, *cells(), *bursts(), largest().ravel()]
            return numbers | {"sizes": [len(array) for array in arrays], "arrays": arrays}

        return ordered

    def load(self, saved: dict[str, Any], numbers: Ints) -> None:
        """Take over what was saved, its arrays one behind the other, when nothing is held."""
        last, seen, fine, frontier, keys, values, *bursts, largest = (
            part.copy() for part in np.split(numbers, np.cumsum(saved["sizes"])[:-1])
        )
        self.last, self.seen, self.fine = last, seen != 0, fine != 0
        self.cells.load(keys, values, frontier, int(saved["instruments"]))
        self.bursts.load(bursts)
        self.largest.load(largest.reshape(-1, 9))
        self.largest.since = dict(saved["since"])
