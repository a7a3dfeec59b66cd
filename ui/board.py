"""What the live stream has said so far, as the page needs it: the newest rows of each subscription.

Pure. Frames go in one by one in the order of the stream, a view comes out. Rows are replaced whole and never changed in
place, so a view stays as it was while the next frames arrive.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from telemetry.errors import TryAgain

Row = Mapping[str, Any]
Made = TypeVar("Made")

# Of figures over all symbols, which cost the gateway the same for one symbol and for ten thousand: what a card shows is
# hardly older than the second in which it is drawn again.
QUICK_MS = 100
EVENTS_KEPT = 500  # of an event topic: the newest ones; the gateway has the others
_ROWS = {"stats": "symbols", "candles": "symbols", "latency": "stages", "freshness": "streams"}
EVENT_TOPICS = ("trades", "alerts")


class Ask(NamedTuple):
    """A subscription of the live stream; what it says is a function of these fields, so they are its name."""

    topic: str
    symbols: tuple[str, ...] = ("*",)
    window: str = ""
    interval: str = ""
    venues: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    start: str = ""
    end: str = ""
    interval_ms: int = 500  # with a page that draws each second, a trade is shown within two

    def command(self, name: str) -> Row:
        """The subscription as the gateway reads it: what is not given has the gateway's default."""
        given = {key: list(value) if isinstance(value, tuple) else value for key, value in self._asdict().items()}
        return {"id": name} | {key: value for key, value in given.items() if value}


# What every page needs: the page is live when these have begun. What a page needs besides comes with `Feed.want`.
HEALTH = Ask("health", interval_ms=QUICK_MS)
ALL = Ask("stats", window="all")
LATENCY = Ask("latency", window="1m", interval_ms=QUICK_MS)
MINUTE = Ask("stats", window="1m", interval_ms=1000)
ALWAYS = (HEALTH, ALL, LATENCY)


@dataclass(frozen=True)
class Part:
    """What one subscription has said, and the sequence number that it is true for.

    State topics have `rows` by key (of one object: its fields) and what `also` comes with them; event topics have the
    newest `events`, oldest first. `refused` are the gateway's words when it does not serve this subscription.
    """

    rows: Mapping[str, Any] = field(default_factory=dict)
    also: Row = field(default_factory=dict)
    seq: int = 0
    started: bool = False  # whether its snapshot is there
    events: tuple[Row, ...] = ()
    refused: str = ""


NOTHING = Part()


class Status(NamedTuple):
    """`connecting`, `live` or `away`; why; since when (UTC ns); the number of connections so far."""

    phase: str
    reason: str
    since: int
    connection: int


@dataclass(frozen=True)
class View:
    """Everything at one instant, shared by all who look until the next one is made."""

    status: Status
    seq: int
    parts: Mapping[Ask, Part]
    heard: int = 0  # when the newest frame came, UTC ns
    _made: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, compare=False, repr=False)

    def part(self, ask: Ask) -> Part:
        """What a subscription has said; empty before its snapshot."""
        return self.parts.get(ask, NOTHING)

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` makes of this view, made for the first who asks and shared by all others."""
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            made: Made = self._made[key]
            return made

    @property
    def all(self) -> Part:
        """Every symbol since the start of the data."""
        return self.part(ALL)

    @property
    def recent(self) -> Part:
        """Every symbol in the last minute, when somebody wants it."""
        return self.part(MINUTE)

    @property
    def latency(self) -> Part:
        """The stages in the last minute."""
        return self.part(LATENCY)

    @property
    def health(self) -> Part:
        """Workers and readiness."""
        return self.part(HEALTH)


class Board:
    """The parts of one connection by what was asked; a new connection begins with a new board."""

    def __init__(self, needed: Iterable[Ask] = ()) -> None:
        self.seq = 0  # the largest that any frame has named
        self._needed = frozenset(needed)
        self._parts: dict[Ask, Part] = {}
        self._asks: dict[str, Ask] = {}  # by the id of the subscription: a symbol may be longer than an id
        self._count = 0

    @property
    def complete(self) -> bool:
        """Whether every subscription that is needed has sent its snapshot."""
        return all(self.part(ask).started for ask in self._needed)

    @property
    def asks(self) -> frozenset[Ask]:
        """What is subscribed to."""
        return frozenset(self._asks.values())

    def part(self, ask: Ask) -> Part:
        """What a subscription has said; empty before its snapshot."""
        return self._parts.get(ask, NOTHING)

    def open(self, ask: Ask) -> Row:
        """The command that subscribes."""
        self._count += 1
        name = f"{ask.topic} {self._count}"
        self._asks[name] = ask
        return {"subscribe": ask.command(name)}

    def close(self, ask: Ask) -> Row:
        """The command that unsubscribes; what was said is forgotten."""
        name = next(name for name, known in self._asks.items() if known == ask)
        del self._asks[name]
        self._parts.pop(ask, None)
        return {"unsubscribe": name}

    def apply(self, frame: Row) -> None:
        """Take one frame. Raises TryAgain when the gateway refuses what is needed: nothing would come of it."""
        kind, seq = frame.get("type"), frame.get("seq")
        ask = self._asks.get(str(frame.get("id")))
        if isinstance(seq, int):
            self.seq = max(self.seq, seq)
        if kind == "error":
            self._refused(ask, str(frame.get("detail")))
        elif ask is None:
            return  # a heartbeat, or the last words of what has just been closed
        elif kind == "subscribed" and ask.topic in EVENT_TOPICS:
            self._parts[ask] = Part(seq=int(seq or 0), started=True)
        elif kind in ("snapshot", "update"):
            self._parts[ask] = _merged(self.part(ask) if kind == "update" else NOTHING, frame)

    def _refused(self, ask: Ask | None, detail: str) -> None:
        if ask is None or ask in self._needed:
            raise TryAgain(f"the stream answered: {detail}")
        self._parts[ask] = replace(self.part(ask), refused=detail)


def _merged(before: Part, frame: Row) -> Part:
    data, seq = frame["data"], int(frame["seq"])
    if isinstance(data, list):
        return replace(before, events=(*before.events, *data)[-EVENTS_KEPT:], seq=seq, started=True)
    wrapper = _ROWS.get(str(frame["topic"]))
    rows = data.get(wrapper, {}) if wrapper else data
    also = {name: value for name, value in data.items() if name != wrapper} if wrapper else {}
    return Part({**before.rows, **rows}, also or before.also, seq, True)
