"""The newest records in memory: all that cover a range, or none of them."""

from __future__ import annotations

import gc

from telemetry.backbone.recent import Recent


def kept(it: Recent, first: int, last: int) -> list[bytes] | None:
    found = it.covering(first, last)
    return None if found is None else [bytes(record.raw) for record in found]


def filled(*, most: int = 100) -> Recent:
    it = Recent(most)
    it.add(1, 3, b"1-3")
    it.add(4, 3, b"no trade")
    it.add(4, 4, b"4-4")
    it.add(5, 9, b"5-9")
    return it


def test_the_records_that_hold_any_trade_of_a_range_are_found_in_order() -> None:
    it = filled()
    assert kept(it, 1, 9) == [b"1-3", b"4-4", b"5-9"]
    assert kept(it, 3, 4) == [b"1-3", b"4-4"]
    assert kept(it, 6, 7) == [b"5-9"]


def test_a_range_that_is_not_all_there_is_not_found() -> None:
    assert kept(filled(), 9, 10) is None
    assert kept(filled(most=6), 3, 4) is None
    assert kept(filled(most=6), 4, 9) == [b"4-4", b"5-9"]
    assert kept(Recent(100), 1, 1) is None
    assert kept(filled(most=0), 5, 9) is None


def test_after_a_gap_only_what_follows_it_is_kept() -> None:
    it = filled()
    it.add(12, 12, b"12-12")
    assert kept(it, 5, 9) is None
    assert kept(it, 12, 12) == [b"12-12"]


def test_records_are_let_go_once_nobody_needs_their_last_trade() -> None:
    it = filled()
    it.add(10, 11, b"10-11")
    it.forget(4)
    assert kept(it, 4, 4) is None
    it.forget(8)
    assert kept(it, 5, 11) == [b"5-9", b"10-11"], "expected a record to stay for any of its trades"
    it.forget(11)
    assert kept(it, 10, 11) is None
    it.add(12, 12, b"12-12")
    assert kept(it, 12, 12) == [b"12-12"]


def test_ten_thousand_records_are_no_work_for_the_garbage_collector() -> None:
    it = Recent(1 << 20)
    gc.collect()
    before = len(gc.get_objects())
    for seq in range(1, 10_001):
        it.add(seq, seq, b"%d" % seq)
    assert len(gc.get_objects()) - before < 100
    assert kept(it, 1, 2) == [b"1", b"2"]
