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

Limits are renewed before an instrument's 33rd trade, each time that its number of trades has doubled, later after 384
more: so what is found is a function of the order of the journal alone, whatever the commits and whenever they are
looked at. The median of n is the (n // 2 + 1)-th smallest. Memory: 4 KiB an instrument, for the first INSTRUMENTS;
trades of later ones are counted in `left_out`, not judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gateway.alerting.limits import Limits
from gateway.alerting.looking import Look, PlainLook, values
from gateway.alerting.rings import FIRST, Floats, Ints, Rings
from gateway.alerting.rule_kinds import FatFinger
from telemetry.columns import Columns
from telemetry.trade import Instrument

INSTRUMENTS = 10_000  # 40 MB


class Beyond(NamedTuple):
    """Trades of a commit that a rule (by its number) does not let pass: their rows, instruments, and what it judges."""

    rule: int
    rows: Ints
    codes: Ints
    values: Floats


class Recent:
    """The recent trades of every instrument."""

    def __init__(self) -> None:
        self.look: Look = PlainLook()
        # What passes every rule is kept with the trades: one look tells that there is nothing to report.
        self.rings, self.limits = Rings(), Limits(())
        self._instruments: Sequence[Instrument] = ()
        self._known = 0

    def watch(self, rules: Sequence[FatFinger]) -> None:
        """Judge by these from now on, beginning with what is known of recent trades."""
        self.limits = Limits(rules)
        self.limits.grow(len(self.rings.count))
        self.limits.know(self._instruments, 0, self._known)
        self.rings.low[:], self.rings.high[:] = -np.inf, np.inf
        codes = np.flatnonzero(self.rings.count >= FIRST)
        if len(codes):
            self.look.renew(self.rings, self.limits, codes)

    def feed(self, instruments: Sequence[Instrument], numbers: Ints, columns: Columns) -> Iterator[Beyond]:
        """What is beyond limits, then take the trades in. `numbers` says where the instruments of the commit are among
        all, which only become more. Iterate to the end: the rest is not taken in otherwise."""
        self._know(instruments)
        for rows in self.look.feed(self.rings, self.limits, numbers, columns):
            codes, judged = numbers.take(columns.instrument[rows]), values(columns, rows)
            for rule, row in enumerate(self.limits.rows.tolist()):
                if len(these := self.limits.beyond(rule, codes, judged[row])):
                    yield Beyond(rule, rows[these], codes[these], judged[row][these])

    def _know(self, instruments: Sequence[Instrument]) -> None:
        """Have room for all of these."""
        count = min(INSTRUMENTS, len(instruments))
        if count > len(self.rings.count):
            size = min(INSTRUMENTS, max(count, 2 * len(self.rings.count)))
            self.rings.grow(size)
            self.limits.grow(size)
        if count > self._known:
            self.limits.know(instruments, self._known, count)
            self._instruments, self._known = instruments, count
