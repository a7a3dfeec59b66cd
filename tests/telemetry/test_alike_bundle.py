"""Bodies that are written alike, read at once: what each gives alone, nothing of those in doubt."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.alike_bundle import AlikeBundle
from telemetry.columns import concatenate, encode_frame
from telemetry.decode import SMALL_BYTES, Batch, Decoder, decode_by_reference
from telemetry.decode_alike import PADDING, AlikeReading
from telemetry.decode_bundle import MOST_TRADES
from telemetry.decode_compiled import MoreError
from telemetry.digests import Digests, join_keys
from telemetry.literals import Doubt
from tests.telemetry.bodies import NOW
from tests.telemetry.readings import result
from tests.telemetry.test_decode_alike import alike_bodies, compact

SLOT = 1 << 18
ROW = {"symbol": "A", "quantity": 1, "price": 2}
generated = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


class Reader:
    """A bundle and the text that its bodies are put into, one in each slot."""

    def __init__(self, least_bytes: int = 0) -> None:
        self.text = np.full(8 * SLOT, ord('"'), np.uint8)
        self.bundle = AlikeBundle(AlikeReading(), Digests(), self.text, least_bytes)

    def add(self, slot: int, body: bytes) -> int:
        """Received at NOW + slot. Raises Doubt."""
        start = slot * SLOT + slot
        self.text[start : start + len(body) + PADDING] = np.frombuffer(body + bytes(PADDING), np.uint8)
        return self.bundle.add(start, len(body), NOW + slot)

    def take(self) -> tuple[object, ...]:
        return result(Batch(None, *self.bundle.take()))


READER = Reader()


def alone(read: Sequence[tuple[int, bytes]]) -> tuple[object, ...]:
    """What the bodies in these slots give one by one."""
    parts = [decode_by_reference(body, "json", NOW + slot) for slot, body in read]
    keys = join_keys([part.keys for part in parts])
    frame = encode_frame(concatenate([part.as_columns() for part in parts]))
    return frame, keys.given.tolist(), keys.digests.tolist(), keys.fingerprints.tolist()


@generated
@given(st.lists(alike_bodies(), min_size=1, max_size=6), st.booleans())
def test_what_was_read_at_once_is_what_each_body_gives_alone(made: list[tuple[bytes, Any]], repeat: bool) -> None:
    read = []
    for slot, (body, _) in enumerate(made if not repeat else [made[0]] * 4):
        before = READER.bundle.count
        try:
            added = READER.add(slot, body)
        except Doubt:
            assert READER.bundle.count == before
        else:
            assert READER.bundle.count == before + added
            read.append((slot, body))
    if read:
        with suppress(Doubt):
            assert READER.take() == alone(read)
    assert READER.bundle.count == 0


def test_bodies_of_one_layout_have_their_own_trades_instruments_and_times() -> None:
    reader = Reader()
    bodies = [
        compact([ROW | {"symbol": f"S{number % size}", "trade_id": f"t{number}"} for number in range(50)])
        for size in (3, 7, 5)
    ]
    assert [reader.add(slot, body) for slot, body in enumerate(bodies)] == [50] * 3
    assert reader.take() == alone([*enumerate(bodies)])
    reader.add(1, bodies[0])
    assert reader.take() == alone([(1, bodies[0])])


@pytest.mark.parametrize("other", [ROW | {"account": "x"}, ROW | {"price": "2"}, {"symbol": "A", "price": 2}])
def test_a_body_of_another_layout_comes_next_and_the_others_stay(other: dict[str, Any]) -> None:
    reader, first, second = Reader(), compact([ROW] * 5), compact([other] * 5)
    reader.add(0, first)
    with pytest.raises(Doubt):
        reader.add(1, second)
    assert reader.take() == alone([(0, first)])


def test_blanks_and_the_order_of_fields_may_differ_from_body_to_body() -> None:
    reader, first, second = (
        Reader(),
        compact([ROW] * 5),
        b"[%b]" % b" , ".join([b'{ "price": 2.5, "symbol":"B", "quantity" : 7 }'] * 3),
    )
    reader.add(0, first)
    reader.add(1, second)
    assert reader.take() == alone([(0, first), (1, second)])


def test_a_value_that_breaks_a_rule_is_doubted_when_all_are_read() -> None:
    reader, sound = Reader(), compact([ROW] * 5)
    reader.add(0, sound)
    reader.add(1, compact([ROW] * 4 + [ROW | {"quantity": 0}]))
    with pytest.raises(Doubt):
        reader.take()
    assert reader.bundle.count == 0
    reader.add(0, sound)
    assert reader.take() == alone([(0, sound)])


def test_there_is_room_for_so_many_trades_and_who_comes_too_late_comes_next() -> None:
    reader, body = Reader(), compact([ROW] * 3_000)
    assert [reader.add(slot, body) for slot in range(MOST_TRADES // 3_000)] == [3_000] * (MOST_TRADES // 3_000)
    with pytest.raises(MoreError):
        reader.add(5, body)
    assert reader.take() == alone([(slot, body) for slot in range(MOST_TRADES // 3_000)])
    assert reader.add(5, body) == 3_000


def test_small_bodies_are_read_alone() -> None:
    reader, body = Reader(SMALL_BYTES), compact([ROW] * 20)
    with pytest.raises(Doubt):
        reader.add(0, body)
    large = compact([ROW] * 500)
    assert reader.add(0, large) == 500
    bundle = Decoder(compiled=False).bundle(reader.text)
    with pytest.raises(Doubt):
        bundle.add(0, len(body), NOW)
    assert bundle.add(0, len(large), NOW) == 500
