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
LARGE_PAGE_BYTES = 2 << 20
_PIECE = 1 << 18  # bytes: while one is taken, whoever maps memory waits
MOST_ASKED = 64  # arrays that are taken in turn, and that wait for that; what comes then is not taken ahead
_SPANS = 64  # that wait for a quiet time; the first ones are forgotten when there are more
_QUIET = 0.2  # share of a core that the process uses at most in a quiet time
_BUSY_SECONDS, _QUIET_SECONDS = 0.1, 0.01  # until the next look
_LOOK_SECONDS = 0.002  # in which memory is taken before the next look, or for one piece
_DEARER = 4  # so many times as many are taken as small ones after a dear one, half as many after one that was not
_MOST_SMALL = 128  # large pages that are taken as small ones after dear ones
_MOST_FAILED = 8  # large pages to which memory of an array could not be moved
_COLLAPSE = 25  # MADV_COLLAPSE, since Linux 6.1: move what is there to a large page
# ctypes gives the GIL back while it runs.
_madvise: Any = ctypes.CDLL(None).madvise if sys.platform == "linux" else None
Array = npt.NDArray[Any]
_Take = Callable[[int, int], bool]


def reserve(words: int) -> npt.NDArray[np.uint64]:
    """So many words, all 0, whose memory comes as it is used, from the beginning of a large page on. np.zeros may give
    memory that was used before, whole."""
    memory = mmap.mmap(-1, 8 * words + LARGE_PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    octets = np.frombuffer(memory, np.uint8)
    start = -octets.ctypes.data % LARGE_PAGE_BYTES
    return octets[start : start + 8 * words].view(np.uint64)


class LargePages:
    """Large pages, as long as they cost little: one takes 0.1 ms, as much in small ones 0.7, but up to 5 ms where the
    host of a virtual machine has to find memory for it. Then more and more is taken in small pages before the next."""

    def __init__(self, dear_seconds: float = 0.001) -> None:
        """`dear_seconds`: too much for one."""
        self._dear_seconds = dear_seconds
        self._small, self._times = 0, 1  # what is taken in small ones, of what will be after the next dear one

    def take(self, address: int) -> bool:
        """Take one here; False when small pages are better, or there are no others."""
        if self._small:
            self._small -= 1
            return False
        if _advise(address, LARGE_PAGE_BYTES, mmap.MADV_HUGEPAGE):
            return False
        began = time.thread_time()
        taken = not _advise(address, LARGE_PAGE_BYTES, _POPULATE_WRITE)
        is_dear = time.thread_time() - began > self._dear_seconds
        self._times = min(_DEARER * self._times, _MOST_SMALL) if is_dear else max(self._times // 2, 1)
        self._small = self._times if is_dear else 0
        return taken


def _advise(address: int, size: int, advice: int) -> int:
    """0 when it was taken."""
    failed: int = _madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), advice)
    return failed


class _Asked:
    """Memory that is taken piece by piece."""

    def __init__(self, array: Array, *, large: bool) -> None:
        self._array, self._pieces, self.done = array, _pieces(array, large=large), threading.Event()

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

    def ask(self, array: Array, *, large: bool) -> threading.Event:
        """Set when all is taken, or nothing will be: beside MOST_ASKED that are under way no more than those wait."""
        asked = _Asked(array, large=large)
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
            while len(under_way) < MOST_ASKED and not self._asked.empty():
                under_way.append(self._asked.get())
            one, began = under_way.popleft(), time.perf_counter()
            if one.take_piece():
                under_way.append(one)
            del one  # it keeps the memory
            time.sleep(time.perf_counter() - began)  # whoever shares this core has his turn


_taker, _large_pages = _Taker(), LargePages()


def take_pages(array: Array, *, large: bool = False) -> threading.Event | None:
    """Begin to take the memory of an array, in a thread; set when it is there. None when this system cannot. `large`:
    in large pages where the system has some."""
    return _taker.ask(array, large=large) if _madvise is not None else None


def give_back_pages(array: Array) -> None:
    """The memory of an array goes to the system, and what is in it is lost: nobody uses it, or wants to know."""
    start, stop = _whole_pages(array)
    if _madvise is not None and start < stop:
        _advise(start, stop - start, mmap.MADV_DONTNEED)


def _pieces(array: Array, *, large: bool) -> Iterator[tuple[int, int]]:
    """Address and size of each piece of the whole pages of an array; whole large pages, if they are asked for."""
    piece, stop = _whole_pages(array)
    while piece < stop:
        size, before = min(_PIECE, stop - piece), -piece % LARGE_PAGE_BYTES
        if large and before:
            size = min(size, before)
        elif large and stop - piece >= LARGE_PAGE_BYTES:
            size = LARGE_PAGE_BYTES
        yield piece, size
        piece += size


def _whole_pages(array: Array) -> tuple[int, int]:
    """Where the whole pages of an array begin and end."""
    address = array.ctypes.data
    return address + -address % _PAGE, (address + array.nbytes) // _PAGE * _PAGE


def _populate(address: int, size: int) -> bool:
    if size == LARGE_PAGE_BYTES and _large_pages.take(address):
        return True
    end = address + size
    return not any(_advise(piece, min(_PIECE, end - piece), _POPULATE_WRITE) for piece in range(address, end, _PIECE))


def _join(address: int, size: int) -> bool:
    """Move what is here to a large page; False when the system cannot.

    It does that while nobody else may map memory or come to a new page: half a millisecond, but five more where a host
    has to find the memory. So that is found before, and given back: the system hands out first what it got last."""
    with mmap.mmap(-1, 2 * size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as found:
        octets = np.frombuffer(found, np.uint8)
        begin, place = octets.ctypes.data, -octets.ctypes.data % size
        del octets
        if _advise(begin + place, size, mmap.MADV_HUGEPAGE):
            return False
        for touched in (begin if place else begin + size, begin + place):  # the first time with all others locked out
            ctypes.memset(touched, 1, 1)
    return not _advise(address, size, _COLLAPSE)


def _used_by_others() -> float:
    return time.process_time() - time.thread_time()


class QuietPages:
    """Takes memory while the process has little else to do: what comes in a burst then finds it there. Its thread ends
    with it, or when nothing is wanted.

    `want` is for one thread."""

    def __init__(self, used_seconds: Callable[[], float] = _used_by_others) -> None:
        """`used_seconds`: of a core, by all but the thread that asks."""
        self._used_seconds = used_seconds
        self._wanted: deque[tuple[Array, bool]] = deque(maxlen=_SPANS)  # large: on large pages
        self._wanted_large: deque[Array] = deque(maxlen=1)
        self._pieces: Iterator[tuple[int, int]] = iter(())
        self._take: _Take = _populate
        self._failed = 0  # pieces that could not be moved
        self._thread: threading.Thread | None = None

    def want(self, array: Array, *, large: bool = False) -> None:
        """Take the memory of this array, `large` as in take_pages, after what was wanted before; less than a piece is
        not worth a thread."""
        if array.nbytes >= _PIECE:
            self._wanted.append((array, large))
            self._begin()

    def want_large(self, array: Array) -> None:
        """Move this array to large pages, as far as it fills them, when nothing else is wanted; and not another one
        that waits."""
        if array.nbytes >= LARGE_PAGE_BYTES:
            self._wanted_large.append(array)
            self._begin()

    def _begin(self) -> None:
        if _madvise is not None and (self._thread is None or not self._thread.is_alive()):
            arguments = ref(self), self._used_seconds
            self._thread = threading.Thread(
                target=_take_in_quiet_times, args=arguments, name="quiet pages", daemon=True
            )
            self._thread.start()

    def take_some(self) -> bool:
        """Take a few pieces of what is wanted; whether there is more."""
        end = time.thread_time() + _LOOK_SECONDS
        while time.thread_time() < end:
            piece = next(self._pieces, None)
            if piece is None:
                if not self._next():
                    return False
            elif self._take is _join and piece[1] < LARGE_PAGE_BYTES:
                continue  # an end
            elif not self._take(*piece):
                if self._take is _populate:
                    return False
                self._failed += 1
                if self._failed == _MOST_FAILED:
                    self._pieces = iter(())
        return True

    def _next(self) -> bool:
        """Go on with what is wanted next; whether there is such."""
        self._failed = 0
        if self._wanted:
            array, large = self._wanted.popleft()
            self._take, self._pieces = _populate, _pieces(array, large=large)
        elif self._wanted_large:
            self._take, self._pieces = _join, _pieces(self._wanted_large.popleft(), large=True)
        else:
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
