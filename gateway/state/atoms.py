"""The table of atoms: one row per (instrument, level, start), folded to coarser levels when there are too many.

Level 0 is one second, then minutes, hours, days. `frontier[level]` is the instant (seconds since 1970, a multiple of
the next level's length) before which that level holds nothing any more: a late trade merges at the finest level still
held for its time. Folding happens only where the aggregator asks for it, at fixed sequence numbers, so that what is
held is a function of the journal alone and not of how deliveries were cut.

Rows live in one matrix whose addresses are reserved for many times the cap (memory is only used when touched). The
index is a sorted array of keys, (instrument, level, start) packed into 63 bits, plus a small dict of recent ones: 16
bytes an atom, three times that in compiled code, and the atoms of an instrument in a time range are a slice.

A snapshot freezes the pages that changed since the last one; a frozen page is copied when it is written to before the
snapshot has taken it, so that what is taken is the state of one instant and merging goes on meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gateway.state.folding import Folding, NumpyFolding
from gateway.state.frozen import PAGE, Pages
from gateway.state.merging import INSTRUMENT_SHIFT, Ints, Merging, NumpyMerging, pack
from gateway.state.newest import Newest
from gateway.state.recent import Recent
from gateway.state.reserved import enlarged, reserved
from telemetry.rows import INSTRUMENT, LEVEL, REVISION, START, TRADES, WIDTH, Rows

LEVELS = (1, 60, 3600, 86400)
_STEP = 1 << 13  # rows folded at a time
_RECENT = 4096  # keys kept in the dict before they are merged into the sorted array
_YOUNG = 1 << 16  # keys kept in the small sorted array before they are merged into the large one
_AHEAD = 1 << 13  # rows: of so many, and up to twice as many, the memory is taken before they are used
_NEVER = -(1 << 34)


class AtomTable:
    """Rows by (instrument, level, start). All rows of one instrument are at the same scales, kept by the caller."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.merging: Merging = NumpyMerging()
        self.folding: Folding = NumpyFolding()
        self.newest: Newest | None = None  # a shorter way to the same places
        self.take_pages: Callable[[Rows], object] = lambda _: None  # those of rows that come soon, in a thread
        self._taken = 0  # rows whose memory is there
        self.rows: Rows = reserved(cap)
        self.used = 0
        self.pages = Pages(len(self.rows))
        self.frontier = [_NEVER] * (len(LEVELS) - 1)
        self._free: list[int] = []
        self._keys = np.empty(0, np.int64)
        self._at = np.empty(0, np.int64)
        self._young_keys = np.empty(0, np.int64)
        self._young_at = np.empty(0, np.int64)
        self._recent = Recent()
        self._unfolded = -1  # the highest level of which atoms may lie behind its frontier

    def __len__(self) -> int:
        return len(self._keys) + len(self._young_keys) + len(self._recent)

    def level_of(self, start: Ints) -> Ints:
        """The level at which a trade of that second is held."""
        level = np.zeros(len(start), np.int64)
        for frontier in self.frontier:
            level += start < frontier
        return level

    def merge(self, rows: Rows) -> None:
        """Merge rows of one second each (or coarser ones as they are) into the table; keys in `rows` are unique."""
        if self.newest is None or (found := self.newest.look(rows, self.frontier[0])) is None:
            self._merge_anywhere(rows)
        else:
            self._merge_newest(self.newest, rows, *found)
        if len(self._recent) > _RECENT:
            self._settle()

    def _merge_newest(self, newest: Newest, rows: Rows, new: Ints, at: Ints) -> None:
        """As `_merge_anywhere`, of rows that `newest` knows: those at -1 are new."""
        places = np.array(self._reserve(len(new)), np.int64)
        if newest.place(at, places, PAGE, self.pages.dirty, self.pages.frozen):
            self.pages.will_write(self.rows, at)
        if len(new):
            self._recent.put(new, places)
            newest.note(rows, at)
        self.merging.absorb(self.rows, at, rows)

    def _merge_anywhere(self, rows: Rows) -> None:
        rows = self._coarsened(rows)
        keys, at = self.merging.find(self._keys, self._at, rows)
        missing = np.flatnonzero(at < 0)
        if len(missing) and len(self._young_keys):
            at[missing] = self.merging.find(self._young_keys, self._young_at, rows[missing])[1]
            missing = missing[at[missing] < 0]
        if len(missing):
            at[missing] = self._recent.places(keys[missing], self._reserve)
        self.pages.will_write(self.rows, at)
        self.merging.absorb(self.rows, at, rows)
        if self.newest is not None:
            self.newest.learn(rows, at)

    def _coarsened(self, rows: Rows) -> Rows:
        start = rows[:, START]
        if self.frontier[0] == _NEVER or int(start.min(initial=self.frontier[0])) >= self.frontier[0]:
            return rows
        rows = rows.copy()
        level = np.maximum(self.level_of(start), rows[:, LEVEL])
        lengths = np.asarray(LEVELS)[level]
        rows[:, LEVEL], rows[:, START] = level, start // lengths * lengths
        _, first, group = np.unique(pack(rows[:, INSTRUMENT], level, rows[:, START]), True, True)
        keys = rows[first, :TRADES]
        rows[:, INSTRUMENT] = group
        merged = np.zeros((len(first), WIDTH), np.int64)
        self.merging.absorb_totals(merged, rows)
        merged[:, :TRADES] = keys
        return merged

    def _reserve(self, count: int) -> list[int]:
        reused = [self._free.pop() for _ in range(min(count, len(self._free)))]
        fresh = range(self.used, self.used + count - len(reused))
        self.used += len(fresh)
        if self.used > len(self.rows):
            self._grow()
        if self.used + _AHEAD > self._taken:
            start, self._taken = max(self._taken, self.used), self.used + 2 * _AHEAD
            self.take_pages(self.rows[start : self._taken])
        return [*reused, *fresh]

    def _grow(self) -> None:  # only far more instruments than the cap come here
        self.rows = enlarged(self.rows, max(self.used, len(self.rows) * 5 // 4))
        self.pages.follow(len(self.rows))

    def _settle(self) -> None:
        """Move the recent keys into the sorted arrays: at first into the small one, because the large one is slow."""
        if self._recent:
            young = self._young_keys, self._young_at
            self._young_keys, self._young_at = self.folding.inserted(*young, *self._recent.take())
        if len(self._young_keys) > _YOUNG:
            self._settle_all()

    def _settle_all(self) -> None:
        """Have all keys in one sorted array."""
        self._young_keys, young, at = np.empty(0, np.int64), self._young_keys, self._young_at
        self._keys, self._at = self.folding.inserted(self._keys, self._at, young, at)
        self._young_at = np.empty(0, np.int64)
        if self._recent:
            self._settle()
            self._settle_all()

    def select(self, instruments: Ints, start: int, end: int, newest: int | None = None) -> Rows:
        """A copy of the rows of these instruments whose atom begins in [start, end) seconds; of each instrument and
        level the newest."""
        return self.rows[self.find(instruments, start, end, newest)[0]]

    def find(self, instruments: Ints, start: int, end: int, newest: int | None = None) -> tuple[Ints, Ints]:
        """Of the atoms that `select` copies the row numbers, and for each which of `instruments` it belongs to."""
        found, owner = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for places, low, high in self.locate(instruments, start, end):
            low = low if newest is None else np.maximum(low, high - newest)
            counts = high - low
            if (total := int(counts.sum())) > 0:
                offsets = np.repeat(low - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
                found.append(places[offsets + np.arange(total)])
                owner.append(np.repeat(np.arange(len(counts)), counts))
        return np.concatenate(found), np.concatenate(owner)

    def locate(self, instruments: Ints, start: int, end: int) -> list[tuple[Ints, Ints, Ints]]:
        """Where the atoms are that `select` copies, by level and part of the index: (row numbers, low, high), of each
        instrument those from its low to its high - 1."""
        self._settle()
        start, end = max(start, _NEVER), min(end, -_NEVER - 1)
        return [
            (
                places,
                np.searchsorted(keys, pack(instruments, level, start)),
                np.searchsorted(keys, pack(instruments, level, end)),
            )
            for keys, places in ((self._keys, self._at), (self._young_keys, self._young_at))
            for level in range(len(LEVELS))
            if len(keys) and (level == 0 or start < self.frontier[level - 1])
        ]

    def of_instruments(self, instruments: Ints) -> Ints:
        """Row numbers of all atoms of these instruments."""
        self._settle_all()
        return self._at[np.isin(self._keys >> INSTRUMENT_SHIFT, instruments)]

    def replace(self, at: Ints, rows: Rows) -> None:
        """Put rows in place of those at `at`."""
        self.pages.will_write(self.rows, at)
        self.rows[at] = rows

    def freeze(self, everything: bool) -> int:
        """Begin a snapshot of the pages that changed since the last one, or of all; returns the rows in use."""
        self.pages.freeze(self.used, everything)
        return self.used

    def take_frozen(self, count: int) -> list[tuple[int, bytes]]:
        """Up to `count` frozen pages as they were, empty when there are no more."""
        return self.pages.take(self.rows, count)

    def give_up_frozen(self) -> None:
        """A snapshot failed: what it should have written is to be written by the next one."""
        self.pages.give_up()

    def remove(self, at: Ints) -> Rows:
        """Take rows out of the table, of instruments that get none any more; returns what they held."""
        self._settle_all()
        keep = ~np.isin(self._at, at)
        self._keys, self._at = self._keys[keep], self._at[keep]
        return self._freed(at)

    def fold(self, newest: int) -> None:
        """Fold the oldest atoms until there are at most `cap`. `newest` is the second of the watermark.

        Seconds are kept for an hour and minutes for a day as long as that is possible at all; never folded is the
        newest unit of the coarser level. When even days are too many (more instruments than the cap), they stay.
        """
        self.finish_fold()
        if len(self) <= self.cap:
            return
        self._settle_all()
        for level, keep in ((0, 3600), (1, 86400), (0, 60), (1, 3600), (2, 86400)):
            excess, coarse = len(self) - self.cap, LEVELS[level + 1]
            if excess <= 0:
                return
            limit = (newest - keep) // coarse * coarse
            found = self.folding.frontier_of(self._keys, level, coarse, limit, excess)
            if found is None:
                continue
            for finer in range(level + 1):
                self.frontier[finer] = max(self.frontier[finer], found[0])
            self._unfolded = level
            if found[1] >= excess:
                return
            self.finish_fold()

    def finish_fold(self) -> None:
        """Fold all that lies behind the frontiers."""
        while self.is_folding:
            self.fold_some()

    @property
    def is_folding(self) -> bool:
        """Whether there is more to do for `fold_some`."""
        return self._unfolded >= 0

    def fold_some(self) -> None:
        """Fold a piece of what lies behind the frontiers and is still held finer: it makes no difference to readers,
        who sum up both, and to the next `fold`, which first does all that is left."""
        if not self.is_folding:
            return
        self._settle_all()
        finer, older = range(self._unfolded + 1), self.folding.older
        place = np.concatenate([older(self._keys, level, self.frontier[level], _STEP + 1) for level in finer])
        if len(place) <= _STEP:
            self._unfolded = -1
        at = self._at[place[:_STEP]]
        self._keys, self._at = self.folding.without(self._keys, self._at, place[:_STEP])
        self.merge(self._freed(at))
        if self._unfolded < 0:
            self._free.sort(reverse=True)  # rows that are used together stay together

    def _freed(self, at: Ints) -> Rows:
        """What these rows held, which are free from now on."""
        taken = self.rows[at]
        self.pages.will_write(self.rows, at)
        self.rows[at, INSTRUMENT] = -1
        self.rows[at, REVISION] = 0  # empty, see merging.py
        self._free += at.tolist()
        return taken

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
        if self.newest is not None:
            self.newest.load(self._keys, self._at)
        self._young_keys = self._young_at = np.empty(0, np.int64)
        self._free = np.flatnonzero(rows[:, INSTRUMENT] < 0).tolist()
        self.rows[self._free, REVISION] = 0
        self._unfolded = len(LEVELS) - 2
        self.pages.dirty[:] = False
