"""The slots that find entries by their digests, in compiled code, with the same results as in NumPy.

Compiled code does not hold the interpreter's lock, so a thread can fill a large table while the event loop goes on.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from gateway.ingestion.entries import Entries
from gateway.ingestion.slots import MANY, Claimed, Slots, Tags
from telemetry.digests import Keys

_PIECE = 1 << 16  # entries: a call that holds no lock, of less than a millisecond


class CompiledSlots(Slots):
    """`kernels` is telemetry.compiled.table, compiled when it is imported if need be."""

    def __init__(self, kernels: Any, count: int, places: int, memory: Tags | None = None) -> None:
        super().__init__(count, places, memory)
        self._kernels = kernels
        self._hashing = self._factor, self._shift, self.place_bits
        self._filling: threading.Thread | None = None

    def take_beside(self, entries: Entries, spans: list[tuple[int, int]]) -> bool:
        """As Slots.take_beside. Entries may be written meanwhile: then what a slot says of them is of no use, as when
        they leave the window."""
        if self.count >= MANY:
            self._filling = threading.Thread(target=self._fill, args=(entries, spans), name="keys", daemon=True)
            self._filling.start()
        return self._filling is not None

    def _fill(self, entries: Entries, spans: list[tuple[int, int]]) -> None:
        if self._taking is not None:
            self._taking.join()
        for start, stop in spans:
            for piece in range(start, stop, _PIECE):
                began = time.perf_counter()
                self.put(entries, piece, min(piece + _PIECE, stop))
                time.sleep(time.perf_counter() - began)  # whoever shares this core has his turn

    def wait(self) -> None:
        """As Slots.wait."""
        if self._filling is not None:
            self._filling.join()

    def warm(self, slots: int) -> bool:
        """As Slots.warm; who fills slots in a thread touches their memory."""
        return super().warm(slots) if self._filling is None else not self._filling.is_alive()

    def put(self, entries: Entries, start: int, stop: int) -> None:
        """As Slots.put."""
        self._kernels.put(self._table, self._hashing, entries.flat, entries.words, start, stop)
        self.used += stop - start

    def claim(self, keys: Keys, first_seq: int, entries: Entries, number: int, horizon: int, only_new: bool) -> Claimed:
        """As Slots.claim."""
        kernels, count = self._kernels, len(keys.given)
        if count == 1:
            return self._claim_few(keys, first_seq, entries, number, horizon, only_new)
        verdict, notes = np.empty(count, np.uint8), np.empty(kernels.NOTES + count, np.int64)
        prints, given = np.ascontiguousarray(keys.fingerprints), np.ascontiguousarray(keys.given)
        added = kernels.claim(
            *(keys.digests.reshape(-1), prints, given.view(np.uint8), self._table, self._hashing, entries.flat),
            *(first_seq, number % entries.size, horizon, only_new, verdict, notes),
        )
        if added < 0:
            conflicts = np.flatnonzero(verdict == kernels.CONFLICT).tolist()
            return Claimed(0, verdict == kernels.FRESH, 0, conflicts)
        self.used += added
        if added == count or not notes[kernels.DUPLICATES]:
            return Claimed(added, None, 0, [])
        return Claimed(added, verdict == kernels.FRESH, int(notes[kernels.HELD]), [])
