"""Counts by instrument, unit of time and bucket (see telemetry.patterns): fine ones of ten seconds, coarse ones of a
minute and longer.

`frontier[level]` is the second before which nothing is held at that level or finer; what comes later for that time goes
where the rest of it is. They are moved at strides only, where the state is a function of the journal: when there are
more than so many fine cells, the oldest of them become coarse, until three quarters are left; coarse cells in the same
way, to hours, days, years. When even these are too many, the instruments that were seen last are given up, for good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from gateway.state.tally import Coarsen, Tally, coarsen
from telemetry.patterns import (
    BUCKET_MASK,
    INSTRUMENT_SHIFT,
    LEVEL_CODES,
    TRACKED,
    UNIT_MASK,
    UNIT_SHIFT,
    UNITS,
    Ints,
    levels_of,
    starts_of,
)

NEVER = -(1 << 34)


class Cells:
    """At most about `fine` cells of ten seconds and twice as many coarse ones, at a stride."""

    def __init__(self, fine: int, make: Callable[[], Tally], to_level: Coarsen = coarsen) -> None:
        self.frontier: Ints = np.full(len(UNITS) - 1, NEVER, np.int64)
        self.instruments = TRACKED  # those with a smaller id are held
        self._most_fine, self._most_coarse = fine, 2 * fine
        self.fine, self._coarse, self._to_level = make(), make(), to_level
        self._moving: Iterator[None] = iter(())

    def __len__(self) -> int:
        self.finish()
        return len(self.fine) + len(self._coarse)

    def add(self, keys: Ints, values: Ints, earliest: int) -> None:
        """Take in fine cells (and may change the arrays), of which none begins before the second `earliest`."""
        if earliest >= self.frontier[0]:
            self.fine.add(keys, values)
        else:
            self._to_level(keys, values, self.frontier)
            self._put(keys, values)

    def _put(self, keys: Ints, values: Ints) -> None:
        fine = (keys >> UNIT_SHIFT & UNIT_MASK) < LEVEL_CODES[1]
        self.fine.add(keys[fine], values[fine])
        self._coarse.add(keys[~fine], values[~fine])

    def of(self, instrument: int) -> tuple[Ints, Ints, Ints]:
        """(the first second of its unit, bucket, value) of all cells of an instrument."""
        self.finish()
        found = [tally.of(instrument) for tally in (self.fine, self._coarse)]
        keys = np.concatenate([keys for keys, _ in found])
        codes = keys >> UNIT_SHIFT & UNIT_MASK
        return starts_of(codes, levels_of(codes)), keys & BUCKET_MASK, np.concatenate([values for _, values in found])

    def resolution(self, second: int) -> int:
        """The length of the unit in which a second is held."""
        return UNITS[int((second < self.frontier).sum())]

    def fold(self) -> None:
        """At a stride: have no more than there is room for; of coarse ones, which become more when fine ones become
        fewer, a quarter more until the next stride, so that not all is to be done at once.

        Which cells are held where is known then; fine ones that have to move do so in parts, see `fold_some`."""
        self.finish()
        most = self._most_coarse
        if len(self.fine) > self._most_fine:
            moving = self._advance(0, self.fine, self._most_fine * 3 // 4)
            if len(self._coarse) + moving <= most + most // 4:
                return
            self.finish()
            if len(self._coarse) <= most + most // 4:
                return
        for level in range(1, len(self.frontier)):
            if len(self._coarse) > most:
                self._advance(level, self._coarse, most * 3 // 4)
                self.finish()
        if len(self._coarse) > most:
            self._give_up()

    def fold_some(self) -> None:
        """A part of what is left to be moved: half a millisecond."""
        next(self._moving, None)

    def finish(self) -> None:
        """Move all that is left to be moved: before cells are read or counted."""
        for _ in self._moving:
            pass

    def _advance(self, level: int, tally: Tally, left: int) -> int:
        """Move the frontier of a level so far that at most so many cells of it are left; how many there are before."""
        found = tally.frontier(level, left)
        if found is None:
            return 0
        self.frontier[: level + 1] = np.maximum(self.frontier[: level + 1], found[0])
        self._moving = self._move((self.fine, self._coarse) if level else (self.fine,), self.frontier.copy())
        return found[1]

    def _move(self, tallies: tuple[Tally, ...], frontier: Ints) -> Iterator[None]:
        for one in tallies:
            for part in one.take_out(frontier):
                self._coarse.add(*part)
                yield

    def _give_up(self) -> None:
        """Hold only the instruments that were seen first, as many as have room."""
        keys = np.sort(self._coarse.items()[0])
        self.instruments = int(keys[self._most_coarse // 2]) >> INSTRUMENT_SHIFT
        for tally in (self.fine, self._coarse):
            keys, values = tally.items()
            kept = keys >> INSTRUMENT_SHIFT < self.instruments
            tally.replace(keys[kept], values[kept])

    def copied(self) -> Callable[[], list[Ints]]:
        """A copy of all, which gives keys and values by key, in any thread."""
        self.finish()
        return partial(_in_order, [tally.items() for tally in (self.fine, self._coarse)])

    def load(self, keys: Ints, values: Ints, frontier: Ints, instruments: int) -> None:
        """Take over what was saved, when nothing is held."""
        self.frontier, self.instruments = frontier.copy(), instruments
        self._put(keys, values)


def _in_order(found: list[tuple[Ints, Ints]]) -> list[Ints]:
    keys, values = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    order = keys.argsort()
    return [keys[order], values[order]]
