"""Figures that are shown against figures that were recomputed: what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from telemetry.recompute import Near

RELATIVE = 1e-12


class Difference(NamedTuple):
    """One figure that is not what the journal says."""

    where: str
    figure: str
    shown: Any
    recomputed: Any


def differences(where: str, shown: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[Difference]:
    """The figures of `expected` that are shown otherwise, or not at all."""
    for figure, value in expected.items():
        found = shown.get(figure.partition(" ")[0])
        if not _equal(found, value):
            yield Difference(where, figure, found, value.value if isinstance(value, Near) else value)


def _equal(shown: Any, expected: Any) -> bool:
    if isinstance(expected, Near | float) and isinstance(shown, int | float):
        value, slack = expected if isinstance(expected, Near) else (expected, 0.0)
        return abs(shown - value) <= RELATIVE * max(abs(shown), abs(value)) + slack
    return type(shown) is type(expected) and bool(shown == expected)
