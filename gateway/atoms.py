"""The table of atoms: one row per (instrument, level, start), folded to coarser levels when there are too many.

Level 0 is one second, then minutes, hours, days. `frontier[level]` is the instant (seconds since 1970, a multiple of
the next level's length) before which that level holds nothing any more: a late trade merges at the finest level still
held for its time. Folding happens only where the aggregator asks for it, at fixed sequence numbers, so that what is
held is a function of the journal alone and not of how deliveries were cut.

Rows live in one matrix reserved for the cap and for what comes between two folds (memory is only used when touched).
The index is a sorted array of keys, (instrument, level, start) packed into 63 bits, plus a small dict of recent ones:
16 bytes an atom, and the atoms of an instrument in a time range are a slice.

A snapshot freezes the pages that changed since the last one; a frozen page is copied when it is written to before the
snapshot has taken it, so that what is taken is the state of one instant and merging goes on meanwhile.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telemetry import rows as layout
from telemetry.rows import INSTRUMENT, LEVEL, START, WIDTH, Rows

LEVELS = (1, 60, 3600, 86400)
PAGE = 1024  # rows; the unit in which the snapshot writes what changed
BETWEEN_FOLDS = 1 << 17  # rows beyond the cap: twice the largest stride, because folding inserts before it frees
_STEP = 1 << 15  # rows folded at a time
_RECENT = 4096  # keys kept in the dict before they are merged into the sorted array
_EPOCH_OFFSET = 1 << 34  # makes starts before 1970 positive: int64 nanoseconds reach back to 1677
_LEVEL_SHIFT, _INSTRUMENT_SHIFT = 35, 37
_NEVER = -(1 << 34)

Ints = NDArray[np.int64]


def pack(instrument: Ints | int, level: Ints | int, start: Ints | int) -> Ints:
    """The sort key of an atom."""
    return np.asarray(
        (np.asarray(instrument, np.int64) << _INSTRUMENT_SHIFT)
        | (np.asarray(level, np.int64) << _LEVEL_SHIFT)
        | (np.asarray(start, np.int64) + _EPOCH_OFFSET)
    )


class AtomTable:
    """Rows by (instrument, level, start). All rows of one instrument are at the same scales, kept by the caller."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.rows: Rows = np.zeros((cap + BETWEEN_FOLDS, WIDTH), np.int64)
        self.used = 0
        self.saved: dict[int, bytes] = {}  # frozen pages that were written to since
        self.frontier = [_NEVER] * (len(LEVELS) - 1)
        self._dirty = np.zeros(len(self.rows) // PAGE + 1, np.bool_)
        self._frozen = np.zeros(len(self.rows) // PAGE + 1, np.bool_)
        self._frozen_rows = 0
        self._free: list[int] = []
        self._keys = np.empty(0, np.int64)
        self._at = np.empty(0, np.int64)
        self._recent: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._keys) + len(self._recent)

    def level_of(self, start: Ints) -> Ints:
        """The level at which a trade of that second is held."""
        level = np.zeros(len(start), np.int64)
        for frontier in self.frontier:
            level += start < frontier
        return level

    def merge(self, rows: Rows) -> None:
        """Merge rows of one second each (or coarser ones as they are) into the table; keys in `rows` are unique."""
        rows = self._coarsened(rows)
        keys = pack(rows[:, INSTRUMENT], rows[:, LEVEL], rows[:, START])
        at = self._find(keys)
        known = at >= 0
        if known.any():
            where = at[known]
            self.replace(where, layout.merge(self.rows[where], rows[known]))
        if not known.all():
            self._insert(keys[~known], rows[~known])

    def _coarsened(self, rows: Rows) -> Rows:
        start = rows[:, START]
        if self.frontier[0] == _NEVER or int(start.min(initial=self.frontier[0])) >= self.frontier[0]:
            return rows
        rows = rows.copy()
        level = np.maximum(self.level_of(start), rows[:, LEVEL])
        lengths = np.asarray(LEVELS)[level]
        rows[:, LEVEL], rows[:, START] = level, start // lengths * lengths
        _, merged = layout.reduce(rows, pack(rows[:, INSTRUMENT], level, rows[:, START]))
        return merged

    def _find(self, keys: Ints) -> Ints:
        """Row number of each key, -1 where there is none."""
        at = np.full(len(keys), -1, np.int64)
        if len(self._keys):
            position = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
            hit = self._keys[position] == keys
            at[hit] = self._at[position[hit]]
        if self._recent:
            for number, key in enumerate(keys.tolist()):
                if at[number] < 0:
                    at[number] = self._recent.get(key, -1)
        return at

    def _insert(self, keys: Ints, rows: Rows) -> None:
        count = len(keys)
        reused = [self._free.pop() for _ in range(min(count, len(self._free)))]
        fresh = range(self.used, self.used + count - len(reused))
        self.used += len(fresh)
        if self.used > len(self.rows):
            self._grow()
        at = np.array([*reused, *fresh], np.int64)
        self.replace(at, rows)
        self._recent.update(zip(keys.tolist(), at.tolist(), strict=True))
        if len(self._recent) > _RECENT:
            self._settle()

    def _grow(self) -> None:
        # Only more instruments than the cap, or the trades between two folds, come here.
        grown = np.zeros((max(self.used, len(self.rows) * 5 // 4), WIDTH), np.int64)
        grown[: len(self.rows)] = self.rows
        self.rows = grown
        self._dirty = np.concatenate((self._dirty, np.zeros(len(grown) // PAGE + 1 - len(self._dirty), np.bool_)))
        self._frozen = np.concatenate((self._frozen, np.zeros(len(self._dirty) - len(self._frozen), np.bool_)))

    def _settle(self) -> None:
        """Move the recent keys into the sorted array."""
        if not self._recent:
            return
        keys = np.fromiter(self._recent.keys(), np.int64, len(self._recent))
        at = np.fromiter(self._recent.values(), np.int64, len(self._recent))
        order = np.argsort(keys)
        position = np.searchsorted(self._keys, keys[order])
        self._keys = np.insert(self._keys, position, keys[order])
        self._at = np.insert(self._at, position, at[order])
        self._recent.clear()

    def select(self, instruments: Ints, start: int, end: int) -> Rows:
        """A copy of the rows of these instruments whose atom begins in [start, end) seconds."""
        self._settle()
        found = []
        for level in range(len(LEVELS)):
            low = np.searchsorted(self._keys, pack(instruments, level, max(start, _NEVER)))
            high = np.searchsorted(self._keys, pack(instruments, level, min(end, -_NEVER - 1)))
            counts = high - low
            if (total := int(counts.sum())) > 0:
                offsets = np.repeat(low - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
                found.append(self._at[offsets + np.arange(total)])
        at = np.concatenate(found) if found else np.empty(0, np.int64)
        return self.rows[at]

    def of_instruments(self, instruments: Ints) -> Ints:
        """Row numbers of all atoms of these instruments."""
        self._settle()
        return self._at[np.isin(self._keys >> _INSTRUMENT_SHIFT, instruments)]

    def replace(self, at: Ints, rows: Rows) -> None:
        """Put rows in place of those at `at`."""
        self._will_write(at)
        self.rows[at] = rows

    def _will_write(self, at: Ints) -> None:
        pages = np.flatnonzero(np.bincount(at // PAGE))
        self._dirty[pages] = True
        for page in pages[self._frozen[pages]].tolist():
            self.saved[page] = self._page(page)
            self._frozen[page] = False

    def _page(self, page: int) -> bytes:
        return self.rows[page * PAGE : min((page + 1) * PAGE, self._frozen_rows)].tobytes()

    def freeze(self, everything: bool) -> int:
        """Begin a snapshot of the pages that changed since the last one, or of all; returns the rows in use."""
        self._frozen_rows = self.used
        pages = -(-self.used // PAGE)
        self._frozen[:pages] = True if everything else self._dirty[:pages]
        self._dirty[:] = False
        return self.used

    def take_frozen(self, count: int) -> list[tuple[int, bytes]]:
        """Up to `count` frozen pages as they were, empty when there are no more."""
        taken = [(page, self.saved.pop(page)) for page in list(self.saved)[:count]]
        for page in np.flatnonzero(self._frozen)[: count - len(taken)].tolist():
            taken.append((page, self._page(page)))
            self._frozen[page] = False
        return taken

    def give_up_frozen(self) -> None:
        """A snapshot failed: what it should have written is to be written by the next one."""
        self._frozen[:] = False
        self.saved.clear()

    def remove(self, at: Ints) -> Rows:
        """Take rows out of the table; returns what they held."""
        self._settle()
        taken = self.rows[at]
        self._will_write(at)
        keep = ~np.isin(self._at, at)
        self._keys, self._at = self._keys[keep], self._at[keep]
        self.rows[at, INSTRUMENT] = -1
        self._free += at.tolist()
        return taken

    def fold(self, newest: int) -> None:
        """Fold the oldest atoms until there are at most `cap`. `newest` is the second of the watermark.

        Seconds are kept for an hour and minutes for a day as long as that is possible at all; never folded is the
        newest unit of the coarser level. When even days are too many (more instruments than the cap), they stay.
        """
        self._settle()
        for level, keep in ((0, 3600), (1, 86400), (0, 60), (1, 3600), (2, 86400)):
            excess = len(self) - self.cap
            if excess <= 0:
                return
            self._fold_level(level, (newest - keep) // LEVELS[level + 1] * LEVELS[level + 1], excess)

    def _fold_level(self, level: int, limit: int, excess: int) -> None:
        """Fold atoms of one level that begin before `limit`, the oldest coarse units first, as few as free `excess`."""
        coarse = LEVELS[level + 1]
        held = (self._keys >> _LEVEL_SHIFT) & 3
        start = (self._keys & ((1 << _LEVEL_SHIFT) - 1)) - _EPOCH_OFFSET
        candidate = np.flatnonzero((held == level) & (start < limit))
        if len(candidate) == 0:
            return
        instrument = self._keys[candidate] >> _INSTRUMENT_SHIFT
        unit = start[candidate] // coarse
        order = np.lexsort((instrument, unit))
        unit, instrument = unit[order], instrument[order]
        later_of_group = np.zeros(len(unit), np.int64)  # each of these is freed by folding its unit
        later_of_group[1:] = (unit[1:] == unit[:-1]) & (instrument[1:] == instrument[:-1])
        units, first = np.unique(unit, return_index=True)
        freed = np.cumsum(np.add.reduceat(later_of_group, first))
        last = min(int(np.searchsorted(freed, excess)), len(units) - 1)
        self._raise_frontier(level, int(units[last] + 1) * coarse)

    def _raise_frontier(self, level: int, frontier: int) -> None:
        """Nothing finer than `level + 1` is held before `frontier` from now on."""
        for finer in range(level + 1):
            self.frontier[finer] = max(self.frontier[finer], frontier)
        held = (self._keys >> _LEVEL_SHIFT) & 3
        start = (self._keys & ((1 << _LEVEL_SHIFT) - 1)) - _EPOCH_OFFSET
        at = self._at[(held <= level) & (start < frontier)]
        for begin in range(0, len(at), _STEP):  # in steps, because the rows are copied
            self.merge(self.remove(at[begin : begin + _STEP]))

    def load(self, rows: Rows, frontier: list[int]) -> None:
        """Restore from a snapshot: `rows` as they stood, free ones marked by instrument -1."""
        self.used = len(rows)
        if self.used > len(self.rows):
            self._grow()
        self.rows[: self.used] = rows
        self.frontier = list(frontier)
        at = np.flatnonzero(rows[:, INSTRUMENT] >= 0)
        keys = pack(rows[at, INSTRUMENT], rows[at, LEVEL], rows[at, START])
        order = np.argsort(keys)
        self._keys, self._at = keys[order], at[order]
        self._recent.clear()
        self._free = np.flatnonzero(rows[:, INSTRUMENT] < 0).tolist()
        self._dirty[:] = False
