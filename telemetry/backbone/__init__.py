"""The way from the journal to the workers and back: what every backbone promises, and the data that crosses it.

The gateway holds a :class:`Backbone`, a worker holds a :class:`WorkSource`. Delivery to workers is at least once; the
aggregator's verdict on each result (:class:`Verdict`) makes its effect exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec

from telemetry.backbone.record import Record
from telemetry.backbone.room import Answer
from telemetry.wire import Buffer, Kind, PartialHead, encode


class Verdict(Enum):
    """What the aggregator did with a result. All but the first two are reasons for dropping it."""

    MERGED = "merged"
    WAITING = "waiting"  # accepted, but an earlier range is still missing
    EPOCH = "epoch"  # made for another start of the gateway
    VERSION = "version"  # made by another version of the statistics
    APPLIED = "applied"  # every trade of it is applied already
    OVERLAP = "overlap"  # some trades of it are applied or waiting, others are not
    COUNT = "count"  # it does not hold one row for each trade of its range
    DUPLICATE = "duplicate"  # the same range is waiting already
    UNDECODABLE = "undecodable"

    @property
    def accepted(self) -> bool:
        """Whether the range is now in the figures, or will be as soon as what comes before it is."""
        return self in (Verdict.MERGED, Verdict.WAITING)


class Group(Protocol):
    """One commit group: many requests that share one journal record."""

    @property
    def count(self) -> int: ...

    def record_bytes(self, first_seq: int, synced_seq: int, take: Callable[[int], memoryview] = ...) -> Buffer:
        """Its record; `take` gives memory for a large one."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A group as the journal took it at `at_ns` (monotonic). `durable` is false only in fast mode, where the sync comes
    later."""

    first_seq: int
    last_seq: int
    durable: bool = True
    at_ns: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """Work as a worker receives it: records that cover [first, last], at least with what is analysed (see
    telemetry.backbone.leased); only these trades are to be analysed. The records may be in memory that the gateway
    shares: they are what they are until the partial was sent. It may go to `answer` then, see `returned`."""

    epoch: int
    attempt: int
    first: int
    last: int
    records: list[memoryview]
    answer: Answer | None = None


def returned(lease: Lease, head: PartialHead, pieces: Sequence[Buffer]) -> bytes:
    """The message that returns the partial of a lease, `pieces` joined: in the memory that the gateway shares, if it
    does and they fit, in the message otherwise."""
    place = None if lease.answer is None else lease.answer.write(pieces)
    if place is None:
        return encode(Kind.PARTIAL, head, *pieces)
    return encode(Kind.PARTIAL, msgspec.structs.replace(head, place=place))


@dataclass(frozen=True, slots=True)
class Partial:
    """A worker's result. `body` is undecoded and lives as long as this object."""

    head: PartialHead
    body: memoryview


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A trade that killed `deaths` workers, each holding nothing else. It counts as applied and is never merged."""

    seq: int
    deaths: int


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker as the gateway sees it. `version_ok` false: it analyses by other rules and gets no lease."""

    id: str
    pid: int
    generation: int
    version: str
    version_ok: bool
    outstanding: int
    leases_done: int
    trades_done: int
    beat_age_seconds: float
    deaths: int


@dataclass(frozen=True, slots=True)
class Status:
    """Where the work stands. `accepted_seq`: every trade up to it is accepted. Counts begin with the epoch."""

    epoch: int
    version: str
    durable_seq: int
    accepted_seq: int
    queued_trades: int
    leased: int
    waiting: int
    workers: Sequence[WorkerStatus]
    suspects: Sequence[tuple[int, int]] = ()
    quarantined: int = 0
    redelivered: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    garbage: int = 0
    leases: Mapping[str, int] = field(default_factory=dict)  # sent through shared memory, in messages
    journal: Any = None


class Backbone(Protocol):
    """The gateway's side."""

    async def append(self, group: Group) -> Committed:
        """Journal `group`, then offer it to the workers. Raises TryAgain when it is full, Stop when the disk failed."""

    def records(self, first: int, last: int) -> Iterator[Record]:
        """The journal's records that hold any trade of [first, last], in order."""

    async def start(self, *, epoch: int, applied: int) -> None:
        """Begin to dispatch everything after `applied`. Called once."""

    async def results(self) -> list[Partial | Quarantined]:
        """Wait for at least one result, take all there are. Nothing is lost when the caller is cancelled."""

    def settle(self, result: Partial, verdict: Verdict) -> None:
        """Tell what became of a result: exactly once for each Partial that `results` gave."""

    def status(self) -> Status:
        """Workers, leases and backlog at this instant."""


class WorkSource(Protocol):
    """A worker's side: `async with` it, receive a lease, send its partial, and so on."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def receive(self) -> Lease:
        """The next lease, in the order in which they were given."""

    async def send(self, partial: bytes) -> None:
        """Return a partial (as `returned` made it). Waits while the gateway does not take it."""
