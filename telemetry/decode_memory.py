"""Where the compiled reading works, and what it leaves: arrays that telemetry.compiled fills, read as columns."""

from __future__ import annotations

import numpy as np

from telemetry.columns import Columns
from telemetry.compiled import slots as at
from telemetry.compiled.cells import room_for
from telemetry.digests import Keys, no_keys
from telemetry.frame import I64, U8, U32, Array, Text
from telemetry.multilinear import U64
from telemetry.trade import Instrument

_KEPT_ENTRIES = 1 << 15  # integers
_BOOL = np.dtype(bool)
_TEXTS = tuple(at.FIELDS[slot // 2] for slot in at.TEXT_COLUMNS)
_REST = tuple(at.FIELDS[slot // 2] for slot in at.INTEGER_COLUMNS[at.ALWAYS :])


class Memory:
    """What one pass works in, for `capacity` trades: see telemetry.compiled.slots."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.integers = np.empty(at.RESULT + at.FOLLOWS + at.INTEGERS * capacity, I64)
        self.indices = np.empty(at.INDICES * capacity, U32)
        self.digests = np.empty(at.WORK + at.SUMS * capacity, U64)
        self.small = np.empty(at.SMALL * capacity, U8)
        self._entries = np.empty(room_for(0), I64)

    def room(self, entries: int) -> Array:
        """Where so many entries of dictionaries are looked at, see telemetry.compiled.cells."""
        least = room_for(entries)
        if least > len(self._entries):
            if least > _KEPT_ENTRIES:
                return np.empty(least, I64)
            self._entries = np.empty(least, I64)
        return self._entries


class Output:
    """The arrays that telemetry.compiled.columns.collect fills, of the size that is needed."""

    def __init__(self, count: int, result: list[int]) -> None:
        totals, have = result[: len(_TEXTS)], result[len(_TEXTS) : -2]
        known, self._record_bytes = result[-2:]
        self._count, self._known = count, known
        self._texts = [pair for pair in zip(_TEXTS, totals, strict=True) if pair[1]]
        self._rest = [name for name, trades in zip(_REST, have, strict=True) if trades]
        self._has_ids = totals[0] > 0
        columns = 3 + (have[0] > 0) + self._has_ids
        self.integers = np.empty((4 + len(self._rest)) * count, I64)
        self.indices = np.empty(count + len(self._texts) * (count + 1) + known, U32)
        self.digests = np.empty(3 * count if self._has_ids else 0, U64)
        self.small = np.empty(columns * count + sum(totals) + self._record_bytes + at.SLACK, U8)

    def keys(self) -> Keys:
        """The keys of the trades."""
        count = self._count
        if not self._has_ids:
            return no_keys(count)
        place = (3 + ("fee" in self._rest)) * count
        given = self.small[place : place + count].view(_BOOL)
        return Keys(given, self.digests[: 2 * count].reshape(count, 2), self.digests[2 * count :])

    def table(self) -> tuple[bytes, bytes]:
        """The records of all instruments, and where each ends (u32)."""
        end, first = len(self.small) - at.SLACK, len(self.indices) - self._known
        return self.small[end - self._record_bytes : end].tobytes(), self.indices[first:].tobytes()

    def columns(self, instruments: tuple[Instrument, ...]) -> Columns:
        """The columns."""
        count, integers, small = self._count, self.integers, self.small
        return Columns(
            instruments,
            self.indices[:count],
            small[:count],
            integers[:count],
            small[count : 2 * count],
            integers[count : 2 * count],
            small[2 * count : 3 * count],
            integers[2 * count : 3 * count],
            integers[3 * count : 4 * count],
            self._optional() if self._texts or self._rest else {},
        )

    def _optional(self) -> dict[str, Array | Text]:
        count = self._count
        found: dict[str, Array | Text] = {}
        for place, name in enumerate(self._rest, 4):
            found[name] = self.integers[place * count : (place + 1) * count]
        if "fee" in found:
            found["fee_scale"] = self.small[3 * count : 4 * count]
        start, place = (3 + ("fee" in found) + self._has_ids) * count, count
        for name, total in self._texts:
            found[name] = Text(self.indices[place : place + count + 1], self.small[start : start + total])
            start += total
            place += count + 1
        return found
