"""Memory that is taken from the system before it is needed, in a thread: to touch a page for the first time takes
microseconds, a large one milliseconds, and the event loop would stand still for it.

Nothing in the memory changes. Where the system cannot do it (Linux before 5.14, others) pages come when they are used.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref

import numpy as np
import numpy.typing as npt

_POPULATE_WRITE = 23  # MADV_POPULATE_WRITE: as if each page were written to
_PAGE = 4096
_PIECE = 1 << 18  # bytes: while one is taken, whoever maps memory waits
_SPANS = 64  # that wait for a quiet time; the first ones are forgotten when there are more
_QUIET = 0.2  # share of a core that the process uses at most in a quiet time
_BUSY_SECONDS, _QUIET_SECONDS = 0.1, 0.01  # until the next look
_PIECES = 8  # of a quiet time until the next look: 2 MB, in a virtual machine four milliseconds
# ctypes gives the GIL back while it runs.
_madvise: Any = ctypes.CDLL(None).madvise if sys.platform == "linux" else None
Array = npt.NDArray[Any]


def reserve(words: int) -> npt.NDArray[np.uint64]:
    """So many words, all 0, whose memory comes as it is used. np.zeros may give memory that was used before, whole."""
    return np.frombuffer(mmap.mmap(-1, 8 * words, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), np.uint64)


def take_pages(array: Array) -> threading.Thread | None:
    """Begin to take the memory of an array; None when this system cannot. It is done when the thread has ended."""
    if _madvise is None:
        return None
    thread = threading.Thread(target=_take, args=(array,), name="pages", daemon=True)
    thread.start()
    return thread


def _take(array: Array) -> None:
    for address, size in _pieces(array):
        began = time.perf_counter()
        if not _populate(address, size):
            return
        time.sleep(time.perf_counter() - began)  # whoever shares this core has his turn


def _pieces(array: Array) -> Iterator[tuple[int, int]]:
    """Address and size of each piece of the whole pages of an array."""
    address = array.ctypes.data
    start = address + -address % _PAGE
    stop = (address + array.nbytes) // _PAGE * _PAGE
    for piece in range(start, stop, _PIECE):
        yield piece, min(_PIECE, stop - piece)


def _populate(address: int, size: int) -> bool:
    return not _madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), _POPULATE_WRITE)


def _used_by_others() -> float:
    return time.process_time() - time.thread_time()


class QuietPages:
    """Takes memory while the process has little else to do: what comes in a burst then finds it there. Its thread ends
    with it, or when nothing is wanted.

    `want` is for one thread."""

    def __init__(self, used_seconds: Callable[[], float] = _used_by_others) -> None:
        """`used_seconds`: of a core, by all but the thread that asks."""
        self._used_seconds = used_seconds
        self._wanted: deque[Array] = deque(maxlen=_SPANS)
        self._pieces: Iterator[tuple[int, int]] = iter(())
        self._thread: threading.Thread | None = None

    def want(self, array: Array) -> None:
        """Take the memory of this array, after what was wanted before; less than a piece is not worth a thread."""
        if array.nbytes < _PIECE:
            return
        self._wanted.append(array)
        if _madvise is not None and (self._thread is None or not self._thread.is_alive()):
            arguments = ref(self), self._used_seconds
            self._thread = threading.Thread(
                target=_take_in_quiet_times, args=arguments, name="quiet pages", daemon=True
            )
            self._thread.start()

    def take_some(self) -> bool:
        """Take a few pieces of what is wanted; whether there is more."""
        for _ in range(_PIECES):
            piece = next(self._pieces, None)
            if piece is None:
                if not self._wanted:
                    return False
                self._pieces = _pieces(self._wanted.popleft())
            elif not _populate(*piece):
                return False
        return True


def _take_in_quiet_times(of: ref[QuietPages], used_seconds: Callable[[], float]) -> None:
    pause, more = _QUIET_SECONDS, True
    while more:
        began, used = time.monotonic(), used_seconds()
        time.sleep(pause)
        quiet = used_seconds() - used <= _QUIET * (time.monotonic() - began)
        pages = of()
        more = pages is not None and (not quiet or pages.take_some())
        del pages
        pause = _QUIET_SECONDS if quiet else _BUSY_SECONDS
