"""The last RING trades of every instrument with what they say, and what passes all rules."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gateway.alerting.rule_kinds import RING

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
PRICE, QUANTITY = 0, 1
FIRST, STEP, FADE = 32, 384, 0.9


class Rings:
    """By instrument: how many trades there were, the number at which its limits are `due`, the lowest price and the
    highest price and quantity that pass, and the last trades (price and quantity), each at its number modulo RING.
    `left_out` are trades of instruments that there is no room for.

    Of the reference, that is of the last trades when limits were renewed: median (what alerts say was expected) and
    robust `deviation` of price and quantity, `tail` of quantity."""

    def __init__(self) -> None:
        self.left_out = 0
        self.count: Ints = np.zeros(0, np.int64)
        self.due: Ints = np.zeros(0, np.int64)
        self.low: Floats = np.zeros(0)
        self.high: Floats = np.zeros((2, 0))
        self.middle: Floats = np.zeros((2, 0))
        self.deviation: Floats = np.zeros((2, 0))
        self.tail: Floats = np.zeros(0)
        self.last = np.zeros((2, 0, RING), np.float32)

    def grow(self, size: int) -> None:
        """Have room for so many instruments."""
        more = size - len(self.count)
        self.count = np.concatenate((self.count, np.zeros(more, np.int64)))
        self.due = np.concatenate((self.due, np.full(more, FIRST)))
        self.low = np.concatenate((self.low, np.full(more, -np.inf)))
        self.high = np.concatenate((self.high, np.full((2, more), np.inf)), axis=1)
        self.tail = np.concatenate((self.tail, np.zeros(more)))
        none = np.zeros((2, more))
        self.middle, self.deviation = (np.concatenate((each, none), axis=1) for each in (self.middle, self.deviation))
        self.last = np.concatenate((self.last, np.zeros((2, more, RING), np.float32)), axis=1)

    def sizes(self, codes: Ints) -> Ints:
        """How many trades the reference of these instruments has."""
        return np.minimum(self.count[codes], RING)

    def ordered(self, codes: Ints, width: int) -> NDArray[np.float32]:
        """The last trades of these instruments, ascending, by price or quantity and instrument: `width` of each, at
        least as many as any of them has. Behind those that there are come infinite ones."""
        ordered = self.last.take(codes, axis=1)[:, :, :width]
        sizes = self.count[codes]
        if (sizes < width).any():
            ordered[:, np.arange(width) >= sizes[:, None]] = np.inf
        ordered.sort(axis=2)
        return ordered
