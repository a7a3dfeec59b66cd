"""Compiled code: digests, no byte read beyond a body, the cache, and doing without."""

from __future__ import annotations

import json
import mmap
import os
import random
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from telemetry.compiled import slots
from telemetry.decode_compiled import CompiledReading, available
from telemetry.decode_reference import Media
from telemetry.digests import Digests
from telemetry.frame import Array
from telemetry.trade import REQUIRED
from tests.telemetry.bodies import NOW
from tests.telemetry.guarded import GuardedMemory
from tests.telemetry.hostile import FIELDS, SYNTAX
from tests.telemetry.readings import FULL, MEDIA, agree, dumps

pytestmark = pytest.mark.skipif(not available(), reason="numba is not installed")
ROOT = Path(__file__).resolve().parents[2]
DIGESTS = Digests(b"a secret of test")


@pytest.fixture(scope="module")
def reading() -> CompiledReading:
    return CompiledReading(DIGESTS)


# --- digests ----------------------------------------------------------------------------------------------------------


def test_keys_of_the_shortest_and_the_longest_texts_equal_those_of_rows(reading: CompiledReading) -> None:
    texts = ("venue", "account", "order_id", "strategy", "ref_trade_id", "fee_currency", "source", "currency", "symbol")
    for size in range(1, 65):
        row = FULL | {name: chr(97 + place) * size for place, name in enumerate(texts)} | {"trade_id": "x" * size}
        for sent in (row, {name: row[name] for name in ("symbol", "quantity", "price", "trade_id")}):
            (trade,), keys = reading.rows(dumps(sent), "json", NOW)
            assert keys.digests.tobytes() == DIGESTS.key_digest(trade)
            assert int(keys.fingerprints[0]) == DIGESTS.fingerprint(trade, "timestamp" in sent)
            _, others = reading.columns(dumps([sent, FULL]), "json", NOW)
            assert others.digests[0].tolist() == keys.digests[0].tolist()
            assert others.fingerprints[0] == keys.fingerprints[0]


@pytest.mark.parametrize("count", [1, slots.BLOCK - 1, slots.BLOCK, slots.BLOCK + 1, 3 * slots.BLOCK + 7])
def test_the_keys_of_many_trades_that_have_any_fields_equal_those_of_rows(count: int) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    draw = random.Random(seed)
    share = draw.choice((0.0, 0.1, 0.5, 1.0))
    texts = ("account", "order_id", "trade_id", "strategy", "ref_trade_id", "fee_currency", "source", "symbol")

    def trade() -> dict[str, object]:
        drawn = {name: "".join(draw.choices("abc é", k=draw.randrange(1, 33))).strip() or "x" for name in texts}
        row = FULL | drawn | {"price": str(draw.randrange(-(10**9), 10**9)), "fee": draw.choice((None, "0", "-0.5"))}
        return {name: value for name, value in row.items() if name in REQUIRED or draw.random() < share}

    assert agree(CompiledReading(Digests()), dumps([trade() for _ in range(count)]), "json"), seed


# --- memory -----------------------------------------------------------------------------------------------------------


class Scan:
    """The compiled functions on bodies at the end of the memory."""

    def __init__(self) -> None:
        self._scanner = import_module("telemetry.compiled.scanner")
        self._padding = bytes(import_module("telemetry.compiled.tokens").PADDING)
        self._words = np.concatenate((DIGESTS.key.table.ravel(), DIGESTS.payload.table.ravel()))
        self._memory = GuardedMemory()

    def __call__(self, body: bytes, media: Media) -> int:
        most = body.count(b"{") + 1
        text = self._memory.at_the_end(body + self._padding)
        rows = np.empty(most * slots.COUNT + slots.FOLLOWS, np.int64)
        digests = np.empty(slots.DIGESTS * most + slots.SUMS, np.uint64)
        count: int = self._scanner.scan_rows(text, len(body), int(media == "lines"), self._words, most, rows, digests)
        assert count == self._columns(text, len(body), media, most)
        return count

    def _columns(self, text: Array, size: int, media: Media, most: int) -> int:
        integers = np.empty(slots.RESULT + slots.FOLLOWS + slots.INTEGERS * most, np.int64)
        indices, small = np.empty(slots.INDICES * most, np.uint32), np.empty(slots.SMALL * most, np.uint8)
        count: int = self._scanner.scan_columns(
            *(text, 0, size, int(media == "lines"), 0, most, most, most),
            *(integers, indices, small),
        )
        return count


@pytest.fixture(scope="module")
def scan() -> Scan:
    return Scan()


@pytest.mark.parametrize("media", MEDIA)
def test_a_body_that_ends_anywhere_is_doubted_and_nothing_behind_it_is_read(scan: Scan, media: Media) -> None:
    rows = [dumps(FULL), dumps(FULL | {"symbol": "トヨタ", "trade_id": 12345, "price": "1.25e-7"})]
    body = b"\n".join(rows) if media == "lines" else dumps([FULL, json.loads(rows[1])])
    assert scan(body, media) == 2
    for size in range(len(body)):
        assert scan(body[:size], media) == (1 if media == "lines" and size in (len(rows[0]), len(rows[0]) + 1) else -1)


def test_hostile_bodies_and_their_beginnings_never_make_it_read_behind_the_end(scan: Scan) -> None:
    for body in (*(body for body, _, _ in FIELDS), *SYNTAX):
        if len(body) < 3 * mmap.PAGESIZE:
            for size in range(max(0, len(body) - 80), len(body) + 1):
                scan(body[:size], "json")
                scan(body[:size], "lines")


_DAMAGE = b'"\\{}[],:0123456789eE+-. \n\r\x00\x7f\xc2\x85\xffTZ'


def test_random_damage_never_makes_it_read_behind_the_end_and_what_is_read_is_what_the_reference_reads(
    scan: Scan,
) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    source, reading = random.Random(seed), CompiledReading(Digests())
    body, read = dumps([FULL, FULL | {"trade_id": "t-2"}]), 0
    for _ in range(3000):
        damaged = bytearray(body[: source.randrange(1, len(body))] if source.random() < 0.2 else body)
        for _ in range(source.randrange(1, 4)):
            damaged[source.randrange(len(damaged))] = source.choice(_DAMAGE)
        if scan(bytes(damaged), "json") != -1:
            agreed = agree(reading, bytes(damaged), "json")
            assert agreed or not damaged.isascii()
            read += agreed
    assert read > 50


@pytest.mark.long
def test_with_bounds_checked_nothing_is_out_of_bounds_and_the_results_are_the_same() -> None:
    program = """
from telemetry.compiled.compiler import IS_CHECKED
from telemetry.decode_compiled import CompiledReading
from telemetry.digests import Digests
from tests.telemetry import readings as t
from tests.telemetry.hostile import FIELDS, SYNTAX
assert IS_CHECKED
reading = CompiledReading(Digests())
for body in (*(body for body, _, _ in FIELDS), *SYNTAX, t.dumps(t.some(50)), t.dumps(t.FULL)):
    for size in range(max(0, len(body) - 200), len(body) + 1):
        for media in t.MEDIA:
            t.agree(reading, body[:size], media)
assert t.agree(reading, t.dumps(t.some(50)), "json")
import contextlib, random
from telemetry.literals import Doubt
from tests.telemetry import test_arrow_plan as a
draw, body = random.Random(20261128), a.stream(a.pa.table(a.KINDS))
assert len(reading.arrow(body, 1)[0]) == 4
for _ in range(3000):
    with contextlib.suppress(Doubt):
        reading.arrow(a.mutated(draw, body), 1)
"""
    run(program, NUMBA_BOUNDSCHECK="1")


@pytest.mark.long
def test_with_bounds_checked_analysis_merging_and_looks_at_single_trades_stay_within_them() -> None:
    program = """
import random
from telemetry.compiled.compiler import IS_CHECKED
from tests.gateway import test_partitions as deliveries, test_rings as looks
assert IS_CHECKED
for seed in range(200):
    deliveries.delivered(random.Random(seed), deliveries.journal(seed % 50))
for instruments in (1, 20, 2000):
    looks.test_a_compiled_look_finds_the_trades_that_the_reference_finds(instruments)
"""
    run(program, NUMBA_BOUNDSCHECK="1")


# --- where numba is not there, or its cache ---------------------------------------------------------------------------


def run(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_without_numba_bodies_are_read_the_other_ways() -> None:
    program = """
import sys
sys.modules["numba"] = None  # as if it were not installed
from telemetry.decode import Decoder
from telemetry.decode_compiled import available
assert not available()
print(Decoder(compiled=available()).decode(b'{"symbol":"A","quantity":1,"price":2}', "json", 1).count)
"""
    assert run(program) == "1"


def test_compiled_code_is_read_without_numba() -> None:
    program = """
import sys
from gateway.keys import compiled_slots
from gateway.state.merging import CompiledMerging
from telemetry.decode import Decoder
CompiledMerging()
compiled_slots()
assert Decoder(compiled=True).decode(b'{"symbol":"A","quantity":1,"price":2}', "json", 1).count == 1
print(sorted({"numba", "llvmlite"} & set(sys.modules)))
"""
    assert run(program) == "[]"


@pytest.mark.long
def test_without_a_library_numba_compiles_in_the_process_with_the_same_results() -> None:
    program = """
import sys
from telemetry.compiled import library
library._MACHINES = ()
from telemetry.compiled.compiler import IN_PROCESS
from telemetry.decode_compiled import CompiledReading
from telemetry.digests import Digests
from tests.telemetry import readings as t
assert IN_PROCESS
assert t.agree(CompiledReading(Digests()), t.dumps(t.some(50)), "json")
print("numba" in sys.modules)
"""
    assert run(program) == "True"


def test_the_cache_is_private_named_after_the_sources_and_left_out_where_nothing_can_be_written(tmp_path: Path) -> None:
    program = "from telemetry.compiled.library import cache_directory\nprint(cache_directory())"
    where = run(program, NUMBA_CACHE_DIR=str(tmp_path))
    assert Path(where).parent == tmp_path / "trading-telemetry"
    assert Path(where).stat().st_mode & 0o777 == 0o700
    assert run(program, NUMBA_CACHE_DIR="", XDG_CACHE_HOME=str(tmp_path)) == where
    assert run(program, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_BOUNDSCHECK="1") != where
    occupied = tmp_path / "file"
    occupied.touch()
    assert run(program, NUMBA_CACHE_DIR=str(occupied)) == "None"
