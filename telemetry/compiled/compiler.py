"""The one door to numba: compiled functions with Python's types, cached in a directory named after their sources.

Only `decode_compiled.CompiledReading` and `gateway.keys.compiled_slots` import this, and all that needs it: numba takes
a second and may be absent. Whatever is compiled has a fixed signature, so that no call can start the compiler later.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

numba: Any = import_module("numba")  # has no types
array_struct: Any = import_module("numba.np.arrayobj").make_array
ir: Any = import_module("llvmlite.ir")
IS_CHECKED = bool(numba.core.config.BOUNDSCHECK)
# Those whose constants become part of the code.
_OTHER_SOURCES = ("decimals.py", "digests.py", "multilinear.py", "rows.py", "times.py", "trade.py")
_PRIVATE = 0o700  # numba's cache holds code that is run: nobody else may write there

INTEGER = numba.int64
TEXT = numba.types.Array(numba.uint8, 1, "C", readonly=True)  # accepts writable arrays too
BYTES, UNSIGNED, INTEGERS = numba.uint8[::1], numba.uint64[::1], numba.int64[::1]
INDICES = numba.uint32[::1]


def part(function: Function) -> Function:
    """A function that only entries call; it is compiled as a part of them."""
    compiled: Function = numba.njit(function)
    return compiled


def entry(*types: object) -> Callable[[Function], Function]:
    """A function that Python calls with arguments of exactly these types, and that returns an integer. Needs no GIL."""

    def compile_entry(function: Function) -> Function:
        compiled: Function = numba.njit(INTEGER(*types), nogil=True, cache=(_CACHE is not None))(function)
        return compiled

    return compile_entry


def cache_directory() -> Path | None:
    """Where compiled code is kept between starts: NUMBA_CACHE_DIR, else the user's cache; None when not writable.

    The sources' digest is part of the name. numba looks at size and time of the file of an entry only, not at the files
    that it calls, and an installer may give every version the same time.
    """
    digest = blake2b(bytes([IS_CHECKED]), digest_size=8)
    folder = Path(__file__).parent
    for source in (*sorted(folder.glob("*.py")), *(folder.parent / name for name in _OTHER_SOURCES)):
        digest.update(source.read_bytes())
    try:
        home = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        directory = Path(home).absolute() / "trading-telemetry" / digest.hexdigest()
        directory.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: no home at all
        return None
    return directory if os.access(directory, os.W_OK) and directory.stat().st_uid == os.getuid() else None


_CACHE = cache_directory()
if _CACHE is not None:
    numba.core.config.CACHE_DIR = str(_CACHE)
