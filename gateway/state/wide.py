"""Atoms of the few instruments whose values do not fit a row: Python integers of any size, slower but as exact."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import numpy as np

from gateway.state.atoms import LEVELS, AtomTable
from telemetry.statistics import Atom, add

Key = TypeVar("Key", int, tuple[int, int])


class WideAtoms:
    """Totals, and atoms by (level, start), of wide instruments. `table` decides at which level a time is held."""

    def __init__(self, table: AtomTable) -> None:
        self._table = table
        self.totals: dict[int, Atom] = {}
        self.atoms: dict[int, dict[tuple[int, int], Atom]] = {}

    def __contains__(self, instrument: int) -> bool:
        return instrument in self.atoms

    def adopt(self, instrument: int, total: Atom | None, atoms: dict[tuple[int, int], Atom]) -> None:
        """Take over an instrument that was held in rows until now."""
        self.atoms[instrument] = atoms
        if total is not None:
            self.totals[instrument] = total

    def merge(self, instrument: int, level: int, start: int, atom: Atom) -> None:
        """Merge an atom of an adopted instrument."""
        _put(self.atoms[instrument], self._key(level, start), atom)
        _put(self.totals, instrument, atom)

    def fold(self) -> None:
        """Bring all atoms to the levels that the table holds now."""
        for instrument, atoms in self.atoms.items():
            folded: dict[tuple[int, int], Atom] = {}
            for (level, start), atom in atoms.items():
                _put(folded, self._key(level, start), atom)
            self.atoms[instrument] = folded

    def between(self, instruments: Iterable[int], start: int, end: int) -> Iterable[tuple[int, int, Atom]]:
        """(instrument, start of the atom, atom) for atoms that begin in [start, end) seconds."""
        for instrument in self.atoms.keys() & set(instruments):
            for (_, second), atom in self.atoms[instrument].items():
                if start <= second < end:
                    yield instrument, second, atom

    def total_between(self, instruments: Iterable[int], start: int, end: int) -> dict[int, Atom]:
        """The sum per instrument over [start, end) seconds."""
        parts: dict[int, list[Atom]] = {}
        for instrument, _, atom in self.between(instruments, start, end):
            parts.setdefault(instrument, []).append(atom)
        return {instrument: total for instrument, atoms in parts.items() if (total := add(atoms)) is not None}

    def _key(self, level: int, start: int) -> tuple[int, int]:
        level = max(level, int(self._table.level_of(np.array([start]))[0]))
        return level, start // LEVELS[level] * LEVELS[level]


def _put(atoms: dict[Key, Atom], key: Key, atom: Atom) -> None:
    known = atoms.get(key)
    atoms[key] = atom if known is None else known + atom
