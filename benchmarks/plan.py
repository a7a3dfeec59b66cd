"""What to run and how large: the options that all benchmarks share."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROUNDS, QUICK_ROUNDS = 5, 3


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to run. `directory` lies on the disk that is measured; `trades` replaces the size where there is one."""

    directory: Path
    quick: bool = False
    rounds: int = ROUNDS
    trades: int | None = None
    only: str = ""  # part of the name of what to compare with, where there are several

    @property
    def seconds(self) -> int:
        """How long to look at something that goes at a given rate."""
        return 2 if self.quick else 10

    def size(self, full: int, quick: int) -> int:
        """The size asked for, else that of the mode."""
        return self.trades or (quick if self.quick else full)


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line."""

    names: tuple[str, ...]
    quick: bool
    as_json: bool
    rounds: int | None
    trades: int | None
    directory: Path
    only: str

    def plan(self, directory: Path) -> Plan:
        """The plan in a directory of its own."""
        rounds = self.rounds or (QUICK_ROUNDS if self.quick else ROUNDS)
        return Plan(directory=directory, quick=self.quick, rounds=rounds, trades=self.trades, only=self.only)


def parse(arguments: Sequence[str] | None, known: Sequence[str]) -> Options:
    """The options of a command line; ends the process with code 2 when they are wrong."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Compare speeds; ratios of what ran in turn.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all when none is given")
    parser.add_argument("--quick", action="store_true", help="small sizes, three rounds: a look, not a result")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON instead of a table")
    parser.add_argument("--rounds", type=_count, help=f"pairs of runs (default {ROUNDS}, quick {QUICK_ROUNDS})")
    parser.add_argument("--trades", type=_count, help="the size, where a benchmark has one")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()), help="on the disk to measure")
    parser.add_argument("--only", default="", help="part of the name of what to compare with (peers)")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in known]
    if unknown:
        parser.error(f"expected names of {', '.join(known)}, received {unknown[0]}")
    return Options(**{**vars(given), "names": tuple(given.names or known)})


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 1_000_000_000:
        raise argparse.ArgumentTypeError("expected 1 to 1000000000")
    return value
