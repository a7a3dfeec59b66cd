"""Work that is done at once, or beside the event loop: most of it is compiled, which runs while others have the
interpreter's lock. What it changes is not to be looked at until it is over."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

SECONDS = 60.0  # that it is waited for: it takes milliseconds, and what it changes is of no use before

Work = Callable[[], None]
Begin = Callable[[Work], Callable[[], object]]  # begins work; what it gives waits for the end, and raises what that did


def nothing() -> None:
    """Wait for nothing."""


def at_once(work: Work) -> Work:
    """The reference of Begin."""
    work()
    return nothing


class Beside:
    """One piece after the other in a thread, which ends when nobody refers to this any more."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "patterns")  # it is started with the first piece

    def __call__(self, work: Work) -> Callable[[], object]:
        """See Begin. TimeoutError: it takes longer than anything does."""
        return partial(self._thread.submit(work).result, SECONDS)
