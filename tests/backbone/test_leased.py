"""What goes to a worker of a record: the same to analyse, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from telemetry.backbone import Lease
from telemetry.backbone.leased import leased
from telemetry.backbone.record import KEY_ENTRY, REQUEST_ENTRY, About, decode_record, encode_record
from telemetry.columns import Columns, concatenate, decode_frame, encode_frame, from_trades
from telemetry.fixed import decode_fixed
from telemetry.partial import encode_partial
from telemetry.rows import INSTRUMENT
from telemetry.times import ABSENT
from telemetry.trade import Trade
from worker.analysis import analyse
from worker.app import columns_of

NOW = 1_700_000_000_000_000_000


def trades(count: int, order_sent_at: int = ABSENT, together: int = 1) -> Columns:
    return from_trades(
        [
            Trade(
                "X", "ABC"[row // together % 3], "print", "USD", 1, 0,
                row % 3, 100 + row, 2, row + 1, row % 2, NOW + row, NOW,
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
    sent = decode_record(b"".join(leased(whole, 0, 2000)))
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


@pytest.mark.parametrize(("first", "last"), [(0, 7), (7, 8), (100, 612), (1005, 1006), (1006, 9999)])
def test_of_a_record_that_several_leases_share_each_has_its_own_trades_and_no_others(first: int, last: int) -> None:
    whole = record(trades(1000))
    sent, kept = decode_record(b"".join(leased(whole, first, last))), decode_record(whole)
    assert sent is not None
    assert kept is not None
    begin, end = max(first, 7), min(last, 1006)
    assert (sent.first_seq, sent.last_seq) == (begin, end)
    expected = decode_fixed([kept.frame]).slice(begin - 7, end - 6)
    assert encode_frame(decode_fixed([sent.frame]).compact()) == encode_frame(expected)
    assert decode_frame(sent.frame).optional == {}


@pytest.mark.parametrize("order_sent_at", [ABSENT, NOW])
@pytest.mark.parametrize(("first", "last"), [(7, 2006), (8, 1007), (300, 1500), (900, 950), (1007, 1009)])
def test_a_worker_analyses_the_same_of_parts_of_records_as_of_whole_ones(
    first: int, last: int, order_sent_at: int
) -> None:
    """Also where some of a record's instruments have no trade in its part."""
    wholes = [record(trades(1000, order_sent_at, together=400), begin) for begin in (7, 1007)]
    kept = [whole for whole, begin in zip(wholes, (7, 1007), strict=True) if begin <= last and first < begin + 1000]
    found = []
    for records in (kept, [memoryview(b"".join(leased(whole, first, last))) for whole in kept]):
        columns = concatenate(columns_of(Lease(1, 1, first, last, records)))
        partial = analyse([columns], first)
        assert set(partial.rows[:, INSTRUMENT].tolist()) == set(range(len(partial.instruments)))
        found.append((encode_frame(columns), encode_partial(partial)))
    assert found[0] == found[1]


def test_of_a_record_with_times_of_orders_every_lease_has_all_trades() -> None:
    sent = decode_record(b"".join(leased(record(trades(1000, NOW)), 100, 200)))
    assert sent is not None
    assert (sent.first_seq, sent.count) == (7, 1000)


def test_what_no_worker_looks_at_stays_here() -> None:
    whole = record(trades(1000))
    sent = b"".join(leased(whole, 0, 2000))
    assert len(sent) < len(whole) / 2
    found = decode_record(sent)
    assert found is not None
    assert (found.request_count, found.key_count) == (0, 0)
    assert decode_frame(found.frame).optional == {}


def test_a_byte_that_changes_on_its_way_is_noticed() -> None:
    sent = bytearray(b"".join(leased(record(trades(10)), 0, 2000)))
    for at in range(8, len(sent), 17):
        sent[at] ^= 1
        assert decode_record(bytes(sent)) is None, at
        sent[at] ^= 1
