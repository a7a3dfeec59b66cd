"""Times as files write them, to UTC nanoseconds since 1970, exactly.

Epoch numbers carry no unit, so the magnitude decides: below 10^11 seconds, below 10^14 milliseconds, below 10^17
microseconds, else nanoseconds. Each limit is the year 5138 in its own unit and 1973 in the next finer one: real trades
fall on neither side.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from telemetry.errors import InvalidInput

NANOSECONDS = 10**9
UNITS = ((10**11, NANOSECONDS), (10**14, 10**6), (10**17, 10**3))  # (magnitude below which, nanoseconds)
LIMIT = 2**63

_EPOCH = re.compile(r"-?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,2})?", re.ASCII)
_DATE = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", re.ASCII)
_TEXT = re.compile(
    r"(\d{4})([-/.]?)(\d\d)\2(\d\d)"
    r"(?:[Tt \-]\s*(\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?\s*(Z|z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_CLOCK = re.compile(r"\d\d?:\d\d(:\d\d([.,]\d+)?)?", re.ASCII)


class Instant(int):
    """UTC nanoseconds: the file's format itself says unit and zone."""


class Local(int):
    """Nanoseconds on a wall clock whose zone the file does not say."""


class Zone:
    """The zone of times that carry none: `name` is an IANA zone, `None` means UTC, announced once through `notice`."""

    def __init__(self, name: str | None, notice: Callable[[str], None]) -> None:
        self._notice = notice
        self._announced = name is not None
        try:
            self._zone = None if name in (None, "UTC") else ZoneInfo(str(name))
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise InvalidInput(f"--tz: expected an IANA time zone such as Europe/Zurich, received {name!r}") from error

    def utc(self, local: int) -> int:
        """The instant of a wall clock reading, both in nanoseconds.

        A reading that the zone skips is a ValueError; one that it has twice is taken as the first.
        """
        if not self._announced:
            self._announced = True
            self._notice("times without a zone are read as UTC; --tz names another zone")
        if self._zone is None:
            return local
        seconds, fraction = divmod(local, NANOSECONDS)
        return self._shift(seconds) * NANOSECONDS + fraction

    def _shift(self, seconds: int) -> int:
        wall = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=self._zone)
        instant = int(wall.timestamp())
        if datetime.fromtimestamp(instant, self._zone).replace(tzinfo=None) != wall.replace(tzinfo=None):
            raise ValueError(f"{wall:%Y-%m-%d %H:%M:%S} does not exist in {self._zone}")
        if wall.replace(fold=1).timestamp() != instant:
            self._notice(f"{wall:%Y-%m-%d} has an hour twice in {self._zone}; its first occurrence is taken")
        return instant


def nanoseconds(value: object, zone: Zone) -> int:
    """UTC nanoseconds of any time a file may hold; a ValueError says what was expected and what was received."""
    if isinstance(value, Instant):
        return int(value)
    if isinstance(value, Local):
        return zone.utc(int(value))
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(_expected(value))
    text = str(value).strip()
    if _EPOCH.fullmatch(text) and not _DATE.fullmatch(text):
        return _in_range(epoch(text), text)
    return _in_range(_from_text(text, zone), text)


def epoch(text: str) -> int:
    """Nanoseconds of an epoch number whose unit is told by its magnitude."""
    number = Decimal(text)
    factor = next((factor for limit, factor in UNITS if abs(number) < limit), 1)
    scaled = number * factor
    if scaled != scaled.to_integral_value():
        raise ValueError(f"expected no finer than a nanosecond, received {text!r}")
    return int(scaled)


def is_clock(value: object) -> bool:
    """Whether this is a time of day alone, which needs a date from another column."""
    return isinstance(value, str) and _CLOCK.fullmatch(value.strip()) is not None


def _from_text(text: str, zone: Zone) -> int:
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(_expected(text))
    year, _, month, day, hour, minute, second, fraction, offset = match.groups()
    clock = (int(hour or 0), int(minute or 0), int(second or 0))
    if clock[0] > 23 or clock[1] > 59 or clock[2] > 59:
        raise ValueError(_expected(text))
    days = date(int(year), int(month), int(day)).toordinal() - 719163  # the ordinal of 1970-01-01
    seconds = days * 86_400 + clock[0] * 3600 + clock[1] * 60 + clock[2]
    local = seconds * NANOSECONDS + _fraction(fraction or "", text)
    return zone.utc(local) if offset is None else local - _offset_seconds(offset) * NANOSECONDS


def _fraction(digits: str, text: str) -> int:
    if digits[9:].strip("0"):
        raise ValueError(f"expected no finer than a nanosecond, received {text!r}")
    return int(digits[:9].ljust(9, "0"))


def _offset_seconds(offset: str) -> int:
    if offset in ("Z", "z", "UTC", "GMT"):
        return 0
    digits = offset[1:].replace(":", "").ljust(4, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if offset[0] == "-" else seconds


def _in_range(instant: int, text: str) -> int:
    if not -LIMIT <= instant < LIMIT:
        raise ValueError(f"expected a time between 1678 and 2262, received {text!r}")
    return instant


def _expected(value: object) -> str:
    return f"expected a time such as 2024-07-01T23:58:01.218Z or an epoch number, received {str(value)[:80]!r}"
