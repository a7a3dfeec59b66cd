"""The dispatcher against a world of workers that die, stall, answer late, twice and in any order.

The acceptor below is the aggregator's accept rule, in the smallest form. After every step: no trade is accepted twice,
none is lost. At the end the world turns kind, and everything that was available must be accepted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from telemetry.backbone import Quarantined, Verdict
from telemetry.backbone.dispatcher import Dispatcher
from telemetry.backbone.leases import Close, Limits, Send

ALIGN = 16
CHANCE_KILLS = 3  # of one trade's lease by accident; three alone are indistinguishable from poison
NAMES = ("a", "b", "c")


@dataclass
class Acceptor:
    """Rule 6: accepts what is wholly unapplied; counts each trade."""

    accepted: set[int] = field(default_factory=set)
    quarantined: set[int] = field(default_factory=set)

    def judge(self, send: Send) -> Verdict:
        trades = set(range(send.first, send.last + 1))
        done = self.accepted | self.quarantined
        if trades & done:
            return Verdict.APPLIED if trades <= done else Verdict.OVERLAP
        self.accepted |= trades
        return (
            Verdict.WAITING
            if any(seq not in self.accepted | self.quarantined for seq in range(1, send.first))
            else (Verdict.MERGED)
        )


class World(RuleBasedStateMachine):
    @initialize(
        poison=st.sets(st.integers(1, 80), max_size=2),
        window=st.integers(1, 4),
        lease_trades=st.integers(1, 40),
    )
    def begin(self, poison: set[int], window: int, lease_trades: int) -> None:
        self.limits = Limits(window=window, lease_trades=lease_trades, align=ALIGN)
        self.it = Dispatcher(version="v1", limits=self.limits)
        self.now = 0.0
        self.acceptor = Acceptor()
        self.poison = poison
        self.working: dict[str, list[Send]] = {}  # connected workers and what they hold
        self.stalled: set[str] = set()
        self.late: list[Send] = []  # results that a lost worker may still deliver, or that were delivered already
        self.chance_kills = 0

    # What the embedded backbone would do

    def push(self) -> None:
        before = self.in_flight()
        sends = self.it.next(self.now)
        for send in sends:
            assert (send.first - 1) // ALIGN == (send.last - 1) // ALIGN
            assert send.last - send.first < self.limits.lease_trades
            assert send.last <= self.it.available_seq
            self.working[send.worker].append(send)
        # Beyond the bound only the oldest missing range may go, and that one a second time.
        assert self.in_flight() <= max(before, self.limits.window * len(self.working)) + 2

    def in_flight(self) -> int:
        """Leases that still matter, and accepted ranges that wait."""
        done = self.acceptor.accepted | self.acceptor.quarantined
        held = [send for sends in self.working.values() for send in sends]
        matter = sum(not done >= set(range(send.first, send.last + 1)) for send in held)
        return matter + self.it.status(self.now).waiting

    def deliver(self, send: Send) -> None:
        if not self.poison & set(range(send.first, send.last + 1)):
            verdict = self.acceptor.judge(send)
            self.it.settle(send.first, send.last, send.worker, send.attempt, verdict, self.now)
            self.late.append(send)

    def note(self, instructions: list[Close | Quarantined] | list[Quarantined]) -> None:
        for instruction in instructions:
            if isinstance(instruction, Close):
                self.late += self.working.pop(instruction.worker)
                self.stalled.discard(instruction.worker)
                continue
            assert instruction.seq in self.poison, "a good trade was quarantined"
            if instruction.seq not in self.acceptor.accepted:
                self.acceptor.quarantined.add(instruction.seq)

    def drop(self, worker: str) -> None:
        self.late += self.working.pop(worker)
        self.stalled.discard(worker)
        self.note(self.it.lost(worker, "connection", self.now))

    # What may happen

    @rule(count=st.integers(1, 60))
    def available(self, count: int) -> None:
        self.it.available(self.it.available_seq + count)
        self.push()

    @rule(worker=st.sampled_from(NAMES))
    def join(self, worker: str) -> None:
        if worker in self.working:  # its new connection is seen before the end of the old one
            if self.chance_kills == CHANCE_KILLS:
                return
            self.chance_kills += 1
            self.late += self.working.pop(worker)
            self.stalled.discard(worker)
        self.note(self.it.joined(worker, "v1", self.now))
        self.working[worker] = []
        self.push()

    @rule(worker=st.sampled_from(NAMES))
    def join_with_another_version(self, worker: str) -> None:
        if worker not in self.working:
            self.it.joined(worker, "v0", self.now)
            self.it.lost(worker, "connection", self.now)

    @precondition(lambda self: self.working)
    @rule(data=st.data(), any_order=st.booleans())
    def work(self, data: st.DataObject, any_order: bool) -> None:
        worker = data.draw(st.sampled_from(sorted(self.working)))
        held = self.working[worker]
        if not held or worker in self.stalled:
            return
        send = data.draw(st.sampled_from(held)) if any_order else held[0]
        if self.poison & set(range(send.first, send.last + 1)):
            if send is held[0]:
                self.drop(worker)
        else:
            held.remove(send)
            self.deliver(send)
        self.push()

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def a_late_old_or_duplicate_result_arrives(self, data: st.DataObject) -> None:
        self.deliver(data.draw(st.sampled_from(self.late)))
        self.push()

    @precondition(lambda self: self.working and self.chance_kills < CHANCE_KILLS)
    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        self.chance_kills += 1
        self.drop(data.draw(st.sampled_from(sorted(self.working))))
        self.push()

    @precondition(lambda self: self.working and self.chance_kills < CHANCE_KILLS)
    @rule(data=st.data())
    def stall(self, data: st.DataObject) -> None:
        self.chance_kills += 1
        self.stalled.add(data.draw(st.sampled_from(sorted(self.working))))

    @precondition(lambda self: self.stalled)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        self.stalled.discard(data.draw(st.sampled_from(sorted(self.stalled))))

    @rule(seconds=st.sampled_from([0.01, 0.06, 0.4, 1.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.breathe()
        self.note(self.it.tick(self.now))
        self.push()

    @precondition(lambda self: any(self.working.values()))
    @rule(data=st.data())
    def a_send_does_not_get_through(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(name for name, held in self.working.items() if held)))
        send = self.working[worker].pop()
        self.it.withdraw(send.attempt, worker, self.now)
        self.push()

    def breathe(self) -> None:
        for worker in self.working:
            if worker not in self.stalled:
                self.it.beat(worker, self.now)

    # What must hold

    @invariant()
    def no_trade_is_lost(self) -> None:
        places = self.it.places()
        somewhere = {seq for parts in places.values() for first, last in parts for seq in range(first, last + 1)}
        assert somewhere >= set(range(self.it.accepted_seq + 1, self.it.available_seq + 1))
        assert not somewhere - set(range(self.it.accepted_seq + 1, self.it.available_seq + 1))

    @invariant()
    def queue_suspects_and_accepted_are_disjoint_from_each_other_and_from_leases(self) -> None:
        places = self.it.places()
        seen: set[int] = set()
        leased = {seq for first, last in places.pop("leases") for seq in range(first, last + 1)}
        for parts in places.values():
            for first, last in parts:
                trades = set(range(first, last + 1))
                assert not trades & seen
                assert not trades & leased
                seen |= trades

    @invariant()
    def both_sides_agree_on_what_is_accepted(self) -> None:
        done = self.acceptor.accepted | self.acceptor.quarantined
        beyond = {seq for first, last in self.it.places()["accepted"] for seq in range(first, last + 1)}
        assert done == set(range(1, self.it.accepted_seq + 1)) | beyond

    @invariant()
    def windows_and_the_bound_are_kept(self) -> None:
        status = self.it.status(self.now)
        for worker in status.workers:
            assert worker.outstanding <= self.limits.window

    @invariant()
    def a_suspect_is_alone_with_its_worker(self) -> None:
        suspects = set(self.it.status(self.now).suspects) - set(self.it.places()["suspects"])
        for held in self.working.values():
            if any((send.first, send.last) in suspects for send in held[:1]):
                assert len(held) == 1

    def teardown(self) -> None:
        """Everybody works, only poison kills: all that is available becomes accepted."""
        self.stalled.clear()
        for _ in range(600):
            if self.it.accepted_seq == self.it.available_seq:
                break
            self.now += 0.2
            for worker in NAMES:
                if worker not in self.working:
                    self.note(self.it.joined(worker, "v1", self.now))
                    self.working[worker] = []
            self.breathe()
            self.push()
            for worker in list(self.working):
                held = self.working[worker]
                if held and self.poison & set(range(held[0].first, held[0].last + 1)):
                    self.drop(worker)
                elif held:
                    self.deliver(held.pop(0))
        assert self.it.accepted_seq == self.it.available_seq
        assert self.acceptor.quarantined == {seq for seq in self.poison if seq <= self.it.available_seq}


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=150, stateful_step_count=40, deadline=None, print_blob=True)
