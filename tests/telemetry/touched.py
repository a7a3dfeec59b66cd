"""Which pages of memory are there, as Linux tells."""

from __future__ import annotations

import mmap
import struct
from typing import Any

import numpy.typing as npt


def share_there(array: npt.NDArray[Any]) -> float:
    """The share of an array's pages that are in memory."""
    first, last = array.ctypes.data // mmap.PAGESIZE, (array.ctypes.data + array.nbytes - 1) // mmap.PAGESIZE
    with open("/proc/self/pagemap", "rb") as pages:
        pages.seek(8 * first)
        words = struct.unpack(f"<{last - first + 1}Q", pages.read(8 * (last - first + 1)))
    there: int = sum(word >> 63 for word in words)
    return there / len(words)
