"""The compiled reading: what the reference gives, or Doubt; never a byte beyond the body."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from telemetry.columns import encode_frame
from telemetry.compiled import slots
from telemetry.decode import Batch, Decoder, decode_body, decode_by_reference
from telemetry.decode_compiled import CompiledReading, available
from telemetry.decode_fast import decode_columns
from telemetry.decode_reference import Media
from telemetry.digests import fingerprint, key_digest
from telemetry.errors import InvalidInput
from telemetry.frame import Array
from telemetry.literals import Doubt
from tests.telemetry.bodies import NOW, bodies, mutated_bodies
from tests.telemetry.hostile import FIELDS, GOOD, SYNTAX

pytestmark = pytest.mark.skipif(not available(), reason="numba is not installed")
ROOT = Path(__file__).resolve().parents[2]
MEDIA: tuple[Media, ...] = ("json", "lines")
generated = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))

FULL: dict[str, Any] = {
    "symbol": "BTC/USDT:USDT",
    "side": "sell",
    "kind": "fill",
    "quantity": "0.01500",
    "price": "-64250.10",
    "multiplier": "0.10",
    "timestamp": "2026-11-22T13:00:00.123456789Z",
    "trade_id": "t-1",
    "action": "new",
    "ref_trade_id": "t-0",
    "venue": "binance",
    "account": "desk-1",
    "strategy": "mm",
    "order_id": "o-77",
    "currency": "USDT",
    "liquidity": "maker",
    "fee": "-0.0001",
    "fee_currency": "BNB",
    "source": "feed",
    "source_seq": 17,
    "sent_at": 1_795_352_400_123_456_789,
    "order_sent_at": "2026-11-22 14:30:00.5+01:30",
}


@pytest.fixture(scope="module")
def reading() -> CompiledReading:
    return CompiledReading()


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(compiled=True)


def result(batch: Batch) -> tuple[object, ...]:
    keys = batch.keys
    return encode_frame(batch.as_columns()), keys.given.tolist(), keys.digests.tolist(), keys.fingerprints.tolist()


def compiled(reading: CompiledReading, body: bytes, media: Media) -> tuple[object, ...]:
    """What both forms of the reading give, after they were seen to be the same. Raises Doubt."""
    columns, keys = reading.columns(body, media, NOW)
    trades, row_keys = reading.rows(body, media, NOW)
    by_columns = result(Batch(None, columns, keys))
    assert by_columns == result(Batch(trades, None, row_keys))
    return by_columns


def is_doubted(reading: CompiledReading, body: bytes, media: Media) -> bool:
    try:
        reading.columns(body, media, NOW)
    except Doubt:
        with pytest.raises(Doubt):
            reading.rows(body, media, NOW)
        return True
    return False


def agree(reading: CompiledReading, body: bytes, media: Media) -> bool:
    """Whether the compiled reading decided; then the others must have decided the same."""
    if is_doubted(reading, body, media):
        return False
    assert compiled(reading, body, media) == result(decode_by_reference(body, media, NOW))
    return True


def outcome(read: Callable[[bytes, Media, int], Batch], body: bytes, media: Media) -> object:
    try:
        return result(read(body, media, NOW))
    except InvalidInput as error:
        return error.problem, error.detail, error.errors


def dumps(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def some(count: int) -> list[dict[str, Any]]:
    """Trades of which no two have the same fields."""
    rows = []
    for number in range(count):
        names = [name for place, name in enumerate(FULL) if name in ("symbol", "quantity", "price") or number >> place]
        row = {name: FULL[name] for name in names}
        rows.append(row | {"symbol": f"S{number % 7}", "trade_id": f"t{number}"})
    return rows


# --- the same as the others -------------------------------------------------------------------------------------------


@generated
@given(bodies())
def test_it_gives_what_the_reference_gives_or_doubts(body_and_media: tuple[bytes, Media]) -> None:
    agree(READING(), *body_and_media)


@generated
@given(mutated_bodies())
def test_no_mutation_makes_it_accept_what_the_reference_refuses(body_and_media: tuple[bytes, Media]) -> None:
    agree(READING(), *body_and_media)


_kept: list[CompiledReading] = []


def READING() -> CompiledReading:  # noqa: N802 - Hypothesis allows no fixtures that live longer than an example
    if not _kept:
        _kept.append(CompiledReading())
    return _kept[0]


@pytest.mark.parametrize("name", FULL)
def test_every_field_is_read_without_a_doubt_also_as_null_and_when_it_is_missing(
    reading: CompiledReading, name: str
) -> None:
    assert agree(reading, dumps([FULL]), "json")
    rest = {key: value for key, value in FULL.items() if key != name}
    is_required = name in ("symbol", "quantity", "price")
    assert agree(reading, dumps([rest, rest]), "json") is not is_required
    assert agree(reading, dumps(FULL | {name: None}), "lines") is not is_required
    assert agree(reading, dumps([FULL, {name: FULL[name]} | rest, FULL]), "json")  # another order


USUAL: list[tuple[str, list[bytes]]] = [
    (
        "price",
        [
            b"0",
            b"-0",
            b"1",
            b'"1"',
            b"-37.63",
            b"0.10",
            b"100",
            b"1e-5",
            b'"2.50E+2"',
            b"1e17",
            b"0e7",
            b"0.000",
            b"-0.5e1",
        ]
        + [b"999999999999999999", b"0.123456789012345678", b"123456789.123456789", b"1.5e-17"],
    ),
    ("timestamp", [b"100000000000000000", b"9223372036854775807", b"1795352400000000000"]),
    (
        "timestamp",
        [
            b'"%s"' % text
            for text in (b"2026-11-22T13:00:00Z", b"2024-02-29t23:59:59.1z", b"2000-02-29 00:00:00.123456789-23:59")
            + (b"1678-01-01T00:00:00+23:59", b"2261-12-31T23:59:59.999999999-23:59", b"1970-01-01T00:00:00.10Z")
        ],
    ),
    ("trade_id", [b"0", b"-5", b"7" * 64, b"-" + b"7" * 63, b'""', b'"%s"' % (b"t" * 64), '"ü"'.encode()]),
    ("source_seq", [b"0", b"-0", b"-5", b"999999999999999999"]),
    ("symbol", ['"トヨタ"'.encode(), b'"ES.c.0"', b'"%s"' % (b"s" * 64), b'"a b"', '"é"'.encode()]),
    ("account", [b'""', '"Zürich"'.encode(), b'" a "', b'"{[]},:"']),
    ("liquidity", [b'""', b'"maker"', b'"taker"', b'"auction"']),
    ("side", [b'"buy"', b'"sell"', b'"unknown"']),
    ("kind", [b'"fill"', b'"print"']),
]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in USUAL for value in values])
def test_usual_values_raise_no_doubt(reading: CompiledReading, name: str, value: bytes) -> None:
    fields = {"symbol": b'"A"', "quantity": b'"1"', "price": b'"2"'} | {name: value}
    body = b"{" + b",".join(b'"%b":%b' % (key.encode(), text) for key, text in fields.items()) + b"}"
    for media in MEDIA:
        assert agree(reading, body, media)


LAYOUTS = [
    (b"[%b]", b",", "json"),
    (b" \r\n[ %b\t]\n ", b" ,\n", "json"),
    (b"%b", b"\n", "lines"),
    (b"\n \r\n%b \r\n\n", b" \r\n\t\n ", "lines"),
]


@pytest.mark.parametrize(("around", "between", "media"), LAYOUTS)
def test_white_space_between_trades_and_inside_them_raises_no_doubt(
    reading: CompiledReading, around: bytes, between: bytes, media: Media
) -> None:
    rows = [json.dumps(row, separators=(" , ", " : ")).encode() for row in some(9)]
    assert agree(reading, around % between.join(rows), media)


DOUBTED = [
    b'{"symbol":"\\u0041","quantity":1,"price":1}',
    b'{"symbol":"A","quantity":1,"price":1,"tags":{"a":"b"}}',
    b'{"symbol":"A","quantity":1234567890123456789,"price":1}',
    b'{"symbol":"A","quantity":1,"price":1,"timestamp":"1677-12-31T00:00:00Z"}',
    b'{"symbol":"A","quantity":1,"price":1,"side":"\x00"}',
    '{"symbol":"A\u00a0","quantity":1,"price":1}'.encode(),
    '{"symbol":"A","quantity":1,"price":1,"account":"\u0085"}'.encode(),
    b'{"symbol":"A","quantity":1,"price":1,"account":"\xe9"}',
    b'{"symbol":"A","quantity":1,"price":1}\r{"symbol":"A","quantity":1,"price":1}',
    b'{"symbol":"A","quantity":1,\n"price":1}',
    b'{"symbol":"A","quantity":1,"price":1}\x00',
    b"",
    b"\n",
]


@pytest.mark.parametrize("body", DOUBTED)
def test_what_is_not_certain_is_doubted(reading: CompiledReading, body: bytes) -> None:
    assert is_doubted(reading, body, "lines")


def test_more_than_fifty_thousand_trades_are_doubted_and_as_many_are_not(reading: CompiledReading) -> None:
    columns, keys = reading.columns(b"[" + b",".join([GOOD] * 50_000) + b"]", "json", NOW)
    assert len(columns) == 50_000
    assert not keys.given.any()
    with pytest.raises(Doubt):
        reading.columns(b"[" + b",".join([GOOD] * 50_001) + b"]", "json", NOW)


def test_many_instruments_get_their_codes_in_order_of_first_appearance(reading: CompiledReading) -> None:
    rows = [FULL | {"symbol": f"S{number * 7919 % 3000}", "multiplier": number % 3 + 1} for number in range(6000)]
    columns, _ = reading.columns(dumps(rows), "json", NOW)
    plain, _ = decode_columns(dumps(rows), "json", NOW)
    assert columns.instruments == plain.instruments
    assert encode_frame(columns) == encode_frame(plain)


# --- in the place where it is used ------------------------------------------------------------------------------------


@pytest.mark.parametrize("media", MEDIA)
def test_bodies_of_any_size_have_the_outcome_of_the_reference(decoder: Decoder, media: Media) -> None:
    for count in (1, 2, 9, 10, 60, 400):
        rows = some(count)
        for odd in ({}, {"strategy": "a\\b"}, {"tags": {"k": "v"}}, {"price": "x"}):
            rows[count // 2] = rows[count // 2] | odd
            body = b"\n".join(map(dumps, rows)) if media == "lines" else dumps(rows)
            assert outcome(decoder.decode, body, media) == outcome(decode_by_reference, body, media)


@pytest.mark.parametrize("filling", [0, 3, 80])
def test_hostile_bodies_are_refused_in_the_words_of_the_reference(decoder: Decoder, filling: int) -> None:
    rows = [dumps(row) for row in some(filling)]
    for body in (*(body for body, _, _ in FIELDS), *SYNTAX):
        for media, join in (("json", lambda parts: b"[" + b",".join(parts) + b"]"), ("lines", b"\n".join)):
            whole = join([*rows, body, *rows])
            assert outcome(decoder.decode, whole, media) == outcome(decode_body, whole, media)  # type: ignore[arg-type]


@generated
@given(mutated_bodies())
def test_a_mutated_body_has_the_outcome_of_the_reference(body_and_media: tuple[bytes, Media]) -> None:
    body, media = body_and_media
    batch = Decoder(compiled=True).decode  # costs nothing but the first time
    assert outcome(batch, body, media) == outcome(decode_by_reference, body, media)


def test_two_threads_decode_at_once(reading: CompiledReading) -> None:
    wholes = [dumps([row | {"account": str(thread)} for row in some(2000)]) for thread in range(2)]
    expected = [result(Batch(None, *reading.columns(body, "json", NOW))) for body in wholes]

    def often(thread: int) -> bool:
        return all(
            result(Batch(None, *reading.columns(wholes[thread], "json", NOW))) == expected[thread] for _ in range(20)
        )

    with ThreadPoolExecutor(2) as threads:
        assert all(threads.map(often, range(2)))


def test_nothing_can_be_compiled_after_the_start(reading: CompiledReading) -> None:
    scanner = import_module("telemetry.compiled.scanner")
    for function in (scanner.scan_rows, scanner.scan_columns, scanner.gather):
        assert len(function.signatures) == 1
        with pytest.raises(TypeError, match="No matching definition"):
            function("text")


# --- digests ----------------------------------------------------------------------------------------------------------


def test_blake2b_equals_that_of_the_standard_library_for_all_lengths_also_at_the_borders_of_blocks() -> None:
    compiler, blake2 = import_module("telemetry.compiled.compiler"), import_module("telemetry.compiled.blake2")
    hash_words = blake2.hash_words

    @compiler.entry(compiler.UNSIGNED, compiler.UNSIGNED, compiler.INTEGER, compiler.UNSIGNED)  # type: ignore[untyped-decorator, unused-ignore]
    def digest(initial: Array, message: Array, size: int, state: Array) -> int:
        hash_words(initial, message, size, state)
        return 0

    data = random.Random(7).randbytes(512)
    for size in range(401):
        for digest_bytes, person in ((16, b"trade key"), (8, b"trade payload"), (64, b"")):
            message, state = np.zeros(64, np.uint64), np.zeros(8, np.uint64)
            message.view(np.uint8)[:size] = np.frombuffer(data, np.uint8, size)
            digest(blake2.initial_state(digest_bytes, person), message, size, state)
            expected = blake2b(data[:size], digest_size=digest_bytes, person=person).digest()
            assert state.tobytes()[:digest_bytes] == expected, (size, digest_bytes)


def test_keys_of_the_shortest_and_the_longest_texts_equal_those_of_rows(reading: CompiledReading) -> None:
    texts = ("venue", "account", "order_id", "strategy", "ref_trade_id", "fee_currency", "source", "currency", "symbol")
    for size in range(1, 65):
        row = FULL | {name: chr(97 + place) * size for place, name in enumerate(texts)} | {"trade_id": "x" * size}
        for sent in (row, {name: row[name] for name in ("symbol", "quantity", "price", "trade_id")}):
            (trade,), keys = reading.rows(dumps(sent), "json", NOW)
            assert keys.digests.tobytes() == key_digest(trade)
            assert int(keys.fingerprints[0]) == fingerprint(trade, "timestamp" in sent)


# --- memory -----------------------------------------------------------------------------------------------------------


class GuardedMemory:
    """Bytes whose end is the end of all that may be read: the next page is forbidden."""

    def __init__(self, pages: int = 4) -> None:
        self._size = pages * mmap.PAGESIZE
        self._map = mmap.mmap(-1, self._size + mmap.PAGESIZE)
        self._bytes = np.frombuffer(self._map, np.uint8)
        forbidden = ctypes.c_void_p(self._bytes.ctypes.data + self._size)
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.mprotect(forbidden, ctypes.c_size_t(mmap.PAGESIZE), 0) == 0, os.strerror(ctypes.get_errno())

    def at_the_end(self, text: bytes) -> Array:
        """An array of the text that ends where the forbidden page begins."""
        place = self._bytes[self._size - len(text) : self._size]
        place[:] = np.frombuffer(text, np.uint8)
        return place


class Scan:
    """The compiled functions on bodies at the end of the memory."""

    def __init__(self) -> None:
        self._scanner = import_module("telemetry.compiled.scanner")
        self._padding = bytes(import_module("telemetry.compiled.tokens").PADDING)
        self._words = import_module("telemetry.compiled.digests").WORK_WORDS
        self._memory = GuardedMemory()

    def __call__(self, body: bytes, media: Media) -> int:
        most = body.count(b"{") + 1
        text = self._memory.at_the_end(body + self._padding)
        rows = np.empty(most * slots.COUNT + slots.FOLLOWS, np.int64)
        scratch, digests, prints = (np.empty(size, np.uint64) for size in (self._words, 2 * most, most))
        count: int = self._scanner.scan_rows(
            text, len(body), int(media == "lines"), scratch, most, rows, digests, prints
        )
        return count


@pytest.fixture(scope="module")
def scan() -> Iterator[Scan]:
    yield Scan()


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


def test_random_damage_never_makes_it_read_behind_the_end(scan: Scan, reading: CompiledReading) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    source = random.Random(seed)
    body = dumps([FULL, FULL | {"tags": None}])
    for _ in range(3000):
        damaged = bytearray(body[: source.randrange(1, len(body))] if source.random() < 0.5 else body)
        for _ in range(source.randrange(1, 5)):
            damaged[source.randrange(len(damaged))] = source.choice(
                b'"\\{}[],:0123456789eE+-. \n\r\x00\x7f\xc2\x85\xffTZ'
            )
        count = scan(bytes(damaged), "json")
        assert count == -1 or agree(reading, bytes(damaged), "json") or not damaged.isascii()


@pytest.mark.long
def test_with_bounds_checked_nothing_is_out_of_bounds_and_the_results_are_the_same() -> None:
    program = """
from telemetry.compiled.compiler import IS_CHECKED
from tests.telemetry import test_decode_compiled as t
from tests.telemetry.hostile import FIELDS, SYNTAX
assert IS_CHECKED
reading = t.CompiledReading()
for body in (*(body for body, _, _ in FIELDS), *SYNTAX, t.dumps(t.some(50)), t.dumps(t.FULL)):
    for size in range(max(0, len(body) - 200), len(body) + 1):
        for media in t.MEDIA:
            t.agree(reading, body[:size], media)
assert t.agree(reading, t.dumps(t.some(50)), "json")
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


def test_numba_is_imported_only_when_it_is_asked_for() -> None:
    assert run("import sys, telemetry.decode; print('numba' in sys.modules)") == "False"


def test_the_cache_is_private_named_after_the_sources_and_left_out_where_nothing_can_be_written(tmp_path: Path) -> None:
    program = "from telemetry.compiled.compiler import cache_directory, numba\n"
    program += "print(cache_directory(), numba.core.config.CACHE_DIR, sep='\\n')"
    where, used = run(program, NUMBA_CACHE_DIR=str(tmp_path)).splitlines()
    assert where == used
    assert Path(where).parent == tmp_path / "trading-telemetry"
    assert Path(where).stat().st_mode & 0o777 == 0o700
    again = run(program, NUMBA_CACHE_DIR="", XDG_CACHE_HOME=str(tmp_path)).splitlines()
    assert again[0] == where
    occupied = tmp_path / "file"
    occupied.touch()
    assert run(program, NUMBA_CACHE_DIR=str(occupied)).splitlines()[0] == "None"
