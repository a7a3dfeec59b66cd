"""Loss against a naive model of sets, whatever is dropped, repeated or reordered, and however it is committed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.loss import Loss
from gateway.watching.names import distinct, keys_of, only_name
from telemetry.columns import Columns
from telemetry.errors import InvalidInput
from telemetry.frame import Array, Text
from telemetry.recompute_losses import RecomputeLosses
from telemetry.times import ABSENT
from telemetry.trade import Instrument

START = 1_800_000_000_000_000_000
DESK = Instrument("", "BTC-USDT", "own", "", 1, 0)


def commit(rows: Sequence[tuple[str, int, int]]) -> Columns:
    """Trades as (source, number, seconds)."""
    count = len(rows)
    integers, small = np.ones(count, np.int64), np.zeros(count, np.uint8)
    times = np.array([START + seconds * 10**9 for _, _, seconds in rows], np.int64)
    numbers = np.array([number for _, number, _ in rows], np.int64)
    optional: dict[str, Array | Text] = {"source": Text.of([source for source, _, _ in rows]), "source_seq": numbers}
    codes = np.zeros(count, np.uint32)
    return Columns((DESK,), codes, small, integers, small, integers, small, times, times, optional)


def numbered(*numbers: int, source: str = "a") -> Columns:
    """Trades whose time goes with their number."""
    return commit([(source, number, number) for number in numbers])


def row(loss: Loss, source: str = "a") -> dict[str, object]:
    return {name: value for name, value in loss.rows()[source].items() if value and name != "holes"}


def test_numbers_in_order_are_no_loss_in_however_many_commits_they_come() -> None:
    loss = Loss()
    for first in range(1, 100, 7):
        loss.feed(numbered(*range(first, first + 7)))
    assert row(loss) == {"first": 1, "last": 105, "received": 105}


def test_missing_numbers_are_a_gap_until_they_come() -> None:
    loss = Loss()
    loss.feed(numbered(5, 6, 10, 11, 20))
    assert row(loss) == {
        "first": 5, "last": 20, "received": 5, "missing": 11, "gaps": 2, "newest_gap": [12, 19],
    }  # fmt: skip
    assert loss.readings()["a"] == (11, 12, 19)
    loss.feed(numbered(8, 7, 9))
    assert row(loss) == {
        "first": 5, "last": 20, "received": 8, "missing": 8, "gaps": 1, "newest_gap": [12, 19], "healed": 3,
        "reordered": 3,
    }  # fmt: skip


def test_every_hole_is_counted_once_and_for_good() -> None:
    loss = Loss()
    loss.feed(numbered(1, 3, 6))  # two
    loss.feed(numbered(2, 4, 5, 7, 9))  # they heal, one more
    assert loss.rows()["a"]["holes"] == 3


def test_the_first_hundred_sources_are_labels_also_when_they_are_forgotten_and_after_a_restart() -> None:
    loss = Loss(most=20)
    for number in range(120):
        loss.feed(numbered(1, source=f"s{number:03}"))
    other = Loss(most=20)
    other.restore(json.loads(json.dumps(loss.export())))
    assert other.labelled == loss.labelled == [f"s{number:03}" for number in range(100)]
    assert list(other.rows(other.labelled)) == []


def test_a_number_that_came_before_is_a_repeat_and_not_a_reordering() -> None:
    loss = Loss()
    loss.feed(numbered(1, 2, 3))
    loss.feed(numbered(2, 3, 4))
    assert row(loss) == {"first": 1, "last": 4, "received": 6, "repeats": 2}


def test_numbers_below_the_first_are_late_ones() -> None:
    loss = Loss()
    loss.feed(numbered(10, 7))
    assert row(loss) == {
        "first": 7, "last": 10, "received": 2, "missing": 2, "gaps": 1, "newest_gap": [8, 9], "reordered": 1,
    }  # fmt: skip


def test_a_small_number_with_a_new_time_begins_a_numbering_anew_and_what_was_missing_is_lost() -> None:
    loss = Loss()
    loss.feed(commit([("a", 1, 1), ("a", 2, 2), ("a", 9, 9)]))
    loss.feed(commit([("a", 2, 20), ("a", 3, 21), ("a", 4, 22)]))
    assert row(loss) == {"first": 2, "last": 4, "received": 6, "lost": 6, "restarts": 1}
    assert loss.readings()["a"] == (6, None, None)


def test_a_bot_that_sends_one_trade_at_each_start_is_a_restart_each_time() -> None:
    loss = Loss()
    for second in range(5):
        loss.feed(commit([("a", 1, second)]))
    assert row(loss) == {"first": 1, "last": 1, "received": 5, "restarts": 4}


def test_a_file_that_is_sent_twice_is_repeats_and_no_restart() -> None:
    loss = Loss()
    loss.feed(numbered(*range(1, 1001)))
    loss.feed(numbered(*range(1, 1001)))
    assert row(loss) == {"first": 1, "last": 1000, "received": 2000, "repeats": 1000}


def test_trades_without_a_source_or_a_number_are_not_counted() -> None:
    loss = Loss()
    loss.feed(commit([("a", 1, 1), ("", 2, 2), ("a", ABSENT, 3), ("b", 1, 4), ("a", 2, 5)]))
    loss.feed(commit([("", 1, 1)]))
    loss.feed(commit([("a", ABSENT, 6), ("b", ABSENT, 6)]))
    assert (row(loss), row(loss, "b")) == (
        {"first": 1, "last": 2, "received": 2},
        {"first": 1, "last": 1, "received": 1},
    )


def test_the_whole_range_of_numbers_is_counted_exactly() -> None:
    loss = Loss()
    loss.feed(commit([("a", -(2**62), 0)]))
    loss.feed(commit([("a", 2**63 - 1, 5)]))
    assert row(loss)["missing"] == 2**63 - 1 + 2**62 - 1


def test_with_too_many_gaps_the_lowest_are_lost_for_good_and_no_longer_judged() -> None:
    loss = Loss(ranges=3)
    loss.feed(numbered(*range(1, 12, 2)))  # 2, 4, 6, 8, 10 are missing
    assert row(loss) == {
        "first": 1, "last": 11, "received": 6, "missing": 3, "gaps": 3, "newest_gap": [10, 10], "lost": 2,
    }  # fmt: skip
    loss.feed(numbered(2, 3, 6))
    assert {name: row(loss)[name] for name in ("unjudged", "healed", "missing", "lost")} == {
        "unjudged": 2, "healed": 1, "missing": 2, "lost": 2,
    }  # fmt: skip


def test_of_too_many_sources_the_one_not_heard_of_for_longest_is_forgotten_and_counted() -> None:
    loss = Loss(most=2)
    for name in ("a", "b", "a", "c"):
        loss.feed(numbered(1, source=name))
    assert (list(loss.rows()), loss.forgotten) == (["a", "c"], 1)


def naive(numbers: Sequence[int]) -> dict[str, object]:
    seen: set[int] = set()
    repeats = reordered = healed = 0
    for number in numbers:
        if number in seen:
            repeats += 1
        elif seen and number < max(seen):
            reordered += 1
            healed += number > min(seen)
        seen.add(number)
    missing = sorted(set(range(min(seen), max(seen))) - seen)
    gaps = sum(number - 1 not in missing for number in missing)
    counts = {"missing": len(missing), "gaps": gaps, "repeats": repeats, "reordered": reordered, "healed": healed}
    return {"first": min(seen), "last": max(seen), "received": len(numbers), **counts}


numbers_of_a_source = st.lists(st.integers(1, 60), min_size=1, max_size=80)


@given(st.dictionaries(st.sampled_from(["a", "bb", "gateway-17", "ü"]), numbers_of_a_source, min_size=1), st.randoms())
def test_loss_equals_a_model_of_sets_for_any_drops_repeats_orders_and_commits(
    sent: dict[str, list[int]], random: Random
) -> None:
    mixed = [(source, number, number) for source, numbers in sent.items() for number in numbers]
    random.shuffle(mixed)
    whole, parts = Loss(), Loss()
    whole.feed(commit(mixed))
    for start in range(0, len(mixed), 7):
        parts.feed(commit(mixed[start : start + 7]))
    for source in sent:
        found = whole.rows()[source]
        expected = naive([number for of, number, _ in mixed if of == source])
        assert {name: found[name] for name in expected} == expected
        assert (found["lost"], found["restarts"], found["unjudged"]) == (0, 0, 0)
    assert parts.rows() == whole.rows()


@given(st.lists(st.tuples(st.integers(-3, 12), st.integers(0, 6)), min_size=1, max_size=60), st.integers(1, 9))
def test_commits_make_no_difference_whatever_numbers_and_times_come(rows: list[tuple[int, int]], size: int) -> None:
    single, parts = Loss(ranges=2), Loss(ranges=2)
    for number, second in rows:
        single.feed(commit([("a", number, second)]))
    for start in range(0, len(rows), size):
        parts.feed(commit([("a", number, second) for number, second in rows[start : start + size]]))
    assert parts.rows() == single.rows()


def test_what_was_exported_goes_on_as_if_nothing_had_happened() -> None:
    whole, first, second = Loss(), Loss(), Loss()
    early, late = numbered(1, 2, 9, 11, source="x"), numbered(3, 12, 1, source="x")
    for loss in (whole, first):
        loss.feed(early)
    second.restore(json.loads(json.dumps(first.export())))
    for loss in (whole, second):
        loss.feed(late)
    assert second.export() == whole.export()


@pytest.mark.parametrize("plain", [{}, {"version": 2}, {"version": 1, "sources": [["a", {}]], "forgotten": 0}])
def test_what_is_of_another_version_or_shape_is_refused_and_changes_nothing(plain: dict[str, object]) -> None:
    loss = Loss()
    loss.feed(numbered(1, 3))
    before = loss.export()
    with pytest.raises(InvalidInput, match="expected"):
        loss.restore(plain)
    assert loss.export() == before


names = st.text(max_size=20)


@given(st.lists(names, min_size=1, max_size=30))
def test_names_have_the_same_key_exactly_when_they_are_the_same(texts: list[str]) -> None:
    keys = keys_of(Text.of(texts)).tolist()
    assert [keys.index(key) for key in keys] == [texts.index(text) for text in texts]
    assert keys == [int(keys_of(Text.of([text]))[0]) for text in texts]
    assert len(distinct(keys_of(Text.of(texts)))) == len(set(texts))
    assert only_name(Text.of(texts)) == (texts[0] if len(set(texts)) == 1 else None)


def test_texts_that_only_look_alike_when_joined_are_not_one_name() -> None:
    assert only_name(Text.of(["aa", "a", "aaa"])) is None
    assert only_name(Text.of(["ab"] * 5000)) == "ab"
    assert only_name(Text.of(["aa", "aaa", "a"] * 2000)) is None


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(-3, 40), st.integers(0, 60)), min_size=1, max_size=120),
    st.integers(1, 50),
)
def test_the_audit_counts_the_same_by_other_means(rows: list[tuple[str, int, int]], size: int) -> None:
    loss, losses = Loss(), RecomputeLosses(until=len(rows) - 1)
    for first in range(0, len(rows) - 1, size):
        loss.feed(commit(rows[first : min(len(rows) - 1, first + size)]))
    losses.add(commit(rows[: len(rows) // 2]), 1)
    losses.add(commit(rows[len(rows) // 2 :]), len(rows) // 2 + 1)
    assert losses.rows() == loss.rows()
