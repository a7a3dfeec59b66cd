"""The audit: what it recomputes, what it finds, what it says."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from telemetry.columns import Columns, from_trades
from telemetry.decode import decode_body
from telemetry.recompute import Near, Recompute, plain
from telemetry.rows import TRADES
from tests.e2e.desk import TELEMETRY, Desk, free_port, trade

SEED = random.SystemRandom().randrange(1 << 32)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk after a run over all that is awkward: scales, sizes, signs, sides, venues, currencies, kinds."""
    with Desk(tmp_path_factory.mktemp("desk")) as desk:
        desk.start_gateway()
        desk.start_workers(2)
        desk.post([trade(number) for number in range(2000)])
        desk.post([trade(n, symbol="CL", venue="nymex", price=f"-{n}.5", multiplier="1000") for n in range(1, 300)])
        desk.post([trade(n, symbol="X", currency=("EUR", "USD")[n % 2], account="a") for n in range(300)])
        desk.post([trade(n, symbol="WIDE", price="123456789012345678", quantity="1.2e-17") for n in range(200)])
        desk.post([trade(n, symbol="WIDE", price="1.2345678901234567", quantity="9e17") for n in range(200)], wait=True)
        yield desk


def audit(desk: Desk, *, data: Path | None = None, url: str | None = None, code: int = 0) -> dict[str, Any]:
    printed = desk.run("audit", "--data", str(data or desk.data), "--url", url or desk.url, "--json", code=code)
    report: dict[str, Any] = json.loads(printed)
    return report


def nowhere() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def copy(desk: Desk, tmp_path: Path) -> Path:
    """The data directory as it is at rest, to be tampered with."""
    assert desk.gateway is not None
    desk.gateway.drain()
    data = tmp_path / "copy"
    (data / "journal").mkdir(parents=True)
    for path in (*desk.data.glob("journal/*"), desk.data / "snapshot.db"):
        (data / path.relative_to(desk.data)).write_bytes(path.read_bytes())
    desk.start_gateway()
    desk.until_applied()
    return data


def test_the_live_figures_equal_the_recompute(desk: Desk) -> None:
    report = audit(desk)
    assert report["source"] == desk.url
    assert (report["equal"], report["trades"], report["symbols"]) == (True, 2999, 4)
    assert report["candles"] >= 4


def test_a_gateway_that_goes_on_ingesting_is_audited_as_of_one_trade(desk: Desk) -> None:
    simulated = desk.start(*TELEMETRY, "simulate", "--rate", "2000", name="simulate")
    before = desk.applied()
    reports = [audit(desk) for _ in range(2)]
    assert simulated.code is None
    simulated.kill()
    assert [report["differences"] for report in reports] == [[], []]
    assert before < reports[0]["as_of_seq"] < reports[1]["as_of_seq"]


def test_the_saved_figures_equal_the_recompute(desk: Desk, copy: Path) -> None:
    report = audit(desk, data=copy, url=nowhere())
    assert report["source"] == str(copy / "snapshot.db")
    assert report["equal"]
    assert report["trades"] >= 2999


def test_a_gateway_of_another_journal_is_not_taken_for_this_one(desk: Desk, copy: Path, tmp_path: Path) -> None:
    with Desk(tmp_path) as other:
        other.start_gateway()
        assert audit(desk, data=copy, url=other.url)["source"] == str(copy / "snapshot.db")


def test_a_doctored_total_is_found_and_named(desk: Desk, copy: Path) -> None:
    with closing(sqlite3.connect(copy / "snapshot.db")) as database:
        values = dict(database.execute("SELECT name, value FROM state"))
        numbers = np.frombuffer(values["totals"], np.int64).copy()
        numbers[TRADES] += 1
        database.execute("UPDATE state SET value = ? WHERE name = 'totals'", (numbers.tobytes(),))
        database.commit()
    symbol = json.loads(values["instruments"])[0][1]
    report = audit(desk, data=copy, url=nowhere(), code=1)
    assert not report["equal"]
    named = {(where, figure): (shown, recomputed) for where, figure, shown, recomputed in report["differences"]}
    shown, recomputed = named[symbol, "trades"]
    assert shown == recomputed + 1
    assert ("totals", "trades") in named
    table = desk.run("audit", "--data", str(copy), "--url", nowhere(), code=1)
    assert "what the journal says otherwise" in table
    assert symbol in table


def test_a_doctored_atom_shows_in_a_candle(desk: Desk, copy: Path) -> None:
    with closing(sqlite3.connect(copy / "snapshot.db")) as database:
        number, rows = database.execute("SELECT number, rows FROM pages ORDER BY number").fetchone()
        numbers = np.frombuffer(rows, np.int64).copy()
        numbers[TRADES] += 1
        database.execute("UPDATE pages SET rows = ? WHERE number = ?", (numbers.tobytes(), number))
        database.commit()
    report = audit(desk, data=copy, url=nowhere(), code=1)
    assert {figure for _, figure, _, _ in report["differences"]} == {"trades"}
    assert " 1m " in report["differences"][0][0]


def test_a_journal_that_lost_its_end_is_a_difference(desk: Desk, copy: Path) -> None:
    segment = copy / "journal" / "journal-00000001.segment"
    content = bytearray(segment.read_bytes())
    last = content.rfind(b"TTRECORD")
    content[last:] = bytes(len(content) - last)
    segment.write_bytes(content)
    report = audit(desk, data=copy, url=nowhere(), code=1)
    assert ["journal", "last_seq"] == report["differences"][0][:2]


def test_without_figures_to_compare_it_says_so(desk: Desk, copy: Path, tmp_path: Path) -> None:
    desk.run("audit", "--data", str(tmp_path / "nothing"), "--url", nowhere(), code=2)
    (copy / "snapshot.db").unlink()
    desk.run("audit", "--data", str(copy), "--url", nowhere(), code=2)


# --- the arithmetic ---------------------------------------------------------------------------------------------------


def columns_of(trades: list[dict[str, object]]) -> Columns:
    batch = decode_body(json.dumps(trades).encode(), "json", 1_700_000_000_000_000_000)
    return batch.columns if batch.columns is not None else from_trades(batch.trades or [])


def recomputed(trades: list[dict[str, object]], parts: int = 1, leave_out: tuple[int, ...] = ()) -> Recompute:
    recompute = Recompute(until=len(trades), candles={"BTC-USDT": len(trades)}, leave_out=leave_out)
    columns = columns_of(trades)
    bounds = [len(trades) * part // parts for part in range(parts + 1)]
    for start, stop in zip(bounds, bounds[1:], strict=False):
        recompute.add(columns.slice(start, stop), start + 1)
    return recompute


def test_the_recompute_is_what_numpy_and_pandas_say() -> None:
    trades = [trade(number) for number in range(1000)]
    row = recomputed(trades)
    frame = pd.DataFrame(trades).assign(quantity=lambda all_: all_["quantity"].map(Decimal))
    shown = row.rows()["BTC-USDT"]
    floats = frame["quantity"].astype(float)
    assert shown["quantity_mean"] == pytest.approx(np.mean(floats), rel=1e-12)
    assert shown["quantity_std"] == pytest.approx(np.std(floats), rel=1e-12)
    assert float(shown["quantity_max"]) == np.max(floats)
    assert Decimal(shown["buy_quantity"]) == frame[frame["side"] == "buy"]["quantity"].sum()
    notional = sum(Decimal(str(one["price"])) * Decimal(str(one["quantity"])) for one in trades)
    assert Decimal(shown["notional"]) == notional
    assert row.totals()["notional"] == {"": plain(notional)}
    assert sum(candle["trades"] for candle in row.candles("BTC-USDT").values()) == 1000


def test_parts_recompute_to_the_same_as_the_whole() -> None:
    print(f"seed {SEED}")
    trades = [trade(number) for number in range(500)]
    random.Random(SEED).shuffle(trades)
    whole, parts = recomputed(trades), recomputed(trades, parts=7)
    for symbol, row in whole.rows().items():
        for figure, value in row.items():
            other = parts.rows()[symbol][figure]
            if isinstance(value, Near):
                assert other.value == pytest.approx(value.value, rel=1e-12)
            else:
                assert other == value, figure
    assert parts.candles("BTC-USDT") == whole.candles("BTC-USDT")


def test_sums_beyond_28_digits_are_not_rounded() -> None:
    big, small = {"price": "999999999999999999", "quantity": "1"}, {"price": "1e-18", "quantity": "1e-18"}
    row = recomputed([trade(0, **big), trade(0, **small)]).rows()["BTC-USDT"]
    assert row["notional"] == "999999999999999999." + "0" * 35 + "1"


def test_quarantined_trades_are_left_out() -> None:
    trades = [trade(number) for number in range(10)]
    row = recomputed(trades, leave_out=(10, 3)).rows()["BTC-USDT"]
    assert (row["trades"], row["revision"]) == (8, 9)
