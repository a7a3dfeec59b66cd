"""Bodies to trades: the two readings agree, and whatever is wrong is refused by name."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from telemetry.columns import encode_frame
from telemetry.decode import Batch, Decoder, decode_body, decode_by_reference
from telemetry.decode_compiled import PADDING, available
from telemetry.decode_fast import decode_columns
from telemetry.decode_reference import Media
from telemetry.errors import InvalidInput
from telemetry.frame import U8
from telemetry.literals import Doubt
from tests.telemetry.bodies import NOW, bodies, mutated_bodies
from tests.telemetry.hostile import FIELDS, GOOD, SYNTAX

FILLING = 200  # trades that make a body large enough for the fast reading
generated = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))


def trade(number: int) -> dict[str, Any]:
    return {
        "symbol": f"S{number % 7}",
        "side": ("buy", "sell")[number % 2],
        "quantity": f"{number + 1}e-3",
        "price": f"{60000 + number}.50",
        "timestamp": f"2026-11-22T13:00:{number % 60:02}.{number:09}Z",
        "trade_id": f"t{number}",
        "account": "desk",
    }


def result(batch: Batch) -> tuple[object, ...]:
    keys = batch.keys
    columns = batch.as_columns()
    assert len(columns) == batch.count
    return encode_frame(columns), keys.given.tolist(), keys.digests.tolist(), keys.fingerprints.tolist()


def refusal(body: bytes, media: Media = "json") -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        decode_body(body, media, NOW)
    return caught.value


def outcome(read: Any, body: bytes, media: Media) -> object:
    try:
        return result(read(body, media, NOW))
    except InvalidInput as error:
        return error.problem, error.detail, error.errors


def filled(item: bytes, media: Media) -> bytes:
    """The item in a body that is large enough for the fast reading."""
    rows = [json.dumps(trade(number)).encode() for number in range(FILLING)]
    rows[FILLING // 2 : FILLING // 2] = [item]
    return b"\n".join(rows) if media == "lines" else b"[" + b",".join(rows) + b"]"


@pytest.mark.parametrize(("body", "problem", "field"), FIELDS, ids=range(len(FIELDS)))
def test_a_trade_that_breaks_a_rule_is_refused_with_index_field_and_what_came(
    body: bytes, problem: str, field: str
) -> None:
    for index, error in (
        (0, refusal(body)),
        (0, refusal(body, "lines")),
        (1, refusal(b"[" + GOOD + b"," + body + b"]")),
        (FILLING // 2, refusal(filled(body, "json"))),
        (FILLING // 2, refusal(filled(body, "lines"), "lines")),
    ):
        if body == b'["symbol"]' and index == 0 and error.errors[0]["received"] == "symbol":
            continue  # alone it is an array of one text
        assert error.problem == problem
        assert (field or "") in [entry["field"] for entry in error.errors] or field == "\x00"
        for entry in error.errors:
            assert entry["index"] == index
            assert set(entry) == {"index", "field", "detail", "received"}
            assert len(entry["received"]) <= 80
            assert (entry["field"] + entry["received"]).isprintable() or "\u00a0" in entry["received"]
        json.dumps(error.body(), ensure_ascii=False).encode()  # can be answered


@pytest.mark.parametrize("body", SYNTAX, ids=range(len(SYNTAX)))
def test_what_is_no_json_is_refused_as_not_parsable(body: bytes) -> None:
    for bad in (body, b"[" + GOOD + b"," + body, filled(body, "json"), filled(body, "lines"), b"[" + body + b"]"):
        media: Media = "lines" if b"}\n{" in bad else "json"
        assert refusal(bad, media).problem == "not-parsable"


def test_the_corpus_has_more_than_two_hundred_items() -> None:
    assert len(FIELDS) + len(SYNTAX) > 200


@pytest.mark.parametrize(
    ("body", "media"), [(b"[]", "json"), (b" [ ] ", "json"), (b"", "lines"), (b" \n\r\n\n", "lines")]
)
def test_no_trades_at_all_are_refused_as_invalid(body: bytes, media: Media) -> None:
    error = refusal(body, media)
    assert (error.problem, error.status, len(error.errors)) == ("invalid", 422, 1)


@pytest.mark.parametrize("body", [b"", b" ", b"\n"])
def test_an_empty_json_body_is_not_parsable(body: bytes) -> None:
    assert refusal(body).status == 400


def test_one_object_an_array_of_one_and_a_line_are_the_same() -> None:
    body = json.dumps(trade(0)).encode()
    one = result(decode_body(body, "json", NOW))
    assert (
        one == result(decode_body(b"[" + body + b"]", "json", NOW)) == result(decode_body(body + b"\n", "lines", NOW))
    )


def test_blank_lines_are_ignored_and_no_line_may_hold_two_trades_or_half_of_one() -> None:
    rows = [json.dumps(trade(number)).encode() for number in range(FILLING)]
    plain = result(decode_body(b"\n".join(rows), "lines", NOW))
    assert plain == result(decode_body(b"\n\n \r\n".join(rows) + b"\r\n", "lines", NOW))
    assert refusal(b"\n".join(rows[:-2]) + b"\n" + rows[-2] + rows[-1], "lines").problem == "not-parsable"
    split = rows[-1].replace(b", ", b",\n", 1)
    assert refusal(b"\n".join(rows[:-1]) + b"\n" + split, "lines").problem == "not-parsable"
    both = [*rows[:-3], rows[-3] + rows[-2], split]  # as many lines as trades
    assert refusal(b"\n".join(both), "lines").problem == "not-parsable"
    with pytest.raises(Doubt):
        decode_columns(b"\n".join(both), "lines", NOW)


def test_a_body_that_ends_anywhere_too_early_is_not_parsable() -> None:
    body = json.dumps([trade(0), trade(1)]).encode()
    for length in range(len(body)):
        assert refusal(body[:length]).problem == "not-parsable"
    large = filled(GOOD, "json")
    for length in range(len(large) - 300, len(large)):
        assert refusal(large[:length]).problem == "not-parsable"


def test_errors_name_the_first_hundred_with_their_index() -> None:
    rows = [trade(number) | ({"price": "+5"} if number % 3 == 0 else {}) for number in range(1000)]
    error = refusal(json.dumps(rows).encode())
    assert [entry["index"] for entry in error.errors] == list(range(0, 300, 3))
    assert error.errors[1] == {
        "index": 3,
        "field": "price",
        "detail": error.errors[0]["detail"],
        "received": "+5",
    }


def test_what_is_no_json_is_refused_before_what_breaks_a_rule() -> None:
    rows = [json.dumps(trade(number)).encode() for number in range(2000)]
    rows[3] = rows[3].replace(b'"desk"', b"true")
    rows[1900] = rows[1900].replace(b'"desk"', b"tru")
    assert refusal(b"[" + b",".join(rows) + b"]").problem == "not-parsable"
    error = refusal(b"\n".join(rows), "lines")
    assert error.problem == "not-parsable"
    assert "line 1901" in error.detail


@pytest.mark.parametrize("media", ["json", "lines"])
def test_one_odd_trade_among_many_changes_neither_the_others_nor_the_result(media: Media) -> None:
    odd = json.dumps(trade(5000) | {"strategy": 'a":b', "price": "1.25e-7"}).encode()
    body = filled(odd, media)
    with pytest.raises(Doubt):
        decode_columns(body, media, NOW)
    assert result(decode_body(body, media, NOW)) == result(decode_by_reference(body, media, NOW))


@pytest.mark.parametrize("item", [GOOD, b"0", b"{}", b'""'])
def test_more_than_fifty_thousand_trades_are_too_large(item: bytes) -> None:
    assert refusal(b"[" + b",".join([item] * 50_001) + b"]").problem == "too-large"
    assert refusal(b"\n".join([item] * 50_001), "lines").problem == "too-large"


def test_fifty_thousand_trades_are_accepted() -> None:
    body = b"[" + b",".join([GOOD] * 50_000) + b"]"
    assert decode_body(body, "json", NOW).count == 50_000


BOMBS = {
    "elements": b"[" + b"0," * 8_000_000 + b"0]",
    "brackets": b"[" * 16_000_000,
    "objects": b'{"a":' * 3_000_000,
    "names": b"{" + b",".join(b'"%d":1' % number for number in range(1_400_000)) + b"}",
    "one text": b'{"symbol":"' + b"x" * 16_000_000 + b'"}',
    "one number": b'{"symbol":"A","quantity":' + b"9" * 16_000_000 + b',"price":1}',
    "white space": b" " * 16_000_000,
    "backslashes": b'["' + b"\\\\" * 8_000_000 + b'"]',
    "quotes": b"[" + b'"",' * 5_000_000 + b'""]',
}


@pytest.mark.parametrize("media", ["json", "lines"])
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_of_sixteen_megabytes_is_refused_in_time(name: str, media: Media) -> None:
    start = time.thread_time()
    error = refusal(BOMBS[name], media)
    seconds = time.thread_time() - start
    assert error.status in (400, 413, 422)
    assert seconds < 3, f"{name} took {seconds:.2f} s of CPU"


@generated
@given(bodies())
def test_the_fast_reading_gives_what_the_reference_gives(body_and_media: tuple[bytes, Media]) -> None:
    body, media = body_and_media
    try:
        columns, _ = decode_columns(body, media, NOW)
    except Doubt:
        return
    assert encode_frame(columns) == encode_frame(decode_by_reference(body, media, NOW).as_columns())


@generated
@given(mutated_bodies())
def test_no_mutation_makes_the_fast_reading_accept_what_the_reference_refuses(
    body_and_media: tuple[bytes, Media],
) -> None:
    body, media = body_and_media
    try:
        columns, _ = decode_columns(body, media, NOW)
    except Doubt:
        return
    assert encode_frame(columns) == encode_frame(decode_by_reference(body, media, NOW).as_columns())


@generated
@given(mutated_bodies())
def test_a_mutated_trade_in_a_large_body_has_the_outcome_of_the_reference(body_and_media: tuple[bytes, Media]) -> None:
    body, media = body_and_media
    inner = body if media == "lines" else body[1:-1]
    large = filled(inner, media)
    assert outcome(decode_body, large, media) == outcome(decode_by_reference, large, media)


def test_trades_of_any_mix_of_fields_are_read_fast() -> None:
    rows = [trade(number) for number in range(FILLING)]
    for number, row in enumerate(rows):
        if number % 3:
            del row["side"]
        if number % 4 == 0:
            row |= {"fee": "0.10", "tags": {"a": "b"}, "source_seq": number, "sent_at": NOW + number, "timestamp": None}
        if number % 5 == 0:
            row |= {"trade_id": number, "multiplier": 50, "currency": "€", "liquidity": "maker"}
    body = json.dumps(rows).encode()
    columns, given_stamps = decode_columns(body, "json", NOW)
    reference = decode_by_reference(body, "json", NOW)
    assert encode_frame(columns) == encode_frame(reference.as_columns())
    assert given_stamps.tolist() == [row["timestamp"] is not None for row in rows]
    assert result(decode_body(body, "json", NOW)) == result(reference)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("count", [1, 20, 400])
def test_a_body_that_lies_in_a_larger_buffer_is_read_as_if_alone(compiled: bool, count: int) -> None:
    if compiled and not available():
        pytest.skip("numba is not installed")
    decoder = Decoder(compiled=compiled)
    body = json.dumps([trade(number) for number in range(count)]).encode()
    batch = decoder.in_place(np.frombuffer(body + bytes(PADDING), U8), len(body), NOW)
    assert result(batch) == result(decoder.decode(body, "json", NOW))
    assert [part for part in (batch.trades, batch.columns) if part is None] == [None]
