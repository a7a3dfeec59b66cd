"""Real trades, looked at 20 times while they come: every figure equals a recompute of what had come by then."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from gateway.aggregator import Aggregator
from gateway.reading import patterns, profile
from gateway.reading.figures import Filter, Page, Span, candles, stats
from gateway.reading.patterns import Question
from gateway.state.patterns import compiled_parts
from telemetry.columns import Columns, concatenate
from telemetry.comparing import Difference, differences
from telemetry.decode import decode_body
from telemetry.errors import InvalidInput
from telemetry.formats import BadRow, Options, TradeFile
from telemetry.partial import decode_partial, encode_partial
from telemetry.recompute import Recompute
from telemetry.recompute_patterns import Held, RecomputePatterns
from telemetry.times import format_time
from telemetry.trade import SIDES
from tests.gateway.test_aggregator import EPOCH, head
from worker.analysis import analyse

INSTANTS = 20
SECONDS = {"10s": 10, "1m": 60, "5m": 300, "1h": 3600, "1d": 86400}
FILES = (
    "us_equity_multi/sampleMultiTradeData.csv.gz",
    "binance_xrpeth/XRP_ETH-trades.feather",
    "binance_xrpeth/XRP_ETH-trades.parquet",
    "binance_xrpeth/XRP_OLD-trades.json.gz",
    "binance_btcusdt_parquet/btcusdt-trades.parquet",
    "eu_equity/sampleTDataEurope.csv.gz",
)
ALIKE = {"binance_xrpeth/XRP_ETH-trades.feather", "binance_xrpeth/XRP_OLD-trades.json.gz"}  # the parquet's market
MARKETS = [pytest.param(name, marks=[pytest.mark.long] if name in ALIKE else []) for name in FILES]
ZONES = {"": "America/New_York"}
BODY = 10_000


def trades_of(path: Path) -> Columns:
    """All trades of a file, as the gateway takes them."""
    with TradeFile(path, Options(symbol="A/B"), lambda text: None) as rows:
        given = [row.trade for row in rows if not isinstance(row, BadRow)]
    return concatenate([columns_of(given[first : first + BODY]) for first in range(0, len(given), BODY)])


def columns_of(given: list[dict[str, Any]]) -> Columns:
    """These trades but those that the gateway refuses, as a replay sends them."""
    while True:
        try:
            columns = decode_body(msgspec.json.encode(given), "json", 2 * 10**18).columns
        except InvalidInput as error:
            refused = {one["index"] for one in error.errors}
            given = [one for index, one in enumerate(given) if index not in refused]
        else:
            assert columns is not None
            return columns


def instants(count: int, rng: random.Random) -> list[int]:
    return [*sorted(rng.sample(range(1, count), INSTANTS - 1)), count]


def deliver(state: Aggregator, trades: Columns, until: int, rng: random.Random) -> None:
    """The trades up to a number, in ranges of any length."""
    while state.applied < until:
        first = state.applied + 1
        last = min(until, first + rng.choice((0, 3, 100, 5000)), (state.applied // state.stride + 1) * state.stride)
        partial = analyse([trades.slice(first - 1, last)], first)
        assert state.merge(head(first, last), decode_partial(encode_partial(partial)))[0].accepted


@pytest.mark.parametrize("name", MARKETS)
def test_every_figure_equals_a_recompute_at_twenty_instants(market_data: Path, name: str) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    trades = trades_of(market_data / name)
    state = Aggregator(epoch=EPOCH, parts=compiled_parts())
    for until in instants(len(trades), rng):
        deliver(state, trades, until, rng)
        found = list(different(state, trades.slice(0, until), rng.choice([*SECONDS])))
        assert found == [], f"seed {seed}, as of {until}"


def different(state: Aggregator, trades: Columns, window: str) -> Iterator[Difference]:
    symbols = sorted({one.symbol for one in trades.instruments})
    recompute = Recompute(until=len(trades), candles=dict.fromkeys(symbols, len(trades)), leave_out=[])
    recompute.add(trades, 1)
    shown = read(state, "all")
    yield from differences("totals", shown["totals"], recompute.totals())
    for symbol, row in recompute.rows().items():
        yield from differences(symbol, shown["symbols"][symbol], row)
    yield from windows(state, trades, window)
    rest = RecomputePatterns(until=dict.fromkeys(symbols, len(trades)), leave_out=[])
    rest.add(trades, 1)
    for symbol in symbols:
        span = Span(limit=10_000)
        given = candles(state, symbol, interval="1m", span=span, wanted=Filter(), now_ns=2 * 10**18)["candles"]
        expected = recompute.candles(symbol)
        assert [one["start"] for one in given] == list(expected)
        for one in given:
            yield from differences(f"{symbol} {one['start']}", one, expected[one["start"]])
        for of in (window, "all"):
            answer = patterns.prepare(state, Question(symbol, of, at="watermark"), ZONES, 2 * 10**18).document()
            assert answer["complete"]
            yield from differences(f"{symbol} {of}", answer, rest.expected(answer, Held(minutes=True, seconds=True)))
        day = profile.prepare(state, symbol, Filter(), ZONES).document()
        assert (day["since"], day["zone"]) == (None, "America/New_York")
        yield from differences(f"{symbol} profile", day, rest.expected(day))


def windows(state: Aggregator, trades: Columns, window: str) -> Iterator[Difference]:
    """A window's rows against a recompute that leaves out what is not in it."""
    shown = read(state, window)
    first, last = (np.datetime64(shown[name].removesuffix("Z"), "ns").astype(np.int64) for name in ENDS)
    outside = np.flatnonzero((trades.timestamp < first) | (trades.timestamp >= last)) + 1
    recompute = Recompute(until=len(trades), candles={}, leave_out=outside.tolist())
    recompute.add(trades, 1)
    rows = recompute.rows()
    assert shown["symbols"].keys() == rows.keys()
    for symbol, row in rows.items():
        row["trades_per_second"] = row["trades"] / SECONDS[window]
        row["quantity_per_second"] = float(row["quantity"]) / SECONDS[window]
        yield from differences(f"{symbol} {window}", shown["symbols"][symbol], row)
    yield from differences(f"totals {window}", shown["totals"], recompute.totals())


@pytest.mark.long
@pytest.mark.parametrize("name", FILES)
def test_all_windows_and_candles_equal_a_recompute_at_twenty_instants(market_data: Path, name: str) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    trades = trades_of(market_data / name)
    state = Aggregator(epoch=EPOCH)
    for until in instants(len(trades), rng):
        deliver(state, trades, until, rng)
        so_far = trades.slice(0, until)
        assert [wrong for window in SECONDS for wrong in windows(state, so_far, window)] == [], f"as of {until}"
        for symbol in sorted({one.symbol for one in trades.instruments}):
            frame = table(so_far, symbol)
            for interval, seconds in INTERVALS.items():
                span = Span(limit=10_000)
                answer = candles(state, symbol, interval=interval, span=span, wanted=Filter(), now_ns=2 * 10**18)
                given = [
                    [one["start"], *(Decimal(one[name]) for name in PRICED), one["trades"]] for one in answer["candles"]
                ]
                assert given == grouped(frame, seconds)[-10_000:], f"{symbol} {interval} as of {until}"
                last = [one["closed"] for one in answer["candles"]][:-1]
                assert all(last), "the event clock is past all but the newest"


INTERVALS = {"1s": 1, "5s": 5, "90s": 90, "1m": 60, "5m": 300, "15m": 900, "1h": 3600, "1d": 86400}
PRICED = ("open", "high", "low", "close", "quantity", "buy_quantity", "sell_quantity", "notional")


def table(trades: Columns, symbol: str) -> pd.DataFrame:
    """The trades of a symbol in the order of their timestamps (of equal ones, of their numbers)."""
    mine = np.array([one.symbol == symbol for one in trades.instruments])[trades.instrument]
    frame = pd.DataFrame({"time": trades.timestamp[mine], "side": trades.side[mine]})
    for name in ("price", "quantity"):
        pairs = zip(getattr(trades, name)[mine].tolist(), getattr(trades, f"{name}_scale")[mine].tolist(), strict=True)
        frame[name] = np.array([Decimal(digits).scaleb(-scale) for digits, scale in pairs], object)
    frame["notional"] = frame["price"] * frame["quantity"]
    for name, side in (("buy_quantity", "buy"), ("sell_quantity", "sell")):
        frame[name] = frame["quantity"].where(frame["side"] == SIDES.index(side), Decimal(0))
    return frame.sort_values("time", kind="stable")


def grouped(frame: pd.DataFrame, seconds: int) -> list[list[Any]]:
    """Candles as pandas makes them: start, PRICED, trades."""
    groups = frame.groupby(frame["time"] // (seconds * 10**9))
    sums = [groups[name].sum() for name in PRICED[4:]]
    prices = [groups["price"].first(), groups["price"].max(), groups["price"].min(), groups["price"].last()]
    starts = [format_time(int(time)) for time in groups["time"].first() // (seconds * 10**9) * (seconds * 10**9)]
    columns = [starts, *(column.tolist() for column in (*prices, *sums, groups.size()))]
    return [list(row) for row in zip(*columns, strict=True)]


ENDS = ("window_start", "window_end")


def read(state: Aggregator, window: str) -> dict[str, Any]:
    return stats(state, window=window, wanted=Filter(), page=Page(), now_ns=2 * 10**18, at="watermark")
