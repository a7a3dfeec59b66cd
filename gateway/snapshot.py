"""The snapshot: the aggregator's state and its applied number of one instant, in one SQLite file.

Derived from the journal and never more than a shorter way to it: a snapshot that names another journal or another
version of the statistics, that is ahead of the journal, that cannot be read, or whose checksums are wrong (SQLite has
none: of 400 flipped bits, 368 gave other figures and no error), is discarded and rebuilt.

Written incrementally: atoms go by pages of rows, and only pages that changed since the last write are written, all in
one transaction; the first one is written whole, under another name until it is complete. `begin` fixes the instant, on
the event loop between two merges. Then a thread copies what is not in pages (`copy`), while merging waits, but nothing
else does; pages are then taken a few at a time (on the loop) and written (`write`, in a thread), while merging goes on:
see atoms.py.

What is written goes to the disk little by little (see flushing.py): all of it at once would keep the journal waiting.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import structlog
from isal.isal_zlib import crc32

from gateway.aggregator import Aggregator
from gateway.loss import Loss
from gateway.state.contents import Head, as_rows, checksum, copied, fixed, restore
from gateway.state.flushing import Flushing
from gateway.state.frozen import PAGE
from telemetry.errors import Stop
from telemetry.tasks import Ready

LAYOUT = "6"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pages (number INTEGER PRIMARY KEY, rows BLOB, crc INTEGER);
"""
BATCH = 64  # pages, 2.5 MB: copied in under a millisecond
COPIED = 800  # pages, 32 MB: what merging may copy before it waits for the snapshot

logger = structlog.get_logger("snapshot")


class Snapshot:
    """One file; `journal_id` names the journal that it is derived from. `loss` is saved and restored with the
    state, as of its own number."""

    def __init__(self, path: Path, journal_id: str, loss: Loss | None = None) -> None:
        self.path = path
        self._loss = loss or Loss()
        self._journal_id = journal_id
        self._new = path.with_name(f"{path.name}.new")
        self._database: sqlite3.Connection | None = None
        self._flushing: Flushing | None = None
        self._complete = False  # the file holds every page; until then all pages are written

    def load(self, state: Aggregator, *, newest: int) -> str | None:
        """Restore `state`, when the file fits it; otherwise leave it empty and return the reason.

        `newest` is the last sequence number of the journal.
        """
        if not self.path.exists():
            return "there is none"
        try:
            with closing(sqlite3.connect(self.path, isolation_level=None)) as database:
                database.execute("BEGIN")  # both of one instant, also while another process writes
                saved = dict(database.execute("SELECT name, value FROM state"))
                pages = list(database.execute("SELECT number, rows, crc FROM pages ORDER BY number"))
        except sqlite3.Error as error:
            return f"it cannot be read: {error}"
        if saved.get("identity") != self._identity(state):
            return f"it belongs to {saved.get('identity')!r}, expected {self._identity(state)!r}"
        if damage := _damage(saved, pages):
            return damage
        if int(saved["applied"]) > newest:
            return f"it is ahead of the journal: at {saved['applied']}, the journal ends at {newest}"
        restore(state, saved, [rows for _, rows, _ in pages])
        if (loss := json.loads(saved["loss"]))["seq"] <= newest:  # else it is counted again from the beginning
            self._loss.restore(loss)
        self._complete = True
        return None

    def _identity(self, state: Aggregator) -> str:
        return f"{self._journal_id} {state.version} {LAYOUT}"

    def begin(self, state: Aggregator) -> Head:
        """Fix the instant: freeze the pages to be written, copy what is small. What it returns is for `copy`.

        Raises Stop when merging failed in the middle of a range: after a start that range would be counted twice."""
        if not state.is_whole:
            raise Stop(f"expected a whole state for a snapshot, merging failed behind trade {state.applied}; restart")
        state.atoms.freeze(everything=not self._complete)
        return fixed(state) | {
            "loss": self._loss.export(),
            "identity": self._identity(state),
            "pages": -(-state.atoms.used // PAGE),
        }

    def copy(self, state: Aggregator, head: Head) -> Head:
        """The rest but the pages (in a thread); nothing is merged until it is done. What it returns is for `open`."""
        return head | copied(state)

    def open(self, head: Head) -> None:
        """Begin the transaction (in a thread). Raises sqlite3.Error or OSError, as `write` and `commit` do."""
        rows = as_rows(head)
        whole, self._complete = not self._complete, False
        self._new.unlink(missing_ok=True)  # what a killed process has left
        file, mode = (self._new, "OFF") if whole else (self.path, "WAL")
        self._database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._database.execute(f"PRAGMA journal_mode={mode}")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(_SCHEMA)
        self._flushing = Flushing(file)
        self._database.execute("BEGIN")
        self._database.execute("DELETE FROM state")  # there may be fewer pieces than before
        for name, value in (rows | {"checksum": checksum(rows)}).items():
            self._database.execute("INSERT INTO state VALUES (?, ?)", (name, value))
            self._flushing.wrote(len(value) if isinstance(value, str | memoryview) else 0)

    def write(self, pages: list[tuple[int, bytes]]) -> None:
        """Write some pages (in a thread)."""
        assert self._database is not None
        assert self._flushing is not None
        self._database.executemany(
            "INSERT OR REPLACE INTO pages VALUES (?, ?, ?)",
            [(number, rows, crc32(rows, number)) for number, rows in pages],
        )
        self._flushing.wrote(sum(len(rows) for _, rows in pages))

    def commit(self) -> None:
        """End the transaction (in a thread): from now on this is the snapshot. That may take long: what was written
        goes to its place."""
        assert self._database is not None
        assert self._flushing is not None
        with self._flushing.meanwhile():
            self._database.execute("COMMIT")
            self._database.close()
        self._end()
        if self._new.exists():  # so this one was written whole
            for ending in ("-wal", "-shm"):  # of the one before
                self.path.with_name(f"{self.path.name}{ending}").unlink(missing_ok=True)
            self._new.replace(self.path)
        self._complete = True

    def close(self, state: Aggregator) -> None:
        """End the snapshot, successful or not; one that is not leaves the one before, and the next is written whole."""
        self._end()
        if not self._complete:
            state.atoms.give_up_frozen()

    def _end(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._flushing is not None:
            self._flushing.close()  # not before the database, whose locks on the file would end with it
            self._flushing = None

    def save(self, state: Aggregator) -> None:
        """All of it at once, when nothing is merged meanwhile."""
        try:
            self.open(self.copy(state, self.begin(state)))
            while pages := state.atoms.take_frozen(BATCH):
                self.write(pages)
            self.commit()
        finally:
            self.close(state)


class Snapshots:
    """Takes a snapshot every so many seconds while merging goes on, and the last one at the end."""

    def __init__(self, snapshot: Snapshot, state: Aggregator, *, seconds: float) -> None:
        self._snapshot, self._state, self._seconds = snapshot, state, seconds
        self._progress, self._stop = asyncio.Event(), asyncio.Event()
        self._left = 0  # pages that the snapshot has not taken yet, at most
        self._copies = False  # what is not in pages is being copied

    def load(self, *, newest: int) -> str | None:
        """As Snapshot.load."""
        return self._snapshot.load(self._state, newest=newest)

    async def run(self, ready: Ready) -> None:
        """A full disk does not end the gateway: the journal is the truth, and the next snapshot is written whole."""
        ready()
        while not await self._stopped():
            try:
                await self._save()
            except (OSError, sqlite3.Error) as error:
                logger.error("snapshot", error=repr(error))
            finally:
                self._snapshot.close(self._state)
                self._left, self._copies = 0, False
                self._progress.set()

    def stop(self) -> None:
        """Let `run` end; a snapshot that is being written is finished first, its thread holds the file."""
        self._stop.set()

    async def _stopped(self) -> bool:
        """Wait until the next snapshot is due; whether `run` shall end instead."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), self._seconds)
        return self._stop.is_set()

    async def room(self, rows: int) -> None:
        """Merging so many rows waits here while a snapshot copies what is not in pages, and while it is behind with
        the pages that merging had to copy for it, or would have to: in the worst case each row is on a page of its own
        that is not written yet. What is merged must be so before anybody else has a turn."""
        saved = self._state.atoms.pages.saved
        while self._copies or len(saved) > COPIED or (self._left and len(saved) + min(rows, self._left) > 2 * COPIED):
            self._progress.clear()
            await self._progress.wait()

    def last(self) -> None:
        """The snapshot of the end, when nothing is merged any more."""
        self._snapshot.save(self._state)

    async def _save(self) -> None:
        head = self._snapshot.begin(self._state)
        self._left, self._copies = int(head["pages"]), True
        head = await asyncio.to_thread(self._snapshot.copy, self._state, head)
        self._copies = False
        self._progress.set()
        await asyncio.to_thread(self._snapshot.open, head)
        while pages := self._state.atoms.take_frozen(BATCH):
            await asyncio.to_thread(self._snapshot.write, pages)
            self._left = max(0, self._left - len(pages))
            self._progress.set()
        self._left = 0
        self._progress.set()
        await asyncio.to_thread(self._snapshot.commit)


def _damage(saved: Mapping[str, Any], pages: list[tuple[int, Any, int]]) -> str | None:
    """What is wrong with what was read, if anything."""
    if not all(isinstance(name, str) for name in saved) or saved.get("checksum") != checksum(saved):
        return "it is damaged: the checksum of its state is wrong"
    for expected, (number, rows, crc) in enumerate(pages):
        if number != expected or not isinstance(rows, bytes) or crc32(rows, number) != crc:
            return f"it is damaged: page {expected} is not what was written"
    if len(pages) != saved["pages"]:
        return f"it is damaged: expected {saved['pages']} pages, found {len(pages)}"
    return None
