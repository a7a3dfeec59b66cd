"""How long a trade takes, stage by stage.

    stage        from                           to                                     clock
    client       the sender's sent_at                     the request's arrival at the gateway   two wall clocks, signed
    journal      the request's arrival                    its commit is on disk                  gateway, monotonic
    dispatch     its commit is on disk                    a worker has received its lease        the machine's monotonic
    analysis     the worker begins                        the worker's partial is ready          worker, monotonic
    merge        the partial is at the gateway            it is merged                           gateway, monotonic
    end_to_end   the request's arrival                    its trades are in the statistics       gateway, monotonic
    publish      merged                                   handed to the sockets of subscribers   gateway, monotonic

client, journal and end_to_end count trades; dispatch counts commits, analysis and merge ranges, publish frames. Trades
that were already in the journal when the gateway started are not measured. Pure: clocks are arguments, in nanoseconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import Any, NamedTuple

import numpy as np

from telemetry.errors import InvalidInput
from telemetry.quantiles import NOTHING, Counts, Ints, Sketch, seconds, sum_of
from telemetry.wire import PartialHead

STAGES = ("client", "journal", "dispatch", "analysis", "merge", "end_to_end", "publish")
WINDOWS = {"10s": 1, "1m": 6, "5m": 30, "1h": 360, "all": None}  # in slots of ten seconds
SLOT_NS = 10_000_000_000
# Upper bounds of the Prometheus histogram in seconds: 100 us to 10 s, finest around the goals of 5 and 20 ms.
BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_BOUNDS_NS = [round(bound * 1e9) for bound in BOUNDS]
_PENDING = 100_000  # commits awaiting their analysis; older ones are not measured when there are more


class Stage:
    """One stage's times: by slot of ten seconds for the last hour, and everything since the start."""

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self._running, self._slot = Sketch(), 0
        self._closed: deque[tuple[int, Counts]] = deque(maxlen=360)
        self._before = NOTHING  # of all slots that are closed

    def add(self, nanoseconds: int, times: int, now_ns: int) -> None:
        """Count a time `times` over."""
        self._advance(now_ns)
        self._running.add(nanoseconds, times)
        if nanoseconds >= 0:
            self.buckets[bisect_left(_BOUNDS_NS, nanoseconds)] += times

    def add_all(self, nanoseconds: Ints, now_ns: int) -> None:
        """Count each of these times."""
        self._advance(now_ns)
        self._running.add_all(nanoseconds)
        places = np.searchsorted(_BOUNDS_NS, nanoseconds[nanoseconds >= 0])
        for place, times in enumerate(np.bincount(places, minlength=len(self.buckets)).tolist()):
            self.buckets[place] += times

    def _advance(self, now_ns: int) -> None:
        """Close the running slot when its time is over. Who comes with an earlier time is counted in the running one:
        requests are measured a moment after they came."""
        following = now_ns // SLOT_NS
        if following <= self._slot:
            return
        counts = self._running.counts()
        if len(counts.codes):
            self._closed.append((self._slot, counts))
            self._before = sum_of((self._before, counts))
        self._running, self._slot = Sketch(), following

    @property
    def total_ns(self) -> int:
        """The sum of all times that are not negative."""
        return self._before.total + self._running.total

    def window(self, slots: int | None, now_ns: int) -> Counts:
        """The times of the running slot and so many before it, so never less than the window; None is all."""
        if slots is None:
            return sum_of((self._before, self._running.counts()))
        first = now_ns // SLOT_NS - slots
        parts = [counts for slot, counts in self._closed if slot >= first]
        return sum_of([*parts, self._running.counts()] if self._slot >= first else parts)


class _Commit(NamedTuple):
    last_seq: int
    committed_ns: int
    requests: list[tuple[int, int]]  # (arrival, trades)


class Latency:
    """All stages."""

    def __init__(self) -> None:
        self.stages = {name: Stage() for name in STAGES}
        self._pending: deque[_Commit] = deque(maxlen=_PENDING)

    def committed(self, last_seq: int, requests: list[tuple[int, int]], now_ns: int) -> None:
        """A commit group is on disk; `requests` are (monotonic ns of arrival, trades)."""
        self._pending.append(_Commit(last_seq, now_ns, requests))
        for arrived_ns, trades in requests:
            if trades:
                self.stages["journal"].add(now_ns - arrived_ns, trades, now_ns)

    def analysed(self, head: PartialHead, arrived_ns: int, now_ns: int) -> None:
        """A partial that arrived at `arrived_ns` was accepted; the clock of its head is the worker's monotonic one."""
        self.stages["analysis"].add(head.finished_ns - head.started_ns, 1, now_ns)
        self.stages["merge"].add(now_ns - arrived_ns, 1, now_ns)
        for commit in self._pending:
            if commit.last_seq > head.last:
                break
            if commit.last_seq >= head.first:
                self.stages["dispatch"].add(head.received_ns - commit.committed_ns, 1, now_ns)

    def applied(self, applied: int, now_ns: int) -> None:
        """Everything up to `applied` is in the statistics."""
        while self._pending and self._pending[0].last_seq <= applied:
            for arrived_ns, trades in self._pending.popleft().requests:
                if trades:
                    self.stages["end_to_end"].add(now_ns - arrived_ns, trades, now_ns)

    def rows(self, window: str, now_ns: int) -> dict[str, Any]:
        """Per stage its figures in seconds, see telemetry.quantiles.seconds."""
        check_window(window)
        return {name: seconds(stage.window(WINDOWS[window], now_ns)) for name, stage in self.stages.items()}


def check_window(window: str) -> None:
    """Raise InvalidInput unless latency is shown over this window."""
    if window not in WINDOWS:
        raise InvalidInput(f"window: expected one of {' '.join(WINDOWS)}, received {window[:40]!r}")
