"""Arrow bodies mean what the same trades mean as JSON, whatever the types of the columns, and nothing does harm."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from telemetry.arrow_columns import read_columns
from telemetry.arrow_stream import read_batches
from telemetry.decode import Batch, decode_body, decode_by_reference
from telemetry.decode_reference import MAX_TRADES
from telemetry.errors import InvalidInput
from telemetry.literals import Doubt
from tests.telemetry.arrow_bodies import bodies, stream
from tests.telemetry.bodies import NOW, dumps
from tests.telemetry.readings import result

ROOT = Path(__file__).resolve().parents[2]
SEED = int(os.environ.get("SEED", "20261122"))
FUZZ_SECONDS = 60
AWARE, NAIVE = pa.timestamp("us", "Europe/Berlin"), pa.timestamp("us")
EIGHT = {
    "trade_id": pa.array(["t-1", "t-2"]),
    "symbol": pa.array(["BTC-USDT", "トヨタ"]).dictionary_encode(),
    "venue": pa.array(["X", None]).dictionary_encode(),
    "account": pa.array(["desk", ""]).dictionary_encode(),
    "side": pa.array(["buy", "sell"]).dictionary_encode(),
    "price": pa.array([Decimal("64250.10"), Decimal("-1.00")], pa.decimal128(18, 2)),
    "quantity": pa.array([Decimal("0.01500"), Decimal("7.00000")], pa.decimal128(38, 18)),
    "timestamp": pa.array([NOW, NOW + 1]).cast(pa.timestamp("ns", "UTC")),
}


def outcome(read: Callable[[], Batch]) -> object:
    try:
        return result(read())
    except InvalidInput as error:
        return error.problem, error.detail, error.errors


def refused(columns: dict[str, Any] | pa.Table) -> InvalidInput:
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    with pytest.raises(InvalidInput) as caught:
        decode_body(stream(table), "arrow", NOW)
    return caught.value


def field_of(name: str, array: Any) -> tuple[str, str]:
    """What is wrong with one trade that has this value in this field."""
    [error] = refused({"symbol": ["A"], "quantity": ["1"], "price": ["2"], name: array}).errors
    assert (error["index"], error["field"]) == (0, name)
    return error["detail"], error["received"]


# --- the same as JSON ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", range(8))
def test_any_trades_give_the_same_columns_and_keys_or_the_same_errors_as_json(block: int) -> None:
    fast = 0
    for number in range(50):
        seed = SEED + 50 * block + number
        draw = random.Random(seed)
        table, text = bodies(draw, draw.choice((1, 2, 5, 20, 20, 310)), bad=number % 2 == 0)
        body = stream(table, draw.choice((None, 3)))
        expected = outcome(lambda text=text: decode_by_reference(text, "json", NOW))  # type: ignore[misc]
        assert outcome(lambda body=body: decode_body(body, "arrow", NOW)) == expected, f"seed {seed}"  # type: ignore[misc]
        fast += is_sure(body)
    print(f"seed {SEED + 50 * block}, {fast} of 50 by columns")
    assert fast >= 15


def is_sure(body: bytes) -> bool:
    try:
        for batch in read_batches(body):
            read_columns(batch, NOW)
    except Doubt:
        return False
    return True


def test_the_usual_types_are_read_by_columns() -> None:
    body = stream(pa.table(EIGHT))
    assert is_sure(body)
    first, second = decode_body(body, "arrow", NOW).as_columns().trades()
    assert (first.symbol, first.venue, first.kind, first.account) == ("BTC-USDT", "X", "fill", "desk")
    assert (first.price, first.price_scale, first.quantity, first.quantity_scale) == (642501, 1, 15, 3)
    assert (second.symbol, second.venue, second.kind, second.side) == ("トヨタ", "", "print", 2)
    assert (second.price, second.price_scale, second.quantity, second.timestamp) == (-1, 0, 7, NOW + 1)


def test_doubles_become_the_shortest_decimal_that_reads_back() -> None:
    prices = [64250.1, 0.1 + 0.2, 1e17, 5e-17, 7.0, 123456789.12345678, 2**53 + 2.0]
    body = stream(pa.table({"symbol": ["A"] * 7, "quantity": [1.5] * 7, "price": prices}))
    assert is_sure(body)
    text = dumps([{"symbol": "A", "quantity": 1.5, "price": price} for price in prices])
    assert result(decode_body(body, "arrow", NOW)) == result(decode_by_reference(text, "json", NOW))


def test_one_odd_row_among_many_does_not_send_all_of_them_the_slow_way_and_is_named_by_its_place_in_the_stream() -> (
    None
):
    count = 2_000
    quantities = ["1.5"] * count
    quantities[1_234] = "5 "
    table = pa.table({"symbol": ["A"] * count, "quantity": quantities, "price": [2] * count})
    [error] = refused(pa.concat_tables([table.slice(0, 700), table.slice(700)])).errors
    assert (error["index"], error["field"], error["received"]) == (1_234, "quantity", "5 ")


def test_a_batch_that_begins_in_the_middle_of_its_buffers_is_read_from_there() -> None:
    table = pa.table(EIGHT)
    [whole] = read_batches(stream(pa.concat_tables([table] * 3)))
    columns, _ = read_columns(whole.slice(3, 2), NOW)
    assert [trade.symbol for trade in columns.trades()] == ["トヨタ", "BTC-USDT"]
    assert columns.timestamp.tolist() == [NOW + 1, NOW]


def test_dictionaries_may_differ_from_batch_to_batch_and_have_entries_twice_or_unused() -> None:
    first = pa.DictionaryArray.from_arrays(pa.array([0, 2, 1], pa.int8()), pa.array(["A", "B", "A", "x" * 100_000]))
    second = pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.int8()), pa.array(["C", None, " bad\n"]))
    parts = [
        pa.table({"symbol": ["S", "S", "S"], "quantity": [1, 1, 1], "price": [2, 2, 2], "venue": part})
        for part in (first, second)
    ]
    columns = decode_body(stream(pa.concat_tables(parts)), "arrow", NOW).as_columns()
    assert [trade.venue for trade in columns.trades()] == ["A", "A", "B", "", "", "C"]
    assert [entry.venue for entry in columns.instruments] == ["A", "B", "", "C"]


def test_no_rows_are_no_trade() -> None:
    empty = pa.table(EIGHT).slice(0, 0)
    expected = outcome(lambda: decode_by_reference(b"[]", "json", NOW))
    assert outcome(lambda: decode_body(stream(empty), "arrow", NOW)) == expected
    sink = pa.BufferOutputStream()
    pa.ipc.new_stream(sink, empty.schema).close()
    assert outcome(lambda: decode_body(sink.getvalue().to_pybytes(), "arrow", NOW)) == expected


# --- what is refused -------------------------------------------------------------------------------------------------


def test_what_json_cannot_have_is_refused_by_field_and_type() -> None:
    assert field_of("timestamp", pa.array([NOW // 1000]).cast(NAIVE))[0].startswith("expected an offset")
    assert field_of("timestamp", pa.array([300 * 366 * 86_400]).cast(pa.timestamp("s", "UTC")))[0].startswith(
        "expected a time between"
    )
    assert "ns since 1970" in field_of("sent_at", pa.array([2**62]).cast(pa.timestamp("s", "UTC")))[1]
    assert field_of("timestamp", pa.array([20_000], pa.int32()).cast(pa.date32()))[1] == "date32[day]"
    assert field_of("venue", pa.array([b"x"]))[1] == "binary"
    assert field_of("price", pa.array([True]))[1] == "true"
    assert field_of("price", pa.array([float("nan")]))[1] == "NaN"
    assert field_of("venue", pa.array([["x"]]))[1] == "an array"
    assert field_of("tags", pa.array([{"a": 1}]))[1] == "an object"
    assert field_of("notional", pa.array([5]))[0] == "unknown field"
    assert field_of("symbol", pa.nulls(1))[1] == "null"


def test_a_column_that_comes_twice_or_is_missing_is_named() -> None:
    arrays: list[pa.Array[Any]] = [pa.array(["A"]), pa.array([1]), pa.array([2]), pa.array([3])]
    twice = refused(pa.Table.from_arrays(arrays, ["symbol", "quantity", "price", "price"]))
    assert [(e["field"], e["received"]) for e in twice.errors] == [("price", "2 and 3")]
    missing = refused(pa.Table.from_arrays(arrays[:2], ["symbol", "quantity"]))
    assert [(e["field"], e["received"]) for e in missing.errors] == [("price", "nothing")]


def test_a_tag_that_comes_twice_is_refused_and_absent_fields_of_a_struct_are_not_given() -> None:
    kind = pa.map_(pa.string(), pa.string())
    fields: dict[str, Any] = {"symbol": ["A"], "quantity": [1], "price": [2]}
    errors = refused({**fields, "tags": pa.array([[("a", "b"), ("a", "c")]], kind)}).errors
    assert [error["field"] for error in errors] == ["tags.a"]
    tags = pa.array([{"a": "b", "c": None}], pa.struct([("a", pa.string()), ("c", pa.string())]))
    columns = decode_body(stream(pa.table({**fields, "tags": tags})), "arrow", NOW).as_columns()
    assert columns.trades()[0].tags == '{"a":"b"}'


def test_more_trades_than_allowed_are_413_before_they_are_looked_at() -> None:
    nothing = pa.table({"symbol": pa.nulls(MAX_TRADES + 1)})
    assert refused(nothing).problem == "too-large"
    assert decode_error(stream(pa.concat_tables([nothing.slice(1)] * 2), 10_000)).problem == "too-large"


def decode_error(body: bytes) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        decode_body(body, "arrow", NOW)
    return caught.value


# --- what would be dear, or is no stream -----------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_compressed_buffers_are_refused_before_they_are_expanded(codec: str) -> None:
    bomb = pa.table({"symbol": ["A" * (64 << 20)], "quantity": [1], "price": [2]})
    body = stream(bomb, compression=codec)
    assert len(body) < 1 << 20
    error = decode_error(body)
    assert error.problem == "not-parsable"
    assert "compression" in error.detail


def test_a_stream_that_was_cut_or_has_something_behind_it_is_400_wherever_it_was_cut() -> None:
    body = stream(pa.table(EIGHT), 1)
    for end in range(0, len(body), 4):
        assert decode_error(body[:end]).problem == "not-parsable"
    assert decode_error(body + b"\0").problem == "not-parsable"
    assert decode_error(body + body).problem == "not-parsable"
    assert decode_error(b'[{"symbol":"A"}]').problem == "not-parsable"


def test_thousands_of_columns_batches_and_dictionaries_that_are_used_again_and_again_are_refused() -> None:
    columns = {f"c{number}": [1] for number in range(2_000)}
    assert "columns" in decode_error(stream(pa.table(columns))).detail
    inside = pa.struct([(f"c{number}", pa.null()) for number in range(2_000)])
    assert "columns" in decode_error(stream(pa.table({"tags": pa.nulls(1, inside)}))).detail
    rows = pa.table({"symbol": ["A"] * 1_001, "quantity": [1] * 1_001, "price": [2] * 1_001})
    assert "record batches" in decode_error(stream(rows, 1)).detail
    large = pa.DictionaryArray.from_arrays(pa.array([0] * 900), pa.array(["x" * 1_000_000]))
    assert "dictionaries" in decode_error(stream(pa.table({"symbol": large}), 1)).detail


def test_a_long_dictionary_entry_that_all_rows_use_is_not_copied_for_each_of_them() -> None:
    count = 20_000
    long = pa.DictionaryArray.from_arrays(pa.array([0] * count), pa.array(["x" * (8 << 20)]))
    error = refused({"symbol": ["A"] * count, "quantity": [1] * count, "price": [2] * count, "venue": long})
    assert error.errors[0]["field"] == "venue"
    assert len(error.errors) == 100


def test_delta_dictionaries_are_refused() -> None:
    first = pa.DictionaryArray.from_arrays(pa.array([0]), pa.array(["A"]))
    second = pa.DictionaryArray.from_arrays(pa.array([1]), pa.array(["A", "B"]))
    table = pa.Table.from_arrays([pa.chunked_array([first, second])], ["symbol"])
    assert "delta" in decode_error(stream(table, emit_dictionary_deltas=True)).detail


def test_columns_that_share_their_bytes_are_refused() -> None:
    table = pa.table({"price": pa.array([1] * 100), "quantity": pa.array([2] * 100)})
    body = stream(table)
    place = body.rindex(struct.pack("<qq", 800, 0))  # validity of the second column, before its values
    assert body[place + 16 : place + 32] == struct.pack("<qq", 800, 800)
    assert decode_error(body[: place + 16] + struct.pack("<qq", 0, 1600) + body[place + 32 :]).problem == "not-parsable"


def test_wrong_offsets_indices_and_bytes_that_are_no_text_are_400() -> None:
    good = stream(pa.table({"symbol": ["AAAA", "BBBB"], "quantity": [1, 1], "price": [2, 2]}))
    offsets = struct.pack("<iii", 0, 4, 8)
    for wrong in ((0, 9, 8), (0, 4, 2**31 - 1), (-4, 4, 8), (0, -1, 8)):
        assert decode_error(good.replace(offsets, struct.pack("<iii", *wrong))).problem == "not-parsable"
    for text in (b"AA\xff\xffBBBB", b"AAA\xc3\xa9BBB", b"\xed\xa0\x80ABBBB"):  # the second: cut in the middle
        assert decode_error(good.replace(b"AAAABBBB", text)).problem == "not-parsable"
    coded = stream(pa.table({"symbol": pa.array(["A", "B"] * 8).dictionary_encode(), "price": [2] * 16}))
    indices = struct.pack("<ii", 0, 1) * 8
    assert decode_error(coded.replace(indices, struct.pack("<ii", 0, 2) * 8)).problem == "not-parsable"
    assert decode_error(coded.replace(indices, struct.pack("<ii", -1, 0) * 8)).problem == "not-parsable"


FUZZ = """
import random, resource, sys
from telemetry.decode import Decoder
from telemetry.decode_compiled import available
from telemetry.errors import InvalidInput
from tests.telemetry.arrow_bodies import bodies, mutated, stream
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
seed, refused, decoder = int(sys.argv[1]), 0, Decoder(compiled=available())
for number in range(60):
    draw = random.Random(seed + number)
    table, _ = bodies(draw, draw.choice((1, 5, 20)), bad=number % 4 == 0)
    body = stream(table, draw.choice((None, 3)))
    for _ in range(25):
        try:
            decoder.decode(mutated(draw, body), "arrow", 10**18)
        except InvalidInput:
            refused += 1
print("refused", refused)
"""


def test_no_mutation_of_a_stream_crashes_the_process_or_takes_much_memory_or_time() -> None:
    seed = random.randrange(2**31)
    print(f"seed {seed}")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FUZZ, str(seed)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=FUZZ_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"seed {seed}: {done.stderr[-2000:]}"
    assert done.stdout.startswith("refused ")
