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

from gateway.alerting.rule_kinds import RING, FatFinger

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
INSTRUMENTS = 10_000  # 40 MB
PRICE, QUANTITY = 0, 1
FLOORS = (0.005, 0.1)
FIRST, STEP = 32, 384
FADE = 0.9
_ZERO = np.zeros(1, np.int64)


class Limits:
    """The lowest and highest value of each instrument that a rule lets pass; infinite while it does not judge."""

    def __init__(self, rule: FatFinger, wanted: Callable[[int], bool]) -> None:
        self.rule = rule
        self.row = PRICE if rule.of == "price" else QUANTITY
        self.low: Floats = np.zeros(0)
        self.high: Floats = np.zeros(0)
        self._wanted = wanted

    def grow(self, size: int) -> None:
        """Make room for instruments that are not judged yet."""
        more = size - len(self.low)
        self.low = np.concatenate((self.low, np.full(more, -np.inf)))
        self.high = np.concatenate((self.high, np.full(more, np.inf)))

    def renew(self, codes: Ints, size: int, middle: Floats, deviation: Floats, tail: Floats) -> None:
        """Take over what `size` trades of each of these instruments say about what the rule judges."""
        if size < self.rule.trades:
            return
        spread = self.rule.deviations * np.maximum(deviation, FLOORS[self.row] * np.abs(middle))
        spread[spread == 0] = np.inf  # all trades at price 0 say nothing
        spread[[not self._wanted(code) for code in codes.tolist()]] = np.inf
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
        self.left_out = 0
        self.middle: Floats = np.zeros((2, 0))  # medians of the reference: what alerts say was expected
        self._tail: Floats = np.zeros((2, 0))
        self._limits: list[Limits] = []
        # What passes every rule: one look tells that a batch holds nothing to report, however many rules there are.
        self._low: Floats = np.zeros(0)
        self._high: Floats = np.zeros((2, 0))
        self._count: Ints = np.zeros(0, np.int64)
        self._due: Ints = np.zeros(0, np.int64)  # the count at which the limits are renewed
        self._ring = np.zeros((2, 0, RING), np.float32)

    def watch(self, limits: list[Limits]) -> None:
        """Judge by these from now on, beginning with what is known of recent trades."""
        self._limits = limits
        self._low[:], self._high[:] = -np.inf, np.inf
        for each in limits:
            each.grow(len(self._count))
        self._renew(np.flatnonzero(self._count >= FIRST))

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
        if most >= len(self._count):
            self._grow(min(INSTRUMENTS, max(most + 1, 2 * len(self._count))))
        rows = np.argsort(codes.astype(np.uint16), kind="stable")  # 16 bits: radix sort
        ordered = codes[rows]
        starts = np.concatenate((_ZERO, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1))
        lengths = np.concatenate((starts[1:], (len(rows),))) - starts
        present = ordered[starts]
        before = self._count[present]
        if (lengths > before.clip(FIRST, RING)).any():  # judge the end of a large batch by what its beginning says
            half = len(codes) // 2
            yield from self.feed(codes[:half], values[:, :half])
            yield from ((limits, half + found) for limits, found in self.feed(codes[half:], values[:, half:]))
            return
        values = values.take(rows, axis=1)  # several times faster than indexing
        late = before - self._due[present]
        if (late >= 0).any():  # those that are half due go with them: one renewal of many is far cheaper than many
            self._renew(present[(late >= 0) | ((late >= -STEP // 2) & (before >= STEP))])
        yield from ((limits, rows[found]) for limits, found in self._beyond(ordered, values))
        place = np.arange(len(rows)) + np.repeat(before - starts, lengths)
        place = (place & (RING - 1)) + ordered * RING
        for ring, value in zip(self._ring, values, strict=True):
            ring.reshape(-1)[place] = value
        self._count[present] = before + lengths

    def _beyond(self, codes: Ints, values: Floats) -> Iterator[tuple[Limits, Ints]]:
        above = np.count_nonzero(values > self._high.take(codes, axis=1))  # faster than any()
        if above or np.count_nonzero(values[PRICE] < self._low.take(codes)):
            for limits in self._limits:
                if len(found := limits.beyond(codes, values)):
                    yield limits, found

    def _grow(self, size: int) -> None:
        more = size - len(self._count)
        self._count = np.concatenate((self._count, np.zeros(more, np.int64)))
        self._due = np.concatenate((self._due, np.full(more, FIRST)))
        self._low = np.concatenate((self._low, np.full(more, -np.inf)))
        self._high = np.concatenate((self._high, np.full((2, more), np.inf)), axis=1)
        self.middle = np.concatenate((self.middle, np.zeros((2, more))), axis=1)
        self._tail = np.concatenate((self._tail, np.zeros((2, more))), axis=1)
        self._ring = np.concatenate((self._ring, np.zeros((2, more, RING), np.float32)), axis=1)
        for each in self._limits:
            each.grow(size)

    def _renew(self, codes: Ints) -> None:
        if len(codes) == 0:
            return
        counts = np.minimum(self._count[codes], RING)
        for size in set(counts.tolist()):
            chosen = codes[counts == size]
            recent = self._ring.take(chosen, axis=1)[:, :, :size]
            recent.sort(axis=2)
            middle = recent[:, :, size // 2]
            away = np.abs(recent - middle[:, :, None])
            away.partition(size // 2, axis=2)
            deviation = 1.4826 * away[:, :, size // 2]
            tail = np.maximum(recent[:, :, -(-99 * size // 100) - 1], FADE * self._tail[:, chosen])
            self.middle[:, chosen], self._tail[:, chosen] = middle, tail
            for limits in self._limits:
                limits.renew(chosen, size, *(each[limits.row].astype(np.float64) for each in (middle, deviation, tail)))
        self._low[codes], self._high[:, codes] = -np.inf, np.inf
        for limits in self._limits:
            self._low[codes] = np.maximum(self._low[codes], limits.low[codes])
            self._high[limits.row, codes] = np.minimum(self._high[limits.row, codes], limits.high[codes])
        self._due[codes] = self._count[codes] + np.clip(counts, FIRST, STEP)
