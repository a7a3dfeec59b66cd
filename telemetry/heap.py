"""Freed memory that stays with the process: a lease or a body of some megabytes comes again and again.

The C library gives large blocks back to the system when they are freed, and the system clears every page of the next
one: a quarter of what the gateway had to do for a trade that is read back from the journal. So blocks up to BLOCK_BYTES
come from the heap, and up to KEPT_BYTES that are free at its end stay there. The heap grows by GROWTH_BYTES of
addresses at a time: each time it waits until no other thread takes memory from the system, which can be milliseconds.
"""

from __future__ import annotations

import ctypes

BLOCK_BYTES = 8 << 20  # tables that grow are larger soon, and shall not be cleared at once
KEPT_BYTES = 64 << 20
GROWTH_BYTES = 16 << 20  # memory is only used when it is written to
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # names of mallopt(3)


def keep_freed_memory() -> bool:
    """Whether this C library can be told so; it is from now on."""
    tell = getattr(ctypes.CDLL(None), "mallopt", None)
    if tell is None:
        return False
    values = {_MMAP_THRESHOLD: BLOCK_BYTES, _TRIM_THRESHOLD: KEPT_BYTES, _TOP_PAD: GROWTH_BYTES}
    return all(tell(name, value) for name, value in values.items())
