"""The reading of trades that are written alike gives what the reference gives, or Doubt."""

from __future__ import annotations

import json
import random
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.alike_instruments import Instruments
from telemetry.alike_values import find_values
from telemetry.columns import encode_frame
from telemetry.decode import decode_by_reference
from telemetry.decode_alike import PADDING, AlikeReading
from telemetry.decode_reference import Media
from telemetry.formats import Options, Row, TradeFile
from telemetry.literals import Doubt
from tests.telemetry.bodies import NOW, bodies, literal, mutated_bodies, numbers, stamps
from tests.telemetry.bodies import dumps as dumps_literals
from tests.telemetry.readings import FULL, MEDIA, some

READING = AlikeReading()
generated = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
ALIKE = {name: value for name, value in FULL.items() if name != "tags"}
texts = st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters='"\\'), max_size=9)
WRITTEN: dict[str, st.SearchStrategy[Any]] = {
    "symbol": st.sampled_from(("BTC-USDT", "ETH/USDT:USDT", "ES.c.0", "a", "s" * 64)),
    "side": st.sampled_from(("buy", "sell", "unknown")),
    "kind": st.sampled_from(("fill", "print")),
    "quantity": numbers,
    "price": numbers | st.sampled_from(("-37.63", literal("-1.50"), "0", literal("0.000"))),
    "multiplier": st.sampled_from(("1", "0.10", literal("50"))),
    "timestamp": stamps,
    "trade_id": texts,
    "action": st.just("new"),
    "ref_trade_id": texts,
    "venue": st.sampled_from(("binance", "", "XNAS")),
    "account": texts,
    "strategy": texts,
    "order_id": texts,
    "currency": st.sampled_from(("USDT", "EUR")),
    "liquidity": st.sampled_from(("maker", "taker", "auction", "")),
    "fee": numbers,
    "fee_currency": texts,
    "source": texts,
    "source_seq": st.integers(0, 2**62),
    "sent_at": stamps,
    "order_sent_at": stamps,
}
SEPARATORS = ((",", ":"), (", ", ": "), (" ,\t", " : "))


def read(body: bytes, media: Media, reading: AlikeReading = READING) -> tuple[bytes, list[bool]]:
    """The frame, and which trades have a timestamp. Raises Doubt."""
    columns, given_stamps = reading.columns(np.frombuffer(body + bytes(PADDING), np.uint8), len(body), media, NOW)
    return encode_frame(columns), given_stamps.tolist()


def agree(body: bytes, media: Media, reading: AlikeReading = READING) -> bool:
    """Whether it decided; then the reference must have decided the same."""
    try:
        frame, _ = read(body, media, reading)
    except Doubt:
        return False
    assert frame == encode_frame(decode_by_reference(body, media, NOW).as_columns())
    return True


def compact(rows: list[dict[str, Any]], media: Media = "json") -> bytes:
    if media == "lines":
        return b"\n".join(dumps_literals(row, separators=(",", ":")) for row in rows)
    return dumps_literals(rows, separators=(",", ":"))


@st.composite
def alike_bodies(draw: st.DrawFn) -> tuple[bytes, Media]:
    """Trades that have the same fields, all of them numbers or all of them texts, in one order."""
    more = draw(st.lists(st.sampled_from([*WRITTEN]), unique=True, max_size=9))
    names = draw(st.permutations([*{*more, "symbol", "quantity", "price"}]))
    rows = draw(st.lists(st.fixed_dictionaries({name: WRITTEN[name] for name in names}), min_size=2, max_size=6))
    for name in {"quantity", "price", "fee", "multiplier"} & {*names}:
        as_number = draw(st.booleans())
        for row in rows:
            row[name] = literal(row[name].strip("@")) if as_number else row[name].strip("@")
    separators = draw(st.sampled_from(SEPARATORS))
    if draw(st.booleans()):
        between = draw(st.sampled_from((b"\n", b"\r\n", b"\n\n \n")))
        return between.join(dumps_literals(row, separators=separators) for row in rows), "lines"
    return dumps_literals(rows, separators=separators, indent=draw(st.sampled_from((None, None, 1)))), "json"


@generated
@given(alike_bodies())
def test_it_gives_what_the_reference_gives_or_doubts(body_and_media: tuple[bytes, Media]) -> None:
    agree(*body_and_media)


@generated
@given(bodies())
def test_it_gives_the_same_or_doubts_for_trades_of_any_fields(body_and_media: tuple[bytes, Media]) -> None:
    agree(*body_and_media)


@generated
@given(mutated_bodies())
def test_no_mutation_makes_it_accept_what_the_reference_refuses(body_and_media: tuple[bytes, Media]) -> None:
    agree(*body_and_media)


@generated
@given(alike_bodies(), st.data())
def test_no_byte_makes_it_accept_what_the_reference_refuses(
    body_and_media: tuple[bytes, Media], data: st.DataObject
) -> None:
    body, media = body_and_media
    changed = bytearray(body)
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(changed) - 1))
        kind = data.draw(st.sampled_from(("replace", "insert", "remove")))
        byte = data.draw(st.sampled_from(b'"\\{}[],:0159.-+eE \n\r\tabt\x00\x1f\x7f\x80\xff'))
        if kind == "replace":
            changed[at] = byte
        elif kind == "insert":
            changed.insert(at, byte)
        else:
            del changed[at]
    agree(bytes(changed), media)


@pytest.mark.parametrize("media", MEDIA)
@pytest.mark.parametrize("name", ALIKE)
def test_every_field_is_read_without_a_doubt_also_when_it_is_missing(name: str, media: Media) -> None:
    rest = {key: value for key, value in ALIKE.items() if key != name}
    assert agree(compact([ALIKE] * 3, media), media)
    is_required = name in ("symbol", "quantity", "price")
    assert agree(compact([rest] * 3, media), media) is not is_required
    assert agree(compact([rest | {name: ALIKE[name]}] * 3, media), media)  # another order


@pytest.mark.parametrize("media", MEDIA)
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("price", ("1.5", "-1.50", "0", "-0", "0.000", "100", "999999999999999999", "0.123456789012345678", "1e-5")),
        ("price", ("7", "1234567.8", "12345678", "123456789012345.6", "1234567890123456", "123456789012345.67")),
        ("quantity", ("1.10", "20", "0.00000001", "1E2", "10.0", "100.00000000")),
        ("timestamp", ("100000000000000000", "9223372036854775807", "1795352400000000000")),
        ("source_seq", ("0", "5", "999999999999999999")),
    ],
)
def test_numbers_of_any_length_are_read_among_one_another(name: str, values: tuple[str, ...], media: Media) -> None:
    rows = [{"symbol": "A", "quantity": 1, "price": 2} | {name: literal(value)} for value in values]
    assert agree(compact(rows, media), media)
    assert agree(compact(rows[::-1], media), media)
    if name != "source_seq" and name != "timestamp":
        assert agree(compact([row | {name: value} for row, value in zip(rows, values, strict=True)], media), media)


@pytest.mark.parametrize("separators", SEPARATORS)
@pytest.mark.parametrize("last", ["price", "symbol"])
def test_any_blanks_are_read_that_all_trades_have(separators: tuple[str, str], last: str) -> None:
    row = {"symbol": "A", "quantity": 1.5, "price": 2.25}
    row[last] = row.pop(last)
    lines = [json.dumps(row | {"symbol": symbol}, separators=separators) for symbol in "ABAC"]
    assert agree("\n".join(lines).encode(), "lines")
    assert agree(("\r\n".join(lines) + "\r\n\n").encode(), "lines")
    assert agree(f" [{' ,'.join(lines)} ]\n".encode(), "json")
    assert agree(json.dumps([json.loads(line) for line in lines], indent=2).encode(), "json")


ONE = b'{"symbol":"A","side":"buy","price":1.5,"quantity":2,"account":"x"}'


@pytest.mark.parametrize(
    "other",
    [
        ONE[:-1] + b',"price":1}',
        ONE[:-1] + b",}",
        ONE.replace(b",", b" ,", 1),
        ONE.replace(b'"side":"buy"', b'"side":null'),
        ONE.replace(b'"side":"buy",', b""),
        ONE.replace(b'"symbol":"A","side":"buy"', b'"side":"buy","symbol":"A"'),
        ONE.replace(b"price", b"PRICE"),
        ONE.replace(b'"A"', b'"\\u0041"'),
        ONE.replace(b'"A"', '"é"'.encode()),
        ONE.replace(b'"A"', b'"A "'),
        ONE.replace(b'"A"', b'""'),
        ONE.replace(b'"x"', b'"\x7f"'),
        ONE.replace(b'"x"', b'"\n"'),
        ONE.replace(b'"x"', b'"%b"' % (b"x" * 65)),
        ONE.replace(b"buy", b"Buy"),
        ONE.replace(b"1.5", b"[1]"),
        ONE.replace(b"1.5", b"01.5"),
        ONE.replace(b"1.5", b""),
        ONE.replace(b'"quantity":2', b'"quantity":0'),
        b'{"symbol":"A","side":"buy","price":1.5,"quantity":2,"account":{"a":"b"}}',
        b"{}",
    ],
)
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_trade_that_is_odd_or_wrong_is_doubted_wherever_it_stands(other: bytes, place: int) -> None:
    rows = [ONE] * 3
    rows.insert(place, other)
    for body, media in ((b"[" + b",".join(rows) + b"]", MEDIA[0]), (b"\n".join(rows), MEDIA[1])):
        with pytest.raises(Doubt):
            read(body, media)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"price":1.5', b'"price":1.5,"unknown":"x"'),
        (b'"price":1.5', b'"price":1.5,"price":1.5'),
        (b'"price":1.5', b'"price":1.5,"source_seq":"5"'),
        (b'"price":1.5', b'"price":1.5,"source_seq":05'),
        (b'"price":1.5', b'"price":1.5,"action":"cancel"'),
        (b'"price":1.5', b'"price":1.5,"liquidity":"makers-and-takers"'),
        (b'"price":1.5', b'"price":1.5,"multiplier":0'),
        (b'"price":1.5', b'"price":1.5,"venue":5'),
        (b'"price":1.5,', b""),
        (b'"price":1.5', b'"price" "1.5"'),
        (b'"price":1.5', b'"price":"1.5'),
    ],
)
def test_what_breaks_a_rule_in_all_trades_is_doubted(before: bytes, after: bytes) -> None:
    with pytest.raises(Doubt):
        read(b"[" + b",".join([ONE.replace(before, after)] * 3) + b"]", "json")


@pytest.mark.parametrize("written", [b'"fee":1,', b'"fee": 1 ,'])
def test_a_number_that_is_missing_behind_its_name_is_doubted(written: bytes) -> None:
    whole = ONE.replace(b'"price"', written + b'"price"')
    for blank in (b"", b" "):
        nothing = whole.replace(written, written.replace(b"1", b"").replace(b"  ", blank))
        with pytest.raises(Doubt):
            read(b"[" + b",".join((whole, nothing, whole)) + b"]", "json")


def test_fills_and_prints_in_one_body_are_doubted_where_no_trade_says_which_it_is() -> None:
    rows = [{"symbol": "A", "quantity": 1, "price": 2, "account": account, "order_id": ""} for account in ("", "x")]
    with pytest.raises(Doubt):
        read(compact(rows * 2), "json")
    assert agree(compact([row | {"kind": "fill"} for row in rows]), "json")
    assert agree(compact([row | {"order_id": "o"} for row in rows]), "json")


@pytest.mark.parametrize("end", [b"", b"]]", b"],", b"] x", b"}]", b" ", b"]\x00", b"\n]\n]"])
def test_a_body_that_ends_otherwise_is_doubted(end: bytes) -> None:
    with pytest.raises(Doubt):
        read(b"[" + ONE + b"," + ONE + end, "json")


def test_one_trade_and_lines_that_are_cut_are_doubted() -> None:
    cut = ONE.replace(b",", b",\n", 1)
    for body, media in ((ONE, MEDIA[0]), (b"[" + ONE + b"]", MEDIA[0]), (ONE, MEDIA[1]), (cut + b"\n" + cut, MEDIA[1])):
        with pytest.raises(Doubt):
            read(body, media)
    with pytest.raises(Doubt):
        read(ONE + ONE, "lines")


def test_instruments_that_meet_in_one_slot_are_kept_apart() -> None:
    rows = [
        {"symbol": f"S{number % 11}", "venue": "v" * (number % 3), "quantity": 1, "price": 2} for number in range(99)
    ]
    body = compact(rows)
    values = find_values(np.frombuffer(body + bytes(PADDING), np.uint8), len(body), "json")
    few, many = (Instruments(slot_bits=bits).of(values) for bits in (1, 16))
    assert len(few[0]) == 33
    assert few[0] == many[0]
    assert few[1].tolist() == many[1].tolist()


def test_instruments_of_bodies_that_differ_in_what_all_trades_share_are_not_mixed_up() -> None:
    reading = AlikeReading()
    row = {"symbol": "A", "quantity": 1, "price": 2}
    for more in ({}, {"account": "x"}, {"venue": "A"}, {"currency": "A"}, {"multiplier": 5}, {"kind": "fill"}, {}):
        assert agree(compact([row | more] * 3), "json", reading)


def test_more_instruments_than_are_remembered_are_read() -> None:
    reading = AlikeReading()
    for first in (0, 5_000, 0):
        rows = [{"symbol": f"S{number}", "quantity": 1, "price": 2} for number in range(first, first + 5_000)]
        assert agree(compact(rows), "json", reading)


def test_trades_of_different_fields_are_doubted() -> None:
    assert not agree(compact(some(50)), "json")


MARKS = b'"\\{}[],:0123456789eE+-. \n\r\x00\x7f\xc2\x85\xff'
REAL = [
    ("us_equity_multi/sampleMultiTradeData.csv.gz", None),
    ("binance_btcusdt_parquet/btcusdt-trades.parquet", "BTC"),
]


@pytest.mark.parametrize(("name", "symbol"), REAL)
def test_damaged_bodies_of_real_trades_are_read_as_the_reference_reads_them_or_doubted(
    market_data: Path, name: str, symbol: str | None
) -> None:
    with TradeFile(market_data / name, Options(symbol=symbol), notice=lambda text: None) as rows:
        trades = [row.trade for row in islice(rows, 2000) if isinstance(row, Row)]
    alike = [trade for trade in trades if [*trade] == [*trades[0]] and agree(compact([trade] * 2), "json")]
    assert len(alike) > 200  # some have other fields, some 20 decimals
    for media in MEDIA:
        assert agree(compact(alike, media), media)
    seed = random.randrange(2**32)
    print("seed", seed)
    source = random.Random(seed)
    for _ in range(500):
        media = source.choice(MEDIA)
        body = bytearray(compact(source.sample(alike, 3), media))
        for _ in range(source.randrange(1, 3)):
            place = source.randrange(len(body))
            body[place : place + source.randrange(2)] = bytes([source.choice(MARKS)])
        agree(bytes(body), media)
