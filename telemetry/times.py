"""Instants as int64 nanoseconds since 1970 UTC, and RFC 3339 texts of them.

The range of int64 is 1677-09-21 to 2262-04-11. Its lowest value is not an instant: it marks "absent" in columns.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import lru_cache

ABSENT = -(2**63)
LATEST = 2**63 - 1
SMALLEST_INTEGER = 10**17  # 1973; smaller integers are seconds, milliseconds or microseconds by mistake
EXPECTED = "RFC 3339 with an offset (2026-11-22T13:00:00.123456789Z) or an integer of nanoseconds since 1970"

_SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1)  # UTC, without saying so, as the texts that it is compared with
_EPOCH_DAY = _EPOCH.toordinal()
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:([0-9]{2})(?:\.([0-9]+))?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
).fullmatch
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)").fullmatch


def parse_time(text: str) -> int:
    """Nanoseconds of an RFC 3339 text, exactly. Raises ValueError with what was expected."""
    match = _RFC3339(text)
    if match is None:
        raise ValueError(f"expected {EXPECTED}")
    second, fraction, zone = match.groups()
    if zone is None:
        raise ValueError("expected an offset such as Z or +01:00 at the end; a time without one is refused")
    if second == "60":
        raise ValueError("expected seconds 00 to 59; leap seconds are refused")
    try:
        since = datetime.fromisoformat(text[:19]) - _EPOCH
    except ValueError as error:
        raise ValueError(f"expected a day of the calendar and a time of day: {error}") from None
    seconds = since.days * 86_400 + since.seconds - offset_seconds(zone)
    return in_range(seconds * _SECOND + _fraction_ns(fraction))


def parse_integer_time(text: str) -> int:
    """Nanoseconds since 1970 given as the literal of a JSON number. Raises ValueError with what was expected."""
    if _INTEGER(text) is None:
        raise ValueError("expected an integer of nanoseconds, without fraction or exponent")
    if len(text) > 20:
        raise ValueError("expected nanoseconds since 1970 that fit 64 bits (until the year 2262)")
    value = int(text)
    if value < SMALLEST_INTEGER:
        raise ValueError(f"expected nanoseconds since 1970; this integer looks like {_unit(value)}")
    return in_range(value)


def format_time(nanoseconds: int) -> str:
    """RFC 3339 in UTC with exactly nine decimals."""
    seconds, fraction = divmod(nanoseconds, _SECOND)
    days, rest = divmod(seconds, 86_400)
    day = date.fromordinal(_EPOCH_DAY + days)
    return f"{day.isoformat()}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}.{fraction:09}Z"


def stamp(nanoseconds: int) -> bytes:
    """As `format_time`, in bytes and in a third of the time: the text of a second is kept for the next call."""
    seconds, fraction = divmod(nanoseconds, _SECOND)
    return b"%b.%09dZ" % (_second_text(seconds), fraction)


@lru_cache(maxsize=16)
def _second_text(seconds: int) -> bytes:
    return format_time(seconds * _SECOND)[: len("2026-11-22T13:00:00")].encode()


def day_number(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01. Raises ValueError for a day that no calendar has."""
    try:
        return date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError as error:
        raise ValueError(f"expected a day of the calendar: {error}") from None


def offset_seconds(zone: str) -> int:
    """Seconds east of UTC of `Z` or `+hh:mm`. Raises ValueError out of range."""
    if zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 23 or minutes > 59:
        raise ValueError("expected an offset from -23:59 to +23:59")
    return (-1 if zone[0] == "-" else 1) * (hours * 3600 + minutes * 60)


def in_range(nanoseconds: int) -> int:
    """The same instant. Raises ValueError when int64 cannot hold it."""
    if not ABSENT < nanoseconds <= LATEST:
        raise ValueError("expected a time between 1677-09-21 and 2262-04-11, the range of 64 bit nanoseconds")
    return nanoseconds


def _fraction_ns(fraction: str | None) -> int:
    if not fraction:
        return 0
    if fraction[9:].strip("0"):
        raise ValueError("expected at most nine decimals of a second (nanoseconds)")
    return int(fraction[:9].ljust(9, "0"))


def _unit(value: int) -> str:
    if value < 10**11:
        return "seconds (multiply by 10^9)"
    return "milliseconds (multiply by 10^6)" if value < 10**14 else "microseconds (multiply by 1000)"
