"""How the figures over all symbols went in the last quarter of an hour: what sparklines and the two charts show.

Pure. A sample a second comes in; sums only grow, so what a step of time added is a difference of two samples.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

SECONDS = 900
STEP_SECONDS = 5  # of a bar or a point of the charts
SPARK_SECONDS = 300  # that a sparkline shows
MINUTE = 60.0


@dataclass(frozen=True)
class Sample:
    """The figures at an instant: UTC seconds; None where nothing is known."""

    at: float
    trades: int  # since the start of the data
    today: int
    notional: dict[str, Decimal]  # today, by currency
    rate: float  # trades per second
    p50: float | None
    p99: float | None  # seconds, end to end, of the last ten seconds
    p99_minute: float | None
    backlog: int


Figure = Callable[[Sample], float | None]


class History:
    """Samples in order of time, the newest SECONDS of them."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=SECONDS + 1)

    def add(self, sample: Sample) -> None:
        """Take a sample; when the clock was set back, what is later than it is forgotten."""
        while self._samples and self._samples[-1].at >= sample.at:
            self._samples.pop()
        self._samples.append(sample)

    def before(self, now: float, seconds: float) -> Sample | None:
        """The newest sample that is at least so old, None when there is none, or only one that is far older."""
        found = next((sample for sample in reversed(self._samples) if sample.at <= now - seconds + 0.5), None)
        return found if found is not None and found.at > now - seconds - 2 * STEP_SECONDS else None

    def points(self, now: float, seconds: int, figure: Figure, *, grows: bool = False) -> list[float | None]:
        """A figure by steps of STEP_SECONDS up to now, oldest first, None where there is no sample: its latest value in
        the step, or of one that `grows` what the step added per second."""
        steps = seconds // STEP_SECONDS
        end = now // STEP_SECONDS * STEP_SECONDS + STEP_SECONDS
        borders = [end - STEP_SECONDS * number for number in range(steps, -1, -1)]
        samples = list(self._samples)
        times = [sample.at for sample in samples]
        places = [bisect_left(times, border) - 1 for border in borders]  # the last sample before each border
        pairs = pairwise(places)
        return [_value(samples, first, last, figure, grows=grows) for first, last in pairs]


def _value(samples: list[Sample], first: int, last: int, figure: Figure, *, grows: bool) -> float | None:
    if last < 0 or last == first:
        return None
    value = figure(samples[last])
    if not grows or value is None:
        return value
    before = figure(samples[first]) if first >= 0 else None
    if before is None:
        return None
    # What counts a day begins anew at midnight; what is replaced by another gateway's may fall too.
    return max(0.0, value - before) / (samples[last].at - samples[first].at)
