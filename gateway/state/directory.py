"""Instruments and symbols as numbers, for arithmetic over all of them."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from telemetry.trade import Instrument

Ints = NDArray[np.int64]


class Directory:
    """What the ids of instruments and symbols stand for, as arrays; it follows the aggregator's list of
    instruments, which only grows."""

    def __init__(self, instruments: list[Instrument]) -> None:
        self._instruments = instruments
        self.symbols: list[str] = []  # by code, in the order in which they were first seen
        self.money: list[Instrument] = []  # by code: an instrument with that currency and multiplier
        self.symbol_of: Ints = np.empty(0, np.int64)  # code by instrument id
        self.money_of: Ints = np.empty(0, np.int64)
        self.names: list[str] = []  # of symbols, ascending
        self.rank: Ints = np.empty(0, np.int64)  # place in `names` by code
        self._order: Ints = np.empty(0, np.int64)  # codes by place in `names`
        self._codes: dict[str, int] = {}
        self._monies: dict[tuple[str, int, int], int] = {}

    def follow(self, most: int | None = None) -> bool:
        """Take up the instruments that are new, at most so many; whether there are more."""
        known = len(self.symbol_of)
        new = self._instruments[known : None if most is None else known + most]
        if not new:
            return False
        before = len(self.symbols)
        self.symbol_of = np.concatenate((self.symbol_of, [self._symbol(instrument.symbol) for instrument in new]))
        self.money_of = np.concatenate((self.money_of, [self._money(instrument) for instrument in new]))
        if len(self.symbols) > before:
            self._rank(before)
        return len(self.symbol_of) < len(self._instruments)

    def _rank(self, known: int) -> None:
        """Put the symbols from this code on among the others, whose order stays."""
        codes = sorted(range(known, len(self.symbols)), key=self.symbols.__getitem__)
        names = [self.symbols[code] for code in codes]
        self._order = np.insert(self._order, [bisect_left(self.names, name) for name in names], codes)
        self.names = sorted(self.names + names)  # quick: two runs that are in order already
        self.rank = np.empty(len(self._order), np.int64)
        self.rank[self._order] = np.arange(len(self._order))

    def _symbol(self, name: str) -> int:
        if (code := self._codes.get(name)) is None:
            code = self._codes[name] = len(self.symbols)
            self.symbols.append(name)
        return code

    def _money(self, instrument: Instrument) -> int:
        key = instrument.currency, instrument.multiplier, instrument.multiplier_scale
        if (code := self._monies.get(key)) is None:
            code = self._monies[key] = len(self.money)
            self.money.append(instrument)
        return code
