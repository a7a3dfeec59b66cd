"""A result that another thread hands over: who awaits it goes on at once, in the turn of the event loop that takes it.

With an ordinary future that is one turn later, and in between every connection is read that has something to say: with
large bodies milliseconds, while a commit that is on disk waits for its answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from typing import Self, TypeVar

Result = TypeVar("Result")


class Handed(asyncio.Future[Result]):
    """For one task that awaits it. Set the result or the exception in a callback of the loop, not within a task."""

    _waiting: tuple[object, Callable[[], object], Context] | None = None  # what was given; what is called, and where

    def add_done_callback(self, fn: Callable[[Self], object], /, *, context: Context | None = None) -> None:
        """The first one is called at once when there is a result, any other as usual."""
        if self._waiting is None and not self.done():
            self._waiting = fn, partial(fn, self), context or copy_context()
        else:
            super().add_done_callback(fn, context=context)

    def remove_done_callback(self, fn: Callable[[Self], object], /) -> int:
        """As usual."""
        if self._waiting is not None and self._waiting[0] == fn:
            self._waiting = None
            return 1
        return super().remove_done_callback(fn)

    def set_result(self, result: Result, /) -> None:
        """Who waits goes on before this returns."""
        super().set_result(result)
        self._go_on()

    def set_exception(self, exception: type | BaseException, /) -> None:
        """Who waits hears of it before this returns."""
        super().set_exception(exception)
        self._go_on()

    def cancel(self, msg: object = None) -> bool:
        """As usual: who waits hears of it in the next turn, for it may be a task that cancels it."""
        cancelled = super().cancel(msg)
        if cancelled and self._waiting is not None:
            (_, call, context), self._waiting = self._waiting, None
            self.get_loop().call_soon(call, context=context)
        return cancelled

    def _go_on(self) -> None:
        if self._waiting is not None:
            (_, call, context), self._waiting = self._waiting, None
            context.run(call)
