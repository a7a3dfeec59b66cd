"""Trades as the rules over single ones see them: numbers of instruments that stay, and floats."""

from __future__ import annotations

import numpy as np

from gateway.alerting.outliers import INSTRUMENTS
from gateway.alerting.readings import Trades
from telemetry.columns import Columns
from telemetry.decimals import MAX_SCALE
from telemetry.trade import Instrument

_POWERS = 10.0 ** -np.arange(MAX_SCALE + 1)


class Singles:
    """Numbers instruments in the order in which they come; all beyond the first INSTRUMENTS share the last number."""

    def __init__(self) -> None:
        self._numbers: dict[Instrument, int] = {}
        self._instruments: list[Instrument] = []

    def of(self, columns: Columns, first_seq: int) -> Trades:
        """These trades, the first of which is trade `first_seq` of the journal."""
        numbers = np.array([self._number(instrument) for instrument in columns.instruments], np.int64)
        return Trades(
            self._instruments,
            numbers.take(columns.instrument),
            columns.price * _POWERS.take(columns.price_scale),
            columns.quantity * _POWERS.take(columns.quantity_scale),
            np.arange(first_seq, first_seq + len(columns)),
        )

    def _number(self, instrument: Instrument) -> int:
        number = self._numbers.get(instrument)
        if number is None:
            number = len(self._instruments)
            if number >= INSTRUMENTS:
                return INSTRUMENTS  # not judged
            self._numbers[instrument] = number
            self._instruments.append(instrument)
        return number
