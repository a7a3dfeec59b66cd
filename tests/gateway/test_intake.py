"""The way into the journal: groups, duplicates, keys and multipliers, and what becomes of them when a commit fails."""

from __future__ import annotations

import asyncio
import gc
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from hashlib import blake2b
from typing import Any
from weakref import ref

import pytest

from gateway.ingestion.group import Receipt, RequestKey
from gateway.ingestion.slots import MakeSlots, Slots
from gateway.intake import MAX_TRADES, Intake
from gateway.keys import KeyIndex, RequestIndex, compiled_slots
from gateway.latency import Latency
from telemetry.backbone import Committed, Group, Partial, Quarantined, Status, Verdict
from telemetry.backbone.record import Record, decode_record
from telemetry.columns import decode_frame
from telemetry.decode import Batch, decode_body
from telemetry.decode_compiled import available
from telemetry.digests import Digests
from telemetry.errors import InvalidInput, Stop, TelemetryError, TryAgain
from tests.gateway.test_aggregator import NOW

pytestmark = pytest.mark.anyio


class Journal:
    """A backbone that keeps records in memory; a commit waits for the test, and ends as the test says."""

    def __init__(self, *, durable: bool = True) -> None:
        self.kept: list[Record] = []
        self.arrived = asyncio.Event()
        self._durable = durable
        self.orders: asyncio.Queue[Exception | None] = asyncio.Queue()
        self._last = 0

    def let(self, error: Exception | None = None, times: int = 1) -> None:
        """The next commits may end."""
        for _ in range(times):
            self.orders.put_nowait(error)

    async def append(self, group: Group) -> Committed:
        self.arrived.set()
        error = await self.orders.get()
        self.arrived.clear()
        if error is not None:
            raise error
        record = decode_record(group.record_bytes(self._last + 1, self._last))
        assert record is not None
        assert record.count == group.count
        self.kept.append(record)
        first, self._last = self._last + 1, self._last + record.count
        return Committed(first, self._last, self._durable)

    def records(self, first: int, last: int) -> Iterator[Record]:
        return iter(self.kept)

    async def start(self, *, epoch: int, applied: int) -> None: ...

    async def results(self) -> list[Partial | Quarantined]:
        raise NotImplementedError

    def settle(self, result: Partial, verdict: Verdict) -> None: ...

    def status(self) -> Status:
        raise NotImplementedError


@asynccontextmanager
async def running(
    journal: Journal, limit: int = 1000, capacity: int = 10_000, slots: MakeSlots = Slots
) -> AsyncIterator[Intake]:
    intake = Intake(journal, KeyIndex(capacity, slots=slots), RequestIndex(capacity), Latency(), limit=limit)
    task = asyncio.create_task(intake.run())
    try:
        yield intake
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, TelemetryError):
            await task


def batch(*trades: dict[str, Any]) -> Batch:
    whole = [{"symbol": "A", "quantity": 1, "price": 2} | fields for fields in trades]
    return decode_body(json.dumps(whole).encode(), "json", NOW)


def key(name: str, body: str = "body") -> RequestKey:
    return RequestKey(blake2b(name.encode(), digest_size=16).digest(), blake2b(body.encode(), digest_size=16).digest())


def put(intake: Intake, *trades: dict[str, Any], key: RequestKey | None = None) -> Receipt:
    return intake.put(batch(*trades), received_ns=0, key=key)


async def waiting(intake: Intake, receipt: Receipt) -> asyncio.Task[Receipt]:
    """The task of a client that waits for its answer."""
    task = asyncio.create_task(intake.committed(receipt))
    await asyncio.sleep(0)
    return task


def seqs(receipt: Receipt) -> tuple[int, int, int | None, int | None]:
    return receipt.accepted, receipt.duplicates, receipt.first_seq, receipt.last_seq


async def test_requests_that_come_during_a_commit_share_the_next_one() -> None:
    journal = Journal()
    async with running(journal) as intake:
        first = await waiting(intake, put(intake, {}))
        await journal.arrived.wait()
        others = [await waiting(intake, put(intake, *[{}] * count)) for count in (1, 3, 2)]
        assert intake.waiting == 7
        journal.let(times=2)
        assert seqs(await first) == (1, 0, 1, 1)
        assert [seqs(await other) for other in others] == [(1, 0, 2, 2), (3, 0, 3, 5), (2, 0, 6, 7)]
        assert [record.count for record in journal.kept] == [1, 6]
        assert intake.waiting == 0


async def test_nobody_is_answered_before_the_commit() -> None:
    journal = Journal()
    async with running(journal) as intake:
        answer = await waiting(intake, put(intake, {"trade_id": "t"}))
        again = await waiting(intake, put(intake, {"trade_id": "t"}))
        await journal.arrived.wait()
        during = await waiting(intake, put(intake, {"trade_id": "t"}))
        assert not any(task.done() for task in (answer, again, during))
        journal.let()
        assert seqs(await answer) == (1, 0, 1, 1)
        assert [seqs(await task) for task in (again, during)] == [(0, 1, None, None)] * 2
        assert seqs(await intake.committed(put(intake, {"trade_id": "t"}))) == (0, 1, None, None), "at once"
        assert [record.count for record in journal.kept] == [1]


async def test_an_answer_that_fails_is_reported_and_stops_neither_the_others_nor_the_journal() -> None:
    journal, reported, told = Journal(), list[str](), list[int]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(repr(context["exception"])))
    async with running(journal) as intake:
        first = put(intake, {})
        assert first.group is not None
        first.group.after += [lambda: told.append(1), lambda: told.append([][0]), lambda: told.append(2)]
        journal.let(times=2)
        assert seqs(await intake.committed(first)) == (1, 0, 1, 1)
        assert told == [1, 2]
        assert reported == ["IndexError('list index out of range')"]
        assert seqs(await intake.committed(put(intake, {}))) == (1, 0, 2, 2)


async def test_the_trades_of_a_commit_are_let_go_when_it_is_there_and_not_when_python_looks_for_cycles() -> None:
    journal = Journal()
    async with running(journal) as intake:
        given = batch(*[{}] * 300)
        assert given.columns is not None
        sent, group = ref(given.columns.price), intake.put(given, received_ns=0, key=key("one")).group
        assert group is not None
        written = ref(group)
        gc.disable()
        try:
            del given
            assert sent() is not None
            journal.let()
            await group.done.wait()
            await asyncio.sleep(0)
            del group
            assert (sent(), written()) == (None, None)
        finally:
            gc.enable()


async def test_a_group_takes_no_more_than_a_lease_does() -> None:
    journal = Journal()
    async with running(journal, limit=10 * MAX_TRADES) as intake:
        line = b'{"symbol":"A","quantity":1,"price":2}\n'
        large = [intake.put(decode_body(line * 40_000, "lines", NOW), received_ns=0) for _ in range(3)]
        journal.let(times=3)
        assert [(await intake.committed(receipt)).first_seq for receipt in large] == [1, 40_001, 80_001]
        assert [record.count for record in journal.kept] == [40_000] * 3


async def test_when_full_requests_are_told_to_try_again_and_nothing_of_them_is_kept() -> None:
    journal = Journal()
    async with running(journal, limit=3) as intake:
        first = put(intake, *[{}] * 3)
        with pytest.raises(TryAgain, match="3 trades wait for the journal, expected fewer than 3"):
            intake.check()
        with pytest.raises(TryAgain):
            put(intake, {"trade_id": "t"}, key=key("k"))
        journal.let()
        await intake.committed(first)
        journal.let()
        assert seqs(await intake.committed(put(intake, {"trade_id": "t"}, key=key("k")))) == (1, 0, 4, 4)


@pytest.mark.parametrize("error", [TryAgain("the disk is full"), Stop("the disk failed")], ids=["full", "failed"])
async def test_a_failed_commit_fails_all_who_wait_and_takes_their_keys_back(error: TelemetryError) -> None:
    journal = Journal()
    async with running(journal) as intake:
        mine = {"trade_id": "t", "multiplier": 5}
        tasks = [await waiting(intake, put(intake, mine, key=key("k")))]
        await journal.arrived.wait()
        tasks.append(await waiting(intake, put(intake, mine)))  # its first copy is in the commit that fails
        tasks.append(await waiting(intake, put(intake, mine, key=key("k"))))
        tasks.append(await waiting(intake, put(intake, {"symbol": "B", "trade_id": "t"})))  # in the next group
        journal.let(error)
        for task in tasks:
            with pytest.raises(type(error)):
                await task
        assert (intake.waiting, journal.kept) == (0, [])
        assert intake.multipliers == {}
        if isinstance(error, TryAgain):
            journal.let(times=1)
            other = put(intake, mine | {"price": 9, "multiplier": 6}, key=key("k", "other body"))
            assert seqs(await intake.committed(other)) == (1, 0, 1, 1), "nothing of the first is known any more"


async def test_a_commit_that_fails_in_an_unknown_way_stops_and_tells_all_who_wait() -> None:
    journal = Journal()
    intake = Intake(journal, KeyIndex(100), RequestIndex(100), Latency(), limit=10)
    run = asyncio.create_task(intake.run())
    answer = await waiting(intake, put(intake, {}))
    journal.let(ZeroDivisionError())
    with pytest.raises(Stop, match="ZeroDivisionError"):
        await answer
    with pytest.raises(ZeroDivisionError):
        await run


async def test_a_key_in_flight_is_answered_with_the_first_request_and_later_from_the_index() -> None:
    journal = Journal()
    async with running(journal) as intake:
        first = await waiting(intake, put(intake, {}, {}, key=key("k")))
        await journal.arrived.wait()
        again = await waiting(intake, put(intake, {}, {}, key=key("k")))
        journal.let()
        assert seqs(await first) == seqs(await again) == (2, 0, 1, 2)
        assert (first.result().replay_of, again.result().replay_of is not None) == (None, True)
        later = await intake.committed(put(intake, {}, {}, key=key("k")))
        assert seqs(later) == (2, 0, 1, 2)
        assert later.replay_of is not None
        assert [record.count for record in journal.kept] == [2]


async def test_a_key_with_another_body_is_a_conflict_in_flight_and_later() -> None:
    journal = Journal()
    async with running(journal) as intake:
        first = put(intake, {}, key=key("k"))
        with pytest.raises(InvalidInput, match="Idempotency-Key") as caught:
            put(intake, {}, key=key("k", "another"))
        assert caught.value.status == 409
        journal.let()
        await intake.committed(first)
        with pytest.raises(InvalidInput, match="Idempotency-Key"):
            put(intake, {}, key=key("k", "another"))


async def test_a_request_of_duplicates_with_a_key_is_journaled_without_trades_and_replayed_after_a_restart() -> None:
    journal = Journal()
    async with running(journal) as intake:
        journal.let(times=2)
        await intake.committed(put(intake, {"trade_id": "t"}))
        await intake.committed(put(intake, {"trade_id": "t"}, key=key("k")))
        assert [(record.count, record.request_count) for record in journal.kept] == [(1, 0), (0, 1)]
    keys, requests = KeyIndex(100), RequestIndex(100)
    keys.load(journal.kept)
    requests.load(journal.kept)
    restarted = Intake(journal, keys, requests, Latency(), limit=10)
    restarted.last_seq = 1
    replayed = await restarted.committed(put(restarted, {"trade_id": "t"}, key=key("k")))
    assert seqs(replayed) == (0, 1, None, None)
    assert replayed.replay_of is not None
    assert seqs(await restarted.committed(put(restarted, {"trade_id": "t"}))) == (0, 1, None, None)


async def test_a_conflict_names_its_indices_and_keeps_nothing_wherever_the_first_copy_is() -> None:
    journal = Journal()
    async with running(journal) as intake:
        journal.let()
        await intake.committed(put(intake, {"trade_id": "durable"}))
        committing = put(intake, {"trade_id": "committing"})
        await journal.arrived.wait()
        open_group = put(intake, {"trade_id": "open"})
        before = intake.waiting
        for name in ("durable", "committing", "open"):
            with pytest.raises(InvalidInput) as caught:
                put(intake, {"trade_id": "new"}, {"trade_id": name, "price": 3}, {}, {"trade_id": name, "price": 4})
            assert [error["index"] for error in caught.value.errors] == [1, 3]
            assert {error["received"] for error in caught.value.errors} == {name}
            assert caught.value.status == 409
        assert intake.waiting == before
        fresh = put(intake, {"trade_id": "new", "price": 7})
        journal.let(times=2)
        for receipt in (committing, open_group, fresh):
            assert (await intake.committed(receipt)).accepted == 1


async def test_two_payloads_in_one_body_and_a_copy_in_the_same_body() -> None:
    journal = Journal()
    async with running(journal) as intake:
        with pytest.raises(InvalidInput) as caught:
            put(intake, {"trade_id": "t"}, {}, {"trade_id": "t", "price": 5})
        assert [error["index"] for error in caught.value.errors] == [2]
        journal.let()
        receipt = await intake.committed(put(intake, {"trade_id": "t"}, {}, {"trade_id": "t"}, {"trade_id": "u"}))
        assert seqs(receipt) == (3, 1, 1, 3)
        assert [row["trade_id"] for row in _rows(journal) if "trade_id" in row] == ["t", "u"]


async def test_a_duplicate_waits_for_the_latest_of_the_commits_that_hold_its_first_copies() -> None:
    journal = Journal()
    async with running(journal) as intake:
        put(intake, {"trade_id": "committing"})
        await journal.arrived.wait()
        put(intake, {"trade_id": "open"})
        both = await waiting(intake, put(intake, {"trade_id": "open"}, {"trade_id": "committing"}))
        first = await waiting(intake, put(intake, {"trade_id": "committing"}))
        journal.let()
        assert seqs(await first) == (0, 1, None, None)
        await journal.arrived.wait()
        assert not both.done()
        journal.let()
        assert seqs(await both) == (0, 2, None, None)


async def test_trades_of_several_requests_join_together_or_not_at_all() -> None:
    journal = Journal()
    async with running(journal) as intake:
        journal.let(times=2)
        await intake.committed(put(intake, {"trade_id": "t"}))
        for other in ({"trade_id": "t"}, {"trade_id": "t", "price": 9}, {"trade_id": "new"}):
            assert intake.put_new(batch({"trade_id": "new"}, {}, other), received_ns=0) is None
        assert intake.waiting == 0
        receipt = intake.put_new(batch({"trade_id": "new"}, {}, {"trade_id": "newer"}), received_ns=0)
        assert receipt is not None
        assert seqs(await intake.committed(receipt)) == (3, 0, 2, 4)
        assert [row.get("trade_id") for row in _rows(journal)] == ["t", "new", None, "newer"]


@pytest.mark.parametrize("kind", ["numpy", "compiled"])
async def test_every_trade_is_journaled_once_with_its_own_key_also_when_commits_fail(kind: str) -> None:
    if kind == "compiled" and not available():
        pytest.skip("numba is not installed")
    seed = random.randrange(1 << 32)
    print("seed", seed)
    source, journal, accepted = random.Random(seed), Journal(), 0
    async with running(journal, limit=100_000, slots=compiled_slots() if kind == "compiled" else Slots) as intake:
        for _ in range(60):
            names = [f"t{source.randrange(400)}" for _ in range(source.choice([1, 5, 60]))]
            trades = [{"trade_id": name, "symbol": f"S{name[-1]}"} if source.random() < 0.9 else {} for name in names]
            one = put(intake, *trades)
            await asyncio.sleep(0)
            two = put(intake, *trades[:30], *[{"trade_id": f"t{source.randrange(400)}"}])
            fails = source.random() < 0.4
            journal.let(TryAgain("the disk is full") if fails else None, times=2)
            for receipt in (one, two):
                with suppress(TryAgain):
                    accepted += (await intake.committed(receipt)).accepted
            await intake.drain()
            while not journal.orders.empty():
                journal.orders.get_nowait()
    check_keys(journal)
    assert accepted == sum(record.count for record in journal.kept)


def check_keys(journal: Journal) -> None:
    """Every trade with a trade_id has its own key in the record, and no key is there twice."""
    every = []
    for record in journal.kept:
        trades = decode_frame(record.frame).trades()
        expected = [(Digests().key_digest(trade), row) for row, trade in enumerate(trades) if trade.trade_id]
        digests, rows = record.keys["digest"], record.keys["row"].tolist()
        assert [(pair.tobytes(), row) for pair, row in zip(digests, rows, strict=True)] == expected
        every += [pair for pair, _ in expected]
    assert len(set(every)) == len(every)


async def test_a_journal_that_counts_otherwise_is_stopped_before_it_writes_a_wrong_key() -> None:
    journal = Journal()
    intake = Intake(journal, KeyIndex(100), RequestIndex(100), Latency(), limit=10)
    intake.last_seq = 5
    put(intake, {"trade_id": "t"})
    journal.let()
    with pytest.raises(Stop, match="expected trade 6 to be the journal's next one, received 1"):
        await intake.run()
    assert journal.kept == []


def _rows(journal: Journal) -> list[dict[str, Any]]:
    return [row for record in journal.kept for row in decode_frame(record.frame).rows()]


async def test_a_multiplier_is_held_to_what_is_durable_waiting_or_in_the_same_body() -> None:
    journal = Journal()
    async with running(journal) as intake:
        journal.let()
        await intake.committed(put(intake, {"symbol": "durable", "multiplier": 5}))
        put(intake, {"symbol": "committing", "multiplier": 5})
        await journal.arrived.wait()
        put(intake, {"symbol": "open", "multiplier": 5})
        for name in ("durable", "committing", "open"):
            put(intake, {"symbol": name, "multiplier": "5.0"})
            put(intake, {"symbol": name, "multiplier": 6, "venue": "other"})
            with pytest.raises(InvalidInput) as caught:
                put(intake, {"symbol": name, "multiplier": 5}, {"symbol": name})
            (error,) = caught.value.errors
            assert (error["index"], error["field"], error["received"], caught.value.status) == (
                1,
                "multiplier",
                "1",
                422,
            )
        with pytest.raises(InvalidInput):
            put(intake, {"symbol": "new", "multiplier": 5}, {"symbol": "new", "multiplier": 6})
        put(intake, {"symbol": "new", "multiplier": 6})
        journal.let(times=2)


async def test_a_multiplier_that_a_failed_commit_took_back_is_held_to_the_next_one_also_when_it_was_known_well() -> (
    None
):
    journal = Journal()

    def many(multiplier: int) -> Batch:
        made = batch(*[{"symbol": "M", "multiplier": multiplier}] * 200)
        assert made.columns is not None, "in columns the instruments of all bodies are the same objects"
        return made

    async with running(journal) as intake:
        tasks = [await waiting(intake, intake.put(many(5), received_ns=0)) for _ in range(3)]
        await journal.arrived.wait()
        journal.let(TryAgain("the disk is full"))
        for task in tasks:
            with pytest.raises(TryAgain):
                await task
        journal.let(times=1)
        await intake.committed(intake.put(many(6), received_ns=0))
        for _ in range(3):
            with pytest.raises(InvalidInput):
                intake.put(many(5), received_ns=0)


async def test_422_is_judged_before_409() -> None:
    journal = Journal()
    async with running(journal) as intake:
        journal.let()
        await intake.committed(put(intake, {"trade_id": "t", "multiplier": 5}, key=key("k")))
        for wrong in (None, key("k", "another")):
            with pytest.raises(InvalidInput) as caught:
                put(intake, {"trade_id": "t", "price": 9, "multiplier": 6}, key=wrong)
            assert caught.value.status == 422


async def test_fast_mode_never_says_durable_not_even_of_duplicates_and_replays() -> None:
    journal = Journal(durable=False)
    async with running(journal) as intake:
        first = await waiting(intake, put(intake, {"trade_id": "t"}, key=key("k")))
        await journal.arrived.wait()
        others = [
            await waiting(intake, put(intake, {"trade_id": "t"})),
            await waiting(intake, put(intake, {}, key=key("k"))),
        ]
        journal.let()
        assert [(await task).durable for task in (first, *others)] == [False] * 3
        assert (await intake.committed(put(intake, {"trade_id": "t"}))).durable is False
        assert (await intake.committed(put(intake, {}, key=key("k")))).durable is False


async def test_a_key_older_than_the_window_is_new_again() -> None:
    journal = Journal()
    async with running(journal, capacity=10) as intake:
        journal.let(times=3)
        await intake.committed(put(intake, {"trade_id": "old"}))
        await intake.committed(put(intake, *[{}] * 10))
        assert seqs(await intake.committed(put(intake, {"trade_id": "old", "price": 5}))) == (1, 0, 12, 12)


async def test_closing_ends_the_task_when_nothing_waits_any_more() -> None:
    journal = Journal()
    intake = Intake(journal, KeyIndex(100), RequestIndex(100), Latency(), limit=10)
    run = asyncio.create_task(intake.run())
    answer = await waiting(intake, put(intake, {}))
    intake.close()
    drained = asyncio.create_task(intake.drain())
    await journal.arrived.wait()
    assert (run.done(), drained.done()) == (False, False)
    journal.let()
    assert (await answer).accepted == 1
    await drained
    await run
