"""What was merged into lately is known as far back as there is room, and what is not known is said so."""

from __future__ import annotations

import numpy as np

from gateway.aggregator import Aggregator
from gateway.state.touched import Touched
from telemetry.rows import INSTRUMENT, START, WIDTH
from tests.gateway.test_aggregator import EPOCH, NOW, offer, trade

SECOND = 1_000_000_000


def rows(*pairs: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    matrix = np.zeros((len(pairs), WIDTH), np.int64)
    matrix[:, (INSTRUMENT, START)] = pairs
    return matrix


def test_pairs_behind_a_trade_are_those_merged_after_it() -> None:
    touched = Touched()
    touched.note(3, rows((0, 7), (1, 7)), [])
    touched.note(5, rows((0, 8)), [(2, 9)])
    late = [(0, 8), (2, 9)]
    assert [pairs_of(touched, seq) for seq in (0, 3, 4, 5)] == [[(0, 7), *late[:1], (1, 7), *late[1:]], late, late, []]


def pairs_of(touched: Touched, seq: int) -> list[tuple[int, ...]]:
    found = touched.since(seq)
    assert found is not None
    return sorted(tuple(pair) for pair in found.tolist())


def test_what_there_was_no_room_for_is_not_known() -> None:
    touched = Touched(held=3)
    for seq in range(1, 6):
        touched.note(seq, rows((0, seq)), [])
    assert touched.since(1) is None
    assert pairs_of(touched, 2) == [(0, 3), (0, 4), (0, 5)]


def test_the_state_notes_wide_instruments_too_by_the_ids_of_the_state() -> None:
    state = Aggregator(epoch=EPOCH)
    huge = {"price": 10**17, "price_scale": 0, "quantity": 1, "quantity_scale": 0}
    some = [trade(symbol="A"), trade(symbol="B", **huge), trade(symbol="B", price_scale=18, at=NOW - 5 * SECOND)]
    offer(state, some, 1, 1)
    offer(state, some, 2, 3)
    second = NOW // SECOND
    assert set(pairs_of(state.touched, 1)) == {(1, second), (1, second - 5)}
