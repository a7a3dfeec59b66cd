"""Folding asks the same of all keys in compiled code as in NumPy, and never changes what a reading holds."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gateway.state.atoms import LEVELS, AtomTable
from gateway.state.folding import CompiledFolding, NumpyFolding
from gateway.state.merging import Ints, pack
from telemetry.decode_compiled import available
from telemetry.rows import INSTRUMENT, LAST, OPEN, REVISION, START, TRADES, WIDTH

pytestmark = pytest.mark.skipif(not available(), reason="numba is not installed")
SEED = random.randrange(2**32)


def keys_of(draw: np.random.Generator, count: int) -> Ints:
    instrument, level = draw.integers(0, 5, count), draw.integers(0, 4, count)
    start = draw.integers(-3, 3_000, count) * np.array(LEVELS)[level]
    return np.unique(pack(instrument, level, start))


@pytest.mark.parametrize("count", [0, 1, 7, 2_000])
def test_every_question_has_the_same_answer(count: int) -> None:
    print("seed", SEED)
    draw = np.random.default_rng(SEED)
    numpy, compiled = NumpyFolding(), CompiledFolding(10_000)
    for _ in range(20):
        keys = keys_of(draw, count)
        at = draw.permutation(len(keys))
        for level, limit in ((0, 100), (0, 10**9), (1, 90_000), (2, -5), (3, 10**10)):
            for most in (1, 50, 10_000):
                assert (
                    compiled.older(keys, level, limit, most).tolist() == numpy.older(keys, level, limit, most).tolist()
                )
            for coarse, excess in ((60, 1), (60, 40), (3600, 10**6)):
                question = keys, level, coarse, limit, excess
                assert compiled.frontier_of(*question) == numpy.frontier_of(*question)
        more = np.setdiff1d(keys_of(draw, 50), keys)
        some = draw.permutation(len(keys))[: len(keys) // 3]
        pairs = [compiled.inserted(keys, at, more, more), numpy.inserted(keys, at, more, more)]
        pairs += [compiled.without(keys, at, some), numpy.without(keys, at, some)]
        for one, other in (pairs[:2], pairs[2:]):
            assert [part.tolist() for part in one] == [part.tolist() for part in other]


def test_one_stray_atom_of_another_century_costs_no_memory() -> None:
    keys = np.sort(pack(np.zeros(3, np.int64), np.zeros(3, np.int64), np.array([-9_000_000_000, 60, 61])))
    question = keys, 0, 60, 10**9, 1
    assert CompiledFolding(100).frontier_of(*question) == NumpyFolding().frontier_of(*question) == (120, 1)


def test_what_a_reading_holds_stays_as_it_was_however_often_keys_come_and_go() -> None:
    folding = CompiledFolding(1000)
    keys = at = np.arange(100, dtype=np.int64)
    held = []
    for turn in range(40):
        more = np.array([1000 + turn])
        keys, at = folding.inserted(keys, at, more, more)
        keys, at = folding.without(keys, at, np.array([0]))
        held.append((keys, keys.tolist(), at, at.tolist()))
        held = held[-turn % 7 :]
        assert all(keys.tolist() == of_keys and at.tolist() == of_at for keys, of_keys, at, of_at in held)


def rows_of(second: int, symbols: int) -> Ints:
    rows = np.zeros((symbols, WIDTH), np.int64)
    rows[:, INSTRUMENT], rows[:, START], rows[:, TRADES], rows[:, REVISION] = np.arange(symbols), second, 1, second
    rows[:, OPEN] = rows[:, LAST] = second
    return rows


def test_a_table_is_folded_to_the_same_atoms_and_far_more_instruments_than_the_cap_are_not_copied() -> None:
    tables = [AtomTable(1000), AtomTable(1000)]
    tables[1].folding = CompiledFolding(len(tables[1].rows))
    memory = [table.rows for table in tables]
    for second in range(1, 400):
        for table in tables:
            table.merge(rows_of(second, 10 if second < 390 else 9_000))
            if second % 50 == 0:
                table.fold(second)
                table.finish_fold()
    one, other = (table.select(np.arange(9_000), 0, 10**6) for table in tables)
    assert sorted(one.tolist()) == sorted(other.tolist())
    assert one[:, TRADES].sum() == 389 * 10 + 10 * 9_000
    assert tables[0].frontier == tables[1].frontier
    assert all(table.rows is before for table, before in zip(tables, memory, strict=True))
