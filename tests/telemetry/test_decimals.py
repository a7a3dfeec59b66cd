"""Decimals: the grammar, the limits, and the one way to write each value."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from telemetry.decimals import format_decimal, parse_decimal

VALUES = [
    ("0", (0, 0)),
    ("-0", (0, 0)),
    ("-0.000", (0, 0)),
    ("0e999999999999999999999999", (0, 0)),
    ("0e5", (0, 0)),
    ("0E-400", (0, 0)),
    ("5", (5, 0)),
    ("-5", (-5, 0)),
    ("1500", (1500, 0)),
    ("1.50", (15, 1)),
    ("0.10000000000000000000000000000000000", (1, 1)),
    ("64250.10", (642501, 1)),
    ("1e3", (1000, 0)),
    ("1E+3", (1000, 0)),
    ("1e-3", (1, 3)),
    ("12.5e1", (125, 0)),
    ("12.5e0", (125, 1)),
    ("1.25e-2", (125, 4)),
    ("1e17", (10**17, 0)),
    ("1e18", None),
    ("1000000000000000000", None),
    ("999999999999999999", (999_999_999_999_999_999, 0)),
    ("-999999999999999999", (-999_999_999_999_999_999, 0)),
    ("999999999999999999.5", None),
    ("999999999.999999999", (999_999_999_999_999_999, 9)),
    ("0.999999999999999999", (999_999_999_999_999_999, 18)),
    ("1e-18", (1, 18)),
    ("1e-19", None),
    ("0.000000000000000001", (1, 18)),
    ("0.0000000000000000001", None),
    ("10e-19", (1, 18)),
    ("123456789012345678", (123_456_789_012_345_678, 0)),
    ("1234567890123456789", None),
    ("1.234567890123456789", None),
    ("100000000000000000.1", None),
    ("9007199254740991", (2**53 - 1, 0)),
    ("9007199254740993", (2**53 + 1, 0)),
    ("1e999", None),
    ("1e-999", None),
    ("1e99999999999999999999", None),
    ("0.1e00000000000000000001", (1, 0)),
]
MALFORMED = [
    *(
        "",
        " ",
        "5 ",
        " 5",
        "+5",
        "1_0",
        "1,5",
        "1.",
        ".5",
        "-",
        "-.5",
        "05",
        "-01",
        "00",
        "0x10",
        "1e",
        "1e+",
        "e5",
        "--5",
    ),
    *(
        "NaN",
        "nan",
        "Infinity",
        "-Infinity",
        "inf",
        "true",
        "null",
        "１２",
        "٣",
        "5\n",
        "5\x00",
        "1.2.3",
        "1e1.5",
        "½",
        "1 000",
    ),
]


@pytest.mark.parametrize(("text", "expected"), VALUES)
def test_a_number_is_read_by_its_value_or_refused_at_the_limits(text: str, expected: tuple[int, int] | None) -> None:
    if expected is None:
        with pytest.raises(ValueError, match=r"magnitude below 10\^18"):
            parse_decimal(text)
    else:
        assert parse_decimal(text) == expected


@pytest.mark.parametrize("text", MALFORMED)
def test_what_the_grammar_of_json_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a JSON number"):
        parse_decimal(text)


def test_a_number_of_a_million_digits_is_refused_at_once() -> None:
    for text in ("9" * 1_000_000, "0." + "0" * 1_000_000 + "1", "1e" + "9" * 1_000_000):
        with pytest.raises(ValueError, match="expected"):
            parse_decimal(text)
    assert parse_decimal("1." + "0" * 1_000_000) == (1, 0)


@given(st.integers(-(10**18) + 1, 10**18 - 1), st.integers(0, 18))
@example(10**17, 18)
def test_formatting_and_reading_again_gives_the_same_value(mantissa: int, scale: int) -> None:
    text = format_decimal(mantissa, scale)
    again, again_scale = parse_decimal(text)
    assert Decimal(again).scaleb(-again_scale) == Decimal(mantissa).scaleb(-scale) == Decimal(text)
    assert format_decimal(again, again_scale) == text


@given(st.integers(), st.integers(0, 60))
@example(-1, 0)
@example(0, 5)
@example(-(10**80), 40)
def test_a_total_of_any_size_is_written_plainly(mantissa: int, scale: int) -> None:
    text = format_decimal(mantissa, scale)
    assert int(text.replace(".", "")) * 10**scale == mantissa * 10 ** len(text.partition(".")[2])
    assert "e" not in text.lower()
    assert text != "-0"
    assert "." not in text or not text.endswith(("0", "."))


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**17), max_value=10**17, places=9))
def test_the_value_is_what_decimal_reads(value: Decimal) -> None:
    try:
        mantissa, scale = parse_decimal(str(value))
    except ValueError:
        assert len(value.normalize().as_tuple().digits) > 18
    else:
        assert Decimal(mantissa).scaleb(-scale) == value
