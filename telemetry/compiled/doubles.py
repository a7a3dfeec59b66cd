"""Numbers of an Arrow body to canonical decimals, for compiled code."""

from __future__ import annotations

import numpy as np

from telemetry.compiled.compiler import part
from telemetry.compiled.tokens import DOUBT
from telemetry.decimals import MAX_SCALE

_EXACT = 1e15  # doubles hold every decimal of 15 digits apart from the next: it is the shortest that reads back
_POWERS = 10.0 ** np.arange(MAX_SCALE + 1)


@part
def strip(mantissa: int, scale: int) -> tuple[int, int]:
    """Canonical: without zeros at the end."""
    while scale > 0:
        shorter = mantissa // 10
        if shorter * 10 != mantissa:
            break
        mantissa = shorter
        scale -= 1
    return mantissa, scale


@part
def shortest_like(value: float, scale: int) -> tuple[int, int]:
    """As `shortest`, for a value that may have as many decimals as the one before it: that is tried first."""
    scaled = np.rint(value * _POWERS[scale])
    if -_EXACT < scaled < _EXACT and scaled / _POWERS[scale] == value:
        return strip(np.int64(scaled), scale)  # type: ignore[arg-type]  # numba's integers are one type
    return shortest(value)


@part
def shortest(value: float) -> tuple[int, int]:
    """The decimal of at most 15 digits that reads back as the same double: the shortest. A scale of DOUBT else.

    Dividing two exact numbers rounds once, as reading does.
    """
    for scale in range(MAX_SCALE + 1):
        scaled = np.rint(value * _POWERS[scale])
        if not -_EXACT < scaled < _EXACT:
            break
        if scaled / _POWERS[scale] == value:
            return np.int64(scaled), scale  # type: ignore[return-value]
    return 0, DOUBT
