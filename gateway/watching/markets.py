"""When markets are open: one per set of venues, open as long as any of its venues is.

A venue without a calendar is open around the clock, and so is every stream that has been seen on such a venue.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

EVER = 2**62  # nanoseconds: before and after everything (the year 2116), with room for differences in int64
ALWAYS, UNKNOWN = 0, -1  # the market of who is seen where no calendar is; of who has not been seen
_MARKETS = 256  # sets of venues that are told apart; who is on yet another one counts as open around the clock
_STEPS = 64  # sessions of several venues that are followed back to where one after another they opened


class Sessions(Protocol):
    """The sessions of venues, by instants in UTC nanoseconds."""

    def covers(self, venue: str) -> bool:
        """Whether the venue has a calendar."""

    def is_open(self, venue: str, instant_ns: int) -> bool:
        """Whether it is in session then; without a calendar always."""

    def changes_at(self, venue: str, instant_ns: int) -> tuple[int, int]:
        """The last change at or before the instant and the next one after it, ∓EVER where there is none."""


class AroundTheClock:
    """The sessions where no calendar is configured."""

    def covers(self, venue: str) -> bool:
        """No venue."""
        return False

    def is_open(self, venue: str, instant_ns: int) -> bool:
        """Always."""
        return True

    def changes_at(self, venue: str, instant_ns: int) -> tuple[int, int]:
        """Never."""
        return -EVER, EVER


class Markets:
    """Numbered sets of venues. `open` and `opened` (the wall clock at the opening, -EVER for always) are arrays by
    number, true at the instant of the last `refresh`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._members: list[frozenset[str]] = [frozenset()]
        self._numbers: dict[frozenset[str], int] = {frozenset(): ALWAYS}
        self._valid = (EVER, EVER)
        self.open: NDArray[np.bool_] = np.ones(1, bool)
        self.opened: NDArray[np.int64] = np.full(1, -EVER, np.int64)

    @property
    def trivial(self) -> bool:
        """Whether no venue with a calendar has been seen."""
        return len(self._members) == 1

    def of(self, venue: str) -> int:
        """The market of one venue."""
        return self._number(frozenset((venue,))) if self._sessions.covers(venue) else ALWAYS

    def union(self, one: int, other: int) -> int:
        """The market of who is in both."""
        if one == other or UNKNOWN in (one, other):
            return max(one, other)
        return ALWAYS if ALWAYS in (one, other) else self._number(self._members[one] | self._members[other])

    def venues(self, number: int) -> list[str]:
        """The venues of a market, none when it is always open."""
        return sorted(self._members[number]) if number > ALWAYS else []

    def use(self, sessions: Sessions) -> None:
        """Go by other calendars from now on, of the same venues."""
        self._sessions, self._valid = sessions, (EVER, EVER)

    def refresh(self, wall_ns: int) -> None:
        """Find out what is open at this instant."""
        if self._valid[0] <= wall_ns < self._valid[1]:
            return
        since, until = -EVER, EVER
        for number, members in enumerate(self._members):
            if members:
                self.open[number], began, ends = self._span(members, wall_ns)
                self.opened[number] = began
                since, until = max(since, began), min(until, ends)
        self._valid = since, until

    def _number(self, members: frozenset[str]) -> int:
        if (number := self._numbers.get(members)) is not None:
            return number
        if len(self._members) >= _MARKETS:
            return ALWAYS
        self._numbers[members] = len(self._members)
        self._members.append(members)
        self.open = np.append(self.open, True)
        self.opened = np.append(self.opened, -EVER)
        self._valid = (EVER, EVER)
        return self._numbers[members]

    def _span(self, members: frozenset[str], wall_ns: int) -> tuple[bool, int, int]:
        """Whether any is open, since when without a pause, and until when that is certain."""
        changes = {venue: self._sessions.changes_at(venue, wall_ns) for venue in members}
        until = min(end for _, end in changes.values())
        begins = [changes[venue][0] for venue in members if self._sessions.is_open(venue, wall_ns)]
        if not begins:
            return False, max(begin for begin, _ in changes.values()), until
        since = min(begins)
        for _ in range(_STEPS):
            before = [venue for venue in members if self._sessions.is_open(venue, since - 1)]
            if not before or since <= -EVER:
                break
            since = min(self._sessions.changes_at(venue, since - 1)[0] for venue in before)
        return True, since, until
