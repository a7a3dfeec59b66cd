"""Every rule for the fields of a trade."""

from __future__ import annotations

from typing import Any

import pytest

from telemetry.times import ABSENT
from telemetry.trade import NO_FEE, FieldError, Instrument, InvalidTrade, Number, Trade, parse_trade, printable

NOW = 1_795_352_400_000_000_000
N = Number


def trade(**fields: object) -> Trade:
    return parse_trade({"symbol": "BTC-USDT", "quantity": "1", "price": "2", **fields}, NOW)


def refused(**fields: object) -> list[FieldError]:
    with pytest.raises(InvalidTrade) as caught:
        trade(**fields)
    return caught.value.errors


def test_a_trade_needs_only_symbol_quantity_and_price() -> None:
    assert trade() == Trade("", "BTC-USDT", "print", "", 1, 0, 0, 2, 0, 1, 0, NOW, NOW)
    assert trade().instrument == Instrument("", "BTC-USDT", "print", "", 1, 0)
    assert (trade().fee_scale, trade().source_seq, trade().trade_id) == (NO_FEE, ABSENT, "")


def test_every_field_is_kept() -> None:
    full = trade(
        side="sell",
        kind="fill",
        multiplier=N("0.50"),
        timestamp="2026-11-22T13:00:00.000000001Z",
        trade_id=N("17"),
        action="new",
        ref_trade_id="r",
        venue="binance",
        account="a",
        strategy="s",
        order_id="o",
        currency="USDT",
        liquidity="maker",
        fee="-0.10",
        fee_currency="BNB",
        source="feed",
        source_seq=N("9"),
        sent_at=N("1795352400000000002"),
        order_sent_at="2026-11-22T13:00:00.000000003Z",
        tags={"b": "2", "a": "1"},
    )
    assert full == Trade(
        *("binance", "BTC-USDT", "fill", "USDT", 5, 1, 2, 2, 0, 1, 0, NOW + 1, NOW),
        *("17", "r", "a", "s", "o", "maker", -1, 1, "BNB", "feed", 9, NOW + 2, NOW + 3),
        '{"a":"1","b":"2"}',
    )


ACCEPTED: list[tuple[str, Any, str, Any]] = [
    ("symbol", "x", "symbol", "x"),
    ("symbol", "BTC/USDT:USDT", "symbol", "BTC/USDT:USDT"),
    ("symbol", "BRK.B", "symbol", "BRK.B"),
    ("symbol", "ES.c.0", "symbol", "ES.c.0"),
    ("symbol", "トヨタ", "symbol", "トヨタ"),
    ("symbol", "A B", "symbol", "A B"),
    ("symbol", "s" * 64, "symbol", "s" * 64),
    ("symbol", "é" * 32, "symbol", "é" * 32),
    ("side", "buy", "side", 1),
    ("side", "sell", "side", 2),
    ("side", "unknown", "side", 0),
    ("side", None, "side", 0),
    ("kind", "fill", "kind", "fill"),
    ("kind", "print", "kind", "print"),
    ("kind", None, "kind", "print"),
    ("account", "me", "kind", "fill"),
    ("order_id", "1", "kind", "fill"),
    ("account", "", "kind", "print"),
    ("quantity", N("0.0150"), "quantity", 15),
    ("quantity", "1e-18", "quantity_scale", 18),
    ("quantity", "999999999999999999", "quantity", 10**18 - 1),
    ("price", "0", "price", 0),
    ("price", N("-37.63"), "price", -3763),
    ("price", "9007199254740993", "price", 2**53 + 1),
    ("price", N("9007199254740991"), "price", 2**53 - 1),
    ("multiplier", None, "multiplier", 1),
    ("multiplier", "100.0", "multiplier", 100),
    ("timestamp", None, "timestamp", NOW),
    ("timestamp", N("1795352400000000005"), "timestamp", NOW + 5),
    ("timestamp", NOW, "timestamp", NOW),
    ("trade_id", "", "trade_id", ""),
    ("trade_id", None, "trade_id", ""),
    ("trade_id", N("-0"), "trade_id", "0"),
    ("trade_id", N("9" * 64), "trade_id", "9" * 64),
    ("trade_id", "界" * 64, "trade_id", "界" * 64),
    ("action", "new", "symbol", "BTC-USDT"),
    ("action", None, "symbol", "BTC-USDT"),
    ("fee", N("0"), "fee_scale", 0),
    ("fee", None, "fee_scale", NO_FEE),
    ("liquidity", "", "liquidity", ""),
    ("liquidity", "auction", "liquidity", "auction"),
    ("source_seq", N("0"), "source_seq", 0),
    ("source_seq", N("9223372036854775807"), "source_seq", 2**63 - 1),
    ("tags", {}, "tags", ""),
    ("tags", None, "tags", ""),
    ("tags", {"é": ""}, "tags", '{"é":""}'),
    ("tags", {"k": "v" * 504}, "tags", '{"k":"' + "v" * 504 + '"}'),
]
REFUSED: list[tuple[str, Any, str]] = [
    ("symbol", None, "required"),
    ("symbol", "", "1 to 64 bytes"),
    ("symbol", "s" * 65, "at most 64"),
    ("symbol", "é" * 33, "bytes of UTF-8"),
    ("symbol", " BTC", "white space"),
    ("symbol", "BTC\u00a0", "white space"),
    ("symbol", "B\nTC", "control"),
    ("symbol", "B\x7f", "control"),
    ("symbol", "B\x85C", "control"),
    ("symbol", "\ud800", "control"),
    ("symbol", N("5"), "text"),
    ("side", "BUY", "buy, sell, unknown"),
    ("side", "", "buy, sell, unknown"),
    ("side", N("1"), "buy, sell, unknown"),
    ("side", ["buy"], "buy, sell, unknown"),
    ("kind", "Fill", "fill, print"),
    ("kind", "", "fill, print"),
    ("quantity", None, "required"),
    ("quantity", "0", "greater than 0"),
    ("quantity", N("0.000"), "greater than 0"),
    ("quantity", "-1", "greater than 0"),
    ("quantity", "5 ", "JSON number"),
    ("quantity", "1_0", "JSON number"),
    ("quantity", "+5", "JSON number"),
    ("quantity", "", "JSON number"),
    ("quantity", True, "decimal"),
    ("quantity", {"a": "1"}, "decimal"),
    ("quantity", 1.5, "decimal"),
    ("quantity", "1e-19", "18 decimals"),
    ("price", N("NaN"), "JSON number"),
    ("price", "NaN", "JSON number"),
    ("price", N("Infinity"), "JSON number"),
    ("price", N("1e999"), "magnitude"),
    ("price", N("1e18"), "magnitude"),
    ("price", "1234567890123456789", "18 significant"),
    ("price", False, "decimal"),
    ("multiplier", "0", "greater than 0"),
    ("multiplier", "-1", "greater than 0"),
    ("timestamp", "2026-11-22T13:00:00", "offset"),
    ("timestamp", N("1795352400"), "seconds"),
    ("timestamp", N("1795352400123"), "milliseconds"),
    ("timestamp", N("1795352400123456"), "microseconds"),
    ("timestamp", N("1.7e18"), "without fraction"),
    ("timestamp", True, "RFC 3339"),
    ("timestamp", "", "RFC 3339"),
    ("timestamp", "1677-01-01T00:00:00Z", "1677"),
    ("timestamp", "2263-01-01T00:00:00Z", "2262"),
    ("sent_at", "yesterday", "RFC 3339"),
    ("order_sent_at", N("5"), "seconds"),
    ("trade_id", "t" * 65, "at most 64"),
    ("trade_id", N("1.0"), "integer"),
    ("trade_id", N("1e3"), "integer"),
    ("trade_id", N("9" * 65), "integer"),
    ("trade_id", True, "text"),
    ("trade_id", "a\x00", "control"),
    ("action", "correct", "not accepted yet"),
    ("action", "cancel", "not accepted yet"),
    ("action", "delete", "new, correct, cancel"),
    ("action", "", "new, correct, cancel"),
    ("ref_trade_id", N("5"), "text"),
    ("venue", "v" * 65, "at most 64"),
    ("account", "\x1b[31m", "control"),
    ("strategy", True, "text"),
    ("order_id", ["a"], "text"),
    ("currency", "\udfff", "control"),
    ("liquidity", "taken", "maker, taker, auction"),
    ("fee", "1,5", "JSON number"),
    ("fee", "", "JSON number"),
    ("fee_currency", N("1"), "text"),
    ("source", "a\tb", "control"),
    ("source_seq", "5", "integer"),
    ("source_seq", N("1.0"), "integer"),
    ("source_seq", N("9223372036854775808"), "64 bits"),
    ("source_seq", N("-9223372036854775808"), "64 bits"),
    ("source_seq", True, "integer"),
    ("tags", {"a": N("1")}, "flat"),
    ("tags", {"a": None}, "flat"),
    ("tags", {"a": {"b": "c"}}, "flat"),
    ("tags", ["a"], "flat"),
    ("tags", "a", "flat"),
    ("tags", {"a": "\n"}, "control"),
    ("tags", {"\x00": "a"}, "control"),
    ("tags", {"k": "v" * 505}, "512 bytes"),
    ("unknown_field", "x", "unknown field"),
    ("Symbol", "x", "unknown field"),
    ("", None, "unknown field"),
]


@pytest.mark.parametrize(("field", "value", "column", "expected"), ACCEPTED)
def test_a_field_within_its_rule_is_accepted(field: str, value: object, column: str, expected: object) -> None:
    assert getattr(trade(**{field: value}), column) == expected


@pytest.mark.parametrize(("field", "value", "expected"), REFUSED)
def test_a_field_that_breaks_its_rule_is_named_with_what_was_expected(field: str, value: object, expected: str) -> None:
    (error,) = refused(**{field: value})
    assert error.field == field
    assert expected in error.detail
    assert error.received == printable(value)


def test_all_bad_fields_of_a_trade_are_found_at_once() -> None:
    errors = refused(symbol="", price=True, side="up", extra="1", quantity=None)
    assert {error.field for error in errors} == {"symbol", "price", "side", "extra", "quantity"}


def test_a_missing_field_is_told_from_null() -> None:
    with pytest.raises(InvalidTrade) as caught:
        parse_trade({"symbol": None}, NOW)
    assert [(error.field, error.received) for error in caught.value.errors] == [
        ("symbol", "null"),
        ("quantity", "nothing"),
        ("price", "nothing"),
    ]


def test_what_was_received_is_shown_short_and_without_characters_that_act() -> None:
    assert printable("\x1b[2J\x00\ud800") == "\\u001b[2J\\u0000\\ud800"
    assert printable("x" * 5000) == "x" * 79 + "…"
    values: list[object] = [True, False, None, {}, []]
    assert [printable(value) for value in values] == [
        "true",
        "false",
        "null",
        "an object",
        "an array",
    ]
    assert printable(N("1e999")) == "1e999"
    (error,) = refused(**{"\x1b" * 100: "x"})
    assert len(error.field) <= 80
    assert error.field.isprintable()
