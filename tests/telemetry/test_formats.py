"""Reading files: the real ones equal their reference tables, small ones pin each name, unit, zone and broken row."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from telemetry.errors import InvalidInput
from telemetry.formats import BadRow, Options, Row, TradeFile
from telemetry.formats.names import ALIASES, FIELDS, resolve

NOON = 1_704_110_400 * 10**9  # 2024-01-01T12:00:00Z


def read(path: Path, **options: Any) -> tuple[list[dict[str, Any]], list[BadRow], list[str]]:
    """The trades, the bad rows and the notices of a file."""
    notices: list[str] = []
    with TradeFile(path, Options(**options), notices.append) as file:
        rows = list(file)
    good = [row.trade for row in rows if isinstance(row, Row)]
    return good, [row for row in rows if isinstance(row, BadRow)], notices


def only(path: Path, **options: Any) -> dict[str, Any]:
    """The one trade of a file without bad rows."""
    trades, bad, _ = read(path, **options)
    assert bad == []
    (trade,) = trades
    return trade


def written(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path


def totals(trades: list[dict[str, Any]]) -> dict[str, Any]:
    """The reference table's own figures, by exact decimals."""
    exact: dict[str, Any] = {"trades": len(trades), "qty_sum": Decimal(0), "notional_sum": Decimal(0)}
    for trade in trades:
        exact["qty_sum"] += Decimal(trade["quantity"])
        exact["notional_sum"] += Decimal(trade["quantity"]) * Decimal(trade["price"])
    prices = [Decimal(trade["price"]) for trade in trades]
    times = [trade["timestamp"] for trade in trades]
    sides = {side: sum(trade.get("side") == side for trade in trades) for side in ("buy", "sell")}
    return exact | sides | {"low": min(prices), "high": max(prices), "first": times[0], "last": times[-1]}


def reference(table: Mapping[str, Any]) -> dict[str, Any]:
    exact: dict[str, Any] = {"trades": table["trades"]}
    exact |= {name: Decimal(table[name]) for name in ("qty_sum", "notional_sum")}
    exact |= {side: table[side]["trades"] for side in ("buy", "sell")}
    exact |= {"low": Decimal(table["price_min"]), "high": Decimal(table["price_max"])}
    return exact | {"first": table["ts_first_row_ns"], "last": table["ts_last_row_ns"]}


def test_the_equity_csv_equals_its_reference_table_in_total_and_by_symbol(market_data: Path) -> None:
    table = json.loads((market_data / "us_equity_multi/us_equity_multi.reference.json").read_text())
    trades, bad, notices = read(market_data / "us_equity_multi/sampleMultiTradeData.csv.gz")
    assert bad == []
    assert totals(trades) == reference(table["totals"])
    for symbol, expected in table["symbols"].items():
        assert totals([trade for trade in trades if trade["symbol"] == symbol]) == reference(expected)
    assert not any("trade_id" in trade for trade in trades)
    assert notices == ["sampleMultiTradeData.csv.gz: no column holds the side; it is unknown"]


@pytest.mark.parametrize("name", ["XRP_ETH-trades.parquet", "XRP_ETH-trades.feather", "XRP_OLD-trades.json.gz"])
def test_every_format_of_the_crypto_trades_equals_the_one_reference_table(name: str, market_data: Path) -> None:
    table = json.loads((market_data / "binance_xrpeth/binance_xrpeth.reference.json").read_text())
    trades, bad, _ = read(market_data / "binance_xrpeth" / name, symbol="XRP/ETH")
    assert bad == []
    assert totals(trades) == reference(table["totals"])
    assert {trade["symbol"] for trade in trades} == {"XRP/ETH"}
    assert len({trade["trade_id"] for trade in trades}) == len(trades)


def test_the_formats_of_the_crypto_trades_agree_trade_by_trade(market_data: Path) -> None:
    read_all = [
        read(market_data / "binance_xrpeth" / name, symbol="XRP/ETH")[0]
        for name in ("XRP_ETH-trades.parquet", "XRP_ETH-trades.feather", "XRP_OLD-trades.json.gz")
    ]
    by_value = [
        [{**t, "price": Decimal(t["price"]), "quantity": Decimal(t["quantity"])} for t in trades] for trades in read_all
    ]
    assert by_value[0] == by_value[1] == by_value[2]


def test_a_file_without_a_header_is_read_by_the_columns_that_are_named(market_data: Path) -> None:
    table = json.loads((market_data / "kraken/kraken_csv_bcheur.reference.json").read_text())
    trades = []
    for name in ("BCHEUR.csv", "BCHEUR_incremental_q2.csv"):
        with pytest.raises(InvalidInput, match="--columns"):
            read(market_data / "kraken" / name, symbol="BCHEUR")
        more, bad, _ = read(market_data / "kraken" / name, symbol="BCHEUR", columns=("timestamp", "price", "quantity"))
        assert bad == []
        trades += more
    assert totals(trades) == reference(table["totals"]) | {"buy": 0, "sell": 0}


def test_columns_that_are_named_are_as_many_as_each_line_has_and_only_those_of_text(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "1704110400;A;x;2;5\n1704110401;A;x;2\n")
    columns = ("timestamp", "symbol", "", "quantity", "price")
    (trade,), (bad,), notices = read(path, columns=columns)
    assert trade == {"symbol": "A", "price": "5", "quantity": "2", "timestamp": NOON}
    assert (bad.number, bad.reason) == (2, "expected 5 columns as --columns names, received 4")
    assert any("ignored" in notice for notice in notices)
    with pytest.raises(InvalidInput, match="column for price"):
        read(path, columns=("timestamp", "symbol", "side", "quantity", "cost"))
    with pytest.raises(InvalidInput, match="delimited text, received json"):
        read(written(tmp_path, "a.json", '[{"symbol": "A"}]'), columns=columns)


def test_a_file_without_a_symbol_asks_for_it(market_data: Path) -> None:
    with pytest.raises(InvalidInput, match="--symbol"):
        read(market_data / "binance_xrpeth/XRP_ETH-trades.parquet")


def test_zoned_parquet_timestamps_keep_their_instant(market_data: Path) -> None:
    trades, _, _ = read(market_data / "binance_btcusdt_parquet/btcusdt-trades.parquet", symbol="BTCUSDT")
    assert trades[0] == {
        "symbol": "BTCUSDT",
        "price": "39432.48",
        "quantity": "0.000263",
        "timestamp": 1_610_064_000_278_000_000,
        "trade_id": "553287559",
    }


@pytest.mark.parametrize(("field", "alias"), [(field, alias) for field, names in ALIASES.items() for alias in names])
def test_each_usual_name_is_recognised_in_any_case(field: str, alias: str) -> None:
    for column in (alias, alias.upper(), alias.title(), f" {alias} "):
        assert resolve([column]).fields == ((field, column),)


@pytest.mark.parametrize("field", FIELDS)
def test_each_name_of_the_interface_is_recognised_however_it_is_spelled(field: str) -> None:
    for column in (field, field.upper(), field.replace("_", " "), field.replace("_", "-").title()):
        assert resolve([column]).fields == ((field, column),)


def test_the_interface_name_wins_over_an_alias_wherever_it_stands() -> None:
    names = resolve(["px", "Amount", "size", "price", "datetime", "timestamp", "id", "trade_id", "quantity"])
    assert dict(names.fields) == {f: f for f in ("price", "quantity", "timestamp", "trade_id")}
    assert names.ignored == ("px", "Amount", "size", "datetime", "id")


HEADERS = ["symbol,price,quantity", "SYM;PX;QTY", "Ticker\tPrice\tSize", "pair|price|volume"]


@pytest.mark.parametrize("header", HEADERS)
def test_the_delimiter_is_found_in_the_header(tmp_path: Path, header: str) -> None:
    mark = next(character for character in header if character in ",;\t|")
    path = written(tmp_path, "a.csv", f"{header}\n{mark.join(('BRK.B', '1.50', '2'))}\n")
    assert only(path) == {"symbol": "BRK.B", "price": "1.50", "quantity": "2"}


def test_quotes_blank_lines_byte_order_marks_and_blanks_around_cells_do_not_matter(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", '\ufeff"symbol", "price",quantity\r\n\r\n"A, B", 1 ,"2"\r\n\r\n')
    trades, _, _ = read(path)
    assert trades == [{"symbol": "A, B", "price": "1", "quantity": "2"}]


def test_utf_16_text_and_gzip_under_any_name_are_read(tmp_path: Path) -> None:
    wide = tmp_path / "wide.txt"
    wide.write_text("symbol\tprice\tquantity\n東京\t1\t2\n", encoding="utf-16")
    packed = tmp_path / "packed.csv"
    packed.write_bytes(gzip.compress(wide.read_text("utf-16").encode()))
    assert only(wide) == only(packed) == {"symbol": "東京", "price": "1", "quantity": "2"}


TIMES = [
    ("1704110400", NOON),
    ("1704110400.1234567", NOON + 123_456_700),
    ("1704110400123", NOON + 123_000_000),
    ("1704110400123.5", NOON + 123_500_000),
    ("1704110400123456", NOON + 123_456_000),
    ("1704110400123456789", NOON + 123_456_789),
    ("1.7041104e9", NOON),
    ("2024-01-01T12:00:00Z", NOON),
    ("2024-01-01 13:00:00.000000001+01:00", NOON + 1),
    ("2024-01-01T07:00:00-0500", NOON),
    ("2024-01-01 12:00:00 UTC", NOON),
    ("2024/01/01 12:00", NOON),
    ("20240101-12:00:00.250", NOON + 250_000_000),
    ("20240101", NOON - 43_200 * 10**9),
    ("2024-01-01", NOON - 43_200 * 10**9),
]


@pytest.mark.parametrize(("text", "expected"), TIMES)
def test_each_way_to_write_a_time_becomes_exact_nanoseconds(tmp_path: Path, text: str, expected: int) -> None:
    path = written(tmp_path, "a.csv", f"symbol,price,qty,time\nA,1,1,{text}\n")
    assert only(path)["timestamp"] == expected
    lines = written(tmp_path, "a.jsonl", json.dumps({"sym": "A", "px": 1, "qty": 1, "ts": text}) + "\n")
    assert only(lines)["timestamp"] == expected


BAD_TIMES = ["yesterday", "01/02/2024 12:00", "2024-02-30", "2024-01-01T25:00:00Z", "1704110400.1234567891", "12:00"]


@pytest.mark.parametrize("text", BAD_TIMES)
def test_a_time_that_cannot_be_read_is_reported_with_its_row(tmp_path: Path, text: str) -> None:
    trades, bad, _ = read(written(tmp_path, "a.csv", f"symbol,price,qty,time\nA,1,1,{text}\nA,1,1,1704110400\n"))
    assert (len(trades), [(row.number, row.field, row.received) for row in bad]) == (1, [(1, "timestamp", text)])


def test_times_without_a_zone_are_utc_with_one_notice_or_of_the_zone_given(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "symbol,price,qty,side,dt\n" + 2 * "A,1,1,b,2024-07-01 12:00:00\n")
    trades, _, notices = read(path)
    assert trades[0]["timestamp"] == 1_719_835_200 * 10**9
    assert notices == ["a.csv: times without a zone are read as UTC; --tz names another zone"]
    trades, _, notices = read(path, tz="America/New_York")
    assert (trades[0]["timestamp"], notices) == (1_719_849_600 * 10**9, [])


def test_an_hour_that_the_zone_skips_is_a_bad_row_and_one_that_it_has_twice_is_the_first(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "symbol,price,qty,dt\nA,1,1,2024-03-31 02:30\nA,1,1,2024-10-27 02:30\n")
    trades, bad, notices = read(path, tz="Europe/Zurich")
    assert [row.number for row in bad] == [1]
    assert "does not exist" in bad[0].reason
    assert trades[0]["timestamp"] == 1_729_989_000 * 10**9
    assert any("twice" in notice for notice in notices)


def test_an_unknown_zone_is_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--tz"):
        read(written(tmp_path, "a.csv", "symbol,price,qty\nA,1,1\n"), tz="Mars/Olympus")


def test_a_date_column_completes_a_time_of_day(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "Date,Time,Symbol,Price,Qty\n2024-01-01,12:00:00.5,A,1,1\n")
    assert only(path)["timestamp"] == NOON + 500_000_000


SIDES = [("Buy", "buy"), ("SELL", "sell"), ("b", "buy"), ("S", "sell"), ("ask", "sell"), ("unknown", "unknown")]


@pytest.mark.parametrize(("text", "side"), SIDES)
def test_the_side_is_read_in_its_usual_spellings(tmp_path: Path, text: str, side: str) -> None:
    assert only(written(tmp_path, "a.csv", f"symbol,price,qty,side\nA,1,1,{text}\n"))["side"] == side


def test_type_is_the_side_only_if_its_values_are_sides(tmp_path: Path) -> None:
    sides = written(tmp_path, "a.csv", "symbol,price,qty,type\nA,1,1,b\nA,1,1,\nA,1,1,SELL\n")
    assert [trade.get("side") for trade in read(sides)[0]] == ["buy", None, "sell"]
    orders = written(tmp_path, "b.csv", "symbol,price,qty,type\nA,1,1,buy\nA,1,1,limit\n")
    trades, _, notices = read(orders)
    assert [trade.get("side") for trade in trades] == [None, None]
    assert "b.csv: ignored columns: 'type'" in notices
    both = written(tmp_path, "c.csv", "symbol,price,qty,type,side\nA,1,1,buy,sell\n")
    assert only(both)["side"] == "sell"


def test_a_side_that_is_none_is_a_bad_row(tmp_path: Path) -> None:
    _, bad, _ = read(written(tmp_path, "a.csv", "symbol,price,qty,side\nA,1,1,long\n"))
    assert bad == [BadRow(1, "expected buy, sell or unknown", "side", "long")]


def test_a_missing_price_a_torn_line_and_foreign_bytes_are_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"symbol,price,qty\nA,,1\nA,1\nA\xff,1,1\nNAN,1,1\n,1,1\nB,2,2\n")
    trades, bad, _ = read(path)
    assert [trade["symbol"] for trade in trades] == ["NAN", "B"]
    assert [(row.number, row.field) for row in bad] == [(1, "price"), (2, ""), (3, "symbol"), (5, "symbol")]


def test_a_quote_that_never_ends_is_reported(tmp_path: Path) -> None:
    trades, bad, _ = read(written(tmp_path, "a.csv", 'symbol,price,qty\nA,1,1\nA,1,"1\nA,1,1\n'))
    assert (len(trades), [row.number for row in bad]) == (1, [2])


def test_missing_columns_are_named_together_with_those_found(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="column for quantity, received the columns 'symbol', 'price', 'foo'"):
        read(written(tmp_path, "a.csv", "symbol,price,foo\nA,1,1\n"))
    with pytest.raises(InvalidInput, match="empty"):
        read(written(tmp_path, "b.csv", ""))
    with pytest.raises(InvalidInput, match="readable"):
        read(tmp_path / "missing.csv")
    with pytest.raises(InvalidInput, match="readable"):
        read(tmp_path)
    with pytest.raises(InvalidInput, match="binary"):
        read(written(tmp_path, "c.csv", "\x00\x01\x02"))


def test_a_file_with_only_a_header_holds_no_trades(tmp_path: Path) -> None:
    assert read(written(tmp_path, "a.csv", "symbol,price,qty\n"))[:2] == ([], [])
    assert read(written(tmp_path, "a.json", "[]"))[:2] == ([], [])


CCXT = (
    '{"info": {"a": 1}, "timestamp": 1704110400000, "datetime": "2024-01-01T12:00:00Z", "symbol": "BTC/USDT:USDT",'
    ' "id": "7", "order": "o1", "type": "limit", "takerOrMaker": "Maker", "side": "sell",'
    ' "price": 64250.10, "amount": 1.0E-7, "cost": 1, "fee": {"cost": 0.10, "currency": "USDT"}, "venue": null}'
)
TRADE = {
    "symbol": "BTC/USDT:USDT",
    "side": "sell",
    "price": "64250.10",
    "quantity": "1.0E-7",
    "timestamp": NOON,
    "trade_id": "7",
    "order_id": "o1",
    "liquidity": "maker",
    "fee": "0.10",
    "fee_currency": "USDT",
}


@pytest.mark.parametrize("shape", ["[{0}]", "{0}", "{0}\n", "[\n {0}\n]\n", "\ufeff[{0}]"])
def test_json_keeps_numbers_as_written_and_knows_the_usual_exchange_record(tmp_path: Path, shape: str) -> None:
    assert only(written(tmp_path, "a.json", shape.replace("{0}", CCXT))) == TRADE


def test_json_over_many_lines_without_an_array_is_read(tmp_path: Path) -> None:
    pretty = json.dumps({"symbol": "A", "price": "1", "quantity": "2"}, indent=2)
    trades, bad, _ = read(written(tmp_path, "a.json", pretty + "\n" + pretty))
    assert (len(trades), bad) == (2, [])


def test_json_objects_of_many_chunks_are_read_without_loss(tmp_path: Path) -> None:
    objects = [
        {"symbol": "é" * (n % 50 + 1), "price": n + 1, "quantity": "1", "note": "x" * (n % 997)} for n in range(3000)
    ]
    for name, text in (("a.json", json.dumps(objects)), ("a.jsonl", "\n".join(map(json.dumps, objects)))):
        trades, bad, _ = read(written(tmp_path, name, text))
        assert bad == []
        assert [(t["symbol"], t["price"]) for t in trades] == [(o["symbol"], str(o["price"])) for o in objects]


def test_a_bad_line_of_json_is_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    good = '{"symbol": "A", "price": 1, "quantity": 1}'
    lines = [good, "{oops", "[1, 2]", '{"price": 1, "price": 2, "symbol": "A", "quantity": 1}', "", good, "[" * 100_000]
    trades, bad, _ = read(written(tmp_path, "a.jsonl", "\n".join(lines)))
    assert len(trades) == 2
    assert [row.number for row in bad] == [2, 3, 4, 7]


@pytest.mark.parametrize("tail", [", {oops}, {}]", "", ', {"symbol": "A"', "] trailing"])
def test_a_json_array_that_breaks_off_says_from_where_it_cannot_be_read(tmp_path: Path, tail: str) -> None:
    trades, bad, _ = read(written(tmp_path, "a.json", '[{"symbol": "A", "price": 1, "quantity": 1}' + tail))
    assert (len(trades), [(row.number, row.last) for row in bad]) == (1, [(2, True)])


def test_a_gzip_file_that_is_cut_off_says_from_where_it_cannot_be_read(tmp_path: Path) -> None:
    text = "symbol,price,qty\n" + "".join(f"A,{n},1\n" for n in range(50_000))
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(text.encode())[:-2000])
    trades, bad, _ = read(path)
    assert 0 < len(trades) < 50_000
    assert [(row.number, row.last) for row in bad] == [(len(trades) + 1, True)]


def test_rows_that_are_arrays_are_refused_one_by_one_not_guessed(tmp_path: Path) -> None:
    trades, bad, _ = read(written(tmp_path, "a.json", "[[1, 2], [3, 4]]"))
    assert (trades, len(bad)) == ([], 2)


def table() -> pa.Table:
    columns: dict[str, pa.Array[Any]] = {
        "symbol": pa.array(["A", "B", "A"]).dictionary_encode(),
        "price": pa.array([0.1, 1e-10, 23.0], pa.float64()),
        "qty": pa.array([0.1, 16777216.0, 3.0], pa.float32()),
        "timestamp": pa.array([NOON + 1, NOON + 2, None], pa.timestamp("ns")),
        "fee": pa.array([Decimal("0.10"), None, Decimal("-1.00")], pa.decimal128(10, 2)),
        "sent_at": pa.array([NOON // 1000, None, None], pa.timestamp("us", "Europe/Zurich")),
        "id": pa.array([2**62, None, 3], pa.int64()),
        "nested": pa.array([{"x": 1}, None, None]),
    }
    return pa.table(columns)


@pytest.mark.parametrize("name", ["a.parquet", "a.feather"])
def test_arrow_columns_of_every_usual_type_are_read_exactly(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("parquet"):
        pq.write_table(table(), path)
    else:
        feather.write_feather(table(), path)
    trades, bad, notices = read(path)
    assert bad == []
    first = {"symbol": "A", "price": "0.1", "quantity": "0.1", "timestamp": NOON + 1, "fee": "0.10"}
    assert trades[0] == {**first, "sent_at": NOON, "trade_id": str(2**62)}
    assert {name: Decimal(trades[1][name]) for name in ("price", "quantity")} == {
        "price": Decimal("1e-10"),
        "quantity": Decimal(16_777_216),
    }
    assert trades[2] == {"symbol": "A", "price": "23", "quantity": "3", "fee": "-1.00", "trade_id": "3"}
    assert f"{name}: ignored columns: 'nested'" in notices


def test_dates_and_nan_in_arrow_columns(tmp_path: Path) -> None:
    days = pa.array([19_723, 19_723], pa.date32())
    columns: dict[str, Any] = {"symbol": ["A", "A"], "price": [1.5, float("nan")], "size": [1, 1], "date": days}
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns), path)
    trades, bad, _ = read(path)
    assert [trade["timestamp"] for trade in trades] == [NOON - 43_200 * 10**9]
    assert [(row.number, row.field) for row in bad] == [(2, "price")]


def test_the_format_option_wins_over_what_the_file_looks_like(tmp_path: Path) -> None:
    path = written(tmp_path, "a.json", '{"symbol": "A", "price": 1, "quantity": 1}\n')
    assert only(path, format="jsonl") == only(path, format="json") == only(path)
    with pytest.raises(InvalidInput, match="--format"):
        read(path, format="xlsx")
