"""Bodies that are read one behind another into the same columns: what each gives alone, nothing of those in doubt."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.columns import concatenate, encode_frame
from telemetry.decode import Batch
from telemetry.decode_bundle import MOST_INSTRUMENTS, MOST_TRADES, Bundle
from telemetry.decode_compiled import PADDING, CompiledReading, MoreError, available
from telemetry.digests import Digests, Keys, join_keys
from telemetry.frame import U8
from telemetry.literals import Doubt
from tests.telemetry.bodies import NOW, bodies, dumps, mutated_bodies
from tests.telemetry.readings import FULL, result, some

pytestmark = pytest.mark.skipif(not available(), reason="numba is not installed")
generated = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
SLOT = 1 << 19
SLOTS = 12
_kept: list[CompiledReading] = []


def reading() -> CompiledReading:
    if not _kept:
        _kept.append(CompiledReading(Digests()))
    return _kept[0]


class Reader:
    """A bundle and the text that its bodies are put into, one in each slot."""

    def __init__(self) -> None:
        self.text = np.full(SLOTS * SLOT, ord("x"), U8)
        self.bundle = Bundle(reading(), self.text)

    def add(self, slot: int, body: bytes, received_at: int = NOW) -> int:
        """Raises Doubt."""
        start = slot * SLOT + 7 * slot
        self.text[start : start + len(body) + PADDING] = np.frombuffer(body + bytes(PADDING), U8)
        return self.bundle.add(start, len(body), received_at)

    def take(self) -> tuple[object, ...]:
        return result(Batch(None, *self.bundle.take()))


def alone(read: Sequence[tuple[bytes, int]]) -> tuple[object, ...]:
    """What the bodies with their times give one by one."""
    parts = [reading().columns(body, "json", at) for body, at in read]
    keys: Keys = join_keys([keys for _, keys in parts])
    frame = encode_frame(concatenate([columns for columns, _ in parts]))
    return frame, keys.given.tolist(), keys.digests.tolist(), keys.fingerprints.tolist()


def is_sure(body: bytes) -> bool:
    try:
        reading().columns(body, "json", NOW)
    except Doubt:
        return False
    return True


def agree(made: Sequence[bytes], reader: Reader) -> None:
    """Add all; those that were read give what they give alone."""
    read = []
    for slot, body in enumerate(made):
        before = reader.bundle.count
        try:
            added = reader.add(slot, body, NOW + slot)
        except Doubt:
            assert reader.bundle.count == before
            continue
        assert reader.bundle.count == before + added
        read.append((body, NOW + slot))
    sure = [is_sure(body) for body, _ in read]
    if not read:
        return
    if all(sure):
        assert reader.take() == alone(read)
    else:  # one that is no UTF-8, or has odd white space around a symbol
        with pytest.raises(Doubt):
            reader.take()
    assert reader.bundle.count == 0


_reader: list[Reader] = []


def READER() -> Reader:  # noqa: N802 - one for all examples: what an earlier one left must not matter
    if not _reader:
        _reader.append(Reader())
    return _reader[0]


json_bodies = st.one_of(bodies(), mutated_bodies()).map(lambda pair: pair[0]).filter(lambda body: len(body) < SLOT // 2)


@generated
@given(st.lists(json_bodies, min_size=1, max_size=SLOTS))
def test_what_was_read_at_once_is_what_each_body_gives_alone(made: list[bytes]) -> None:
    agree(made, READER())


@generated
@given(st.lists(st.lists(st.sampled_from(some(40)), min_size=1, max_size=6), min_size=1, max_size=SLOTS))
def test_sound_bodies_with_different_fields_and_instruments_are_read_at_once(made: list[list[object]]) -> None:
    reader = READER()
    for slot, rows in enumerate(made):
        reader.add(slot, dumps(rows), NOW + slot)
    assert reader.take() == alone([(dumps(rows), NOW + slot) for slot, rows in enumerate(made)])


def test_a_trade_without_a_time_has_that_of_its_own_body() -> None:
    reader, row = Reader(), {"symbol": "A", "price": 1, "quantity": 2}
    reader.add(0, dumps([row, row]), NOW)
    reader.add(1, dumps([row | {"timestamp": NOW - 1}, row]), NOW + 5)
    columns, _ = reader.bundle.take()
    assert columns.timestamp.tolist() == [NOW, NOW, NOW - 1, NOW + 5]
    assert columns.received_at.tolist() == [NOW, NOW, NOW + 5, NOW + 5]


def test_a_body_in_doubt_leaves_neither_instruments_nor_fields_nor_texts() -> None:
    reader, row = Reader(), {"symbol": "A", "price": 1, "quantity": 2, "trade_id": "t"}
    other = [FULL | {"symbol": f"S{number}", "trade_id": f"u{number}"} for number in range(50)]
    reader.add(0, dumps([row]))
    with pytest.raises(Doubt):
        reader.add(1, dumps([*other, FULL | {"price": "x"}]))
    assert reader.add(2, dumps([row | {"symbol": "B"}, row])) == 2
    columns, _ = reader.bundle.take()
    assert [one.symbol for one in columns.instruments] == ["A", "B"]
    assert list(columns.optional) == ["trade_id"]
    reader.add(0, dumps([row]))
    with pytest.raises(Doubt):
        reader.add(1, dumps([*other, FULL | {"price": "x"}]))
    assert reader.add(2, dumps([other[7], row])) == 2
    assert reader.take() == alone([(dumps([row]), NOW), (dumps([other[7], row]), NOW)])
    reader.add(0, dumps([*other, row]))
    assert reader.take() == alone([(dumps([*other, row]), NOW)])


def test_what_is_written_over_a_body_in_doubt_never_names_a_field_of_a_later_one() -> None:
    """The next body has a currency where the one in doubt had one, too, and where now there is the name of another."""
    reader, row = Reader(), {"symbol": "A", "price": 1, "quantity": 2, "currency": "EUR"}
    first = dumps([{"symbol": "A", "price": 1, "quantity": 2}])
    reader.add(2, first)
    with pytest.raises(Doubt):
        reader.add(0, dumps([row, {}]))
    reader.text[:] = np.frombuffer(reader.text.tobytes().replace(b"currency", b"strategy"), U8)
    as_strategy = dumps([row]).replace(b"currency", b"strategy")
    assert reader.add(1, as_strategy) == 1
    assert reader.take() == alone([(first, NOW), (as_strategy, NOW)])


def test_there_is_room_for_so_many_trades_and_who_comes_too_late_comes_next() -> None:
    reader, rows = Reader(), [{"symbol": "A", "price": 1, "quantity": number + 1} for number in range(3_000)]
    body = json.dumps(rows).encode()
    assert [reader.add(slot, body) for slot in range(MOST_TRADES // 3_000)] == [3_000] * (MOST_TRADES // 3_000)
    with pytest.raises(MoreError):
        reader.add(5, body)
    assert reader.take() == alone([(body, NOW)] * (MOST_TRADES // 3_000))
    assert reader.add(5, body) == 3_000
    assert reader.take() == alone([(body, NOW)])


def test_more_instruments_than_there_is_room_for_are_doubted_and_the_others_stay() -> None:
    reader = Reader()
    most = [{"symbol": f"S{number}", "price": 1, "quantity": 2} for number in range(MOST_INSTRUMENTS)]
    half, rest = dumps(most[::2]), dumps(most[1::2])
    reader.add(0, half)
    with pytest.raises(Doubt):
        reader.add(1, dumps([*most[1::2], most[0] | {"symbol": "one more"}]))
    assert reader.add(2, rest) == len(most) // 2
    assert reader.take() == alone([(half, NOW), (rest, NOW)])
