"""Memory that the first trades of a burst need: there before they come, given back when they do not.

To take it when it is needed costs an event loop that has just started as much again for each trade, in a virtual
machine up to 3 ms for a large page of 2 MB. A desk with few trades shall not keep it for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

UNUSED_SECONDS = 600.0  # until what was not needed is given back


class Early(Protocol):
    """Some of it."""

    def take_early(self) -> object:
        """Begin to take it."""

    def give_back_early(self) -> None:
        """Give back what of it was never used."""


def keep_early(memories: Sequence[Early], seconds: float = UNUSED_SECONDS) -> None:
    """Begin to take it now, on this event loop; give back what is not used by then."""
    for memory in memories:
        memory.take_early()
        asyncio.get_running_loop().call_later(seconds, memory.give_back_early)
