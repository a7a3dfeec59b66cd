"""The compiled functions as machine code in a file, loaded without numba: a tenth of the time, and 100 MB less.

Theory of operation: the file is one image (see telemetry.compiled.image) without anything that must be changed when it
is loaded, mapped as code that cannot be written. Where the cache has none for these sources, this processor and this
numba, a process of its own makes it. Whatever is not as expected means no library: numba then compiles in this process.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import numpy as np
import structlog

from telemetry.compiled import image
from telemetry.compiled.signatures import ArrayOf, TupleOf, Type

BUILDING = "TRADING_TELEMETRY_BUILDING"  # set for the process that makes the library
REFUSED = -(1 << 63)  # what no entry returns: an argument is not of its type, or the function raised
_BUILD_SECONDS = 180.0
_PRIVATE = 0o700  # the cache holds code that is run: nobody else may write there
_NAME = "functions.image"
# Those outside of this folder whose constants become part of the code.
_OTHER_SOURCES = ("decimals.py", "digests.py", "multilinear.py", "patterns.py", "rows.py", "times.py", "trade.py")
_MACHINES = ("x86_64",)  # whose relocations telemetry.compiled.linking knows
logger = structlog.get_logger("compiled")


class Library:
    """An image in memory, for as long as the process lives."""

    def __init__(self, path: Path) -> None:
        """Raises ValueError when the file is not whole, OSError when it cannot be mapped as code."""
        with path.open("rb") as file:
            self._code = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)
        self._places = image.places(self._code)
        self._address = np.frombuffer(self._code, np.uint8).ctypes.data

    def entry(self, name: str, types: tuple[Type, ...]) -> Callable[..., int]:
        """The function of this name, callable as the one in Python. Raises TypeError for arguments of other types."""
        flat = [ctypes.py_object if isinstance(one, ArrayOf) else ctypes.c_int64 for one in _flat(types)]
        function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.py_object, *flat)(self._address + self._places[name])
        function.errcheck = cast("Any", partial(_checked, name))
        bound = partial(function, np.ndarray)  # the code compares with it the type of what should be arrays
        if not any(isinstance(one, TupleOf) for one in types):
            return bound
        return lambda *arguments: bound(*_spread(arguments))


def _flat(types: tuple[Type, ...]) -> list[Type]:
    return [item for one in types for item in ((one.item,) * one.count if isinstance(one, TupleOf) else (one,))]


def _spread(arguments: tuple[Any, ...]) -> list[Any]:
    return [item for one in arguments for item in (one if isinstance(one, tuple) else (one,))]


def _checked(name: str, result: int, _: object, arguments: tuple[object, ...]) -> int:
    if result == REFUSED:
        received = ", ".join(_description(argument) for argument in arguments[1:])
        raise TypeError(f"{name}: No matching definition for arguments ({received})")
    return result


def _description(argument: object) -> str:
    if not isinstance(argument, np.ndarray):
        return type(argument).__name__
    return f"array of {argument.dtype}, {argument.ndim} dimensions, writable: {argument.flags.writeable}"


def load() -> Library | None:
    """The library, made when it is not there; None where there can be none."""
    if os.environ.get(BUILDING) or platform.machine() not in _MACHINES or not _is_laid_out():
        return None
    try:
        directory = cache_directory()
        if directory is not None:
            return Library(_made(directory / _NAME))
        with tempfile.TemporaryDirectory() as temporary:
            return Library(_made(Path(temporary) / _NAME))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        output = getattr(error, "stderr", None)
        logger.warning("no compiled library, numba compiles in this process", error=repr(error), output=output)
        return None


def _made(path: Path) -> Path:
    """The file at `path`. Of several processes one makes it, the others wait."""
    with _only_one(path.parent):
        if not _is_whole(path):
            subprocess.run(  # noqa: S603 - this interpreter, a module of this package
                [sys.executable, "-m", "telemetry.compiled.build", str(path)],
                env=os.environ | {BUILDING: "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                check=True,
                capture_output=True,
                text=True,
                timeout=_BUILD_SECONDS,
            )
    return path


def _is_whole(path: Path) -> bool:
    with suppress(OSError, ValueError):
        return bool(image.places(path.read_bytes()))
    return False


@contextmanager
def _only_one(directory: Path) -> Any:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_laid_out() -> bool:
    """Whether arrays look as the code expects, see telemetry.compiled.wrapping."""
    example = np.zeros((2, 3), np.int64)
    address = id(example)
    data, dimensions = (ctypes.c_void_p.from_address(address + at).value for at in (16, 32))
    count = ctypes.c_int.from_address(address + 24).value
    descriptor = ctypes.c_void_p.from_address(address + 56).value
    flags = ctypes.c_int.from_address(address + 64).value
    if data != example.ctypes.data or count != 2 or descriptor != id(example.dtype) or flags != example.flags.num:
        return False
    sizes = ctypes.c_int64 * 2
    is_as_typed = ctypes.c_int.from_address(descriptor + 28).value == example.dtype.num
    return is_as_typed and dimensions is not None and list(sizes.from_address(dimensions)) == [2, 3]


def cache_directory() -> Path | None:
    """Where compiled code is kept between starts: NUMBA_CACHE_DIR, else the user's cache; None when not writable.

    The name of it says all that the code depends on: the sources, not their times, which an installer may give alike.
    """
    digest = blake2b(_surroundings().encode(), digest_size=8)
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


def _surroundings() -> str:
    """What the code depends on besides the sources: the processor's abilities, versions, the checking of bounds."""
    try:
        versions = [version(name) for name in ("numba", "llvmlite", "numpy")]
    except PackageNotFoundError:
        versions = []
    checked = os.environ.get("NUMBA_BOUNDSCHECK", "0")
    return repr((platform.machine(), sys.version, versions, checked, _processor()))


def _processor() -> list[str]:
    with suppress(OSError), open("/proc/cpuinfo") as lines:
        return sorted({line for line in lines if line.startswith(("model name", "flags", "cpu family", "model\t"))})
    return []
