"""Sessions and holidays of the venues that have a calendar, from the library exchange-calendars.

Importing it takes seconds of CPU time and making one calendar 0.2 to 3 s, so this is done in a thread, at start and
once a day after that: sessions are known from two weeks before until a year after the day of loading, or as far as the
library has the holidays. Beyond that a venue counts as open, so that silence is shown rather than hidden.
"""

from __future__ import annotations

import warnings
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import chain
from typing import Any

from gateway.watching.markets import EVER
from telemetry.errors import InvalidInput

_BEFORE, _AFTER = timedelta(days=14), timedelta(days=366)
_NO_BREAK = -(2**63)  # NaT
Session = tuple[int, int]  # opens, closes; UTC ns


class Calendars:
    """The sessions of venues (gateway.watching.markets.Sessions). Before the first session's end and after the last
    one's beginning a venue counts as open."""

    def __init__(self, sessions: Mapping[str, Iterable[Session]]) -> None:
        self._changes = {venue: _changes(of) for venue, of in sessions.items()}

    @property
    def known_until_ns(self) -> int:
        """Until when the sessions of all venues are known; EVER without any."""
        return min((changes[-1] for changes in self._changes.values() if changes), default=EVER)

    def covers(self, venue: str) -> bool:
        """Whether the venue has a calendar, and one that ever closes."""
        return bool(self._changes.get(venue))

    def is_open(self, venue: str, instant_ns: int) -> bool:
        """Whether it is in session then; without a calendar always."""
        return bisect_right(self._changes.get(venue, ()), instant_ns) % 2 == 0

    def changes_at(self, venue: str, instant_ns: int) -> tuple[int, int]:
        """The last change at or before the instant and the next one after it, ∓EVER where there is none."""
        changes = self._changes.get(venue, ())
        place = bisect_right(changes, instant_ns)
        return changes[place - 1] if place else -EVER, changes[place] if place < len(changes) else EVER


class Unloaded:
    """The sessions of these venues while they are being loaded: open, and nobody is to be judged by them."""

    def __init__(self, venues: Collection[str]) -> None:
        self._venues = frozenset(venues)

    def covers(self, venue: str) -> bool:
        """Whether it will have a calendar."""
        return venue in self._venues

    def is_open(self, venue: str, instant_ns: int) -> bool:
        """Not known: yes."""
        return True

    def changes_at(self, venue: str, instant_ns: int) -> tuple[int, int]:
        """Not known: never."""
        return -EVER, EVER


def load(names: Mapping[str, str], wall_ns: int) -> Calendars:
    """The calendars of venues by their names in exchange-calendars (XNYS, CMES, 24/7 …), around this instant. Blocks
    for seconds. Raises InvalidInput that names every venue whose calendar cannot be had."""
    if not names:
        return Calendars({})
    try:
        library = import_module("exchange_calendars")  # takes 2 s: only who configures a calendar waits for it
    except ImportError:
        raise InvalidInput("calendars: expected the package exchange-calendars to be installed; it is not") from None
    sessions: dict[str, list[Session]] = {}
    wrong = []
    loaded: dict[str, list[Session]] = {}
    for venue, name in names.items():
        try:
            if name not in loaded:
                loaded[name] = _sessions(library, name, wall_ns)
            sessions[venue] = loaded[name]
        except (ValueError, library.errors.CalendarError) as error:
            wrong.append(f"{venue}: expected a calendar of exchange-calendars, received {name[:40]!r} ({error})")
    if wrong:
        raise InvalidInput("calendars: " + "; ".join(wrong))
    return Calendars(sessions)


def _sessions(library: Any, name: str, wall_ns: int) -> list[Session]:
    today = datetime.fromtimestamp(wall_ns / 1e9, UTC).date()
    ends = [today + _AFTER, today.replace(month=12, day=31)]  # some holidays are known to the end of the year only
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of pandas, meant for the library
        for end in ends:
            try:
                calendar = library.get_calendar(name, start=str(today - _BEFORE), end=str(end))
                break
            except ValueError:
                if end == ends[-1]:
                    raise
    opens, closes = calendar.opens_nanos.tolist(), calendar.closes_nanos.tolist()
    breaks = zip(calendar.break_starts_nanos.tolist(), calendar.break_ends_nanos.tolist(), strict=True)
    found: list[Session] = []
    for begin, end_ns, (pause, again) in zip(opens, closes, breaks, strict=True):
        found += [(begin, end_ns)] if pause == _NO_BREAK else [(begin, pause), (again, end_ns)]
    return found


def _changes(sessions: Iterable[Session]) -> list[int]:
    """Instants at which it closes, opens, closes …, from the first close to the last opening."""
    changes: list[int] = []
    for instant in list(chain.from_iterable(sorted(sessions)))[1:-1]:
        if changes and changes[-1] == instant:  # one session follows on the other
            changes.pop()
        else:
            changes.append(instant)
    return changes
