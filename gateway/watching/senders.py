"""How far the clocks of sources are from ours, from the times that their trades carry.

A difference is the gateway's wall clock at the arrival of a request less the `sent_at` of a trade in it: the way here
plus what the sender's clock is behind. One way alone cannot tell these two apart, but the way is never negative and is
seldom long each time: of every five seconds the least difference is kept, which had the shortest way. The offset is
the median of these over the last minute, the error their median absolute deviation: a burst of slow requests, or one
wrong stamp, moves neither. So a clock that is 5 s slow has the offset 5 s, give or take the shortest way; what a
client wants to know better it measures with both ways (telemetry.offset).

What was sent more than a day ago is an old file that is replayed, and says nothing about a clock.

Sources without a name are not told apart, so they have no clock. At most SOURCES are followed; when there are more,
the one that has not been heard of for longest is forgotten. Pure: `now_ns` is the monotonic clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median

from gateway.alerting.readings import ClockReading
from gateway.watching.naming import Naming
from telemetry.columns import Columns

SLOT_NS, SLOTS = 5_000_000_000, 12  # a minute
SOURCES = 1_000
CLOCKS = "source", "sent_at"  # the columns that are looked at


@dataclass(slots=True)
class _Slot:
    number: int
    samples: int = 0
    negative: int = 0
    least: float = float("inf")


@dataclass(slots=True)
class _Source:
    slots: deque[_Slot] = field(default_factory=lambda: deque(maxlen=SLOTS + 1))

    def take(self, number: int, samples: int, negative: int, least: float) -> None:
        if not self.slots or self.slots[-1].number != number:
            self.slots.append(_Slot(number))
        slot = self.slots[-1]
        slot.samples, slot.negative, slot.least = (
            slot.samples + samples,
            slot.negative + negative,
            min(slot.least, least),
        )


class SenderClocks:
    """All sources that were heard of lately."""

    def __init__(self) -> None:
        self.naming = Naming()
        self._sources: dict[str, _Source] = {}  # in the order in which they were last heard of

    def arrived(self, columns: Columns, now_ns: int) -> None:
        """Trades that have arrived; costs nothing when none says both where it comes from and when it was sent."""
        sent, source = columns.integers("sent_at"), columns.text("source")
        if sent is None or source is None:
            return
        found = self.naming.differences(columns.received_at, sent, self.naming.coded(source))
        for place, *figures in zip(*(each.tolist() for each in found), strict=True):
            if name := source[place]:
                self._take(name, now_ns // SLOT_NS, *figures)

    def _take(self, name: str, slot: int, samples: int, negative: int, least: float) -> None:
        source = self._sources.pop(name, None) or _Source()
        self._sources[name] = source
        source.take(slot, samples, negative, least)
        if len(self._sources) > SOURCES:
            del self._sources[next(iter(self._sources))]

    def readings(self, now_ns: int) -> dict[str, ClockReading]:
        """The estimate of each source that sent something in the last minute."""
        oldest = now_ns // SLOT_NS - SLOTS + 1
        found = {name: [slot for slot in of.slots if slot.number >= oldest] for name, of in self._sources.items()}
        return {name: _reading(slots) for name, slots in found.items() if slots}


def _reading(slots: list[_Slot]) -> ClockReading:
    offset = median(slot.least for slot in slots)
    error = median(abs(slot.least - offset) for slot in slots)
    return ClockReading(sum(slot.samples for slot in slots), sum(slot.negative for slot in slots), offset, error)
