"""Windows of time: the event clock, and which atoms a window covers.

The event clock is the latest trade time seen (the watermark, never more than 5 s ahead of the wall clock when it came)
plus the time passed since that trade was received, never beyond now. So it runs at the market's time after a replay
of old files, at the wall clock's for a live feed, and goes on when feeds die: figures decay instead of standing still.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from gateway.state.atoms import LEVELS, AtomTable
from telemetry.errors import InvalidInput
from telemetry.partial import Watermark
from telemetry.times import parse_integer_time, parse_time

WINDOWS: dict[str, int | None] = {"10s": 10, "1m": 60, "5m": 300, "1h": 3600, "1d": 86400, "all": None}
# Of candles; these are the usual ones, any other length that divides a day will do.
INTERVALS = ("1s", "5s", "10s", "30s", "1m", "5m", "15m", "30m", "1h", "4h", "1d")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_INTERVAL = re.compile("([1-9][0-9]{0,4})([smhd])").fullmatch
SECOND_NS = 1_000_000_000


class Window(NamedTuple):
    """[start, end) in seconds since 1970; `seconds` is the length that was asked for."""

    start: int
    end: int
    seconds: int


def event_clock(watermark: Watermark | None, now_ns: int) -> int:
    """The instant, UTC ns, that windows end at; `now_ns` is the wall clock."""
    if watermark is None:
        return now_ns
    return min(now_ns, watermark.timestamp + max(0, now_ns - watermark.received_at))


def instant_of(at: str | None, watermark: Watermark | None, now_ns: int) -> int:
    """The instant that `at=` names: RFC 3339, integer ns, `watermark`, or (None) the event clock."""
    if at is None:
        return event_clock(watermark, now_ns)
    if at == "watermark":
        return watermark.timestamp if watermark else now_ns
    try:
        return parse_integer_time(at) if at.isdigit() else parse_time(at)
    except ValueError as error:
        raise InvalidInput(f"at: {error}", problem="invalid") from None


def window_of(name: str, instant_ns: int, atoms: AtomTable) -> Window | None:
    """The window `name` that ends at an instant; None is all data. Its end is the end of the second (for `1d` the
    minute) that holds the instant; its borders give way to atoms that they would cut."""
    if name not in WINDOWS:
        raise InvalidInput(f"window: expected one of {' '.join(WINDOWS)}, received {name[:40]!r}")
    seconds = WINDOWS[name]
    if seconds is None:
        return None
    unit = 60 if name == "1d" else 1
    end = (instant_ns // SECOND_NS // unit + 1) * unit
    return Window(*uncut(end - seconds, end, atoms), seconds)


def whole_atoms(start_ns: int, end_ns: int, atoms: AtomTable) -> Window:
    """The period [start, end) of UTC ns, in whole seconds; its borders give way to atoms that they would cut."""
    start, end = start_ns // SECOND_NS, -(-end_ns // SECOND_NS)
    return Window(*uncut(start, end, atoms), end - start)


def uncut(start: int, end: int, atoms: AtomTable) -> tuple[int, int]:
    """[start, end) in seconds, moved apart to the borders of atoms that they would cut."""
    start -= start % resolution(atoms, start)
    last = resolution(atoms, end - 1)
    return start, -(-end // last) * last


def resolution(atoms: AtomTable, second: int) -> int:
    """The length in seconds of the atoms held at a time."""
    return LEVELS[int(atoms.level_of(np.array([second]))[0])]


def interval_of(name: str) -> int:
    """The length in seconds of a candle interval: a number of s, m, h or d that divides a day without a rest."""
    match = _INTERVAL(name)
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if not seconds or _UNITS["d"] % seconds:
        usual = " ".join(INTERVALS)
        raise InvalidInput(f"interval: expected a length that divides a day, such as {usual}, received {name[:40]!r}")
    return seconds
