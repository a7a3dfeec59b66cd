"""The topics of the live stream as they are now: what live.py compares from tick to tick.

Of statistics and candles only the rows that may have changed are built: a tick costs what has changed, not what there
is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from gateway.aggregator import Aggregator
from gateway.figures import Filter, Span, bounds_of, candles, empty_row, select, selection, totals
from gateway.latency import Latency
from gateway.live import View, Wanted
from gateway.selection import Selection, everything
from gateway.windows import SECOND_NS, event_clock, interval_of, window_of
from telemetry.errors import InvalidInput
from telemetry.statistics import present

STATS_SYMBOLS = 10_000  # of one subscription when it begins: a snapshot of so many rows takes half a second
CANDLE_SYMBOLS = 1_000
_NEWEST = Span(limit=2)  # the running candle and the one that has just ended


class _Candles(NamedTuple):
    """What a view of candles was made from, in the interval from `since` (seconds); `running` have an open candle."""

    found: Selection
    running: frozenset[str]
    since: int


class Views:
    """`freshness` and `health` are the gateway's; clocks are in nanoseconds."""

    def __init__(
        self,
        state: Aggregator,
        latency: Latency,
        *,
        freshness: Callable[[], Mapping[str, Any]],
        health: Callable[[], Mapping[str, Any]],
        wall_ns: Callable[[], int],
        monotonic_ns: Callable[[], int],
    ) -> None:
        self._state, self._latency = state, latency
        self._freshness, self._health = freshness, health
        self._wall_ns, self._monotonic_ns = wall_ns, monotonic_ns

    def __call__(self, wanted: Wanted, mark: object) -> View:
        """The topic now; `mark` is that of the view before, None for everything. Raises InvalidInput."""
        if wanted.topic == "stats":
            return self._stats(wanted, mark if isinstance(mark, Selection) else None)
        if wanted.topic == "candles":
            return self._candles(wanted, mark if isinstance(mark, _Candles) else None)
        if wanted.topic == "latency":
            window = "1m" if wanted.window == "all" else wanted.window
            return View(self._latency.rows(window, self._monotonic_ns()), {"window": window})
        return View(self._health() if wanted.topic == "health" else self._freshness())

    def _stats(self, wanted: Wanted, before: Selection | None) -> View:
        state = self._state
        span = window_of(wanted.window, event_clock(state.watermark, self._wall_ns()), state.atoms)
        found = selection(state, select(state, _filter(wanted)), span)
        names = found.order("symbol", None)[0] if before is None else found.changed(before)
        if before is None:
            _refuse_more(names, STATS_SYMBOLS)
        seconds = None if span is None else float(span.end - span.start)
        parts = {name: found.parts(name) for name in names}
        rows = {name: present(of, seconds) if of else empty_row(wanted.window) for name, of in parts.items()}
        gone = [name for name, of in parts.items() if not of]
        also = bounds_of(wanted.window, span) | {"totals": totals(list(found.sums()))}
        return View(rows, also, before is not None, gone, found)

    def _candles(self, wanted: Wanted, before: _Candles | None) -> View:
        state, seconds = self._state, interval_of(wanted.interval)
        found = everything(state, select(state, _filter(wanted)))
        since = event_clock(state.watermark, self._wall_ns()) // SECOND_NS // seconds * seconds
        # Candles close as time goes by. It may also go back: idle time counts until a trade tells the market's time.
        if before is None or since < before.since:
            names = set(found.order("symbol", None)[0])
        else:
            names = set(found.changed(before.found)) | (before.running if since > before.since else set())
        if before is None:
            _refuse_more(names, CANDLE_SYMBOLS)
        rows = {name: self._newest(name, wanted.interval) for name in names}
        running = {name for name, of in rows.items() if not all(candle["closed"] for candle in of)}
        running |= before.running - names if before is not None else set()
        return View(
            rows, {"interval": wanted.interval}, before is not None, (), _Candles(found, frozenset(running), since)
        )

    def _newest(self, symbol: str, interval: str) -> list[dict[str, Any]]:
        now_ns = self._wall_ns()
        try:
            found = candles(self._state, symbol, interval=interval, span=_NEWEST, wanted=Filter(), now_ns=now_ns)
        except InvalidInput:  # all trades of this symbol are held coarser by now
            return []
        of: list[dict[str, Any]] = found["candles"]
        return of


def _filter(wanted: Wanted) -> Filter:
    return Filter() if "*" in wanted.symbols else Filter(symbols=wanted.symbols)


def _refuse_more(names: Collection[str], limit: int) -> None:
    if len(names) > limit:
        raise InvalidInput(f"symbols: expected at most {limit} that traded, received {len(names)}; name those wanted")
