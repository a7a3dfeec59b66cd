"""Instruments and symbols as numbers, for arithmetic over all of them."""

from __future__ import annotations

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
        self._codes: dict[str, int] = {}
        self._monies: dict[tuple[str, int, int], int] = {}

    def follow(self) -> None:
        """Take up the instruments that are new."""
        new = self._instruments[len(self.symbol_of) :]
        if not new:
            return
        self.symbol_of = np.concatenate((self.symbol_of, [self._symbol(instrument.symbol) for instrument in new]))
        self.money_of = np.concatenate((self.money_of, [self._money(instrument) for instrument in new]))
        if len(self.names) < len(self.symbols):
            order = sorted(range(len(self.symbols)), key=self.symbols.__getitem__)
            self.names = [self.symbols[code] for code in order]
            self.rank = np.empty(len(order), np.int64)
            self.rank[order] = np.arange(len(order))

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
