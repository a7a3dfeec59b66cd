"""Loss by source from the journal, one trade after another, by the definitions of docs/freshness.md.

What came is kept as ranges of numbers; the gateway keeps what is missing, many trades at a time.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

from telemetry.columns import Columns
from telemetry.times import ABSENT

GAPS = 1_000  # kept per source; the lowest are given up first
_NEVER = -(2**63)


@dataclass
class _Source:
    starts: list[int] = field(default_factory=list)  # of ranges that came, ascending
    ends: list[int] = field(default_factory=list)
    first: int = 0
    newest: int = _NEVER
    given_up: int | None = None
    received: int = 0
    repeats: int = 0
    reordered: int = 0
    healed: int = 0
    lost: int = 0
    unjudged: int = 0
    restarts: int = 0
    holes: int = 0

    def take(self, number: int, time: int) -> None:
        """The next trade of this source."""
        self.received += 1
        if not self.ends:
            self._begin(number)
        elif number > self.ends[-1]:
            self._above(number)
        elif self._begins_anew(number, time):
            self.lost += self.missing()
            self.restarts += 1
            self._begin(number)
            self.newest = _NEVER
        else:
            self._behind(number)
        self.newest = max(self.newest, time)
        while len(self.starts) - 1 > GAPS:
            self.lost += self.starts[1] - self.ends[0] - 1
            self.given_up = self.starts[1] - 1
            self.ends[0] = self.ends.pop(1)
            del self.starts[1]

    def missing(self) -> int:
        """Numbers between the first and the last that have not come and are not given up."""
        return sum(start - end - 1 for start, end in zip(self.starts[1:], self.ends[:-1], strict=True))

    def row(self) -> dict[str, Any]:
        """As `GET /v1/sources` shows it."""
        counted = ("received", "repeats", "reordered", "healed", "lost", "unjudged", "restarts", "holes")
        hole = [self.ends[-2] + 1, self.starts[-1] - 1] if len(self.ends) > 1 else None
        row = {name: getattr(self, name) for name in counted} | {"missing": self.missing(), "newest_gap": hole}
        return row | {"first": self.first, "last": self.ends[-1], "gaps": len(self.starts) - 1}

    def _begin(self, number: int) -> None:
        self.starts, self.ends, self.first, self.given_up = [number], [number], number, None

    def _above(self, number: int) -> None:
        if number == self.ends[-1] + 1:
            self.ends[-1] = number
        else:
            self.holes += 1
            self.starts.append(number)
            self.ends.append(number)

    def _begins_anew(self, number: int, time: int) -> bool:
        last = self.ends[-1]
        return number <= min(last, max(1, last // 2)) and time > self.newest

    def _behind(self, number: int) -> None:
        if self.given_up is not None and number <= self.given_up:
            self.unjudged += 1
            return
        place = bisect_right(self.starts, number)
        if place and number <= self.ends[place - 1]:
            self.repeats += 1
            return
        self.reordered += 1
        if number < self.first:
            self.holes += number + 1 < self.first
            self.first = number
        else:
            self.healed += 1
        self._put(place, number)

    def _put(self, place: int, number: int) -> None:
        """Into the ranges, joined with its neighbours."""
        self.starts.insert(place, number)
        self.ends.insert(place, number)
        if place + 1 < len(self.starts) and self.starts[place + 1] == number + 1:
            self.ends[place] = self.ends.pop(place + 1)
            del self.starts[place + 1]
        if place and self.ends[place - 1] == number - 1:
            self.ends[place - 1] = self.ends.pop(place)
            del self.starts[place]


class RecomputeLosses:
    """All sources, of the trades 1..`last_seq`; quarantined ones came too."""

    def __init__(self, *, until: int) -> None:
        self.last_seq = until
        self._sources: dict[str, _Source] = {}

    def add(self, columns: Columns, first_seq: int) -> None:
        """The next trades of the journal."""
        columns = columns.slice(0, max(0, min(len(columns), self.last_seq - first_seq + 1)))
        names, numbers = columns.text("source"), columns.integers("source_seq")
        if names is None or numbers is None:
            return
        for name, number, time in zip(names.tolist(), numbers.tolist(), columns.timestamp.tolist(), strict=True):
            if name and number != ABSENT:
                self._sources.setdefault(name, _Source()).take(number, time)

    def rows(self) -> dict[str, dict[str, Any]]:
        """By source."""
        return {name: source.row() for name, source in self._sources.items()}
