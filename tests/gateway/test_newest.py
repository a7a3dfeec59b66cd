"""A table of atoms that knows the newest seconds holds the same rows at the same places as one that searches."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gateway.state.atoms import AtomTable
from gateway.state.merging import CompiledMerging
from gateway.state.newest import Newest
from telemetry.decode_compiled import available
from telemetry.rows import INSTRUMENT, LAST, OPEN, REVISION, START, TRADES, WIDTH, Rows

pytestmark = pytest.mark.skipif(not available(), reason="needs numba")


def table(*, knows: bool) -> AtomTable:
    made = AtomTable(400)
    made.merging, made.newest = CompiledMerging(), Newest() if knows else None
    return made


def some_rows(rng: random.Random, second: int, step: int) -> Rows:
    """Of some instruments some seconds, mostly the newest ones, in any order."""
    late = rng.choice((0, 0, 0, 5, 500))
    keys = {(rng.randrange(20 + step // 50), second - rng.randrange(3 + late)) for _ in range(rng.randrange(1, 30))}
    rows = np.zeros((len(keys), WIDTH), np.int64)
    rows[:, (INSTRUMENT, START)] = rng.sample(sorted(keys), len(keys))
    rows[:, TRADES], rows[:, REVISION] = 1, step + 1
    rows[:, OPEN] = rows[:, LAST] = rows[:, START] * 1_000_000_000
    return rows


def test_the_same_rows_stand_at_the_same_places_and_the_same_pages_are_saved() -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng, second = random.Random(seed), 10_000
    plain, quick = table(knows=False), table(knows=True)
    short = saved = 0
    for step in range(1000):
        second += rng.choice((0, 0, 1, 1, 2, 60))
        rows = some_rows(rng, second, step)
        assert quick.newest is not None
        short += quick.newest.look(rows, quick.frontier[0]) is not None
        for one in (plain, quick):
            one.merge(rows.copy())
            one.fold_some()
            if step % 40 == 39:
                one.fold(second)
            if step % 30 == 20:
                one.freeze(everything=step % 60 == 20)
        count = rng.choice((0, 0, 0, 1, 1 << 20))
        frozen = plain.take_frozen(count)
        assert frozen == quick.take_frozen(count), f"seed {seed}, step {step}"
        saved += len(frozen)
        if step % 100 == 99:
            assert (plain.rows[: plain.used] == quick.rows[: quick.used]).all(), f"seed {seed}, step {step}"
            assert (plain.used, len(plain), plain.frontier) == (quick.used, len(quick), quick.frontier)
            everything = np.arange(50), 0, 2 * second
            assert (plain.select(*everything) == quick.select(*everything)).all()
            taken_over = table(knows=True)
            taken_over.load(quick.rows[: quick.used].copy(), quick.frontier)
            again = table(knows=False)
            again.load(plain.rows[: plain.used].copy(), plain.frontier)
            plain, quick = again, taken_over
    assert min(short, saved, plain.frontier[0]) > 20, (short, saved, plain.frontier)
