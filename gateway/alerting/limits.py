"""What a rule over single trades lets pass, by instrument: see gateway.alerting.outliers for the formulas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gateway.alerting.rings import PRICE, QUANTITY, Floats, Ints
from gateway.alerting.rule_kinds import FatFinger

FLOORS = (0.005, 0.1)


class Limits:
    """The lowest and highest value of each instrument that a rule lets pass; infinite while it does not judge."""

    def __init__(self, rule: FatFinger, wanted: Callable[[int], bool]) -> None:
        self.rule = rule
        self.row = PRICE if rule.of == "price" else QUANTITY
        self.low: Floats = np.zeros(0)
        self.high: Floats = np.zeros(0)
        self._wanted = wanted
        self._judged: Ints = np.zeros(0, np.int64)  # whether each instrument is: -1 where nobody has asked

    def grow(self, size: int) -> None:
        """Make room for instruments that are not judged yet."""
        more = size - len(self.low)
        self.low = np.concatenate((self.low, np.full(more, -np.inf)))
        self.high = np.concatenate((self.high, np.full(more, np.inf)))
        self._judged = np.concatenate((self._judged, np.full(more, -1)))

    def renew(self, codes: Ints, sizes: Ints, middle: Floats, deviation: Floats, tail: Floats) -> None:
        """Take over what so many trades of each of these instruments say about what the rule judges."""
        if (few := sizes < self.rule.trades).any():
            enough = np.flatnonzero(~few)
            codes, middle, deviation, tail = codes[enough], middle[enough], deviation[enough], tail[enough]
        spread = self.rule.deviations * np.maximum(deviation, FLOORS[self.row] * np.abs(middle))
        spread[spread == 0] = np.inf  # all trades at price 0 say nothing
        spread[self.judged(codes)[codes] == 0] = np.inf
        if self.row == QUANTITY:
            self.high[codes] = np.maximum(middle + spread, self.rule.tail * tail)
        else:
            self.low[codes], self.high[codes] = middle - spread, middle + spread

    def judged(self, codes: Ints) -> Ints:
        """By instrument whether the rule judges it, known for these: 0 where it does not."""
        for code in codes[self._judged[codes] < 0].tolist():
            self._judged[code] = self._wanted(code)
        return self._judged

    def beyond(self, codes: Ints, values: Floats) -> Ints:
        """The places of the trades that are out of bounds, by their prices or quantities."""
        return np.flatnonzero((values > self.high[codes]) | (values < self.low[codes]))
