"""The terminal side of a replay: progress, notices, the refused rows and the summary."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import stamina.instrumentation
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from telemetry.commands.reading import connect
from telemetry.errors import InvalidInput, TelemetryError
from telemetry.formats import Options
from telemetry.replay import Refusal, Summary, Watcher, replay

SHOWN = 20
INTERRUPTED = 130  # 128 + SIGINT, as shells count
PLAIN_SECONDS = 5.0  # in a pipe, one line of progress each
FORMULA = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = ("file", "row", "field", "reason", "received")


@dataclass(frozen=True)
class Run:
    """One call of `telemetry replay`."""

    files: Sequence[Path]
    options: Options
    speed: str
    refused: Path | None
    deadline_seconds: float
    url: str | None

    def __call__(self, *, as_json: bool) -> int:
        """The exit code: 0 when every row was accepted or known, else 1."""
        speed = parse_speed(self.speed)
        stamina.instrumentation.set_on_retry_hooks(())  # retries are said below, in this command's own words
        summary = Summary()
        failure: TelemetryError | KeyboardInterrupt | None = None
        with _Report(self.refused) as report, _progress(summary) as progress:
            watcher = Watcher(report.add, lambda text: _say(printable(text)), progress)
            with connect(self.url) as gateway:
                try:
                    replay(
                        self.files,
                        gateway,
                        watcher,
                        options=self.options,
                        speed=speed,
                        deadline_seconds=self.deadline_seconds,
                        summary=summary,
                    )
                except (TelemetryError, KeyboardInterrupt) as error:
                    failure = error
        report.show()
        if failure is None or summary.read:
            _show(summary, as_json=as_json)
        if isinstance(failure, TelemetryError):
            raise failure
        if failure is not None:
            return INTERRUPTED
        return 1 if summary.refused else 0


def parse_speed(text: str) -> float | None:
    """`max` is None; else a multiple of real time."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < 1e9:
        raise InvalidInput(f"--speed: expected max or a multiple of real time such as 10, received {text!r}")
    return speed


class _Report:
    """Shows the first refused rows at the end and writes all of them to a CSV file as they come."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stream: TextIO | None = None
        self._first: list[Refusal] = []
        self._count = 0

    def __enter__(self) -> _Report:
        if self._path is not None:
            try:
                self._stream = self._path.open("w", encoding="utf-8", newline="")
            except OSError as error:
                raise InvalidInput(f"--refused: {self._path} cannot be written: {error.strerror}") from error
            self._writer = csv.writer(self._stream)
            self._writer.writerow(COLUMNS)
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()

    def add(self, refusal: Refusal) -> None:
        self._count += 1
        if len(self._first) < SHOWN:
            self._first.append(refusal)
        if self._stream is not None:
            self._writer.writerow([guarded(str(cell)) for cell in asdict(refusal).values()])

    def show(self) -> None:
        for refusal in self._first:
            field = f" {refusal.field}:" if refusal.field else ""
            received = f", received {refusal.received!r}" if refusal.received else ""
            _say(printable(f"refused {refusal.file} row {refusal.row}:{field} {refusal.reason}{received}"))
        if self._count > SHOWN:
            where = f"all in {self._path}" if self._path else "--refused FILE lists all"
            _say(f"and {self._count - SHOWN} more refused rows; {where}")


def guarded(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def printable(text: str) -> str:
    """Text of a file without what would steer the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _show(summary: Summary, *, as_json: bool) -> None:
    figures = asdict(summary)
    if as_json:
        print(json.dumps(figures), flush=True)
        return
    print(" ".join(f"{name} {figures[name]}" for name in ("read", "accepted", "duplicates", "refused")), flush=True)
    if summary.replayed:
        _say(f"{summary.replayed} of these rows were acknowledged before under the same key: they count once")


class _Plain:
    """Progress where nobody looks at a terminal: a line each few seconds."""

    def __init__(self) -> None:
        self._next = time.monotonic() + PLAIN_SECONDS

    def __call__(self, summary: Summary) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + PLAIN_SECONDS
            _say(f"read {summary.read} accepted {summary.accepted} refused {summary.refused}")


@contextmanager
def _progress(summary: Summary) -> Iterator[_Plain]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Plain()
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading")

        class Bar(_Plain):
            def __call__(self, summary: Summary) -> None:
                bar.update(task, description=f"read {summary.read:,} accepted {summary.accepted:,}")

        yield Bar()
