"""Alerts as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ui import alerts

NOW = datetime(2026, 11, 28, 9, 5, tzinfo=UTC)
AT = "2026-11-28T09:00:10.000000000Z"


def alert(**given: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": "9d3c",
        "rule": "fat-finger",
        "kind": "outlier",
        "severity": "critical",
        "key": "BTC-USDT",
        "key_of": "symbol",
        "state": "firing",
        "since": AT,
        "fired_at": AT,
        "resolved_at": None,
        "acknowledged_at": None,
        "acknowledged_by": None,
        "muted_until": None,
        "first_seq": 17,
        "last_seq": 20,
        "message": "Expected a price near 64250, received 642500.",
    }
    return values | given


def test_an_alert_says_what_is_wrong_since_when_and_which_trades_are_behind_it() -> None:
    (item,) = alerts.items([alert()], "Europe/Berlin", NOW)
    assert (item["label"], item["key"], item["trades"]) == ("Critical", "BTC-USDT", "17 – 20")
    assert item["state"] == "since 10:00:10 · fired 10:00:10"
    assert (item["firing"], item["acknowledged"]) == (True, False)


def test_who_acknowledged_and_until_when_it_is_muted_are_told() -> None:
    words = alerts.state(alert(acknowledged_at=AT, acknowledged_by="ana", muted_until=AT), NOW)
    assert "acknowledged 09:00:10 by ana" in words
    assert "muted until 09:00:10" in words


def test_the_trades_behind_it_are_those_of_its_range_and_its_key() -> None:
    assert alerts.behind(alert()) == {"from_seq": 17, "to_seq": 20, "limit": alerts.TRADES, "symbol": "BTC-USDT"}
    assert alerts.behind(alert(key_of="stage", key="merge")) == {"from_seq": 17, "to_seq": 20, "limit": alerts.TRADES}
    assert alerts.behind(alert(first_seq=None, last_seq=None)) is None


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], "No alert is open"),
        ([alert(), alert(severity="info"), alert()], "2 critical · 1 info"),
        ([alert(state="resolved")], "1 over, not acknowledged"),
    ],
)
def test_the_summary_counts_what_fires_by_urgency_and_what_waits(found: list[dict[str, Any]], words: str) -> None:
    assert alerts.summary(found) == words


def test_a_mute_of_a_whole_rule_says_so() -> None:
    document = {"mutes": [{"id": "41b2", "rule": "silent-source", "key": None, "until": AT}]}
    assert alerts.mutes(document, "UTC", NOW) == [{"id": "41b2", "text": "silent-source · every key · until 09:00:10"}]
