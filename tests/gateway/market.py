"""Single trades as arrays that tests may change, given to rules as the gateway gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gateway.alerting.readings import Trades
from telemetry.columns import Columns
from telemetry.trade import Instrument

SCALE = 8  # decimals that prices and quantities are rounded to


def columns_of(
    instruments: int, codes: NDArray[np.int64], prices: NDArray[np.float64], quantities: NDArray[np.float64]
) -> Columns:
    """A commit of these trades."""
    price, quantity = (np.rint(each * 10**SCALE).astype(np.int64) for each in (prices, quantities))
    scale, zeros = np.full(len(codes), SCALE, np.uint8), np.zeros(len(codes), np.int64)
    names = tuple(Instrument("X", f"S{number}", "print", "", 1, 0) for number in range(instruments))
    side = np.zeros(len(codes), np.uint8)
    return Columns(names, codes.astype(np.uint32), side, price, scale, quantity, scale, zeros, zeros, {})


@dataclass
class Market:
    """Trades of some instruments from number `first` on."""

    instruments: Sequence[Instrument]
    instrument: NDArray[np.int64]
    price: NDArray[np.float64]
    quantity: NDArray[np.float64]
    first: int = 1

    def trades(self, start: int = 0, stop: int | None = None, commits: int = 1) -> Trades:
        """Some of them, in so many commits."""
        stop = len(self.price) if stop is None else min(stop, len(self.price))
        cuts = [start + (stop - start) * number // commits for number in range(commits + 1)]
        numbers, count = np.arange(len(self.instruments)), len(self.instruments)
        parts = [slice(*cut) for cut in pairwise(cuts)]
        found = [(numbers, columns_of(count, self.instrument[at], self.price[at], self.quantity[at])) for at in parts]
        return Trades(self.instruments, found, self.first + start)
