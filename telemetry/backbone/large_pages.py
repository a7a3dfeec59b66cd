"""Memory on large pages, for what goes to the disk past the page cache.

The system hands the disk a list of the pieces of memory that a write comes from, and a piece ends where the next page
lies elsewhere. From small pages a write of 1 MiB is a list of 256 pieces and several requests to the disk, from a large
page it is one.
"""

from __future__ import annotations

import mmap
from contextlib import suppress

import numpy as np

from telemetry.pages import LARGE_PAGE_BYTES


def on_large_pages(size: int) -> memoryview:
    """So many bytes, all 0, from the beginning of a large page on: on small ones where the system has no others.
    Memory is only used when it is written to, whole pages then."""
    whole = -(-size // LARGE_PAGE_BYTES) * LARGE_PAGE_BYTES
    memory = mmap.mmap(-1, whole + LARGE_PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(AttributeError, OSError):  # another system, or one that has no large pages
        memory.madvise(mmap.MADV_HUGEPAGE)
    start = -np.frombuffer(memory, np.uint8).ctypes.data % LARGE_PAGE_BYTES
    return memoryview(memory)[start : start + size]
