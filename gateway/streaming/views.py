"""The topics of the live stream as they are now: what live.py compares from tick to tick.

Of statistics and candles only the rows that may have changed are built: a tick costs what has changed, not what there
is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gateway.aggregator import Aggregator
from gateway.freshness import Freshness
from gateway.latency import Latency
from gateway.live import View, Wanted
from gateway.reading.figures import Filter, Span, bounds_of, candles, empty_row, totals
from gateway.reading.orders import OrdersAsked, prepare_orders
from gateway.reading.parameters import check_kinds, instant
from gateway.reading.patterns import SYMBOLS, Question, prepare
from gateway.reading.patterns import window as patterns_window
from gateway.reading.selection import Selection
from gateway.reading.whole import Asked, Mark, Whole, read, warm
from gateway.reading.windows import SECOND_NS, event_clock, interval_of
from gateway.reading.zones import NO_ZONES
from telemetry.errors import InvalidInput
from telemetry.statistics import present
from telemetry.times import parse_time

STATS_SYMBOLS = 10_000  # of one subscription when it begins: making so many rows takes half a second, in pieces
CANDLE_SYMBOLS = 1_000
LATE = 100  # candles before the newest that one update tells of: 10 ms
ORDER_ROWS = 100  # of one update; the route has all
DAY_NS = 86_400 * SECOND_NS
LONGEST_NS = 32 * DAY_NS  # of a period of one's own: it is summed up in steps of two hours
_NEWEST = Span(limit=2)  # the running candle and the one that has just ended


Seen = Selection | Mark  # what was there at the view before


class _Candles(NamedTuple):
    """What a view of candles was made from, in the interval from `since` (seconds), as of `seq`; `running` have an open
    candle."""

    found: Seen
    running: frozenset[str]
    since: int
    seq: int


class _Changes(NamedTuple):
    """How many changes of streams a view knew of."""

    number: int


class _Rows(Mapping[str, dict[str, Any]]):
    """The rows of symbols, each made when it is read; the selection is a copy, so they are all of one instant."""

    def __init__(self, names: Sequence[str], found: Selection, window: str, seconds: float | None) -> None:
        self._names, self._found, self._window, self._seconds = names, found, window, seconds

    def __getitem__(self, name: str) -> dict[str, Any]:
        parts = self._found.parts(name)
        return present(parts, self._seconds) if parts else empty_row(self._window)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Views:
    """`freshness` and `health` are the gateway's; clocks are in nanoseconds."""

    def __init__(
        self,
        state: Aggregator,
        latency: Latency,
        *,
        streams: Freshness,
        freshness: Callable[[], Mapping[str, Any]],
        health: Callable[[], Mapping[str, Any]],
        wall_ns: Callable[[], int],
        monotonic_ns: Callable[[], int],
        zones: Mapping[str, str] = NO_ZONES,
    ) -> None:
        self._state, self._latency = state, latency
        self._streams, self._freshness, self._health = streams, freshness, health
        self._wall_ns, self._monotonic_ns, self._zones = wall_ns, monotonic_ns, zones

    def __call__(self, wanted: Wanted, mark: object) -> View:
        """The topic now; `mark` is that of the view before, None for everything. Raises InvalidInput."""
        if wanted.topic == "stats":
            return self._stats(wanted, mark if isinstance(mark, Selection | Mark) else None)
        if wanted.topic == "totals":
            return self._totals(wanted)
        if wanted.topic == "candles":
            return self._candles(wanted, mark if isinstance(mark, _Candles) else None)
        if wanted.topic == "latency":
            window = "1m" if wanted.window == "all" else wanted.window
            stages = self._latency.rows(window, self._monotonic_ns())
            return View(stages, {"window": window, **self._orders(window)})
        if wanted.topic == "patterns":
            return self._patterns(wanted)
        if wanted.topic == "freshness":
            return self._standing(mark if isinstance(mark, _Changes) else None)
        return View(self._health())

    def warm(self, wanted: Wanted) -> Iterator[None]:
        """Do in pieces what a view would do at once. Raises InvalidInput."""
        if wanted.topic in ("stats", "totals"):
            yield from warm(self._state, self._asked(wanted))
        elif wanted.topic == "candles":
            yield from warm(self._state, Asked("all", self._wall_ns(), _filter(wanted)))

    def _asked(self, wanted: Wanted) -> Asked:
        return Asked(wanted.window, self._wall_ns(), _filter(wanted), period=_period(wanted))

    def _totals(self, wanted: Wanted) -> View:
        found, span = read(self._state, self._asked(wanted))
        return View(bounds_of(wanted.window, span) | {"totals": totals(list(found.sums()))})

    def _orders(self, window: str) -> dict[str, Any]:
        """The window of the orders, and the rows that count most."""
        head, rows = prepare_orders(self._state, OrdersAsked(window, self._wall_ns()), most=ORDER_ROWS)
        return head | {"orders": list(rows)}

    def _patterns(self, wanted: Wanted) -> View:
        """The figures of patterns of the symbols that traded."""
        if "*" in wanted.symbols or len(wanted.symbols) > SYMBOLS:
            raise InvalidInput(f"symbols: expected 1 to {SYMBOLS} names for patterns, received {len(wanted.symbols)}")
        patterns_window(self._state, wanted.window, self._wall_ns())  # is there such a window, and are they kept
        chosen, rows = _filter(wanted), {}
        for symbol in wanted.symbols:
            if symbol in self._state.by_symbol:
                asked = Question(symbol, wanted.window, chosen)
                rows[symbol] = prepare(self._state, asked, self._zones, self._wall_ns()).figures()
        return View(rows, {"window": wanted.window})

    def _standing(self, before: _Changes | None) -> View:
        """The states of streams, of those that have changed."""
        of, now_ns = self._streams, self._monotonic_ns()
        numbers = of.numbers() if before is None else of.changed_since(before.number)
        rows = {f"{stream.kind} {stream.name}": stream.standing() for stream in of.streams(now_ns, numbers)}
        also = {**self._freshness(), "counts": of.counts()}
        return View(rows, also, before is not None, (), _Changes(of.changes))

    def _stats(self, wanted: Wanted, before: Seen | None) -> View:
        state = self._state
        found, span = read(state, self._asked(wanted))
        names = _changed(found, before)
        if names is None:
            _refuse_more(names := found.order("symbol", None)[0], STATS_SYMBOLS)
        seconds = None if span is None else float(span.end - span.start)
        shown = found.of(names) if isinstance(found, Whole) else found
        rows = _Rows(names, shown, wanted.window, seconds)
        gone = [name for name in names if not shown.has(name)]
        also = bounds_of(wanted.window, span) | {"totals": totals(list(found.sums()))}
        return View(rows, also, before is not None, gone, _seen(found))

    def _candles(self, wanted: Wanted, before: _Candles | None) -> View:
        state, seconds = self._state, interval_of(wanted.interval)
        found, _ = read(state, Asked("all", self._wall_ns(), _filter(wanted)))
        since = event_clock(state.watermark, self._wall_ns()) // SECOND_NS // seconds * seconds
        # Candles close as time goes by. It may also go back: idle time counts until a trade tells the market's time.
        changed = None if before is None or since < before.since else _changed(found, before.found)
        if changed is None or before is None:
            names = set(found.order("symbol", None)[0])
        else:
            names = set(changed) | (before.running if since > before.since else set())
        if before is None:
            _refuse_more(names, CANDLE_SYMBOLS)
        rows = {name: self._newest(name, wanted) for name in names}
        reread = self._add_late(rows, wanted, before.seq) if before is not None else []
        running = {name for name, of in rows.items() if not all(candle["closed"] for candle in of)}
        running |= before.running - names if before is not None else set()
        mark = _Candles(_seen(found), frozenset(running), since, state.applied)
        return View(rows, {"interval": wanted.interval, "reread": reread}, before is not None, (), mark)

    def _add_late(self, rows: dict[str, list[dict[str, Any]]], wanted: Wanted, seq: int) -> list[str]:
        """Put before the newest candles of each symbol those that trades behind `seq` have changed, the last ones at
        least; returns the symbols in which there are more than can be told at once."""
        seconds, room, reread = interval_of(wanted.interval), LATE, []
        touched = self._touched(seq, seconds)
        for name in sorted(rows) if touched is None else sorted(rows.keys() & touched.keys()):
            if not (newest := rows[name]):
                continue
            first = parse_time(newest[0]["start"]) // SECOND_NS
            slots = [first - seconds] if touched is None else sorted(slot for slot in touched[name] if slot < first)
            if touched is None or len(slots) > room:
                reread.append(name)
                slots = slots[-max(1, room) :]
            room -= len(slots)
            spans = [Span(slot * SECOND_NS, (slot + seconds) * SECOND_NS) for slot in slots]
            rows[name] = [candle for span in spans for candle in self._read(name, wanted, span)] + newest
        return reread

    def _touched(self, seq: int, seconds: int) -> dict[str, set[int]] | None:
        """By symbol the intervals that trades behind `seq` were merged into; None when that is not known any more."""
        pairs = self._state.touched.since(seq)
        if pairs is None:
            return None
        found: dict[str, set[int]] = {}
        intervals = np.column_stack((pairs[:, 0], pairs[:, 1] // seconds * seconds))
        for number, slot in np.unique(intervals, axis=0).tolist():
            found.setdefault(self._state.instruments[number].symbol, set()).add(slot)
        return found

    def _newest(self, symbol: str, wanted: Wanted) -> list[dict[str, Any]]:
        return self._read(symbol, wanted, _NEWEST)

    def _read(self, symbol: str, wanted: Wanted, span: Span) -> list[dict[str, Any]]:
        chosen = Filter(venues=wanted.venues, kinds=wanted.kinds)
        now_ns, interval = self._wall_ns(), wanted.interval
        try:
            found = candles(self._state, symbol, interval=interval, span=span, wanted=chosen, now_ns=now_ns)
        except InvalidInput:  # all trades of this symbol are held coarser by now
            return []
        of: list[dict[str, Any]] = found["candles"]
        return of


def _filter(wanted: Wanted) -> Filter:
    check_kinds("kinds", wanted.kinds)
    return Filter(() if "*" in wanted.symbols else wanted.symbols, wanted.venues, wanted.kinds)


def _period(wanted: Wanted) -> tuple[int, int] | None:
    """The period that `totals` are asked for, UTC ns."""
    start, end = instant("start", wanted.start), instant("end", wanted.end)
    if start is None and end is None:
        return None
    if wanted.topic != "totals" or start is None or end is None or not 0 < end - start <= LONGEST_NS:
        expected = f"expected both, of totals, end at most {LONGEST_NS // DAY_NS} days after start"
        raise InvalidInput(f"start, end: {expected}, received {wanted.topic} {wanted.start!a} {wanted.end!a}")
    return start, end


def _refuse_more(names: Collection[str], limit: int) -> None:
    if len(names) > limit:
        raise InvalidInput(f"symbols: expected at most {limit} that traded, received {len(names)}; name those wanted")


def _seen(found: Selection | Whole) -> Seen:
    return found.mark() if isinstance(found, Whole) else found


def _changed(found: Selection | Whole, before: Seen | None) -> list[str] | None:
    """The symbols that may have changed, None for all."""
    if isinstance(found, Whole):
        return found.changed(before) if isinstance(before, Mark) else None
    return found.changed(before) if isinstance(before, Selection) else None
