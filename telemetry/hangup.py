"""SIGHUP means two things: the terminal is gone, or (to whoever has none, or still has it) read your settings again."""

from __future__ import annotations

import os
from collections.abc import Callable

TERMINAL = "/dev/tty"  # the terminal that controls this process


def on_hang_up(reload: Callable[[], object], stop: Callable[[], object]) -> Callable[[], None]:
    """What to do at SIGHUP: `stop` when this process has lost its terminal since now, else `reload`."""
    had_terminal = _has_terminal()

    def handle() -> None:
        if had_terminal and not _has_terminal():
            stop()
        else:
            reload()

    return handle


def _has_terminal() -> bool:
    try:
        os.close(os.open(TERMINAL, os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
