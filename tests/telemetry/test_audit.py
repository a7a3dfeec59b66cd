"""The audit: what it recomputes, what it finds, what it says."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
import pytest

import telemetry.audit
from gateway.state.contents import checksum
from telemetry.audit import Live
from telemetry.backbone.segments import SEGMENT_HEADER_BYTES, decode_header, encode_header
from telemetry.client import Gateway
from telemetry.columns import Columns, from_trades
from telemetry.decode import decode_body
from telemetry.errors import InvalidInput
from telemetry.latencies import COUNT, WIDTH
from telemetry.recompute import Near, Recompute, plain
from telemetry.rows import TRADES
from tests.e2e.desk import TELEMETRY, Desk, trade
from tests.ports import free_port

SEED = random.SystemRandom().randrange(1 << 32)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk after a run over all that is awkward: scales, sizes, signs, sides, venues, currencies, kinds."""
    with Desk(tmp_path_factory.mktemp("desk")) as desk:
        desk.start_gateway()
        desk.start_workers(2)
        desk.post([trade(number) for number in range(2000)])
        for half in (range(499, 249, -1), range(249, -1, -1)):  # the latest first, in two leases
            desk.post([trade(number, symbol="BACKWARDS") for number in half], wait=True)
        desk.post([trade(n, symbol="CL", venue="nymex", price=f"-{n}.5", multiplier="1000") for n in range(1, 300)])
        desk.post([ordered(n, symbol="X", currency=("EUR", "USD")[n % 2], account="a") for n in range(300)])
        desk.post([trade(n, symbol="WIDE", price="123456789012345678", quantity="1.2e-17") for n in range(200)])
        desk.post([trade(n, symbol="WIDE", price="1.2345678901234567", quantity="9e17") for n in range(200)], wait=True)
        yield desk


def ordered(number: int, **fields: object) -> dict[str, object]:
    """A fill whose order left between 1 ns and 300 ms before; of one strategy the clock is wrong."""
    strategy = ("mm-1", "arb", "slow clock")[number % 3]
    elapsed = -5 if strategy == "slow clock" else 1 + number**3 * 11
    sent = int(str(trade(number)["timestamp"])) - elapsed
    names = {"venue": "XETR", "strategy": strategy, "liquidity": ("maker", "taker")[number % 2]}
    return trade(number, **names, order_sent_at=sent, **fields)


Audit = Callable[..., dict[str, Any]]


@pytest.fixture
def audit(capfd: pytest.CaptureFixture[str]) -> Audit:
    """Audit a data directory against a gateway, or (no url) where none answers; the report."""

    def run(data: Path, url: str | None = None, *, code: int = 0) -> dict[str, Any]:
        assert telemetry.audit.run(data, url=url or nowhere(), api_key=None, as_json=True) == code
        report: dict[str, Any] = json.loads(capfd.readouterr().out)
        return report

    return run


def nowhere() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def at_rest(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a gateway that has ended."""
    assert desk.gateway is not None
    desk.gateway.drain()
    data = shutil.copytree(desk.data, tmp_path_factory.mktemp("rest") / "data")
    desk.start_gateway()
    desk.until_applied()
    return data


@pytest.fixture
def copy(at_rest: Path, tmp_path: Path) -> Path:
    """The same, to be tampered with."""
    return shutil.copytree(at_rest, tmp_path / "copy")


def test_the_live_figures_equal_the_recompute(desk: Desk, audit: Audit) -> None:
    report = audit(desk.data, desk.url)
    assert report["source"] == desk.url
    assert (report["equal"], report["trades"], report["symbols"]) == (True, 3499, 5)
    assert report["candles"] >= 4
    assert report["orders"] == 6


def test_a_gateway_that_goes_on_ingesting_is_audited_as_of_one_trade(desk: Desk, audit: Audit) -> None:
    before = desk.applied()
    simulated = desk.start(*TELEMETRY, "simulate", "--rate", "2000", name="simulate")
    reports = []
    for more in (1, 1000, 2000):
        desk.until_applied(before + more)
        reports.append(audit(desk.data, desk.url))
    assert simulated.code is None
    simulated.kill()
    assert [report["differences"] for report in reports] == [[], [], []]
    assert reports[0]["as_of_seq"] < reports[2]["as_of_seq"]


def test_the_saved_figures_equal_the_recompute(copy: Path, audit: Audit) -> None:
    report = audit(copy)
    assert report["source"] == str(copy / "snapshot.db")
    assert report["equal"]
    assert report["trades"] >= 3499


def test_a_gateway_of_another_journal_is_not_taken_for_this_one(desk: Desk, copy: Path, audit: Audit) -> None:
    assert audit(copy, desk.url)["source"] == desk.url
    for path in copy.glob("journal/*.segment"):
        header = decode_header(path.read_bytes()[:SEGMENT_HEADER_BYTES])
        assert header is not None
        with path.open("r+b") as segment:
            segment.write(encode_header(header._replace(journal_id=bytes(16))))
    with pytest.raises(InvalidInput, match="belongs to"):  # neither the gateway's nor the snapshot's
        audit(copy, desk.url)


def test_a_doctored_total_is_found_and_named(copy: Path, audit: Audit) -> None:
    with closing(sqlite3.connect(copy / "snapshot.db")) as database:
        values = dict(database.execute("SELECT name, value FROM state"))
        numbers = np.frombuffer(values["totals#000000"], np.int64).copy()
        numbers[TRADES] += 1
        values["totals#000000"] = numbers.tobytes()
        values["checksum"] = checksum(values)
        database.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", values.items())
        database.commit()
    symbol = json.loads(values["instruments"])[0][1]
    report = audit(copy, code=1)
    assert not report["equal"]
    named = {(where, figure): (shown, recomputed) for where, figure, shown, recomputed in report["differences"]}
    shown, recomputed = named[symbol, "trades"]
    assert shown == recomputed + 1
    assert ("totals", "trades") in named


def test_a_doctored_time_of_an_order_is_found_and_named(copy: Path, audit: Audit) -> None:
    with closing(sqlite3.connect(copy / "snapshot.db")) as database:
        values = dict(database.execute("SELECT name, value FROM state"))
        blob = "slots#000000" if "slots#000000" in values else "older#000000"
        cells = np.frombuffer(values[blob], np.uint64).reshape(-1, WIDTH).copy()
        cells[cells[:, COUNT].argmax(), COUNT] += np.uint64(50)
        values[blob] = cells.tobytes()
        values["checksum"] = checksum(values)
        database.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", values.items())
        database.commit()
    report = audit(copy, code=1)
    assert {where.split()[0] for where, _, _, _ in report["differences"]} == {"orders"}
    assert {"count", "negative"} & {figure for _, figure, _, _ in report["differences"]}


def test_the_command_prints_a_table_of_differences(desk: Desk, copy: Path) -> None:
    (copy / "journal" / "journal-00000001.segment").rename(copy / "one")
    segment = bytearray((copy / "one").read_bytes())
    last = segment.rfind(b"TTRECORD")
    (copy / "journal" / "journal-00000001.segment").write_bytes(segment[:last] + bytes(len(segment) - last))
    printed = desk.run("audit", "--data", str(copy), "--url", nowhere(), code=1)
    assert "what the journal says otherwise" in printed
    assert "last_seq" in printed
    assert "equal" in desk.run("audit", "--data", str(desk.data))


def test_a_doctored_atom_shows_in_a_candle(copy: Path, audit: Audit) -> None:
    with closing(sqlite3.connect(copy / "snapshot.db")) as database:
        (rows,) = database.execute("SELECT rows FROM pages WHERE number = 0").fetchone()
        numbers = np.frombuffer(rows, np.int64).copy()
        numbers[TRADES] += 1
        database.execute(
            "UPDATE pages SET rows = ?, crc = ? WHERE number = 0", (numbers.tobytes(), crc32(numbers.tobytes()))
        )
        database.commit()
    report = audit(copy, code=1)
    assert {figure for _, figure, _, _ in report["differences"]} == {"trades", "minutes"}  # of candle and profile
    assert " 1m " in report["differences"][0][0]


class Hiding(Live):
    """A gateway that shows null where it knows better."""

    def patterns(self, symbol: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return super().patterns(symbol, parameters) | {"burst_ratio": None, "realised_volatility": None}


def test_a_null_is_a_difference_unless_its_trades_are_held_too_coarsely_to_tell(tmp_path: Path) -> None:
    begin = 1_700_000_000_000_000_001
    burst = [trade(number, timestamp=begin) for number in range(150)]
    later = [trade(number, timestamp=begin + number * 60_000_000_000) for number in range(1, 2501)]
    with Desk(tmp_path, atoms=1000) as desk, Gateway(desk.url) as gateway:
        desk.start_gateway()
        desk.start_workers(1)
        desk.post([*burst, *later[:5]], wait=True)
        desk.audit()
        found = telemetry.audit.audit(desk.data / "journal", Hiding(gateway)).differences
        named = {(figure, shown) for where, figure, shown, _ in found if where == "BTC-USDT all"}
        assert named == {("burst_ratio", None), ("realised_volatility", None)}
        desk.post(later[5:], wait=True)
        shown = gateway.get("/v1/patterns/BTC-USDT", {"window": "all"})
        assert (shown["microburst"], shown["burst_ratio"], shown["realised_volatility"]) == (150, None, None)
        desk.audit()


def test_a_journal_that_lost_its_end_is_a_difference(copy: Path, audit: Audit) -> None:
    segment = copy / "journal" / "journal-00000001.segment"
    content = bytearray(segment.read_bytes())
    last = content.rfind(b"TTRECORD")
    content[last:] = bytes(len(content) - last)
    segment.write_bytes(content)
    report = audit(copy, code=1)
    assert report["differences"][0][:2] == ["journal", "last_seq"]


def test_without_figures_to_compare_it_says_so(copy: Path, audit: Audit) -> None:
    (copy / "snapshot.db").unlink()
    with pytest.raises(InvalidInput, match="there is none"):
        audit(copy)
    with pytest.raises(InvalidInput, match="expected a data directory"):
        audit(copy / "nothing")


# --- the arithmetic ---------------------------------------------------------------------------------------------------


def columns_of(trades: list[dict[str, object]]) -> Columns:
    batch = decode_body(json.dumps(trades).encode(), "json", 1_700_000_000_000_000_000)
    return batch.columns if batch.columns is not None else from_trades(batch.trades or [])


def recomputed(trades: list[dict[str, object]], parts: int = 1, leave_out: tuple[int, ...] = ()) -> Recompute:
    recompute = Recompute(until=len(trades), candles={"BTC-USDT": len(trades)}, leave_out=leave_out)
    columns = columns_of(trades)
    bounds = [len(trades) * part // parts for part in range(parts + 1)]
    for start, stop in pairwise(bounds):
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
