"""Which ranges are suspected of killing workers, and what a further death makes of them. Pure.

ordinary range --its worker died--> suspect --died alone--> two suspect halves ... --> single record
single record  --died alone, three times--> quarantined
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

DEATHS_ALONE = 3  # one may be chance (the machine's out-of-memory killer picks anyone), three in a row are not


@dataclass(frozen=True, slots=True, order=True)
class Suspect:
    """A range to be retried by a worker that holds nothing else. `deaths` counts those alone, of a single record."""

    first: int
    last: int
    deaths: int = 0


class Suspects:
    """Those that wait for their retry, by sequence number. The one that is being retried is with its lease."""

    def __init__(self) -> None:
        self._waiting: list[Suspect] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def ranges(self) -> list[tuple[int, int]]:
        """For the status page."""
        return [(suspect.first, suspect.last) for suspect in self._waiting]

    def first(self) -> Suspect | None:
        """The oldest."""
        return self._waiting[0] if self._waiting else None

    def add(self, *suspects: Suspect) -> None:
        """Let `suspects` wait for their retry."""
        for suspect in suspects:
            insort(self._waiting, suspect)

    def take(self) -> Suspect:
        """The oldest, no longer waiting."""
        return self._waiting.pop(0)

    def accepted(self, first: int, last: int) -> None:
        """[first, last] was analysed after all: whatever of it is suspected is cleared."""
        kept = []
        for suspect in self._waiting:
            if suspect.last < first or last < suspect.first:
                kept.append(suspect)
                continue
            if suspect.first < first:
                kept.append(Suspect(suspect.first, first - 1))
            if last < suspect.last:
                kept.append(Suspect(last + 1, suspect.last))
        self._waiting = kept


def after_death(suspect: Suspect, first: int, last: int) -> list[Suspect]:
    """What remains to be tried after `suspect`'s part [first, last] killed a worker alone; nothing: quarantine it."""
    if first < last:
        middle = (first + last) // 2
        return [Suspect(first, middle), Suspect(middle + 1, last)]
    deaths = suspect.deaths + 1 if suspect.first == suspect.last else 1
    return [Suspect(first, last, deaths)] if deaths < DEATHS_ALONE else []
