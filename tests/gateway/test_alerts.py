"""The alert engine: every kind of rule, the life of an alert, restarts, reloads, bounds. Time is an argument."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import alerts as engine
from gateway.alerting.alert import Event
from gateway.alerting.mutes import MUTES
from gateway.alerting.readings import ClockReading, Readings, Scope, SourceReading, StreamReading
from gateway.alerting.rules import read_rules
from gateway.alerts import Alerts
from telemetry.errors import InvalidInput
from telemetry.times import format_time
from telemetry.trade import Instrument
from tests.gateway.market import Market

SECOND = 1_000_000_000
NOW = 1_790_000_000 * SECOND
DATA = Path(__file__).resolve().parents[2] / "../shared/data"
DEFAULT = (Path(engine.__file__).parent / "default_rules.toml").read_text("utf-8")


def rule(kind: str, name: str = "r", **fields: Any) -> str:
    """A rule of a file; `for_` is `for`."""
    lines = [
        f"{key.rstrip('_')} = {json.dumps(value)}" for key, value in {"name": name, "kind": kind, **fields}.items()
    ]
    return "\n".join(("[[rule]]", *lines, ""))


def alerts(*texts: str) -> Alerts:
    return Alerts(read_rules("".join(texts)))


def backlog(trades: int | None) -> Readings:
    return Readings(as_of_seq=7, backlog=trades)


def kinds(events: Sequence[Event]) -> list[str]:
    return [event.kind for event in events]


def play(alert: Alerts, *trades: int | None, start: int = 0) -> list[str]:
    """The events of one backlog a second, each with its second."""
    return [
        f"{event.kind} {second}"
        for second, count in enumerate(trades, start)
        for event in alert.observe(backlog(count), NOW + second * SECOND)
    ]


BACKLOG = rule("backlog", limit=10, clear=5, for_="2s", clear_for="3s")
AT_ONCE = rule("backlog", limit=10, for_="0s", clear_for="0s")


def fired() -> tuple[Alerts, str]:
    """An engine whose one alert fires, and its id."""
    found = alerts(AT_ONCE)
    (event,) = found.observe(backlog(11), NOW)
    return found, event.alert["id"]


# --- the life of an alert --------------------------------------------------------------------------------------------


def test_an_alert_fires_once_when_its_condition_held_for_so_long() -> None:
    assert play(alerts(BACKLOG), 11, 11, 11, 11, 11) == ["fired 2"]
    assert play(alerts(BACKLOG), 11, 11, 10, 11, 11, 10) == []


def test_a_firing_alert_resolves_below_clear_and_only_when_it_was_there_for_so_long() -> None:
    assert play(alerts(BACKLOG), 11, 11, 11, 6, 6, 6, 6, 6) == ["fired 2"]
    assert play(alerts(BACKLOG), 11, 11, 11, 5, 5, 6, 5, 5, 5, 5) == ["fired 2", "resolved 9"]


def test_a_pending_alert_is_listed_and_tells_nothing() -> None:
    found = alerts(BACKLOG)
    assert play(found, 11) == []
    (alert,) = found.listed()
    assert (alert["state"], alert["since"], alert["fired_at"]) == ("pending", format_time(NOW), None)
    with pytest.raises(InvalidInput, match="expected one that has fired, it is pending"):
        found.acknowledge(alert["id"], "me", NOW)
    assert play(found, 0, start=1) == []
    assert found.listed() == []


def test_an_alert_says_what_was_expected_what_was_received_and_what_to_do() -> None:
    found, number = fired()
    assert found.get(number) == {
        "id": number, "rule": "r", "kind": "backlog", "severity": "warning", "key": "backlog", "key_of": "gateway",
        "state": "firing", "value": 11, "threshold": 10, "unit": "trades", "since": format_time(NOW),
        "fired_at": format_time(NOW), "resolved_at": None, "acknowledged_at": None, "acknowledged_by": None,
        "muted_until": None, "fired": 1, "as_of_seq": 7, "first_seq": None, "last_seq": None,
        "message": "Expected at most 10 trades on disk and not yet in the figures, received 11 trades. "
        "Start more workers, or send more slowly.",
    }  # fmt: skip


def test_a_resolved_alert_stays_until_it_is_acknowledged() -> None:
    found, number = fired()
    assert play(found, 0, start=1) == ["resolved 1"]
    assert [alert["state"] for alert in found.listed()] == ["resolved"]
    assert kinds(found.acknowledge(number, "me", NOW + 2 * SECOND)) == ["acknowledged"]
    assert found.listed() == []
    (past,) = found.listed(past=True)
    assert (past["acknowledged_by"], past["acknowledged_at"]) == ("me", format_time(NOW + 2 * SECOND))


def test_an_alert_that_is_acknowledged_while_it_fires_goes_on_and_is_past_when_it_resolves() -> None:
    found, number = fired()
    assert kinds(found.acknowledge(number, "me", NOW)) == ["acknowledged"]
    assert found.acknowledge(number, "you", NOW) == []
    assert found.listed()[0]["state"] == "firing"
    assert play(found, 11, 0, start=1) == ["resolved 2"]
    assert (found.listed(), found.get(number)["acknowledged_by"]) == ([], "me")


def test_a_latched_alert_fires_again_as_the_same_and_one_after_it_was_acknowledged_as_another() -> None:
    found, number = fired()
    assert play(found, 0, 11, 0, start=1) == ["resolved 1", "fired 2", "resolved 3"]
    assert found.get(number)["fired"] == 2
    found.acknowledge(number, "me", NOW)
    assert play(found, 11, start=4) == ["fired 4"]
    assert found.listed()[0]["id"] != number
    assert found.fired == {"r": 3}


def test_an_unknown_alert_and_a_name_that_is_none_are_refused_and_change_nothing() -> None:
    found, number = fired()
    saved = found.export()
    with pytest.raises(InvalidInput, match="expected the id of an alert, received 'x'") as caught:
        found.acknowledge("x", "me", NOW)
    assert caught.value.problem == "not-found"
    with pytest.raises(InvalidInput, match="by: expected 1 to 64 characters, received 65"):
        found.acknowledge(number, "x" * 65, NOW)
    assert found.export() == saved


def test_what_is_not_known_changes_nothing() -> None:
    found = alerts(BACKLOG)
    assert play(found, 11, None, None, 11, 11, None, None, None) == ["fired 3"]
    assert play(found, 0, None, None, None, start=8) == []
    assert play(found, 0, start=12) == ["resolved 12"]


def test_a_clock_that_is_set_back_starts_durations_anew() -> None:
    found = alerts(BACKLOG)
    assert found.observe(backlog(11), NOW + 3600 * SECOND) == []
    assert play(found, 11, 11, 11) == ["fired 2"]


# --- mutes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "backlog"])
def test_what_fires_under_a_mute_is_listed_and_told_when_the_mute_ends(key: str | None) -> None:
    found = alerts(AT_ONCE)
    found.mute("r", key, NOW + 3 * SECOND)
    assert play(found, 0, 11, 11) == []
    (alert,) = found.listed()
    assert (alert["state"], alert["muted_until"]) == ("firing", format_time(NOW + 3 * SECOND))
    assert play(found, 11, 11, start=3) == ["fired 3"]
    assert found.listed()[0]["muted_until"] is None


def test_what_fired_and_resolved_under_a_mute_is_past_without_a_word() -> None:
    found = alerts(AT_ONCE)
    found.mute("r", None, NOW + 10 * SECOND)
    assert play(found, 11, 0) == []
    assert (found.listed(), len(found.listed(past=True)), found.fired) == ([], 1, {"r": 0})


def test_what_was_told_to_fire_is_told_to_have_resolved_also_under_a_mute_and_stays_latched() -> None:
    found, _ = fired()
    found.mute("r", None, NOW + 100 * SECOND)
    assert play(found, 0, 11, 0, start=1) == ["resolved 1"]
    assert [alert["state"] for alert in found.listed()] == ["resolved"]


def test_a_mute_of_one_key_leaves_the_others_and_mutes_are_bounded() -> None:
    found = alerts(rule("silence"))
    found.mute("r", "a", NOW + SECOND)
    silent = {name: StreamReading("silent", 9.0, 5.0) for name in "ab"}
    assert [event.alert["key"] for event in found.observe(Readings(0, streams={"venue": silent}), NOW)] == ["b"]
    with pytest.raises(InvalidInput, match="rule: expected one of the rules, received 'x'"):
        found.mute("x", None, NOW)
    for number in range(MUTES - 1):
        found.mute("r", str(number), NOW + SECOND)
    with pytest.raises(InvalidInput, match="expected at most 1000"):
        found.mute("r", "one more", NOW + SECOND)
    found.mute("r", "a", NOW)
    found.observe(Readings(0), NOW)
    assert found.mutes.until("r", "a") is None


# --- restart and reload ----------------------------------------------------------------------------------------------


def restarted(found: Alerts, *texts: str, now: int = NOW) -> tuple[Alerts, list[Event]]:
    """Another engine with what the first one saved, by way of JSON."""
    other = alerts(*texts)
    return other, other.restore(json.loads(json.dumps(found.export())), now)


def test_what_fires_goes_on_after_a_restart_without_firing_again() -> None:
    found, number = fired()
    found.acknowledge(number, "me", NOW)
    found.mute("r", "other", NOW + 100 * SECOND)
    other, events = restarted(found, AT_ONCE)
    assert (events, other.export()) == ([], found.export())
    assert play(other, None, 11, 11, 0, start=1) == ["resolved 4"]
    assert other.get(number)["acknowledged_by"] == "me"


def test_durations_go_on_through_a_restart_and_events_keep_their_numbers() -> None:
    found = alerts(BACKLOG)
    play(found, 11, 11)
    other, _ = restarted(found, BACKLOG)
    (event,) = other.observe(backlog(11), NOW + 2 * SECOND)
    assert (event.kind, event.number) == ("fired", 1)
    third, _ = restarted(other, BACKLOG)
    assert play(third, 0, 0, 0, 0, start=3) == ["resolved 6"]
    assert third.export()["number"] == 2


def test_rules_that_changed_or_went_resolve_and_those_that_did_not_keep_their_alerts() -> None:
    texts = [rule("backlog", name, limit=10, for_="0s") for name in ("kept", "changed", "gone")]
    found = alerts(*texts)
    assert kinds(found.observe(backlog(11), NOW)) == ["fired"] * 3
    found.mute("gone", None, NOW + SECOND)
    changed = rule("backlog", "changed", limit=9, for_="5s")
    kept = rule("backlog", "kept", limit=10, for_="0s", severity="critical", advice="Wait.")
    events = found.reload(read_rules(kept + changed), NOW + SECOND)
    assert [(event.kind, event.alert["rule"]) for event in events] == [("resolved", "changed"), ("resolved", "gone")]
    assert found.observe(backlog(11), NOW + 2 * SECOND) == []
    states = {alert["rule"]: (alert["state"], alert["severity"]) for alert in found.listed()}
    assert states == {"kept": ("firing", "critical"), "changed": ("pending", "warning")}
    assert found.listed()[0]["message"].endswith(" Wait.")
    assert [alert["rule"] for alert in found.listed(past=True)] == ["gone", "changed"]
    assert found.export()["mutes"] == []


def test_a_restart_with_other_rules_is_a_reload() -> None:
    found, number = fired()
    other, events = restarted(found, BACKLOG, now=NOW + SECOND)
    assert kinds(events) == ["resolved"]
    assert other.get(number)["state"] == "resolved"
    assert kinds(other.acknowledge(number, "me", NOW)) == ["acknowledged"]
    assert len(other.listed(past=True)) == 1


@pytest.mark.parametrize("damage", [{"version": 2}, {"alerts": [{}]}, {"mutes": [1]}, {"judged": "x"}, {"past": None}])
def test_a_saved_state_that_is_none_is_refused_and_changes_nothing(damage: dict[str, Any]) -> None:
    found, _ = fired()
    saved = found.export()
    with pytest.raises(InvalidInput, match="alerts: expected what export gave, version 1, received"):
        found.restore(saved | damage, NOW)
    assert found.export() == saved


# --- bounds ----------------------------------------------------------------------------------------------------------


def silent(*names: str, fresh: Iterable[str] = ()) -> Readings:
    states = {name: StreamReading("fresh", 0.1, 5.0) for name in fresh}
    return Readings(0, streams={"symbol": states | {name: StreamReading("silent", 9.0, 5.0) for name in names}})


def test_a_rule_has_at_most_a_thousand_alerts_and_new_ones_push_the_oldest_resolved_out() -> None:
    found = alerts(rule("silence", streams=["symbol"]))
    names = [f"S{number}" for number in range(engine.KEYS)]
    assert len(found.observe(silent(*names), NOW)) == engine.KEYS
    assert found.observe(silent(*names, "new"), NOW) == []
    assert found.left_out == {"r": 1}
    assert kinds(found.observe(silent(*names[1:], fresh=names), NOW + SECOND)) == ["resolved"]
    assert kinds(found.observe(silent(*names[1:], "new", fresh=names), NOW + 2 * SECOND)) == ["fired"]
    assert [alert["key"] for alert in found.listed(past=True)] == ["S0"]
    found.observe(silent(fresh=(*names, "new")), NOW + 3 * SECOND)
    found.observe(silent(*(f"T{number}" for number in range(engine.KEYS))), NOW + 4 * SECOND)
    assert (len(found.listed()), len(found.listed(past=True))) == (engine.KEYS, engine.PAST)


# --- the state machine at large --------------------------------------------------------------------------------------

steps = st.one_of(
    st.tuples(st.just("see"), st.sampled_from([None, 0, 5, 6, 11])),
    st.tuples(st.just("wait"), st.integers(-2, 4)),
    st.tuples(st.just("acknowledge"), st.none()),
    st.tuples(st.just("mute"), st.integers(-1, 4)),
    st.tuples(st.just("restart"), st.none()),
    st.tuples(st.just("reload"), st.none()),
)


@settings(deadline=None)
@given(st.lists(steps, max_size=60), st.sampled_from([BACKLOG, AT_ONCE]))
def test_an_alert_never_fires_twice_without_resolving_between_and_a_restart_is_never_noticed(
    story: list[tuple[str, Any]], text: str
) -> None:
    found, now, told = alerts(text), NOW, list[str]()
    numbers = list[int]()
    for what, value in story:
        events: list[Event] = []
        if what == "see":
            events = found.observe(backlog(value), now)
        elif what == "wait":
            now += value * SECOND
        elif what == "mute":
            found.mute("r", None, now + value * SECOND)
        elif what == "restart":
            other, events = restarted(found, text)
            assert other.export() == found.export()
            found = other
        elif what == "reload":
            events = found.reload(read_rules(text), now)
        else:
            for alert in found.listed():
                if alert["state"] != "pending":
                    events += found.acknowledge(alert["id"], "me", now)
        told += [kind for kind in kinds(events) if kind != "acknowledged"]
        numbers += [event.number for event in events]
        assert json.loads(json.dumps(found.export())) == found.export()
    assert told == [("fired", "resolved")[place % 2] for place in range(len(told))]
    assert numbers == list(range(1, len(numbers) + 1))
    assert found.fired == {"r": told.count("fired")}


# --- kinds of rules --------------------------------------------------------------------------------------------------


def row(trades: int = 0, first: int | None = None, **figures: Any) -> dict[str, Any]:
    return {"trades": trades, "first_timestamp": first and format_time(first), **figures}


def stats(rows: Mapping[str, Mapping[str, dict[str, Any]]], totals: dict[str, Any] | None = None) -> Readings:
    """Rows by window and symbol."""
    return Readings(
        as_of_seq=9,
        window_end_ns=NOW,
        rows=lambda window, scope: rows[window] if scope == Scope((), ()) else {},
        totals=lambda window, scope: totals or {},
    )


def test_a_threshold_is_judged_per_symbol_and_decimals_are_read() -> None:
    found = alerts(rule("threshold", statistic="quantity", limit=5, op=">=", symbols=["A*"], clear_for="0s"))
    rows = {"A": row(quantity="5"), "AB": row(quantity="4.9"), "B": row(quantity="900"), "AC": row(quantity=None)}
    (event,) = found.observe(stats({"1m": rows}), NOW)
    assert (event.alert["key"], event.alert["value"], event.alert["unit"]) == ("A", 5.0, "quantity")
    assert event.alert["message"].startswith("Expected quantity in 1m of less than 5 quantity, received 5 quantity.")
    assert kinds(found.observe(stats({"1m": {}}), NOW + SECOND)) == ["resolved"]


def test_a_symbol_that_stopped_has_a_rate_of_zero_and_no_price() -> None:
    low = rule("threshold", "low", statistic="trades_per_second", limit=1, op="<", clear_for="0s")
    cheap = rule("threshold", "cheap", statistic="vwap", limit=1, op="<", clear_for="0s")
    found = alerts(low, cheap)
    slow = {"1m": {"A": row(3, trades_per_second=0.05, vwap=0.5)}}
    assert kinds(found.observe(stats(slow), NOW)) == ["fired", "fired"]
    (event,) = found.observe(stats({"1m": {}}), NOW + SECOND)
    assert (event.kind, event.alert["rule"]) == ("resolved", "cheap")


def test_a_threshold_on_totals_asks_for_the_venues_and_kinds_of_the_rule() -> None:
    asked = list[tuple[str, Scope]]()

    def totals(window: str, scope: Scope) -> dict[str, Any]:
        asked.append((window, scope))
        return {"trades": 300}

    fields = {"statistic": "trades_per_second", "limit": 4, "totals": True, "venues": ["X"], "kinds": ["fill"]}
    found = alerts(rule("threshold", "a", **fields), rule("threshold", "b", **fields | {"limit": 6}))
    (event,) = found.observe(Readings(0, totals=totals), NOW)
    assert (event.alert["rule"], event.alert["key"], event.alert["value"]) == ("a", "totals", 5.0)
    assert asked == [("1m", Scope(("X",), ("fill",)))]


def test_a_ratio_compares_a_window_with_the_hour_before_it() -> None:
    found = alerts(rule("ratio", statistic="trades", limit=10, clear_for="0s"))
    start = NOW - 3600 * SECOND

    def seen(trades: int, hour: int, first: int = start) -> list[str]:
        rows = {"1m": {"A": row(trades)}, "1h": {"A": row(hour + trades, first)}}
        return kinds(found.observe(stats(rows), NOW))

    assert seen(120, 708) == []  # 120 a minute after 12 a minute is 10 times as many, not more
    assert seen(121, 708) == ["fired"]
    assert seen(120, 708) == ["resolved"]
    assert seen(50, 99) == []  # too few trades to say
    assert seen(5000, 200, NOW - 15 * 60 * SECOND) == []  # less than 15 minutes before the window
    assert seen(5000, 200, NOW - 16 * 60 * SECOND) == ["fired"]


def test_a_ratio_of_a_mean_is_of_the_figures_themselves_and_of_a_rate_that_of_the_counts() -> None:
    first = NOW - 3600 * SECOND
    mean = rule("ratio", "mean", statistic="quantity_mean", limit=2, clear_for="0s")
    rate = rule("ratio", "rate", statistic="trades_per_second", limit=0.1, op="<")
    found = alerts(mean, rate)
    hour = row(600, first, quantity_mean=4.0)
    rows = {"1m": {"A": row(10, quantity_mean=8.5)}, "1h": {"A": hour}}
    assert [event.alert["rule"] for event in found.observe(stats(rows), NOW)] == ["mean"]
    stopped = found.observe(stats({"1m": {}, "1h": {"A": hour}}), NOW)
    assert [(event.kind, event.alert["rule"]) for event in stopped] == [("resolved", "mean"), ("fired", "rate")]


def test_a_silent_stream_fires_until_it_is_fresh_or_its_market_closes_and_learning_changes_nothing() -> None:
    found = alerts(rule("silence", streams=["venue", "source"], names=["x*"]))

    def seen(**states: str) -> list[str]:
        streams = {of: {"x1": StreamReading(state, 9.0, 5.0)} for of, state in states.items()}
        events = found.observe(Readings(0, streams=streams), NOW)
        return [f"{event.alert['key_of']} {event.kind}" for event in events]

    assert seen(venue="never_seen", source="learning", strategy="silent") == []
    assert seen(venue="silent", source="silent") == ["venue fired", "source fired"]
    assert seen(venue="learning", source="silent") == []
    assert seen(venue="fresh", source="quiet") == ["venue resolved", "source resolved"]
    assert found.observe(Readings(0, streams={"venue": {"y": StreamReading("silent", 9.0, 5.0)}}), NOW) == []


def test_a_gap_fires_until_it_heals() -> None:
    found = alerts(rule("gap", missing=2))

    def seen(second: int, missing: int) -> list[str]:
        sources = {"bot": SourceReading(missing, 17, 18)}
        return kinds(found.observe(Readings(0, sources=sources), NOW + second * SECOND))

    assert [seen(0, 1), seen(9, 2), seen(13, 2), seen(14, 2), seen(15, 1), seen(16, 0)] == [
        [], [], [], ["fired"], [], ["resolved"],
    ]  # fmt: skip
    assert "received 1 missing (source_seq, the newest 17 to 18)." in found.listed()[0]["message"]


def test_acknowledging_a_gap_accepts_the_loss_so_far_and_more_fires_again_also_after_a_restart() -> None:
    text = rule("gap", for_="0s")
    found = alerts(text)

    def seen(missing: int) -> list[str]:
        return kinds(found.observe(Readings(0, sources={"bot": SourceReading(missing)}), NOW + missing))

    assert seen(3) == ["fired"]
    found.acknowledge(found.listed()[0]["id"], "me", NOW)
    assert [seen(3), seen(3), seen(4)] == [["resolved"], [], ["fired"]]
    found, _ = restarted(found, text)
    assert [seen(4), seen(3), seen(2), seen(3)] == [[], ["resolved"], [], ["fired"]]


def test_a_latency_objective_is_judged_where_there_are_enough_samples_and_clocks_allow() -> None:
    found = alerts(rule("latency", limit="20ms", clear="10ms", for_="0s", clear_for="0s"))

    def seen(p99: float | None, count: int = 100) -> list[str]:
        rows = {"end_to_end": {"count": count, "p99": p99}}
        return kinds(found.observe(Readings(0, latency=lambda window: rows if window == "1m" else {}), NOW))

    assert [seen(0.03, 99), seen(0.02), seen(0.021), seen(0.015), seen(None)] == [[], [], ["fired"], [], []]
    assert seen(0.01) == ["resolved"]


def test_quarantine_fires_when_the_count_rises_and_not_for_those_of_before() -> None:
    found = alerts(rule("quarantine", clear_for="0s"))

    def seen(*seqs: int) -> list[Event]:
        return found.observe(Readings(0, quarantined=seqs), NOW)

    assert seen(3) == []
    (event,) = seen(3, 8, 9)
    assert (event.alert["first_seq"], event.alert["last_seq"], event.alert["value"]) == (8, 9, 3)
    assert kinds(seen(3, 8, 9)) == ["resolved"]


def test_a_clock_fires_by_its_offset_beyond_the_error_or_by_negative_differences() -> None:
    found = alerts(rule("clock", for_="0s", clear_for="0s"))

    def seen(*reading: Any) -> list[str]:
        return kinds(found.observe(Readings(0, clocks={"bot": ClockReading(*reading)}), NOW))

    assert [seen(99, 99, 5.0), seen(1000, 1, 2.5, 0.5), seen(1000, 2, None)] == [[], [], ["fired"]]
    assert [seen(10, 0, 0.0), seen(1000, 0, -1.9), seen(1000, 0, -5.0, 0.1)] == [[], ["resolved"], ["fired"]]
    assert "received 5 s fast" in found.listed()[0]["message"]


# --- fat fingers -----------------------------------------------------------------------------------------------------

RANDOM = 20261122


def market(count: int, symbols: Sequence[str] = ("A",), first: int = 1, seed: int = RANDOM) -> Market:
    """Prices that wander by 0.1 %, sizes with a heavy tail."""
    draw = np.random.default_rng(seed)
    print(f"seed {seed}")
    return Market(
        [Instrument("X", symbol, "print", "", 1, 0) for symbol in symbols],
        draw.integers(0, len(symbols), count),
        100 * np.exp(0.001 * draw.normal(size=count)),
        draw.lognormal(sigma=2, size=count),
        first,
    )


FINGERS = rule("fat_finger", "price", of="price") + rule("fat_finger", "quantity", of="quantity")


def test_a_price_ten_times_off_and_a_quantity_beyond_the_tail_fire_once_with_their_trades_and_resolve() -> None:
    found = alerts(FINGERS)
    assert found.trades(market(3000, "ABC").trades(), NOW) == []
    wrong = market(60, "ABC", first=3001)
    wrong.price[[30, 40]] /= 10
    wrong.instrument[[30, 40, 50]] = 0, 0, 1
    wrong.quantity[50] = 1e5
    price, quantity = found.trades(wrong.trades(), NOW)
    assert [price.alert[name] for name in ("rule", "key", "first_seq", "last_seq")] == ["price", "A", 3031, 3041]
    assert [quantity.alert[name] for name in ("rule", "key", "first_seq")] == ["quantity", "B", 3051]
    assert "in trade 3041 of A at X. Check the order" in price.alert["message"]
    assert found.trades(wrong.trades(), NOW) == []
    assert found.observe(Readings(0), NOW + SECOND) == []
    assert kinds(found.observe(Readings(0), NOW + 61 * SECOND)) == ["resolved", "resolved"]


def test_a_fat_finger_rule_judges_only_what_it_is_for_and_after_enough_trades() -> None:
    fills = rule("fat_finger", "fills", of="price", kinds=["fill"])
    other = rule("fat_finger", "other", of="price", symbols=["B"], venues=["X"])
    late = rule("fat_finger", "late", of="price", trades=512)
    found = alerts(fills, other, late)
    wrong = market(400)
    wrong.price[-1] *= 10
    assert found.trades(wrong.trades(), NOW) == []
    assert found.trades(market(400, first=401).trades(), NOW) == []
    more = market(1, first=801)
    more.price[-1] *= 10
    assert [event.alert["rule"] for event in found.trades(more.trades(), NOW)] == ["late"]


def test_trades_that_were_judged_before_a_restart_are_only_learned_from() -> None:
    found = alerts(FINGERS)
    wrong = market(300)
    wrong.price[200] *= 10
    assert kinds(found.trades(wrong.trades(), NOW)) == ["fired"]
    found.acknowledge(found.listed()[0]["id"], "me", NOW)
    found.observe(Readings(0), NOW)
    found.observe(Readings(0), NOW + 61 * SECOND)
    other, _ = restarted(found, FINGERS)
    assert other.trades(wrong.trades(), NOW) == []
    new = market(1, first=301)
    new.price[0] *= 10
    assert kinds(other.trades(new.trades(), NOW)) == ["fired"]


def test_rules_that_are_reloaded_judge_by_what_is_known_of_recent_trades() -> None:
    found = alerts("")
    found.trades(market(300).trades(), NOW)
    found.reload(read_rules(FINGERS), NOW)
    new = market(1, first=301)
    new.price[0] *= 10
    assert kinds(found.trades(new.trades(), NOW)) == ["fired"]


def test_prices_at_zero_below_it_and_standing_still_are_judged_and_never_fail() -> None:
    for price, wrong in ((0.0, 5.0), (-37.0, -3.7), (5.0, 50.0)):
        found = alerts(FINGERS)
        batch = market(200)
        batch.price[:] = price
        assert found.trades(batch.trades(), NOW) == []
        last = market(1, first=201)
        last.price[0] = wrong
        assert kinds(found.trades(last.trades(), NOW)) == ([] if price == 0 else ["fired"])


def test_no_trades_and_more_instruments_than_are_watched_are_fine() -> None:
    found = alerts(FINGERS)
    assert found.trades(market(0).trades(), NOW) == []
    many = market(20_000, [f"S{number}" for number in range(12_000)])
    assert found.trades(many.trades(), NOW) == []


@pytest.mark.parametrize("batch", [100, 1000, 65_536])
@pytest.mark.parametrize(
    ("name", "symbol", "price", "size"),
    [
        ("us_equity_multi/sampleMultiTradeData.csv.gz", "SYMBOL", "PRICE", "SIZE"),
        ("eu_equity/sampleTDataEurope.csv.gz", "SYMBOL", "PRICE", "SIZE"),
    ],
)
def test_real_trades_raise_nothing_and_a_price_ten_times_off_among_them_just_that(
    name: str, symbol: str, price: str, size: str, batch: int
) -> None:
    if not (DATA / name).exists():
        pytest.skip("the market data is not here")
    with gzip.open(DATA / name, "rt") as file:
        rows = list(csv.DictReader(file))
    names = sorted({each[symbol] for each in rows})
    whole = Market(
        [Instrument("", each, "print", "", 1, 0) for each in names],
        np.array([names.index(each[symbol]) for each in rows]),
        np.array([float(each[price]) for each in rows]),
        np.array([float(each[size]) for each in rows]),
    )
    assert told(whole, batch) == []
    middle = len(rows) // 2
    whole.price[middle] *= 10
    assert told(whole, batch) == [("fat-finger-price", middle + 1)]
    whole.price[middle] /= 10
    whole.quantity[middle] = 100 * np.quantile(whole.quantity[whole.instrument == whole.instrument[middle]], 0.999)
    assert told(whole, batch) == [("fat-finger-quantity", middle + 1)]


def told(whole: Market, batch: int) -> list[tuple[str, int]]:
    """What the default rules say of trades that come in batches: rule and trade."""
    found = alerts(DEFAULT)
    events = []
    for first in range(0, len(whole.price), batch):
        events += found.trades(whole.trades(first, first + batch), NOW)
    return [(event.alert["rule"], event.alert["first_seq"]) for event in events]
