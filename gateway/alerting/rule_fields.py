"""The fields of each kind of rule in a rule file: type, unit, default, range, meaning.

This is the one place that says so; docs/alerts.md is held to it by a test. Durations are texts ("30s", "5m") in a
file and nanoseconds inside. Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gateway.alerting.rule_kinds import (
    OPERATIONS,
    PATTERNS,
    QUANTILES,
    RING,
    SECOND_NS,
    SEVERITIES,
    STATISTICS,
    STREAMS,
)
from gateway.latency import STAGES
from gateway.latency import WINDOWS as LATENCY_WINDOWS
from gateway.reading.windows import WINDOWS


class Field(NamedTuple):
    """A field of a rule file: `read` gives its value or raises ValueError with what was expected."""

    read: Callable[[Any], Any]
    expected: str
    default: Any  # REQUIRED, a value of the file, or the name of a field to take it from: "=limit"
    meaning: str
    to: str = ""  # the attribute, where it has another name


REQUIRED = object()
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)").fullmatch
_UNITS = {"ms": 1_000_000, "s": SECOND_NS, "m": 60 * SECOND_NS, "h": 3600 * SECOND_NS, "d": 86400 * SECOND_NS}
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}").fullmatch


def _field(read: Callable[[Any], Any | None], expected: str, default: Any, meaning: str, to: str = "") -> Field:
    """A field whose `read` answers None (or fails) for what is not expected."""

    def checked(value: Any) -> Any:
        found = read(value)
        if found is None:
            raise ValueError(f"expected {expected}")
        return found

    return Field(checked, expected, default, meaning, to)


def _duration(default: Any, meaning: str, to: str, low: int = 0) -> Field:
    def read(value: Any) -> int | None:
        match = _DURATION(value) if isinstance(value, str) else None
        found = round(float(match[1]) * _UNITS[match[2]]) if match and len(value) <= 20 else -1
        return found if low <= found <= _UNITS["d"] else None

    least = " above 0s" if low else ""
    return _field(read, f'a duration{least} up to "1d", such as "500ms", "30s", "5m"', default, meaning, to)


def _number(low: float, high: float, default: Any, meaning: str, *, whole: bool = False) -> Field:
    def read(value: Any) -> float | None:
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            return None
        return value if whole and low <= value <= high else float(value) if low <= value <= high else None

    sort = "a whole number" if whole else "a number"
    within = "" if math.isinf(high) else f" from {low:g} to {high:g}"
    return _field(read, sort + within, default, meaning)


def _choice(names: tuple[str, ...], default: Any, meaning: str) -> Field:
    return _field(lambda value: value if value in names else None, f"one of {' '.join(names)}", default, meaning)


def _texts(default: Any, meaning: str, names: tuple[str, ...] = ()) -> Field:
    def read(value: Any) -> tuple[str, ...] | None:
        good = isinstance(value, list) and len(value) <= 1000 and all(isinstance(text, str) for text in value)
        return tuple(value) if good and (not names or (value and set(value) <= set(names))) else None

    expected = f"a list of some of {' '.join(names)}" if names else "a list of texts"
    return _field(read, expected, default, meaning)


def _text(default: Any, meaning: str) -> Field:
    return _field(lambda value: value if isinstance(value, str) and len(value) <= 500 else None,
                  "a text of at most 500 characters", default, meaning)  # fmt: skip


def _whole(low: int, high: int, default: Any, meaning: str) -> Field:
    return _number(low, high, default, meaning, whole=True)


_SCOPE = {
    "symbols": _texts([], "Only symbols that match one of these patterns (`*` `?` `[a-z]`); none given: all"),
    "venues": _texts([], "Only these venues"),
    "kinds": _texts([], "Only trades of these kinds: `fill`, `print`"),
}
_LIMIT = {
    "op": _choice(tuple(OPERATIONS), ">", "How the figure is compared with `limit`"),
    "limit": _number(-math.inf, math.inf, REQUIRED, "The condition holds when the figure is on the wrong side of it"),
    "clear": _number(-math.inf, math.inf, "=limit", "Once firing, the condition holds until the figure passes this"),
}  # fmt: skip
_ROW, _PATTERN = "A figure of the row of statistics, in its own unit", "or one of a symbol's patterns"
_SOURCES = _texts([], "Only sources that match one of these patterns; none given: all")
NAME = _field(
    lambda value: value if isinstance(value, str) and _NAME(value) else None,
    "a name of small letters, digits and . _ - of at most 64 characters",
    REQUIRED,
    "Identifies the rule, unique in the file; the label `rule` of its metric",
)


def _shared(hold: str | None, clear_for: str, advice: str) -> dict[str, Field]:
    found = {
        "name": NAME,
        "severity": _choice(SEVERITIES, "warning", "How urgent: `info`, `warning`, `critical`"),
        "clear_for": _duration(clear_for, "Resolved when the condition did not hold for so long", "clear_for_ns"),
        "advice": _text(advice, "What to do, the end of the alert's sentence"),
    }
    return found if hold is None else found | {"for": _duration(hold, "Fires when it held for so long", "for_ns")}


FIELDS: Mapping[str, Mapping[str, Field]] = {
    "threshold": _shared("0s", "10s", "Look at the symbol's trades.")
    | {"statistic": _choice((*STATISTICS, *PATTERNS), REQUIRED, f"{_ROW}, {_PATTERN}"),
       "window": _choice(tuple(WINDOWS), "1m", "The window of the figure")}
    | _LIMIT
    | {"totals": _field(lambda value: value if isinstance(value, bool) else None, "true or false", False,
                        "true: the sum over all symbols instead of each symbol")}
    | _SCOPE,
    "ratio": _shared("0s", "1m", "Look at the symbol's trades and its news.")
    | {"statistic": _choice(tuple(STATISTICS), REQUIRED, _ROW),
       "window": _choice(("10s", "1m", "5m"), "1m", "The window that is compared")}
    | _LIMIT
    | {"samples": _whole(1, 10**9, 100, "Trades that the baseline needs before it is judged by"),
       "learn": _duration("15m", "Time that the baseline needs to cover before it is judged by", "learn_ns", 1)}
    | _SCOPE,
    "fat_finger": _shared(None, "1m", "Check the order; bust or correct the trade if it is wrong.")
    | {"of": _choice(("price", "quantity"), REQUIRED, "What of a trade is judged"),
       "deviations": _number(1, 1e6, 20, "k: robust deviations from the median of the recent trades"),
       "tail": _number(1, 1e6, 40, "Quantity only: also more than so many times the 99 % quantile of recent trades"),
       "trades": _whole(32, RING, 64, "Trades that an instrument needs before it is judged")}
    | _SCOPE,
    "silence": _shared("0s", "0s", "Check that the sender runs and reaches the gateway.")
    | {"streams": _texts(["venue", "source", "strategy"], "Which streams", STREAMS),
       "names": _texts([], "Only streams whose names match one of these patterns; none given: all")},
    "gap": _shared("5s", "0s", "Have the sender send the missing ones again; acknowledge to accept the loss.")
    | {"sources": _SOURCES, "missing": _whole(1, 10**12, 1, "Fires from so many missing trades on")},
    "latency": _shared("30s", "30s", "Look at the load of gateway, workers and disk.")
    | {"stage": _choice(STAGES, "end_to_end", "Which part of a trade's way"),
       "window": _choice(tuple(LATENCY_WINDOWS), "1m", "The window of the quantile"),
       "quantile": _choice(QUANTILES, "p99", "Which figure"),
       "limit": _duration(REQUIRED, "The condition holds above it", "limit_ns", 1),
       "clear": _duration("=limit", "Once firing, the condition holds above this", "clear_ns"),
       "samples": _whole(1, 10**9, 100, "Times that a window needs before it is judged")},
    "backlog": _shared("30s", "10s", "Start more workers, or send more slowly.")
    | {"limit": _whole(1, 10**12, REQUIRED, "The condition holds above so many trades"),
       "clear": _whole(0, 10**12, "=limit", "Once firing, the condition holds above this")},
    "quarantine": _shared(None, "1m", "Look at the trade in the journal and at the workers' logs; report it."),
    "clock": _shared("30s", "1m", "Synchronise the sender's clock.")
    | {"sources": _SOURCES,
       "offset": _duration("2s", "The condition holds when the clock is off by more, either way", "offset_ns", 1),
       "negative": _number(0, 1, 0.001, "It also holds when a larger share of the time differences is negative"),
       "samples": _whole(1, 10**9, 100, "Time differences that a source needs before it is judged")},
}  # fmt: skip
