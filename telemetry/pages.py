"""Memory that is taken from the system before it is needed, in a thread: to touch a page for the first time takes
microseconds, a large one milliseconds, and the event loop would stand still for it.

Nothing in the memory changes, unless it is given back. Where the system cannot do it (Linux before 5.14, others) pages
come when they are used.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any
from weakref import ref

import numpy as np
import numpy.typing as npt

_POPULATE_WRITE = 23  # MADV_POPULATE_WRITE: as if each page were written to
_PAGE = 4096
_PIECE = 1 << 18  # bytes: while one is taken, whoever maps memory waits
MOST_ASKED = 64  # arrays that wait for the thread; what comes then is not taken ahead
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


class _Asked:
    """Memory that is taken piece by piece."""

    def __init__(self, array: Array) -> None:
        self._array, self._pieces, self.done = array, _pieces(array), threading.Event()

    def take_piece(self) -> bool:
        """Take the next one; whether there may be more."""
        piece = next(self._pieces, None)
        if piece is not None and _populate(*piece):
            return True
        self.done.set()
        return False


class _Taker:
    """One thread for all who ask: to start one takes the event loop a tenth of a millisecond."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[_Asked] = SimpleQueue()
        self._lock, self._is_running = threading.Lock(), False

    def ask(self, array: Array) -> threading.Event:
        """Set when all is taken, or nothing will be: more than MOST_ASKED do not wait."""
        asked = _Asked(array)
        if self._asked.qsize() >= MOST_ASKED:
            asked.done.set()
            return asked.done
        self._asked.put(asked)
        with self._lock:
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="pages", daemon=True).start()
        return asked.done

    def _run(self) -> None:
        under_way: deque[_Asked] = deque()
        while True:
            if not under_way:
                under_way.append(self._asked.get())
            while not self._asked.empty():
                under_way.append(self._asked.get())
            one, began = under_way.popleft(), time.perf_counter()
            if one.take_piece():
                under_way.append(one)
            del one  # it keeps the memory
            time.sleep(time.perf_counter() - began)  # whoever shares this core has his turn


_taker = _Taker()


def take_pages(array: Array) -> threading.Event | None:
    """Begin to take the memory of an array, in a thread; set when it is there. None when this system cannot."""
    return _taker.ask(array) if _madvise is not None else None


def give_back_pages(array: Array) -> None:
    """The memory of an array goes to the system, and what is in it is lost: nobody uses it, or wants to know."""
    start, stop = _whole_pages(array)
    if _madvise is not None and start < stop:
        _madvise(ctypes.c_void_p(start), ctypes.c_size_t(stop - start), mmap.MADV_DONTNEED)


def _pieces(array: Array) -> Iterator[tuple[int, int]]:
    """Address and size of each piece of the whole pages of an array."""
    start, stop = _whole_pages(array)
    for piece in range(start, stop, _PIECE):
        yield piece, min(_PIECE, stop - piece)


def _whole_pages(array: Array) -> tuple[int, int]:
    """Where the whole pages of an array begin and end."""
    address = array.ctypes.data
    return address + -address % _PAGE, (address + array.nbytes) // _PAGE * _PAGE


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
