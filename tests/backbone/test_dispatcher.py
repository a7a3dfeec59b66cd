"""The dispatcher's rules, one sentence each. No clock, no socket: `now` is an argument."""

from __future__ import annotations

from time import perf_counter

import pytest

from telemetry.backbone import Quarantined, Verdict
from telemetry.backbone.dispatcher import Dispatcher
from telemetry.backbone.leases import Close, Limits, Send
from telemetry.errors import Stop


def dispatcher(*workers: str, available: int = 0, applied: int = 0, **limits: float) -> Dispatcher:
    limits = {"coalesce_trades": 0} | limits  # waiting for more has tests of its own
    it = Dispatcher(version="v1", applied=applied, limits=Limits(**limits))  # type: ignore[arg-type]
    it.available(available)
    for worker in workers:
        it.joined(worker, "v1", 0.0)
    return it


def settle(it: Dispatcher, send: Send, verdict: Verdict = Verdict.MERGED, now: float = 0.0) -> None:
    it.settle(send.first, send.last, send.worker, send.attempt, verdict, now)


def keep_alive(it: Dispatcher, now: float) -> None:
    for worker in it.status(now).workers:
        it.beat(worker.id, now)


def ranges(sends: list[Send]) -> list[tuple[int, int]]:
    return [(send.first, send.last) for send in sends]


def only(sends: list[Send]) -> Send:
    assert len(sends) == 1, sends
    return sends[0]


# Rule 2: work is a contiguous range


def test_a_lease_takes_all_that_is_contiguous_and_undispatched() -> None:
    it = dispatcher("a")
    it.available(3)
    it.available(10)
    assert ranges(it.next(0)) == [(1, 10)]


def test_a_lease_takes_at_most_the_agreed_number_of_trades() -> None:
    assert ranges(dispatcher("a", available=25, lease_trades=10).next(0)) == [(1, 10), (11, 20), (21, 25)]


def test_a_lease_never_crosses_a_multiple_of_align() -> None:
    it = dispatcher("a", "b", applied=3, available=25, align=8)
    assert ranges(it.next(0)) == [(4, 8), (9, 16), (17, 24), (25, 25)]


def test_dispatch_begins_after_what_was_applied_before_the_start() -> None:
    assert ranges(dispatcher("a", applied=41, available=50).next(0)) == [(42, 50)]


def test_nothing_is_dispatched_before_it_is_available() -> None:
    it = dispatcher("a", available=5)
    it.next(0)
    assert it.next(0) == []


def test_ranges_that_came_back_coalesce_with_what_is_new() -> None:
    it = dispatcher("a", available=5)
    settle(it, only(it.next(0)), Verdict.OVERLAP)
    it.available(9)
    assert ranges(it.next(0)) == [(1, 9)]


def test_each_operation_is_quick_with_a_million_trades_of_backlog() -> None:
    it = dispatcher(*"abcdefgh", available=1_000_000, lease_trades=10)
    started, leases = perf_counter(), 0
    while leases < 5_000:
        for send in it.next(0.0):
            settle(it, send)
            leases += 1
    # Generous for a busy machine: 0.05 ms is usual; work proportional to the backlog would take seconds.
    assert (perf_counter() - started) / leases < 0.002


# Few trades wait, but not for long: for a lease that is out, and for more of them


def busy(*workers: str, **limits: float) -> tuple[Dispatcher, Send]:
    """A dispatcher with one lease of trade 1 out, sent at 0, and leases of fewer than 10 that wait 5 ms at most."""
    limits = {"coalesce_trades": 10, "coalesce_seconds": 0.005, "pace_seconds": 0.0} | limits
    it = dispatcher(*workers, **limits)  # type: ignore[arg-type]
    it.available(1)
    return it, only(it.next(0))


def test_a_single_trade_goes_at_once_when_no_lease_is_out() -> None:
    it, send = busy("a", "b")
    assert (send.first, send.last) == (1, 1)
    assert it.coalescing() is None


def test_few_trades_wait_a_little_for_more_after_the_lease_before_also_when_that_has_returned() -> None:
    it, send = busy("a", "b", pace_seconds=0.004)
    it.received(send.worker, send.attempt, 0.001)
    settle(it, send, now=0.001)
    it.available(2)
    assert it.next(0.002) == []
    assert it.coalescing() == it.deadline() == 0.004
    it.available(3)
    assert ranges(it.next(0.004)) == [(2, 3)]
    it.available(4)
    assert ranges(it.next(0.02)) == [(4, 4)]


def test_the_longer_results_take_to_be_merged_the_longer_few_trades_wait_up_to_a_limit() -> None:
    limits = {"pace_seconds": 0.004, "pace_factor": 2.0, "pace_most_seconds": 0.012}
    for merging, wait in ((0.001, 0.004), (0.003, 0.006), (0.020, 0.012)):
        it, send = busy("a", "b", **limits)
        it.received(send.worker, send.attempt, 1.0)
        settle(it, send, now=1.0 + merging)
        it.available(2)
        only(it.next(2.0))
        it.available(3)
        assert it.received("a", 2, 2.0) or it.received("b", 2, 2.0)
        assert it.coalescing() == pytest.approx(2.0 + wait)


def test_the_more_of_a_core_the_event_loop_takes_the_longer_few_trades_wait_up_to_a_limit() -> None:
    limits = {"pace_seconds": 0.004, "pace_most_seconds": 0.012, "pace_from_share": 0.5, "pace_most_share": 0.7}
    limits["full_seconds"] = 0.0
    for share, wait in ((0.0, 0.004), (0.5, 0.004), (0.6, 0.008), (0.7, 0.012), (1.0, 0.012)):
        it, send = busy("a", "b", **limits)
        it.received(send.worker, send.attempt, 0.001)
        settle(it, send, now=0.001)
        it.patience.note_load(share)
        it.available(2)
        assert it.coalescing() == pytest.approx(wait)


def test_an_event_loop_without_time_to_spare_gives_larger_leases_up_to_a_limit() -> None:
    limits = {"pace_most_share": 0.7, "full_share": 0.9, "pace_most_seconds": 0.01, "full_seconds": 0.03}
    for share, wait, enough in ((0.7, 0.01, 10), (0.8, 0.02, 20), (0.9, 0.03, 30), (1.0, 0.03, 30)):
        it, send = busy("a", "b", full_trades=30, **limits)
        it.received(send.worker, send.attempt, 0.0)
        settle(it, send, now=0.0)
        it.patience.note_load(share)
        it.available(enough)
        assert it.coalescing() == pytest.approx(wait)
        it.available(1 + enough)
        assert it.coalescing() is None


def test_the_more_trades_come_in_a_second_the_larger_leases_are_however_little_the_event_loop_takes() -> None:
    limits = {"bulk_from_rate": 1e6, "bulk_rate": 2e6, "bulk_seconds": 0.03, "pace_most_seconds": 0.01}
    for rate, wait, enough in ((1e6, 0.0, 10), (1.5e6, 0.015, 20), (2e6, 0.03, 30), (9e6, 0.03, 30)):
        it, send = busy("a", "b", bulk_trades=30, **limits)
        it.received(send.worker, send.attempt, 0.0)
        settle(it, send, now=0.0)
        it.patience.note_load(0.0, rate)
        it.available(enough)
        assert it.coalescing() == pytest.approx(wait)
        it.available(1 + enough)
        assert it.coalescing() is None


def test_few_trades_wait_no_longer_than_under_a_moderate_load_when_nothing_more_is_coming() -> None:
    limits = {"bulk_from_rate": 1e6, "bulk_rate": 2e6, "bulk_seconds": 0.03, "pace_most_seconds": 0.01}
    it, send = busy("a", "b", **limits)
    it.received(send.worker, send.attempt, 0.0)
    settle(it, send, now=0.0)
    it.patience.note_load(1.0, 2e6)
    it.available(2)
    assert it.coalescing() == pytest.approx(0.03)
    it.patience.expects_more = False
    assert it.coalescing() == pytest.approx(0.01)
    assert ranges(it.next(0.01)) == [(2, 2)]


def test_as_set_few_trades_go_soon_while_the_event_loop_has_time_to_spare_and_late_when_it_has_none() -> None:
    as_set = Limits()
    half, bulk = 1_600_000, 3_000_000
    for share, rate, least, most in (
        (0.3, 0, 0.003, 0.003),
        (0.73, half, 0.003, 0.004),
        (0.73, bulk, 0.012, 0.012),
        (0.93, half, 0.008, 0.008),
        (0.93, bulk, 0.012, 0.012),
    ):
        it = dispatcher("a", coalesce_trades=as_set.coalesce_trades)
        it.available(1)
        settle(it, only(it.next(0.0)), now=0.0)
        it.patience.note_load(share, rate)
        it.available(2)
        wait = it.coalescing()
        assert wait is not None
        assert least <= wait <= most


def test_few_trades_wait_for_the_return_of_a_lease_and_then_go_together() -> None:
    it, send = busy("a", "b")
    it.available(2)
    assert it.next(0.001) == []
    it.available(5)
    assert it.next(0.002) == []
    assert it.received(send.worker, send.attempt, 0.003)
    assert ranges(it.next(0.003)) == [(2, 5)]


def test_few_trades_go_as_soon_as_they_are_enough() -> None:
    it, _ = busy("a", "b")
    it.available(10)
    assert it.next(0.001) == []
    it.available(11)
    assert ranges(it.next(0.001)) == [(2, 11)]


def test_a_stalled_worker_holds_few_trades_back_for_milliseconds_only_and_that_instant_is_announced() -> None:
    it, _ = busy("a", "b")
    it.available(2)
    assert it.next(0.004) == []
    assert it.coalescing() == it.deadline() == 0.005
    send = only(it.next(0.005))
    assert (send.first, send.last, send.worker) == (2, 2, "b")


def test_few_trades_wait_at_most_twice_the_median_of_recent_leases() -> None:
    it, send = busy("a", "b")
    it.received(send.worker, send.attempt, 0.001)
    settle(it, send, now=0.001)
    it.available(2)
    only(it.next(0.010))
    it.available(3)
    assert it.next(0.0115) == []
    assert ranges(it.next(0.012)) == [(3, 3)]


def test_few_trades_go_when_the_worker_that_holds_the_lease_is_lost() -> None:
    it, _ = busy("a", "b", "c", coalesce_seconds=9.0)
    it.available(2)
    assert it.next(0.001) == []
    it.lost("a", "connection", 0.001)
    assert (2, 2) in ranges(it.next(0.001))


def test_few_trades_go_when_the_lease_could_not_be_sent() -> None:
    it, send = busy("a", "b", coalesce_seconds=9.0)
    it.available(2)
    it.withdraw(send.attempt, send.worker, 0.001)
    assert ranges(it.next(0.001)) == [(1, 2)]


def test_trades_that_came_back_do_not_wait_for_newer_ones() -> None:
    it, send = busy("a", "b", coalesce_seconds=9.0)
    it.available(20)
    later = only(it.next(0))
    it.available(40)
    only(it.next(0))
    settle(it, send, Verdict.OVERLAP)
    assert later.first == 2
    assert ranges(it.next(0)) == [(1, 1)]


def test_what_a_boundary_cuts_short_does_not_wait_for_more() -> None:
    it, _ = busy("a", "b", align=4, coalesce_seconds=9.0)
    it.available(4)
    assert ranges(it.next(0)) == [(2, 4)]


def test_a_backlog_goes_to_all_workers_at_once() -> None:
    it = dispatcher("a", "b", available=30, lease_trades=10, coalesce_trades=10)
    assert ranges(it.next(0)) == [(1, 10), (11, 20), (21, 30)]


# Rule 3: a window for each worker, a bound for all


def test_a_worker_holds_at_most_its_window() -> None:
    it = dispatcher("a", "b", available=100, lease_trades=1, window=3)
    first, *_ = it.next(0)
    it.withdraw(first.attempt, "a", 0)  # a rests, so its share of the bound is free
    it.next(0)
    assert {worker.id: worker.outstanding for worker in it.status(0).workers} == {"a": 2, "b": 3}


def test_a_returned_lease_makes_room_for_one_more() -> None:
    it = dispatcher("a", available=100, lease_trades=1)
    first, *_ = it.next(0)
    settle(it, first)
    assert ranges(it.next(0)) == [(4, 4)]


def test_leases_go_to_whoever_holds_fewest() -> None:
    it = dispatcher("a", "b", available=4, lease_trades=1)
    assert [send.worker for send in it.next(0)] == ["a", "b", "a", "b"]


def test_what_is_leased_or_waits_for_the_oldest_range_is_bounded() -> None:
    it = dispatcher("slow", "quick", available=1000, lease_trades=1, window=2, second_unknown_seconds=9.0)
    sends = it.next(0)
    for _ in range(20):
        for send in sends:
            if send.worker == "quick":
                settle(it, send, Verdict.WAITING)
        sends = it.next(0)
        status = it.status(0)
        assert sum(worker.outstanding for worker in status.workers) + status.waiting <= 4
    assert status.waiting == 2


def test_the_oldest_missing_range_goes_out_whatever_the_bound_says() -> None:
    it = dispatcher("a", "b", available=100, lease_trades=1, window=2)
    sends = it.next(0)
    for send in sends:
        if send.worker == "b":
            settle(it, send, Verdict.WAITING)
    it.lost("a", "connection", 0)
    assert it.status(0).waiting == 2  # all that one worker may have
    assert only(it.next(0)).first == 1


def test_a_send_that_was_not_carried_out_is_dispatched_again_and_its_worker_rests_until_its_next_heartbeat() -> None:
    it = dispatcher("a", available=5)
    send = only(it.next(0))
    it.withdraw(send.attempt, send.worker, 0)
    assert it.next(0) == []
    it.beat("a", 0.1)
    assert ranges(it.next(0.1)) == [(1, 5)]


def test_a_lease_that_was_cut_leaves_its_rest_to_the_next() -> None:
    it = dispatcher("a", "b", available=10)
    send = only(it.next(0))
    it.withdraw(send.attempt, send.worker, 0, beyond=4)
    assert ranges(it.next(0)) == [(5, 10)]
    it.settle(1, 4, "a", send.attempt, Verdict.MERGED, 0)
    assert it.accepted_seq == 4


# Rule 4: leases end


def test_a_lost_worker_s_ranges_are_dispatched_to_others_at_once() -> None:
    it = dispatcher("a", available=3, lease_trades=1)
    it.next(0)
    it.lost("a", "connection", 0)
    it.joined("b", "v1", 0)
    sends = it.next(0)
    assert sorted(ranges(sends))[0] in {(1, 1), (2, 2)}
    assert it.status(0).redelivered == {"connection": 3}


def test_a_worker_that_misses_three_heartbeats_is_given_up() -> None:
    it = dispatcher("a", available=1)
    it.next(0)
    assert it.tick(1.49) == []
    assert it.tick(1.5) == [Close("a", "heartbeat")]
    it.joined("b", "v1", 1.5)
    assert ranges(it.next(1.5)) == [(1, 1)]


def test_a_worker_that_holds_a_lease_beyond_its_deadline_is_given_up_though_its_heart_beats() -> None:
    it = dispatcher("a", available=1)
    it.next(0)
    it.beat("a", 4.9)
    assert it.tick(4.99) == []
    assert it.tick(5.0) == [Close("a", "deadline")]


def test_a_deadline_counts_from_when_a_lease_is_its_worker_s_oldest() -> None:
    it = dispatcher("a", available=2, lease_trades=1)
    first, _ = it.next(0)
    settle(it, first, now=4.0)
    it.beat("a", 8.9)
    assert it.tick(8.9) == []
    assert it.tick(9.0) == [Close("a", "deadline")]


def test_a_result_that_has_arrived_is_not_charged_when_its_worker_dies_before_the_verdict() -> None:
    it = dispatcher("a", available=2, lease_trades=1)
    first, _ = it.next(0)
    it.received("a", first.attempt, 0)
    it.lost("a", "connection", 0)
    assert it.status(0).suspects == [(2, 2)]
    settle(it, first)
    assert it.accepted_seq == 1


def test_a_dropped_result_of_a_worker_that_died_meanwhile_is_dispatched_again() -> None:
    it = dispatcher("a", available=1)
    send = only(it.next(0))
    it.received("a", send.attempt, 0)
    it.lost("a", "connection", 0)
    it.joined("b", "v1", 0)
    assert it.next(0) == []
    settle(it, send, Verdict.UNDECODABLE)
    assert ranges(it.next(0)) == [(1, 1)]


def test_a_new_generation_of_a_worker_loses_what_the_old_one_held() -> None:
    it = dispatcher("a", available=1)
    it.next(0)
    it.joined("a", "v1", 0, generation=2)
    assert ranges(it.next(0)) == [(1, 1)]
    assert it.status(0).redelivered == {"replaced": 1}


def test_the_next_deadline_is_the_earliest_of_heartbeats_leases_and_the_second_lease() -> None:
    it = dispatcher("a", "b", available=1)
    assert it.deadline() == 1.5
    it.next(0)
    assert it.deadline() == 1.0  # nothing has returned yet, so a second lease waits a second
    it.lost("b", "connection", 0)
    assert it.deadline() == 1.5


# Rule 5: one version


def test_a_worker_of_another_version_gets_no_lease_and_is_shown_as_such() -> None:
    it = dispatcher(available=5)
    it.joined("old", "v0", 0)
    assert it.next(0) == []
    (row,) = it.status(0).workers
    assert (row.version, row.version_ok) == ("v0", False)


# Rule 6: verdicts


@pytest.mark.parametrize("verdict", [v for v in Verdict if not v.accepted and v is not Verdict.EPOCH])
def test_what_the_aggregator_dropped_returns_to_the_queue_at_once(verdict: Verdict) -> None:
    it = dispatcher("a", "b", available=5)
    settle(it, only(it.next(0)), verdict)
    assert ranges(it.next(0)) == [(1, 5)]
    assert it.status(0).dropped == {verdict.value: 1}
    assert it.status(0).suspects == []


def test_a_worker_whose_results_are_useless_rests_until_its_next_heartbeat() -> None:
    it = dispatcher("a", available=5)
    settle(it, only(it.next(0)), Verdict.COUNT)
    assert it.next(0) == []
    it.beat("a", 0.5)
    assert ranges(it.next(0.5)) == [(1, 5)]


def test_a_result_of_another_epoch_does_not_end_the_lease_of_the_same_number() -> None:
    it = dispatcher("a", available=5)
    send = only(it.next(0))
    settle(it, send, Verdict.EPOCH)
    assert it.next(0) == []
    assert it.status(0).leased == 1


def test_a_late_result_of_a_lost_worker_is_accepted_and_releases_the_range() -> None:
    it = dispatcher("a", available=10)
    late = only(it.next(0))
    it.lost("a", "heartbeat", 0)
    settle(it, late)
    it.joined("b", "v1", 0)
    assert it.next(0) == []
    assert it.accepted_seq == 10
    assert it.status(0).suspects == []


def test_a_late_result_trims_what_is_queued_again() -> None:
    it = dispatcher("a", available=20, lease_trades=10)
    _, late = it.next(0)
    it.lost("a", "heartbeat", 0)
    it.available(30)
    settle(it, late, Verdict.WAITING)
    assert it.places() == {"queue": [(21, 30)], "suspects": [(1, 10)], "leases": [], "accepted": [(11, 20)]}


def test_the_part_of_a_dropped_result_that_is_leased_elsewhere_is_not_dispatched_again() -> None:
    it = dispatcher("a", "b", available=10)
    first = only(it.next(0))
    keep_alive(it, 1.0)
    second = only(it.next(1.0))
    settle(it, first, Verdict.UNDECODABLE, 1.0)
    assert it.next(1.0) == []
    settle(it, second, now=1.0)
    assert it.accepted_seq == 10


def test_another_lease_of_an_accepted_range_stays_in_its_window_and_is_not_queued_again() -> None:
    it = dispatcher("a", "b", available=10)
    first = only(it.next(0))
    keep_alive(it, 1.0)
    settle(it, only(it.next(1.0)), now=1.0)
    assert [worker.outstanding for worker in it.status(1.0).workers] == [1, 0]
    settle(it, first, Verdict.APPLIED, 2.0)
    assert [worker.outstanding for worker in it.status(2.0).workers] == [0, 0]
    assert it.next(2.0) == []


def test_a_trade_that_is_accepted_twice_stops_the_gateway_and_changes_nothing() -> None:
    it = dispatcher("a", available=20, lease_trades=10)
    first, _second = it.next(0)
    settle(it, first)
    before = it.status(0), it.places()
    with pytest.raises(Stop, match=r"accepted once, 10\.\.10"):
        it.settle(10, 12, "a", 99, Verdict.MERGED, 0)
    with pytest.raises(Stop, match="within 1"):
        it.settle(20, 21, "a", 99, Verdict.MERGED, 0)
    assert (it.status(0), it.places()) == before


def test_ranges_that_wait_count_as_accepted_up_to_the_first_gap() -> None:
    it = dispatcher("a", available=30, lease_trades=10)
    one, two, three = it.next(0)
    settle(it, three, Verdict.WAITING)
    settle(it, one)
    assert (it.accepted_seq, it.status(0).waiting) == (10, 1)
    settle(it, two)
    assert (it.accepted_seq, it.status(0).waiting) == (30, 0)


# Rule 6: the oldest range a second time


def quick_lease(it: Dispatcher, seconds: float) -> None:
    """Let one lease of one trade return after `seconds`, so that there is a median."""
    it.available(it.available_seq + 1)
    settle(it, only(it.next(0.0)), now=seconds)


def test_the_oldest_range_is_leased_a_second_time_when_it_takes_four_times_the_median() -> None:
    it = dispatcher("a", "b")
    quick_lease(it, 0.1)
    it.available(5)
    slow = only(it.next(1.0))
    assert it.next(1.39) == []
    again = only(it.next(1.41))
    assert (again.first, again.last) == (slow.first, slow.last)
    assert again.worker != slow.worker
    assert again.attempt != slow.attempt
    assert it.next(1.45) == []


def test_a_second_lease_never_goes_to_the_worker_that_has_the_first() -> None:
    it = dispatcher("a")
    quick_lease(it, 0.1)
    it.available(5)
    it.next(1.0)
    assert it.next(3.0) == []


def test_of_equally_loaded_workers_the_one_that_waited_longest_is_next() -> None:
    it = dispatcher("a", "b")
    order = []
    for seq in range(1, 5):
        it.available(seq)
        send = only(it.next(0))
        order.append(send.worker)
        settle(it, send)
    assert order == ["a", "b", "a", "b"]


def test_a_second_lease_waits_for_its_floor() -> None:
    it = dispatcher("a", "b")
    quick_lease(it, 0.0001)
    it.available(5)
    it.next(1.0)
    assert it.next(1.049) == []
    assert len(it.next(1.051)) == 1


def test_only_the_oldest_range_is_leased_a_second_time() -> None:
    it = dispatcher("a", "b", "c")
    quick_lease(it, 0.1)
    it.available(2)
    it.next(1.0)
    it.available(3)
    it.next(1.0)
    assert ranges(it.next(1.41)) == [(2, 2)]


def test_a_stalled_worker_s_next_range_is_leased_again_as_soon_as_it_is_the_oldest() -> None:
    it = dispatcher("a", lease_trades=1)
    quick_lease(it, 0.1)
    it.available(3)
    it.next(1.0)
    it.joined("b", "v1", 1.0)
    settle(it, only(it.next(1.41)), now=1.42)
    assert ranges(it.next(1.42)) == [(3, 3)]


def test_a_result_that_waits_for_its_verdict_is_not_leased_a_second_time() -> None:
    it = dispatcher("a", "b", available=1)
    send = only(it.next(0))
    it.received("a", send.attempt, 0.1)
    assert it.next(1.4) == []


# Rule 9: poison


def die(it: Dispatcher, worker: str, now: float = 0.0) -> list[Quarantined]:
    """The worker dies over what it does and is started again."""
    quarantined = it.lost(worker, "connection", now)
    it.joined(worker, "v1", now)
    return quarantined


def test_a_dead_worker_charges_only_its_oldest_unreturned_range() -> None:
    it = dispatcher("a", available=30, lease_trades=10)
    first, *_ = it.next(0)
    settle(it, first)
    it.lost("a", "connection", 0)
    assert it.places() == {"queue": [(21, 30)], "suspects": [(11, 20)], "leases": [], "accepted": []}


@pytest.mark.parametrize("now", [1.5, 5.0])
def test_a_hang_charges_like_a_death(now: float) -> None:
    it = dispatcher("a", available=1)
    it.next(0)
    if now == 5.0:
        it.beat("a", 4.9)
    it.tick(now)
    assert it.status(now).suspects == [(1, 1)]


def test_a_suspect_is_retried_by_a_worker_that_holds_nothing_else() -> None:
    it = dispatcher("a", "b", available=60, lease_trades=10)
    sends = it.next(0)
    it.lost("a", "connection", 0)  # 1..10 is suspected; b holds three leases
    assert it.next(0) == []
    *others, last = [send for send in sends if send.worker == "b"]
    for send in others:
        settle(it, send, Verdict.WAITING)
        assert it.next(0) == []  # b is to become empty, so it is given nothing
    settle(it, last, Verdict.WAITING)
    assert ranges(it.next(0)) == [(1, 10)]
    assert it.next(0) == []


def test_a_suspect_that_passes_alone_is_cleared() -> None:
    it = dispatcher("a", available=10)
    it.next(0)
    die(it, "a")
    settle(it, only(it.next(0)))
    assert it.accepted_seq == 10
    assert it.status(0).suspects == []


def test_a_suspect_that_kills_again_is_bisected() -> None:
    it = dispatcher("a", available=10)
    it.next(0)
    die(it, "a")
    it.next(0)
    die(it, "a")
    assert it.status(0).suspects == [(1, 5), (6, 10)]


def test_a_result_dropped_by_the_aggregator_is_no_attempt_and_a_suspect_stays_one() -> None:
    it = dispatcher("a", available=10)
    it.next(0)
    die(it, "a")
    settle(it, only(it.next(0)), Verdict.OVERLAP)
    assert it.status(0).suspects == [(1, 10)]


def test_three_deaths_alone_quarantine_a_single_record_which_then_counts_as_accepted() -> None:
    it = dispatcher("a", available=1)
    it.next(0)
    assert die(it, "a") == []
    for deaths_alone in (1, 2, 3):
        assert ranges(it.next(0)) == [(1, 1)]
        assert die(it, "a") == ([Quarantined(1, 3)] if deaths_alone == 3 else [])
    assert it.accepted_seq == 1
    assert it.next(0) == []
    assert it.status(0).quarantined == 1


def test_one_poisoned_record_of_a_thousand_is_found_and_all_others_are_accepted() -> None:
    it = dispatcher("a", "b", available=1000)
    quarantined: list[Quarantined] = []
    deaths = 0
    while it.accepted_seq < 1000:
        sends = it.next(0)
        assert sends, it.places()
        for send in sends:
            if send.first <= 700 <= send.last:
                quarantined += die(it, send.worker)
                deaths += 1
            else:
                settle(it, send, Verdict.WAITING)
    assert quarantined == [Quarantined(700, 3)]
    assert deaths <= 1 + 11 + 3  # once in company, once alone at each size from 1,000 down to 2, three times at 1


def test_other_ranges_go_on_on_other_workers_while_a_suspect_is_retried() -> None:
    it = dispatcher("a", "b", available=500, lease_trades=10, window=3)
    sends = [send for send in it.next(0) if send.worker == "b"]
    die(it, "a")
    sends += it.next(0)
    assert [send.worker for send in sends if send.first == 1] == ["a"]
    for send in [send for send in sends if send.worker == "b"]:
        settle(it, send, Verdict.WAITING)
    assert {send.worker for send in it.next(0)} == {"b"}


def test_two_suspects_are_retried_one_after_the_other() -> None:
    it = dispatcher("a", "b", available=20, lease_trades=10)
    it.next(0)
    die(it, "a")
    die(it, "b")
    first = only(it.next(0))
    settle(it, first)
    second = only(it.next(0))
    assert [(first.first, first.last), (second.first, second.last)] == [(1, 10), (11, 20)]


def test_with_one_worker_a_good_range_has_its_turn_between_two_retries_of_a_suspect() -> None:
    it = dispatcher("a", available=40, lease_trades=10, window=4)
    it.next(0)
    die(it, "a")
    order = []
    for _ in range(4):
        send = only(it.next(0))
        order.append("suspect" if send.last <= 10 else "good")
        if send.last <= 10:
            die(it, "a")
        else:
            settle(it, send, Verdict.WAITING)
    assert order == ["suspect", "good", "suspect", "good"]


def test_a_suspect_is_not_leased_a_second_time() -> None:
    it = dispatcher("a", "b", available=10)
    it.next(0)
    die(it, "a")
    only(it.next(0))
    keep_alive(it, 4.0)
    assert it.next(4.0) == []


def test_a_result_that_was_on_its_way_when_its_record_was_quarantined_is_no_conflict() -> None:
    it = dispatcher("a", available=1)
    late = only(it.next(0))
    for _ in range(4):
        die(it, "a")
        it.next(0)
    assert it.status(0).quarantined == 1
    settle(it, late)
    assert it.accepted_seq == 1
