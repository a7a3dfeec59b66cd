"""One alert: what it knows, how it is saved, how it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

from gateway.alerting.judgement import Judgement
from gateway.alerting.rule_kinds import Rule
from telemetry.times import format_time

PENDING, FIRING, RESOLVED = "pending", "firing", "resolved"
_TIMES = ("since", "fired_at", "resolved_at", "acknowledged_at")


@dataclass(slots=True)
class Alert:
    """A rule's condition at one key. Times are UTC ns; None has not happened."""

    id: str  # of rule, key and the instant that it began: the same after a restart, another for the next one
    rule: str
    kind: str
    severity: str
    key: str
    key_of: str
    state: str
    since: int  # when the condition began to hold
    advice: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    expected: str = ""
    received: str = ""
    as_of_seq: int = 0
    first_seq: int | None = None
    last_seq: int | None = None
    fired_at: int | None = None
    resolved_at: int | None = None
    acknowledged_at: int | None = None
    acknowledged_by: str | None = None
    announced: bool = False  # somebody was told that it fires; not so while it is muted
    fired: int = 0  # how often that was told
    holding_since: int | None = None  # for `for`
    clearing_since: int | None = None  # for `clear_for`

    def update(self, judgement: Judgement, as_of_seq: int) -> None:
        """Take over what holds now."""
        _, _, _, self.value, self.limit, self.unit, self.expected, self.received, first, last = judgement
        self.as_of_seq = as_of_seq
        if first is not None:
            self.first_seq = first if self.first_seq is None else self.first_seq
            self.last_seq = last


class Event(NamedTuple):
    """What subscribers are told, numbered from 1 without holes, also across restarts. `kind` is fired, resolved or
    acknowledged; `alert` is what `shown` gives."""

    number: int
    kind: str
    at: int
    alert: dict[str, Any]


def begin(rule: Rule, judgement: Judgement, now_ns: int) -> Alert:
    """A pending alert."""
    name = "\0".join((rule.name, judgement.key_of, judgement.key, str(now_ns)))
    number = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    of = judgement.key, judgement.key_of
    return Alert(number, rule.name, rule.kind, rule.severity, *of, PENDING, now_ns, rule.advice)


def shown(alert: Alert, muted_until: int | None) -> dict[str, Any]:
    """An alert as JSON values; times are RFC 3339."""
    times = {name: value if value is None else format_time(value) for name, value in _times(alert, muted_until)}
    return {
        "id": alert.id,
        "rule": alert.rule,
        "kind": alert.kind,
        "severity": alert.severity,
        "key": alert.key,
        "key_of": alert.key_of,
        "state": alert.state,
        "value": alert.value,
        "threshold": alert.limit,
        "unit": alert.unit,
        **times,
        "acknowledged_by": alert.acknowledged_by,
        "fired": alert.fired,
        "as_of_seq": alert.as_of_seq,
        "first_seq": alert.first_seq,
        "last_seq": alert.last_seq,
        "message": f"Expected {alert.expected}, received {alert.received}. {alert.advice}".rstrip(),
    }


def _times(alert: Alert, muted_until: int | None) -> list[tuple[str, int | None]]:
    return [*((name, getattr(alert, name)) for name in _TIMES), ("muted_until", muted_until)]
