"""A figure: what was measured in each round, with the bound it is held to; and the rounds themselves."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence

import msgspec

FAILED = "failed"
Sample = Mapping[str, float]


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the result. `measured` has a value per round: ratios of a pair, or absolute in `unit`."""

    name: str
    measured: tuple[float, ...] = ()
    unit: str = ""  # "" is a ratio
    required: float | None = None
    aim: float | None = None
    at_least: bool = True  # else at most
    values: dict[str, tuple[float, ...]] = {}  # label with unit -> a value per round
    note: str = ""
    skipped: str = ""  # the reason

    @property
    def median(self) -> float:
        """Of all rounds."""
        return statistics.median(self.measured)

    @property
    def verdict(self) -> str:
        """Whether the median keeps the bounds: aim, ok, SHORT; "" when there is no bound, skipped without a value."""
        if not self.measured:
            return "skipped"
        if self.required is None:
            return ""
        if self.aim is not None and self._keeps(self.aim):
            return "aim"
        return "ok" if self._keeps(self.required) else "SHORT"

    def _keeps(self, bound: float) -> bool:
        return self.median >= bound if self.at_least else self.median <= bound


def alternate(
    rounds: int, things: Mapping[str, Callable[[int], Sample]], *, warm_up: bool = True
) -> dict[str, list[Sample]]:
    """A B A B …: each thing once a round, with the round's number. The first round warms up and is not kept."""
    samples: dict[str, list[Sample]] = {name: [] for name in things}
    for number in range(rounds + warm_up):
        for name, thing in things.items():
            say(f"  round {number + 1}/{rounds + warm_up}: {name}")
            samples[name].append(thing(number))
    return {name: taken[warm_up:] for name, taken in samples.items()}


def column(samples: Sequence[Sample], key: str) -> tuple[float, ...]:
    """One value of each sample."""
    return tuple(sample[key] for sample in samples)


def ratios(above: Sequence[Sample], below: Sequence[Sample], key: str = "rate") -> tuple[float, ...]:
    """Pair by pair: what ran in the same round."""
    return tuple(a / b for a, b in zip(column(above, key), column(below, key), strict=True))


def failed(name: str, error: Exception) -> Figure:
    """A figure that could not be measured."""
    reason = f"{FAILED}: {type(error).__name__}: {error}"[:500]
    say(f"  {reason}")
    return Figure(name=name, skipped=reason)


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)
