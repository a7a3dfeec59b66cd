"""Which worker analyses which journal range, and what happens when it does not return. Pure: `now` is an argument.

Theory of operation
-------------------
The id of work is a range of sequence numbers. Every available trade that is not accepted is in exactly one place:

    queue      to be dispatched; contiguous trades coalesce, whether they are new or came back
    suspects   killed a worker, to be retried alone (see poison.py)
    a lease    sent to a worker (in two, when the oldest range was leased a second time)

and what the aggregator accepted is one number (`accepted_seq`) plus the few ranges that wait for an earlier one.

    available --> queue --next--> lease --settle(accepted)--> accepted
                    ^               |--settle(dropped)-----> back to where it came from, not an attempt
                    |               |--lost: oldest--------> suspects --alone--> bisected / quarantined
                    '-------------- '--lost: all others----> queue, at once

A worker is lost when its connection drops (the caller says so), when it misses three heartbeats or when its oldest
lease is over its deadline (`tick` says so, and the caller closes the connection). Death and hang are charged alike.

Rules of this file
------------------
* Instructions are returned as data (`Send`, `Close`, `Quarantined`); nothing is called back, no byte is seen.
* A lease never crosses a multiple of `align`, so that roll-ups happen at the same sequence number in every run.
* Accepted-but-not-merged plus leased ranges are at most W × N, except that the oldest missing range may always go out:
  without it nothing could ever be merged.
* Few new trades wait, but only milliseconds: for the return of a lease that is out, and for more of them to come.
* The oldest range is leased a second time when it takes four times the median; a suspect never, it would kill twice.
* One suspect is out at a time, so the other workers go on; between two retries a good range gets its turn, if any.
* A broken invariant raises Stop before anything is changed.
"""

from __future__ import annotations

from collections import Counter

from telemetry.backbone import Quarantined, Status, Verdict
from telemetry.backbone.accepted import Accepted
from telemetry.backbone.fleet import Fleet, Worker
from telemetry.backbone.leases import Close, Held, Limits, Patience, Send
from telemetry.backbone.poison import Suspect, Suspects, after_death
from telemetry.backbone.ranges import Range, Ranges
from telemetry.errors import Stop


class Dispatcher:
    """Begins with the trade after `applied`; gives leases only to workers of `version`."""

    def __init__(self, *, version: str, applied: int = 0, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.version = version
        self.available_seq = applied  # everything up to here may be dispatched
        self.redelivered: Counter[str] = Counter()  # ranges, by why the lease before was not the last
        self.dropped: Counter[str] = Counter()  # results, by the verdict's reason
        self._queue = Ranges()
        self._suspects = Suspects()
        self._fleet = Fleet()
        self._accepted = Accepted(applied)
        self._attempt = 0
        self.patience = Patience(self.limits)
        self._good_turn = True  # a good range was sent since the last suspect

    @property
    def accepted_seq(self) -> int:
        """Every trade up to this is accepted."""
        return self._accepted.seq

    @property
    def busy(self) -> bool:
        """Whether any lease is out."""
        return self._fleet.out() > 0

    def available(self, durable_seq: int) -> None:
        """Everything up to `durable_seq` may be dispatched now."""
        if durable_seq > self.available_seq:
            self._queue.add(self.available_seq + 1, durable_seq)
            self.available_seq = durable_seq

    def joined(self, worker: str, version: str, now: float, *, generation: int = 0, pid: int = 0) -> list[Quarantined]:
        """`worker` is connected. What it held before is lost. If its version is another one it gets no lease."""
        quarantined = self.lost(worker, "replaced", now)
        self._fleet.add(Worker(worker, version, generation, pid, version == self.version, beat_at=now))
        return quarantined

    def beat(self, worker: str, now: float) -> None:
        """A sign of life from `worker`."""
        if (known := self._fleet.get(worker)) is not None:
            known.beat_at = now
            known.resting = False

    def lost(self, worker: str, reason: str, now: float) -> list[Quarantined]:
        """`worker` is gone: its oldest open range is charged, the others go back to the queue at once."""
        if self._fleet.get(worker) is None:
            return []
        held = list(self._fleet.drop(worker).held.values())
        quarantined = []
        for lease in held:
            for first, last in self._uncovered(lease):
                self.redelivered[reason] += 1
                if lease is held[0]:
                    quarantined += self._charge(lease, first, last)
                else:
                    self._queue.add(first, last)
        return quarantined

    def received(self, worker: str, attempt: int, now: float) -> bool:
        """The result of a lease has arrived, its verdict has not: the worker is done with it. False: no such lease."""
        lease = self._fleet.received(worker, attempt, now)
        if lease is not None:
            self.patience.note(now - lease.sent_at)
        return lease is not None

    def settle(self, first: int, last: int, worker: str, attempt: int, verdict: Verdict, now: float) -> None:
        """A result for [first, last] was judged. Raises Stop if it was accepted but could not be."""
        if verdict.accepted:
            self._accept(first, last)
        else:
            self.dropped[verdict.value] += 1
        if verdict is Verdict.EPOCH:  # its attempt is another epoch's, whatever the number
            return
        self.received(worker, attempt, now)
        lease = self._fleet.settled(worker, attempt, last - first + 1, verdict)
        if lease is not None:
            self.patience.note_verdict(lease, now)
            self._return(lease, verdict.value)

    def withdraw(self, attempt: int, worker: str, now: float, *, beyond: int | None = None) -> None:
        """A `Send` was not carried out, or only up to `beyond`: the rest is not leased any more.

        Without `beyond`, `worker` gets no further lease until its next heartbeat.
        """
        if (holder := self._fleet.get(worker)) is None or attempt not in holder.held:
            return
        lease = holder.held[attempt]
        if beyond is None:
            holder.resting = True
            self._return(holder.take(attempt, now))
        elif lease.first <= beyond < lease.last:
            rest = Held(0, worker, beyond + 1, lease.last, now, suspect=lease.suspect)
            lease.last = beyond
            self._return(rest)

    def tick(self, now: float) -> list[Close | Quarantined]:
        """Give up whoever is silent or late by now."""
        instructions: list[Close | Quarantined] = []
        for worker in list(self._fleet):
            if (reason := worker.overdue(self.limits, now)) is not None:
                instructions.append(Close(worker.id, reason))
                instructions += self.lost(worker.id, reason, now)
        return instructions

    def next(self, now: float) -> list[Send]:
        """Every lease that can be sent now. They count as sent; one that was not is withdrawn."""
        sends: list[Send] = []
        while (send := self._next_suspect(now) or self._next_queued(now) or self._next_second(now)) is not None:
            sends.append(send)
        return sends

    def deadline(self) -> float | None:
        """When `tick` or `next` has something to do even if nothing else happens."""
        times = [worker.due(self.limits) for worker in self._fleet]
        if (slow := self._second_candidate()) is not None:
            times.append(slow.sent_at + self.patience.seconds)
        if (until := self.coalescing()) is not None:
            times.append(until)
        return min(times, default=None)

    def coalescing(self) -> float | None:
        """Until when the newest trades, because they are few, wait for more or for the return of a lease; None: not."""
        queued = self._queue.lowest()
        if queued is None or queued[1] < self.available_seq or not self.limits.are_few(*queued, self.patience.enough):
            return None
        return self.patience.few_until(self._fleet.newest())

    def status(self, now: float, *, epoch: int = 0) -> Status:
        """Where the work stands."""
        leases = list(self._fleet.leases())
        suspects = self._suspects.ranges() + [(lease.first, lease.last) for lease in leases if lease.suspect]
        return Status(
            *(epoch, self.version, self.available_seq, self.accepted_seq, self._queue.total, len(leases)),
            *(self._accepted.waiting, self._fleet.status(now), sorted(suspects)),
            quarantined=len(self._accepted.quarantined),
            redelivered=dict(self.redelivered),
            dropped=dict(self.dropped),
        )

    def places(self) -> dict[str, list[Range]]:
        """Where each trade beyond `accepted_seq` is, for checks: queue, suspects, open leases, accepted."""
        return {
            "queue": list(self._queue),
            "suspects": self._suspects.ranges(),
            "leases": [part for out in self._fleet.leases() for part in self._accepted.missing(out.first, out.last)],
            "accepted": self._accepted.beyond(),
        }

    def _next_suspect(self, now: float) -> Send | None:
        if (worker := self._reserved()) is None or worker.held:
            return None
        suspect = self._suspects.take()
        self._good_turn = False
        return self._send(worker, suspect.first, suspect.last, now, suspect)

    def _reserved(self) -> Worker | None:
        """The worker that is to retry the oldest suspect; it gets nothing else until it is empty."""
        suspect = self._suspects.first()
        if suspect is None or any(lease.suspect for lease in self._fleet.leases()):
            return None
        queued = self._queue.lowest()
        if queued is not None and not self._good_turn and self._may_go(queued[0]):
            return None
        return self._fleet.least_loaded(self.limits.window + 1) if self._may_go(suspect.first) else None

    def _next_queued(self, now: float) -> Send | None:
        queued = self._queue.lowest()
        if queued is None or not self._may_go(queued[0]):
            return None
        if (until := self.coalescing()) is not None and now < until:
            return None
        if (worker := self._free()) is None:
            return None
        first, last = queued[0], self.limits.end_of_lease(*queued)
        self._queue.remove(first, last)
        self._good_turn = True
        return self._send(worker, first, last, now)

    def _next_second(self, now: float) -> Send | None:
        slow = self._second_candidate()
        if slow is None or now - slow.sent_at < self.patience.seconds:
            return None
        if (worker := self._free(but=slow.worker)) is None:
            return None
        self.redelivered["second"] += 1
        first, last = self._accepted.missing(slow.first, slow.last)[0]
        return self._send(worker, first, last, now)

    def _second_candidate(self) -> Held | None:
        """The lease of the oldest missing trade, if it is the only one and no suspect."""
        oldest = self.accepted_seq + 1
        if self._fleet.usable() < 2 or oldest > self.available_seq:
            return None
        return self._fleet.sole_lease(oldest)

    def _free(self, *, but: str = "") -> Worker | None:
        """The least loaded worker with room, not the one that is reserved for a suspect."""
        reserved = self._reserved()
        return self._fleet.least_loaded(self.limits.window, but=(but, reserved.id if reserved else ""))

    def _may_go(self, first: int) -> bool:
        """The bound on what is out or waits: W × N, but the oldest missing range may always go."""
        if first == self.accepted_seq + 1:
            return True
        room = self.limits.window * self._fleet.usable() - self._accepted.waiting
        # Counting those that still matter is dearer, and seldom gives another answer.
        return self._fleet.out() < room or sum(lease.open for lease in self._fleet.leases()) < room

    def _send(self, worker: Worker, first: int, last: int, now: float, suspect: Suspect | None = None) -> Send:
        self._attempt, self.patience.sent_at = self._attempt + 1, now
        worker.give(Held(self._attempt, worker.id, first, last, now, suspect=suspect))
        return Send(worker.id, self._attempt, first, last)

    def _charge(self, lease: Held, first: int, last: int) -> list[Quarantined]:
        """A worker died over [first, last]."""
        rest = [Suspect(first, last)] if lease.suspect is None else after_death(lease.suspect, first, last)
        self._suspects.add(*rest)
        if rest or lease.suspect is None:
            return []
        self._accepted.quarantine(first)
        self._close_leases(first, first)
        return [Quarantined(first, lease.suspect.deaths + 1)]

    def _return(self, lease: Held, reason: str | None = None) -> None:
        """The lease is over and nobody is to blame: what it leaves goes back to where it came from."""
        for first, last in self._uncovered(lease):
            if reason is not None:
                self.redelivered[reason] += 1
            if lease.suspect is None:
                self._queue.add(first, last)
            else:
                self._suspects.add(Suspect(first, last, lease.suspect.deaths))

    def _uncovered(self, ended: Held) -> list[Range]:
        """The parts of a lease that ended which are neither accepted nor leased to another worker."""
        parts = Ranges(self._accepted.missing(ended.first, ended.last))
        for lease in self._fleet.leases() if len(parts) else ():
            parts.remove(lease.first, lease.last)
        return list(parts)

    def _accept(self, first: int, last: int) -> None:
        """The aggregator took [first, last]: whatever else was to be done about it is not."""
        if not 0 < first <= last <= self.available_seq:
            raise Stop(f"expected a range within 1..{self.available_seq}, accepted was {first}..{last}")
        self._accepted.add(first, last)
        self._queue.remove(first, last)
        if self._suspects:
            self._suspects.accepted(first, last)
        self._close_leases(first, last)

    def _close_leases(self, first: int, last: int) -> None:
        for lease in self._fleet.overlapping(first, last):
            lease.open = lease.open and bool(self._accepted.missing(lease.first, lease.last))
