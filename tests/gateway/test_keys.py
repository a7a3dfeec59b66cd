"""The key index against a dictionary that forgets by the same rule."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.keys import CAPACITY, KeyIndex, RequestAnswer, RequestIndex
from telemetry.backbone.record import KEY_ENTRY, REQUEST_ENTRY, Record, decode_record, encode_record

U64 = npt.NDArray[np.uint64]


def digest(key: int) -> tuple[int, int]:
    """Two words; many keys share their low word with others, or their high one, so that searches collide."""
    mixed = (key + 1) * 0x9E3779B97F4A7C15 % (1 << 64)
    low = 7 if key % 3 == 0 else mixed
    high = 9 if key % 5 == 0 and key % 3 else (mixed * 0xBF58476D1CE4E5B9 + key) % (1 << 64)
    return low, high


def digests(keys: list[int]) -> U64:
    return np.array([digest(key) for key in keys], np.uint64).reshape(-1, 2)


class Model:
    """The rule in plain Python: present while seq > newest - capacity."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.newest = 0
        self.entries: dict[int, tuple[int, int]] = {}

    def get(self, key: int) -> tuple[int, int] | None:
        entry = self.entries.get(key)
        return entry if entry and entry[1] > self.newest - self.capacity else None


def agree(index: KeyIndex, model: Model, keys: list[int]) -> None:
    """Both ways of looking say what the model says."""
    found, fingerprints, seqs = index.lookup(digests(keys))
    for row, key in enumerate(keys):
        expected = model.get(key)
        assert bool(found[row]) == (expected is not None), key
        assert (int(fingerprints[row]), int(seqs[row])) == (expected or (0, 0)), key
        if row % 7 == 0:
            assert index.lookup_one(*digest(key)) == expected, key


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["batch", "one", "keyless", "load", "again"]),
        st.integers(1, 16) | st.integers(17, 400),
        st.integers(0, 1 << 30),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([1, 5, 100, 1000, 5000]), STEPS)
def test_the_index_answers_like_a_dictionary_that_forgets_what_left_the_window(
    capacity: int, steps: list[tuple[str, int, int]]
) -> None:
    index, model, next_key = KeyIndex(capacity), Model(capacity), 0
    for kind, size, pick in steps:
        if kind == "keyless":
            model.newest += size
            index.advance(model.newest)
            continue
        if kind == "again":  # keys that left the window are new again
            past = [key for key in range(next_key) if model.get(key) is None]
            keys = past[pick % (len(past) + 1) :][:size]
        else:
            keys = list(range(next_key, next_key + (1 if kind == "one" else size)))
            next_key += len(keys)
        insert(index, model, keys, kind)
        agree(index, model, [(pick + row * 31) % (next_key + 50) for row in range(200)])
        agree(index, model, keys)
    assert index.newest_seq == model.newest


def insert(index: KeyIndex, model: Model, keys: list[int], kind: str) -> None:
    """Commit `keys`, one trade each."""
    first = model.newest + 1
    seqs, fingerprints = list(range(first, first + len(keys))), [key * 3 + 1 for key in keys]
    if kind == "one":
        index.insert_one(*digest(keys[0]), fingerprints[0], seqs[0])
    elif kind == "load":
        index.load(record_of(first, digests(keys), fingerprints))
    elif keys:
        index.insert(digests(keys), np.array(fingerprints, np.uint64), np.array(seqs, np.int64))
    model.newest += len(keys)
    for key, fingerprint, seq in zip(keys, fingerprints, seqs, strict=True):
        model.entries[key] = (fingerprint, seq)


def record_of(first: int, key_digests: U64, fingerprints: list[int], requests: bytes = b"") -> Record:
    """A journal record whose every trade has a key."""
    keys = np.zeros(len(key_digests), KEY_ENTRY)
    keys["digest"], keys["fingerprint"], keys["row"] = key_digests, fingerprints, np.arange(len(keys))
    raw = encode_record(
        first_seq=first,
        synced_seq=first - 1,
        count=len(keys),
        min_timestamp=0,
        max_timestamp=0,
        frame=b"f",
        keys=keys.tobytes(),
        requests=requests,
    )
    record = decode_record(raw)
    assert record is not None
    return record


@pytest.mark.parametrize("batch", [1, 17, 1000, 30_000])
def test_every_key_of_the_window_is_found_while_the_table_grows_and_while_it_is_replaced(batch: int) -> None:
    """100,000 keys through a window of 20,000: several tables begin, fill and take over on the way."""
    generator = np.random.default_rng(7)
    index = KeyIndex(20_000)
    total = 100_000 if batch > 1 else 60_000
    every = generator.integers(0, 1 << 63, (total, 2), np.uint64)
    for start in range(0, total, batch):
        part = every[start : start + batch]
        assert not index.lookup(part)[0].any()
        if batch == 1:
            index.insert_one(int(part[0, 0]), int(part[0, 1]), start, start + 1)
        else:
            seqs = np.arange(start + 1, start + len(part) + 1)
            index.insert(part, seqs.astype(np.uint64), seqs)
        if start % (total // 20) < batch:
            end = start + len(part)
            oldest = max(end - 20_000, 0)
            found, _, seqs_found = index.lookup(every[:end])
            assert not found[:oldest].any()
            assert found[oldest:].all()
            assert (seqs_found[oldest:] == np.arange(oldest + 1, end + 1)).all()


def test_one_trade_before_the_edge_of_the_window_is_known_and_the_next_commit_forgets_it() -> None:
    index = KeyIndex(10)
    index.insert_one(1, 2, 3, 5)
    index.advance(14)
    assert index.lookup_one(1, 2) == (3, 5)
    index.advance(15)
    assert index.lookup_one(1, 2) is None
    assert not index.lookup(np.array([[1, 2]], np.uint64))[0][0]


def test_a_million_keys_cost_less_than_60_bytes_each() -> None:
    generator = np.random.default_rng(11)
    index = KeyIndex(CAPACITY)
    worst = 0.0
    for start in range(0, 1_000_000, 10_000):
        seqs = np.arange(start + 1, start + 10_001)
        index.insert(generator.integers(0, 1 << 63, (10_000, 2), np.uint64), seqs.astype(np.uint64), seqs)
        if start >= 100_000:
            worst = max(worst, index.memory_bytes / (start + 10_000))
    assert worst < 60


def test_the_next_table_is_filled_step_by_step_beside_the_one_that_answers() -> None:
    """Memory falls whenever a new table takes over; when one is built at a stroke it never does."""
    index, memory = KeyIndex(1 << 20), [0]
    for seq in range(1, 40_001):
        index.insert_one(seq * 0x9E3779B97F4A7C15 % (1 << 64), seq, 0, seq)
        memory.append(index.memory_bytes)
    assert sum(after < before for before, after in pairwise(memory)) >= 2


def test_a_batch_larger_than_the_window_keeps_its_last_keys() -> None:
    index, model = KeyIndex(50), Model(50)
    insert(index, model, list(range(170)), "batch")
    agree(index, model, list(range(200)))


def test_requests_are_answered_as_the_first_time_until_they_leave_the_window() -> None:
    index = RequestIndex(3)
    for number in range(1, 4):
        index.insert(number, 5, RequestAnswer((number, 8), 1, number, number), number)
    assert index.lookup(2, 5) == RequestAnswer((2, 8), 1, 2, 2)
    assert index.lookup(2, 6) is None
    index.advance(5)
    assert [index.lookup(number, 5) is not None for number in (1, 2, 3)] == [False, False, True]


def test_requests_that_added_no_trade_are_bounded_too() -> None:
    index = RequestIndex(4)
    for number in range(10):
        index.insert(number, 0, RequestAnswer((number, 0), 0, 1, 0), 7)
    assert [index.lookup(number, 0) is not None for number in range(10)] == [False] * 6 + [True] * 4


def request_entries(*rows: dict[str, Any]) -> bytes:
    """Request entries of a record."""
    entries = np.zeros(len(rows), REQUEST_ENTRY)
    for entry, row in zip(entries, rows, strict=True):
        for name, value in row.items():
            entry[name] = value
    return entries.tobytes()


def test_a_record_brings_its_requests_with_the_numbers_that_they_were_given() -> None:
    requests = request_entries(
        {"digest": (1, 2), "fingerprint": (3, 4), "accepted": 2, "duplicates": 1, "first_row": 1, "rows": 2},
        {"digest": (5, 6), "fingerprint": (7, 8), "accepted": 0, "duplicates": 4},
    )
    index = RequestIndex()
    index.load(record_of(101, digests([1, 2, 4]), [1, 2, 3], requests))
    assert index.lookup(1, 2) == RequestAnswer((3, 4), 2, 1, 102)
    assert index.lookup(5, 6) == RequestAnswer((7, 8), 0, 4, 0)
