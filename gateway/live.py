"""The live stream: one slot per subscription, filled by what changed, emptied as fast as its client reads.

State topics conflate: what a slow client has not been sent yet is overwritten by newer rows of the same key, and the
number of updates that were merged away is told in `skipped`. The rows of a tick are computed and encoded once per
distinct subscription (topic, symbols, window) and shared by all who have it. Event topics keep a cursor into the
journal instead of a queue: they never drop silently, a client that falls too far behind gets a `gap`.

Pure but for asyncio.Event, which wakes a connection; sockets are in stream.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from telemetry.errors import InvalidInput

STATE_TOPICS = ("stats", "candles", "latency", "freshness", "health")
EVENT_TOPICS = ("trades",)
SUBSCRIPTIONS = 100  # of one connection
MINIMUM_INTERVAL_MS = 20

_WRAPPERS = {"stats": b"symbols", "candles": b"symbols", "latency": b"stages"}
encode = msgspec.json.encode


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client subscribes to."""

    id: str
    topic: str
    symbols: tuple[str, ...] = ("*",)
    window: str = "all"
    interval: str = "1m"
    interval_ms: int = 250
    from_seq: int | None = None

    def check(self) -> None:
        """Raise InvalidInput when a value is out of its range."""
        if self.topic not in STATE_TOPICS + EVENT_TOPICS:
            known = " ".join(STATE_TOPICS + EVENT_TOPICS)
            raise InvalidInput(f"topic: expected one of {known}, received {self.topic[:40]!r}")
        if not 1 <= len(self.id) <= 64:
            raise InvalidInput(f"id: expected 1 to 64 characters, received {len(self.id)}")
        if not MINIMUM_INTERVAL_MS <= self.interval_ms <= 60_000:
            raise InvalidInput(f"interval_ms: expected {MINIMUM_INTERVAL_MS} to 60000, received {self.interval_ms}")
        if not 1 <= len(self.symbols) <= 10_000:
            raise InvalidInput(f"symbols: expected 1 to 10000, received {len(self.symbols)}")

    @property
    def channel(self) -> tuple[Any, ...]:
        """Subscriptions with the same channel are given the same updates at the same time."""
        return self.topic, self.symbols, self.window, self.interval, self.interval_ms


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


@dataclass
class Slot:
    """One subscription of one connection: the rows not sent yet, by key, already encoded."""

    wanted: Wanted
    wake: asyncio.Event
    seq: int
    published_ns: int
    rows: dict[str, bytes] = field(default_factory=dict)
    also: bytes = b""
    started: bool = False
    skipped: int = 0
    next_seq: int = 1  # event topics: the next trade to send
    resuming: bool = False  # it asked for trades of the past, and has not come to the newest ones yet

    @property
    def late(self) -> bool:
        """Whether an update waits to be sent; before the snapshot there is nothing to be late with."""
        return self.started and bool(self.rows)

    def offer(self, update: Tick) -> None:
        """Put newer rows in; an update that was not sent yet is overwritten and counted."""
        self.skipped += self.late
        self.rows.update(update.changed)
        self.also, self.seq, self.published_ns = update.also, update.seq, update.at_ns
        self.wake.set()

    def take(self) -> bytes | None:
        """The next frame of a state topic, or None when there is nothing new."""
        if self.started and not self.rows:
            return None
        data = b",".join(encode(key) + b":" + row for key, row in self.rows.items())
        if wrapper := _WRAPPERS.get(self.wanted.topic):
            data = b'"%b":{%b}' % (wrapper, data)
        if self.also:
            data = self.also + b"," + data if data else self.also
        answer = frame("update" if self.started else "snapshot", self.wanted, self.seq, b"{%b}" % data, self.skipped)
        self.rows, self.skipped, self.started = {}, 0, True
        return answer


def frame(kind: str, wanted: Wanted, seq: int, data: bytes, skipped: int = 0) -> bytes:
    """One JSON text frame; `data` is encoded already."""
    head = b'{"type":%b,"id":%b,"topic":%b,"seq":%d,"skipped":%d,"data":'
    return head % (encode(kind), encode(wanted.id), encode(wanted.topic), seq, skipped) + data + b"}"


class Tick(NamedTuple):
    """A channel at one instant: all its rows, and those that differ from the tick before."""

    rows: dict[str, bytes] = {}  # noqa: RUF012 - never changed in place
    changed: Mapping[str, bytes] = {}
    also: bytes = b""
    seq: int = 0
    at_ns: int = -1
    mark: object = None


NOTHING = Tick()


@dataclass
class _Channel:
    due_ns: int
    tick: Tick = NOTHING
    slots: list[Slot] = field(default_factory=list)


class Live:
    """All subscriptions. `view` gives a topic as it is now, what has not changed since a mark left out."""

    def __init__(self, view: Callable[[Wanted, object], View]) -> None:
        self.skipped = 0
        self.changed = asyncio.Event()
        self._view = view
        self._channels: dict[tuple[Any, ...], _Channel] = {}

    def subscribe(self, wanted: Wanted, wake: asyncio.Event, *, seq: int, now_ns: int) -> Slot:
        """A new slot, filled with the snapshot as of `seq`. Raises InvalidInput."""
        wanted.check()
        slot = Slot(wanted, wake, seq, now_ns)
        channel = self._channels.get(wanted.channel) or _Channel(_next(wanted, now_ns))
        if wanted.topic in STATE_TOPICS:
            tick = self._tick(wanted, channel.tick, seq, now_ns)
            # The others of the channel get at its next tick what they would have got without this newcomer.
            channel.tick = channel.tick if channel.slots else tick
            slot.rows, slot.also = dict(tick.rows), tick.also
        else:
            slot.next_seq = seq + 1 if wanted.from_seq is None else max(1, wanted.from_seq)
            slot.resuming = wanted.from_seq is not None
        channel.slots.append(slot)
        self._channels[wanted.channel] = channel
        self.changed.set()
        wake.set()
        return slot

    def unsubscribe(self, slots: Iterable[Slot]) -> None:
        """Forget slots."""
        for slot in slots:
            channel = self._channels[slot.wanted.channel]
            channel.slots.remove(slot)
            if not channel.slots:
                del self._channels[slot.wanted.channel]

    def publish(self) -> None:
        """Something was merged: subscribers are told when their interval is over."""
        self.changed.set()

    def tick(self, seq: int, now_ns: int) -> int | None:
        """Fill the slots that are due; returns when (monotonic ns) the next ones are, None when there are none."""
        for channel in self._channels.values():
            if channel.due_ns > now_ns:
                continue
            wanted = channel.slots[0].wanted
            channel.due_ns = _next(wanted, now_ns)
            if wanted.topic in EVENT_TOPICS:
                for slot in channel.slots:
                    slot.wake.set()
                continue
            with suppress(InvalidInput):  # what could be had at the start cannot be any more: nothing new to tell
                channel.tick = self._tick(wanted, channel.tick, seq, now_ns)
            if channel.tick.changed and channel.tick.at_ns == now_ns:
                for slot in channel.slots:
                    self.skipped += slot.late
                    slot.offer(channel.tick)
        return min((channel.due_ns for channel in self._channels.values()), default=None)

    def _tick(self, wanted: Wanted, before: Tick, seq: int, now_ns: int) -> Tick:
        view = self._view(wanted, before.mark)
        rows = {key: encode(row) for key, row in view.rows.items()}
        changed = {key: row for key, row in rows.items() if before.rows.get(key) != row}
        if view.partial:
            rows = {**before.rows, **changed} if changed else before.rows
        for key in view.gone:
            rows.pop(key, None)
        if changed and wanted.topic not in _WRAPPERS:  # one object: it is told whole
            changed = rows
        also = b",".join(encode(key) + b":" + encode(value) for key, value in view.also.items())
        return Tick(rows, changed, also, seq, now_ns, view.mark)


def _next(wanted: Wanted, now_ns: int) -> int:
    """The next multiple of the interval, so that subscriptions with the same interval are served together."""
    interval = wanted.interval_ms * 1_000_000
    return (now_ns // interval + 1) * interval
