"""The quickest parts that this machine has: compiled ones where they are wanted and there, else those in NumPy and
Python, which give the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import structlog

from gateway.alerting.looking import CompiledLook, Look, PlainLook
from gateway.ingestion.slots import MakeSlots, Slots
from gateway.keys import compiled_slots
from gateway.state.merging import CompiledMerging, Merging, NumpyMerging
from gateway.state.patterns import Parts, compiled_parts
from gateway.watching.naming import CompiledNaming, Naming
from telemetry.decode_compiled import available
from telemetry.pages import take_pages

Part = TypeVar("Part")
logger = structlog.get_logger("gateway")


def new_slots(compiled: bool) -> MakeSlots:
    """The table of keys."""
    return _quickest(compiled, compiled_slots, lambda: Slots, "table of keys")


def new_merging(compiled: bool) -> Merging:
    """The way of merging rows."""
    quick: Callable[[], Merging] = CompiledMerging
    return _quickest(compiled, quick, NumpyMerging, "merging")


def new_parts(compiled: bool) -> Parts:
    """What rates and patterns are kept in."""
    return _quickest(compiled, partial(compiled_parts, take_pages), Parts, "patterns")


def new_look(compiled: bool) -> Look:
    """The way of looking at single trades."""
    quick: Callable[[], Look] = CompiledLook
    return _quickest(compiled, quick, PlainLook, "looks at single trades")


def new_naming(compiled: bool) -> Naming:
    """The way of telling names apart."""
    quick: Callable[[], Naming] = CompiledNaming
    return _quickest(compiled, quick, Naming, "names of what is watched")


def _quickest(compiled: bool, quick: Callable[[], Part], plain: Callable[[], Part], name: str) -> Part:
    """The first start compiles for many seconds; later ones load that."""
    try:
        return quick() if compiled and available() else plain()
    except Exception as error:  # an optional library or its cache is broken: slower is better than down
        logger.warning("what is compiled cannot be used, the rest is slower", part=name, error=repr(error))
        return plain()
