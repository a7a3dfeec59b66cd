"""Trades as the rules over single ones see them: numbers of instruments that stay."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gateway.alerting.outliers import INSTRUMENTS
from gateway.alerting.readings import Trades
from gateway.alerting.rings import Ints
from telemetry.columns import Columns
from telemetry.trade import Instrument


class Singles:
    """Numbers instruments in the order in which they come; all beyond the first INSTRUMENTS share the last number."""

    def __init__(self) -> None:
        self._numbers: dict[Instrument, int] = {}
        self._instruments: list[Instrument] = []
        self._asked: tuple[Instrument, ...] = ()  # last, and their numbers
        self._told: Ints = np.zeros(0, np.int64)

    def of(self, commits: Sequence[Columns], first_seq: int) -> Trades:
        """The trades of these commits, the first of which is trade `first_seq` of the journal."""
        return Trades(self._instruments, [(self._of(columns.instruments), columns) for columns in commits], first_seq)

    def _of(self, instruments: tuple[Instrument, ...]) -> Ints:
        if instruments != self._asked:
            numbers = list(map(self._numbers.get, instruments))
            if None in numbers:
                numbers = list(map(self._number, instruments))
            self._asked, self._told = instruments, np.array(numbers, np.int64)
        return self._told

    def _number(self, instrument: Instrument) -> int:
        number = self._numbers.get(instrument)
        if number is None:
            number = len(self._instruments)
            if number >= INSTRUMENTS:
                return INSTRUMENTS  # not judged
            self._numbers[instrument] = number
            self._instruments.append(instrument)
        return number
