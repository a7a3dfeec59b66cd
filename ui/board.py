"""What the live stream has said so far, as the page needs it: the newest rows of each subscription.

Pure. Frames go in one by one in the order of the stream, a view comes out. Rows are replaced whole and never changed in
place, so a view stays as it was while the next frames arrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from telemetry.errors import TryAgain

Row = Mapping[str, Any]

INTERVAL_MS = 500  # of each subscription: with a page that draws each second, a trade is shown within two
WINDOW = "1m"  # of the figures that speak of now: trades per second, latency
# What every page needs, by the id of its subscription. The candles that somebody looks at come on top.
SUBSCRIPTIONS: tuple[dict[str, Any], ...] = (
    {"id": "all", "topic": "stats", "window": "all", "interval_ms": INTERVAL_MS},
    {"id": "recent", "topic": "stats", "window": WINDOW, "interval_ms": INTERVAL_MS},
    {"id": "latency", "topic": "latency", "window": WINDOW, "interval_ms": INTERVAL_MS},
    {"id": "health", "topic": "health", "interval_ms": INTERVAL_MS},
)
_ROWS = {"stats": "symbols", "candles": "symbols", "latency": "stages"}


@dataclass(frozen=True)
class Part:
    """One subscription: its rows by key, what else its frames say, and the sequence number that they are true for."""

    rows: Mapping[str, Any] = field(default_factory=dict)
    also: Row = field(default_factory=dict)
    seq: int = 0
    started: bool = False  # whether its snapshot is there


NOTHING = Part()


class Status(NamedTuple):
    """`connecting`, `live` or `away`; why; since when (UTC ns); the number of connections so far."""

    phase: str
    reason: str
    since: int
    connection: int


@dataclass(frozen=True)
class View:
    """Everything at one instant."""

    status: Status
    seq: int
    all: Part
    recent: Part
    latency: Part
    health: Part


class Board:
    """The parts of one connection; a new connection begins with a new board."""

    def __init__(self) -> None:
        self.seq = 0  # the largest that any frame has named
        self._parts: dict[str, Part] = {}

    @property
    def complete(self) -> bool:
        """Whether every subscription of SUBSCRIPTIONS has sent its snapshot."""
        return all(self.part(str(wanted["id"])).started for wanted in SUBSCRIPTIONS)

    def part(self, name: str) -> Part:
        """What a subscription has said; empty before its snapshot."""
        return self._parts.get(name, NOTHING)

    def forget(self, name: str) -> None:
        """Drop a subscription that has ended."""
        self._parts.pop(name, None)

    def apply(self, frame: Row) -> None:
        """Take one frame. Raises TryAgain when the gateway refuses a subscription: nothing would come of it."""
        kind, seq = frame.get("type"), frame.get("seq")
        if isinstance(seq, int):
            self.seq = max(self.seq, seq)
        if kind == "error":
            raise TryAgain(f"the stream answered: {frame.get('detail')}")
        if kind in ("snapshot", "update"):
            name = str(frame["id"])
            before = self.part(name) if kind == "update" else NOTHING
            self._parts[name] = _merged(before, frame)


def _merged(before: Part, frame: Row) -> Part:
    data: Row = frame["data"]
    wrapper = _ROWS.get(str(frame["topic"]))
    rows = data.get(wrapper, {}) if wrapper else data
    also = {name: value for name, value in data.items() if name != wrapper} if wrapper else {}
    return Part({**before.rows, **rows}, also or before.also, int(frame["seq"]), True)
