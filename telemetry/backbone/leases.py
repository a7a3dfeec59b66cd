"""A lease as data: the limits it is given under, the instruction to send it, the note that it is out. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median

from telemetry.backbone.poison import Suspect


@dataclass(frozen=True, slots=True)
class Send:
    """Send the trades [first, last] to `worker`. `attempt` names this lease within the epoch."""

    worker: str
    attempt: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Close:
    """`worker` is given up: close its connection. Its leases are dispatched to others already."""

    worker: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much, how long. Seconds unless said."""

    window: int = 3  # leases a worker: one in work, one behind it, one on its way
    lease_trades: int = 65_536
    align: int = 65_536  # a lease never crosses a multiple of it
    beat_seconds: float = 0.5
    beats_missed: int = 3
    deadline_seconds: float = 5.0
    coalesce_trades: int = 16_384  # fewer than these wait for a lease that is out, so that under load leases get larger
    coalesce_seconds: float = 0.003  # at most, and at most coalesce_factor times the median of recent leases
    coalesce_factor: float = 2.0
    pace_seconds: float = 0.003  # few trades go at least so long after the lease before
    pace_factor: float = 3.0  # or so many times what results lately took from their return to their verdict:
    pace_most_seconds: float = 0.004  # who is busy merging gets fewer and larger ones, which cost less
    pace_from_share: float = 0.6  # of a core: from here on the longer the more of it the event loop takes,
    pace_most_share: float = 0.82  # to pace_most_seconds here: at half of the most (some 0.73) time counts, beyond cost
    full_share: float = 0.92  # from pace_most_share to here the pace grows once more, as far as
    full_seconds: float = 0.008  # this, and coalesce_trades as far as
    full_trades: int = 32_768  # this: the event loop has next to no time left, and each lease costs it some
    bulk_from_rate: float = 2.2e6  # trades a second: from here on both grow, however idle the loop is,
    bulk_rate: float = 2.8e6  # up to here (who sends so much waits for commits: cost counts and time does not), as far
    bulk_seconds: float = 0.012  # as this,
    bulk_trades: int = 65_536  # and this
    second_factor: float = 4.0  # times the median of recent leases, then the oldest range is leased again
    second_floor_seconds: float = 0.05  # below this, a second lease costs more than it saves
    second_unknown_seconds: float = 1.0  # while no lease has returned yet: a cold worker imports and compiles

    @property
    def silence_seconds(self) -> float:
        """A worker not heard of for so long is lost."""
        return self.beat_seconds * self.beats_missed

    def end_of_lease(self, first: int, last: int) -> int:
        """The last trade of a lease that begins with `first` and ends with `last` at most."""
        return min(last, first + self.lease_trades - 1, -(-first // self.align) * self.align)

    def are_few(self, first: int, last: int, enough: int) -> bool:
        """Whether a lease of these trades would have less than enough, and could be larger if there were more."""
        room = self.end_of_lease(first, last + 1) > last
        return room and last - first + 1 < min(enough, self.lease_trades)


@dataclass(slots=True, eq=False)
class Held:
    """A lease that was sent and is not settled. Times are monotonic seconds."""

    attempt: int
    worker: str
    first: int
    last: int
    sent_at: float
    since: float = 0.0  # when it became its worker's oldest; its deadline counts from here
    suspect: Suspect | None = None
    returned_at: float | None = None  # its result is here since then, the verdict is not
    open: bool = True  # some trade of it is not accepted yet

    def overlaps(self, first: int, last: int) -> bool:
        """Whether any trade is in both."""
        return self.first <= last and first <= self.last


class Patience:
    """How long to wait for a lease that is out, judged by how long recent ones took. Seconds."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._recent: deque[float] = deque(maxlen=32)  # sent to returned
        self._verdicts: deque[float] = deque(maxlen=32)  # returned to settled
        self.pace_seconds = limits.pace_seconds
        self.sent_at = -limits.pace_seconds  # when the newest lease was sent
        self.seconds = limits.second_unknown_seconds  # until the oldest range is leased a second time
        self.coalesce_seconds = limits.coalesce_seconds  # until few trades are leased although another lease is out
        self._loaded_seconds = 0.0  # what the event loop's load makes of the pace
        self.expects_more = True  # trades wait for the journal, which will be available soon
        self.enough = limits.coalesce_trades  # as many trades as need not wait for more

    def few_until(self, newest: float | None) -> float:
        """Until when few trades wait; `newest` is when the newest lease that is out was sent, None when none is."""
        loaded = self._loaded_seconds
        if not self.expects_more:  # a burst may be over: then its last trades would wait for nothing
            loaded = min(loaded, self._limits.pace_most_seconds)
        paced = self.sent_at + max(self.pace_seconds, loaded)
        return paced if newest is None else max(paced, newest + self.coalesce_seconds)

    def note(self, seconds: float) -> None:
        """A lease returned after `seconds`."""
        self._recent.append(seconds)
        limits, usual = self._limits, median(self._recent)
        self.seconds = max(limits.second_floor_seconds, limits.second_factor * usual)
        self.coalesce_seconds = min(limits.coalesce_seconds, limits.coalesce_factor * usual)

    def note_verdict(self, lease: Held, now: float) -> None:
        """The result of a lease was judged, so merged if it was good."""
        if lease.returned_at is not None:
            limits = self._limits
            self._verdicts.append(now - lease.returned_at)
            busy = min(limits.pace_most_seconds, limits.pace_factor * median(self._verdicts))
            self.pace_seconds = max(limits.pace_seconds, busy)

    def note_load(self, share: float, rate: float = 0.0) -> None:
        """The event loop took so much of a core lately, and so many trades a second came."""
        limits = self._limits
        bulk = _between(limits.bulk_from_rate, limits.bulk_rate, rate)
        loaded = _between(limits.pace_from_share, limits.pace_most_share, share)
        full = _between(limits.pace_most_share, limits.full_share, share)
        most = max(limits.pace_most_seconds, limits.full_seconds)
        seconds = limits.pace_seconds + loaded * (limits.pace_most_seconds - limits.pace_seconds)
        seconds += full * (most - limits.pace_most_seconds)
        self._loaded_seconds = seconds + bulk * max(0.0, limits.bulk_seconds - seconds)
        enough = limits.coalesce_trades + full * max(0, limits.full_trades - limits.coalesce_trades)
        self.enough = int(enough + bulk * max(0, limits.bulk_trades - enough))


def _between(low: float, high: float, share: float) -> float:
    """From 0 at the low one to 1 at the high one."""
    return min(1.0, max(0.0, (share - low) / (high - low)))
