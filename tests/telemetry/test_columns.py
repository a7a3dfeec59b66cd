"""Columns and frames: the same trades out as in, and nothing but InvalidInput for what is no frame."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.columns import (
    Columns,
    concatenate,
    decode_frame,
    empty,
    encode_frame,
    frame_pieces,
    from_trades,
    public,
)
from telemetry.errors import InvalidInput
from telemetry.frame import Text
from telemetry.times import ABSENT
from telemetry.trade import Instrument, Number, Trade, parse_trade
from tests.telemetry.bodies import NOW, trades

some_trades = st.lists(trades(), max_size=8)


def same(one: Columns, other: Columns) -> bool:
    """Equal to the byte, also the order of instruments and which optional columns there are."""
    return encode_frame(one) == encode_frame(other)


def a_frame() -> bytes:
    rows = [
        Trade(
            "v",
            symbol,
            "print",
            "",
            1,
            0,
            1,
            5,
            0,
            7,
            1,
            NOW,
            NOW,
            trade_id=f"é{symbol}",
            fee=1,
            fee_scale=2,
            source_seq=4,
        )
        for symbol in ("A", "B", "A")
    ]
    return encode_frame(from_trades(rows))


def test_many_trades_survive_a_frame_also_when_a_column_is_not_in_one_piece() -> None:
    rows = decode_frame(a_frame()).trades() * 3_000
    columns = from_trades(rows)
    apart = replace(columns, price=np.repeat(columns.price, 2)[::2])
    assert decode_frame(encode_frame(apart)).trades() == rows
    assert b"".join(frame_pieces(columns)) == encode_frame(apart)


@given(some_trades)
def test_trades_survive_columns_and_a_frame(rows: list[Trade]) -> None:
    columns = from_trades(rows)
    frame = encode_frame(columns)
    again = decode_frame(frame)
    assert columns.trades() == again.trades() == rows
    assert len(again) == len(rows)
    assert len(frame) % 8 == 0
    assert encode_frame(again) == frame
    assert list(again.instruments) == list(dict.fromkeys(row.instrument for row in rows))


@given(some_trades, st.integers(0, 8), st.integers(0, 8))
def test_a_slice_is_what_the_trades_in_it_would_give(rows: list[Trade], start: int, stop: int) -> None:
    start, stop = sorted((min(start, len(rows)), min(stop, len(rows))))
    assert same(from_trades(rows).slice(start, stop), from_trades(rows[start:stop]))


@given(some_trades, st.lists(st.booleans(), min_size=8, max_size=8))
def test_the_rows_of_a_mask_are_what_these_trades_would_give(rows: list[Trade], chosen: list[bool]) -> None:
    mask = np.array(chosen[: len(rows)], np.bool_)
    expected = [row for row, is_chosen in zip(rows, chosen, strict=False) if is_chosen]
    assert same(from_trades(rows).only(mask), from_trades(expected))


@given(st.lists(some_trades, max_size=4))
def test_concatenated_parts_equal_the_whole(parts: list[list[Trade]]) -> None:
    whole = [row for part in parts for row in part]
    assert same(concatenate([from_trades(part) for part in parts]), from_trades(whole))


@given(some_trades, st.integers(1, 15))
def test_a_frame_at_any_place_of_a_message_is_read(rows: list[Trade], shift: int) -> None:
    frame = encode_frame(from_trades(rows))
    message = bytearray(shift) + frame
    assert decode_frame(memoryview(message)[shift:]).trades() == rows


def test_a_frame_followed_by_padding_is_read_to_its_own_end() -> None:
    frame = a_frame()
    assert encode_frame(decode_frame(frame + bytes(64))) == frame


def test_a_frame_is_read_in_place_and_cannot_be_written() -> None:
    buffer = np.frombuffer(a_frame() + bytes(64), np.uint8)
    columns = decode_frame(buffer.data)
    assert np.shares_memory(columns.price, buffer)
    assert not columns.price.flags.writeable
    assert not columns.side.flags.writeable


def test_a_truncated_frame_is_refused_at_every_length() -> None:
    frame = a_frame()
    for length in range(len(frame)):
        with pytest.raises(InvalidInput):
            decode_frame(frame[:length])
        shorter = bytearray(frame[:length])
        if length >= 24:
            struct.pack_into("<Q", shorter, 16, length)  # also when the frame lies about its length
            with pytest.raises(InvalidInput):
                decode_frame(shorter)


@settings(max_examples=400)
@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_garbled_frame_is_refused_or_gives_trades_but_never_fails_otherwise(changes: list[tuple[int, int]]) -> None:
    frame = bytearray(a_frame())
    for place, value in changes:
        frame[place % len(frame)] = value
    try:
        columns = decode_frame(frame)
    except InvalidInput:
        return
    assert len(columns.trades()) == len(columns)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_frame_are_refused(noise: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode_frame(b"\xff" + noise)
    with pytest.raises(InvalidInput):
        decode_frame(struct.pack("<B3xIIIQ", 1, 2**32 - 1, 0, 0, 24 + len(noise)) + noise)


def test_no_trades_make_a_frame_too() -> None:
    assert decode_frame(encode_frame(empty())).trades() == []
    assert len(concatenate([empty(), empty()])) == 0


def test_only_columns_that_some_trade_has_are_kept() -> None:
    plain = Trade("", "A", "print", "", 1, 0, 0, 1, 0, 1, 0, NOW, NOW)
    columns = from_trades([plain, plain._replace(account="me", sent_at=NOW)])
    assert set(columns.optional) == {"account", "sent_at"}
    assert columns.slice(0, 1).optional == {}
    assert columns.integers("sent_at") is not None
    assert columns.text("strategy") is None
    sent = columns.integers("sent_at")
    assert sent is not None
    assert sent.tolist() == [ABSENT, NOW]


def test_texts_know_their_places_in_bytes() -> None:
    text = Text.of(["é", "", "abc", "界"])
    assert text.tolist() == ["é", "", "abc", "界"]
    assert [text[row] for row in range(4)] == ["é", "", "abc", "界"]
    assert text.slice(1, 3).tolist() == ["", "abc"]
    assert text.parts() == ["é".encode(), b"", b"abc", "界".encode()]


def test_a_row_shows_public_names_exact_decimals_and_nine_decimals_of_a_second() -> None:
    fields = {
        "symbol": "BTC-USDT",
        "side": "sell",
        "quantity": Number("0.0150"),
        "price": "-37.630",
        "multiplier": "1e2",
        "timestamp": "2026-11-22T14:00:00.5+01:00",
        "trade_id": Number("17"),
        "account": "desk",
        "fee": "-0",
        "source_seq": Number("0"),
        "sent_at": Number("1795352400000000001"),
        "tags": {"b": "2", "a": "1"},
    }
    columns = from_trades([parse_trade(fields, NOW)])
    assert columns.row(0) == {
        "symbol": "BTC-USDT",
        "side": "sell",
        "kind": "fill",
        "quantity": "0.015",
        "price": "-37.63",
        "multiplier": "100",
        "timestamp": "2026-11-22T13:00:00.500000000Z",
        "received_at": "2026-11-22T13:00:00.000000000Z",
        "trade_id": "17",
        "account": "desk",
        "fee": "0",
        "source_seq": 0,
        "sent_at": "2026-11-22T13:00:00.000000001Z",
        "tags": {"a": "1", "b": "2"},
    }


@given(st.lists(trades(), min_size=1, max_size=5))
def test_rows_are_the_trades_in_order(rows: list[Trade]) -> None:
    columns = from_trades(rows)
    assert list(columns.rows()) == [public(row) for row in rows] == [columns.row(index) for index in range(len(rows))]


def test_instruments_stand_in_the_order_of_their_first_trade() -> None:
    rows = [Trade("", symbol, "print", "", 1, 0, 0, 1, 0, 1, 0, NOW, NOW) for symbol in "CABCA"]
    columns = from_trades(rows)
    assert [entry.symbol for entry in columns.instruments] == ["C", "A", "B"]
    assert columns.instruments[0] == Instrument("", "C", "print", "", 1, 0)
    assert [entry.symbol for entry in columns.slice(2, 5).instruments] == ["B", "C", "A"]


@pytest.mark.parametrize("late", [0, 5_000, 9_998])
def test_instruments_that_come_late_or_not_at_all_stand_in_that_order_too(late: int) -> None:
    symbols = [*"AB" * late, *"ABDC" * 3, *"AB" * 20]
    rows = [Trade("", symbol, "print", "", 1, 0, 0, 1, 0, 1, 0, NOW, NOW) for symbol in ("E", *symbols)]
    for start, stop in ((1, len(rows)), (0, len(rows) - 1), (1, 2 * late + 2), (2, 2 * late + 5)):
        assert same(from_trades(rows).slice(start, stop), from_trades(rows[start:stop]))


def test_an_instrument_of_a_later_part_of_many_trades_stands_behind_those_before() -> None:
    symbols = ["A"] * 20_000
    for row, symbol in ((4_000, "B"), (4_200, "C"), (8_100, "D"), (8_200, "E")):
        symbols[row] = symbol
    rows = [Trade("", symbol, "print", "", 1, 0, 0, 1, 0, 1, 0, NOW, NOW) for symbol in ("F", *symbols)]
    assert same(from_trades(rows).slice(1, len(rows)), from_trades(rows[1:]))
