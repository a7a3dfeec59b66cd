"""Trades far from the recent ones of their instrument: what a fat finger is.

Reference: the last RING (512) trades of the instrument, itself not among them. With m the median of its prices (or
quantities), d the robust deviation 1.4826 x median |x - m| (which is the standard deviation of normal data), k the
rule's `deviations`:

    price      |p - m| > k max(d, 0.005 |m|)
    quantity   q > max(m + k max(d, 0.1 m), tail x Q)

Q is the 99 % quantile (nearest rank) of the reference, or 0.9 of the Q before where that is more: it falls slowly. The
floors are for prices that stand still and lots that are all equal, where d is 0. Deviations alone do not tell a wrong
quantity: sizes are so heavy-tailed that 8 % of the trades of a liquid crypto pair are above 100 medians; so a quantity
must also lie far beyond what the symbol's largest trades look like. Prices are compared as they are, not as logarithms:
spreads and oil have traded at zero and below.

Limits are renewed from an instrument's 32nd trade on, each time that its number of trades has doubled, later after at
most 384 more; always between two batches, and a batch is halved until it has no more trades of an instrument than came
before (at least 32, at most 512). The median of n is the (n // 2 + 1)-th smallest. Memory: 4 KiB an instrument, for the
first INSTRUMENTS; trades of later ones are counted in `left_out`, not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from gateway.alerting.rings import DUE, FIRST, HALVE, PRICE, QUANTITY, STEP, Floats, Ints, Look, Rings, plainly
from gateway.alerting.rule_kinds import RING, FatFinger

INSTRUMENTS = 10_000  # 40 MB
FLOORS = (0.005, 0.1)
FADE = 0.9


class Limits:
    """The lowest and highest value of each instrument that a rule lets pass; infinite while it does not judge."""

    def __init__(self, rule: FatFinger, wanted: Callable[[int], bool]) -> None:
        self.rule = rule
        self.row = PRICE if rule.of == "price" else QUANTITY
        self.low: Floats = np.zeros(0)
        self.high: Floats = np.zeros(0)
        self._wanted = wanted
        self._judged: NDArray[np.int8] = np.zeros(0, np.int8)  # whether each instrument is: -1 where nobody has asked

    def grow(self, size: int) -> None:
        """Make room for instruments that are not judged yet."""
        more = size - len(self.low)
        self.low = np.concatenate((self.low, np.full(more, -np.inf)))
        self.high = np.concatenate((self.high, np.full(more, np.inf)))
        self._judged = np.concatenate((self._judged, np.full(more, -1, np.int8)))

    def renew(self, codes: Ints, sizes: Ints, middle: Floats, deviation: Floats, tail: Floats) -> None:
        """Take over what so many trades of each of these instruments say about what the rule judges."""
        if (few := sizes < self.rule.trades).any():
            enough = np.flatnonzero(~few)
            codes, middle, deviation, tail = codes[enough], middle[enough], deviation[enough], tail[enough]
        spread = self.rule.deviations * np.maximum(deviation, FLOORS[self.row] * np.abs(middle))
        spread[spread == 0] = np.inf  # all trades at price 0 say nothing
        for code in codes[self._judged[codes] < 0].tolist():
            self._judged[code] = self._wanted(code)
        spread[self._judged[codes] == 0] = np.inf
        if self.row == QUANTITY:
            self.high[codes] = np.maximum(middle + spread, self.rule.tail * tail)
        else:
            self.low[codes], self.high[codes] = middle - spread, middle + spread

    def beyond(self, codes: Ints, values: Floats) -> Ints:
        """The places of the trades that are out of bounds."""
        value = values[self.row]
        return np.flatnonzero((value > self.high[codes]) | (value < self.low[codes]))


class Recent:
    """The recent trades of every instrument."""

    def __init__(self) -> None:
        self.look: Look = plainly
        self.left_out = 0
        self.middle: Floats = np.zeros((2, 0))  # medians of the reference: what alerts say was expected
        self._tail: Floats = np.zeros((2, 0))
        self._limits: list[Limits] = []
        # What passes every rule is kept with the trades: one look tells that a batch holds nothing to report.
        self._rings = Rings()

    def watch(self, limits: list[Limits]) -> None:
        """Judge by these from now on, beginning with what is known of recent trades."""
        self._limits = limits
        self._rings.low[:], self._rings.high[:] = -np.inf, np.inf
        for each in limits:
            each.grow(len(self._rings.count))
        self._renew(np.flatnonzero(self._rings.count >= FIRST))

    def feed(self, codes: Ints, values: Floats) -> Iterator[tuple[Limits, Ints]]:
        """(limits, places in the batch of the trades that are beyond them), then take the trades in.

        `values` has two rows, prices and quantities. Iterate to the end: the rest is not taken in otherwise.
        """
        if len(codes) == 0:
            return
        most = int(codes.max())
        if most >= INSTRUMENTS:
            inside = np.flatnonzero(codes < INSTRUMENTS)
            self.left_out += len(codes) - len(inside)
            yield from ((limits, inside[found]) for limits, found in self.feed(codes[inside], values[:, inside]))
            return
        if most >= len(self._rings.count):
            self._grow(min(INSTRUMENTS, max(most + 1, 2 * len(self._rings.count))))
        what, found = self.look(self._rings, codes, values)
        if what == HALVE:  # judge the end of a large batch by what its beginning says
            half = len(codes) // 2
            yield from self.feed(codes[:half], values[:, :half])
            yield from ((limits, half + beyond) for limits, beyond in self.feed(codes[half:], values[:, half:]))
            return
        if what == DUE:
            self._renew(found)
            what, found = self.look(self._rings, codes, values)
        for limits in self._limits if len(found) else ():
            if len(beyond := found[limits.beyond(codes[found], values[:, found])]):
                yield limits, beyond

    def _grow(self, size: int) -> None:
        more = size - len(self._rings.count)
        self._rings.grow(size)
        self.middle = np.concatenate((self.middle, np.zeros((2, more))), axis=1)
        self._tail = np.concatenate((self._tail, np.zeros((2, more))), axis=1)
        for each in self._limits:
            each.grow(size)

    def _renew(self, codes: Ints) -> None:
        if len(codes) == 0:
            return
        counts = np.minimum(self._rings.count[codes], RING)
        widths = np.ceil(np.log2(counts)).astype(np.int64)  # those of about as many trades together
        for width in set(widths.tolist()):
            these = np.flatnonzero(widths == width)
            chosen, sizes = codes[these], counts[these]
            middle, deviation, tail = self._measured(chosen, sizes, 1 << width)
            tail = np.maximum(tail, FADE * self._tail[:, chosen])
            self.middle[:, chosen], self._tail[:, chosen] = middle, tail
            for limits in self._limits:
                limits.renew(chosen, sizes, *(each[limits.row] for each in (middle, deviation, tail)))
        self._rings.low[codes], self._rings.high[:, codes] = -np.inf, np.inf
        for limits in self._limits:
            self._rings.low[codes] = np.maximum(self._rings.low[codes], limits.low[codes])
            self._rings.high[limits.row, codes] = np.minimum(self._rings.high[limits.row, codes], limits.high[codes])
        self._rings.due[codes] = self._rings.count[codes] + np.clip(counts, FIRST, STEP)

    def _measured(self, codes: Ints, sizes: Ints, width: int) -> tuple[Floats, Floats, Floats]:
        """Median, robust deviation and 99 % quantile of the last trades of each, of which there are at most `width`."""
        recent = self._rings.last.take(codes, axis=1)[:, :, :width]
        if (sizes < width).any():
            recent[:, np.arange(width) >= sizes[:, None]] = np.inf  # behind all others
        recent.sort(axis=2)
        places = np.arange(len(codes))
        middle = recent[:, places, sizes // 2]
        away = np.abs(recent - middle[:, :, None])
        away.sort(axis=2)
        deviation = np.float32(1.4826) * away[:, places, sizes // 2]
        tail = recent[:, places, -(-99 * sizes // 100) - 1]
        return middle.astype(np.float64), deviation.astype(np.float64), tail.astype(np.float64)
