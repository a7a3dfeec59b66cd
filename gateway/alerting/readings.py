"""What alert rules look at: plain data that the gateway makes of its state, once a second or per applied range.

None for a whole part means "not known now" (just after a start, say): the rules that need it leave everything as it
is. A part that is known and lacks a key says that there is nothing of it any more, so its alert resolves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from telemetry.columns import Columns
from telemetry.trade import Instrument

Row = Mapping[str, Any]


class Scope(NamedTuple):
    """Which trades a figure is of: those of these venues and kinds; empty is no filter."""

    venues: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


class StreamReading(NamedTuple):
    """Freshness of a stream. `state` is never_seen, learning, fresh, quiet or silent; seconds since its last arrival,
    and how many are allowed. `part_of` is the silence that a silent one is part of, `along` those that are part of
    its own, both as "venue XNYS"."""

    state: str
    seconds: float
    allowed: float
    part_of: str = ""
    along: tuple[str, ...] = ()


class SourceReading(NamedTuple):
    """Loss of a source: numbers that never came, and the range of its own numbers that the newest hole spans."""

    missing: int
    first: int | None = None
    last: int | None = None


class ClockReading(NamedTuple):
    """Time differences (gateway minus sender) of a source in the last minute: how many, how many negative, and the
    estimated offset in seconds (above 0: the sender's clock is slow) give or take `error`; None is not known."""

    samples: int
    negative: int
    offset: float | None
    error: float = 0.0


@dataclass(frozen=True, slots=True)
class Readings:
    """All of it as of `as_of_seq`. Callables are called only for what some rule asks for, once per observation."""

    as_of_seq: int
    # (window, scope) -> rows by symbol, as `symbols` of GET /v1/stats has them; symbols without trades may be absent.
    rows: Callable[[str, Scope], Mapping[str, Row]] | None = None
    # (window, scope) -> `totals` of GET /v1/stats.
    totals: Callable[[str, Scope], Row] | None = None
    window_end_ns: int = 0  # the event clock: where windows end, UTC ns
    latency: Callable[[str], Mapping[str, Row]] | None = None  # window -> rows by stage, as GET /v1/latency has them
    streams: Mapping[str, Mapping[str, StreamReading]] | None = None  # venue, source, strategy, symbol -> by name
    sources: Mapping[str, SourceReading] | None = None
    clocks: Mapping[str, ClockReading] | None = None
    backlog: int | None = None  # trades durable and not applied
    quarantined: Sequence[int] | None = None  # the seq of each, in order

    def asked_once(self) -> Readings:
        """The same, asking for each figure at most once."""
        asks = {name: getattr(self, name) for name in ("rows", "totals", "latency")}
        asked: dict[str, Any] = {name: cache(ask) for name, ask in asks.items() if ask is not None}
        return replace(self, **asked)


class Trades(NamedTuple):
    """Single trades in the order of the journal, the first of which has the number `first_seq`: commits, and where the
    instruments of each are among `instruments`, which stay the same for the life of the process."""

    instruments: Sequence[Instrument]
    commits: Sequence[tuple[NDArray[np.int64], Columns]]
    first_seq: int
