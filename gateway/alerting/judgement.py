"""Whether the condition of a rule holds, key by key: one function per kind of rule, from readings alone.

Each yields judgements of what holds, and of what is not known now (`holds` None: an alert stays as it is). A key that
is not named does not hold. While a key fires, `clear` takes the place of `limit`: that is the hysteresis. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from gateway.alerting.readings import Readings, Row, Scope
from gateway.alerting.rule_kinds import (
    BASELINE,
    OPERATIONS,
    PATTERNS,
    RATES,
    SECOND_NS,
    STATISTICS,
    SUMS,
    Backlog,
    Clock,
    Gap,
    LatencyObjective,
    Quarantine,
    Ratio,
    Rule,
    Scoped,
    Silence,
    Threshold,
)
from gateway.reading.windows import WINDOWS
from telemetry.times import parse_time


class Judgement(NamedTuple):
    """A condition at one key. `expected` and `received` complete "expected …, received …"."""

    key: str
    key_of: str
    holds: bool | None
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    expected: str = ""
    received: str = ""
    first_seq: int | None = None
    last_seq: int | None = None


# What a rule remembers of its keys between observations: counts that were there before, losses that were accepted.
Memory = MutableMapping[str, float]
Judge = Callable[[Any, Readings, Collection[str], Memory], "Iterable[Judgement] | None"]
_NAMED = 3  # streams that an alert's sentence names besides its own
_WORDS = {">": "at most", ">=": "less than", "<": "at least", "<=": "more than"}
_NOTHING = dict.fromkeys(RATES, 0.0) | dict.fromkeys(SUMS, 0.0)  # what a symbol without trades in a window has


def judge(rule: Rule, readings: Readings, firing: Collection[str], memory: Memory) -> Iterable[Judgement] | None:
    """The judgements of a rule; None when what it needs is not known now."""
    judge_kind = _JUDGES.get(rule.kind)
    return () if judge_kind is None else judge_kind(rule, readings, firing, memory)


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a name is wanted; no patterns want all."""
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def _threshold(rule: Threshold, readings: Readings, firing: Collection[str], _: Memory) -> Iterable[Judgement] | None:
    rows = _totals(rule, readings) if rule.totals else _symbols(rule, readings, rule.window)
    return None if rows is None else _beyond_limit(rule, _figures(rule, rows, firing), firing, f"in {rule.window}")


def _symbols(rule: Scoped, readings: Readings, window: str) -> Mapping[str, Row] | None:
    if readings.rows is None:
        return None
    rows = readings.rows(window, Scope(rule.venues, rule.kinds))
    return {symbol: row for symbol, row in rows.items() if matches(symbol, rule.symbols)} if rule.symbols else rows


def _totals(rule: Threshold, readings: Readings) -> Mapping[str, Row] | None:
    if readings.totals is None:
        return None
    row = readings.totals(rule.window, Scope(rule.venues, rule.kinds))
    seconds = WINDOWS[rule.window]
    rates = {rate: float(row[of]) / seconds for rate, of in RATES.items() if of in row} if seconds else {}
    return {"totals": {**row, **rates}}


def _figures(rule: Threshold, rows: Mapping[str, Row], firing: Collection[str]) -> Iterator[tuple[str, float]]:
    for key, row in rows.items():
        if (value := row.get(rule.statistic)) is not None:
            yield key, float(value)
    if rule.statistic in _NOTHING:  # a symbol that stopped has no row, and still has a rate: 0
        yield from ((key, 0.0) for key in firing if key not in rows and not rule.totals)


def _beyond_limit(
    rule: Threshold | Ratio, figures: Iterable[tuple[str, float]], firing: Collection[str], where: str
) -> Iterator[Judgement]:
    compare = OPERATIONS[rule.op]
    key_of = "totals" if isinstance(rule, Threshold) and rule.totals else "symbol"
    unit = (STATISTICS | PATTERNS)[rule.statistic] if isinstance(rule, Threshold) else "times"
    for key, value in figures:
        limit = rule.clear if key in firing else rule.limit
        if compare(value, limit):
            expected = f"{rule.statistic} {where} of {_WORDS[rule.op]} {limit:.6g} {unit}"
            yield Judgement(key, key_of, True, value, limit, unit, expected, f"{value:.6g} {unit}")


def _ratio(rule: Ratio, readings: Readings, firing: Collection[str], _: Memory) -> Iterable[Judgement] | None:
    now, before = _symbols(rule, readings, rule.window), _symbols(rule, readings, BASELINE)
    if now is None or before is None:
        return None
    start = readings.window_end_ns - (WINDOWS[rule.window] or 0) * SECOND_NS
    keys = before if rule.op.startswith("<") else now
    found = ((key, _share(rule, now.get(key), before.get(key), start)) for key in keys)
    figures = ((key, value) for key, value in found if value is not None)
    return _beyond_limit(rule, figures, firing, f"in {rule.window} against the hour before")


def _share(rule: Ratio, now: Row | None, hour: Row | None, start_ns: int) -> float | None:
    """A window's figure over the baseline's; sums and rates over those per second of the hour without the window."""
    if hour is None or not hour["first_timestamp"]:
        return None
    covered = (start_ns - parse_time(hour["first_timestamp"])) / SECOND_NS
    trades = hour["trades"] - (now["trades"] if now else 0)
    if trades < rule.samples or covered * SECOND_NS < rule.learn_ns:
        return None
    statistic = RATES.get(rule.statistic, rule.statistic)
    value, base = (now or _NOTHING).get(statistic), hour.get(statistic)
    if value is None or base is None:
        return None
    if statistic not in SUMS:
        return float(value) / float(base) if float(base) else None
    base_rate = (float(base) - float(value)) / covered
    return float(value) / (WINDOWS[rule.window] or 1) / base_rate if base_rate else None


def _silence(rule: Silence, readings: Readings, firing: Collection[str], _: Memory) -> Iterable[Judgement] | None:
    if readings.streams is None:
        return None
    return _silent(rule, readings, firing)


def _silent(rule: Silence, readings: Readings, firing: Collection[str]) -> Iterator[Judgement]:
    for of in rule.streams:
        known = (readings.streams or {}).get(of, {})
        # Who was silent and is not even listed has not come again: a restart may have lost what was known of it.
        yield from (Judgement(name, of, None) for name in firing if name not in known)
        for name, (state, seconds, allowed, part_of, along) in known.items():
            if state in ("fresh", "quiet") or not matches(name, rule.names):
                continue
            if part_of and name not in firing:  # one cause, one alert: that of the stream that it is part of
                continue
            holds = True if state == "silent" else None  # learning after a restart: not known
            expected = f"a trade of {of} {name} at least every {allowed:.3g} s"
            received = f"none for {seconds:.3g} s{_along(along)}"
            yield Judgement(name, of, holds, seconds, allowed, "s", expected, received)


def _along(names: tuple[str, ...]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f" (silent with it: {', '.join(names[:_NAMED])}{more})"


def _gap(rule: Gap, readings: Readings, firing: Collection[str], memory: Memory) -> Iterable[Judgement] | None:
    if readings.sources is None:
        return None
    found = []
    for name, (missing, first, last) in readings.sources.items():
        if missing < memory.get(name, 0):  # some of an accepted loss came after all
            memory[name] = missing
        new = missing - memory.get(name, 0)
        if matches(name, rule.sources) and new >= (1 if name in firing else rule.missing):
            span = "" if first is None else f", the newest {first} to {last}"
            received = f"{new:.0f} missing (source_seq{span})"
            expected = f"every trade of source {name}"
            found.append(Judgement(name, "source", True, new, rule.missing, "trades", expected, received))
    return found


def _latency(
    rule: LatencyObjective, readings: Readings, firing: Collection[str], _: Memory
) -> Iterable[Judgement] | None:
    if readings.latency is None:
        return None
    row = readings.latency(rule.window).get(rule.stage)
    if row is None or row["count"] < rule.samples:
        return ()
    limit = (rule.clear_ns if rule.stage in firing else rule.limit_ns) / SECOND_NS
    value = row[rule.quantile]
    if value is None:  # two clocks that cannot be compared
        return (Judgement(rule.stage, "stage", None),)
    if not value > limit:
        return ()
    expected = f"{rule.quantile} of stage {rule.stage} in {rule.window} of at most {limit:.6g} s"
    return (Judgement(rule.stage, "stage", True, value, limit, "s", expected, f"{value:.6g} s"),)


def _backlog(rule: Backlog, readings: Readings, firing: Collection[str], _: Memory) -> Iterable[Judgement] | None:
    if readings.backlog is None:
        return None
    limit = rule.clear if "backlog" in firing else rule.limit
    if readings.backlog <= limit:
        return ()
    expected = f"at most {limit} trades on disk and not yet in the figures"
    received = f"{readings.backlog} trades"
    return (Judgement("backlog", "gateway", True, readings.backlog, limit, "trades", expected, received),)


def _quarantine(rule: Quarantine, readings: Readings, _: Collection[str], memory: Memory) -> Iterable[Judgement] | None:
    if readings.quarantined is None:
        return None
    count = len(readings.quarantined)
    known = int(memory.setdefault("count", count))  # those of before the first observation are no news
    memory["count"] = count
    if count <= known:
        return ()
    seqs = readings.quarantined[known:]
    received = f"{count - known} more, {count} in all"
    expected = "no trade that workers die of"
    return (Judgement("quarantine", "gateway", True, count, known, "trades", expected, received, seqs[0], seqs[-1]),)


def _clock(rule: Clock, readings: Readings, _: Collection[str], __: Memory) -> Iterable[Judgement] | None:
    if readings.clocks is None:
        return None
    return _clocks(rule, readings)


def _clocks(rule: Clock, readings: Readings) -> Iterator[Judgement]:
    limit = rule.offset_ns / SECOND_NS
    for name, (samples, negative, offset, error) in (readings.clocks or {}).items():
        if not matches(name, rule.sources):
            continue
        if samples < rule.samples:
            yield Judgement(name, "source", None)
        elif offset is not None and abs(offset) - error > limit:
            expected = f"the clock of source {name} within {limit:.6g} s of the gateway's"
            received = f"{abs(offset):.6g} s {'slow' if offset > 0 else 'fast'}"
            yield Judgement(name, "source", True, offset, math.copysign(limit, offset), "s", expected, received)
        elif negative / samples > rule.negative:
            expected = f"at most {rule.negative:.3g} of the time differences of source {name} to be negative"
            share = negative / samples
            yield Judgement(name, "source", True, share, rule.negative, "share", expected, f"{share:.3g}")


_JUDGES: Mapping[str, Judge] = {
    "threshold": _threshold,
    "ratio": _ratio,
    "silence": _silence,
    "gap": _gap,
    "latency": _latency,
    "backlog": _backlog,
    "quarantine": _quarantine,
    "clock": _clock,
}
