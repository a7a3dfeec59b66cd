"""Bodies that arrive one shortly after the other, read into the same columns: what costs a call costs it once for all.

A body is scanned when it is complete, while its bytes are in the processor's caches; the columns are made when nobody
wants to add to them any more. The bodies lie in one text, where they stay until then. A body that the compiled reading
is not sure of leaves nothing behind, so no body ever changes how another one is read.
"""

from __future__ import annotations

from telemetry.columns import Columns
from telemetry.decode_compiled import CompiledReading
from telemetry.decode_memory import Memory
from telemetry.digests import Keys
from telemetry.frame import Array

MOST_TRADES = 8_000
MOST_INSTRUMENTS = 2_000  # at most; a body with more is read alone
# Not a power of two: the same row of all columns would be in one place of the processor's caches.
_CAPACITY = 8_200


class Bundle:
    """What was read so far. One thread uses it, and everything but `add` leaves it empty."""

    def __init__(self, reading: CompiledReading, text: Array) -> None:
        """Bodies will lie in `text` (u8)."""
        self._reading, self._text, self._memory = reading, text, Memory(_CAPACITY)
        self._bodies: list[int] = []  # of each the number of trades up to its end, and when it was received
        self._places: list[int] = []  # of each its start and size
        self.count = 0  # trades

    def add(self, start: int, size: int, received_at: int) -> int:
        """Read the body there, which PADDING zeros follow: how many trades. Raises Doubt, also for lack of room; then
        it holds what it held before."""
        count = self._reading.scan_behind(
            self._memory, self._text, (start, size), self.count, MOST_TRADES, MOST_INSTRUMENTS
        )
        added, self.count = count - self.count, count
        self._bodies += (count, received_at)
        self._places += (start, size)
        return added

    def take(self) -> tuple[Columns, Keys]:
        """The trades of all bodies in their order. Raises Doubt when a body is not UTF-8."""
        bodies, places, self._bodies, self._places, self.count = self._bodies, self._places, [], [], 0
        return self._reading.collect_bodies(self._memory, self._text, bodies, places)
