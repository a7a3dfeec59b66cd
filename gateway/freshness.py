"""Whether every stream (venue, source, strategy, symbol) still arrives, judged at the gateway.

    never_seen   expected, and nothing has arrived yet
    learning     has arrived; how long its pauses usually are is not known for this hour of the day
    fresh        arrives as usual
    quiet        its market is closed, or has opened and it is not yet overdue
    silent       overdue: no arrival for max(5 s, 3 × the 99.9 % gap of this hour of the day, see gateway.watching.gaps)

Rules. (1) One request is one arrival of every stream in it, if one of its trades there is live: timestamp within 60 s
of the request's arrival. Other trades are as if they had not come. (2) The silence clock starts at the last arrival, or
if that is later at the opening of the market or the start of the gateway. (3) A pause is allowed what the most generous
of the hours it touches allows, and while one of them is not known the stream is learning; an arrival begins anew. So
nobody is silent at nine because pauses are short from nine on. (4) Silent ends with an arrival or the market's close.
(5) Gaps are learnt within a session only, and not across a restart of the gateway. (6) The first judgement after the
gateway itself stood still for more than 4 s makes nobody silent: what has come meanwhile must be read first.

Clocks. The wall clock (UTC ns) is for what is live, hours of the day, sessions and what is shown; the monotonic clock
for gaps and silence, so a wall clock that jumps makes nobody silent. Both are arguments. Memory: 2 kB per stream, see
gateway.watching.streams and gateway.watching.gaps. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.alerting.readings import StreamReading
from gateway.watching.company import Company
from gateway.watching.gaps import Gaps
from gateway.watching.markets import EVER, UNKNOWN, AroundTheClock, Markets, Sessions
from gateway.watching.naming import Naming
from gateway.watching.states import (
    FRESH,
    LEARNING,
    NEVER_SEEN,
    QUIET,
    SILENT,
    STATES,
    Changed,
    Requests,
    Stream,
    exported,
    instant,
)
from gateway.watching.streams import KINDS, Ids, Streams, live_rows
from telemetry.columns import Columns

VERSION = 1
SECOND, HOUR = 1_000_000_000, 3_600_000_000_000
LIVE_NS, SHORTEST_NS, TIMES = 60 * SECOND, 5 * SECOND, 3
STALL_NS = 4 * SECOND
_LAPSED = 1e-9  # seconds: the allowance of who was silent before the gateway began; it stays so until it arrives


class Freshness:
    """All streams. `now_ns` is the monotonic clock everywhere; that of the constructor is when the gateway began."""

    def __init__(
        self,
        sessions: Sessions | None = None,
        *,
        now_ns: int,
        most: Mapping[str, int] | None = None,
        stall_ns: int = STALL_NS,
    ) -> None:
        self._began = now_ns
        self._markets = Markets(sessions or AroundTheClock())
        self._streams = Streams(self._markets, most or {})
        self._gaps, self.company = Gaps(SHORTEST_NS / TIMES / SECOND), Company()
        self._stall, self._ticked, self._stalled, self._hour = stall_ns, now_ns, False, -1
        self.changes = 0  # of states, since the start
        self._events: list[Changed] = []
        self._last: Ids = np.empty(0, np.int64)  # arrival, monotonic
        self._arrived: Ids = np.empty(0, np.int64)  # the same, wall clock
        self._since: Ids = np.empty(0, np.int64)  # of the state, wall clock
        self._changed: Ids = np.empty(0, np.int64)  # which of the changes was its last
        self._state: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._limit: NDArray[np.float64] = np.empty(0, np.float64)  # seconds allowed in this hour; inf is not known
        self._pause: NDArray[np.float64] = np.empty(0, np.float64)  # the longest of these since the last arrival

    @property
    def forgotten(self) -> dict[str, int]:
        """By kind how many streams were forgotten because there were too many."""
        return {kind: self._streams.forgotten[kind] for kind in KINDS}

    def expect(self, kind: str, names: Iterable[str]) -> None:
        """List these streams from the start on, as never seen until they arrive. They are never forgotten."""
        for name in names:
            if (number := self._streams.number(kind, name)) >= 0:
                self._streams.expected.add(number)
        self._streams.missed.clear()
        self._grow()

    def use(self, sessions: Sessions) -> None:
        """Go by calendars that were loaded anew, of the same venues."""
        self._markets.use(sessions)

    def use_naming(self, naming: Naming) -> None:
        """Tell names apart in this way, which gives the same."""
        self._streams.naming = naming

    def arrived(self, columns: Columns, requests: Requests) -> None:
        """The trades of requests that arrived within moments, in the order of their arrival."""
        count = len(requests.starts)
        request = np.repeat(np.arange(count), np.diff(requests.starts, append=len(columns)))
        live = live_rows(columns.timestamp, request, requests.wall_ns, LIVE_NS)
        if live is not None:
            if not live.any():
                return
            columns = columns.only(live)
            kept, request = np.unique(request[live], return_inverse=True)
            requests = Requests(requests.starts[kept], requests.wall_ns[kept], requests.now_ns[kept])
        ids, places = self._streams.find(columns, request, len(requests.starts))
        self._grow()
        self._take(ids, requests.wall_ns[places], requests.now_ns[places])
        if self._streams.missed:
            self._make_room()

    def _take(self, ids: Ids, wall_ns: Ids, now_ns: Ids) -> None:
        """Arrivals: those of a stream together, in order."""
        if not len(ids):
            return
        latest_ns, shift = int(wall_ns.max()), int(now_ns[-1] - wall_ns[-1])
        self._markets.refresh(latest_ns)
        first = np.diff(ids, prepend=-1) != 0
        last = np.where(first, self._last[ids], np.roll(now_ns, 1))
        market = self._streams.market[ids]
        opened = (self._markets.opened + shift)[market]
        within = (last >= opened) & (last >= self._began) & self._markets.open[market]
        self._gaps.add(ids[within], latest_ns // HOUR % 24, (now_ns - last)[within] * 1e-9)
        self._last[ids], self._arrived[ids], self._pause[ids] = now_ns, wall_ns, 0  # the last one of each stays
        idle = self._state[ids] >= QUIET
        if idle.any():
            self._judge(np.unique(ids[idle]), latest_ns, latest_ns + shift)
            self._pause[ids] = 0

    def tick(self, wall_ns: int, now_ns: int) -> list[Changed]:
        """Judge everybody, at least once a second; what has changed since the last time, in order."""
        self._stalled = not self._stalled and now_ns - self._ticked > self._stall
        self._ticked = now_ns
        self._markets.refresh(wall_ns)
        self._look_up(wall_ns, now_ns)
        self._judge(np.arange(len(self._last)), wall_ns, now_ns)
        events, self._events = self._events, []
        return events

    def streams(self, now_ns: int, numbers: Iterable[int] | None = None) -> Iterator[Stream]:
        """These streams as they are now; all of them, by kind and name, when none are named."""
        for number in self.numbers() if numbers is None else numbers:
            yield self._stream(number, now_ns)

    def numbers(self, kinds: Iterable[str] = KINDS, states: Iterable[str] = STATES) -> list[int]:
        """The streams of these kinds in these states, by kind and name."""
        wanted = {STATES.index(state) for state in states}
        ordered = [number for kind in KINDS if kind in kinds for number in self._streams.ordered(kind)]
        return ordered if len(wanted) == len(STATES) else [one for one in ordered if int(self._state[one]) in wanted]

    def name(self, number: int) -> tuple[str, str]:
        """Kind and name of a stream."""
        return self._streams.kinds[number], self._streams.names[number]

    def changed_since(self, mark: int) -> list[int]:
        """The streams whose state has changed since `changes` was that number."""
        return np.flatnonzero(self._changed > mark).tolist()

    def readings(self, now_ns: int, kinds: Iterable[str] = KINDS) -> dict[str, dict[str, StreamReading]]:
        """What rules look at, for these kinds of streams."""
        streams = self._streams
        return {kind: {streams.names[n]: self._reading(n, now_ns) for n in streams.ordered(kind)} for kind in kinds}

    def counts(self) -> dict[str, dict[str, int]]:
        """By kind how many streams are in each state."""
        of = {kind: np.fromiter(self._streams.ids[kind].values(), np.int64) for kind in KINDS}
        found = {kind: np.bincount(self._state[ids], minlength=len(STATES)) for kind, ids in of.items()}
        return {kind: dict(zip(STATES, counts.tolist(), strict=True)) for kind, counts in found.items()}

    def export(self) -> dict[str, Any]:
        """What a snapshot holds, as plain data: names, instants of the wall clock, states, gaps (bytes)."""
        ids = np.array([number for kind in KINDS for number in self._streams.ordered(kind)], np.int64)
        names = [(self._streams.kinds[number], self._streams.names[number]) for number in ids.tolist()]
        venues = [self._streams.venues(number) for number in ids.tolist()]
        plain = {name: values[ids].tolist() for name, values in self._shown().items()}
        more = {"gaps": self._gaps.export(ids), "company": self.company.export()}
        return {"version": VERSION, "streams": names, "venues": venues, **plain, **more}

    def restore(self, plain: Mapping[str, Any], wall_ns: int, now_ns: int) -> None:
        """Take up what `export` gave, before anything else. Raises InvalidInput when it is something else; then this
        object is of no use any more."""
        self.company.restore(plain.get("company", ()))
        pairs, venues, values = exported(plain, VERSION, {name: array.dtype for name, array in self._shown().items()})
        numbers = np.array([self._streams.number(kind, name) for kind, name in pairs], np.int64)
        self._streams.missed.clear()
        self._grow()
        fits = numbers >= 0
        ids = numbers[fits]
        for name, array in self._shown().items():
            array[ids] = values[name][fits]
        self._take_up(ids, [of for of, there in zip(venues, fits, strict=True) if there], now_ns - wall_ns)
        if fits.all():  # with less room than before, streams have to learn again
            self._gaps.restore(ids, plain["gaps"])
        self._markets.refresh(wall_ns)
        self._look_up(wall_ns, now_ns)

    def _take_up(self, ids: Ids, venues: list[Any], shift: int) -> None:
        seen = self._arrived[ids] > -EVER
        self._last[ids] = np.where(seen, np.minimum(self._arrived[ids] + shift, self._began - 1), -EVER)
        self._pause[ids] = np.where(self._state[ids] == SILENT, _LAPSED, 0)
        for number, of in zip(ids.tolist(), venues, strict=True):
            for venue in of or ():
                market = self._markets.union(int(self._streams.market[number]), self._markets.of(str(venue)))
                self._streams.market[number] = market
        self._streams.market[ids[seen & (self._streams.market[ids] == UNKNOWN)]] = 0

    def _shown(self) -> dict[str, NDArray[Any]]:
        return {"state": self._state, "since": self._since, "arrived": self._arrived}

    def _grow(self) -> None:
        size = len(self._streams)
        if size <= (had := len(self._last)):
            return
        more = max(size - had, min(had, 1024), 64)
        self._last = np.concatenate((self._last, np.full(more, -EVER)))
        self._arrived = np.concatenate((self._arrived, np.full(more, -EVER)))
        self._since = np.concatenate((self._since, np.full(more, -EVER)))
        self._changed = np.concatenate((self._changed, np.zeros(more, np.int64)))
        self._state = np.concatenate((self._state, np.full(more, NEVER_SEEN, np.uint8)))
        self._limit = np.concatenate((self._limit, np.full(more, np.inf)))
        self._pause = np.concatenate((self._pause, np.zeros(more)))
        self._gaps.grow(had + more)
        self._streams.grow(had + more)

    def _look_up(self, wall_ns: int, now_ns: int) -> None:
        """What is allowed in this hour; and when it is a new one, to pauses that began in another."""
        hour = wall_ns // HOUR % 24
        due = np.flatnonzero(self._gaps.changed) if hour == self._hour else np.arange(len(self._last))
        self._limit[due] = TIMES * self._gaps.usual(due, hour)
        self._gaps.changed[due] = False
        if hour == self._hour:
            return
        self._hour = hour
        opened = (self._markets.opened + (now_ns - wall_ns))[self._streams.market[: len(self._last)]]
        since = np.flatnonzero(self._last >= np.maximum(opened, self._began))
        hours = self._arrived[since] // HOUR % 24
        for other in set(hours.tolist()) - {hour}:
            ids = since[hours == other]
            self._pause[ids] = np.maximum(self._pause[ids], TIMES * self._gaps.usual(ids, other))

    def _judge(self, ids: Ids, wall_ns: int, now_ns: int) -> None:
        was, last, market = self._state[ids], self._last[ids], self._streams.market[ids]
        opened = (self._markets.opened + (now_ns - wall_ns))[market]
        lapsed = (was == SILENT) & (self._pause[ids] > 0)
        pause = np.maximum(self._pause[ids], self._limit[ids])
        waited = (now_ns - np.maximum(np.maximum(last, opened), self._began)) / SECOND
        state = np.where(last >= opened, FRESH, QUIET).astype(np.uint8)
        state[np.isinf(pause)] = LEARNING
        overdue = waited >= pause
        state[overdue] = was[overdue] if self._stalled else SILENT
        state[lapsed] = SILENT
        is_open = self._markets.open[market]
        state[~is_open] = QUIET
        state[last == -EVER] = NEVER_SEEN
        self._pause[ids] = np.where(is_open, pause, 0)
        for place in np.flatnonzero(state != was).tolist():
            self._change(int(ids[place]), int(state[place]), wall_ns)

    def _change(self, number: int, state: int, wall_ns: int) -> None:
        was = int(self._state[number])
        self.changes += 1
        self._state[number], self._since[number], self._changed[number] = state, wall_ns, self.changes
        kind, name = self._streams.kinds[number], self._streams.names[number]
        last = instant(self._arrived[number])
        self._events.append(Changed(kind, name, STATES[was], STATES[state], wall_ns, self._allowed(number), last))

    def _make_room(self) -> None:
        gone = self._streams.make_room(self._last)
        self._last[gone] = self._arrived[gone] = self._since[gone] = -EVER
        self._state[gone], self._limit[gone], self._pause[gone] = NEVER_SEEN, np.inf, 0
        self._changed[gone] = 0
        self._gaps.clear(gone)

    def _allowed(self, number: int) -> float | None:
        allowed = float(max(self._pause[number], self._limit[number]))
        return None if allowed == np.inf else allowed

    def _stream(self, number: int, now_ns: int) -> Stream:
        who = self._streams.kinds[number], self._streams.names[number], STATES[self._state[number]]
        since, last = instant(self._since[number]), instant(self._arrived[number])
        age = None if last is None else (now_ns - int(self._last[number])) / SECOND
        is_open = bool(self._markets.open[max(0, self._streams.market[number])])
        gaps = int(self._gaps.counts(np.array([number]), max(self._hour, 0))[0])
        return Stream(*who, since, last, age, self._allowed(number), is_open, gaps, self._streams.venues(number))

    def _reading(self, number: int, now_ns: int) -> StreamReading:
        allowed = self._allowed(number)
        seconds = (now_ns - max(int(self._last[number]), self._began)) / SECOND
        return StreamReading(STATES[self._state[number]], seconds, np.inf if allowed is None else allowed)
