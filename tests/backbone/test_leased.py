"""What goes to a worker of a record: the same to analyse, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from telemetry.backbone.leased import leased
from telemetry.backbone.record import KEY_ENTRY, REQUEST_ENTRY, About, decode_record, encode_record
from telemetry.columns import Columns, decode_frame, encode_frame, from_trades
from telemetry.fixed import decode_fixed
from telemetry.times import ABSENT
from telemetry.trade import Trade
from worker.analysis import analyse

NOW = 1_700_000_000_000_000_000


def trades(count: int, order_sent_at: int = ABSENT) -> Columns:
    return from_trades(
        [
            Trade(
                "X", "ABC"[row % 3], "print", "USD", 1, 0, row % 3, 100 + row, 2, row + 1, row % 2, NOW + row, NOW,
                trade_id=f"t-{row}", account="desk", strategy="s", order_sent_at=order_sent_at,
            )
            for row in range(count)
        ]
    )  # fmt: skip


def record(columns: Columns, first_seq: int = 7) -> memoryview:
    return memoryview(
        encode_record(
            About(first_seq, first_seq - 1, len(columns), int(columns.timestamp.min()), int(columns.timestamp.max())),
            frame=encode_frame(columns),
            requests=np.zeros(2, REQUEST_ENTRY).tobytes(),
            keys=np.zeros(len(columns), KEY_ENTRY).tobytes(),
        )
    )


@pytest.mark.parametrize("count", [1, 2, 5, 8, 1000])
@pytest.mark.parametrize("order_sent_at", [ABSENT, NOW - 5_000_000])
def test_a_worker_finds_the_same_in_what_is_leased_as_in_the_record(count: int, order_sent_at: int) -> None:
    whole = record(trades(count, order_sent_at))
    sent = decode_record(b"".join(leased(whole)))
    kept = decode_record(whole)
    assert sent is not None
    assert kept is not None
    for name in ("first_seq", "count", "synced_seq", "min_timestamp", "max_timestamp"):
        assert getattr(sent, name) == getattr(kept, name)
    partials = [analyse([decode_fixed([one.frame])], one.first_seq) for one in (kept, sent)]
    assert partials[0].instruments == partials[1].instruments
    assert np.array_equal(partials[0].rows, partials[1].rows)
    assert (len(partials[0].orders.cells) > 0) == (order_sent_at != ABSENT)
    assert np.array_equal(partials[0].orders.cells, partials[1].orders.cells)


def test_what_no_worker_looks_at_stays_here() -> None:
    whole = record(trades(1000))
    sent = b"".join(leased(whole))
    assert len(sent) < len(whole) / 2
    found = decode_record(sent)
    assert found is not None
    assert (found.request_count, found.key_count) == (0, 0)
    assert decode_frame(found.frame).optional == {}


def test_a_byte_that_changes_on_its_way_is_noticed() -> None:
    sent = bytearray(b"".join(leased(record(trades(10)))))
    for at in range(8, len(sent), 17):
        sent[at] ^= 1
        assert decode_record(bytes(sent)) is None, at
        sent[at] ^= 1
