"""Real trades through real processes: patterns and profiles of every symbol equal a recompute from the file itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from telemetry.columns import Columns
from telemetry.comparing import Difference, differences
from telemetry.recompute_patterns import Held, RecomputePatterns
from tests.e2e.desk import Desk
from tests.gateway.test_market_data import trades_of

GAPS = {"interarrival_count", "interarrival_negative", "interarrival_p50", "interarrival_p90", "interarrival_p99"}
BURSTS = {"microburst", "microburst_at", "microbursts", "burst_ratio"}
WHOLE = Held(minutes=True, seconds=True)


@pytest.mark.parametrize(
    "name", ["us_equity_multi/sampleMultiTradeData.csv.gz", "binance_xrpeth/XRP_ETH-trades.parquet"]
)
def test_patterns_and_profiles_after_a_replay_equal_a_recompute_of_the_file(
    market_data: Path, tmp_path: Path, name: str
) -> None:
    trades = trades_of(market_data / name)
    with Desk(tmp_path) as desk:
        desk.start_gateway()
        desk.start_workers(2)
        desk.replay(market_data / name, symbol="A/B")
        desk.until_applied(len(trades))
        assert desk.freshness()["durable_seq"] == len(trades)
        assert list(different(desk, trades)) == []
        assert list(different(desk, trades.slice(0, len(trades) - 1))) != [], "one trade less is noticed"


def different(desk: Desk, trades: Columns) -> Iterator[Difference]:
    """What the gateway shows otherwise of these trades, by symbol."""
    symbols = sorted({one.symbol for one in trades.instruments})
    recompute = RecomputePatterns(until=dict.fromkeys(symbols, len(trades)), leave_out=[])
    recompute.add(trades, 1)
    for symbol in symbols:
        for window in ("all", "1h", "1m"):
            shown = desk.get(f"/v1/patterns/{quote(symbol, safe='')}", window=window, at="watermark").body
            expected = recompute.expected(shown, WHOLE)
            assert shown["complete"]
            assert expected.keys() >= GAPS | {"realised_volatility", "largest"}, "each is compared"
            assert window != "all" or expected.keys() >= BURSTS - {"burst_ratio"}
            yield from differences(f"{symbol} {window}", shown, expected)
        profile = desk.get(f"/v1/profile/{quote(symbol, safe='')}").body
        assert (profile["since"], profile["zone"]) == (None, "UTC")
        yield from differences(f"{symbol} profile", profile, recompute.expected(profile))
