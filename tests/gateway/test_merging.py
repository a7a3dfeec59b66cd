"""Merging in compiled code changes exactly what merging in NumPy changes."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.state.merging import CompiledMerging, Ints, Merging, NumpyMerging, pack
from telemetry import rows as layout
from telemetry.rows import INSTRUMENT, LEVEL, START, WIDTH, Rows
from telemetry.statistics import add, atom_of

pytestmark = pytest.mark.skipif(find_spec("numba") is None, reason="needs numba")
number = st.one_of(st.integers(-1000, 1000), st.integers(-(2**60) + 1, 2**60 - 1))


@st.composite
def some_rows(draw: st.DrawFn, unique: bool, first_seq: int) -> Rows:
    """Rows as the journal makes them: no two trades have the same number."""
    seqs = iter(draw(st.permutations(range(first_seq, first_seq + 32))))
    keys = st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(-(2**33), 2**33))
    made = []
    for instrument, level, start in draw(st.lists(keys, min_size=1, max_size=8, unique=unique)):
        trade = st.tuples(st.integers(0, 2), number, number, st.integers(-9, 9))
        atom = add(
            atom_of(side, price, 0, max(1, abs(quantity)), 0, at, next(seqs))
            for side, price, quantity, at in draw(st.lists(trade, min_size=1, max_size=4))
        )
        assert atom is not None
        made.append(layout.from_atom(atom, instrument, level, start))
    return np.array(made, np.int64).reshape(len(made), WIDTH)


@pytest.fixture(scope="module")
def compiled() -> Merging:
    return CompiledMerging()


@settings(max_examples=150, deadline=None)
@given(some_rows(unique=False, first_seq=1), some_rows(unique=False, first_seq=33))
def test_totals_are_the_same(compiled: Merging, first: Rows, second: Rows) -> None:
    a, b = np.zeros((5, WIDTH), np.int64), np.zeros((5, WIDTH), np.int64)
    for rows in (first, second):
        NumpyMerging().absorb_totals(a, rows.copy())
        compiled.absorb_totals(b, rows)
    assert (a == b).all()


@settings(max_examples=150, deadline=None)
@given(some_rows(unique=True, first_seq=1), some_rows(unique=True, first_seq=33))
def test_the_table_is_the_same(compiled: Merging, first: Rows, second: Rows) -> None:
    a, b = np.zeros((8, WIDTH), np.int64), np.zeros((8, WIDTH), np.int64)
    for rows in (first, second):
        at = np.arange(8)[::-1][: len(rows)].copy()
        NumpyMerging().absorb(a, at, rows.copy())
        compiled.absorb(b, at, rows)
    assert (a == b).all()


@settings(max_examples=150, deadline=None)
@given(some_rows(unique=True, first_seq=1), st.data())
def test_ids_and_scales_are_the_same_and_what_does_not_fit_changes_nothing(
    compiled: Merging, rows: Rows, data: st.DataObject
) -> None:
    digits = st.lists(st.one_of(st.just(0), st.integers(0, 18)), min_size=5, max_size=5)
    ids = np.array([7, 5, 3, 1, 9])
    price, quantity = np.array(data.draw(digits)), np.array(data.draw(digits))
    a, b = rows.copy(), rows.copy()
    assert NumpyMerging().adopt(a, ids, price, quantity) == compiled.adopt(b, ids, price, quantity)
    assert (a == b).all()


@settings(max_examples=150, deadline=None)
@given(some_rows(unique=True, first_seq=1), some_rows(unique=True, first_seq=33))
def test_places_are_the_same(compiled: Merging, held: Rows, wanted: Rows) -> None:
    known = np.unique(pack(held[:, INSTRUMENT], held[:, LEVEL], held[:, START]))
    places: Ints = np.arange(len(known)) + 100
    for rows in (held, wanted):
        for a, b in zip(NumpyMerging().find(known, places, rows), compiled.find(known, places, rows), strict=True):
            assert (a == b).all()
