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

from collections.abc import Iterator

import numpy as np

from gateway.alerting.limits import Limits
from gateway.alerting.looking import Look, PlainLook
from gateway.alerting.rings import DUE, FIRST, HALVE, Floats, Ints, Rings

INSTRUMENTS = 10_000  # 40 MB


class Recent:
    """The recent trades of every instrument."""

    def __init__(self) -> None:
        self.look: Look = PlainLook()
        self.left_out = 0
        self._limits: list[Limits] = []
        # What passes every rule is kept with the trades: one look tells that a batch holds nothing to report.
        self.rings = Rings()

    def watch(self, limits: list[Limits]) -> None:
        """Judge by these from now on, beginning with what is known of recent trades."""
        self._limits = limits
        self.rings.low[:], self.rings.high[:] = -np.inf, np.inf
        for each in limits:
            each.grow(len(self.rings.count))
        self._renew(np.flatnonzero(self.rings.count >= FIRST))

    def feed(self, codes: Ints, prices: Floats, quantities: Floats) -> Iterator[tuple[Limits, Ints]]:
        """(limits, places in the batch of the trades that are beyond them), then take the trades in.

        Iterate to the end: the rest is not taken in otherwise.
        """
        if len(codes) == 0:
            return
        most = int(codes.max())
        if most >= INSTRUMENTS:
            inside = np.flatnonzero(codes < INSTRUMENTS)
            self.left_out += len(codes) - len(inside)
            few = self.feed(codes[inside], prices[inside], quantities[inside])
            yield from ((limits, inside[found]) for limits, found in few)
            return
        if most >= len(self.rings.count):
            self._grow(min(INSTRUMENTS, max(most + 1, 2 * len(self.rings.count))))
        yield from self._feed((codes, prices, quantities), 0, len(codes))

    def _feed(self, batch: tuple[Ints, Floats, Floats], start: int, stop: int) -> Iterator[tuple[Limits, Ints]]:
        codes, *values = batch
        what, due = self.look.judge(self.rings, codes, start, stop)
        if what == HALVE:  # judge the end of a large batch by what its beginning says
            half = start + (stop - start) // 2
            yield from self._feed(batch, start, half)
            yield from self._feed(batch, half, stop)
            return
        if what == DUE:
            self._renew(due)
        found = self.look.take(self.rings, *batch, start, stop)
        for limits in self._limits if len(found) else ():
            if len(beyond := found[limits.beyond(codes[found], values[limits.row][found])]):
                yield limits, beyond

    def _grow(self, size: int) -> None:
        self.rings.grow(size)
        for each in self._limits:
            each.grow(size)

    def _renew(self, codes: Ints) -> None:
        if len(codes):
            self.look.renew(self.rings, codes, self._limits)
