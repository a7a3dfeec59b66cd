"""The newest rows of each subscription, frame by frame."""

from __future__ import annotations

from typing import Any

import pytest

from telemetry.errors import TryAgain
from ui.board import SUBSCRIPTIONS, Board


def stats(kind: str, seq: int, symbols: dict[str, Any], **also: Any) -> dict[str, Any]:
    data = {"symbols": symbols, **also}
    return {"type": kind, "id": "all", "topic": "stats", "seq": seq, "skipped": 0, "data": data}


def test_an_update_replaces_the_rows_that_it_carries_and_keeps_the_others() -> None:
    board = Board()
    board.apply(stats("snapshot", 3, {"A": {"trades": 1}, "B": {"trades": 2}}, totals={"trades": 3}))
    board.apply(stats("update", 4, {"B": {"trades": 3}}, totals={"trades": 4}))
    part = board.part("all")
    assert part.rows == {"A": {"trades": 1}, "B": {"trades": 3}}
    assert part.also == {"totals": {"trades": 4}}
    assert part.seq == 4


def test_a_snapshot_begins_anew() -> None:
    board = Board()
    board.apply(stats("snapshot", 9, {"A": {"trades": 1}}))
    board.apply(stats("snapshot", 2, {"B": {"trades": 1}}))
    assert board.part("all").rows == {"B": {"trades": 1}}


def test_what_was_handed_out_does_not_change_when_the_next_frame_comes() -> None:
    board = Board()
    board.apply(stats("snapshot", 1, {"A": {"trades": 1}}))
    before = board.part("all")
    board.apply(stats("update", 2, {"A": {"trades": 2}}))
    assert before.rows == {"A": {"trades": 1}}


def test_a_board_is_complete_when_every_subscription_has_sent_its_snapshot() -> None:
    board = Board()
    for wanted in SUBSCRIPTIONS:
        assert not board.complete
        head = {"type": "snapshot", "id": wanted["id"], "topic": wanted["topic"], "seq": 5}
        board.apply(head | {"data": {"symbols": {}, "stages": {}}})
    assert board.complete


def test_a_heartbeat_moves_the_sequence_number_only() -> None:
    board = Board()
    board.apply({"type": "heartbeat", "seq": 12})
    assert board.seq == 12
    assert not board.part("all").started


def test_a_refused_subscription_is_not_passed_over_in_silence() -> None:
    with pytest.raises(TryAgain, match="topic: expected one of"):
        Board().apply({"type": "error", "id": None, "detail": "topic: expected one of stats"})
