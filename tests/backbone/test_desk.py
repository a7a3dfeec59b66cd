"""The dispatcher on an event loop: what arrives, what waits, what fails. The carrier is a list."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import monotonic

import pytest

from telemetry.backbone import Partial, Quarantined, Verdict
from telemetry.backbone.desk import INBOX, Desk
from telemetry.backbone.dispatcher import Dispatcher
from telemetry.backbone.leases import Limits, Send
from telemetry.errors import Stop
from telemetry.load import LASTING_SECONDS, RATE_SECONDS
from telemetry.wire import PartialHead

pytestmark = pytest.mark.anyio
EPOCH = 7


class Carrier:
    """A desk whose leases are carried to a list."""

    def __init__(self, *, limits: Limits | None = None) -> None:
        self.sent: list[Send] = []
        self.second = asyncio.Event()  # two were sent
        self.closed: list[str] = []
        self.dispatcher = Dispatcher(version="v1", limits=limits)
        self.more_comes = True
        self.desk = Desk(
            self.dispatcher,
            epoch=EPOCH,
            carry=self.carry,
            close=self.closed.append,
            coming=lambda: self.more_comes,
        )

    def carry(self, send: Send) -> int | None:
        self.sent.append(send)
        if len(self.sent) == 2:
            self.second.set()
        return send.last

    async def available(self, last_seq: int) -> None:
        """Tell the desk, and let its next turn come, in which leases go."""
        self.desk.available(last_seq)
        await asyncio.sleep(0)

    def join(self, *workers: str) -> None:
        for worker in workers:
            self.desk.joined(worker, "v1", generation=1, pid=1)


def partial(send: Send, *, epoch: int = EPOCH, attempt: int | None = None) -> Partial:
    head = PartialHead(
        epoch, attempt or send.attempt, send.first, send.last, send.worker, 1, "v1", send.last - send.first + 1, 0, 0, 0
    )
    return Partial(head, memoryview(b""))


async def test_a_worker_that_dies_after_its_result_arrived_is_not_charged_for_it() -> None:
    it = Carrier(limits=Limits(lease_trades=1))
    it.join("a")
    await it.available(2)
    it.desk.received(partial(it.sent[0]))
    it.desk.lost("a", "connection")
    assert it.desk.status().suspects == [(2, 2)]
    it.desk.settle(partial(it.sent[0]), Verdict.MERGED)
    assert it.desk.status().accepted_seq == 1
    it.desk.close()


async def test_leases_go_in_the_turn_after_a_commit_so_that_those_who_wait_for_it_are_answered_first() -> None:
    it = Carrier()
    it.join("a")
    it.desk.available(2)
    assert it.sent == []
    assert it.desk.status().queued_trades == 2
    await asyncio.sleep(0)
    assert [(send.first, send.last) for send in it.sent] == [(1, 2)]
    it.desk.close()


async def test_a_result_of_another_epoch_goes_to_the_aggregator_and_ends_no_lease() -> None:
    it = Carrier()
    it.join("a")
    await it.available(2)
    old = partial(it.sent[0], epoch=EPOCH - 1)
    it.desk.received(old)
    assert await it.desk.results() == [old]
    assert [row.outstanding for row in it.desk.status().workers] == [1]
    it.desk.close()


async def test_results_of_no_lease_are_refused_when_too_many_wait_but_those_of_a_lease_never() -> None:
    it = Carrier()
    it.join("a")
    await it.available(2)
    for _ in range(INBOX + 5):
        it.desk.received(partial(it.sent[0], attempt=999))
    assert it.desk.refused == 5
    it.desk.received(partial(it.sent[0]))
    assert len(await it.desk.results()) == INBOX + 1
    it.desk.close()


async def test_who_awaits_results_goes_on_in_the_callback_that_takes_one_and_out_of_a_task_in_the_next_turn() -> None:
    it = Carrier()
    it.join("a")
    await it.available(1)
    told: list[int] = []
    seen: list[int] = []

    async def wait() -> None:
        told.append(len(await it.desk.results()))

    def take() -> None:
        it.desk.received(partial(it.sent[0], attempt=998))
        seen.append(len(told))

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(take)
    async with asyncio.timeout(10):
        await waiting
    again = asyncio.create_task(wait())
    await asyncio.sleep(0)
    take()
    it.desk.received(partial(it.sent[0]))
    async with asyncio.timeout(10):
        await again
    assert (seen, told) == ([1, 1], [1, 2])
    it.desk.close()


async def test_who_is_cancelled_while_results_are_awaited_loses_none() -> None:
    it = Carrier()
    it.join("a")
    await it.available(1)
    waiting = asyncio.create_task(it.desk.results())
    await asyncio.sleep(0)
    it.desk.received(partial(it.sent[0]))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await it.desk.results() == [partial(it.sent[0])]
    it.desk.close()


async def test_what_goes_wrong_while_a_lease_is_sent_is_raised_where_results_are_awaited() -> None:
    def carry(send: Send) -> int | None:
        raise Stop("the journal is damaged")

    desk = Desk(Dispatcher(version="v1"), epoch=EPOCH, carry=carry, close=lambda worker: None)
    desk.joined("a", "v1", generation=1, pid=1)
    waiting = asyncio.create_task(desk.results())
    desk.available(1)
    with pytest.raises(Stop, match="damaged"):
        await waiting
    desk.close()


async def test_the_timer_gives_up_a_silent_worker_and_closes_its_connection() -> None:
    it = Carrier(limits=Limits(beat_seconds=0.02))
    it.join("a")
    async with asyncio.timeout(10):
        while not it.closed:  # noqa: ASYNC110 - it is the timer that is waited for
            await asyncio.sleep(0.01)  # sleeps: looks again until the deadline above
    assert it.closed == ["a"]
    it.desk.close()


async def test_whose_word_is_already_here_is_not_given_up() -> None:
    it = Carrier(limits=Limits(beat_seconds=0.02))
    words = iter(range(3))
    heard: list[int] = []

    def listen() -> None:
        for word in words:
            heard.append(word)
            it.desk.beat("a")
            return

    it.desk.close()
    it.desk = Desk(
        Dispatcher(version="v1", limits=Limits(beat_seconds=0.02)),
        epoch=EPOCH,
        carry=it.carry,
        close=it.closed.append,
        listen=listen,
    )
    it.join("a")
    async with asyncio.timeout(10):
        while not it.closed:  # noqa: ASYNC110 - it is the timer that is waited for
            await asyncio.sleep(0.01)  # sleeps: looks again until the deadline above
    assert heard == [0, 1, 2]
    it.desk.close()


async def test_a_quarantined_record_is_among_the_results() -> None:
    it = Carrier()
    it.join("a")
    await it.available(1)
    for _ in range(4):
        it.desk.lost("a", "connection")
        it.join("a")
    assert await it.desk.results() == [Quarantined(1, 3)]
    it.desk.close()


async def test_few_trades_that_wait_for_more_go_in_time_even_if_nothing_else_happens() -> None:
    it = Carrier(limits=Limits(coalesce_seconds=0.02))
    it.join("a", "b")
    await it.available(1)
    await it.available(2)
    assert len(it.sent) == 1
    async with asyncio.timeout(10):
        await it.second.wait()
    assert [(send.first, send.last, send.worker) for send in it.sent] == [(1, 1, "a"), (2, 2, "b")]
    it.desk.close()


async def test_few_trades_that_are_due_go_when_asked_for_however_late_the_event_loop_is() -> None:
    it = Carrier(limits=Limits(pace_seconds=0.02, pace_most_seconds=0.02))
    it.join("a")
    await it.available(2)
    it.desk.received(partial(it.sent[0]))
    await it.available(3)
    it.desk.push_due()
    assert len(it.sent) == 1, "they are not due yet"
    due_at = monotonic() + 0.02
    while monotonic() < due_at:
        pass
    it.desk.push_due()
    assert [(send.first, send.last) for send in it.sent] == [(1, 2), (3, 3)]
    it.desk.close()


async def test_few_trades_wait_longer_once_the_event_loop_was_loaded() -> None:
    shares = {"pace_from_share": 0.05, "pace_most_share": 0.1}  # small: others may take most of the machine
    it = Carrier(limits=Limits(pace_seconds=0.0, pace_most_seconds=60.0, coalesce_seconds=0.0, **shares))  # type: ignore[arg-type]
    it.join("a")
    for number, seconds in enumerate((0.0, 1.2 * LASTING_SECONDS), 1):
        it.dispatcher.available(number)
        it.desk.push()
        until = monotonic() + seconds
        while monotonic() < until:
            pass
        it.desk.received(partial(it.sent[-1]))
        it.desk.settle(partial(it.sent[-1]), Verdict.MERGED)
        it.dispatcher.available(number + 1)
        waits = it.dispatcher.coalescing()
        assert waits is not None
        assert (waits > monotonic() + 10) == (seconds > 0)
    it.desk.close()


async def test_few_trades_wait_longer_once_many_came_in_a_second() -> None:
    limits = Limits(pace_seconds=0.0, coalesce_seconds=0.0, bulk_seconds=60.0, bulk_from_rate=50.0, bulk_rate=100.0)
    limits = replace(limits, pace_from_share=8.0, pace_most_share=9.0, full_share=10.0)  # cores: none has so many
    for trades, waits_long in ((1, False), (1_000, True)):
        it = Carrier(limits=limits)
        it.join("a")
        await it.available(trades)
        until_looked = monotonic() + 1.5 * RATE_SECONDS
        while monotonic() < until_looked:
            pass
        it.desk.received(partial(it.sent[-1]))
        it.desk.settle(partial(it.sent[-1]), Verdict.MERGED)
        it.dispatcher.available(trades + 1)
        until = it.dispatcher.coalescing()
        assert until is not None
        assert (until > monotonic() + 10) == waits_long
        it.desk.close()


async def test_few_trades_go_soon_when_nothing_more_comes_after_all() -> None:
    it = Carrier(limits=Limits(bulk_seconds=60.0, pace_most_seconds=0.3))
    it.join("a")
    await it.available(1)
    it.desk.received(partial(it.sent[0]))
    it.desk.settle(partial(it.sent[0]), Verdict.MERGED)
    it.dispatcher.patience.note_load(0.0, it.dispatcher.limits.bulk_rate)
    await it.available(2)
    assert len(it.sent) == 1, "expected them to wait for a minute"
    it.more_comes = False
    it.desk.push()
    assert len(it.sent) == 1, "expected them to wait as under a moderate load"
    async with asyncio.timeout(10):
        await it.second.wait()
    it.desk.close()
