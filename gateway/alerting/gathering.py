"""The readings that the rules in use ask for, made once a second; rows in pieces, so that others have their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from gateway.aggregator import Aggregator
from gateway.alerting.judgement import matches
from gateway.alerting.readings import ClockReading, Readings, Row, Scope, StreamReading
from gateway.alerting.rule_kinds import BASELINE, PATTERNS, Ratio, Rule, Scoped, Silence, Threshold
from gateway.alerting.rules import WILD
from gateway.alerts import Alerts
from gateway.clocks import Clocks
from gateway.freshness import Freshness
from gateway.latency import Latency
from gateway.loss import Loss
from gateway.reading import patterns
from gateway.reading.figures import Answer, Page, prepare
from gateway.reading.patterns import Question
from gateway.reading.whole import Asked, Filter, warm
from gateway.reading.windows import event_clock
from gateway.reading.zones import NO_ZONES

PIECE = 40  # rows made before others have their turn: 2 ms
SYMBOLS = 100_000  # of one window
_CLOCKS = Clocks()
_Asked = tuple[str, Scope]


@dataclass(frozen=True)
class Known:
    """What can be told now. After a start figures follow first, then streams and sources."""

    figures: bool
    streams: bool
    sources: bool


class Gathering:
    """Reads what is watched and what is counted. Clocks are in ns."""

    def __init__(
        self,
        state: Aggregator,
        latency: Latency,
        *,
        loss: Loss,
        durable: Callable[[], int],
        time: Clocks = _CLOCKS,
        zones: Mapping[str, str] = NO_ZONES,
    ) -> None:
        self._state, self._latency, self._loss = state, latency, loss
        self._durable, self._zones = durable, zones
        self._wall_ns, self._monotonic_ns = time.wall_ns, time.monotonic_ns

    async def readings(
        self, alerts: Alerts, known: Known, freshness: Freshness, clocks: Mapping[str, ClockReading]
    ) -> Readings:
        """What the rules of these alerts look at; what is not known is None."""
        rules = list(alerts.rules.values())
        rows, totals = await self._figures(rules) if known.figures else ({}, {})
        state, now_ns = self._state, self._monotonic_ns()
        return Readings(
            state.applied,
            rows=(lambda window, scope: rows[window, scope]) if known.figures else None,
            totals=(lambda window, scope: totals[window, scope]) if known.figures else None,
            window_end_ns=event_clock(state.watermark, self._wall_ns()),
            latency=lambda window: self._latency.rows(window, now_ns),
            streams=_streams(freshness, rules, alerts.firing("silence"), now_ns) if known.streams else None,
            sources=self._loss.readings() if known.sources else None,
            clocks=clocks,
            backlog=self._durable() - state.applied,
            quarantined=state.quarantined if known.figures else None,
        )

    async def _figures(self, rules: list[Rule]) -> tuple[dict[_Asked, dict[str, Row]], dict[_Asked, Row]]:
        """(rows by symbol, totals) of each window and scope that some rule asks for."""
        rows: dict[_Asked, dict[str, Row]] = {}
        totals: dict[_Asked, Row] = {}
        for asked in dict.fromkeys(asked for rule in rules for asked in _asked(rule)):
            window, scope = asked
            of = [rule for rule in rules if isinstance(rule, Threshold | Ratio) and asked in _asked(rule)]
            answer = await self._prepare(window, Filter(_symbols(of), scope.venues, scope.kinds))
            totals[asked] = answer.head["totals"]
            rows[asked] = {}
            if all(isinstance(rule, Threshold) and rule.totals for rule in of):
                continue
            for number, (symbol, row) in enumerate(answer.rows(), 1):
                rows[asked][symbol] = row
                if number % PIECE == 0:
                    await asyncio.sleep(0)
            for symbol in dict.fromkeys(name for rule in of if rule.statistic in PATTERNS for name in rule.symbols):
                if symbol in rows[asked]:
                    rows[asked][symbol] = {**rows[asked][symbol], **self._patterns(symbol, window, scope)}
                    await asyncio.sleep(0)
        return rows, totals

    def _patterns(self, symbol: str, window: str, scope: Scope) -> Row:
        """The figures of patterns of a symbol; none where they are not kept."""
        if self._state.patterns is None:
            return {}
        asked = Question(symbol, window, Filter(venues=scope.venues, kinds=scope.kinds))
        return patterns.prepare(self._state, asked, self._zones, self._wall_ns()).figures()

    async def _prepare(self, window: str, wanted: Filter) -> Answer:
        asked = Asked(window, self._wall_ns(), wanted)
        for _ in warm(self._state, asked):
            await asyncio.sleep(0)
        return prepare(self._state, asked, Page("symbol", SYMBOLS), warmed=True)


def _streams(
    freshness: Freshness, rules: Iterable[Rule], told: set[tuple[str, str]], now_ns: int
) -> dict[str, dict[str, StreamReading]]:
    """The streams that rules are about, and of the silent ones which are silent together."""
    about = [rule for rule in rules if isinstance(rule, Silence)]
    found = freshness.readings(now_ns, sorted({kind for rule in about for kind in rule.streams}))
    silent = [
        (kind, name)
        for kind, streams in found.items()
        for name, reading in streams.items()
        if reading.state == "silent" and any(kind in rule.streams and matches(name, rule.names) for rule in about)
    ]
    along: dict[tuple[str, str], list[str]] = {}
    for (kind, name), cause in freshness.company.parts(silent, told).items():
        found[kind][name] = found[kind][name]._replace(part_of=" ".join(cause))
        along.setdefault(cause, []).append(f"{kind} {name}")
    for (kind, name), those in along.items():
        found[kind][name] = found[kind][name]._replace(along=tuple(those))
    return found


def _asked(rule: Rule) -> Iterator[_Asked]:
    if isinstance(rule, Threshold | Ratio):
        scope = Scope(rule.venues, rule.kinds)
        yield rule.window, scope
        if isinstance(rule, Ratio):
            yield BASELINE, scope


def _symbols(rules: Iterable[Scoped]) -> tuple[str, ...]:
    """The symbols that all of these rules name outright; none when one of them asks for patterns, or for all."""
    names: dict[str, None] = {}
    for rule in rules:
        if not rule.symbols or any(WILD & set(pattern) for pattern in rule.symbols):
            return ()
        names |= dict.fromkeys(rule.symbols)
    return tuple(names)
