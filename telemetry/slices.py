"""A thread that is needed for a moment at a time, and right then.

Linux lets a thread that was woken push another one aside when its own slice of time ends sooner. All have the same
slice, some milliseconds, so who writes the journal for a moment waits for a core as long as who computes all the time.
A thread may ask for a shorter slice (sched_setattr(2), since Linux 6.12); it has no more of the core for that, it has
it sooner.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from struct import Struct

SHORT_NS = 100_000  # the shortest that Linux gives
_NUMBERS = {"x86_64": (314, 315), "aarch64": (274, 275)}  # of the calls sched_setattr and sched_getattr
# Size, policy, flags, nice, priority, runtime (the slice, ns), deadline, period: the first version of the structure.
_ATTRIBUTES = Struct("<IIQiIQQQ")
_RUNTIME = 5
_SET, _GET = 0, 1
_THIS_THREAD = 0


def slice_ns(thread: int = _THIS_THREAD) -> int:
    """That of a thread (its native id), in ns; 0 where the system does not tell."""
    return attributes[_RUNTIME] if (attributes := _read(thread)) is not None else 0


def ask_for_short_slices() -> bool:
    """Whether this thread has them from now on."""
    attributes = _read(_THIS_THREAD)
    if attributes is None or not attributes[_RUNTIME]:
        return False
    wanted = _ATTRIBUTES.pack(_ATTRIBUTES.size, *attributes[1:_RUNTIME], SHORT_NS, *attributes[_RUNTIME + 1 :])
    return _call(_SET, _THIS_THREAD, ctypes.create_string_buffer(wanted), 0)


def _read(thread: int) -> tuple[int, ...] | None:
    buffer = ctypes.create_string_buffer(_ATTRIBUTES.size)
    return _ATTRIBUTES.unpack(buffer.raw) if _call(_GET, thread, buffer, _ATTRIBUTES.size, 0) else None


def _call(which: int, thread: int, attributes: ctypes.Array[ctypes.c_char], *rest: int) -> bool:
    numbers = _NUMBERS.get(platform.machine())
    if numbers is None or sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).syscall(numbers[which], thread, attributes, *rest) == 0)
