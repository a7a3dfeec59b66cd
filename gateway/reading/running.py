"""A running window: what every instrument traded in [start, end), kept up to date instead of summed up again.

What is merged is added (`pending`, until the next reading). When the window moves, the atoms that enter are added and
those that leave are subtracted: sums are exact integers. Extremes cannot be subtracted; they are searched again for the
instruments of which an extreme leaves, and the open is that of the first atom that stays. So the rows are, to the last
bit, those of a walk over all atoms of the window.

A move goes by blocks of instruments. Those before `cursor` are at `target` already, the others still at `span`; trades
may be merged between two steps, and when the move is complete all rows are as of now. An instrument whose scales
change is `stale`: it is summed up again from its atoms. Nobody may read while a move is under way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.ma  # np.unique imports it when it is first called, which takes 60 ms

from gateway.state.atoms import LEVELS
from gateway.state.merging import Ints
from telemetry import rows as layout
from telemetry.rows import (
    INSTRUMENT,
    LAST,
    LEVEL,
    OPEN,
    PRICE_MAX,
    QUANTITY_MIN,
    REVISION,
    SQUARES,
    START,
    TRADES,
    WIDTH,
    Rows,
)

if TYPE_CHECKING:
    from gateway.aggregator import Aggregator

BLOCK = 1024  # instruments of one step, at most
ROWS, MOVED = 4096, 1024  # atoms of one step that are only added up, and of one that moves: about 2 ms
STAGE = 7200  # atoms of one instrument by which a window grows at a time
SCALES = 32  # more than there are scales of a decimal
SUMS = slice(TRADES, SQUARES)  # what is added up over all instruments
_ADDED = slice(TRADES, QUANTITY_MIN)
_EXTREMES = [*range(QUANTITY_MIN, PRICE_MAX + 1), REVISION]
_SMALLEST, _LARGEST = (0, 2), (1, 3, 4)  # of these


class Range(NamedTuple):
    """[start, end) in seconds since 1970."""

    start: int
    end: int


EVER = Range(-(1 << 34), 1 << 34)
_NOTHING = Range(0, 0)


class Running:
    """One window. `rows` by instrument, zeros for those without trades; `counts` of trades by symbol code; `sums` over
    all instruments by kind of money and scales (`groups`); `stamp` tells in which `clock` a row changed last."""

    def __init__(self, state: Aggregator) -> None:
        self._state = state
        self.span = self.target = self.goal = _NOTHING
        self._cursor = 0
        self.clock = self.unread = 0
        self.rows: Rows = np.zeros((0, WIDTH), np.int64)
        self.stamp: Ints = np.zeros(0, np.int64)
        self.counts: Ints = np.zeros(0, np.int64)
        self.groups: dict[int, int] = {}
        self.sums: Rows = np.zeros((0, SQUARES - TRADES), np.int64)
        self._group: Ints = np.zeros(0, np.int64)
        self._pending: list[Rows] = []
        self.waiting = 0
        self._stale: set[int] = set()

    # --- what the aggregator tells -----------------------------------------------------------------------------------

    def merged(self, rows: Rows) -> None:
        """These rows were merged."""
        self._pending.append(rows)
        self.waiting += len(rows)

    def forget(self, ids: Ints) -> None:
        """The scales of these instruments are about to change, or they cease to be rows."""
        self._stale.update(ids.tolist())
        held = ids[ids < len(self.rows)]
        self._put(held, np.zeros((len(held), WIDTH), np.int64))

    # --- moving ------------------------------------------------------------------------------------------------------

    @property
    def moving(self) -> bool:
        """Whether a move is under way."""
        return self.span != self.goal

    def aim(self, goal: Range) -> None:
        """Begin a move; none may be under way."""
        self.goal, self.target = goal, self._stage(goal)

    def _stage(self, goal: Range) -> Range:
        """Where to go next: towards the goal, in stages when one instrument may have very many atoms in between."""
        if goal == EVER:
            return goal
        overlap = self.span.start < goal.end and self.span.end > goal.start
        start, table = self.span.start if overlap else goal.end, self._state.atoms
        level = int(table.level_of(np.array([start - 1]))[0])
        near = start - STAGE * LEVELS[level]
        near = near // LEVELS[-1] * LEVELS[-1] if level else max(near, table.frontier[0])
        return Range(max(goal.start, near), goal.end)

    def step(self) -> None:
        """One piece of the move, after taking in what was merged."""
        self.take_in()
        if not self.moving:
            return
        overlap = Range(max(self.span.start, self.target.start), min(self.span.end, self.target.end))
        overlap = overlap if overlap.start < overlap.end else _NOTHING
        block = np.arange(self._cursor, min(self._cursor + BLOCK, len(self._state.instruments)))
        block = self._some(block, overlap)
        if overlap is _NOTHING:
            self._put(block, self._sums(block, [self.target]))
        else:
            self._put(block, self._moved(block, overlap))
        self._cursor += len(block)
        if self._cursor >= len(self._state.instruments):
            self.span, self._cursor = self.target, 0
            self.target = self._stage(self.goal)

    def _some(self, block: Ints, overlap: Range) -> Ints:
        """The first instruments of the block that have not too many atoms to look at, at least one."""
        if self.target == EVER:
            return block
        ranges = _differences(self.target, overlap) + _differences(self.span, overlap)
        count = np.zeros(len(block), np.int64)
        for of in ranges:
            for _, low, high in self._state.atoms.locate(block, *of):
                count += high - low
        return block[
            : max(1, int(np.searchsorted(np.cumsum(count), ROWS if overlap is _NOTHING else MOVED, side="right")))
        ]

    def _moved(self, ids: Ints, overlap: Range) -> Rows:
        """The rows of instruments at `target`, of which `overlap` stays."""
        rows = self.rows[ids]
        if leaving := _differences(self.span, overlap):
            gone = self._sums(ids, leaving)
            at = np.flatnonzero(gone[:, REVISION])
            if len(at):
                rows[at] = self._left(ids[at], rows[at], gone[at], overlap)
        if entering := _differences(self.target, overlap):
            _add(rows, self._sums(ids, entering))
        return rows

    def _left(self, ids: Ints, rows: Rows, gone: Rows, overlap: Range) -> Rows:
        """What is left of rows without what has gone: that which is in `overlap`."""
        rows[:, _ADDED] -= gone[:, _ADDED]
        layout.carry(rows)
        empty = rows[:, TRADES : TRADES + 3].sum(axis=1) == 0
        rows[empty] = 0
        some = np.flatnonzero(~empty & (rows[:, _EXTREMES] == gone[:, _EXTREMES]).any(axis=1))
        rows[some[:, None], _EXTREMES] = self._extremes(ids[some], overlap)
        for column in (OPEN, LAST):
            left = ~empty & (rows[:, column : column + 2] == gone[:, column : column + 2]).all(axis=1)
            some = np.flatnonzero(left)
            rows[some, column : column + 3] = self._edge(ids[some], overlap, column)
        return rows

    def _extremes(self, ids: Ints, of: Range) -> Rows:
        """The _EXTREMES of instruments that have atoms there."""
        found, owner = self._state.atoms.find(ids, *of)
        order = np.argsort(owner, kind="stable")
        values = self._state.atoms.rows[found[order][:, None], _EXTREMES]
        starts = np.searchsorted(owner[order], np.arange(len(ids)))
        out = np.empty((len(ids), len(_EXTREMES)), np.int64)
        if len(ids):
            for column in _SMALLEST:
                out[:, column] = np.minimum.reduceat(values[:, column], starts)
            for column in _LARGEST:
                out[:, column] = np.maximum.reduceat(values[:, column], starts)
        return out

    def _edge(self, ids: Ints, of: Range, column: int) -> Rows:
        """OPEN or LAST of instruments that have atoms there: of the first or last atom of each level the best."""
        table, first = self._state.atoms, column == OPEN
        best = np.zeros((len(ids), 3), np.int64)
        known = np.zeros(len(ids), np.bool_)
        for places, low, high in table.locate(ids, *of):
            some = np.flatnonzero(high > low)
            found = table.rows[places[low[some] if first else high[some] - 1], column : column + 3]
            held = best[some]
            earlier = (found[:, 0] < held[:, 0]) | ((found[:, 0] == held[:, 0]) & (found[:, 1] < held[:, 1]))
            better = ~known[some] | (earlier == first)
            best[some[better]], known[some] = found[better], True
        return best

    def _sums(self, ids: Ints, of: list[Range]) -> Rows:
        """One row for each of these instruments (ascending), zeros for those without atoms there."""
        if of == [EVER]:
            return self._state.totals[ids]
        out = np.zeros((len(ids), WIDTH), np.int64)
        if not of or of == [_NOTHING]:
            return out
        rows = np.concatenate([self._state.atoms.select(ids, *part) for part in of])
        found, rows = layout.reduce(rows, rows[:, INSTRUMENT])
        at = np.searchsorted(ids, found)
        out[at] = rows
        out[at, LEVEL] = out[at, START] = 0
        return out

    # --- taking in ---------------------------------------------------------------------------------------------------

    def take_in(self) -> None:
        """Bring the rows up to what is merged by now."""
        self._follow()
        pending, self._pending, self.waiting = self._pending, [], 0
        if pending:
            self._take(pending[0] if len(pending) == 1 else np.concatenate(pending))
        if self._stale:
            stale, self._stale = np.array(sorted(self._stale)), set()
            for ids, of in ((stale[stale < self._cursor], self.target), (stale[stale >= self._cursor], self.span)):
                self._put(ids, self._sums(ids, [of]))

    def _take(self, rows: Rows) -> None:
        ids, start = rows[:, INSTRUMENT], rows[:, START]
        inside = (start >= self.span.start) & (start < self.span.end)
        if self.moving:
            moved = (start >= self.target.start) & (start < self.target.end)
            inside = np.where(ids < self._cursor, moved, inside)
        if self._stale:
            inside &= ~np.isin(ids, list(self._stale))
        if not inside.all():
            rows = rows[inside]
        found, more = layout.reduce(rows, rows[:, INSTRUMENT].copy())
        more[:, LEVEL] = more[:, START] = 0
        held = self.rows[found]
        _add(held, more)
        self._put(found, held)

    def _follow(self) -> None:
        """Make room for instruments that are new."""
        self._state.directory.follow()
        count, room = len(self._state.instruments), len(self.rows)
        if count > room:
            room = count if room == 0 else max(count, room * 2)  # zeros cost nothing until they are written to
            rows, stamp, group = np.zeros((room, WIDTH), np.int64), np.zeros(room, np.int64), np.zeros(room, np.int64)
            for new, old in ((rows, self.rows), (stamp, self.stamp), (group, self._group)):
                new[: len(old)] = old
            self.rows, self.stamp, self._group = rows, stamp, group
        more = len(self._state.directory.symbols) - len(self.counts)
        if more > 0:
            self.counts = np.concatenate((self.counts, np.zeros(more, np.int64)))

    def _put(self, ids: Ints, rows: Rows) -> None:
        """Replace the rows of these instruments, and what is added up over them."""
        held = self.rows[ids]
        changed = np.flatnonzero((held != rows).any(axis=1))
        if len(changed) == 0:
            return
        ids, rows, held = ids[changed], rows[changed], held[changed]
        difference = rows[:, SUMS] - held[:, SUMS]
        new = held[:, REVISION] == 0
        self._group[ids[new]] = self._groups_of(ids[new])
        group = self._group[ids]
        for number in np.unique(group).tolist():
            self.sums[number] += difference[group == number].sum(axis=0)
        np.add.at(self.counts, self._state.directory.symbol_of[ids], difference[:, :3].sum(axis=1))
        self.rows[ids] = rows
        self.stamp[ids] = self.clock

    def _groups_of(self, ids: Ints) -> Ints:
        state = self._state
        code = (state.directory.money_of[ids] * SCALES + state.price_scale[ids]) * SCALES + state.quantity_scale[ids]
        codes, inverse = np.unique(code, return_inverse=True)
        numbers = [self.groups.setdefault(value, len(self.groups)) for value in codes.tolist()]
        if len(self.groups) > len(self.sums):
            more = np.zeros((len(self.groups) - len(self.sums), self.sums.shape[1]), np.int64)
            self.sums = np.concatenate((self.sums, more))
        return np.array(numbers, np.int64)[inverse]


def _differences(a: Range, b: Range) -> list[Range]:
    """What of `a` is not in `b`, which lies inside or is empty."""
    if b is _NOTHING:
        return [a] if a.start < a.end else []
    return [part for part in (Range(a.start, b.start), Range(b.end, a.end)) if part.start < part.end]


def _add(rows: Rows, more: Rows) -> None:
    """Merge `more` into `rows`, in place; zeros are nothing."""
    some = np.flatnonzero(more[:, REVISION])
    held, more = rows[some], more[some]
    empty = held[:, REVISION] == 0
    rows[some] = np.where(empty[:, None], more, layout.merge(held, more))
