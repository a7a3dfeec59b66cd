"""The compiled reading gives what the reference gives, or Doubt."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from telemetry.columns import encode_frame
from telemetry.decode import Batch, Decoder, decode_body, decode_by_reference
from telemetry.decode_compiled import CompiledReading, available
from telemetry.decode_fast import decode_columns
from telemetry.decode_reference import Media
from telemetry.digests import Digests
from telemetry.errors import InvalidInput
from telemetry.formats import Options, Row, TradeFile
from telemetry.literals import Doubt
from tests.telemetry.bodies import NOW, bodies, mutated_bodies
from tests.telemetry.hostile import FIELDS, GOOD, SYNTAX
from tests.telemetry.readings import FULL, MEDIA, agree, dumps, is_doubted, result, some

pytestmark = pytest.mark.skipif(not available(), reason="numba is not installed")
ROOT = Path(__file__).resolve().parents[2]
generated = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def reading() -> CompiledReading:
    return CompiledReading(Digests())


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(compiled=True)


def outcome(read: Callable[[bytes, Media, int], Batch], body: bytes, media: Media) -> object:
    try:
        return result(read(body, media, NOW))
    except InvalidInput as error:
        return error.problem, error.detail, error.errors


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
        _kept.append(CompiledReading(Digests()))
    return _kept[0]


_ONE = b'{"symbol":"A","side":"buy","price":1.5,"quantity":2,"timestamp":1763800000000000000}'
_SHAPES = (
    _ONE,
    _ONE[:-1] + b',"account":"x"}',
    _ONE[:-1] + b',"side":"sell"}',
    _ONE[:-1] + b',"price":1}',
    _ONE[:-1] + b" }",
    _ONE[:-1] + b",}",
    _ONE.replace(b",", b" ,"),
    _ONE.replace(b":", b": "),
    _ONE.replace(b'"side":"buy",', b""),
    _ONE.replace(b'"side":"buy"', b'"side":null'),
    _ONE.replace(b'"price":1.5,', b""),
    _ONE.replace(b'"quantity"', b'"quantities"'),
    _ONE.replace(b',"timestamp":1763800000000000000', b""),
    _ONE.replace(b'"symbol":"A","side":"buy"', b'"side":"buy","symbol":"A"'),
    _ONE.replace(b'"A","side"', b'"A,\\"side\\":","side"'),
    b'{"symbol":"B","price":3,"quantity":4}',
    b"{}",
)


@pytest.mark.parametrize("before", _SHAPES)
@pytest.mark.parametrize("after", _SHAPES)
def test_a_trade_is_read_alike_whatever_shape_the_one_before_had(
    reading: CompiledReading, before: bytes, after: bytes
) -> None:
    agree(reading, b"[" + b",".join((_ONE, before, after, before, _ONE)) + b"]", "json")
    agree(reading, b"\n".join((_ONE, before, after, before, _ONE)), "lines")


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
            *(b"0", b"-0", b"1", b'"1"', b"-37.63", b"0.10", b"100", b"1e-5", b'"2.50E+2"', b"1e17", b"0e7", b"0.000"),
            *(b"-0.5e1", b"999999999999999999", b"0.123456789012345678", b"123456789.123456789", b"1.5e-17"),
        ],
    ),
    ("timestamp", [b"100000000000000000", b"9223372036854775807", b"1795352400000000000"]),
    (
        "timestamp",
        [
            b'"%s"' % text
            for text in (
                *(b"2026-11-22T13:00:00Z", b"2024-02-29t23:59:59.1z", b"2000-02-29 00:00:00.123456789-23:59"),
                *(b"1678-01-01T00:00:00+23:59", b"2261-12-31T23:59:59.999999999-23:59", b"1970-01-01T00:00:00.10Z"),
            )
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


_ALIKE = FULL | {"venue": "x" * 32, "price": 1.25, "fee": "0.5", "timestamp": NOW}
_ODD: dict[str, list[object]] = {
    "symbol": ["A", "s" * 31, "s" * 32, "s" * 33, "s" * 63, "s" * 64, "トヨタ", "a b"],
    "venue": [None, "", "v" * 31, "v" * 64, "é", "{}[],:"],
    "trade_id": [None, "", 0, -5, "t" * 64],
    "side": [None, "buy", "unknown"],
    "kind": [None, "print"],
    "action": [None],
    "liquidity": [None, "", "taker"],
    "price": ["1.25", 0.0, -1, 100, "1e-5", "0.10", "123456789.123456789", 12345.67, "1234567"],
    "multiplier": [None, 1, "100", "0.000100"],
    "fee": [None, 0, "-0.00", 1.5, "12345678"],
    "timestamp": [None, "2026-11-22T13:00:00Z", 10**17, 2**63 - 1],
    "source_seq": [None, 0, -5, 10**18 - 1],
    "account": [None, "", "desk-2"],
    "order_id": [None, ""],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in _ODD.items() for value in values])
def test_one_odd_value_among_trades_that_are_alike_raises_no_doubt_and_changes_no_other_trade(
    reading: CompiledReading, name: str, value: object
) -> None:
    odd = _ALIKE | {name: value}
    rows = [*[_ALIKE] * 4, odd, *[_ALIKE] * 3, *[odd] * 4, _ALIKE]
    last = [{key: row[key] for key in row if key != name} | {name: row[name]} for row in rows]
    for same in (rows, last):
        assert agree(reading, dumps(same), "json")
        assert agree(reading, b"\n".join(map(dumps, same)), "lines")


def test_a_trade_that_gives_no_kind_is_a_fill_or_a_print_by_its_own_account_and_not_by_that_of_the_one_before(
    reading: CompiledReading,
) -> None:
    rows = [
        {"symbol": "A", "account": account, "price": 1, "quantity": 2} for account in ("a", "b", "c", "", "d", "", "")
    ]
    assert agree(reading, dumps(rows), "json")


_WRONG: dict[str, list[bytes]] = {
    "symbol": [b'""', b'" A"', b'"A "', b"null", b"1", b'"%s"' % (b"s" * 65), b'"a\\"', b'"a\x7f"', b'"a'],
    "venue": [b'"%s"' % (b"v" * 96), b"1", b'"v"v"', b'"v\n"'],
    "trade_id": [b"1.5", b"01", b'"t"1', b"-0", b"true"],
    "side": [b'"BUY"', b'"buy', b'"buyer"', b'"bu"', b"0"],
    "price": [b'"1', b'1"', b"1.", b".5", b"01", b"1.2.3", b"+1", b"-", b'""', b"1 2", b"1234567890123456789"],
    "quantity": [b"0", b"-1", b"0.00", b"null", b'"1'],
    "multiplier": [b"0", b"-1"],
    "timestamp": [b"17", b"9223372036854775808", b"012345678901234567", b"12345678901234567a", b"99999999999999999999"],
}


@pytest.mark.parametrize("name", _WRONG)
def test_what_is_wrong_in_a_trade_like_those_before_is_never_accepted(reading: CompiledReading, name: str) -> None:
    good = dumps(_ALIKE)
    at = good.index(b'"%b":' % name.encode()) + len(name) + 3
    rest = good[at + len(dumps(_ALIKE[name])) :]
    first = b'"%b":%b,' % (name.encode(), dumps(_ALIKE[name]))
    moved = good.replace(first, b"")[:-1] + b"," + first[:-1] + b"}"
    for wrong in _WRONG[name]:
        assert is_doubted(reading, b"[" + b",".join((good, good, good, good[:at] + wrong + rest, good)) + b"]", "json")
        last = moved[: moved.rindex(b":") + 1] + wrong + b"}"
        assert is_doubted(reading, b"[" + b",".join((moved, moved, moved, last, moved)) + b"]", "json")


def test_trades_that_are_alike_but_for_a_few_bytes_are_read_as_the_reference_reads_them(
    reading: CompiledReading,
) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    draw, decided = random.Random(seed), 0
    for _ in range(1500):
        names = draw.sample(list(FULL), draw.randrange(4, 14))
        row = {name: _ALIKE[name] for name in {*names, "symbol", "price", "quantity"}}
        rows = [dumps(row | {"price": draw.randrange(10**7) / 100}) for _ in range(draw.randrange(4, 9))]
        changed = draw.randrange(2, len(rows))
        damaged = bytearray(rows[changed])
        for _ in range(draw.randrange(1, 3)):
            place = draw.randrange(len(damaged))
            damaged[place : place + draw.randrange(2)] = bytes([draw.choice(MARKS)])[: draw.randrange(2)]
        decided += agree(reading, b"[" + b",".join((*rows[:changed], damaged, *rows[changed:])) + b"]", "json")
    assert decided > 100


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


def test_numbers_of_any_characters_are_read_as_the_reference_reads_them(reading: CompiledReading) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    draw, plain, sure = random.Random(seed), re.compile(r"-?(0|[1-9]\d*)(\.\d+)?"), 0
    for _ in range(4000):
        size = draw.randrange(1, 13)
        number = "".join(draw.choices("0123456789.", (4, 2, 1, 1, 1, 1, 1, 1, 1, 1, 3), k=size))
        number = draw.choice(("", "", "-", "0")) + number + draw.choice(("", "", "", "e1", "E-2", "-", "5" * 8))
        text = draw.choice((number, f'"{number}"', f"{number} "))
        decided = agree(reading, b'[{"symbol":"A","quantity":1,"price":%b}]' % text.encode(), "json")
        if plain.fullmatch(number) and sum(map(str.isdigit, number)) <= 18:
            sure += 1
            assert decided, (seed, text)
    assert sure > 500


REAL = [
    ("us_equity_multi/sampleMultiTradeData.csv.gz", None),
    ("binance_btcusdt_parquet/btcusdt-trades.parquet", "BTC"),
]
MARKS = b'"\\{}[],:0123456789eE+-. \n\r\x00\x7f\xc2\x85\xff'


@pytest.mark.parametrize(("name", "symbol"), REAL)
def test_damaged_bodies_of_real_trades_are_read_as_the_reference_reads_them_or_doubted(
    reading: CompiledReading, market_data: Path, name: str, symbol: str | None
) -> None:
    with TradeFile(market_data / name, Options(symbol=symbol), notice=lambda text: None) as rows:
        trades = [row.trade for row in islice(rows, 300) if isinstance(row, Row)]
    sound = [trade for trade in trades if not is_doubted(reading, dumps(trade), "json")]  # some have 20 decimals
    assert len(sound) > 200
    assert agree(reading, dumps(sound), "json")
    seed = random.randrange(2**32)
    print("seed", seed)
    source = random.Random(seed)
    for _ in range(500):
        body = bytearray(dumps(source.sample(sound, 3)))
        for _ in range(source.randrange(1, 4)):
            place = source.randrange(len(body))
            body[place : place + source.randrange(2)] = bytes([source.choice(MARKS)])
        agree(reading, bytes(body), "json")


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


def test_the_instruments_of_a_body_are_its_own_whatever_bodies_came_before(reading: CompiledReading) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    names = [{"symbol": symbol, "currency": currency} for symbol in ("A", "AA", "B") for currency in ("EUR", "EURA")]
    for _ in range(300):
        rows = [FULL | chance.choice(names) for _ in range(chance.randrange(1, 5))]
        columns, _ = reading.columns(dumps(rows), "json", NOW)
        plain, _ = decode_columns(dumps(rows), "json", NOW)
        assert columns.instruments == plain.instruments


def test_bodies_of_the_same_instruments_share_them(reading: CompiledReading) -> None:
    rows = [FULL | {"symbol": symbol} for symbol in ("one", "other", "one")]
    first, _ = reading.columns(dumps(rows), "json", NOW)
    again, _ = reading.columns(dumps([row | {"price": 7} for row in rows]), "json", NOW)
    assert first.instruments is again.instruments


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
