"""The slots that find entries by their digests, in compiled code, with the same results as in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from gateway.ingestion.entries import Entries
from gateway.ingestion.growth import BUCKET, Growth
from gateway.ingestion.slots import Claimed, Slots
from telemetry.digests import Keys


class CompiledSlots(Slots):
    """`kernels` is telemetry.compiled.table, compiled when it is imported if need be."""

    takes_again = True

    def __init__(self, kernels: Any, entries: Entries, growth: Growth) -> None:
        super().__init__(entries, growth)
        self._kernels = kernels
        self._hashing = *self._tags.factors, self._tags.place_bits, entries.size
        self._work = np.empty(0, np.uint64)
        self._verdict, self._notes = np.empty(0, np.uint8), np.empty(0, np.int64)

    def put(self, number: int, count: int) -> None:
        """As Slots.put."""
        self._kernels.put(self._table, self._hashing, self._growth.spread, self._entries.words, number, count)
        self._count(count)

    def claim(self, keys: Keys, first_seq: int, number: int, horizon: int, only_new: bool) -> Claimed:
        """As Slots.claim."""
        kernels, count = self._kernels, len(keys.given)
        if count == 1:
            return self._claim_few(keys, first_seq, number, horizon, only_new)
        if count > len(self._verdict):
            self._verdict, self._notes = np.empty(2 * count, np.uint8), np.empty(kernels.NOTES + 4 * count, np.int64)
        verdict, notes = self._verdict[:count], self._notes
        prints, given = np.ascontiguousarray(keys.fingerprints), np.ascontiguousarray(keys.given)
        added = kernels.claim(
            *(keys.digests.reshape(-1), prints, given.view(np.uint8), self._table, self._hashing, self._growth.spread),
            *(first_seq, number, horizon, only_new, verdict, notes),
        )
        if added < 0:
            conflicts = np.flatnonzero(verdict == kernels.CONFLICT).tolist()
            return Claimed(0, verdict == kernels.FRESH, 0, conflicts)
        self._count(int(notes[kernels.TAKEN]))
        if added == count or not notes[kernels.DUPLICATES]:
            return Claimed(added, None, 0, [])
        return Claimed(added, verdict == kernels.FRESH, int(notes[kernels.HELD]), [])

    def _move(self, number: int, due: int) -> None:
        """As Slots._move."""
        growth = self._growth
        words = BUCKET * growth.smaller + growth.larger
        if len(self._work) < words:
            self._work = np.empty(words, np.uint64)
        where = self._table, self._work, self._hashing, growth.spread, self._entries.words
        self.used += self._kernels.move(*where, number, self._doubted, due)
        growth.split = due
