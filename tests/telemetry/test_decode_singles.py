"""Many bodies of one trade each in one pass: what each body gives alone, or nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.columns import concatenate, encode_frame
from telemetry.decode import Batch, Decoder
from telemetry.decode_compiled import available
from telemetry.digests import join_keys
from telemetry.errors import InvalidInput
from tests.telemetry.bodies import NOW, dumps, field_maps, mutated_bodies
from tests.telemetry.hostile import FIELDS, SYNTAX
from tests.telemetry.readings import FULL, result, some

pytestmark = pytest.mark.skipif(not available(), reason="numba is not installed")
generated = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
SECRET = b"0123456789abcdef"
_kept: list[Decoder] = []


def decoder() -> Decoder:
    if not _kept:
        _kept.append(Decoder(compiled=True, secret=SECRET))
    return _kept[0]


def alone(bodies: Sequence[bytes]) -> tuple[object, ...]:
    """What the bodies give one by one. Raises InvalidInput, also for a body with more than one trade."""
    batches = [decoder().decode(body, "json", NOW) for body in bodies]
    if any(batch.count != 1 for batch in batches):
        raise InvalidInput("not one trade")
    columns, keys = concatenate([batch.as_columns() for batch in batches]), join_keys([batch.keys for batch in batches])
    return encode_frame(columns), keys.given.tolist(), keys.digests.tolist(), keys.fingerprints.tolist()


def together(bodies: Sequence[bytes]) -> tuple[object, ...] | None:
    batch = decoder().singles(bodies, NOW)
    return None if batch is None else result(batch)


def agree(bodies: Sequence[bytes]) -> bool:
    """Whether they were read at once; then each must have given alone what its row says."""
    found = together(bodies)
    assert found is None or found == alone(bodies)
    return found is not None


# --- what bodies can do to one another --------------------------------------------------------------------------------

PIECES = (
    *(b"{", b"}", b'"', b"[", b"]", b",", b":", b" ", b"\t", b"\\", b"\n", b"\r", b"\x00", b"\xe3\x83", b"\x88", b"{}"),
    *(b'{"symbol":"A","quantity":1,', b'"price":2}', b'{"symbol":"A","quantity":1,"price":2,"account":"', b'"}'),
    *(b'{"symbol":"A","quantity":1,"price":2}', b'{"symbol":"', b'B","quantity":1,"price":2}', b'"x":1', b"null"),
)


@st.composite
def neighbours(draw: st.DrawFn) -> list[bytes]:
    """Bodies of one trade each; some are damaged, cut, doubled, emptied, or share a cut with the one behind."""
    bodies = [
        dumps(row, ensure_ascii=draw(st.booleans())) for row in draw(st.lists(field_maps(), min_size=1, max_size=8))
    ]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(bodies) - 1))
        body, place = bodies[at], draw(st.integers(0, max(1, len(bodies[at]))))
        how = draw(st.sampled_from(("cut", "insert", "move", "join", "empty", "piece", "mutated")))
        if how == "cut":
            bodies[at] = body[:place]
        elif how == "insert":
            bodies[at] = body[:place] + draw(st.sampled_from(PIECES)) + body[place:]
        elif how == "move":  # the end of one becomes the beginning of the next
            bodies[at : at + 2] = [body[:place], body[place:] + b"".join(bodies[at + 1 : at + 2])]
        elif how == "join":
            bodies[at : at + 2] = [b"".join(bodies[at : at + 2]), draw(st.sampled_from((b"", b" ", *PIECES)))]
        else:
            bodies[at] = {"empty": b"", "piece": draw(st.sampled_from(PIECES))}.get(how) or draw(mutated_bodies())[0]
    return bodies


@generated
@given(neighbours())
def test_bodies_at_once_are_read_as_each_alone_or_not_at_all(bodies: list[bytes]) -> None:
    agree(bodies)


@generated
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=6), st.integers(0, 3))
def test_pieces_of_trades_spread_over_bodies_never_make_one(pieces: list[bytes], sound: int) -> None:
    agree([dumps(FULL)] * sound + pieces + [dumps(FULL)])


def test_every_place_where_a_trade_is_cut_in_two_bodies_is_refused() -> None:
    whole = dumps(FULL, separators=(", ", ": "))
    for place in range(len(whole) + 1):
        assert together([whole, whole[:place], whole[place:]]) is None
        assert place == 0 or together([whole, whole[:place] + whole, whole[place:]]) is None


@pytest.mark.parametrize(
    "bad", [b"", b" ", b"\n", b"[]", b"{}", b"1", b"\xff", b"\x00", *(body for body, _, _ in FIELDS), *SYNTAX]
)
def test_one_body_in_doubt_puts_all_in_doubt(bad: bytes) -> None:
    if len(bad) < 10_000:
        good = dumps(FULL)
        for bodies in ([bad], [bad, good], [good, bad], [good, bad, good]):
            assert not agree(bodies) or alone([bad])


# --- what is read at once ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 32, 300])
def test_sound_bodies_are_read_at_once_in_their_order(count: int) -> None:
    assert agree([json.dumps(row).encode() for row in some(count)])
    assert agree([b" \t" + dumps(row) + b" " for row in some(count)])


@generated
@given(st.lists(field_maps(names=("symbol", "price", "quantity", "trade_id", "account")), min_size=1, max_size=40))
def test_generated_sound_bodies_are_read_as_each_alone(rows: list[dict[str, object]]) -> None:
    agree([dumps(row, ensure_ascii=False) for row in rows])


def test_an_array_two_trades_and_a_line_break_are_left_to_the_caller() -> None:
    good = dumps(FULL)
    for bad in (b"[" + good + b"]", good + b"\n", good + b"\r", b"\n".join([good, good]), good + good):
        assert together([good, bad]) is None
    assert together([]) is None
    assert Decoder(compiled=False).singles([good], NOW) is None


def test_the_digests_are_those_of_the_secret() -> None:
    batch = decoder().singles([dumps(FULL)], NOW)
    assert isinstance(batch, Batch)
    other = Decoder(compiled=True, secret=bytes(16)).singles([dumps(FULL)], NOW)
    assert isinstance(other, Batch)
    assert batch.keys.digests.tolist() != other.keys.digests.tolist()
    assert batch.keys.digests.tolist() == decoder().by_reference(dumps(FULL), "json", NOW).keys.digests.tolist()
