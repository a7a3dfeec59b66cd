"""Compiled functions with fixed signatures: those of the library, or what numba makes of them in this process.

Python calls entries; entries call parts. Where the library is there (see telemetry.compiled.library) an entry is the
function in it, a part is never called, and numba is not imported: it takes a second and 100 MB. Numba compiles in this
process where it makes the library (telemetry.compiled.build), where no library can be used, and with
NUMBA_BOUNDSCHECK=1, for tests. No call can start the compiler later: all signatures are fixed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple, TypeVar, cast

from telemetry.compiled import library
from telemetry.compiled.signatures import (
    BITS,
    BYTES,
    CODES,
    DOUBLES,
    INDICES,
    INTEGER,
    INTEGERS,
    LONGS,
    MATRIX,
    READ_ONLY,
    SINGLES,
    TEXT,
    UNSIGNED,
    Scalar,
    TupleOf,
    Type,
)

__all__ = [
    "BITS",
    "BYTES",
    "CODES",
    "DOUBLES",
    "INDICES",
    "INTEGER",
    "INTEGERS",
    "LONGS",
    "MATRIX",
    "READ_ONLY",
    "SINGLES",
    "TEXT",
    "UNSIGNED",
]  # for entries

Function = TypeVar("Function", bound=Callable[..., Any])


class Compiled(NamedTuple):
    """An entry as numba has it."""

    name: str  # with the module's
    types: tuple[Type, ...]
    dispatcher: Any


IS_CHECKED = os.environ.get("NUMBA_BOUNDSCHECK", "0") not in ("", "0")
LIBRARY = None if IS_CHECKED else library.load()
IN_PROCESS = LIBRARY is None
entries: list[Compiled] = []  # for telemetry.compiled.build


def part(function: Function) -> Function:
    """A function that only entries call; it is compiled as a part of them."""
    if not IN_PROCESS:
        return function
    compiled: Function = import_module("numba").njit(function)
    return compiled


def entry(*types: Type) -> Callable[[Function], Function]:
    """A function that Python calls with arguments of exactly these types, and that returns an integer. Needs no GIL."""

    def compile_entry(function: Function) -> Function:
        name = f"{function.__module__}.{function.__name__}"
        compiled: Any = _in_process(name, types, function) if LIBRARY is None else LIBRARY.entry(name, types)
        return cast("Function", compiled)

    return compile_entry


def _in_process(name: str, types: tuple[Type, ...], function: Callable[..., Any]) -> Any:
    numba: Any = import_module("numba")
    signature = numba.int64(*(_numba_type(numba, each) for each in types))
    cache = library.cache_directory()
    is_cached = cache is not None and not os.environ.get(library.BUILDING)
    if is_cached:
        numba.core.config.CACHE_DIR = str(cache)
    dispatcher = numba.njit(signature, nogil=True, cache=is_cached)(function)
    entries.append(Compiled(name, types, dispatcher))
    return dispatcher


def _numba_type(numba: Any, one: Type) -> Any:
    if isinstance(one, Scalar):
        return getattr(numba, one.name)
    item = getattr(numba, one.item.name)
    if isinstance(one, TupleOf):
        return numba.types.UniTuple(item, one.count)
    return numba.types.Array(item, one.dimensions, "C", readonly=one.readonly)
