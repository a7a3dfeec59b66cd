"""What is asked for about streams, sources and alerts: checked, found, cut into pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from gateway.alerting.alert import PENDING
from gateway.alerting.describing import describe
from gateway.alerting.readings import ClockReading
from gateway.alerting.rule_kinds import SEVERITIES
from gateway.watch import Watch
from gateway.watching.states import STATES
from gateway.watching.streams import KINDS
from telemetry.errors import InvalidInput
from telemetry.times import format_time

MOST = 10_000  # rows of one page
LISTS = ("open", "pending", "past", "all")
Row = dict[str, Any]
Item = TypeVar("Item")


class Cut(NamedTuple):
    """Which page: at most `limit` rows behind the one that `cursor` (what `next` gave) names."""

    limit: int = 1_000
    cursor: str | None = None


def streams(watch: Watch, kinds: Sequence[str], states: Sequence[str], cut: Cut, now_ns: int) -> Row:
    """The part of `GET /v1/freshness` about streams. Raises InvalidInput."""
    _known("kind", kinds, KINDS)
    _known("state", states, STATES)
    of = watch.freshness
    numbers = of.numbers(kinds or KINDS, states or STATES)
    page, following = _page(numbers, lambda number: " ".join(of.name(number)), _place_of_stream, cut)
    rows = [stream.row() for stream in of.streams(now_ns, page)]
    head = {"watched": watch.watches_trades, "counts": of.counts()}
    return head | {"forgotten": of.forgotten, "streams": rows, "next": following}


def sources(watch: Watch, names: Sequence[str], clocks: Mapping[str, ClockReading], cut: Cut) -> Row:
    """The part of `GET /v1/sources` about sources. Raises InvalidInput."""
    rows = watch.loss.rows()
    page, following = _page([name for name in rows if not names or name in names], str, str, cut)
    found = [{"source": name, **rows[name], "clock": _clock(clocks.get(name))} for name in page]
    head = {"watched": watch.watches_trades, "forgotten": watch.loss.forgotten}
    return head | {"sources": found, "next": following}


def alerts(watch: Watch, state: str, rules: Sequence[str], severities: Sequence[str], cut: Cut, now_ns: int) -> Row:
    """`GET /v1/alerts` but for its freshness fields. Raises InvalidInput."""
    engine, bulletin = watch.bulletin.alerts, watch.bulletin
    _known("state", [state], LISTS)
    _known("severity", severities, SEVERITIES)
    _known("rule", rules, tuple(engine.fired))
    found = engine.listed() if state != "past" else []
    if state in ("open", "pending"):
        found = [alert for alert in found if (alert["state"] == PENDING) == (state == "pending")]
    found += engine.listed(past=True) if state in ("past", "all") else []
    wanted = [
        alert
        for alert in found
        if (not rules or alert["rule"] in rules) and (not severities or alert["severity"] in severities)
    ]
    page, following = _page(list(range(len(wanted))), str, _place_of_alert, cut)
    return {
        "as_of": format_time(now_ns),
        "watched": watch.watches_trades,
        "last_event": bulletin.events.last,
        "alerts": [wanted[place] for place in page],
        "mutes": engine.mutes.rows(now_ns),
        "rules": _rules(watch),
        "rules_file": bulletin.rules.row(),
        "next": following,
    }


def _rules(watch: Watch) -> list[Row]:
    engine = watch.bulletin.alerts
    return [
        {
            "name": rule.name,
            "kind": rule.kind,
            "severity": rule.severity,
            "description": describe(rule),
            "fired": engine.fired[rule.name],
            "left_out": engine.left_out.get(rule.name, 0),
        }
        for rule in engine.rules.values()
    ]


def _clock(reading: ClockReading | None) -> Row | None:
    if reading is None:
        return None
    estimate = {"offset_seconds": reading.offset, "error_seconds": reading.error}
    return estimate | {"samples": reading.samples, "negative": reading.negative}


def _page(
    items: list[Item], name: Callable[[Item], str], place: Callable[[str], Any], cut: Cut
) -> tuple[list[Item], str | None]:
    """The items behind the cursor, in the order that they have by their places; and the next cursor."""
    if not 1 <= cut.limit <= MOST:
        raise InvalidInput(f"limit: expected 1 to {MOST}, received {cut.limit}")
    if cut.cursor is not None:
        try:
            after = place(cut.cursor)
        except ValueError:
            raise InvalidInput(f"cursor: expected what `next` gave, received {cut.cursor[:40]!a}") from None
        items = [item for item in items if place(name(item)) > after]
    page = items[: cut.limit]
    return page, name(page[-1]) if len(items) > cut.limit else None


def _place_of_stream(text: str) -> tuple[int, str]:
    kind, _, name = text.partition(" ")
    return KINDS.index(kind), name


def _place_of_alert(text: str) -> int:
    return int(text)


def _known(name: str, given: Sequence[str], known: Sequence[str]) -> None:
    for value in given:
        if value not in known:
            raise InvalidInput(f"{name}: expected one of {' '.join(known)}, received {value[:40]!a}")
