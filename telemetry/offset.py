"""How far another machine's clock is ahead of ours, from requests and their answers (RFC 5905, section 8).

A request leaves at t1 by our clock and comes at t2 by theirs; its answer leaves at t3 by theirs and comes at t4 by
ours. With

    offset  theta = ((t2 - t1) + (t3 - t4)) / 2        above 0: their clock is ahead
    delay   delta = (t4 - t1) - (t3 - t2)              the time on the way, both ways together

the true offset is within theta +- delta / 2, however the delay is divided between the two ways: were all of it on one
way, theta would be off by half of it. Of several exchanges the one with the least delay says most (the clock filter of
section 10), and a bound is a bound: all of them hold together. Pure; all times are UTC nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Exchange(NamedTuple):
    """One request and its answer."""

    sent: int  # t1, ours
    received: int  # t2, theirs
    answered: int  # t3, theirs
    came: int  # t4, ours

    @property
    def offset(self) -> float:
        """Their clock less ours, in seconds, give or take `error`."""
        return ((self.received - self.sent) + (self.answered - self.came)) / 2e9

    @property
    def delay(self) -> float:
        """Seconds on the way, both ways together. Below 0 only when a clock was set meanwhile."""
        return ((self.came - self.sent) - (self.answered - self.received)) / 1e9

    @property
    def error(self) -> float:
        """The offset is off by at most so many seconds."""
        return self.delay / 2


def best(exchanges: Iterable[Exchange]) -> Exchange | None:
    """The exchange with the least delay; None when there is none in which no clock was set."""
    return min((one for one in exchanges if one.delay >= 0), key=lambda one: one.delay, default=None)
