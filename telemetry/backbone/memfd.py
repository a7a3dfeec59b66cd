"""Memory of Linux without a name, whose size cannot be changed, see memfd_create(2).

Many Pythons were built where the system's library did not have that yet, and so lack it: those that uv installed until
July 2026, for one. The library they run with has it, so it is asked there; the numbers are those of fcntl(2).
"""

from __future__ import annotations

import ctypes
import fcntl
import os

CLOEXEC, ALLOW_SEALING = 1, 2  # MFD_*
ADD_SEALS, GET_SEALS = 1033, 1034  # F_*
SEAL_SHRINK, SEAL_GROW = 2, 4  # F_*


def create(name: str, size: int, seals: int = SEAL_SHRINK | SEAL_GROW) -> int:
    """The descriptor of so many bytes, all 0. Raises OSError where there is no such memory."""
    descriptor = _create(name, CLOEXEC | ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, size)
        fcntl.fcntl(descriptor, ADD_SEALS, seals)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_sealed(descriptor: int) -> bool:
    """Whether it stays as large as it is. Raises OSError on what cannot be sealed."""
    sealed = SEAL_SHRINK | SEAL_GROW
    return fcntl.fcntl(descriptor, GET_SEALS) & sealed == sealed


def _create(name: str, flags: int) -> int:
    if (create := getattr(os, "memfd_create", None)) is not None:
        return int(create(name, flags))
    ask = getattr(ctypes.CDLL(None, use_errno=True), "memfd_create", None)
    if ask is None:
        raise OSError("expected a system whose library has memfd_create, found another one")
    descriptor = int(ask(name.encode(), ctypes.c_uint(flags)))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), f"memfd_create: {os.strerror(ctypes.get_errno())}")
    return descriptor
