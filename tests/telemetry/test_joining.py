"""The frame of several parts is that of their trades together, and read where it lies it has the same columns."""

from __future__ import annotations

import random

import numpy as np

from telemetry.columns import Columns, concatenate, decode_frame, encode_frame, from_trades
from telemetry.joining import joined_frame
from telemetry.times import ABSENT
from telemetry.trade import NO_FEE, Trade

NOW = 1_795_352_400_000_000_000


def part(chance: random.Random, count: int, symbols: int) -> Columns:
    """Trades of which all or none have each optional field, or some of them."""
    texts = [chance.choice((0.0, 0.5, 1.0)) for _ in range(3)]
    numbers = [chance.choice((0.0, 0.5, 1.0)) for _ in range(3)]
    rows = []
    for number in range(count):
        trade_id, account, tags = (
            text if chance.random() < share else ""
            for text, share in zip((f"é{number}", "desk", '{"a":1}'), texts, strict=True)
        )
        has_fee, has_number, has_time = (chance.random() < share for share in numbers)
        rows.append(
            Trade(
                *("v", f"S{chance.randrange(symbols)}", "fill", "EUR", 1, 0),
                *(chance.randrange(3), chance.randrange(10**9), 2, chance.randrange(1, 10**6), 3, NOW + number, NOW),
                trade_id=trade_id,
                account=account,
                tags=tags,
                fee=number if has_fee else 0,
                fee_scale=2 if has_fee else NO_FEE,
                source_seq=number if has_number else ABSENT,
                sent_at=NOW - number if has_time else ABSENT,
            )
        )
    return from_trades(rows)


def test_parts_of_all_kinds_make_the_frame_of_their_trades_together() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(40):
        parts = [
            part(chance, chance.randrange(1, 700), chance.choice((1, 3, 200))) for _ in range(chance.randrange(1, 5))
        ]
        joined = joined_frame(parts)
        frame = b"".join(joined.pieces)
        assert frame == encode_frame(concatenate(parts))
        columns, checked = joined.columns(frame), decode_frame(frame)
        assert encode_frame(columns) == frame
        assert columns.trades() == checked.trades()


def test_parts_with_the_same_instruments_are_not_numbered_anew() -> None:
    one = part(random.Random(1), 5_000, 2)
    joined = joined_frame([one, one, one])
    assert joined.instruments is one.instruments
    columns = joined.columns(b"".join(joined.pieces))
    assert np.array_equal(columns.instrument, np.tile(one.instrument, 3))
    assert columns.trades() == one.trades() * 3
