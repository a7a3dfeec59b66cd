"""How long the pauses of streams usually are: the 99.9 % gap by stream and hour of the day, exactly, in little room.

Of every stream and hour the number of gaps and the `KEPT` longest ones are kept, and only those above a floor (a third
of the shortest allowance, below which it makes no difference). The gap at rank ceil(0.999 n) is then the one at place
floor(0.001 n) + 1 from the top. At `_FULL` gaps half of them are forgotten: the count is halved and every second of the
kept ones stays, so the figure follows the last 4,000 to 8,000 gaps.

An hour is known after `KNOWN` gaps of its own. A stream of fewer gaps borrows: where an hour has `_SOME` and the hours
that are not known by themselves have `KNOWN` together, they count as one.

1.8 kB per stream: counts u32 and thresholds f32 by hour, and 24 × 16 gaps f32 (seconds, 7 digits).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telemetry.errors import InvalidInput

Ids = NDArray[np.int64]
Seconds = NDArray[np.floating[Any]]
HOURS, KEPT, KNOWN = 24, 16, 1_000
_FULL, _SOME, _AGAIN = 8_000, 50, 50
_LITTLE = "<u4", "<f4"


class Gaps:
    """The gaps of all streams by their numbers. `changed` says whose figure should be looked at again."""

    def __init__(self, floor_seconds: float) -> None:
        self._floor = np.float32(floor_seconds)
        self.changed: NDArray[np.bool_] = np.zeros(0, bool)
        self._counts: NDArray[np.uint32] = np.zeros((0, HOURS), np.uint32)
        self._threshold: NDArray[np.float32] = np.zeros((0, HOURS), np.float32)
        self._longest: NDArray[np.float32] = np.zeros((0, HOURS, KEPT), np.float32)

    def grow(self, size: int) -> None:
        """Make room for the streams below this number."""
        more = size - len(self._counts)
        self.changed = np.concatenate((self.changed, np.zeros(more, bool)))
        self._counts = np.concatenate((self._counts, np.zeros((more, HOURS), np.uint32)))
        self._threshold = np.concatenate((self._threshold, np.full((more, HOURS), self._floor)))
        self._longest = np.concatenate((self._longest, np.full((more, HOURS, KEPT), self._floor)))

    def clear(self, ids: Ids) -> None:
        """Forget these streams."""
        self._counts[ids] = 0
        self._threshold[ids] = self._longest[ids] = self._floor
        self.changed[ids] = True

    def add(self, ids: Ids, hour: int, seconds: Seconds) -> None:
        """Gaps that ended in this hour of the day; those of a stream that is named several times in their order."""
        single, times = np.unique(ids, return_counts=True)
        before = self._counts[single, hour]
        counts = before + times.astype(np.uint32)
        self._counts[single, hour] = counts
        if (look := counts // _AGAIN != before // _AGAIN).any():
            self.changed[single[look]] = True
        above = np.flatnonzero(seconds > self._threshold[ids, hour])
        while len(above):  # few: most gaps are below the floor
            _, first = np.unique(ids[above], return_index=True)
            self.changed[ids[above[first]]] = True
            self._keep(ids[above[first]], hour, seconds[above[first]])
            above = np.delete(above, first)
            above = above[seconds[above] > self._threshold[ids[above], hour]]
        if (full := counts >= _FULL).any():
            self.changed[single[full]] = True
            self._halve(single[full], hour)

    def counts(self, ids: Ids, hour: int) -> NDArray[np.uint32]:
        """How many gaps are known of the streams in this hour of the day."""
        found: NDArray[np.uint32] = self._counts[ids, hour]
        return found

    def usual(self, ids: Ids, hour: int) -> Seconds:
        """The 99.9 % gap in this hour of the day, at least the floor; infinite where it is not known."""
        counts = self._counts[ids, hour]
        found = self._ranked(self._longest[ids, hour], counts)
        found[counts < KNOWN] = np.inf
        poor = np.flatnonzero((counts < KNOWN) & (counts >= _SOME))
        if len(poor):
            found[poor] = self._borrowed(ids[poor])
        return found

    def export(self, ids: Ids) -> dict[str, bytes]:
        """What is known of these streams, in their order; of the gaps only the hours that have some."""
        longest = self._longest[ids].reshape(-1, KEPT)
        rows = np.flatnonzero((longest > self._floor).any(axis=1))
        whole, single = _LITTLE
        return {
            "counts": self._counts[ids].astype(whole).tobytes(),
            "rows": rows.astype(whole).tobytes(),
            "gaps": longest[rows].astype(single).tobytes(),
        }

    def restore(self, ids: Ids, plain: Mapping[str, bytes]) -> None:
        """Take up what `export` gave. Raises InvalidInput, and changes nothing, when it does not fit the streams."""
        try:
            counts = np.frombuffer(plain["counts"], _LITTLE[0]).reshape(len(ids), HOURS)
            rows = np.frombuffer(plain["rows"], _LITTLE[0])
            gaps = np.frombuffer(plain["gaps"], _LITTLE[1]).reshape(len(rows), KEPT)
            longest = np.full((len(ids) * HOURS, KEPT), self._floor)
            longest[rows] = np.maximum(gaps, self._floor)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InvalidInput(f"freshness: expected the gaps of {len(ids)} streams, received {error!r}") from None
        self._counts[ids] = counts
        self._longest[ids] = longest.reshape(-1, HOURS, KEPT)
        self._threshold[ids] = self._longest[ids].min(axis=2)
        self.changed[ids] = True

    def _keep(self, ids: Ids, hour: int, seconds: Seconds) -> None:
        places = self._longest[ids, hour].argmin(axis=1)
        self._longest[ids, hour, places] = seconds
        self._threshold[ids, hour] = self._longest[ids, hour].min(axis=1)

    def _halve(self, ids: Ids, hour: int) -> None:
        self._counts[ids, hour] //= 2
        kept = np.full((len(ids), KEPT), self._floor)
        kept[:, : KEPT // 2] = -np.sort(-self._longest[ids, hour], axis=1)[:, 1::2]
        self._longest[ids, hour] = kept
        self._threshold[ids, hour] = self._floor

    def _borrowed(self, ids: Ids) -> Seconds:
        counts = self._counts[ids]
        poor = counts < KNOWN
        together = np.where(poor, counts, 0).sum(axis=1)
        found = np.full(len(ids), np.inf)
        rows = np.flatnonzero(together >= KNOWN)
        if len(rows):
            longest = np.where(poor[rows, :, None], self._longest[ids[rows]], self._floor).reshape(len(rows), -1)
            longest.partition(longest.shape[1] - KEPT, axis=1)
            found[rows] = self._ranked(longest[:, -KEPT:], together[rows])
        return found

    def _ranked(self, longest: NDArray[np.float32], counts: NDArray[Any]) -> Seconds:
        """The gap at rank ceil(0.999 n) of each row; the longest kept one that is shorter when it is not kept."""
        place = np.minimum(counts // 1000, KEPT - 1).astype(np.int64)
        ordered = -np.sort(-longest, axis=1)
        found: Seconds = ordered[np.arange(len(ordered)), place].astype(np.float64)
        return found
