"""All instruments in one window, read from a running one: the costs are of what is shown, not of what is held.

It is not a copy: it is read before anything else happens, and `of` copies what is shown later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gateway.aggregator import Aggregator
from gateway.reading.running import EVER, SCALES, SUMS, Range, Running
from gateway.reading.selection import Part, Place, Selection, between, everything, in_order
from gateway.reading.windows import Window, instant_of, whole_atoms, window_of
from gateway.state.merging import Ints
from telemetry import rows as layout
from telemetry.rows import REVISION
from telemetry.statistics import Atom

FOLLOWED = 4096  # new instruments at a time: about 5 ms
FEW, FEW_ATOMS = 8, 4096  # instruments and atoms that are summed up, unless the window is open already: 3 ms


class Mark(NamedTuple):
    """What a window was when it was read."""

    running: Running
    clock: int
    counts: Ints
    wide: dict[int, Atom]


class Whole:
    """As Selection, of all instruments."""

    def __init__(self, state: Aggregator, running: Running) -> None:
        self._state, self._running = state, running
        everyone = state.wide.atoms
        if running.span == EVER:
            self._wide = dict(state.wide.totals)
        else:
            self._wide = state.wide.total_between(everyone, *running.span) if everyone else {}

    def order(self, sort: str, after: Place | None, limit: int | None = None) -> tuple[list[str], list[int]]:
        """As Selection.order."""
        return in_order(self._state.directory, self._counts(), sort, after, limit)

    def _counts(self) -> Ints:
        counts = self._running.counts.copy()
        for number, atom in self._wide.items():
            counts[self._state.directory.symbol_of[number]] += sum(atom.trades)
        return counts

    def mark(self) -> Mark:
        """To be handed to a later `changed`."""
        return Mark(self._running, self._running.clock, self._counts(), self._wide)

    def changed(self, before: Mark) -> list[str]:
        """Symbols whose figures may be other ones than at a mark; also those that are in only one of the two."""
        directory, counts = self._state.directory, self._counts()
        held = np.zeros(len(counts), np.bool_)
        held[: len(before.counts)] = before.counts > 0
        some = held | (counts > 0)
        if before.running is self._running:
            touched = np.zeros(len(counts), np.bool_)
            touched[directory.symbol_of[np.flatnonzero(self._running.stamp >= before.clock)]] = True
            for number in self._wide.keys() | before.wide.keys():
                touched[directory.symbol_of[number]] |= self._wide.get(number) != before.wide.get(number)
            some &= touched
        return [directory.symbols[code] for code in np.flatnonzero(some).tolist()]

    def of(self, names: Collection[str]) -> Selection:
        """A copy of what these symbols traded."""
        ids = np.array(sorted(number for name in names for number in self._state.by_symbol.get(name, ())), np.int64)
        return pick(self._state, self._running, ids, self._wide)

    def sums(self) -> Iterator[Part]:
        """As Selection.sums."""
        rows = np.zeros((len(self._running.groups), layout.WIDTH), np.int64)
        rows[:, SUMS] = self._running.sums[: len(rows)]
        for code, row in zip(self._running.groups, rows.tolist(), strict=True):
            money, scales = divmod(code, SCALES * SCALES)
            yield self._state.directory.money[money], layout.to_atom(row, *divmod(scales, SCALES))
        for number, atom in self._wide.items():
            yield self._state.instruments[number], atom


def pick(state: Aggregator, running: Running, ids: Ints, wide: dict[int, Atom]) -> Selection:
    """A copy of some instruments (ascending ids) of a window, of whose atoms `wide` holds those that fit no row."""
    rows = running.rows[ids]
    held = rows[:, REVISION] > 0
    if wide:
        wanted = set(ids.tolist())
        wide = {number: atom for number, atom in wide.items() if number in wanted}
    return Selection(state, ids[held], rows[held], wide)


def range_of(span: Window | None) -> Range:
    """The range of a window, None for ever."""
    return EVER if span is None else Range(span.start, span.end)


def few(state: Aggregator, ids: Ints, of: Range) -> bool:
    """Whether it is quick enough to sum up what these instruments traded then."""
    if len(ids) > FEW or of == EVER:
        return len(ids) <= FEW
    return sum(int((high - low).sum()) for _, low, high in state.atoms.locate(ids, *of)) <= FEW_ATOMS


def some(state: Aggregator, ids: Ints, name: str, span: Window | None) -> Selection:
    """What these instruments (ascending ids) traded in the window `name`, which is `span` now."""
    of = range_of(span)
    if few(state, ids, of) and state.windows.current(name) is None:
        return everything(state, ids) if span is None else between(state, ids, *of)
    running = state.windows.at_once(name, of)
    wide = Whole(state, running)._wide
    return pick(state, running, ids, wide)


@dataclass(frozen=True)
class Filter:
    """Which instruments: an empty tuple is no filter."""

    symbols: Sequence[str] = ()
    venues: Sequence[str] = ()
    kinds: Sequence[str] = ()


def select(state: Aggregator, wanted: Filter) -> Ints:
    """The ids of the instruments that pass a filter, ascending."""
    if wanted.symbols:
        ids: Iterable[int] = sorted({number for name in wanted.symbols for number in state.by_symbol.get(name, ())})
    elif not wanted.venues and not wanted.kinds:
        return np.arange(len(state.instruments))
    else:
        ids = range(len(state.instruments))
    if wanted.venues or wanted.kinds:
        ids = [
            number
            for number in ids
            if (not wanted.venues or state.instruments[number].venue in wanted.venues)
            and (not wanted.kinds or state.instruments[number].kind in wanted.kinds)
        ]
    return np.fromiter(ids, np.int64)


@dataclass(frozen=True)
class Asked:
    """A window that is asked for: its name, the instant at which it ends (see windows.instant_of), the instruments; or
    a `period` (UTC ns, the end exclusive) instead of a window."""

    window: str
    now_ns: int
    wanted: Filter = Filter()
    at: str | None = None
    period: tuple[int, int] | None = None

    @property
    def key(self) -> str:
        """The name under which the window is held open."""
        if self.period is not None:
            return f"from {self.period[0]} to {self.period[1]}"
        return self.window if self.at is None else f"{self.window} {self.at}"

    def span(self, state: Aggregator) -> Window | None:
        """The window, None for ever. Raises InvalidInput."""
        if self.period is not None:
            return whole_atoms(*self.period, state.atoms)
        return window_of(self.window, instant_of(self.at, state.watermark, self.now_ns), state.atoms)


def warm(state: Aggregator, asked: Asked) -> Iterator[None]:
    """Bring a window up to date in steps of a few milliseconds, for those who can wait in between. What is read with
    it right after the last step, as of then, costs little. Raises InvalidInput."""
    span = asked.span(state)
    while state.directory.follow(FOLLOWED):
        yield
    if not asked.wanted.symbols or not few(state, select(state, asked.wanted), range_of(span)):
        yield from state.windows.steps(asked.key, range_of(span))


def read(state: Aggregator, asked: Asked, *, warmed: bool = False) -> tuple[Selection | Whole, Window | None]:
    """What was traded in a window and where that is now; after `warm` as it came out there. Raises InvalidInput."""
    span = asked.span(state)
    if warmed and (running := state.windows.current(asked.key)) is not None and span is not None:
        span = span._replace(start=running.span.start, end=running.span.end)
    if asked.wanted == Filter():
        found: Selection | Whole = Whole(state, state.windows.at_once(asked.key, range_of(span)))
    else:
        found = some(state, select(state, asked.wanted), asked.key, span)
    return found, span
