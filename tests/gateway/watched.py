"""The whole of watching as the gateway has it, under clocks that a test sets, without sockets and without a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from gateway.aggregator import Aggregator
from gateway.alerting.bulletin import Bulletin
from gateway.alerting.gathering import Gathering
from gateway.alerting.rule_file import RuleFile
from gateway.app import Clocks
from gateway.freshness import Freshness
from gateway.ingestion.group import Group
from gateway.keys import KeyIndex
from gateway.latency import Latency
from gateway.loss import Loss
from gateway.watch import Watch
from gateway.watching.kept import Kept
from gateway.watching.markets import Sessions
from telemetry.backbone import Committed, Status
from telemetry.backbone.memory import Memory
from telemetry.backbone.record import Record
from telemetry.columns import Columns
from telemetry.times import parse_time

SECOND = 1_000_000_000
MONDAY = parse_time("2026-11-23T12:00:00Z")


class Held(Kept):
    """A file in memory."""

    def __init__(self, content: bytes | None = None) -> None:
        super().__init__(Path("nowhere"), "journal")
        self.content, self.full = content, False

    def read(self) -> tuple[bytes | None, str]:
        return self.content, "" if self.content is not None else "there is none"

    def write(self, content: bytes) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.content = content


class Empty(Memory):
    """A backbone whose journal needs no reading: everything was watched when it was committed."""

    def __init__(self) -> None:
        super().__init__(version="", analyse=lambda lease: b"")

    def records(self, first: int, last: int) -> Iterator[Record]:
        return iter(())

    def status(self) -> Status:
        return Status(0, "", 0, 0, 0, 0, 0, ())


class Stand:
    """A watch with its parts. `now` is seconds since the start, on both clocks."""

    def __init__(
        self,
        *,
        rules: Path | None = None,
        sessions: Sessions | None = None,
        start_ns: int = MONDAY,
        saved: Stand | None = None,
        stall_seconds: float = 4.0,
        trades: bool = True,
    ) -> None:
        self.start_ns = start_ns
        self.now_ns: int = 0 if saved is None else saved.now_ns
        self.state, self.latency, self.loss = Aggregator(epoch=0), Latency(), Loss()
        clocks = Clocks(lambda: self.start_ns + self.now_ns, lambda: self.now_ns)
        self.freshness = Freshness(sessions, now_ns=self.now_ns, stall_ns=round(stall_seconds * SECOND))
        self.alerts_file, self.streams_file = Held(), Held()
        if saved is not None:
            self.alerts_file.content = saved.alerts_file.content
            streams = msgspec.msgpack.decode(msgspec.msgpack.encode(saved.freshness.export()))
            self.freshness.restore(streams, self.wall_ns, self.now_ns)
            self.loss.restore(saved.loss.export())
        gathering = Gathering(self.state, self.latency, loss=self.loss, durable=lambda: 0, time=clocks)
        bulletin = Bulletin(RuleFile(rules), self.alerts_file, wall_ns=clocks.wall_ns)
        self.watch = Watch(self.freshness, self.loss, bulletin, gathering, self.streams_file, clocks, trades=trades)
        self.bulletin, self.backbone, self.seq = bulletin, Empty(), self.loss.seq
        bulletin.restore(self.seq)

    @property
    def wall_ns(self) -> int:
        return self.start_ns + self.now_ns

    def send(self, columns: Columns, requests: Sequence[tuple[int, int]] | None = None) -> None:
        """A commit of one request that arrives now, or of several: (monotonic ns, trades)."""
        group = Group(KeyIndex(1000), self.seq + 1, 0, 0, received_ns=list(requests or [(self.now_ns, len(columns))]))
        group.columns, group.count = columns, len(columns)
        self.watch.note(group, Committed(self.seq + 1, self.seq + len(columns)))
        self.seq += len(columns)

    async def second(self, seconds: float = 1.0) -> None:
        """Time passes; what has come is watched, then everything is judged."""
        self.now_ns += round(seconds * SECOND)
        await self.watch.look(self.backbone)
        await self.watch.judge(figures=True)

    def told(self) -> list[str]:
        """What was told, as "what rule key"."""
        events = [msgspec.json.decode(event.text) for event in self.bulletin.events.since(0)]
        return [f"{event['event']} {event['alert']['rule']} {event['alert']['key']}" for event in events]

    def seconds(self, count: int) -> None:
        """So many seconds in which nothing comes."""

        async def run() -> None:
            for _ in range(count):
                await self.second()

        asyncio.run(run())


def at(columns: Columns, timestamp: np.ndarray[tuple[int], np.dtype[np.int64]], received_at: object) -> Columns:
    """The same trades at other times."""
    rows = columns.instrument, columns.side, columns.price, columns.price_scale, columns.quantity
    arrived = np.broadcast_to(np.asarray(received_at, np.int64), timestamp.shape)
    return Columns(columns.instruments, *rows, columns.quantity_scale, timestamp, arrived, columns.optional)
