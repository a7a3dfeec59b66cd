"""The alert engine: a state machine over observations that says what changed.

Theory of operation. Once a second `observe` is given readings; each rule judges its keys (a symbol, a source, a stage),
and every (rule, key) whose condition holds has one alert. `trades` is given single trades, for fat fingers.

    state      condition       becomes
    (none)     holds           pending; firing at once when the rule has no `for`
    pending    held for `for`  firing    -> event "fired", unless muted
    pending    does not hold   (none)
    firing     does not hold   firing, until it has not held for `clear_for`: resolved -> event "resolved"
    resolved   holds           after `for` firing again, the same alert
    any        is not known    stays as it is

A resolved alert stays until it is acknowledged (it is latched), then it is past; one that was acknowledged while it
fired is past as soon as it resolves. What fires under a mute is told when the mute ends, if it still fires; if not,
it is past without a word. So of one key "fired" and "resolved" alternate, whatever happens between. Durations are
differences of `now_ns`; when the clock is set back they begin anew.

Bounds: KEYS alerts per rule (then the oldest resolved ones go, and if none is, the new key is left out and counted in
`left_out`), PAST past ones (the oldest go), mutes as gateway.alerting.mutes says. Pure: no I/O, time is an argument.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gateway.alerting.alert import FIRING, PENDING, RESOLVED, Alert, Event, begin, shown
from gateway.alerting.fingers import Fingers
from gateway.alerting.judgement import Judgement, judge
from gateway.alerting.mutes import Mutes, mute_row
from gateway.alerting.readings import Readings, Trades
from gateway.alerting.rule_kinds import FatFinger, Rule
from telemetry.errors import InvalidInput

VERSION = 1  # of what `export` gives
KEYS = 1000
PAST = 1000
ANY = 2**63 - 1
_URGENCY = {"critical": 0, "warning": 1, "info": 2}


class Alerts:
    """The alerts of a set of rules. Every method that may change something returns what to tell, in order."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules: dict[str, Rule] = {}
        self.fired: dict[str, int] = {}  # how often each rule's alerts fired, for the metric; never goes back
        self.left_out: dict[str, int] = {}
        self._live: dict[str, dict[str, Alert]] = {}
        self._past: deque[Alert] = deque(maxlen=PAST)
        self.mutes = Mutes()
        self._memory: dict[str, dict[str, float]] = {}
        self._number = 0
        self.fingers = Fingers()
        self._adopt(rules)

    # --- observing -------------------------------------------------------------------------------------------------

    def observe(self, readings: Readings, now_ns: int) -> list[Event]:
        """Judge every rule. A rule whose readings are not known leaves its alerts alone."""
        events: list[Event] = []
        readings = readings.asked_once()
        self.mutes.expire(now_ns)
        for rule in self.rules.values():
            live = self._live[rule.name]
            firing = {alert.key for alert in live.values() if alert.state == FIRING}
            judgements = judge(rule, readings, firing, self._memory[rule.name])
            if judgements is not None:
                rest = dict(live)
                for judgement in judgements:
                    rest.pop(_place(judgement.key_of, judgement.key), None)
                    if judgement.holds:
                        events += self._holds(rule, judgement, readings.as_of_seq, now_ns)
                for alert in rest.values():
                    events += self._does_not_hold(rule, alert, now_ns)
            for alert in live.values():
                events += self._announce(alert, now_ns)
        return events

    def trades(self, batch: Trades, now_ns: int) -> list[Event]:
        """Judge single trades, in the order of the journal. Those up to the last that was judged (before a restart,
        say) are only learned from, so that nothing fires twice."""
        events: list[Event] = []
        for rule, judgement in self.fingers.judge(batch):
            events += self._holds(rule, judgement, self.fingers.judged, now_ns)
        return events

    def _holds(self, rule: Rule, judgement: Judgement, as_of_seq: int, now_ns: int) -> list[Event]:
        live = self._live[rule.name]
        place = _place(judgement.key_of, judgement.key)
        alert = live.get(place)
        if alert is None:
            if not self._has_room(rule.name):
                self.left_out[rule.name] = self.left_out.get(rule.name, 0) + 1
                return []
            alert = live[place] = begin(rule, judgement, now_ns)
        alert.update(judgement, as_of_seq)
        alert.severity, alert.advice = rule.severity, rule.advice
        alert.clearing_since = None
        if alert.state == FIRING:
            return []
        if alert.holding_since is None or alert.holding_since > now_ns:
            alert.holding_since = now_ns
        if now_ns - alert.holding_since < rule.for_ns:
            return []
        alert.state, alert.since, alert.fired_at, alert.resolved_at = FIRING, alert.holding_since, now_ns, None
        alert.holding_since, alert.announced = None, False
        return self._announce(alert, now_ns)

    def _does_not_hold(self, rule: Rule, alert: Alert, now_ns: int) -> list[Event]:
        alert.holding_since = None
        if alert.state == PENDING:
            self._forget(alert)
        if alert.state != FIRING:
            return []
        if alert.clearing_since is None or alert.clearing_since > now_ns:
            alert.clearing_since = now_ns
        if now_ns - alert.clearing_since < rule.clear_for_ns:
            return []
        return self._resolve(alert, now_ns)

    def _announce(self, alert: Alert, now_ns: int) -> list[Event]:
        if alert.state != FIRING or alert.announced or alert.acknowledged_at is not None:
            return []
        if (self.mutes.until(alert.rule, alert.key) or 0) > now_ns:
            return []
        alert.announced = True
        alert.fired += 1
        self.fired[alert.rule] += 1
        return [self._event("fired", alert, now_ns)]

    def _resolve(self, alert: Alert, now_ns: int) -> list[Event]:
        alert.state, alert.resolved_at, alert.clearing_since = RESOLVED, now_ns, None
        told = alert.announced
        alert.announced = False
        if alert.acknowledged_at is not None or not alert.fired:
            self._bury(alert)
        return [self._event("resolved", alert, now_ns)] if told else []

    # --- what people do --------------------------------------------------------------------------------------------

    def acknowledge(self, number: str, by: str, now_ns: int) -> list[Event]:
        """Somebody has seen it; again by anybody changes nothing. Of a gap it accepts the loss so far.

        Raises InvalidInput for an alert that is not there (not-found) or has not fired (not-now).
        """
        alert = self._find(number)
        if alert.state == PENDING:
            raise InvalidInput(f"alert {number}: expected one that has fired, it is pending", problem="not-now")
        if not 1 <= len(by) <= 64:
            raise InvalidInput(f"by: expected 1 to 64 characters, received {len(by)}")
        if alert.acknowledged_at is not None:
            return []
        alert.acknowledged_at, alert.acknowledged_by = now_ns, by
        if alert.kind == "gap" and alert.state == FIRING and alert.value is not None:
            accepted = self._memory[alert.rule]
            accepted[alert.key] = accepted.get(alert.key, 0) + alert.value
        self._bury(alert)
        return [self._event("acknowledged", alert, now_ns)]

    def mute(self, rule: str, key: str | None, until_ns: int) -> dict[str, Any]:
        """Tell nothing of a rule, or of one key of it, until then; an instant that is past ends a mute.

        Raises InvalidInput for a rule that is not there, or when there are too many mutes.
        """
        if rule not in self.rules:
            raise InvalidInput(f"rule: expected one of the rules, received {rule[:80]!r}", problem="not-found")
        self.mutes.add(rule, key, until_ns)
        return mute_row(rule, key, until_ns)

    # --- reading ---------------------------------------------------------------------------------------------------

    def listed(self, *, past: bool = False) -> list[dict[str, Any]]:
        """Alerts that are pending, firing or latched, the most urgent first; or the past ones, the newest first."""
        if past:
            return [self._shown(alert) for alert in reversed(self._past)]
        alerts = sorted(self._all(), key=lambda one: (one.state != FIRING, _URGENCY[one.severity], -one.since, one.id))
        return [self._shown(alert) for alert in alerts]

    def open(self) -> Counter[tuple[str, str]]:
        """By rule and severity how many alerts fire, or are latched."""
        return Counter((alert.rule, alert.severity) for alert in self._all() if alert.state != PENDING)

    def firing(self, kind: str) -> set[tuple[str, str]]:
        """What the alerts of this kind of rule that fire are of: (key_of, key)."""
        return {(alert.key_of, alert.key) for alert in self._all() if alert.kind == kind and alert.state == FIRING}

    def get(self, number: str) -> dict[str, Any]:
        """One alert, live or past. Raises InvalidInput (not-found)."""
        return self._shown(self._find(number))

    # --- rules, and the way through a restart ------------------------------------------------------------------------

    def reload(self, rules: Sequence[Rule], now_ns: int) -> list[Event]:
        """Take other rules. Those that judge as before keep their alerts; those of the others resolve and are past."""
        gone = {name: rule.identity() for name, rule in self.rules.items()}
        return self._retire(gone, rules, now_ns)

    def export(self) -> dict[str, Any]:
        """Everything but the recent trades as JSON values, for `restore`. Save it with each event, or what fired since
        the last time fires again."""
        return {
            "version": VERSION,
            "rules": {name: rule.identity() for name, rule in self.rules.items()},
            "alerts": [asdict(alert) for alert in self._all()],
            "past": [asdict(alert) for alert in self._past],
            "mutes": self.mutes.export(),
            "memory": {rule: dict(memory) for rule, memory in self._memory.items() if memory},
            "fired": dict(self.fired),
            "number": self._number,
            "judged": self.fingers.judged,
        }

    def restore(self, saved: Mapping[str, Any], now_ns: int, newest: int = ANY) -> list[Event]:
        """Take over what `export` gave, then go on as `reload` does with the rules of now. `newest` is the last trade
        there is: a journal may have lost its end.

        Raises InvalidInput, and changes nothing, for what is no export of this version.
        """
        try:
            if saved["version"] != VERSION:
                raise ValueError(saved["version"])
            live: dict[str, dict[str, Alert]] = {name: {} for name in saved["rules"]}
            for each in saved["alerts"]:
                live[each["rule"]][_place(each["key_of"], each["key"])] = Alert(**each)
            past = deque((Alert(**each) for each in saved["past"]), maxlen=PAST)
            mutes = Mutes(saved["mutes"])
            memory = {rule: dict(saved["memory"].get(rule, {})) for rule in saved["rules"]}
            fired, number, judged = dict(saved["fired"]), int(saved["number"]), min(newest, int(saved["judged"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            received = str(error)[:80]
            raise InvalidInput(f"alerts: expected what export gave, version {VERSION}, received {received}") from None
        self._live, self._past, self.mutes, self._memory = live, past, mutes, memory
        self.fired, self._number, self.fingers.judged = fired, number, judged
        return self._retire(saved["rules"], list(self.rules.values()), now_ns)

    def _retire(self, identities: Mapping[str, str], rules: Sequence[Rule], now_ns: int) -> list[Event]:
        kept = {rule.name: rule.identity() for rule in rules}
        events: list[Event] = []
        for name in [name for name, identity in identities.items() if kept.get(name) != identity]:
            for alert in list(self._live[name].values()):
                events += self._resolve(alert, now_ns) if alert.state == FIRING else []
                self._bury(alert)
            del self._live[name], self._memory[name]
        self.mutes.keep(kept)
        self._adopt(rules)
        return events

    def _adopt(self, rules: Sequence[Rule]) -> None:
        self.rules = {rule.name: rule for rule in rules}
        for name in self.rules:
            self._live.setdefault(name, {})
            self._memory.setdefault(name, {})
            self.fired.setdefault(name, 0)
        self.fingers.watch([rule for rule in rules if isinstance(rule, FatFinger)])

    # --- bookkeeping ----------------------------------------------------------------------------------------------

    def _all(self) -> Iterator[Alert]:
        return (alert for live in self._live.values() for alert in live.values())

    def _find(self, number: str) -> Alert:
        for alert in (*self._all(), *self._past):
            if alert.id == number:
                return alert
        raise InvalidInput(f"id: expected the id of an alert, received {number[:80]!r}", problem="not-found")

    def _has_room(self, rule: str) -> bool:
        live = self._live[rule]
        if len(live) >= KEYS:
            latched = [alert for alert in live.values() if alert.state == RESOLVED]
            if not latched:
                return False
            self._bury(min(latched, key=lambda alert: alert.resolved_at or 0))
        return True

    def _forget(self, alert: Alert) -> bool:
        """Whether it was live until now."""
        live, place = self._live.get(alert.rule, {}), _place(alert.key_of, alert.key)
        return live.get(place) is alert and live.pop(place) is alert

    def _bury(self, alert: Alert) -> None:
        """Make a resolved alert a past one, if it is not yet."""
        if alert.state == RESOLVED and self._forget(alert):
            alert.holding_since = None
            self._past.append(alert)

    def _event(self, kind: str, alert: Alert, now_ns: int) -> Event:
        self._number += 1
        return Event(self._number, kind, now_ns, self._shown(alert))

    def _shown(self, alert: Alert) -> dict[str, Any]:
        return shown(alert, self.mutes.until(alert.rule, alert.key))


def _place(key_of: str, key: str) -> str:
    return f"{key_of} {key}"
