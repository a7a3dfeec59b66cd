"""The statistics of many instruments at once: rows of integers, counted, ordered and summed without an object each.

A symbol's own row is built from atoms (telemetry.statistics) only for the symbols that are shown; what is said about
all of them comes from arrays, so that 100,000 symbols do not stop the event loop.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gateway.aggregator import Aggregator
from gateway.state.directory import Directory
from gateway.state.merging import Ints
from telemetry import rows as layout
from telemetry.rows import INSTRUMENT, REVISION, SQUARES, TRADES, Rows
from telemetry.statistics import Atom
from telemetry.trade import Instrument

Part = tuple[Instrument, Atom]
_SCALES = 32  # more than there are scales of a decimal
_SUMS = slice(TRADES, SQUARES)


@dataclass(frozen=True)
class Place:
    """Where a page begins: behind the symbol `name`, which had `trades` trades."""

    trades: int
    name: str


class Selection:
    """Instruments with what they traded: in all, or in a window. `wide` are those whose numbers fit no row.

    It is a copy: what is merged later does not change it, so rows may be presented in a thread.
    """

    def __init__(self, state: Aggregator, ids: Ints, rows: Rows, wide: dict[int, Atom]) -> None:
        self._state, self._directory = state, state.directory
        self._directory.follow()
        self._ids, self._rows, self._wide = ids, rows, wide
        self._price_scale, self._quantity_scale = state.price_scale[ids], state.quantity_scale[ids]

    def order(self, sort: str, after: Place | None, limit: int | None = None) -> tuple[list[str], list[int]]:
        """Symbols and their numbers of trades, by trades (descending, then name) or by name, those behind `after`;
        the first `limit` of them."""
        directory = self._directory
        counts = np.zeros(len(directory.symbols), np.int64)
        np.add.at(counts, directory.symbol_of[self._ids], self._rows[:, TRADES : TRADES + 3].sum(axis=1))
        for number, atom in self._wide.items():
            counts[directory.symbol_of[number]] += sum(atom.trades)
        return in_order(directory, counts, sort, after, limit)

    def changed(self, before: Selection) -> list[str]:
        """Symbols whose figures are other ones than in an earlier selection by the same filter, and those that are in
        only one of the two."""
        at = np.searchsorted(before._ids, self._ids)
        known = at < len(before._ids)
        known[known] = before._ids[at[known]] == self._ids[known]
        same = known.copy()
        same[known] = (
            (self._rows[known, TRADES:] == before._rows[at[known], TRADES:]).all(axis=1)
            & (self._price_scale[known] == before._price_scale[at[known]])
            & (self._quantity_scale[known] == before._quantity_scale[at[known]])
        )
        gone = before._ids[np.isin(before._ids, self._ids, invert=True)]
        wide = {number for number in self._wide.keys() | before._wide.keys() if self._differs(before, number)}
        numbers = np.concatenate((self._ids[~same], gone, np.array(sorted(wide), np.int64)))
        return [self._directory.symbols[code] for code in np.unique(self._directory.symbol_of[numbers]).tolist()]

    def _differs(self, before: Selection, number: int) -> bool:
        return self._wide.get(number) != before._wide.get(number)

    def parts(self, symbol: str) -> list[Part]:
        """The instruments of a symbol that traded, each with its atom."""
        found = ((number, self._atom(number)) for number in self._state.by_symbol.get(symbol, ()))
        return [(self._state.instruments[number], atom) for number, atom in found if atom is not None]

    def has(self, symbol: str) -> bool:
        """Whether a symbol traded."""
        numbers = self._state.by_symbol.get(symbol, [])
        at = np.searchsorted(self._ids, numbers)
        held = bool(len(self._ids)) and bool((self._ids[np.minimum(at, len(self._ids) - 1)] == numbers).any())
        return held or not self._wide.keys().isdisjoint(numbers)

    def sums(self) -> Iterator[Part]:
        """Everything in few parts: an atom for each kind of money and scale. Of these atoms only trades, quantities
        and notionals mean something."""
        group = self._directory.money_of[self._ids] * _SCALES + self._price_scale
        group = group * _SCALES + self._quantity_scale
        order = np.argsort(group, kind="stable")
        starts = np.flatnonzero(np.concatenate(([True], np.diff(group[order]) != 0))) if len(group) else order
        if len(starts):
            rows = np.zeros((len(starts), layout.WIDTH), np.int64)
            # Lanes hold 32 bits: 2**31 instruments fit. `to_atom` takes lanes that are not carried.
            rows[:, _SUMS] = np.add.reduceat(self._rows[order, _SUMS], starts, axis=0)
            for key, row in zip(group[order[starts]].tolist(), rows.tolist(), strict=True):
                money, scales = divmod(key, _SCALES * _SCALES)
                yield self._directory.money[money], layout.to_atom(row, *divmod(scales, _SCALES))
        for number, atom in self._wide.items():
            yield self._state.instruments[number], atom

    def _atom(self, number: int) -> Atom | None:
        if number in self._wide:
            return self._wide[number]
        at = int(np.searchsorted(self._ids, number))
        if at == len(self._ids) or self._ids[at] != number:
            return None
        return layout.to_atom(self._rows[at].tolist(), int(self._price_scale[at]), int(self._quantity_scale[at]))


def everything(state: Aggregator, ids: Ints) -> Selection:
    """All that these instruments (ascending ids) ever traded."""
    rows = state.totals[ids]
    held = rows[:, REVISION] > 0
    wanted = set(ids.tolist()) if state.wide.totals else set()
    wide = {number: atom for number, atom in state.wide.totals.items() if number in wanted}
    return Selection(state, ids[held], rows[held], wide)


def between(state: Aggregator, ids: Ints, start: int, end: int) -> Selection:
    """What these instruments traded in [start, end) seconds."""
    rows = state.atoms.select(ids, start, end)
    found, sums = layout.reduce(rows, rows[:, INSTRUMENT])
    return Selection(state, found, sums, state.wide.total_between(ids.tolist(), start, end))


def in_order(
    directory: Directory, counts: Ints, sort: str, after: Place | None, limit: int | None
) -> tuple[list[str], list[int]]:
    """As Selection.order, of these numbers of trades by symbol code."""
    codes = np.flatnonzero(counts)
    count, rank = counts[codes], directory.rank[codes]
    if after is not None:
        behind = rank >= bisect_right(directory.names, after.name)
        if sort == "trades":
            behind = (count < after.trades) | ((count == after.trades) & behind)
        codes, count, rank = codes[behind], count[behind], rank[behind]
    key = rank if sort == "symbol" else rank - count * len(directory.names)
    if limit is not None and limit < len(key):
        first = np.argpartition(key, limit - 1)[:limit]
        codes, count, key = codes[first], count[first], key[first]
    order = np.argsort(key)
    return [directory.symbols[code] for code in codes[order].tolist()], count[order].tolist()
