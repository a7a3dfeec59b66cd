"""Memory that ends where reading is forbidden, for the tests of compiled code."""

from __future__ import annotations

import ctypes
import mmap
import os

import numpy as np

from telemetry.frame import Array


class GuardedMemory:
    """Bytes whose end is the end of all that may be read: the next page is forbidden."""

    def __init__(self, pages: int = 16) -> None:
        self._size = pages * mmap.PAGESIZE
        self._map = mmap.mmap(-1, self._size + mmap.PAGESIZE)
        self._bytes = np.frombuffer(self._map, np.uint8)
        forbidden = ctypes.c_void_p(self._bytes.ctypes.data + self._size)
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.mprotect(forbidden, ctypes.c_size_t(mmap.PAGESIZE), 0) == 0, os.strerror(ctypes.get_errno())

    def at_the_end(self, text: bytes) -> Array:
        """An array of the text that ends where the forbidden page begins."""
        place = self._bytes[self._size - len(text) : self._size]
        place[:] = np.frombuffer(text, np.uint8)
        return place
