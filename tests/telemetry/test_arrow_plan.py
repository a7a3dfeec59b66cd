"""Plain Arrow streams are read in place by compiled code: what pyarrow reads of them, or nothing; and nowhere else."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from telemetry.arrow_plan import plan_of
from telemetry.compiled.cells import SIZE
from telemetry.decode import MAX_INSTRUMENTS, Batch, Decoder
from telemetry.decode_compiled import CompiledReading, available
from telemetry.digests import Digests
from telemetry.errors import InvalidInput
from telemetry.literals import Doubt
from tests.telemetry.arrow_bodies import bodies, mutated, stream
from tests.telemetry.bodies import NOW
from tests.telemetry.guarded import GuardedMemory
from tests.telemetry.readings import result

pytestmark = pytest.mark.skipif(not available(), reason="numba is not installed")
ROOT = Path(__file__).resolve().parents[2]
SEED = int(os.environ.get("SEED", "20261128"))
COMPILED, PLAIN = Decoder(compiled=True), Decoder(compiled=False)
KINDS: dict[str, pa.Array[Any]] = {
    "trade_id": pa.array(["t-1", "", None, "x" * 64]),
    "symbol": pa.array(["A", "B B", "A", "C"]).dictionary_encode(),
    "venue": pa.array(["X", None, "", "Y"]).cast(pa.dictionary(pa.uint8(), pa.large_string())),
    "currency": pa.array(["USD", "USD", None, "EUR"], pa.large_string()),
    "account": pa.array([None, None, "desk", ""]),
    "side": pa.array(["buy", "sell", "unknown", None]),
    "kind": pa.array(["print", None, None, "fill"]).dictionary_encode(),
    "action": pa.array(["new", None, "new", None]),
    "liquidity": pa.array(["maker", "", None, "taker"]),
    "price": pa.array([Decimal("-1.50"), Decimal("0.00"), Decimal("7.25"), Decimal("99.99")], pa.decimal128(38, 2)),
    "quantity": pa.array([0.1, 5.0, 1e-7, 123456.789]),
    "multiplier": pa.array([1, None, 50, 100], pa.uint16()),
    "fee": pa.array([None, 0.0, -0.25, 1e14]),
    "source_seq": pa.array([0, None, -5, 2**63 - 1]),
    "timestamp": pa.array([NOW, None, NOW + 1, NOW]).cast(pa.timestamp("ns", "UTC")),
    "sent_at": pa.array([1_790_000_000, None, -1, 0]).cast(pa.timestamp("s", "Europe/Berlin")),
    "order_sent_at": pa.array([NOW, None, 10**17, 2**63 - 1]),
}


def decided(body: bytes) -> Batch:
    batch = COMPILED.plain_arrow(body, NOW)
    assert batch is not None
    return batch


def is_doubted(table: pa.Table | dict[str, Any], **options: Any) -> bool:
    table = table if isinstance(table, pa.Table) else pa.table(table)
    return COMPILED.plain_arrow(stream(table, **options), NOW) is None


def with_(**columns: Any) -> dict[str, Any]:
    return {"symbol": ["A"], "quantity": [1], "price": [2]} | columns


# --- the same as pyarrow ----------------------------------------------------------------------------------------------


def test_every_kind_of_column_is_read_in_place_with_absent_values_too() -> None:
    body = stream(pa.table(KINDS))
    assert result(decided(body)) == result(PLAIN.decode(body, "arrow", NOW))


def plainest(table: pa.Table) -> pa.Table:
    """A table with those columns of this one that can be read in place."""
    count = table.num_rows
    kept: dict[str, Any] = {"symbol": pa.array(["A", "BC"] * count)[:count], "quantity": pa.array([1] * count)}
    kept["price"] = kept["quantity"]
    for name, column in zip(table.column_names, table.columns, strict=True):
        more = kept | {name: column.combine_chunks()}
        if not is_doubted(more):
            kept = more
    return pa.table(kept)


@pytest.mark.parametrize("block", range(8))
def test_what_is_read_in_place_is_what_pyarrow_reads(block: int) -> None:
    columns = 0
    for number in range(25):
        seed = SEED + 25 * block + number
        draw = random.Random(seed)
        table = plainest(bodies(draw, draw.choice((1, 2, 5, 20, 310)), bad=number % 4 == 0)[0])
        body = stream(table)
        assert result(decided(body)) == result(PLAIN.decode(body, "arrow", NOW)), f"seed {seed}"
        columns += table.num_columns - 3
    print(f"seed {SEED + 25 * block}, {columns} optional columns in place")
    assert columns >= 50


@pytest.mark.parametrize("instruments", [1, 3, 700])
def test_rows_of_many_instruments_are_told_apart_by_the_codes_of_all_that_makes_them(instruments: int) -> None:
    draw, count = random.Random(SEED + instruments), 5000

    def coded(*values: str | None) -> Any:
        return pa.array(draw.choices(values, k=count)).dictionary_encode()

    table = {
        "symbol": coded(*(f"S{number}" for number in range(instruments))),
        "venue": coded("", "X", "Y"),
        "currency": coded("USD", "EUR"),
        "account": coded("", "desk-1", "desk-2"),  # whose trades are fills where nothing else is said
        "side": coded("buy", "sell"),
        "price": [draw.choice((1.5, 2.25, 3.0, 1e-9)) for _ in range(count)],
        "quantity": pa.array([Decimal(draw.randrange(1, 100)) / 10 for _ in range(count)], pa.decimal128(18, 1)),
        "trade_id": [f"t-{number}" * (number % 3) for number in range(count)],
        "timestamp": pa.array(range(NOW, NOW + count)),
    }
    for kind in ({}, {"kind": coded("print", "fill")}, {"kind": coded("print", None)}):
        body = stream(pa.table(table | kind))
        batch = COMPILED.plain_arrow(body, NOW)
        assert batch is not None, SEED
        assert result(batch) == result(PLAIN.decode(body, "arrow", NOW)), SEED


def test_doubles_are_the_shortest_decimals_that_read_back() -> None:
    draw = random.Random(SEED)
    prices = [draw.randrange(-(10**15) + 1, 10**15) / 10 ** draw.randrange(0, 19) for _ in range(5000)]
    prices += [0.0, -0.0, 5e-18, 1e14, 999999999999999.0]
    body = stream(pa.table({"symbol": ["A"] * len(prices), "quantity": [1] * len(prices), "price": prices}))
    batch = COMPILED.plain_arrow(body, NOW)
    assert batch is not None, SEED
    assert result(batch) == result(PLAIN.decode(body, "arrow", NOW)), SEED


def test_a_gateway_does_not_load_pyarrow_for_a_plain_stream() -> None:
    program = f"""
import sys
from telemetry.decode import Decoder
decoder = Decoder(compiled=True)
print(decoder.decode(bytes.fromhex({stream(pa.table(KINDS)).hex()!r}), "arrow", 1).count, "pyarrow" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "4 False", done.stderr


# --- what is left to pyarrow ------------------------------------------------------------------------------------------

DOUBTED: dict[str, dict[str, Any]] = {
    "a text for a number": with_(price=["1.5"]),
    "not ASCII": with_(symbol=["トヨタ"]),
    "a control character": with_(account=["a\nb"]),
    "DEL": with_(account=["12345678\x7f"]),
    "a long text": with_(account=["x" * 65]),
    "an entry that is not plain": with_(account=pa.array(["é"]).dictionary_encode()),
    "no symbol": with_(symbol=[""]),
    "a blank at the end": with_(symbol=["A "]),
    "a quantity of nothing": with_(quantity=[0.0]),
    "a multiplier of nothing": with_(multiplier=[0]),
    "not a number": with_(price=[float("nan")]),
    "infinity": with_(price=[float("inf")]),
    "sixteen digits": with_(price=[0.1 + 0.2]),
    "half a number": with_(price=pa.array([1.5], pa.float32())),
    "nineteen digits": with_(price=[10**18]),
    "more than 64 bits": with_(price=pa.array([Decimal(2**64)], pa.decimal128(38, 0))),
    "decimals of 256 bits": with_(price=pa.array([Decimal(1)], pa.decimal256(50, 0))),
    "a price that is missing": with_(price=pa.array([None], pa.int64())),
    "a side that is not known": with_(side=["BUY"]),
    "no side": with_(side=[""]),
    "a kind that is not known": with_(kind=["filler"]),
    "another action": with_(action=["cancel"]),
    "a time without a zone": with_(timestamp=pa.array([NOW]).cast(pa.timestamp("ns"))),
    "a time of seconds": with_(timestamp=[1_790_000_000]),
    "a time out of range": with_(timestamp=pa.array([10**11]).cast(pa.timestamp("s", "UTC"))),
    "a number that means absence": with_(source_seq=[-(2**63)]),
    "a number beyond 63 bits": with_(source_seq=pa.array([2**63], pa.uint64())),
    "a number for a name": with_(trade_id=[7]),
    "another name": with_(notional=[7]),
    "tags": with_(tags=[{"a": "b"}]),
}


@pytest.mark.parametrize("what", DOUBTED)
def test_what_is_not_plain_or_breaks_a_rule_is_left_to_pyarrow(what: str) -> None:
    assert not is_doubted(with_())
    assert is_doubted(DOUBTED[what])


def test_compression_several_batches_and_names_that_come_twice_are_left_to_pyarrow() -> None:
    assert is_doubted(with_(), compression="lz4")
    assert is_doubted(pa.table(with_(symbol=["A"] * 4, quantity=[1] * 4, price=[1] * 4)), rows=2)
    assert is_doubted(pa.Table.from_arrays([pa.array([1])] * 2, names=["price", "price"]))
    assert is_doubted(pa.table(with_()).slice(0, 0))


def test_more_instruments_than_can_be_made_quickly_are_left_to_a_thread() -> None:
    for count in (MAX_INSTRUMENTS, MAX_INSTRUMENTS + 1):
        symbols = [f"S{number}" for number in range(count)]
        body = stream(pa.table({"symbol": symbols, "quantity": [1] * count, "price": [1] * count}))
        assert (COMPILED.plain_arrow(body, NOW, quickly=True) is not None) == (count <= MAX_INSTRUMENTS)
        assert decided(body).count == count


# --- damage -----------------------------------------------------------------------------------------------------------


def test_a_stream_that_was_cut_is_doubted_wherever_it_was_cut_and_with_more_behind_it() -> None:
    body = stream(pa.table(KINDS))
    for size in range(len(body)):
        with pytest.raises(Doubt):
            plan_of(body[:size])
    for more in (b"\0", body[-8:]):
        with pytest.raises(Doubt):
            plan_of(body + more)


def as_pyarrow_reads(body: bytes) -> object:
    """None when it finds damage in metadata of which plan_of does not look at all."""
    try:
        return result(PLAIN.decode(body, "arrow", NOW))
    except InvalidInput as error:
        return None if "Arrow IPC stream" in str(error) else error


def test_no_damage_makes_it_read_behind_the_end_or_take_what_pyarrow_does_not() -> None:
    print("seed", SEED)
    draw, reading, memory = random.Random(SEED), CompiledReading(Digests()), GuardedMemory()
    taken = 0
    for _ in range(60):
        table, _ = bodies(draw, draw.choice((1, 3, 17)), bad=False)
        whole = stream(pa.table(KINDS) if draw.random() < 0.5 else table)
        for _ in range(60):
            body = mutated(draw, whole)
            try:
                columns, keys = reading.arrow(body, NOW, text=memory.at_the_end(body))
            except Doubt:
                continue
            taken += 1
            found = result(Batch(None, columns, keys))
            assert found == as_pyarrow_reads(body) or as_pyarrow_reads(body) is None, f"seed {SEED}"
    assert taken >= 50


def test_offsets_and_indices_that_point_elsewhere_are_doubted() -> None:
    table = pa.table({"symbol": pa.array(["AB", "CD"] * 4).dictionary_encode(), "account": ["x", "yz"] * 4})
    table = table.append_column("quantity", pa.array([1] * 8)).append_column("price", pa.array([1] * 8))
    body = stream(table)
    plan = plan_of(body)
    places = {plan.columns[start] // 2: plan.columns[start + 2] for start in range(0, len(plan.columns), SIZE)}
    indices, offsets, entries = places[0], places[3], plan.dictionaries[0].offsets
    for place, value in ((indices, 2), (indices, -1), (offsets + 4, 99), (offsets + 4, -1), (entries + 4, 99)):
        damaged = bytearray(body)
        damaged[place : place + 4] = np.int32(value).tobytes()
        assert COMPILED.plain_arrow(bytes(damaged), NOW) is None
        with pytest.raises(InvalidInput):
            COMPILED.decode(bytes(damaged), "arrow", NOW)
