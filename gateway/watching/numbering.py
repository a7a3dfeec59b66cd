"""The numbers of one source: which came, which are missing, which came late or again. The rules are in gateway.loss.

Missing numbers are kept as ranges, at most `most` of them: what is beyond is given up from the lowest on, that is
counted as lost for good, and numbers up to there are no longer judged, because a late one and a repeat look the same.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

import numpy as np

from telemetry.errors import InvalidInput
from telemetry.frame import Array

_COUNTS = ("received", "missing", "repeats", "reordered", "healed", "lost", "unjudged", "restarts", "holes")
_FIELDS = ("first", "highest", "newest", *_COUNTS, "given_up")


class Numbering:
    """One source. `first` to `highest` are the numbers seen since its numbering last began anew."""

    __slots__ = (*_FIELDS, "_most", "ends", "starts")

    def __init__(self, first: int, most: int) -> None:
        self.first = first
        self.highest = first - 1
        self.newest = -(2**63)  # the latest timestamp of this numbering
        self.given_up: int | None = None  # the highest number of what is lost for good
        self.received = self.missing = self.repeats = self.reordered = self.healed = 0
        self.lost = self.unjudged = self.restarts = self.holes = 0
        self.starts, self.ends = array("q"), array("q")  # missing ranges, both ends included, ascending
        self._most = most

    def run(self, first: int, times: Array, start: int, stop: int, newest: int) -> None:
        """Consecutive numbers from `first` on, of the trades at start..stop - 1, the latest of which is of `newest`."""
        last = first + stop - start - 1
        self.received += stop - start
        if first > self.highest:
            if first > self.highest + 1:
                self._miss(len(self.starts), self.highest + 1, first - 1)
            self.highest = last
        elif newest <= self.newest or not self._began_anew(first, last, times[start:stop]):
            self._behind(first, min(last, self.highest))
            if last > self.highest:
                self.highest = last
        if newest > self.newest:
            self.newest = newest

    def row(self) -> dict[str, Any]:
        """As `GET /v1/sources` shows it."""
        hole = [self.starts[-1], self.ends[-1]] if self.starts else None
        counts = {name: getattr(self, name) for name in _COUNTS}
        return {"first": self.first, "last": self.highest, **counts, "gaps": len(self.starts), "newest_gap": hole}

    def export(self) -> dict[str, Any]:
        """All of it as plain data."""
        plain = {name: getattr(self, name) for name in _FIELDS}
        return plain | {"starts": self.starts.tolist(), "ends": self.ends.tolist()}

    @classmethod
    def of(cls, plain: Mapping[str, Any], most: int) -> Numbering:
        """What `export` gave. Raises InvalidInput when it is something else."""
        found = cls(0, most)
        try:
            for name in _FIELDS:
                value = plain[name]
                setattr(found, name, value if value is None and name == "given_up" else int(value))
            found.starts, found.ends = array("q", plain["starts"]), array("q", plain["ends"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InvalidInput(f"loss: expected the numbers of a source, received {error!r}") from None
        found._trim()
        return found

    def _began_anew(self, first: int, last: int, times: Array) -> bool:
        """Whether one of these numbers falls back to the lower half with a timestamp later than any before."""
        small = min(self.highest, max(1, self.highest // 2))
        if first > small:
            return False
        number = first + int(np.argmax(times > self.newest))
        if number > small:
            return False
        if number > first:
            self._behind(first, number - 1)
        self.lost += self.missing
        self.missing, self.given_up = 0, None
        del self.starts[:], self.ends[:]
        self.first, self.highest = number, last
        self.newest = -(2**63)
        self.restarts += 1
        return True

    def _behind(self, first: int, last: int) -> None:
        """Numbers none of which is above the highest. The first one by itself: only it can make one more range."""
        if first < self.first and (self.given_up is None or first > self.given_up):
            self.reordered += 1
            before, self.first = self.first, first
            if first + 1 < before:
                self._miss(0, first + 1, before - 1)
        else:
            self._judge(first, first)
        if last > first:
            self._judge(first + 1, last)

    def _judge(self, first: int, last: int) -> None:
        if self.given_up is not None and first <= self.given_up:
            self.unjudged += min(last, self.given_up) - first + 1
            first = self.given_up + 1
        if first <= last:
            came = self._fill(first, last)
            self.healed += came
            self.reordered += came
            self.repeats += last - first + 1 - came

    def _fill(self, first: int, last: int) -> int:
        """Take these numbers out of the missing ones; how many of them were."""
        begin = at = bisect_left(self.ends, first)
        left: list[tuple[int, int]] = []
        came = 0
        while at < len(self.starts) and self.starts[at] <= last:
            start, end = self.starts[at], self.ends[at]
            came += min(end, last) - max(start, first) + 1
            left += [pair for pair in ((start, first - 1), (last + 1, end)) if pair[0] <= pair[1]]
            at += 1
        self.starts[begin:at] = array("q", [start for start, _ in left])
        self.ends[begin:at] = array("q", [end for _, end in left])
        self.missing -= came
        self._trim()
        return came

    def _miss(self, place: int, first: int, last: int) -> None:
        self.holes += 1
        self.starts.insert(place, first)
        self.ends.insert(place, last)
        self.missing += last - first + 1
        self._trim()

    def _trim(self) -> None:
        while len(self.starts) > self._most:
            count = self.ends[0] - self.starts[0] + 1
            self.lost += count
            self.missing -= count
            self.given_up = self.ends[0]
            del self.starts[0], self.ends[0]
