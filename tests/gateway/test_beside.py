"""Patterns are taken in beside the event loop: nobody sees them half done, or out of order, or merging far ahead."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.aggregator import Aggregator
from gateway.snapshot import Snapshot
from gateway.state.beside import Beside, Work
from gateway.state.patterns import AHEAD, Parts, compiled_parts
from tests.gateway.test_aggregator import EPOCH
from tests.gateway.test_patterns import SECOND, all_shown, some, state_of


class Late:
    """Does work when somebody waits for its end, and not before."""

    def __init__(self) -> None:
        self.begun = self.done = self.most = 0

    def __call__(self, work: Work) -> Callable[[], object]:
        """See Begin."""
        self.begun += 1
        self.most = max(self.most, self.begun - self.done)

        def end() -> None:
            work()
            self.done += 1

        return end


@pytest.mark.parametrize("parts", [Parts(), compiled_parts()], ids=["plain", "compiled"])
def test_who_reads_sees_all_that_was_merged_although_it_was_not_taken_in(parts: Parts) -> None:
    trades = some(random.Random(11), 2_000, 80_000 * SECOND)
    late = Late()
    state = state_of(trades, [], atoms=1_000, parts=replace(parts, begin=lambda: late))
    assert late.done < late.begun
    assert all_shown(state) == all_shown(state_of(trades, [700], atoms=1_000))
    assert late.done == late.begun


def test_a_snapshot_holds_what_was_not_taken_in(tmp_path: Path) -> None:
    trades = some(random.Random(12), 2_000, 80_000 * SECOND)
    parts = replace(compiled_parts(), begin=Late)
    Snapshot(tmp_path / "s.db", "journal").save(state_of(trades, [], atoms=1_000, parts=parts))
    restored = Aggregator(epoch=EPOCH, atoms=1_000)
    assert Snapshot(tmp_path / "s.db", "journal").load(restored, newest=2_000) is None
    assert all_shown(restored) == all_shown(state_of(trades, [], atoms=1_000))


def test_merging_is_not_further_ahead_than_it_may_be() -> None:
    late = Late()
    state_of(some(random.Random(13), 2_000, 80_000 * SECOND), [], atoms=1_000, parts=Parts(begin=lambda: late))
    assert late.most == AHEAD < late.begun


def test_what_failed_beside_is_told_to_all_who_read_later() -> None:
    def broken() -> None:
        raise MemoryError("no memory for a table")

    def fail(_: Work) -> Callable[[], object]:
        return broken

    state = state_of(some(random.Random(14), 100, SECOND), [], atoms=1_000, parts=Parts(begin=lambda: fail))
    for _ in range(2):
        with pytest.raises(MemoryError):
            all_shown(state)


def test_beside_is_one_thread_that_keeps_the_order_and_raises_what_its_work_did() -> None:
    beside, held, found = Beside(), threading.Event(), list[object]()

    def first() -> None:
        assert held.wait(60)
        found.append(threading.get_ident())

    def second() -> None:
        found.append(threading.get_ident())
        raise ValueError("broken")

    ends = [beside(first), beside(second)]
    assert found == []
    held.set()
    with pytest.raises(ValueError, match="broken"):
        ends[1]()
    ends[0]()
    assert found[0] == found[1] != threading.get_ident()
