"""Rows hold the very numbers of atoms: converting, merging, reducing and rescaling agree with Python integers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from telemetry import rows as layout
from telemetry.statistics import Atom, add, atom_of

narrow = st.builds(
    atom_of,
    st.integers(0, 2),
    st.integers(1 - layout.LIMIT, layout.LIMIT - 1),
    st.just(4),
    st.integers(1, layout.LIMIT - 1),
    st.just(2),
    st.integers(-(2**62), 2**62),
    st.integers(1, 2**40),
)
small = st.builds(
    atom_of,
    st.integers(0, 2),
    st.integers(-(10**6), 10**6),
    st.just(4),
    st.integers(1, 10**6),
    st.just(2),
    st.integers(-(2**62), 2**62),
    st.integers(1, 2**40),
)


def matrix(atoms: list[Atom]) -> layout.Rows:
    return np.array([layout.from_atom(atom, 7, 0, 9) for atom in atoms], np.int64)


def back(row: layout.Rows, price_scale: int = 4, quantity_scale: int = 2) -> Atom:
    return layout.to_atom(row.tolist(), price_scale, quantity_scale)


@given(narrow)
def test_an_atom_that_fits_survives_being_a_row(atom: Atom) -> None:
    assert layout.fits(atom)
    assert back(matrix([atom])[0]) == atom


def seq_of(atom: Atom) -> int:
    """What no two trades share."""
    return atom.revision


@given(st.lists(narrow, min_size=2, max_size=20, unique_by=seq_of))
def test_merging_rows_is_adding_atoms(atoms: list[Atom]) -> None:
    pairs = list(zip(atoms[::2], atoms[1::2], strict=False))
    merged = layout.merge(matrix([a for a, _ in pairs]), matrix([b for _, b in pairs]))
    assert [back(row) for row in merged] == [a + b for a, b in pairs]


@given(st.lists(narrow, min_size=1, max_size=30, unique_by=seq_of))
def test_reducing_by_group_is_adding_the_atoms_of_each_group(atoms: list[Atom]) -> None:
    members = [(atom.revision % 3, atom) for atom in atoms]
    groups, sums = layout.reduce(matrix([atom for _, atom in members]), np.array([group for group, _ in members]))
    expected = {group: add(atom for other, atom in members if other == group) for group, _ in members}
    assert {group: back(row) for group, row in zip(groups.tolist(), sums, strict=True)} == expected


@given(small, st.integers(0, 9), st.integers(0, 9))
def test_rescaling_rows_is_rescaling_atoms(atom: Atom, price_digits: int, quantity_digits: int) -> None:
    rows = matrix([atom])
    digits = np.array([price_digits]), np.array([quantity_digits])
    finer = atom.at_scale(4 + price_digits, 2 + quantity_digits)
    assert layout.fits(finer) is not bool(layout.unfit(rows, *digits)[0])
    layout.rescale(rows, *digits)
    assert back(rows[0], 4 + price_digits, 2 + quantity_digits) == finer


@given(narrow, st.integers(0, 18), st.integers(0, 18))
def test_what_would_not_fit_after_rescaling_is_known_before(
    atom: Atom, price_digits: int, quantity_digits: int
) -> None:
    finer = atom.at_scale(4 + price_digits, 2 + quantity_digits)
    unfit = layout.unfit(matrix([atom]), np.array([price_digits]), np.array([quantity_digits]))[0]
    assert layout.fits(finer) is not bool(unfit)
