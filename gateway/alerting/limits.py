"""What rules over single trades let pass, by instrument: see gateway.alerting.outliers for the formulas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.alerting.judgement import matches
from gateway.alerting.rings import PRICE, QUANTITY, Floats, Ints, Rings
from gateway.alerting.rule_kinds import FatFinger
from telemetry.trade import Instrument

FLOORS = (0.005, 0.1)


class Limits:
    """By rule and instrument the lowest and highest value that pass, infinite while the rule does not judge it.

    By rule: `rows` says what it judges (PRICE or QUANTITY), `trades` how many it needs, `factors` are its deviations,
    the floor of those, and its factor of the tail.
    """

    def __init__(self, rules: Sequence[FatFinger]) -> None:
        self.rules = tuple(rules)
        rows = [PRICE if rule.of == "price" else QUANTITY for rule in rules]
        factors = [(rule.deviations, FLOORS[row], rule.tail) for rule, row in zip(rules, rows, strict=True)]
        self.rows: Ints = np.array(rows, np.int64)
        self.trades: Ints = np.array([rule.trades for rule in rules], np.int64)
        self.factors: Floats = np.array(factors, np.float64).reshape(-1, 3)
        self.judged: NDArray[np.uint8] = np.zeros((len(rules), 0), np.uint8)
        self.low: Floats = np.zeros((len(rules), 0))
        self.high: Floats = np.zeros((len(rules), 0))

    def grow(self, size: int) -> None:
        """Have room for so many instruments."""
        shape = len(self.rules), size - self.low.shape[1]
        self.judged = np.concatenate((self.judged, np.zeros(shape, np.uint8)), axis=1)
        self.low = np.concatenate((self.low, np.full(shape, -np.inf)), axis=1)
        self.high = np.concatenate((self.high, np.full(shape, np.inf)), axis=1)

    def know(self, instruments: Sequence[Instrument], first: int, stop: int) -> None:
        """See which rules judge these instruments."""
        for number, rule in enumerate(self.rules):
            self.judged[number, first:stop] = [_wants(rule, one) for one in instruments[first:stop]]

    def renew(self, rings: Rings, codes: Ints) -> None:
        """Take over what the last trades of these instruments say, each of which has some."""
        sizes = rings.sizes(codes)
        rings.low[codes], rings.high[:, codes] = -np.inf, np.inf
        for number, row in enumerate(self.rows.tolist()):
            enough = codes[sizes >= self.trades[number]]
            self._renew(number, row, rings, enough)
            rings.low[codes] = np.maximum(rings.low[codes], self.low[number, codes])
            rings.high[row, codes] = np.minimum(rings.high[row, codes], self.high[number, codes])

    def _renew(self, number: int, row: int, rings: Rings, codes: Ints) -> None:
        deviations, floor, factor = self.factors[number]
        middle = rings.middle[row, codes]
        spread = deviations * np.maximum(rings.deviation[row, codes], floor * np.abs(middle))
        spread[(spread == 0) | (self.judged[number, codes] == 0)] = np.inf  # all trades at price 0 say nothing
        if row == QUANTITY:
            self.high[number, codes] = np.maximum(middle + spread, factor * rings.tail[codes])
        else:
            self.low[number, codes], self.high[number, codes] = middle - spread, middle + spread

    def beyond(self, number: int, codes: Ints, values: Floats) -> Ints:
        """The places of the trades that a rule does not let pass, by their prices or quantities."""
        return np.flatnonzero((values > self.high[number, codes]) | (values < self.low[number, codes]))


def _wants(rule: FatFinger, instrument: Instrument) -> bool:
    return (
        matches(instrument.symbol, rule.symbols)
        and (not rule.venues or instrument.venue in rule.venues)
        and (not rule.kinds or instrument.kind in rule.kinds)
    )
