"""The profile of a symbol: trades and quantity by the minute of the day, over all that is held by minutes or finer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from gateway.aggregator import Aggregator
from gateway.reading.figures import unknown_symbol
from gateway.reading.running import EVER
from gateway.reading.whole import Filter, select
from gateway.reading.zones import zone_of
from gateway.state.merging import Ints
from telemetry.decimals import format_decimal
from telemetry.rows import INSTRUMENT, LANE_BITS, LEVEL, QUANTITY, START, TRADES
from telemetry.statistics import add_decimals
from telemetry.times import format_time

_COARSE = 2  # the level of atoms that are longer than a minute
_LANES = [QUANTITY, QUANTITY + 2, QUANTITY + 4]  # of the three sides, the low ones
_COLUMNS = [INSTRUMENT, LEVEL, START, *range(TRADES, TRADES + 3), *_LANES, *(lane + 1 for lane in _LANES)]


@dataclass(frozen=True)
class Profile:
    """What a profile is made of: a copy, so that it may be made in a thread. `rows` are [start, trades, low and high
    lane of the quantity, its scale], `wide` the few atoms that fit no row as (start, trades, quantity, scale)."""

    head: dict[str, Any]
    zone: str
    rows: Ints
    wide: list[tuple[int, int, int, int]]

    def document(self) -> dict[str, Any]:
        """The answer of `GET /v1/profile/{symbol}` but for its freshness fields. Takes pandas, so not on the loop."""
        pd = import_module("pandas")
        starts = np.concatenate((self.rows[:, 0], np.array([one[0] for one in self.wide], np.int64)))
        local = pd.to_datetime(starts, unit="s", utc=True).tz_convert(self.zone)
        table = pd.DataFrame({"minute": local.hour * 60 + local.minute, "day": local.strftime("%Y-%m-%d")})
        table["trades"] = [*self.rows[:, 1].tolist(), *(one[1] for one in self.wide)]
        days = table.groupby("minute")["day"].nunique()
        trades = table.groupby("minute")["trades"].sum()
        quantities = self._quantities(pd, table["minute"].to_numpy())
        minutes = [
            {
                "minute": f"{minute // 60:02}:{minute % 60:02}",
                "trades": int(trades[minute]),
                "quantity": format_decimal(*add_decimals(quantities[minute])),
                "days": int(days[minute]),
            }
            for minute in trades.index.tolist()
        ]
        return self.head | {"zone": self.zone, "days": int(table["day"].nunique()), "minutes": minutes}

    def _quantities(self, pd: Any, minute: Ints) -> dict[int, list[tuple[int, int]]]:
        """Parts of the quantity by minute, as (mantissa, scale)."""
        narrow = len(self.rows)
        table = pd.DataFrame(self.rows[:, 2:], columns=["low", "high", "scale"]).assign(minute=minute[:narrow])
        sums = table.groupby(["minute", "scale"]).sum()
        found: dict[int, list[tuple[int, int]]] = {}
        lanes = sums["low"].tolist(), sums["high"].tolist()
        for (of, scale), low, high in zip(sums.index.tolist(), *lanes, strict=True):
            found.setdefault(of, []).append((low + (high << LANE_BITS), scale))
        for of, (_, _, quantity, scale) in zip(minute[narrow:].tolist(), self.wide, strict=True):
            found.setdefault(of, []).append((quantity, scale))
        return found


def prepare(state: Aggregator, symbol: str, wanted: Filter, zones: Mapping[str, str]) -> Profile:
    """The profile as of now, to be made any time later. Raises InvalidInput."""
    if symbol not in state.by_symbol:
        raise unknown_symbol(symbol)
    ids = select(state, Filter((symbol,), wanted.venues, wanted.kinds))
    found, _ = state.atoms.find(ids, *EVER)
    rows = state.atoms.rows[found[:, None], _COLUMNS]
    every_wide = list(state.wide.between(ids.tolist(), *EVER))
    wide = [one for one in every_wide if one[1] >= state.atoms.frontier[1]]
    left_out = bool((rows[:, 1] >= _COARSE).any()) or len(wide) < len(every_wide)
    rows = rows[rows[:, 1] < _COARSE]
    parts = np.empty((len(rows), 5), np.int64)
    parts[:, 0], parts[:, 1] = rows[:, 2], rows[:, 3:6].sum(axis=1)
    parts[:, 2], parts[:, 3] = rows[:, 6:9].sum(axis=1), rows[:, 9:12].sum(axis=1)
    parts[:, 4] = state.quantity_scale[rows[:, 0]]
    since = format_time(state.atoms.frontier[1] * 1_000_000_000) if left_out else None
    return Profile(
        {"symbol": symbol, "since": since},
        zone_of(state, ids, zones) or "UTC",
        parts,
        [(start, sum(atom.trades), sum(atom.quantity), atom.quantity_scale) for _, start, atom in wide],
    )
