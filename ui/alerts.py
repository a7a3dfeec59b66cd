"""Alerts as people read them: what is wrong, since when, and what can be done. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ui.figures import clock

LABELS = {"critical": "Critical", "warning": "Warning", "info": "Info"}
MUTES = {"15 min": 900, "1 h": 3_600, "8 h": 28_800, "1 day": 86_400}
TRADES = 200  # of those behind an alert that are listed at a time
_CHOOSING = ("symbol", "venue", "source", "strategy")


def items(alerts: Sequence[Mapping[str, Any]], zone: str, now: datetime) -> list[dict[str, Any]]:
    """What the list shows of each alert; times in `zone`."""
    local = now.astimezone(ZoneInfo(zone))
    return [_item(alert, local) for alert in alerts]


def _item(alert: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    first, last = alert.get("first_seq"), alert.get("last_seq")
    return {
        "id": alert["id"],
        "severity": alert["severity"],
        "label": LABELS.get(alert["severity"], str(alert["severity"])),
        "state": state(alert, now),
        "rule": alert["rule"],
        "key": alert["key"],
        "key_of": alert["key_of"],
        "message": alert["message"],
        "firing": alert["state"] == "firing",
        "acknowledged": alert.get("acknowledged_at") is not None,
        "trades": "" if first is None else f"{first:,} – {last:,}" if last != first else f"{first:,}",
    }


def state(alert: Mapping[str, Any], now: datetime) -> str:
    """Where it stands, in a line; times in the zone of `now`."""
    words = [f"since {clock(alert['since'], now)}"]
    if alert["state"] == "pending":
        words.append("holds, not long enough to fire")
    if alert.get("fired_at"):
        words.append(f"fired {clock(alert['fired_at'], now)}")
    if alert.get("resolved_at"):
        words.append(f"resolved {clock(alert['resolved_at'], now)}")
    if alert.get("acknowledged_at"):
        by = f" by {alert['acknowledged_by']}" if alert.get("acknowledged_by") else ""
        words.append(f"acknowledged {clock(alert['acknowledged_at'], now)}{by}")
    if alert.get("muted_until"):
        words.append(f"muted until {clock(alert['muted_until'], now)}")
    return " · ".join(words)


def summary(alerts: Sequence[Mapping[str, Any]]) -> str:
    """How many there are, the most urgent first."""
    firing = [alert for alert in alerts if alert["state"] == "firing"]
    counts = {name: sum(alert["severity"] == name for alert in firing) for name in LABELS}
    words = [f"{count} {LABELS[name].lower()}" for name, count in counts.items() if count]
    waiting = len(alerts) - len(firing)
    if waiting:
        words.append(f"{waiting} over, not acknowledged")
    return " · ".join(words) or "No alert is open"


def behind(alert: Mapping[str, Any]) -> dict[str, Any] | None:
    """The parameters of `GET /v1/trades` for the trades behind an alert; None where it is not about trades."""
    if alert.get("first_seq") is None:
        return None
    asked: dict[str, Any] = {"from_seq": alert["first_seq"], "to_seq": alert["last_seq"], "limit": TRADES}
    if alert["key_of"] in _CHOOSING and alert["key"]:
        asked[alert["key_of"]] = alert["key"]
    return asked


def rules(document: Mapping[str, Any]) -> list[list[str]]:
    """A line for each rule: name, severity, what it is about, how often it fired."""
    return [
        [rule["name"], LABELS.get(rule["severity"], rule["severity"]), rule["description"], f"{rule.get('fired', 0):,}"]
        for rule in document.get("rules", ())
    ]


def mutes(document: Mapping[str, Any], zone: str, now: datetime) -> list[dict[str, str]]:
    """A line for each mute, with its id."""
    local = now.astimezone(ZoneInfo(zone))
    return [
        {
            "id": mute["id"],
            "text": f"{mute['rule']} · {mute['key'] or 'every key'} · until {clock(mute['until'], local)}",
        }
        for mute in document.get("mutes", ())
    ]
