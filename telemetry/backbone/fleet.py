"""The workers as the dispatcher sees them: who is there, what each holds, since when. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from telemetry.backbone import Verdict, WorkerStatus
from telemetry.backbone.leases import Held, Limits

DEATHS_REMEMBERED = 1024  # worker ids; a supervisor reuses a handful, so this only stops a leak


@dataclass(slots=True, eq=False)
class Worker:
    """A connected worker. `held` is in the order of sending, so its first entry is the oldest."""

    id: str
    version: str
    generation: int
    pid: int
    usable: bool
    beat_at: float
    resting: bool = False  # its socket took no more or its result was useless; over with its next heartbeat
    held: dict[int, Held] = field(default_factory=dict)
    last_attempt: int = 0
    leases_done: int = 0
    trades_done: int = 0

    @property
    def ready(self) -> bool:
        """Whether it may be given a lease at all; who retries a suspect holds nothing else."""
        if not self.usable or self.resting:
            return False
        oldest = self.oldest()
        return oldest is None or oldest.suspect is None

    def oldest(self) -> Held | None:
        """The lease that it is working on, as far as one can know."""
        return next(iter(self.held.values()), None)

    def give(self, lease: Held) -> None:
        """Put `lease` at the end of its window."""
        self.held[lease.attempt] = lease
        self.last_attempt = lease.attempt
        lease.since = lease.sent_at

    def take(self, attempt: int, now: float) -> Held:
        """Take a lease out of its window; the clock of the next one starts."""
        was_oldest = next(iter(self.held)) == attempt
        lease = self.held.pop(attempt)
        if was_oldest and (oldest := self.oldest()) is not None:
            oldest.since = now
        return lease

    def overdue(self, limits: Limits, now: float) -> str | None:
        """Why it is to be given up by now, if it is."""
        if now - self.beat_at >= limits.silence_seconds:
            return "heartbeat"
        oldest = self.oldest()
        return "deadline" if oldest is not None and now - oldest.since >= limits.deadline_seconds else None

    def due(self, limits: Limits) -> float:
        """When it will be overdue if nothing comes from it."""
        silent = self.beat_at + limits.silence_seconds
        oldest = self.oldest()
        return silent if oldest is None else min(silent, oldest.since + limits.deadline_seconds)

    def judged(self, trades: int, verdict: Verdict) -> None:
        """Its result was judged. A useless one makes it rest, or the same lease would go round at full speed."""
        if verdict.accepted:
            self.leases_done += 1
            self.trades_done += trades
        self.resting |= verdict in (Verdict.COUNT, Verdict.UNDECODABLE, Verdict.VERSION)


class Fleet:
    """All connected workers, and how often each id has died."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}
        self._deaths: Counter[str] = Counter()
        self._usable = 0
        self._returned: dict[int, Held] = {}  # by attempt: the result is here, the aggregator's verdict is not

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers.values())

    def get(self, worker: str) -> Worker | None:
        """The worker of this id, if it is connected."""
        return self._workers.get(worker)

    def usable(self) -> int:
        """How many may be given leases (the N of the bound W × N)."""
        return self._usable

    def leases(self) -> list[Held]:
        """Every lease that is not settled: at most W × N, and those of lost workers whose result came before."""
        return [lease for worker in self for lease in worker.held.values()] + list(self._returned.values())

    def overlapping(self, first: int, last: int) -> list[Held]:
        """Those of them that hold any trade of [first, last]."""
        return [lease for lease in self.leases() if lease.overlaps(first, last)]

    def sole_lease(self, seq: int) -> Held | None:
        """The lease of a trade, if it is the only one, is not back and retries no suspect."""
        leases = self.overlapping(seq, seq)
        if len(leases) != 1 or leases[0].suspect is not None or leases[0].returned_at is not None:
            return None
        return leases[0]

    def out(self) -> int:
        """How many leases are not settled."""
        return sum([len(worker.held) for worker in self], len(self._returned))

    def newest(self) -> float | None:
        """When the last of the leases was sent that workers hold, but retries of suspects."""
        newest: float | None = None
        for worker in self._workers.values():
            if worker.held:
                lease = next(reversed(worker.held.values()))
                if lease.suspect is None and (newest is None or lease.sent_at > newest):
                    newest = lease.sent_at
        return newest

    def received(self, worker: str, attempt: int, now: float) -> Held | None:
        """The result of a lease is here: it leaves its worker's window and waits for its verdict."""
        holder = self._workers.get(worker)
        if holder is None or attempt not in holder.held:
            return None
        lease = self._returned[attempt] = holder.take(attempt, now)
        lease.returned_at = now
        return lease

    def settled(self, worker: str, attempt: int, trades: int, verdict: Verdict) -> Held | None:
        """The verdict on a result is here: its lease is over. None: it was over before."""
        lease = self._returned.get(attempt)
        if lease is None or lease.worker != worker:
            return None
        if (holder := self._workers.get(worker)) is not None:
            holder.judged(trades, verdict)
        return self._returned.pop(attempt)

    def add(self, worker: Worker) -> None:
        """A worker connected."""
        self._workers[worker.id] = worker
        self._usable += worker.usable

    def drop(self, worker: str) -> Worker:
        """A worker is gone; counts a death if it held anything."""
        gone = self._workers.pop(worker)
        self._usable -= gone.usable
        if gone.held:
            self._deaths[worker] += 1
            if len(self._deaths) > DEATHS_REMEMBERED:
                del self._deaths[next(iter(self._deaths))]
        return gone

    def least_loaded(self, window: int, *, but: Collection[str] = ()) -> Worker | None:
        """Whoever holds fewest leases, less than `window`, but the ids in `but` and whoever retries a suspect."""
        best: Worker | None = None
        least = window, 0
        for worker in self._workers.values():
            load = len(worker.held), worker.last_attempt
            if load[0] < window and (best is None or load < least) and worker.ready and worker.id not in but:
                best, least = worker, load
        return best

    def status(self, now: float) -> list[WorkerStatus]:
        """One row per connected worker."""
        return [
            WorkerStatus(
                id=w.id,
                pid=w.pid,
                generation=w.generation,
                version=w.version,
                version_ok=w.usable,
                outstanding=len(w.held),
                leases_done=w.leases_done,
                trades_done=w.trades_done,
                beat_age_seconds=max(0.0, now - w.beat_at),
                deaths=self._deaths[w.id],
            )
            for w in self
        ]
