"""How much of a core an event loop takes, how many trades come: what waits for more waits longer when it is much."""

from __future__ import annotations

from time import monotonic, thread_time

LOOK_SECONDS = 0.02  # it is measured over at least so long: a burst of a tenth of a second is noticed while it lasts
LASTING_SECONDS = 0.3  # for who should go on as before while the loop catches up after a pause, as leases do
RATE_SECONDS, RATE_TRADES = 0.1, 1 << 17  # a rate is measured over so long, or over so many trades if they come sooner


class Load:
    """Of one event loop; made and asked in its thread."""

    def __init__(self, look_seconds: float = LOOK_SECONDS) -> None:
        """It is measured over at least so long."""
        self._look_seconds, self._share = look_seconds, 0.0
        self._looked_at, self._taken = monotonic(), thread_time()  # CPU seconds until then

    def share(self, now: float) -> float:
        """How much of a core it took lately, from 0 to 1; since somebody asked before, when that is long ago. `now` is
        in monotonic seconds."""
        if now - self._looked_at >= self._look_seconds:
            taken = thread_time()
            self._share = (taken - self._taken) / (now - self._looked_at)
            self._looked_at, self._taken = now, taken
        return self._share


class Rate:
    """Of trades, by how many there have been."""

    def __init__(self, trades: int) -> None:
        self._rate, self._looked_at, self._trades = 0.0, monotonic(), trades

    def per_second(self, trades: int, now: float) -> float:
        """How many came lately. `now` is in monotonic seconds."""
        seconds, more = now - self._looked_at, trades - self._trades
        if seconds > 0 and (seconds >= RATE_SECONDS or more >= RATE_TRADES):
            self._rate, self._looked_at, self._trades = more / seconds, now, trades
        return self._rate
