"""The newest rows of each subscription, frame by frame."""

from __future__ import annotations

from typing import Any

import pytest

from telemetry.errors import TryAgain
from ui.board import ALL, ALWAYS, EVENTS_KEPT, Ask, Board, Status, View


def opened(*asks: Ask) -> tuple[Board, list[str]]:
    """A board with these subscriptions, and their ids."""
    board = Board(asks)
    return board, [str(board.open(ask)["subscribe"]["id"]) for ask in asks]


def stats(name: str, kind: str, seq: int, symbols: dict[str, Any], **also: Any) -> dict[str, Any]:
    data = {"symbols": symbols, **also}
    return {"type": kind, "id": name, "topic": "stats", "seq": seq, "skipped": 0, "data": data}


def test_an_update_replaces_the_rows_that_it_carries_and_keeps_the_others() -> None:
    board, [name] = opened(ALL)
    board.apply(stats(name, "snapshot", 3, {"A": {"trades": 1}, "B": {"trades": 2}}, totals={"trades": 3}))
    board.apply(stats(name, "update", 4, {"B": {"trades": 3}}, totals={"trades": 4}))
    part = board.part(ALL)
    assert part.rows == {"A": {"trades": 1}, "B": {"trades": 3}}
    assert part.also == {"totals": {"trades": 4}}
    assert part.seq == 4


def test_a_snapshot_begins_anew() -> None:
    board, [name] = opened(ALL)
    board.apply(stats(name, "snapshot", 9, {"A": {"trades": 1}}))
    board.apply(stats(name, "snapshot", 2, {"B": {"trades": 1}}))
    assert board.part(ALL).rows == {"B": {"trades": 1}}


def test_what_was_handed_out_does_not_change_when_the_next_frame_comes() -> None:
    board, [name] = opened(ALL)
    board.apply(stats(name, "snapshot", 1, {"A": {"trades": 1}}))
    before = board.part(ALL)
    board.apply(stats(name, "update", 2, {"A": {"trades": 2}}))
    assert before.rows == {"A": {"trades": 1}}


def test_a_board_is_complete_when_every_subscription_has_sent_its_snapshot() -> None:
    board, names = opened(*ALWAYS)
    for ask, name in zip(ALWAYS, names, strict=True):
        assert not board.complete
        head = {"type": "snapshot", "id": name, "topic": ask.topic, "seq": 5}
        board.apply(head | {"data": {"symbols": {}, "stages": {}}})
    assert board.complete


def test_a_heartbeat_moves_the_sequence_number_only() -> None:
    board = Board()
    board.apply({"type": "heartbeat", "seq": 12})
    assert board.seq == 12
    assert not board.part(ALL).started


def test_a_refused_subscription_of_one_page_says_so_and_leaves_the_others_alone() -> None:
    board = Board((ALL,))
    board.open(ALL)
    ask = Ask("alerts")
    name = board.open(ask)["subscribe"]["id"]
    board.apply({"type": "error", "id": name, "detail": "topic: expected one of stats"})
    assert board.part(ask).refused == "topic: expected one of stats"


def test_events_are_kept_in_their_order_the_newest_of_them() -> None:
    board, [name] = opened(ask := Ask("trades"))
    board.apply({"type": "subscribed", "id": name, "topic": "trades", "seq": 4})
    assert board.part(ask).started
    for seq in range(5, 2000):
        board.apply({"type": "update", "id": name, "topic": "trades", "seq": seq, "data": [{"seq": seq}]})
    kept = [event["seq"] for event in board.part(ask).events]
    assert kept == list(range(2000 - EVENTS_KEPT, 2000))


def test_what_comes_after_the_end_of_a_subscription_is_not_kept() -> None:
    board, [name] = opened(ALL)
    assert board.close(ALL) == {"unsubscribe": name}
    board.apply(stats(name, "update", 2, {"A": {"trades": 1}}))
    assert not board.part(ALL).rows


def test_a_view_makes_a_figure_once_for_all_who_look() -> None:
    made: list[int] = []
    view = View(Status("live", "", 0, 1), 7, {})

    def make() -> str:
        made.append(1)
        return "made"

    for _ in range(3):
        assert view.once("cards", make) == "made"
    assert made == [1]


def test_a_refused_subscription_is_not_passed_over_in_silence() -> None:
    with pytest.raises(TryAgain, match="topic: expected one of"):
        Board().apply({"type": "error", "id": None, "detail": "topic: expected one of stats"})
