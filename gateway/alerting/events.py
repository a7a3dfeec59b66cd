"""The events of alerts that were told: the newest are kept, so that who was away can have them again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from gateway.alerting.alert import Event
from telemetry.times import format_time

KEPT = 1_000


class Told(NamedTuple):
    """An event as JSON, made once for all who hear of it."""

    number: int
    text: bytes


class Events:
    """Consecutive events, at most KEPT. `last` is the number of the newest, 0 before the first."""

    def __init__(self) -> None:
        self.last = 0
        self._told: deque[Told] = deque(maxlen=KEPT)

    @property
    def first(self) -> int:
        """The oldest that can be had again; one more than `last` when none can."""
        return self._told[0].number if self._told else self.last + 1

    def add(self, events: Iterable[Told]) -> None:
        """More events, in the order of their numbers."""
        for event in events:
            self._told.append(event)
            self.last = event.number

    def since(self, number: int) -> Iterator[Told]:
        """Those from this number on."""
        return (event for event in self._told if event.number >= number)

    def export(self) -> list[list[Any]]:
        """What `restore` takes."""
        return [[event.number, event.text.decode()] for event in self._told]

    def restore(self, saved: Iterable[tuple[int, str]], last: int) -> None:
        """Take up what `export` gave; `last` is the number of the last event ever. Raises ValueError, TypeError."""
        self.add([Told(int(number), str(text).encode()) for number, text in saved])
        self.last = max(self.last, last)


def told(event: Event) -> Told:
    """The event as subscribers get it."""
    row = {"number": event.number, "event": event.kind, "at": format_time(event.at), "alert": event.alert}
    return Told(event.number, msgspec.json.encode(row))
