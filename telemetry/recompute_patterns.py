"""The audit's own arithmetic of patterns and profiles, by pandas and decimal over the trades of some symbols.

Nothing here is shared with telemetry.patterns or the gateway. What depends on bounds that only the gateway knows is
compared where it can be told from outside: see `_burst` and `expected`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Context, Decimal, localcontext
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from telemetry.columns import Columns
from telemetry.recompute import Near, instant, plain
from telemetry.trade import SIDES, Instrument

_SHARES = {"interarrival_p50": 50, "interarrival_p90": 90, "interarrival_p99": 99}
_WITHIN = 0.01
_TOGETHER = 32_768  # trades between two of a millisecond, up to which they are sure to be counted as one
_AHEAD_NS, _COARSE_NS, _MILLISECOND_NS, _SECOND_NS = 5_000_000_000, 10_000_000, 1_000_000, 1_000_000_000
_MINUTE_NS, _SLOT_NS = 60 * _SECOND_NS, 10 * _SECOND_NS
_DIGITS = Context(prec=120)
_SLOTS, _LARGEST, _MANY = 360, 10, 100


class Held(NamedTuple):
    """How finely the trades of an answer are held. Where they are held coarser some figures are null, and a null says
    nothing; where they are not, null has to be null."""

    minutes: bool = False  # all by the minute or finer: realised volatility can be told
    seconds: bool = False  # the second of the microburst as one: its ratio can be told


_UNKNOWN = Held()


class RecomputePatterns:
    """Of symbols, each as of its own trade."""

    def __init__(self, *, until: Mapping[str, int], leave_out: Collection[int]) -> None:
        self._until, self._leave_out = dict(until), sorted(leave_out)
        self._parts: dict[str, list[pd.DataFrame]] = {symbol: [] for symbol in until}

    @property
    def last_seq(self) -> int:
        """The last trade that is needed."""
        return max(self._until.values(), default=0)

    def add(self, columns: Columns, first_seq: int) -> None:
        """Take in trades; each once, in the order of the journal."""
        for symbol, until in self._until.items():
            wanted = [code for code, one in enumerate(columns.instruments) if one.symbol == symbol]
            seq = np.arange(first_seq, first_seq + len(columns))
            rows = np.flatnonzero(np.isin(columns.instrument, wanted) & (seq <= until) & ~np.isin(seq, self._leave_out))
            if len(rows):
                self._parts[symbol].append(_frame(columns, rows, seq[rows]))

    def expected(self, answer: Mapping[str, Any], held: Held = _UNKNOWN) -> dict[str, Any]:
        """What an answer should show, of a window or of a profile."""
        parts = self._parts[answer["symbol"]]
        if not parts:
            return {}
        trades = pd.concat(parts, ignore_index=True)
        if "minutes" in answer:
            return _profile(trades, answer) if answer["since"] is None else {}
        span = _span(answer)
        inside = _within(trades["timestamp"], span)
        found = _largest(trades, span)
        if answer["complete"]:
            found |= _gaps(trades, inside) | _bursts(trades, inside, answer, held.seconds)
        if held.minutes or answer["realised_volatility"] is not None:  # else a part may be held by the hour
            currencies = {one.currency for one in trades["instrument"]}  # of the symbol, in whatever window
            found |= (
                _volatility(trades[inside], answer["zone"]) if len(currencies) == 1 else {"realised_volatility": None}
            )
        return found


def _frame(columns: Columns, rows: Any, seq: Any) -> pd.DataFrame:
    of = [columns.instruments[code] for code in columns.instrument[rows].tolist()]
    return pd.DataFrame(
        {
            "instrument": pd.Series(of, dtype=object),
            "seq": seq,
            "timestamp": columns.timestamp[rows],
            "received_at": columns.received_at[rows],
            "side": np.array(SIDES)[columns.side[rows]],
            "price": _decimals(columns.price[rows], columns.price_scale[rows]),
            "quantity": _decimals(columns.quantity[rows], columns.quantity_scale[rows]),
        }
    )


def _decimals(mantissas: Any, scales: Any) -> pd.Series[Any]:
    pairs = zip(mantissas.tolist(), scales.tolist(), strict=True)
    return pd.Series([Decimal(mantissa).scaleb(-scale) for mantissa, scale in pairs], dtype=object)


def _span(answer: Mapping[str, Any]) -> tuple[int, int] | None:
    """The window of an answer in nanoseconds, None for ever."""
    if answer["window_start"] is None:
        return None
    return pd.Timestamp(answer["window_start"]).value, pd.Timestamp(answer["window_end"]).value


def _within(times: pd.Series[Any], span: tuple[int, int] | None) -> pd.Series[bool]:
    if span is None:
        return pd.Series(True, times.index)
    return (times >= span[0]) & (times < span[1])


def _gaps(trades: pd.DataFrame, inside: pd.Series[bool]) -> dict[str, Any]:
    groups = trades.groupby("instrument", sort=False)
    before = groups["timestamp"].shift(fill_value=0)  # a difference by pandas would be a float, which loses nanoseconds
    gaps = (trades["timestamp"] - before)[inside & (groups.cumcount() > 0)]
    forward = np.sort(gaps[gaps >= 0].to_numpy(np.float64))
    found: dict[str, Any] = {"interarrival_count": len(forward), "interarrival_negative": int((gaps < 0).sum())}
    for name, percent in _SHARES.items():
        rank = max(1, -(-len(forward) * percent // 100))
        value = float(forward[rank - 1]) / 1e9 if len(forward) else None
        found[name] = None if value is None else Near(value, _WITHIN * value)
    return found


def _bursts(trades: pd.DataFrame, inside: pd.Series[bool], answer: Mapping[str, Any], seconds: bool) -> dict[str, Any]:
    """Nothing where trades of a millisecond came so far apart that they may have been counted separately."""
    coarse = (trades["timestamp"] % _COARSE_NS == 0).groupby(trades["instrument"]).transform("all")
    some, inside = trades[~coarse], inside[~coarse]
    if some[inside].empty:
        return dict.fromkeys(("microburst", "microburst_at", "burst_ratio")) | {"microbursts": []}
    keys = [some["instrument"], some["timestamp"] // _MILLISECOND_NS]
    if (some.groupby(keys, sort=False)["seq"].diff() >= _TOGETHER).any():
        return {}
    counts = some[inside].groupby(keys, sort=False).size().rename("trades").reset_index()
    best = counts.sort_values(["trades", "timestamp"], ascending=[False, True], kind="stable").iloc[0]
    found = {"microburst": int(best["trades"]), "microburst_at": instant(int(best["timestamp"]) * _MILLISECOND_NS)}
    of = (counts["trades"] == best["trades"]) & (counts["timestamp"] == best["timestamp"])
    if of.sum() == 1 and (seconds or answer["burst_ratio"] is not None):
        same = (some["instrument"] == best["instrument"]) & (
            some["timestamp"] // _SECOND_NS == best["timestamp"] // 1000
        )
        found["burst_ratio"] = float(best["trades"] * 1000 / same.sum()) if same.sum() >= _MANY else None
    slots = counts["trades"].groupby(counts["timestamp"] // (_SLOT_NS // _MILLISECOND_NS)).max().tail(_SLOTS)
    pairs: list[tuple[Any, Any]] = list(slots.items())
    listed: list[dict[str, Any]] = [{"start": instant(at * _SLOT_NS), "trades": int(most)} for at, most in pairs]
    shown = {one["start"] for one in answer["microbursts"]}
    oldest = min(shown, default="")  # older ones have been folded
    return found | {"microbursts": [one for one in listed if one["start"] >= oldest] if shown else []}


def _volatility(trades: pd.DataFrame, zone: str | None) -> dict[str, Any]:
    last = trades.assign(minute=trades["timestamp"] // _MINUTE_NS).sort_values(["timestamp", "seq"])
    last = last.drop_duplicates("minute", keep="last")
    prices = last["price"].tolist()
    if len(prices) < 2 or min(prices) <= 0:
        return {"realised_volatility": None}
    moments = pd.to_datetime(last["minute"] * 60, unit="s", utc=True)
    days = [0] * len(last) if zone is None else moments.dt.tz_convert(zone).dt.date.tolist()
    with localcontext(_DIGITS):
        total = sum(
            ((prices[place] / prices[place - 1]).ln() ** 2 for place in range(1, len(prices)) if _same(days, place)),
            Decimal(0),
        )
        return {"realised_volatility": float(total.sqrt())}


def _same(days: list[Any], place: int) -> bool:
    return bool(days[place] == days[place - 1])


def _largest(trades: pd.DataFrame, span: tuple[int, int] | None) -> dict[str, Any]:
    if span is not None:
        at = trades[["timestamp", "received_at"]].min(axis=1)
        near = trades["timestamp"] <= trades["received_at"] + _AHEAD_NS
        trades = trades[_within(at, span) & near]
    each: Any = trades.itertuples()
    with localcontext(_DIGITS):
        rows = [(one.price * one.quantity * _multiplier(one.instrument), int(one.seq), one) for one in each]
    shown = sorted(rows, key=lambda row: (-abs(row[0]), row[1]))[:_LARGEST]
    return {"largest": [_trade(notional, one) for notional, _, one in shown]}


def _multiplier(instrument: Instrument) -> Decimal:
    return Decimal(instrument.multiplier).scaleb(-instrument.multiplier_scale)


def _trade(notional: Decimal, one: Any) -> dict[str, Any]:
    return {
        "seq": int(one.seq),
        "timestamp": instant(int(one.timestamp)),
        "venue": one.instrument.venue or None,
        "kind": one.instrument.kind,
        "side": one.side,
        "price": plain(one.price),
        "quantity": plain(one.quantity),
        "notional": plain(notional),
        "currency": one.instrument.currency or None,
    }


def _profile(trades: pd.DataFrame, answer: Mapping[str, Any]) -> dict[str, Any]:
    local = pd.to_datetime(trades["timestamp"] // _SECOND_NS, unit="s", utc=True).dt.tz_convert(answer["zone"])
    groups = trades.assign(day=local.dt.date).groupby(local.dt.strftime("%H:%M"))
    with localcontext(_DIGITS):
        minutes = [
            {
                "minute": minute,
                "trades": len(of),
                "quantity": plain(sum(of["quantity"], Decimal(0))),
                "days": of["day"].nunique(),
            }
            for minute, of in groups
        ]
    return {"days": int(local.dt.date.nunique()), "minutes": minutes}
