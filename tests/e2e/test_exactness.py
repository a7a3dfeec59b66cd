"""Real market data through real processes: the figures equal the reference, byte for byte whatever the workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.desk import Desk

US_EQUITY, XRP = "us_equity_multi", "binance_xrpeth"
XRP_FILES = ("XRP_ETH-trades.parquet", "XRP_ETH-trades.feather", "XRP_OLD-trades.json.gz")


def reference(market_data: Path, dataset: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((market_data / dataset / f"{dataset}.reference.json").read_text("utf-8"))
    return found


def assert_equals_reference(row: dict[str, Any], expected: dict[str, Any]) -> None:
    figures = {"trades": "trades", "quantity": "qty_sum", "notional": "notional_sum"}
    figures |= {
        "quantity_min": "qty_min",
        "quantity_max": "qty_max",
        "price_low": "price_min",
        "price_high": "price_max",
    }
    assert {name: row[name] for name in figures} == {name: expected[theirs] for name, theirs in figures.items()}
    for side, theirs in (("buy", "buy"), ("sell", "sell"), ("unknown", "unknown_side")):
        shown = {unit: row[f"{side}_{unit}"] for unit in ("trades", "quantity", "notional")}
        of = expected[theirs]
        assert shown == {"trades": of["trades"], "quantity": of["qty"], "notional": of["notional"]}, side
    assert (row["first_timestamp"], row["last_timestamp"]) == (expected["ts_min"], expected["ts_max"])
    assert f"{row['vwap']:.9f}" == f"{float(expected['vwap']):.9f}"


@pytest.fixture(scope="module")
def bodies(market_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, bytes]:
    """`GET /v1/stats` after the same replay, by the number of workers."""
    found: dict[int, bytes] = {}
    for count in (1, 2, 4):
        with Desk(tmp_path_factory.mktemp("desk")) as desk:
            desk.start_gateway()
            desk.start_workers(count)
            desk.replay(market_data / US_EQUITY / "sampleMultiTradeData.csv.gz")
            summary = desk.replay(market_data / XRP / XRP_FILES[0], symbol="XRP/ETH")
            assert (summary.refused, summary.duplicates) == (0, 0)
            desk.until_applied()
            found[count] = desk.bytes_of("/v1/stats", window="all", sort="symbol")
    return found


def test_a_replay_of_us_equity_equals_the_reference_per_symbol(bodies: dict[int, bytes], market_data: Path) -> None:
    rows = json.loads(bodies[2])["symbols"]
    expected = reference(market_data, US_EQUITY)["symbols"]
    assert len(expected) == 3
    for symbol, figures in expected.items():
        assert_equals_reference(rows[symbol], figures)


def test_the_same_trades_in_other_formats_equal_the_reference_and_are_duplicates(
    market_data: Path, tmp_path: Path
) -> None:
    (expected,) = reference(market_data, XRP)["symbols"].values()
    with Desk(tmp_path) as desk:
        desk.start_gateway()
        desk.start_workers(2)
        for place, name in enumerate(XRP_FILES):
            summary = desk.replay(market_data / XRP / name, symbol="XRP/ETH")
            known = 0 if place == 0 else expected["trades"]
            assert (summary.accepted, summary.duplicates) == (expected["trades"] - known, known), name
        desk.until_applied()
        assert_equals_reference(desk.stats()["symbols"]["XRP/ETH"], expected)


def test_the_figures_are_the_same_bytes_with_one_two_and_four_workers(bodies: dict[int, bytes]) -> None:
    assert json.loads(bodies[1])["totals"]["trades"] == 43_581 + 12_477
    assert bodies[1] == bodies[2] == bodies[4]
