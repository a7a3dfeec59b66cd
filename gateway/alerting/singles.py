"""Trades as the rules over single ones see them: numbers of instruments that stay, and floats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gateway.alerting.looking import Look
from gateway.alerting.outliers import INSTRUMENTS
from gateway.alerting.readings import Trades
from telemetry.columns import Columns
from telemetry.trade import Instrument


class Singles:
    """Numbers instruments in the order in which they come; all beyond the first INSTRUMENTS share the last number."""

    def __init__(self) -> None:
        self._numbers: dict[Instrument, int] = {}
        self._instruments: list[Instrument] = []
        self._grow(0)

    def of(self, commits: Sequence[Columns], first_seq: int, look: Look) -> Trades:
        """The trades of these commits, the first of which is trade `first_seq` of the journal, read by `look`. They
        are valid until the next call."""
        size = sum(map(len, commits))
        if size > len(self._places):
            self._grow(2 * size)
        at = 0
        for columns in commits:
            numbers = list(map(self._numbers.get, columns.instruments))
            if None in numbers:
                numbers = list(map(self._number, columns.instruments))
            look.collect(columns, np.array(numbers, np.int64), at, self._memory)
            at += len(columns)
        codes, prices, quantities = self._memory
        seq = self._places[:size] + first_seq
        return Trades(self._instruments, codes[:size], prices[:size], quantities[:size], seq)

    def _grow(self, size: int) -> None:
        """The memory of batches: written anew each time, so that it stays in the processor's caches."""
        self._memory = np.empty(size, np.int64), np.empty(size), np.empty(size)
        self._places = np.arange(size)

    def _number(self, instrument: Instrument) -> int:
        number = self._numbers.get(instrument)
        if number is None:
            number = len(self._instruments)
            if number >= INSTRUMENTS:
                return INSTRUMENTS  # not judged
            self._numbers[instrument] = number
            self._instruments.append(instrument)
        return number
