"""All benchmarks by name, running them, and what comes out: a table, or JSON that `page.py` reads."""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from os import cpu_count, getloadavg
from pathlib import Path

import msgspec
from rich.console import Console

from benchmarks.figure import FAILED, Figure, failed, say
from benchmarks.plan import Options, Plan, parse
from benchmarks.table import table

NAMES = (
    *(
        "ingest_single",
        "ingest_bulk",
        "latency",
        "growth",
        "workers",
        "statistics",
        "fanout",
        "restart",
        "hops",
        "peers",
    ),
)


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where and when."""

    at: str
    processor: str
    cores: int
    kernel: str
    python: str
    load_before: float  # of the last minute, before anything ran


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of one run."""

    machine: Machine
    quick: bool
    rounds: int
    seconds: dict[str, float]
    figures: dict[str, list[Figure]]

    @property
    def kept(self) -> bool:
        """Whether no figure that was measured falls short and no benchmark failed."""
        return not any(figure.verdict == "SHORT" or figure.skipped.startswith(FAILED) for figure in self.all)

    @property
    def all(self) -> Iterator[Figure]:
        """The figures of all benchmarks."""
        for figures in self.figures.values():
            yield from figures


def run(options: Options) -> Results:
    """Run benchmarks one after another; one that fails is a skipped figure with the reason."""
    found: dict[str, list[Figure]] = {}
    seconds: dict[str, float] = {}
    machine, plan = _machine(), None
    for name in options.names:
        say(f"{name}:")
        began = time.monotonic()
        with _directory(options.directory) as directory:
            plan = options.plan(directory)
            found[name] = list(_measured(name, plan))
        seconds[name] = round(time.monotonic() - began, 1)
        say(f"  {seconds[name]:.0f} s")
    assert plan is not None
    return Results(machine=machine, quick=plan.quick, rounds=plan.rounds, seconds=seconds, figures=found)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says, print the result; 1 when a figure falls short or a benchmark failed."""
    options = parse(arguments, NAMES)
    results = run(options)
    if options.as_json:
        print(msgspec.json.format(msgspec.json.encode(results)).decode(), flush=True)
    else:
        Console(width=None if sys.stdout.isatty() else 160).print(table(results.figures))
    return 0 if results.kept else 1


def _measured(name: str, plan: Plan) -> Iterator[Figure]:
    try:
        yield from import_module(f"benchmarks.{name}").measure(plan)
    except Exception as error:  # the others are worth measuring all the same
        yield failed(name, error)


@contextmanager
def _directory(parent: Path) -> Iterator[Path]:
    """A directory that is removed in the end; a server that runs as another user may pass through it."""
    directory = Path(tempfile.mkdtemp(prefix="telemetry-bench-", dir=parent))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _machine() -> Machine:
    names = [line for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if line.startswith("model name")]
    return Machine(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        processor=names[0].partition(":")[2].strip() if names else platform.machine(),
        cores=cpu_count() or 1,
        kernel=platform.release(),
        python=platform.python_version(),
        load_before=round(getloadavg()[0], 2),
    )
