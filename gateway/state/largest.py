"""The trades that are among the ten largest of an instrument in some window that ends now or later.

A trade is *beaten* by a larger one of the same or a later ten-second slot: in every window that has the beaten one, and
ends when the other has come, the other is too. So who is beaten by ten is in no answer any more and is forgotten (what
is left is called a skyband). That is a question of the set of trades alone: who beats whom does not depend on the
order in which they came. Of n trades in random order some 10 ln(n / 10) are left; an instrument keeps at most MOST at a
stride: then the older ones go, but for the ten largest of all, and `since` says from which slot on all are there.

Larger is a larger KEY (see telemetry.patterns), and among equals the earlier number. Trades dated more than five
seconds ahead of their arrival have the slot FAR; they beat and are beaten among themselves only.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from telemetry.patterns import CODE, FAR, LARGEST, LOCAL_BITS, Ints

INSTRUMENTS = 1 << 14  # the first ones seen; of others no trades are kept
MOST, KEPT = 256, 128  # trades of an instrument at a stride; those that stay when there are more
# Columns of an entry. SMALL: side | price scale << 2 | quantity scale << 7. BEATEN: by how many.
SLOT, KEY, SEQ, TIMESTAMP, PRICE, QUANTITY, SMALL, BEATEN, ENTRY_WIDTH = range(9)
# Where the entries of an instrument are in the pool, what is known to be beaten by ten, which of them are up to date:
# see telemetry.compiled.largest.
START, ROOM, HELD, FLOOR_SLOT, FLOOR_KEY, LATEST, TAIL, PLACE_WIDTH = range(8)
_FIRST_ROOM = 8
_POOL = (
    1 << 20
)  # entries of the pool at first: memory is only used when it is written to, and to copy a pool takes long
_NEVER = -(1 << 62)  # before every slot
Entry = tuple[int, ...]  # without BEATEN


class Largest(Protocol):
    """Entries by instrument."""

    since: dict[int, int]

    def offer(self, ids: Ints, first_seqs: Ints, candidates: Ints) -> None:
        """Take in candidates (telemetry.patterns), with the id of each one's instrument and the number with which its
        range begins."""

    def of(self, instrument: int) -> Ints:
        """The entries of an instrument: latest slot first, then the larger."""

    def bound(self) -> None:
        """At a stride: keep at most MOST of each instrument."""

    def copied(self) -> Callable[[], Ints]:
        """A copy of all, which gives [n, 1 + ENTRY_WIDTH] id and entry in order, in any thread."""

    def load(self, saved: Ints) -> None:
        """Take in what was saved, when nothing is held."""


def place(entry: Entry) -> tuple[int, int, int]:
    """The key of the order of `of`."""
    return -entry[SLOT], -entry[KEY], entry[SEQ]


def unbeaten(entries: list[Entry]) -> list[Entry]:
    """Those that fewer than ten beat, in the order of `of`."""
    kept: list[Entry] = []
    best: list[tuple[int, int]] = []
    slot = FAR
    for entry in sorted(entries, key=place):
        if slot == FAR != entry[SLOT]:
            best = []
        slot, rank = entry[SLOT], (entry[KEY], -entry[SEQ])
        if len(best) < LARGEST or rank > best[0]:
            insort(best, rank)
            del best[:-LARGEST]
            kept.append(entry)
    return kept


def reduced(entries: list[Entry]) -> tuple[list[Entry], int]:
    """Of more than MOST entries those that stay, and the first slot from which on they are complete."""
    top = sorted(entries, key=lambda entry: (-entry[KEY], entry[SEQ]))[:LARGEST]
    ordered = sorted(entries, key=place)
    kept = {*ordered[:KEPT], *top, *(entry for entry in ordered if entry[SLOT] == FAR)}
    since = 1 + max(entry[SLOT] for entry in ordered if entry not in kept)
    return sorted(kept, key=place), since


def reduced_rows(entries: Ints) -> tuple[Ints, int]:
    """As `reduced`, of rows: a copy of those that stay, with what they are BEATEN by."""
    slots, keys, seqs = entries[:, SLOT], entries[:, KEY], entries[:, SEQ]
    order = np.lexsort((seqs, -keys, -slots))
    stays = slots == FAR
    stays[order[:KEPT]] = True
    stays[np.lexsort((seqs, -keys))[:LARGEST]] = True
    return entries[order[stays[order]]], 1 + int(slots[~stays].max())


class Floors:
    """Of each instrument the ten largest trades of its latest slot, or of one before as long as there are not ten: what
    is smaller, of that slot or an earlier one, is beaten by ten."""

    def __init__(self) -> None:
        self._slots, self._keys = np.full(0, _NEVER), np.zeros(0, np.int64)
        self._tops: dict[int, tuple[int, list[int]]] = {}  # slot, and the largest keys of it, the least one first

    def passed(self, ids: Ints, keys: Ints, slots: Ints) -> NDArray[np.bool_]:
        """Which trades are not beaten by these ten."""
        known = len(self._slots)
        if (count := int(ids.max(initial=-1)) + 1) > known:
            count = max(count, 2 * known)
            self._slots, floors = np.full(count, _NEVER), self._slots
            self._slots[:known] = floors
            self._keys = np.append(self._keys, np.zeros(count - known, np.int64))
        passed: NDArray[np.bool_] = (slots > self._slots.take(ids)) | (keys >= self._keys.take(ids))
        return passed

    def note(self, instrument: int, slot: int, key: int) -> None:
        """A trade that is held now; `passed` has heard of its instrument."""
        latest, top = self._tops.get(instrument, (_NEVER, []))
        if slot == FAR or slot < latest:
            return
        if slot > latest:
            top = []
            self._tops[instrument] = slot, top
        insort(top, key)
        del top[:-LARGEST]
        if len(top) == LARGEST:
            self._slots[instrument], self._keys[instrument] = slot, top[0]

    def forget(self, instrument: int) -> None:
        """Of the ten some may be gone."""
        if self._tops.pop(instrument, None) is not None:
            self._slots[instrument] = _NEVER


class PlainLargest:
    """The reference: a list of each instrument, cleared of beaten ones now and then."""

    def __init__(self) -> None:
        self.since: dict[int, int] = {}
        self._entries: dict[int, list[Entry]] = {}
        self._clear_at: dict[int, int] = {}
        self._floors = Floors()

    def offer(self, ids: Ints, first_seqs: Ints, candidates: Ints) -> None:
        """See Largest."""
        offset = (1 << LOCAL_BITS) - 1
        passed = np.flatnonzero(self._floors.passed(ids, candidates[:, 0], candidates[:, 5]))
        rows = zip(ids[passed].tolist(), first_seqs[passed].tolist(), candidates[passed].tolist(), strict=True)
        for instrument, first_seq, (key, at, price, quantity, code, slot) in rows:
            seq, small = first_seq + (code & offset), code >> (2 * LOCAL_BITS)
            self._put(instrument, (slot, key, seq, at, price, quantity, small))

    def _put(self, instrument: int, entry: Entry) -> None:
        entries = self._entries.setdefault(instrument, [])
        entries.append(entry)
        self._floors.note(instrument, entry[SLOT], entry[KEY])
        if len(entries) > self._clear_at.get(instrument, 4 * LARGEST):
            self._clear(instrument)

    def _clear(self, instrument: int) -> list[Entry]:
        entries = self._entries[instrument] = unbeaten(self._entries.get(instrument, []))
        self._clear_at[instrument] = 2 * len(entries) + 2 * LARGEST
        return entries

    def of(self, instrument: int) -> Ints:
        """See Largest."""
        return matrix([(*entry, 0) for entry in unbeaten(self._entries.get(instrument, []))])

    def bound(self) -> None:
        """See Largest."""
        for instrument, entries in self._entries.items():
            if len(entries) > MOST and len(self._clear(instrument)) > MOST:
                self._entries[instrument], self.since[instrument] = reduced(self._entries[instrument])
                self._floors.forget(instrument)

    def copied(self) -> Callable[[], Ints]:
        """See Largest."""
        rows = [(of, *entry, 0) for of in sorted(self._entries) for entry in self._clear(of)]
        found = np.array(rows, np.int64).reshape(len(rows), 1 + ENTRY_WIDTH)
        return lambda: found

    def load(self, saved: Ints) -> None:
        """See Largest."""
        self._floors.passed(saved[:, 0], saved[:, 1 + KEY], saved[:, 1 + SLOT])
        for instrument, *entry in saved.tolist():
            self._put(instrument, tuple(entry[:BEATEN]))


class CompiledLargest:
    """The quickest: entries of each instrument side by side in a pool. Raises ImportError where nothing compiles."""

    def __init__(self) -> None:
        self._kernels: Any = import_module("telemetry.compiled.largest")
        self.since: dict[int, int] = {}
        self._places = np.zeros((0, PLACE_WIDTH), np.int64)
        self._pool = np.zeros((_POOL, ENTRY_WIDTH), np.int64)
        self._used = np.zeros(1, np.int64)  # entries of the pool

    def offer(self, ids: Ints, first_seqs: Ints, candidates: Ints) -> None:
        """See Largest."""
        offset = (1 << LOCAL_BITS) - 1
        entries = np.empty((len(candidates), ENTRY_WIDTH), np.int64)
        entries[:, SLOT], entries[:, KEY] = candidates[:, 5], candidates[:, 0]
        entries[:, SEQ] = first_seqs + (candidates[:, CODE] & offset)
        entries[:, TIMESTAMP : QUANTITY + 1] = candidates[:, 1:4]
        entries[:, SMALL] = candidates[:, CODE] >> (2 * LOCAL_BITS)
        self.places_for(int(ids.max(initial=-1)) + 1)
        self.put(ids, entries)

    def put(self, ids: Ints, entries: Ints) -> None:
        """Take in entries, with the id of each one's instrument, of which `places_for` has heard."""
        done = 0
        while (done := self._kernels.offer(self._places, self._pool, self._used, ids, entries, done)) < len(ids):
            pool = self._pool
            self._pool = np.zeros((2 * len(pool), ENTRY_WIDTH), np.int64)
            self._pool[: len(pool)] = pool

    def places_for(self, count: int) -> Ints:
        """Where the entries of instruments are, of at least so many."""
        known = len(self._places)
        if count > known:
            places = np.zeros((max(count, 2 * known), PLACE_WIDTH), np.int64)
            places[:known] = self._places
            self._places = places
        return self._places

    def _entries(self, instrument: int) -> Ints:
        start, held = self._places[instrument, START], self._places[instrument, HELD]
        return self._pool[start : start + held]

    def of(self, instrument: int) -> Ints:
        """See Largest."""
        if instrument >= len(self._places):
            return matrix([])
        entries, place = self._entries(instrument).copy(), self._places[instrument : instrument + 1].copy()
        place[0, START] = 0
        entries = entries[: self._kernels.settle(place, entries)]
        found = entries[np.lexsort((entries[:, SEQ], -entries[:, KEY], -entries[:, SLOT]))]
        found[:, BEATEN] = 0
        return found

    def bound(self) -> None:
        """See Largest."""
        for instrument in np.flatnonzero(self._places[:, HELD] > MOST).tolist():
            if self._kernels.settle(self._places[instrument : instrument + 1], self._pool) <= MOST:
                continue
            kept, self.since[instrument] = reduced_rows(self._entries(instrument))
            # Who goes has beaten none of those that stay.
            self._entries(instrument)[: len(kept)] = kept
            # Of the ten some may be gone that beat what is below the floor.
            self._places[instrument, HELD:LATEST] = len(kept), 0, 0

    def copied(self) -> Callable[[], Ints]:
        """See Largest."""
        return partial(self._in_order, self._places.copy(), self._pool[: self._used[0]].copy())

    def _in_order(self, places: Ints, pool: Ints) -> Ints:
        self._kernels.settle(places, pool)
        held = places[:, HELD]
        owners = np.arange(len(held)).repeat(held)
        behind = np.arange(len(owners)) - (held.cumsum() - held).repeat(held)
        entries = pool[places[owners, START] + behind]
        order = np.lexsort((entries[:, SEQ], -entries[:, KEY], -entries[:, SLOT], owners))
        found = np.empty((len(order), 1 + ENTRY_WIDTH), np.int64)
        found[:, 0], found[:, 1:] = owners[order], entries[order]
        found[:, 1 + BEATEN] = 0
        return found

    def load(self, saved: Ints) -> None:
        """See Largest."""
        entries = saved[:, 1:].copy()
        entries[:, BEATEN] = 0
        self.places_for(int(saved[:, 0].max(initial=-1)) + 1)
        self.put(saved[:, 0].copy(), entries)


def matrix(rows: list[tuple[int, ...]]) -> Ints:
    """Entries as rows."""
    return np.array(rows, np.int64).reshape(len(rows), ENTRY_WIDTH)
