"""Many frames read as one: the fixed columns of all, or a refusal."""

from __future__ import annotations

import numpy as np
import pytest

from telemetry.columns import Columns, concatenate, decode_frame, encode_frame, from_trades
from telemetry.errors import InvalidInput
from telemetry.fixed import decode_fixed
from telemetry.times import ABSENT
from telemetry.trade import Trade

NOW = 1_700_000_000_000_000_000
FIXED = ("instrument", "side", "price", "price_scale", "quantity", "quantity_scale", "timestamp", "received_at")


def frame(*symbols: str) -> bytes:
    return encode_frame(
        from_trades(
            [
                Trade("X", symbol, "print", "USD", 1, 0, row % 3, row - 1, row % 18, row + 1, 2, NOW - row, NOW)
                for row, symbol in enumerate(symbols)
            ]
        )
    )


def same(a: Columns, b: Columns) -> bool:
    return a.instruments == b.instruments and all((getattr(a, name) == getattr(b, name)).all() for name in FIXED)


LARGE = frame(*"ABC" * 400), frame(*"CAD" * 300), frame(*"ABCD" * 300), frame()


@pytest.mark.parametrize(
    "frames", [[frame("A")], [frame("A", "B", "A")], [frame("B", "A"), frame("C", "A", "D"), frame("D")], [*LARGE]]
)
def test_the_fixed_columns_are_those_of_the_frames_one_after_the_other(frames: list[bytes]) -> None:
    assert same(decode_fixed([memoryview(part) for part in frames]), concatenate([decode_frame(f) for f in frames]))


def test_a_frame_is_read_wherever_it_lies() -> None:
    moved = memoryview(b"123" + frame("A", "B"))[3:]
    assert same(decode_fixed([moved]), decode_frame(frame("A", "B")))


def test_a_frame_that_was_not_packed_is_refused() -> None:
    good = frame("A", "B", "A")
    for at, value in ((0, 9), (4, 255), (8, 255), (24 + 32 * 3, 7), (24 + 36 * 3, 3), (24 + 37 * 3, 99)):
        bad = bytearray(good)
        bad[at] = value
        with pytest.raises(InvalidInput):
            decode_fixed([memoryview(good), memoryview(bad)])
        with pytest.raises(InvalidInput):
            decode_fixed([memoryview(bad)])
    with pytest.raises(InvalidInput):
        decode_fixed([memoryview(good)[:20]])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_instrument_that_is_not_in_the_table_of_its_own_frame_is_refused(place: int) -> None:
    bad, before, behind = bytearray(LARGE[place]), LARGE[:place], LARGE[place + 1 :]
    count = int.from_bytes(bad[4:8], "little")
    bad[24 + 36 * count - 4] = 4  # the last trade's; one of the other tables has so many
    with pytest.raises(InvalidInput):
        decode_fixed([memoryview(part) for part in (*before, bytes(bad), *behind)])


def test_one_frame_is_read_in_place() -> None:
    content = memoryview(frame("A", "B"))
    columns = decode_fixed([content])
    for name in FIXED:
        assert np.shares_memory(getattr(columns, name), np.frombuffer(content, np.uint8))


def test_nothing_points_into_frames_that_were_joined() -> None:
    content = bytearray(frame("A", "B"))
    columns = decode_fixed([memoryview(content), memoryview(frame("A"))])
    before = columns.price.copy()
    content[:] = bytes(len(content))
    assert np.array_equal(columns.price, before)


def ordered(*sent: int, strategy: str = "mm-1") -> bytes:
    return encode_frame(
        from_trades(
            [
                Trade(
                    *("X", "A", "fill", "USD", 1, 0, 1, 5, 0, 1, 0, NOW, NOW),
                    order_sent_at=at,
                    strategy=strategy,
                    trade_id=f"t{row}",
                    liquidity="maker" if row % 2 else "",
                )
                for row, at in enumerate(sent)
            ]
        )
    )


@pytest.mark.parametrize(
    "frames",
    [
        [ordered(NOW - 5, NOW - 6, ABSENT)],
        [frame("A", "B", "A"), ordered(NOW), ordered(ABSENT, strategy="ü"), ordered(NOW - 1, NOW, strategy="")],
    ],
)
def test_the_times_of_orders_are_read_with_what_tells_whose_they_are(frames: list[bytes]) -> None:
    found = decode_fixed([memoryview(part) for part in frames])
    expected = concatenate([decode_frame(part) for part in frames])
    assert same(found, expected)
    assert found.optional.keys() == {"order_sent_at", "strategy", "liquidity"}
    assert all(column.tolist() == expected.optional[name].tolist() for name, column in found.optional.items())


def test_optional_columns_are_left_alone_where_no_order_has_a_time() -> None:
    assert decode_fixed([memoryview(ordered(ABSENT)), memoryview(frame("B"))]).optional == {}


def test_an_optional_column_that_ends_too_late_is_refused() -> None:
    good = ordered(NOW - 5, NOW - 6)
    with pytest.raises(InvalidInput):
        decode_fixed([memoryview(good[:16] + (len(good) - 16).to_bytes(8, "little") + good[24:-16])])
