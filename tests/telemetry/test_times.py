"""Times: RFC 3339 with an offset or integer nanoseconds, exactly, within 64 bits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.times import ABSENT, LATEST, format_time, parse_integer_time, parse_time, stamp

TEXTS = [
    ("1970-01-01T00:00:00Z", 0),
    ("2026-11-22T13:00:00Z", 1_795_352_400_000_000_000),
    ("2026-11-22T13:00:00.1Z", 1_795_352_400_100_000_000),
    ("2026-11-22T13:00:00.123456789Z", 1_795_352_400_123_456_789),
    ("2026-11-22T13:00:00.123456789000Z", 1_795_352_400_123_456_789),
    ("2026-11-22t13:00:00z", 1_795_352_400_000_000_000),
    ("2026-11-22 13:00:00+00:00", 1_795_352_400_000_000_000),
    ("2026-11-22T13:00:00-00:00", 1_795_352_400_000_000_000),
    ("2026-11-22T14:30:00+01:30", 1_795_352_400_000_000_000),
    ("2026-11-21T23:00:00-14:00", 1_795_352_400_000_000_000),
    ("2024-02-29T00:00:00Z", 1_709_164_800_000_000_000),
    ("1969-12-31T23:59:59.999999999Z", -1),
    ("1677-09-21T00:12:43.145224193Z", ABSENT + 1),
    ("2262-04-11T23:47:16.854775807Z", LATEST),
]
REFUSED_TEXTS = [
    ("2026-11-22T13:00:00", "offset"),
    ("2026-11-22 13:00:00.123", "offset"),
    ("2026-11-22", "RFC 3339"),
    ("2026-11-22T13:00Z", "RFC 3339"),
    ("20261122T130000Z", "RFC 3339"),
    ("2026-11-22T13:00:00,5Z", "RFC 3339"),
    ("2026-11-22T13:00:00.Z", "RFC 3339"),
    ("2026-11-22T13:00:00+0100", "RFC 3339"),
    ("2026-11-22T13:00:00 Z", "RFC 3339"),
    ("2026-11-22T13:00:00Z ", "RFC 3339"),
    ("２026-11-22T13:00:00Z", "RFC 3339"),
    ("1795352400000000000", "RFC 3339"),
    ("", "RFC 3339"),
    ("now", "RFC 3339"),
    ("2026-11-22T13:00:00.1234567891Z", "nine decimals"),
    ("2016-12-31T23:59:60Z", "leap"),
    ("2026-11-22T13:00:61Z", "calendar"),
    ("2026-11-22T24:00:00Z", "calendar"),
    ("2026-11-22T13:60:00Z", "calendar"),
    ("2026-02-29T00:00:00Z", "calendar"),
    ("2026-13-01T00:00:00Z", "calendar"),
    ("2026-00-01T00:00:00Z", "calendar"),
    ("2026-01-00T00:00:00Z", "calendar"),
    ("0000-01-01T00:00:00Z", "calendar"),
    ("2026-11-22T13:00:00+24:00", "offset from"),
    ("2026-11-22T13:00:00+01:60", "offset from"),
    ("1677-09-21T00:12:43.145224192Z", "1677"),
    ("1677-01-01T00:00:00Z", "1677"),
    ("2262-04-11T23:47:16.854775808Z", "2262"),
    ("9999-12-31T23:59:59-23:59", "2262"),
    ("0001-01-01T00:00:00+23:59", "1677"),
]
REFUSED_INTEGERS = [
    ("1795352400", "looks like seconds"),
    ("1795352400123", "looks like milliseconds"),
    ("1795352400123456", "looks like microseconds"),
    ("99999999999999999", "looks like microseconds"),
    ("0", "looks like seconds"),
    ("-1", "looks like"),
    ("-1795352400000000000", "looks like"),
    ("9223372036854775808", "2262"),
    ("9" * 100, "64 bits"),
    ("1795352400000000000.0", "without fraction"),
    ("1.7953524e18", "without fraction"),
    ("NaN", "without fraction"),
]


@pytest.mark.parametrize(("text", "nanoseconds"), TEXTS)
def test_a_time_with_an_offset_is_read_to_the_nanosecond(text: str, nanoseconds: int) -> None:
    assert parse_time(text) == nanoseconds


@pytest.mark.parametrize(("text", "hint"), REFUSED_TEXTS)
def test_any_other_text_is_refused_with_the_reason(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        parse_time(text)


@pytest.mark.parametrize("literal", ["100000000000000000", "1795352400123456789", "9223372036854775807"])
def test_an_integer_of_nanoseconds_is_taken_as_it_is(literal: str) -> None:
    assert parse_integer_time(literal) == int(literal)


@pytest.mark.parametrize(("literal", "hint"), REFUSED_INTEGERS)
def test_an_integer_in_another_unit_is_refused_with_that_hint(literal: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        parse_integer_time(literal)


@given(st.integers(ABSENT + 1, LATEST))
def test_every_instant_of_64_bits_survives_writing_and_reading(nanoseconds: int) -> None:
    text = format_time(nanoseconds)
    assert len(text) == len("2026-11-22T13:00:00.123456789Z")
    assert parse_time(text) == nanoseconds


@given(
    st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)),
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_the_instant_is_the_one_that_datetime_reads(naive: datetime, minutes: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert parse_time(moment.isoformat()) == expected


@given(st.integers(ABSENT + 1, LATEST))
def test_a_stamp_is_the_same_text_in_bytes(nanoseconds: int) -> None:
    assert stamp(nanoseconds) == format_time(nanoseconds).encode()
