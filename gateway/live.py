"""The live stream: one slot per subscription, filled by what changed, emptied as fast as its client reads.

State topics conflate: what a slow client has not been sent yet is overwritten by newer rows of the same key, and the
number of updates that were merged away is told in `skipped`. The rows of a tick are computed and encoded once per
distinct subscription (topic, symbols, window), and its frame once per distinct id; who has been sent everything before
shares it. Event topics keep a cursor into the journal instead of a queue: they never drop silently, a client that
falls too far behind gets a `gap`.

Pure but for asyncio.Event, which tells the loop in app.py of the first subscription; sockets are in stream.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from gateway.streaming import frames
from gateway.streaming.frames import encode
from telemetry.errors import InvalidInput

STATE_TOPICS = ("stats", "totals", "candles", "patterns", "latency", "freshness", "health")
EVENT_TOPICS = ("trades", "alerts")
TOLD_ALSO = ("freshness",)  # what comes along with its rows is news by itself
SUBSCRIPTIONS = 100  # of one connection
MINIMUM_INTERVAL_MS = 20
PATTERNS_INTERVAL_MS = 1000
PIECE = 40  # rows made before others have their turn: 2 ms
SHARED_IDS = 16  # whose frames a tick keeps; clients of one program use the same few, others are built when sent


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client subscribes to."""

    id: str
    topic: str
    symbols: tuple[str, ...] = ("*",)
    window: str = "all"
    interval: str = "1m"
    interval_ms: int = 250
    from_seq: int | None = None
    venues: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    start: str | None = None  # of `totals`: a period of one's own instead of a window
    end: str | None = None

    def check(self) -> None:
        """Raise InvalidInput when a value is out of its range."""
        if self.topic not in STATE_TOPICS + EVENT_TOPICS:
            known = " ".join(STATE_TOPICS + EVENT_TOPICS)
            raise InvalidInput(f"topic: expected one of {known}, received {self.topic[:40]!r}")
        if not 1 <= len(self.id) <= 64:
            raise InvalidInput(f"id: expected 1 to 64 characters, received {len(self.id)}")
        least = PATTERNS_INTERVAL_MS if self.topic == "patterns" else MINIMUM_INTERVAL_MS
        if not least <= self.interval_ms <= 60_000:
            raise InvalidInput(f"interval_ms: expected {least} to 60000, received {self.interval_ms}")
        if not 1 <= len(self.symbols) <= 10_000:
            raise InvalidInput(f"symbols: expected 1 to 10000, received {len(self.symbols)}")

    @property
    def channel(self) -> tuple[Any, ...]:
        """Subscriptions with the same channel are given the same updates at the same time."""
        period, chosen = (self.window, self.start, self.end), (self.symbols, self.venues, self.kinds)
        return self.topic, chosen, period, self.interval, self.interval_ms


class View(NamedTuple):
    """A topic as it is now: rows by key, and what is sent along with every update whether it changed or not.

    When `partial`, rows that are as they were at the `mark` handed in are left out; `gone` are keys whose rows here
    are the last (what a window without trades looks like).
    """

    rows: Mapping[str, Any]
    also: Mapping[str, Any] = {}
    partial: bool = False
    gone: Collection[str] = ()
    mark: object = None


@dataclass(eq=False)
class Tick:
    """A channel at one instant: all its rows, and those that differ from the tick before."""

    topic: str
    rows: dict[str, bytes] = field(default_factory=dict)  # never changed in place
    changed: Mapping[str, bytes] = field(default_factory=dict)
    also: bytes = b""
    seq: int = 0
    at_ns: int = -1
    mark: object = None
    _frames: dict[str, bytes] = field(default_factory=dict)

    def update(self, name: str) -> bytes:
        """The frame of what changed for subscriptions called `name` that skipped nothing."""
        found = self._frames.get(name)
        if found is None:
            if len(self._frames) >= SHARED_IDS:
                self._frames.clear()
            found = self._frames[name] = frames.message("update", name, self.topic, self.seq, self._data)
        return found

    @cached_property
    def _data(self) -> bytes:
        return frames.state(self.topic, self.changed, self.also)


@dataclass(eq=False, slots=True)
class Slot:
    """One subscription of one connection. `wake` is called when there is something to send, once until it is taken."""

    wanted: Wanted
    wake: Callable[[Slot], object]
    published_ns: int = 0  # when the newest of what waits was merged, monotonic
    waiting: bool = False
    started: bool = False
    skipped: int = 0
    next_seq: int = 1  # event topics: the next trade to send
    resuming: bool = False  # it asked for trades of the past, and has not come to the newest ones yet
    _newest: Tick | None = None
    _rows: dict[str, bytes] | None = None  # of several ticks, or all of them in the snapshot; else those of the newest

    def call(self) -> None:
        """There is something to send."""
        if not self.waiting:
            self.waiting = True
            self.wake(self)

    def begin(self, tick: Tick) -> None:
        """All rows there are, to be sent as the snapshot."""
        self._newest, self._rows, self.published_ns = tick, dict(tick.rows), tick.at_ns
        self.call()

    def offer(self, update: Tick) -> bool:
        """Put newer rows in; whether an update that was not sent yet was overwritten."""
        before, self._newest, self.published_ns = self._newest, update, update.at_ns
        if before is None:
            self.waiting = True
            self.wake(self)
            return False
        if self._rows is None:
            self._rows = dict(before.changed)
        self._rows.update(update.changed)
        self.skipped += self.started  # before the snapshot there is nothing to be late with
        return self.started

    def take(self) -> bytes | None:
        """The next frame of a state topic, or None when there is nothing new."""
        newest, rows = self._newest, self._rows
        self._newest, self.waiting = None, False
        if newest is None:
            return None
        if rows is None:
            return newest.update(self.wanted.id)
        kind, data = "update" if self.started else "snapshot", frames.state(newest.topic, rows, newest.also)
        answer = frames.message(kind, self.wanted.id, newest.topic, newest.seq, data, self.skipped)
        self._rows, self.skipped, self.started = None, 0, True
        return answer


@dataclass
class _Channel:
    wanted: Wanted
    due_ns: int
    tick: Tick
    slots: dict[Slot, None] = field(default_factory=dict)


class Live:
    """All subscriptions. `view` gives a topic as it is now, what has not changed since a mark left out."""

    def __init__(
        self, view: Callable[[Wanted, object], View], warm: Callable[[Wanted], Iterable[None]] = lambda _: ()
    ) -> None:
        self.skipped = 0
        self.changed = asyncio.Event()
        self._view, self._warm = view, warm
        self._ahead: dict[tuple[Any, ...], tuple[Tick, Tick]] = {}  # made before it is due, and from which tick
        self._channels: dict[tuple[Any, ...], _Channel] = {}

    def ahead(self, wanted: Wanted) -> Iterator[None]:
        """Make most of the channel's next tick in pieces; the `subscribe` or `tick` that follows at once adds what has
        changed meanwhile. Raises InvalidInput."""
        wanted.check()
        if wanted.topic not in STATE_TOPICS:
            return
        yield from self._warm(wanted)
        channel = self._channels.get(wanted.channel)
        before = Tick(wanted.topic) if channel is None else channel.tick
        view, rows = self._view(wanted, before.mark), {}
        for number, (key, row) in enumerate(view.rows.items(), 1):
            rows[key] = encode(row)
            if number % PIECE == 0:
                yield
        self._ahead[wanted.channel] = before, _made(wanted.topic, before, view, rows, 0, -1)

    def ahead_of(self, now_ns: int) -> Iterator[None]:
        """`ahead` for all that will be due at that time."""
        for channel in list(self._channels.values()):
            if channel.due_ns <= now_ns and channel.wanted.topic in ("stats", "totals"):
                with suppress(InvalidInput):
                    yield from self.ahead(channel.wanted)

    def subscribe(self, wanted: Wanted, wake: Callable[[Slot], object], *, seq: int, now_ns: int) -> Slot:
        """A new slot, filled with the snapshot as of `seq`. Raises InvalidInput."""
        wanted.check()
        slot = Slot(wanted, wake)
        channel = self._channels.get(wanted.channel) or _Channel(wanted, _next(wanted, now_ns), Tick(wanted.topic))
        if wanted.topic in STATE_TOPICS:
            tick = self._tick(wanted, channel.tick, seq, now_ns)
            # The others of the channel get at its next tick what they would have got without this newcomer.
            channel.tick = channel.tick if channel.slots else tick
            slot.begin(tick)
        else:
            slot.next_seq = seq + 1 if wanted.from_seq is None else max(1, wanted.from_seq)
            slot.resuming = wanted.from_seq is not None
            slot.call()
        channel.slots[slot] = None
        self._channels[wanted.channel] = channel
        self.changed.set()
        return slot

    def unsubscribe(self, slots: Iterable[Slot]) -> None:
        """Forget slots."""
        for slot in slots:
            channel = self._channels[slot.wanted.channel]
            del channel.slots[slot]
            if not channel.slots:
                del self._channels[slot.wanted.channel]
                self._ahead.pop(slot.wanted.channel, None)

    def publish(self) -> None:
        """Something was merged: subscribers are told when their interval is over."""
        if self._channels:
            self.changed.set()

    def tick(self, seq: int, now_ns: int) -> int | None:
        """Fill the slots that are due; returns when (monotonic ns) the next ones are, None when there are none."""
        for channel in self._channels.values():
            if channel.due_ns > now_ns:
                continue
            wanted = channel.wanted
            channel.due_ns = _next(wanted, now_ns)
            if wanted.topic in EVENT_TOPICS:
                for slot in channel.slots:
                    slot.call()
                continue
            before = channel.tick
            with suppress(InvalidInput):  # what could be had at the start cannot be any more: nothing new to tell
                channel.tick = self._tick(wanted, channel.tick, seq, now_ns)
            news = channel.tick.changed or (wanted.topic in TOLD_ALSO and channel.tick.also != before.also)
            if news and channel.tick.at_ns == now_ns:
                for slot in channel.slots:
                    self.skipped += slot.offer(channel.tick)
        return min((channel.due_ns for channel in self._channels.values()), default=None)

    def _tick(self, wanted: Wanted, before: Tick, seq: int, now_ns: int) -> Tick:
        origin, ahead = self._ahead.pop(wanted.channel, (before, before))
        if origin.mark is not before.mark:  # it was made from another tick
            ahead = before
        view = self._view(wanted, ahead.mark)
        rows = {key: encode(row) for key, row in view.rows.items()}
        tick = _made(wanted.topic, ahead, view, rows, seq, now_ns)
        if ahead is not before:
            changed = {**ahead.changed, **tick.changed}
            tick.changed = changed if wanted.topic in frames.WRAPPED or not changed else tick.rows
        return tick


def _made(topic: str, before: Tick, view: View, rows: dict[str, bytes], seq: int, now_ns: int) -> Tick:
    """The tick of a view whose rows are encoded."""
    changed: Mapping[str, bytes] = {key: row for key, row in rows.items() if before.rows.get(key) != row}
    if view.partial:
        rows = {**before.rows, **changed} if changed or view.gone else before.rows
    for key in view.gone:
        rows.pop(key, None)
    if changed and topic not in frames.WRAPPED:  # one object: it is told whole
        changed = rows
    also = b",".join(encode(key) + b":" + encode(value) for key, value in view.also.items())
    return Tick(topic, rows, changed, also, seq, now_ns, view.mark)


def _next(wanted: Wanted, now_ns: int) -> int:
    """The next multiple of the interval, so that subscriptions with the same interval are served together."""
    interval = wanted.interval_ms * 1_000_000
    return (now_ns // interval + 1) * interval
