"""What NumPy does with many keys or trades at once is what is done with one after the other."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gateway.state.bursts import GENERATION, NumpyBursts
from gateway.state.counts import Counts
from gateway.state.largest import MOST, PlainLargest, reduced, unbeaten
from telemetry.patterns import CODE, FAR, KEY, LARGEST, LOCAL_BITS, PRICE, QUANTITY, SLOT, TIMESTAMP


def seeded() -> np.random.Generator:
    seed = random.randrange(2**32)
    print("seed", seed)
    return np.random.default_rng(seed)


@pytest.mark.parametrize("different", [3, 5_000, 200_000])
def test_counts_are_those_of_a_dictionary_however_often_a_key_comes_at_once(different: int) -> None:
    draw = seeded()
    counts, expected = Counts(), dict[int, int]()
    for _ in range(30):
        keys, values = draw.integers(1, different, 5_000) << 20, draw.integers(1, 9, 5_000)
        before = [expected.get(key, 0) for key in keys.tolist()]
        assert counts.of(keys).tolist() == before
        slots = counts.slots(keys)
        new = counts.new(slots)
        assert new.tolist() == sorted(
            {key: row for row, key in reversed([*enumerate(keys.tolist())]) if key not in expected}.values()
        )
        counts.begin(slots[new], np.zeros(len(new), np.int64))
        totals = []
        for key, value in zip(keys.tolist(), values.tolist(), strict=True):
            expected[key] = expected.get(key, 0) + value
            totals.append(expected[key])
        assert counts.add(slots, values).tolist() == totals
        assert len(counts) == len(expected)
    assert [array.tolist() for array in counts.held()] == [
        list(of) for of in zip(*sorted(expected.items()), strict=True)
    ]
    counts.clear()
    assert len(counts) == counts.of(keys).max() == 0


def test_a_millisecond_counts_on_from_the_older_generation_and_anew_when_that_is_forgotten() -> None:
    bursts, one = NumpyBursts(), np.array([5])
    others = np.arange(10, 10 + GENERATION)
    assert bursts.count(np.array([5, 5, 7, 5]), np.array([2, 3, 1, 1])).tolist() == [2, 5, 1, 6]
    bursts.turn()  # there are too few for a new one
    assert bursts.count(one, one).tolist() == [11]
    bursts.count(others, np.ones(GENERATION, np.int64))
    bursts.turn()
    assert bursts.count(one, one).tolist() == [16]
    for _ in range(2):
        bursts.count(others, np.ones(GENERATION, np.int64))
        bursts.turn()
        others = others + GENERATION
    assert bursts.count(one, one).tolist() == [5]


def test_the_largest_trades_are_those_that_fewer_than_ten_beat_among_all_that_were_offered() -> None:
    draw = seeded()
    held, offered = PlainLargest(), dict[int, list[tuple[int, ...]]]()
    for turn in range(60):
        count = 400
        ids, first = draw.integers(0, 5, count) * 7, np.full(count, 1 + turn * count)
        found = np.zeros((count, 6), np.int64)
        found[:, KEY] = draw.integers(1, (1 << 40) if turn % 3 else 30, count)
        found[:, TIMESTAMP], found[:, PRICE], found[:, QUANTITY] = draw.integers(1, 1 << 50, (3, count))
        found[:, CODE] = (draw.integers(0, 1 << 12, count) << 2 * LOCAL_BITS) | np.arange(count)
        found[:, SLOT] = turn // 8 - draw.integers(0, 3, count) * (draw.random(count) < 0.2)
        found[draw.random(count) < 0.05, SLOT] = FAR
        held.offer(ids, first, found)
        for instrument, (key, at, price, quantity, code, slot) in zip(ids.tolist(), found.tolist(), strict=True):
            seq, small = 1 + turn * count + (code & (1 << LOCAL_BITS) - 1), code >> 2 * LOCAL_BITS
            offered.setdefault(instrument, []).append((slot, key, seq, at, price, quantity, small))
        if turn == 30:
            saved, held = held.copied()(), PlainLargest()
            held.load(saved)
        for instrument, entries in offered.items():
            offered[instrument] = unbeaten(entries)
            assert held.of(instrument)[:, :-1].tolist() == [list(entry) for entry in offered[instrument]]
            assert len(offered[instrument]) > LARGEST
    assert held.of(1).tolist() == []


def test_what_was_beaten_by_trades_that_had_to_go_is_taken_in() -> None:
    held, entries = PlainLargest(), list[tuple[int, ...]]()

    def offer(slot: int, key: int) -> None:
        number = len(entries) + 1
        held.offer(np.zeros(1, np.int64), np.array([number]), np.array([[key, 0, 1, 1, 0, slot]]))
        entries.append((slot, key, number, 0, 1, 1, 0))

    for slot, size in ((4, 10_000_000), (5, 1_000_000)):  # ten that are the largest of all, ten that must go
        for number in range(LARGEST):
            offer(slot, size + number)
    for number in range(MOST):  # nine of a slot: smaller and smaller ones
        offer(6 + number // (LARGEST - 1), 100_000 - number)
    held.bound()
    kept, since = reduced(unbeaten(entries))
    slots = {slot for slot, *_ in kept}
    assert 4 in slots
    assert 5 not in slots
    assert held.since == {0: since}
    entries[:] = kept
    offer(5, 500_000)
    assert held.of(0)[:, :-1].tolist() == [list(entry) for entry in unbeaten(entries)]
