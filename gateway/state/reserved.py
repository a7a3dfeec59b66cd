"""Memory for the rows of atoms that never has to be copied to grow."""

from __future__ import annotations

import mmap
from contextlib import suppress

import numpy as np

from telemetry.rows import WIDTH, Rows

BETWEEN_FOLDS = 1 << 17  # rows beyond the cap: twice the largest stride, because folding inserts before it frees
SPARE = 64  # times the cap: addresses for more instruments than that, as memory is only used when it is written to
_LEAST_SPARE = 4
_NO_PROMISE = 0x4000  # Linux: MAP_NORESERVE, which Python does not name before 3.13


def reserved(cap: int) -> Rows:
    """Addresses for many times the cap, or a few times where the system promises no more than it has. All rows are 0;
    of memory, only what is written to is used."""
    with suppress(OSError):
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_PROMISE
        memory = mmap.mmap(-1, (SPARE * cap + BETWEEN_FOLDS) * WIDTH * 8, flags=flags)
        return np.frombuffer(memory, np.int64).reshape(-1, WIDTH)
    return np.zeros((_LEAST_SPARE * cap + BETWEEN_FOLDS, WIDTH), np.int64)


def enlarged(rows: Rows, count: int) -> Rows:
    """A copy with room for so many, which takes seconds: for what not even `reserved` foresaw."""
    grown = np.zeros((count, WIDTH), np.int64)
    grown[: len(rows)] = rows
    return grown
