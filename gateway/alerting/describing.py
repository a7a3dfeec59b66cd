"""What a rule says in one sentence."""

from __future__ import annotations

from gateway.alerting.rule_kinds import (
    SECOND_NS,
    Backlog,
    Clock,
    FatFinger,
    Gap,
    LatencyObjective,
    Ratio,
    Rule,
    Silence,
    Threshold,
)


def describe(rule: Rule) -> str:
    """For people, such as "p99 of end_to_end in 1m above 5 s, for 30 s"."""
    held = f", for {_seconds(rule.for_ns)}" if rule.for_ns else ""
    return f"{_condition(rule)}{held}"


def _condition(rule: Rule) -> str:
    match rule:
        case Threshold():
            of = "of all symbols " if rule.totals else ""
            return f"{rule.statistic} {of}in {rule.window} {rule.op} {rule.limit:.6g}"
        case Ratio():
            return f"{rule.statistic} in {rule.window} {rule.op} {rule.limit:.6g} times that of the hour before"
        case FatFinger():
            tail = f" and above {rule.tail:.6g} times their largest hundredth" if rule.of == "quantity" else ""
            return f"a {rule.of} more than {rule.deviations:.6g} robust deviations from recent trades{tail}"
        case Silence():
            return f"{' or '.join(rule.streams)} silent"
        case Gap():
            return f"{rule.missing} or more numbers of a source missing"
        case LatencyObjective():
            return f"{rule.quantile} of {rule.stage} in {rule.window} above {_seconds(rule.limit_ns)}"
        case Backlog():
            return f"more than {rule.limit:,} trades on disk and not in the figures"
        case Clock():
            return f"a source's clock off by more than {_seconds(rule.offset_ns)}"
    return "a trade is quarantined"


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / SECOND_NS:.6g} s"
