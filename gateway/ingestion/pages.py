"""Memory that is taken from the system before it is needed, in a thread: to touch a page for the first time takes
microseconds, a large one milliseconds, and the event loop would stand still for it.

Nothing in the memory changes. Where the system cannot do it (Linux before 5.14, others) pages come when they are used.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from typing import Any

import numpy.typing as npt

_POPULATE_WRITE = 23  # MADV_POPULATE_WRITE: as if each page were written to
_PAGE = 4096
_PIECE = 1 << 18  # bytes: while one is taken, whoever maps memory waits
# ctypes gives the GIL back while it runs.
_madvise: Any = ctypes.CDLL(None).madvise if sys.platform == "linux" else None


def take_pages(array: npt.NDArray[Any]) -> threading.Thread | None:
    """Begin to take the memory of an array; None when this system cannot. It is done when the thread has ended."""
    if _madvise is None:
        return None
    thread = threading.Thread(target=_take, args=(array,), name="pages", daemon=True)
    thread.start()
    return thread


def _take(array: npt.NDArray[Any]) -> None:
    address = array.ctypes.data
    start = address + -address % _PAGE
    stop = (address + array.nbytes) // _PAGE * _PAGE
    for piece in range(start, stop, _PIECE):
        began = time.perf_counter()
        if _madvise(ctypes.c_void_p(piece), ctypes.c_size_t(min(_PIECE, stop - piece)), _POPULATE_WRITE):
            return
        time.sleep(time.perf_counter() - began)  # whoever shares this core has his turn
