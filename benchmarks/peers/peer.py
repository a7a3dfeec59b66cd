"""What a peer is: something that takes trades in groups of 1,000 and holds per symbol count, sum, notional and VWAP."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Job = Callable[[Sequence[bytes]], float]


@dataclass(frozen=True, kw_only=True)
class Peer:
    """`running` starts it in a directory and gives a job: JSON arrays in, seconds until all are in its aggregates."""

    name: str
    running: Callable[[Path], AbstractContextManager[Job]]
    required: float | None = None
    aim: float | None = None
    quick_trades: int = 100_000  # of one run in quick mode
    trades: int | None = None  # at most, of one run: a slow one gets fewer; what is compared is trades a second
    programs: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    note: str = ""

    def missing(self) -> str:
        """What is not installed; "" when it can run."""
        wanted = [name for name in self.programs if program(name) is None]
        wanted += [f"Python's {name}" for name in self.libraries if find_spec(name) is None]
        return f"not installed: {', '.join(wanted)}" if wanted else ""


def program(name: str) -> str | None:
    """The path of a program: beside this Python, on the PATH, or where Debian puts PostgreSQL."""
    beside = Path(sys.executable).parent / name
    if beside.exists():
        return str(beside)
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(debian[-1]) if debian else None)


def library(name: str) -> Any:
    """A client library that need not be installed."""
    return import_module(name)
