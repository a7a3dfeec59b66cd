"""Large bodies of one turn of the event loop: the receipts, refusals and journal that they give one by one."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.app import Gateway
from gateway.guard import Guard
from gateway.ingest import measure_client
from gateway.ingestion.answering import Asked, Connection
from gateway.ingestion.body import Body, Buffers, Held
from gateway.ingestion.group import Receipt, RequestKey
from gateway.ingestion.heads import Head
from gateway.ingestion.lane import Lane
from gateway.ingestion.slots import MakeSlots, Slots
from gateway.ingestion.turn import ENOUGH_TRADES, GATHER_FROM_SHARE, GATHER_MOST_SECONDS, Turn, gather_seconds
from gateway.intake import Intake
from gateway.keys import KeyIndex, RequestIndex, compiled_slots
from gateway.latency import Latency
from telemetry.backbone import Committed, Group
from telemetry.backbone.handed import Handed
from telemetry.backbone.record import Record
from telemetry.columns import decode_frame
from telemetry.decode import Batch, Decoder
from telemetry.decode_bundle import MOST_TRADES
from telemetry.decode_compiled import PADDING, available
from telemetry.errors import TelemetryError, TryAgain
from telemetry.load import Load
from tests.gateway.test_aggregator import NOW
from tests.gateway.test_intake import Journal, key, running, seqs

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not available(), reason="numba is not installed: bodies are read one by one"),
]
SIZE = 1 << 16
_decoders: list[Decoder] = []


def decoder() -> Decoder:
    if not _decoders:
        _decoders.append(Decoder(compiled=True))
    return _decoders[0]


@dataclass
class Client:
    """A connection, and what became of its body: a receipt, or the error."""

    loop: asyncio.AbstractEventLoop
    receipt: Receipt | None = None
    error: Exception | None = None

    def default_head(self) -> bytes:
        """See gateway.ingestion.answering."""
        return b""

    def answer(self, response: bytes) -> None:
        """See gateway.ingestion.answering."""
        raise AssertionError(response)

    def fail(self) -> None:
        """See gateway.ingestion.answering."""
        raise AssertionError


class Noting:
    """In the place of the answers."""

    def wait(self, receipt: Receipt, asked: Sequence[Asked], received_at: int) -> None:
        """See gateway.ingestion.turn."""
        (one,) = asked
        assert isinstance(one.connection, Client)
        one.connection.receipt = receipt

    def failed(self, connection: Connection, error: Exception, received_at: int) -> None:
        """See gateway.ingestion.turn."""
        assert isinstance(connection, Client)
        connection.error = error


class Taking(Load):
    """An event loop that takes so much of a core."""

    def __init__(self, of_a_core: float) -> None:
        super().__init__()
        self._of_a_core = of_a_core

    def share(self, now: float) -> float:
        """See telemetry.load."""
        return self._of_a_core


@dataclass
class Desk:
    """A turn in front of an intake; bodies are put into its buffers as the socket would."""

    intake: Intake
    compiled: bool = True
    share: float = 0.0
    buffers: Buffers = field(default_factory=lambda: Buffers(SIZE, 40))
    clients: list[Client] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.latency = Latency()
        reading = decoder() if self.compiled else Decoder(compiled=False)
        self.turn = Turn(self.intake, self.latency, reading, self.buffers, Noting(), Taking(self.share))

    def take(self, body: bytes, received: int = 0) -> Client:
        """A body is complete."""
        client = Client(asyncio.get_running_loop())
        self.clients.append(client)
        buffer = self.buffers.take()
        end = buffer + 3 + len(body)
        self.buffers.text[buffer + 3 : end + PADDING] = np.frombuffer(body + bytes(PADDING), np.uint8)
        came = received, NOW + received
        self.turn.take(Asked(client, None), Held(self.buffers, buffer, buffer + 3, len(body)), came)
        return client

    def put(self, body: bytes, received: int) -> None:
        """The same without a turn."""
        client = Client(asyncio.get_running_loop())
        self.clients.append(client)
        try:
            batch = decoder().decode(body, "json", NOW + received)
            client.receipt = self.intake.put(batch, received_ns=received)
        except TelemetryError as error:
            client.error = error
        else:
            measure_client(self.latency, batch, received)

    async def outcome(self, client: Client) -> object:
        """What the client is told; waits for its commit."""
        if client.error is not None:
            return _told(client.error)
        assert client.receipt is not None
        return await _result(self.intake, client.receipt)


def _told(error: Exception) -> object:
    assert isinstance(error, TelemetryError), repr(error)
    return type(error), error.body()


async def _result(intake: Intake, receipt: Receipt) -> object:
    try:
        return seqs(await intake.committed(receipt))
    except TelemetryError as error:
        return _told(error)


def body(*trades: dict[str, Any]) -> bytes:
    return json.dumps([{"symbol": "A", "price": 1, "quantity": 2} | one for one in trades], ensure_ascii=False).encode()


def ids(*names: str, **fields: object) -> bytes:
    return body(*({"trade_id": name, **fields} for name in names))


# --- one by one -------------------------------------------------------------------------------------------------------

trades = st.fixed_dictionaries(
    {"price": st.sampled_from((1, 1, 1, 1, 1, 1, 1, 2))},  # the same trade_id with another price is a conflict
    optional={
        "trade_id": st.integers(0, 60).map(str),
        "symbol": st.sampled_from(("A", "B", "トヨタ")),
        "account": st.sampled_from(("", "é")),
        "sent_at": st.just(NOW - 5),
        "fee": st.just("0.5"),
    },
)
DAMAGE = (
    lambda whole: whole[:-1],
    lambda whole: whole.replace(b'"price": 1', b'"price": "1 "', 1),
    lambda whole: whole.replace(b'"symbol"', b'"symb\\u006fl"', 1),  # in doubt, and well
    lambda whole: whole.replace(b'"symbol": "', b'"symbol": "\xff', 1),
    lambda whole: whole.replace(b'"symbol": "', b'"symbol": "\xe3\x80\x80', 1),  # white space, which is refused
    lambda whole: whole.replace(b'"price"', b'"multiplier": 5, "price"', 1),  # another one than before
    lambda whole: b"[]",
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    whole = body(*draw(st.lists(trades, min_size=1, max_size=8)))
    return draw(st.sampled_from(DAMAGE))(whole) if draw(st.integers(0, 9)) == 0 else whole


@dataclass(frozen=True)
class Step:
    """The bodies of one turn; then a request with an Idempotency-Key; then so many more commits may end."""

    bodies: list[bytes]
    keyed: bytes | None
    commits: int


steps = st.builds(
    Step,
    st.lists(requests(), max_size=6),
    st.none() | requests(),
    st.integers(0, 2),
)


async def _keyed(intake: Intake, whole: bytes, name: RequestKey) -> object:
    try:
        return intake.put(decoder().decode(whole, "json", NOW), received_ns=0, key=name)
    except TelemetryError as error:
        return _told(error)


async def played(
    script: Sequence[Step], *, at_once: bool, limit: int, slots: MakeSlots, compiled: bool = True
) -> tuple[object, ...]:
    """What clients are told and what is in the journal; the bodies of a step are a turn, or each is put by itself."""
    journal = Journal()
    async with running(journal, limit=limit, slots=slots) as intake:
        desk = Desk(intake, compiled)
        keyed: list[object] = []
        for number, step in enumerate(script):
            for place, whole in enumerate(step.bodies):
                (desk.take if at_once else desk.put)(whole, 10 * number + place)
            desk.turn.end()
            if step.keyed is not None:
                keyed.append(await _keyed(intake, step.keyed, key(f"{number % 3}")))
            journal.let(times=step.commits)
            for _ in range(20):  # those that may end do
                await asyncio.sleep(0)
        journal.let(times=1000)
        await asyncio.wait_for(intake.drain(), 20)
        told = [await desk.outcome(client) for client in desk.clients]
        told += [await _result(intake, one) if isinstance(one, Receipt) else one for one in keyed]
        assert desk.buffers.left == 40
        return told, _content(journal.kept), desk.latency.stages["client"].buckets


def _content(records: Sequence[Record]) -> list[object]:
    """Trades and keys of all records, by number."""
    return [
        (record.first_seq, decode_frame(record.frame).trades(), bytes(record.keys), bytes(record.requests))
        for record in records
    ]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, min_size=1, max_size=5), st.sampled_from((20, 1000)), st.booleans())
def test_bodies_of_a_turn_give_what_they_give_one_by_one(script: list[Step], limit: int, is_compiled: bool) -> None:
    slots = compiled_slots() if is_compiled else Slots
    one_by_one = asyncio.run(played(script, at_once=False, limit=limit, slots=slots))
    assert asyncio.run(played(script, at_once=True, limit=limit, slots=slots)) == one_by_one


def test_large_bodies_of_a_turn_give_what_they_give_one_by_one_where_nothing_is_compiled() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    draw = random.Random(seed)

    def large() -> bytes:
        """Few of them have a conflict; some are written otherwise than the others."""
        price = 2 if draw.random() < 0.1 else 1
        more = {"account": "x"} if draw.random() < 0.2 else {}
        whole = body(*({"trade_id": f"{draw.randrange(5_000)}", "price": price, **more} for _ in range(250)))
        return draw.choice(DAMAGE)(whole) if draw.random() < 0.1 else whole

    for limit in (600, 100_000):
        script = [Step([large() for _ in range(draw.randrange(1, 6))], None, draw.randrange(3)) for _ in range(8)]
        one_by_one = asyncio.run(played(script, at_once=False, limit=limit, slots=Slots))
        assert asyncio.run(played(script, at_once=True, limit=limit, slots=Slots, compiled=False)) == one_by_one


# --- what a turn is ---------------------------------------------------------------------------------------------------


async def test_a_turn_ends_by_itself_and_its_commit_begins_right_behind_it() -> None:
    journal = Journal()
    async with running(journal) as intake:
        desk = Desk(intake)
        await asyncio.sleep(0)  # the commits wait for the first body
        first, second = desk.take(ids("a", "b")), desk.take(ids("b", "c", "c"))
        assert (first.receipt, intake.waiting) == (None, 0)
        await asyncio.sleep(0)
        assert intake.waiting == 3
        assert journal.arrived.is_set()
        journal.let()
        assert [await desk.outcome(one) for one in (first, second)] == [(2, 0, 1, 2), (1, 2, 3, 3)]
        assert [record.count for record in journal.kept] == [3]


class Heard(Journal):
    """A journal whose commit is heard of when the test says so, in a callback of the loop."""

    async def append(self, group: Group) -> Committed:
        """See telemetry.backbone."""
        self.arrived.set()
        self.heard: Handed[None] = Handed(loop=asyncio.get_running_loop())
        await self.heard
        self.let()
        return await super().append(group)


async def test_the_commit_of_a_turn_begins_right_behind_it_also_when_the_one_before_ends_within_the_turn() -> None:
    journal = Heard()
    async with running(journal) as intake:
        desk = Desk(intake)
        desk.take(ids("a"))
        await journal.arrived.wait()

        def within_a_turn() -> None:
            desk.take(ids("b"))
            journal.heard.set_result(None)
            assert len(journal.kept) == 1

        asyncio.get_running_loop().call_soon(within_a_turn)
        await asyncio.sleep(0)
        assert not journal.arrived.is_set()
        await asyncio.sleep(0)
        assert journal.arrived.is_set()


@dataclass(frozen=True)
class Complete:
    """A body that is complete in a buffer."""

    held: Held

    def take(self) -> Held:
        """See gateway.ingestion.body."""
        return self.held


async def test_others_are_heard_after_each_large_body_of_json() -> None:
    heard: list[int] = []
    async with running(Journal()) as intake:
        lane = Lane(
            cast("Gateway", Desk(intake)),
            Guard("", [1]),
            decoder(),
            Load(),
            lambda: heard.append(lane.buffers["json"].left),
        )
        buffers = lane.buffers["json"]
        for _ in range(2):
            text, start = ids("a"), (buffer := buffers.take()) + 3
            buffers.text[start : start + len(text)] = np.frombuffer(text, np.uint8)
            body = cast("Body", Complete(Held(buffers, buffer, start, len(text))))
            lane.take_large(Client(asyncio.get_running_loop()), body, Head(len(text)), (0, NOW))
    assert len(heard) == 2
    assert heard[0] == heard[1] + 1


async def test_a_body_of_duplicates_waits_for_the_commit_of_its_first_copies_only() -> None:
    journal = Journal()
    async with running(journal) as intake:
        desk = Desk(intake)
        journal.let()
        on_disk = desk.take(ids("a", "b"))
        desk.turn.end()
        assert await desk.outcome(on_disk) == (2, 0, 1, 2)
        again, new, of_new = desk.take(ids("b")), desk.take(ids("c")), desk.take(ids("c"))
        desk.turn.end()
        assert again.receipt is not None
        assert again.receipt.group is None, "at once"
        journal.let(TryAgain("the disk is full"))
        assert await desk.outcome(again) == (0, 1, None, None)
        assert await desk.outcome(of_new) == await desk.outcome(new) == _told(TryAgain("the disk is full"))


class Broken(Intake):
    """Has a fault."""

    def put_bodies(self, batch: Batch, bodies: Sequence[tuple[int, int]]) -> list[Receipt] | None:
        raise RuntimeError("a fault")


async def test_a_fault_leaves_nobody_without_an_answer_and_takes_no_buffer_with_it() -> None:
    intake = Broken(Journal(), KeyIndex(100), RequestIndex(100), Latency(), limit=100)
    desk = Desk(intake)
    room = desk.buffers.left
    clients = [desk.take(ids(name)) for name in "ab"]
    desk.turn.end()
    assert [str(client.error) for client in clients] == ["a fault", "a fault"]
    assert desk.buffers.left == room


async def test_more_trades_than_there_is_room_for_are_two_batches_in_their_order() -> None:
    journal = Journal()
    async with running(journal, limit=100_000) as intake:
        desk = Desk(intake)
        names = [[f"{number}-{row}" for row in range(700)] for number in range(MOST_TRADES // 700 + 2)]
        clients = [desk.take(ids(*of)) for of in names]
        desk.turn.end()
        journal.let(times=2)
        told = [await desk.outcome(client) for client in clients]
        assert told == [(700, 0, 700 * place + 1, 700 * place + 700) for place in range(len(names))]


async def test_small_bodies_are_put_when_they_are_complete_where_nothing_is_compiled() -> None:
    journal = Journal()
    async with running(journal) as intake:
        desk = Desk(intake, compiled=False)
        clients = [desk.take(ids("a")), desk.take(ids("a", price=2)), desk.take(ids("b")[:-1])]
        assert intake.waiting == 1
        journal.let()
        assert await desk.outcome(clients[0]) == (1, 0, 1, 1)
        assert [getattr(client.error, "problem", None) for client in clients] == [None, "conflict", "not-parsable"]
        assert desk.buffers.left == 40


# --- what a turn is while the event loop is loaded --------------------------------------------------------------------


async def test_bodies_of_several_iterations_of_a_loaded_loop_go_together_and_a_conflict_refuses_only_itself() -> None:
    journal = Journal()
    async with running(journal) as intake:
        desk = Desk(intake, share=0.9)
        began = monotonic()
        clients = []
        for whole in (ids("a", "b"), ids("c"), ids("a", price=2), ids("b", "d")):
            clients.append(desk.take(whole))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        if monotonic() - began < GATHER_MOST_SECONDS / 2:  # else the machine was too slow for them to be one turn
            assert intake.waiting == 0
        desk.turn.end()
        assert intake.waiting == 4
        journal.let(times=4)
        refused = getattr(clients.pop(2).error, "problem", None)
        assert [await desk.outcome(one) for one in clients] == [(2, 0, 1, 2), (1, 0, 3, 3), (1, 1, 4, 4)]
        assert refused == "conflict"
        assert desk.buffers.left == 40


async def test_a_turn_of_a_loaded_loop_ends_by_itself_however_few_have_come() -> None:
    journal = Journal()
    async with running(journal) as intake:
        desk = Desk(intake, share=1.0)
        client = desk.take(ids("a"))
        async with asyncio.timeout(20):
            await journal.arrived.wait()
        journal.let()
        assert await desk.outcome(client) == (1, 0, 1, 1)


async def test_nothing_waits_for_more_while_the_loop_has_time() -> None:
    journal = Journal()
    async with running(journal) as intake:
        desk = Desk(intake, share=GATHER_FROM_SHARE)
        desk.take(ids("a"))
        await asyncio.sleep(0)
        assert intake.waiting == 1
        journal.let()


async def test_enough_trades_end_the_turn_of_a_loaded_loop_with_this_iteration() -> None:
    journal = Journal()
    async with running(journal, limit=100_000) as intake:
        desk = Desk(intake, share=1.0)
        for number in range(10):
            desk.take(ids(*[f"{number}-{row}" for row in range(ENOUGH_TRADES // 10)]))
        await asyncio.sleep(0)
        assert intake.waiting == ENOUGH_TRADES
        journal.let()


async def test_few_buffers_left_end_the_turn_of_a_loaded_loop_with_this_iteration() -> None:
    journal = Journal()
    async with running(journal) as intake:
        desk = Desk(intake, share=1.0)
        for name in range(29):
            desk.take(ids(f"{name}"))
        assert (desk.buffers.left, intake.waiting) == (11, 0)
        desk.take(ids("29"))
        await asyncio.sleep(0)
        assert (desk.buffers.left, intake.waiting) == (40, 30)
        journal.let()


def test_a_turn_is_one_iteration_of_an_idle_loop_and_never_longer_than_the_most() -> None:
    seconds = [gather_seconds(share / 100) for share in range(130)]
    assert seconds[:51] == [0.0] * 51
    assert seconds == sorted(seconds)
    assert seconds[80:] == [GATHER_MOST_SECONDS] * 50
