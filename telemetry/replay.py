"""Sending the trades of files through the gateway's public door: in file order, one request in flight, rows counted.

Theory of operation. A batch is a function of the file's content and of the way it is read, and so is its
Idempotency-Key. Whatever happens to a request (no connection, 503, a gateway killed between commit and answer), the
same bytes are sent again under the same key until they are answered or the deadline passes, so a batch counts once.
Rows that the gateway refuses are reported, and the rest of their batch goes again, in order, under the key of its own
bytes. Nothing of a later batch is sent before the batch at hand is done: order is what open and last prices rest on.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec
import stamina

from telemetry.client import Answer
from telemetry.errors import InvalidInput, TelemetryError, TryAgain
from telemetry.formats import BadRow, Options, Row, TradeFile

# 1,000 trades of a few hundred bytes make a body far below the gateway's 16 MiB, and an answer every few milliseconds.
BATCH_ROWS = 1000
DEADLINE_SECONDS = 300.0
# With a given speed, what falls due within this long goes in one request.
SLOT_SECONDS = 0.1
_REFUSED_ROWS = (409, 422)


class Door(Protocol):
    """Where batches go; :class:`telemetry.client.Gateway` over HTTP."""

    def post_trades(self, body: bytes, key: str) -> Answer:
        """Send a body under a key: InvalidInput names what is refused, TryAgain asks to send the same again."""


@dataclass(frozen=True)
class Refusal:
    """A row that was not accepted, and why."""

    file: str
    row: int
    field: str
    reason: str
    received: str


@dataclass
class Summary:
    """Rows so far: read = accepted + duplicates + refused, when the replay has ended without an error.

    `replayed` of the accepted and duplicates were acknowledged under the same key before (a retry, or an earlier run).
    """

    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    replayed: int = 0


@dataclass(frozen=True)
class Watcher:
    """Who is told: `refused` each row that is not accepted, `notice` a sentence, `progress` after each batch."""

    refused: Callable[[Refusal], None]
    notice: Callable[[str], None]
    progress: Callable[[Summary], None] = field(default=lambda summary: None)


def replay(
    files: Sequence[Path],
    door: Door,
    watcher: Watcher,
    *,
    options: Options,
    speed: float | None = None,
    deadline_seconds: float = DEADLINE_SECONDS,
    summary: Summary | None = None,
) -> Summary:
    """Send the trades of all files; `speed` is a multiple of real time, None as fast as they are taken.

    Raises InvalidInput before anything is sent when a file cannot be read at all; TryAgain when the gateway takes
    nothing for `deadline_seconds`: running the same replay again then continues where it stopped. A `summary` that is
    handed in is counted in, so that it is there after an error too.
    """
    for path in files:
        with TradeFile(path, options, notice=lambda text: None):
            pass  # opening is the check
    sender = _Sender(door, watcher, deadline_seconds, summary or Summary())
    pace = Pace(speed)
    for path in files:
        with TradeFile(path, options, watcher.notice) as rows:
            sender.begin(path)
            for batch in batches(sender.readable(rows), speed):
                pace.wait(batch[0])
                sender.deliver(batch)
    return sender.summary


def batches(rows: Iterable[Row], speed: float | None) -> Iterator[list[Row]]:
    """Rows in order in lists of at most 1,000; with a speed, also divided where they fall due at different times."""
    batch: list[Row] = []
    slot: int | None = None
    for row in rows:
        at = row.trade.get("timestamp") if speed is not None else None
        row_slot = slot if at is None or speed is None else int(at // (SLOT_SECONDS * speed * 1e9))
        if batch and (len(batch) >= BATCH_ROWS or row_slot != slot):
            yield batch
            batch = []
        slot = row_slot
        batch.append(row)
    if batch:
        yield batch


class Pace:
    """Waits until a trade is due, counted from the first one; a trade older than the one before is due at once."""

    def __init__(
        self,
        speed: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._speed = speed
        self._clock = clock
        self._sleep = sleep
        self._start: tuple[float, int] | None = None

    def wait(self, row: Row) -> None:
        """Return when this row is due."""
        at = row.trade.get("timestamp")
        if self._speed is None or at is None:
            return
        if self._start is None:
            self._start = (self._clock(), at)
        began, first = self._start
        ahead = began + (at - first) / 1e9 / self._speed - self._clock()
        if ahead > 0:
            self._sleep(ahead)


class _Sender:
    """Delivers batches and counts."""

    def __init__(self, door: Door, watcher: Watcher, deadline_seconds: float, summary: Summary) -> None:
        self.summary = summary
        self._door = door
        self._watcher = watcher
        self._deadline_seconds = deadline_seconds
        self._file = ""
        self._content = ""

    def begin(self, path: Path) -> None:
        """The batches that follow come from this file."""
        self._file = str(path)
        with path.open("rb") as stream:
            self._content = hashlib.file_digest(stream, "sha256").hexdigest()[:32]

    def readable(self, rows: Iterable[Row | BadRow]) -> Iterator[Row]:
        """The rows that can be read; the others are reported on the way."""
        for row in rows:
            self.summary.read += 1
            if isinstance(row, Row):
                yield row
            else:
                self._report(row.number, row.field, row.reason, row.received)

    def deliver(self, batch: list[Row]) -> None:
        """Send one batch until each of its rows is acknowledged or refused."""
        while batch:
            body = msgspec.json.encode([row.trade for row in batch])
            try:
                answer = self._post(body, self._key(batch[0].number, body))
            except InvalidInput as error:
                batch = self._without_refused(batch, error)
                continue
            self.summary.accepted += answer.accepted
            self.summary.duplicates += answer.duplicates
            self.summary.replayed += len(batch) if answer.replayed else 0
            break
        self._watcher.progress(self.summary)

    def _key(self, first_row: int, body: bytes) -> str:
        """The bytes are part of it: the same file read with another --symbol is other trades, not a reused key."""
        return f"replay-{self._content}-{first_row}-{hashlib.sha256(body).hexdigest()[:32]}"

    def _post(self, body: bytes, key: str) -> Answer:
        for attempt in stamina.retry_context(
            on=self._again, attempts=None, timeout=self._deadline_seconds, wait_jitter=0.1
        ):
            with attempt:
                return self._door.post_trades(body, key)
        raise AssertionError("stamina raises the last error instead of ending its loop")

    def _again(self, error: Exception) -> bool | float:
        """Whether to retry, or the seconds to wait first; without any from the gateway stamina's backoff decides."""
        if not isinstance(error, TryAgain):
            return False
        self._watcher.notice(f"{error.detail}; trying again")
        return error.retry_after or True

    def _without_refused(self, batch: list[Row], error: TelemetryError) -> list[Row]:
        """What is left to send. A refusal that names no row concerns all of them; one not about rows is raised."""
        if error.status == 413 and len(batch) > 1:
            self.deliver(batch[: len(batch) // 2])
            return batch[len(batch) // 2 :]
        if error.status not in (*_REFUSED_ROWS, 413):
            raise error
        named: dict[int, list[dict[str, object]]] = {}
        for detail in map(dict, error.errors):
            if isinstance(index := detail.get("index"), int) and 0 <= index < len(batch):
                named.setdefault(index, []).append(detail)
        for index, row in enumerate(batch):
            details = named.get(index, [] if named else [{"detail": error.detail}])
            if details:
                reason = "; ".join(str(detail.get("detail", error.detail)) for detail in details)
                first = details[0]
                self._report(row.number, str(first.get("field") or ""), reason, str(first.get("received") or ""))
        return [row for index, row in enumerate(batch) if named and index not in named]

    def _report(self, row: int, field: str, reason: str, received: str) -> None:
        self.summary.refused += 1
        self._watcher.refused(Refusal(self._file, row, field, reason, received))
