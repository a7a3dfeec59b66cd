"""The key index against a dictionary that forgets by the same rule, with slots in NumPy and in compiled code."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ingestion.compiled_slots import CompiledSlots
from gateway.ingestion.digest_table import Ring
from gateway.ingestion.entries import FOUR, SEQ
from gateway.ingestion.growth import BEGIN, BUCKET, FEWEST, FULL, PARTS, Growth
from gateway.ingestion.slots import MakeSlots, Slots
from gateway.keys import CAPACITY, KeyIndex, RequestAnswer, RequestIndex, compiled_slots, runs
from telemetry.backbone.record import KEY_ENTRY, REQUEST_ENTRY, About, Record, decode_record, encode_record
from telemetry.decode_compiled import available
from telemetry.digests import Keys
from telemetry.errors import TryAgain

U64 = npt.NDArray[np.uint64]
Item = tuple[int, int] | None  # key and fingerprint of a trade; None for a trade without a key


@pytest.fixture(params=["numpy", "compiled"], scope="module")
def slots(request: pytest.FixtureRequest) -> MakeSlots:
    if request.param == "numpy":
        return Slots
    if not available():
        pytest.skip("numba is not installed")
    return compiled_slots()


def digest(key: int) -> tuple[int, int]:
    """Two words; many keys share their low word with others, or their high one, so that searches collide."""
    mixed = (key + 1) * 0x9E3779B97F4A7C15 % (1 << 64)
    low = 7 if key % 3 == 0 else mixed
    high = 9 if key % 5 == 0 and key % 3 else (mixed * 0xBF58476D1CE4E5B9 + key) % (1 << 64)
    return low, high


def digests(keys: Sequence[int]) -> U64:
    return np.array([digest(key) for key in keys], np.uint64).reshape(-1, 2)


def keys_of(items: Sequence[Item]) -> Keys:
    """The keys of a batch."""
    return Keys(
        np.array([item is not None for item in items]),
        np.array([digest(item[0]) if item else (0, 0) for item in items], np.uint64).reshape(-1, 2),
        np.array([item[1] if item else 0 for item in items], np.uint64),
    )


def fresh_keys(all_digests: U64) -> Keys:
    count = len(all_digests)
    return Keys(np.ones(count, bool), all_digests, np.arange(count).astype(np.uint64))


def commit(index: KeyIndex, keys: Keys) -> None:
    """One batch, all new, and its commit."""
    first = index.newest_seq + 1
    assert index.claim(keys, first)[1:] == (None, 0, [])
    index.settle(index.count, first + len(keys.given) - 1)


class Model:
    """The rules in plain Python: present while pending, or while seq > newest - capacity."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.newest = 0
        self.entries: dict[int, tuple[int, int]] = {}
        self.groups: list[tuple[int, list[tuple[int, int, int]]]] = []  # pending: last seq; key, fingerprint, seq

    @property
    def next_seq(self) -> int:
        return (self.groups[-1][0] if self.groups else self.newest) + 1

    def get(self, key: int) -> tuple[int, int] | None:
        """(fingerprint, sequence number)"""
        for _, added in self.groups:
            for pending, *entry in added:
                if pending == key:
                    return entry[0], entry[1]
        entry_of = self.entries.get(key)
        return entry_of if entry_of and entry_of[1] > self.newest - self.capacity else None

    def claim(self, items: Sequence[Item], only_new: bool) -> tuple[list[bool], int, list[int]]:
        """(which are fresh, the newest first copy of a duplicate outside, conflicts), see Slots.claim."""
        own: dict[int, tuple[int, int]] = {}
        fresh: list[bool] = []
        conflicts, held, first = [], 0, self.next_seq
        for row, item in enumerate(items):
            earlier = None
            if item is not None:
                outside = self.get(item[0])
                held = max(held, outside[1]) if outside else held
                earlier = outside or own.get(item[0])
                if earlier is None:
                    own[item[0]] = item[1], first + sum(fresh)
                elif earlier[0] != item[1]:
                    conflicts.append(row)
            fresh.append(earlier is None)
        if not conflicts and not (only_new and not all(fresh)):
            self.groups.append((first + sum(fresh) - 1, [(key, *entry) for key, entry in own.items()]))
        return fresh, held, conflicts

    def settle(self) -> int:
        """Commit the oldest batch; how many keys it has."""
        self.newest, added = self.groups.pop(0)
        for key, fingerprint, seq in added:
            self.entries[key] = fingerprint, seq
        return len(added)


def agree(index: KeyIndex, model: Model, keys: Sequence[int]) -> None:
    """Both ways of looking say what the model says."""
    found, fingerprints, seqs = index.lookup(digests(keys))
    pending = {key: (fingerprint, seq) for _, added in model.groups for key, fingerprint, seq in added}
    for row, key in enumerate(keys):
        expected = pending.get(key) or model.get(key)
        assert bool(found[row]) == (expected is not None), key
        assert (int(fingerprints[row]), int(seqs[row])) == (expected or (0, 0)), key
        if row % 7 == 0:
            assert index.lookup_one(*digest(key)) == expected, key


def batch(source: random.Random, size: int, known: int, *, keyless: bool) -> list[Item]:
    """Trades without a key, with a new one, with one that was used before, and twice in the batch."""
    again, conflict = source.choice([(0.0, 0.0), (0.3, 0.0), (1.0, 0.0), (0.3, 0.1)])
    items: list[Item] = []
    if keyless:
        return [None] * size
    for row in range(size):
        key = source.randrange(known + row + 1) if source.random() < again else known + row
        other = source.random() < conflict
        items.append(None if source.random() < 0.1 else (key, 3 * key + 1 + other))
    return items


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["claim", "claim", "claim", "only new", "settle", "settle", "release", "keyless", "load"]),
        st.integers(1, 16) | st.integers(17, 300),
        st.integers(0, 1 << 30),
    ),
    min_size=1,
    max_size=40,
)


class Machine:
    """The index and the model, taken through the same steps."""

    def __init__(self, capacity: int, slots: MakeSlots) -> None:
        self.index = KeyIndex(capacity, pending=2000, slots=slots)
        self.model = Model(capacity)
        self.known = self.settled = 0

    def step(self, kind: str, size: int, seed: int) -> None:
        source = random.Random(seed)
        if kind in ("claim", "only new", "keyless"):
            self.claim(batch(source, size, self.known, keyless=kind == "keyless"), kind == "only new")
        elif kind == "settle" and self.model.groups:
            self.settled += self.model.settle()
            self.index.settle(self.settled, self.model.newest)
        elif kind == "release":
            self.index.release()
            self.model.groups.clear()
        elif kind == "load" and not self.model.groups:
            self.load(source, size)
        agree(self.index, self.model, [source.randrange(self.known + 50) for _ in range(60)])

    def claim(self, items: list[Item], only_new: bool) -> None:
        pending = self.index.count - self.settled
        if len(items) > 2000 - pending:
            with pytest.raises(TryAgain):
                self.index.claim(keys_of(items), 1)
            return
        before, first = self.index.count, self.model.next_seq
        claimed = self.index.claim(keys_of(items), first, only_new=only_new)
        fresh, held, conflicts = self.model.claim(items, only_new)
        assert claimed.conflicts == conflicts
        assert (claimed.fresh is None) == all(fresh)
        assert claimed.fresh is None or claimed.fresh.tolist() == fresh
        if conflicts or (only_new and not all(fresh)):
            assert (claimed.added, self.index.count) == (0, before)
            return
        added = self.model.groups[-1][1]
        assert (claimed.added, claimed.held_seq, self.index.count - before) == (len(added), held, len(added))
        content = self.index.journaled(before, self.index.count, first)
        written = bytearray()
        for piece in self.index.journal_pieces(before, self.index.count, first):
            written += bytes(len(piece))
            with memoryview(written) as view:
                piece.write(view[-len(piece) :])
        assert written == content
        raw = np.frombuffer(content, KEY_ENTRY)
        assert raw["digest"].tolist() == digests([key for key, *_ in added]).tolist()
        assert list(zip(raw["fingerprint"].tolist(), raw["row"].tolist(), strict=True)) == [
            (fingerprint, seq - first) for _, fingerprint, seq in added
        ]
        self.known = max(self.known, *(item[0] + 1 for item in items if item), 0)

    def load(self, source: random.Random, size: int) -> None:
        run = []
        for part in range(1, source.randrange(2, 5)):
            keys = list(range(self.known, self.known + size // part))
            self.known += len(keys)
            run.append(record_of(self.model.newest + 1, digests(keys), [3 * key + 1 for key in keys]))
            for row, key in enumerate(keys):
                self.model.entries[key] = 3 * key + 1, self.model.newest + 1 + row
            self.model.newest += len(keys)
            self.settled += len(keys)
        before = self.index.count
        self.index.load(run)
        self.settled = self.index.count  # of more than the window has, only the last ones
        assert self.index.count - before <= sum(record.key_count for record in run)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([1, 5, 100, 1000, 5000]), STEPS)
def test_the_index_answers_like_a_dictionary_that_forgets_what_left_the_window(
    slots: MakeSlots, capacity: int, steps: list[tuple[str, int, int]]
) -> None:
    machine = Machine(capacity, slots)
    for step in steps:
        machine.step(*step)
    assert machine.index.newest_seq == machine.model.newest


def test_so_it_does_in_long_random_walks(slots: MakeSlots) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    source = random.Random(seed)
    kinds = ["claim", "claim", "claim", "only new", "settle", "settle", "release", "keyless", "load"]
    for _ in range(25):
        machine = Machine(source.choice([5, 100, 1000, 5000]), slots)
        for _ in range(20):
            size = source.choice([source.randrange(1, 17), source.randrange(17, 300)])
            machine.step(source.choice(kinds), size, source.randrange(1 << 30))


def record_of(first: int, key_digests: U64, fingerprints: list[int], requests: bytes = b"") -> Record:
    """A journal record whose every trade has a key."""
    keys = np.zeros(len(key_digests), KEY_ENTRY)
    keys["digest"], keys["fingerprint"], keys["row"] = key_digests, fingerprints, np.arange(len(keys))
    raw = encode_record(
        About(first, first - 1, len(keys), 0, 0),
        frame=b"f",
        keys=keys.tobytes(),
        requests=requests,
    )
    record = decode_record(raw)
    assert record is not None
    return record


@pytest.mark.parametrize("batch", [1, 17, 1000, 30_000])
def test_every_key_of_the_window_is_found_while_the_table_grows_and_while_it_is_replaced(
    slots: MakeSlots, batch: int
) -> None:
    """100,000 keys through a window of 20,000: several tables begin, fill and take over on the way."""
    generator = np.random.default_rng(7)
    index = KeyIndex(20_000, pending=40_000, slots=slots)
    total = 100_000 if batch > 1 else 60_000
    every = generator.integers(0, 1 << 63, (total, 2), np.uint64)
    for start in range(0, total, batch):
        part = every[start : start + batch]
        commit(index, fresh_keys(part))
        if start % (total // 20) < batch:
            end = start + len(part)
            oldest = max(end - 20_000, 0)
            found, _, seqs_found = index.lookup(every[:end])
            assert not found[:oldest].any()
            assert found[oldest:].all()
            assert (seqs_found[oldest:] == np.arange(oldest + 1, end + 1)).all()


def test_one_trade_before_the_edge_of_the_window_is_known_and_the_next_commit_forgets_it(slots: MakeSlots) -> None:
    index = KeyIndex(10, slots=slots)
    index.claim(keys_of([None, None, None, None, (1, 3)]), 1)
    index.settle(1, 14)
    assert index.lookup_one(*digest(1)) == (3, 5)
    index.settle(1, 15)
    assert index.lookup_one(*digest(1)) is None
    assert not index.lookup(digests([1]))[0][0]


@pytest.mark.parametrize("size", [3, 100])
def test_pending_keys_never_write_over_what_is_in_the_window(slots: MakeSlots, size: int) -> None:
    index = KeyIndex(1000, pending=5000, slots=slots)
    commit(index, keys_of([(key, 1) for key in range(1000)]))
    for start in range(1000, 6000, size):
        items: list[Item] = [(key, 1) for key in range(start, min(start + size, 6000))]
        assert index.claim(keys_of(items), start + 1).added == len(items)
    assert index.lookup(digests(range(6000)))[0].all()
    with pytest.raises(TryAgain, match="expected at most 0 more trades before a commit, received 1"):
        index.claim(keys_of([(6000, 1)]), 6001)
    index.release()
    found = index.lookup(digests(range(6000)))[0]
    assert found[:1000].all()
    assert not found[1000:].any()


@pytest.mark.parametrize("size", [2, 40])
def test_a_key_taken_back_is_not_found_by_a_slot_that_it_left_behind_long_ago(slots: MakeSlots, size: int) -> None:
    """The same key in the same place of the ring, first forgotten by the window, then taken back with a conflict."""
    index = KeyIndex(50, pending=50, slots=slots)
    first: list[Item] = [(key, 1) for key in range(size)]
    commit(index, keys_of(first))
    while index.count % 100:
        commit(index, keys_of([(1000 + index.count, 1)]))
    wrong: Item = (0, 2)
    assert index.claim(keys_of([*first, wrong]), index.newest_seq + 1).conflicts == [size]
    assert not index.lookup(digests(range(size)))[0].any()
    assert index.claim(keys_of([*first, wrong]), index.newest_seq + 1).conflicts == [size]
    index.claim(keys_of(first), index.newest_seq + 1)
    index.release()
    assert not index.lookup(digests(range(size)))[0].any()
    assert index.claim(keys_of(first), index.newest_seq + 1) == (size, None, 0, [])


def test_a_million_keys_cost_less_than_60_bytes_each(slots: MakeSlots) -> None:
    generator = np.random.default_rng(11)
    index = KeyIndex(CAPACITY, slots=slots)
    worst = 0.0
    for start in range(0, 1_000_000, 10_000):
        commit(index, fresh_keys(generator.integers(0, 1 << 63, (10_000, 2), np.uint64)))
        if start >= 100_000:
            worst = max(worst, index.memory_bytes / (start + 10_000))
    assert worst < 60


@pytest.mark.parametrize("batch", [1, 2, 700])
def test_slots_get_more_evenly_and_never_crowded(slots: MakeSlots, batch: int) -> None:
    """Between two claims no more parts move than that many keys are worth, and those that wait are never too full."""
    ring = Ring(1 << 20, pending=batch, slots=slots)
    every = fresh_keys(np.random.default_rng(3).integers(0, 1 << 63, (84_000, 2), np.uint64))
    growth, most, steps, sizes = ring._growth, 0, 0, set()
    for row in range(0, 84_000, batch):
        before = growth.split
        keys = Keys(*(getattr(every, name)[row : row + batch] for name in ("given", "digests", "fingerprints")))
        assert ring.claim(keys, row + 1, only_new=True).added == batch
        ring.settle(ring.written, ring.written)
        most = max(most, before - growth.split)
        steps += growth.split < before
        sizes.add(growth.larger)
        assert row + batch <= FULL * BUCKET * PARTS * (growth.smaller if growth.split else growth.larger)
    assert len(sizes) >= 3
    assert most <= 2 + PARTS * batch / ((FULL - BEGIN) * BUCKET * PARTS * min(sizes)) * 1.1
    assert steps >= min(PARTS, 5_000 / batch)


def test_parts_lie_where_no_entry_comes_before_they_have_moved_and_never_on_parts_that_wait() -> None:
    growth, taken, places, added, lent = Growth(1_000_000, FOUR), 0, 1_000_000, 997, 0
    while taken < 3 * places:
        behind = taken + added
        if growth.begin(taken, min(behind, int(FULL * growth.slots)), min(behind, places)):
            in_place = growth.old == growth.new >= places * FOUR // BUCKET or growth.smaller == growth.larger
            assert in_place or growth.old + PARTS * growth.smaller <= growth.new
        growth.split = min(growth.split, growth.due(behind))
        taken = behind
        lowest = BUCKET * (growth.old if growth.split else growth.new)
        if lowest < places * FOUR:
            lent += 1
            assert taken * FOUR <= lowest
        end = BUCKET * (growth.new + PARTS * growth.larger)
        assert end <= places * FOUR + (growth.behind if BUCKET * growth.new >= places * FOUR else 0)
    assert lent > 100
    assert growth.larger == growth.most


def test_what_is_left_behind_by_keys_that_were_taken_back_does_not_fill_the_table(slots: MakeSlots) -> None:
    """Ten times as many as there are slots are claimed and taken back, others or the same again, and a part of them is
    pending whenever slots get fewer; those that stay are known all the time."""
    ring = Ring(20_000, pending=20_000, slots=slots)
    generator = np.random.default_rng(19)
    kept = fresh_keys(generator.integers(0, 1 << 63, (5_000, 2), np.uint64))
    ring.claim(kept, 1, only_new=True)
    ring.settle(ring.written, 5_000)
    for turn in range(60):
        if turn < 20:
            gone = [fresh_keys(generator.integers(0, 1 << 63, (8_500, 2), np.uint64)) for _ in range(2)]
        for number, keys in enumerate(gone):
            assert ring.claim(keys, 5_001 + 8_500 * number, only_new=True).added == 8_500
            assert (ring.find(keys.digests[:100]) >= 0).all()
        ring.release()
        assert (ring.find(kept.digests) == np.arange(5_000)).all()
        assert (ring.find(gone[0].digests[:100]) < 0).all()
        assert ring._slots.used <= FULL * ring._growth.slots


@pytest.mark.parametrize("doubt", [False, True])
def test_compiled_slots_move_the_same_as_those_in_numpy(doubt: bool) -> None:
    """The same factors, entries and steps: the same slots in each bucket, when they are taken in the same way."""
    if not available():
        pytest.skip("numba is not installed")

    class Moving(CompiledSlots):
        takes_again, claim = False, Slots.claim

    make = partial(Moving, import_module("telemetry.compiled.table"))
    rings = [Ring(30_000, pending=10_000, slots=make) for make in (Slots, make)]
    rings[0]._slots._tags.factors = rings[1]._slots._tags.factors
    generator, kept = np.random.default_rng(23), 0
    for turn in range(40):
        keys = fresh_keys(generator.integers(0, 1 << 63, (3_000, 2), np.uint64))
        for ring in rings:
            assert ring.claim(keys, kept + 1, only_new=True).added == 3_000
            if doubt and turn % 3 == 0:
                ring.release()
            else:
                ring.settle(ring.written, kept + 3_000)
        kept = rings[0].newest_seq
        assert rings[0]._growth.spread == rings[1]._growth.spread
        assert rings[0]._slots.used == rings[1]._slots.used
    slots_of_both = [ring.entries.flat[FOUR * 40_000 :] for ring in rings]
    assert np.count_nonzero(slots_of_both[0]) > 20_000
    for part in range(PARTS):
        begin, size = rings[0]._growth.new + part * rings[0]._growth.larger, rings[0]._growth.larger
        first, second = (ring.entries.flat[BUCKET * begin : BUCKET * (begin + size)] for ring in rings)
        if part >= rings[0]._growth.split:
            assert np.sort(first).tolist() == np.sort(second).tolist()


def slots_in_use(ring: Ring) -> U64:
    """What is in them, while no part waits."""
    begin, size = ring._growth.new * BUCKET, ring._growth.larger * BUCKET * PARTS
    values = ring.entries.flat[begin : begin + size]
    used: U64 = values[values != 0]
    return used


def test_a_key_that_was_taken_back_and_came_again_has_one_slot_once_its_part_has_moved(slots: MakeSlots) -> None:
    ring, generator = Ring(100_000, pending=10_000, slots=slots), np.random.default_rng(29)
    again = fresh_keys(generator.integers(0, 1 << 63, (10_000, 2), np.uint64))
    for _ in range(2):
        ring.release()
        assert ring.claim(again, 1, only_new=True).added == 10_000
    ring.settle(10_000, 10_000)
    assert len(slots_in_use(ring)) > 19_900
    while ring._growth.larger == FEWEST or ring._growth.split:
        first = ring.newest_seq + 1
        ring.claim(fresh_keys(generator.integers(0, 1 << 63, (500, 2), np.uint64)), first, only_new=True)
        ring.settle(ring.written, first + 499)
    assert len(np.unique(slots_in_use(ring))) == len(slots_in_use(ring)) == ring._slots.used == ring.written


def test_slots_of_keys_that_left_are_taken_again_and_given_back_when_a_batch_is_refused() -> None:
    """Eight windows: so many keys that hundreds are found behind a bucket that is full, half of the batches refused."""
    if not available():
        pytest.skip("numba is not installed")
    rings = [Ring(60_000, pending=1000, slots=make) for make in (Slots, compiled_slots())]
    generator, moved = np.random.default_rng(31), [0, 0]
    every = generator.integers(0, 1 << 63, (480_000, 2), np.uint64)
    for start in range(0, len(every), 1000):
        new = fresh_keys(every[start : start + 1000])
        other = fresh_keys(generator.integers(0, 1 << 63, (1000, 2), np.uint64))
        twice = (np.concatenate([column, column]) for column in (other.given, other.digests, other.fingerprints))
        refused = Keys(*twice)
        refused.fingerprints[-1] += np.uint64(1)
        for number, ring in enumerate(rings):
            waiting = ring._growth.split
            assert ring.claim(refused, start + 1, only_new=False).conflicts == [1999]
            ring.claim(new, start + 1, only_new=True)
            ring.settle(ring.written, start + 1000)
            moved[number] += (waiting - ring._growth.split) % PARTS
        if start % 20_000 == 0:
            end, oldest = start + 1000, max(start - 59_000, 0)
            for ring in rings:
                for row in range(oldest, end, 1000):
                    assert ring.claim(fresh_keys(every[row : row + 1000]), end + 1, only_new=False)[::3] == (0, [])
                assert (ring.find(every[:oldest]) < 0).all()
    assert 0 < moved[1] < moved[0] / 2


def test_keys_that_are_taken_up_and_taken_back_while_large_tables_are_filled_are_known_and_forgotten(
    slots: MakeSlots,
) -> None:
    """Half a million keys through a window of 150,000, 5,000 pending; every tenth time they are taken back."""
    generator = np.random.default_rng(13)
    index = KeyIndex(150_000, pending=5_000, slots=slots)
    kept: list[U64] = []
    for turn in range(110):
        parts = [generator.integers(0, 1 << 63, (1000, 2), np.uint64) for _ in range(5)]
        first = index.newest_seq + 1
        for number, part in enumerate(parts):
            assert index.claim(fresh_keys(part), first + 1000 * number).added == 1000
        if turn % 10 == 9:
            index.release()
            assert not index.lookup(np.concatenate(parts))[0].any()
        else:
            index.settle(index.count, first + 4999)
            kept += parts
        if turn % 10 == 8:
            found, _, seqs = index.lookup(np.concatenate(kept[-200:]))
            window = found[-150_000:]
            assert window.all()
            assert found.sum() == len(window)
            assert (seqs[found] == np.arange(index.newest_seq - len(window) + 1, index.newest_seq + 1)).all()


def test_a_run_larger_than_the_window_keeps_its_last_keys(slots: MakeSlots) -> None:
    index = KeyIndex(50, pending=0, slots=slots)
    index.load([record_of(1, digests(range(170)), [key * 3 + 1 for key in range(170)])])
    found, _, seqs = index.lookup(digests(range(200)))
    assert np.flatnonzero(found).tolist() == list(range(120, 170))
    assert seqs[120:170].tolist() == list(range(121, 171))


def test_runs_are_the_same_records_some_thousand_keys_together() -> None:
    records = [record_of(first, digests([first]), [0]) for first in range(1, 5001)]
    large = record_of(5001, digests(range(9000)), [0] * 9000)
    found = list(runs([*records, large, records[0]]))
    assert [record for run in found for record in run] == [*records, large, records[0]]
    assert [len(run) for run in found] == [4096, 905, 1]
    assert list(runs([])) == []


@pytest.mark.parametrize("start", [0, 5, 9])
def test_entries_are_written_and_found_around_the_end_of_the_ring(slots: MakeSlots, start: int) -> None:
    ring = Ring(10, pending=0, slots=slots)
    for rows in (start, 7):
        block = np.zeros((rows, FOUR), np.uint64)
        block[:, :2] = np.random.default_rng(rows).integers(0, 1 << 63, (rows, 2), np.uint64)
        block[:, SEQ] = ring.newest_seq + 1 + np.arange(rows)
        ring.insert(block)
    assert ring.find(block[:, :2]).tolist() == [(start + row) % 10 for row in range(7)]


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
    index.load([record_of(101, digests([1, 2, 4]), [1, 2, 3], requests)])
    assert index.lookup(1, 2) == RequestAnswer((3, 4), 2, 1, 102)
    assert index.lookup(5, 6) == RequestAnswer((7, 8), 0, 4, 0)
