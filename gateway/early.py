"""Memory that the first trades of a burst need: there before they come, given back when they do not.

To take it when it is needed costs an event loop that has just started as much again for each trade, in a virtual
machine up to 3 ms for a large page of 2 MB. A desk with few trades shall not keep it for that.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Protocol

UNUSED_SECONDS = 600.0  # until what was not needed is given back


class Early(Protocol):
    """Some of it."""

    def take_early(self) -> threading.Event | None:
        """Begin to take it; set when it is there."""

    def give_back_early(self) -> None:
        """Give back what of it was never used."""


def keep_early(memories: Sequence[Early], seconds: float = UNUSED_SECONDS) -> list[threading.Event]:
    """Take it now, on this event loop; give back what is not used by then. Each event is set when one is there."""
    taking = [memory.take_early() for memory in memories]
    for memory in memories:
        asyncio.get_running_loop().call_later(seconds, memory.give_back_early)
    return [event for event in taking if event is not None]
