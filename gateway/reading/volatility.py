"""Realised volatility: the root of the sum of squared returns of one-minute last prices, of one symbol in a window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from gateway.aggregator import Aggregator
from gateway.reading.running import Range
from gateway.state.merging import Ints
from telemetry.rows import INSTRUMENT, LAST, LEVEL, START

MINUTE = 60
_COLUMNS = [INSTRUMENT, LEVEL, START, LAST, LAST + 1, LAST + 2]
_COARSE = 2  # the level of atoms that are longer than a minute


@dataclass(frozen=True)
class Minutes:
    """The last price of each minute that has trades, in order; None when they cannot be told: trades of several
    currencies, or held by the hour. In `zone` no return goes from one day to the next."""

    prices: list[tuple[int, int]] | None  # minute since 1970, price as an integer of a common scale
    zone: str | None

    def volatility(self) -> float | None:
        """Not annualised; None when a price is not above zero, or with fewer than two minutes."""
        if self.prices is None or len(self.prices) < 2 or any(price <= 0 for _, price in self.prices):
            return None
        days = self._days([minute for minute, _ in self.prices])
        squares = [
            math.log1p((after - before) / before) ** 2
            for (_, before), (_, after), day, next_day in zip(
                self.prices, self.prices[1:], days, days[1:], strict=False
            )
            if day == next_day
        ]
        return math.sqrt(math.fsum(squares))

    def _days(self, minutes: list[int]) -> list[int]:
        """Numbers that differ where a new day of trading begins; without a zone it never does."""
        if self.zone is None:
            return [0] * len(minutes)
        zone = ZoneInfo(self.zone)
        return [datetime.fromtimestamp(minute * MINUTE, zone).toordinal() for minute in minutes]


def minutes_of(state: Aggregator, ids: Ints, of: Range, zone: str | None) -> Minutes:
    """The minutes of these instruments in a range, as of now."""
    found, _ = state.atoms.find(ids, of.start, of.end)
    rows = state.atoms.rows[found[:, None], _COLUMNS]
    currencies = {state.instruments[number].currency for number in ids.tolist()}
    wide = list(state.wide.between(ids.tolist(), of.start, of.end))
    coarse = (rows[:, 1] >= _COARSE).any() or any(start < state.atoms.frontier[1] for _, start, _ in wide)
    if coarse or len(currencies) > 1:
        return Minutes(None, zone)
    rows = rows[np.lexsort((rows[:, 4], rows[:, 3], rows[:, 2] // MINUTE))]
    ends = np.flatnonzero(np.diff(rows[:, 2] // MINUTE, append=1 << 60))
    scale = max([int(state.price_scale[number]) for number in ids.tolist()], default=0)
    scale = max([scale, *(atom.price_scale for _, _, atom in wide)])
    last: dict[int, tuple[int, int, int]] = {}
    for instrument, _, start, timestamp, seq, price in rows[ends].tolist():
        last[start // MINUTE] = timestamp, seq, price * 10 ** (scale - int(state.price_scale[instrument]))
    for _, start, atom in wide:
        candidate = atom.last.timestamp, atom.last.seq, atom.last.price * 10 ** (scale - atom.price_scale)
        last[start // MINUTE] = max(candidate, last.get(start // MINUTE, candidate))
    return Minutes([(minute, price) for minute, (_, _, price) in sorted(last.items())], zone)
