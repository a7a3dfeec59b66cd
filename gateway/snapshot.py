"""The snapshot: the aggregator's state and its applied number of one instant, in one SQLite file.

Derived from the journal and never more than a shorter way to it: a snapshot that names another journal or another
version of the statistics, that is ahead of the journal, that cannot be read, or whose checksums are wrong (SQLite has
none: of 400 flipped bits, 368 gave other figures and no error), is discarded and rebuilt.

Written incrementally: atoms go by pages of rows, and only pages that changed since the last write are written, all in
one transaction. `begin` fixes the instant, on the event loop between two merges; pages are then taken a few at a time
(`take`, on the loop) and written (`write`, in a thread), while merging goes on: see atoms.py.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from isal.isal_zlib import crc32

from gateway.aggregator import Aggregator
from gateway.loss import Loss
from gateway.state.atoms import PAGE
from telemetry.latencies import NO_CELLS, Cells, Name, concatenated
from telemetry.latencies import WIDTH as CELL_WIDTH
from telemetry.partial import Watermark, atom_from_texts, atom_to_texts
from telemetry.rows import WIDTH
from telemetry.tasks import Ready
from telemetry.trade import Instrument

LAYOUT = "5"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pages (number INTEGER PRIMARY KEY, rows BLOB, crc INTEGER);
"""
BATCH = 64  # pages, 2.5 MB: copied in under a millisecond
PART = 4096  # instruments written as JSON at a time
COPIED = 800  # pages, 32 MB: what merging may copy before it waits for the snapshot

logger = structlog.get_logger("snapshot")


class Snapshot:
    """One file; `journal_id` names the journal that it is derived from. `loss` is saved and restored with the
    state, as of its own number."""

    def __init__(self, path: Path, journal_id: str, loss: Loss | None = None) -> None:
        self.path = path
        self._loss = loss or Loss()
        self._journal_id = journal_id
        self._database: sqlite3.Connection | None = None
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
        _restore(state, saved, [rows for _, rows, _ in pages])
        if (loss := json.loads(saved["loss"]))["seq"] <= newest:  # else it is counted again from the beginning
            self._loss.restore(loss)
        self._complete = True
        return None

    def _identity(self, state: Aggregator) -> str:
        return f"{self._journal_id} {state.version} {LAYOUT}"

    def begin(self, state: Aggregator) -> dict[str, Any]:
        """Fix the instant: freeze the pages to be written, copy the rest. What it returns is for `open`."""
        state.atoms.freeze(everything=not self._complete)
        return _state(state) | {
            "loss": self._loss.export(),
            "identity": self._identity(state),
            "pages": -(-state.atoms.used // PAGE),
        }

    def open(self, head: dict[str, Any]) -> None:
        """Begin the transaction (in a thread). Raises sqlite3.Error or OSError, as `write` and `commit` do."""
        head = _as_text(head)
        fresh, self._complete = not self._complete, False
        if fresh:
            for name in (self.path.name, f"{self.path.name}-wal", f"{self.path.name}-shm"):
                (self.path.parent / name).unlink(missing_ok=True)
        self._database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(_SCHEMA)
        self._database.execute("BEGIN")
        self._database.executemany(
            "INSERT OR REPLACE INTO state VALUES (?, ?)", (head | {"checksum": checksum(head)}).items()
        )

    def write(self, pages: list[tuple[int, bytes]]) -> None:
        """Write some pages (in a thread)."""
        assert self._database is not None
        self._database.executemany(
            "INSERT OR REPLACE INTO pages VALUES (?, ?, ?)",
            [(number, rows, crc32(rows, number)) for number, rows in pages],
        )

    def commit(self) -> None:
        """End the transaction (in a thread): from now on this is the snapshot."""
        assert self._database is not None
        self._database.execute("COMMIT")
        self._complete = True

    def close(self, state: Aggregator) -> None:
        """End the snapshot, successful or not; one that is not leaves the one before, and the next is written whole."""
        if self._database is not None:
            self._database.close()
            self._database = None
        if not self._complete:
            state.atoms.give_up_frozen()

    def save(self, state: Aggregator) -> None:
        """All of it at once, when nothing is merged meanwhile."""
        try:
            self.open(self.begin(state))
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
                self._left = 0
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
        """Merging so many rows waits here while a snapshot is behind with the pages that merging had to copy for it,
        or would have to: in the worst case each row is on a page of its own that is not written yet."""
        saved = self._state.atoms.saved
        while len(saved) > COPIED or (self._left and len(saved) + min(rows, self._left) > 2 * COPIED):
            self._progress.clear()
            await self._progress.wait()

    def last(self) -> None:
        """The snapshot of the end, when nothing is merged any more."""
        self._snapshot.save(self._state)

    async def _save(self) -> None:
        head = self._snapshot.begin(self._state)
        self._left = int(head["pages"])
        await asyncio.to_thread(self._snapshot.open, head)
        while pages := self._state.atoms.take_frozen(BATCH):
            await asyncio.to_thread(self._snapshot.write, pages)
            self._left = max(0, self._left - len(pages))
            self._progress.set()
        self._left = 0
        self._progress.set()
        await asyncio.to_thread(self._snapshot.commit)


def checksum(head: Mapping[str, Any]) -> int:
    """Of everything but the pages, which have one each."""
    crc = 0
    for name in sorted(head.keys() - {"checksum"}):
        value = head[name]
        crc = crc32(value if isinstance(value, bytes) else str(value).encode(), crc32(name.encode(), crc))
    return crc


def _damage(saved: Mapping[str, Any], pages: list[tuple[int, Any, int]]) -> str | None:
    """What is wrong with what was read, if anything."""
    if saved.get("checksum") != checksum(saved):
        return "it is damaged: the checksum of its state is wrong"
    for expected, (number, rows, crc) in enumerate(pages):
        if number != expected or not isinstance(rows, bytes) or crc32(rows, number) != crc:
            return f"it is damaged: page {expected} is not what was written"
    if len(pages) != saved["pages"]:
        return f"it is damaged: expected {saved['pages']} pages, found {len(pages)}"
    return None


def _as_text(head: dict[str, Any]) -> dict[str, Any]:
    """With the lists as JSON, made of parts: one part holds Python's lock for a few milliseconds at most."""
    parts = [
        json.dumps(head["instruments"][first : first + PART])[1:-1]
        for first in range(0, len(head["instruments"]), PART)
    ]
    negative = {number: [str(value) for value in sums] for number, sums in head["negative"].items()}
    more: dict[str, Any] = {"negative": json.dumps(negative), "loss": json.dumps(head["loss"])}
    more |= {"older": head["older"].tobytes(), "slots": concatenated(head["slots"]).tobytes()}
    if (patterns := head["patterns"]) is not None:
        more["patterns"] = json.dumps({name: value for name, value in patterns.items() if name != "arrays"})
    more["pattern_arrays"] = b"" if patterns is None else patterns["arrays"]
    return head | {"instruments": f"[{','.join(parts)}]"} | more


def _state(state: Aggregator) -> dict[str, Any]:
    """A copy of all but the atoms; what takes long is left to `_as_text`."""
    count = len(state.instruments)
    wide = {
        number: {
            "total": atom_to_texts(state.wide.totals[number]),
            "atoms": [(level, start, atom_to_texts(atom)) for (level, start), atom in atoms.items()],
        }
        for number, atoms in state.wide.atoms.items()
    }
    return {
        "applied": state.applied,
        "watermark": json.dumps(state.watermark),
        "quarantined": json.dumps(state.quarantined),
        "instruments": list(state.instruments),
        "price_scale": state.price_scale[:count].tobytes(),
        "quantity_scale": state.quantity_scale[:count].tobytes(),
        "totals": state.totals[:count].tobytes(),
        "frontier": json.dumps(state.atoms.frontier),
        "negative": dict(state.negative),
        "wide": json.dumps(wide),
        "orders": json.dumps({"names": state.orders.names, "frontier": state.orders.frontier}),
        "older": state.orders.older(),
        "slots": state.orders.everything()[1:],
        "patterns": None if state.patterns is None else state.patterns.saved(count),
    }


def _restore(state: Aggregator, saved: dict[str, Any], pages: list[bytes]) -> None:
    instruments = [Instrument(*fields) for fields in json.loads(saved["instruments"])]
    totals = np.frombuffer(saved["totals"], np.int64).reshape(-1, WIDTH)
    scales = (np.frombuffer(saved[name], np.int64) for name in ("price_scale", "quantity_scale"))
    watermark = json.loads(saved["watermark"])
    state.restore_instruments(instruments, totals.copy(), *(scale.copy() for scale in scales))
    state.applied = int(saved["applied"])
    state.watermark = Watermark(*watermark) if watermark else None
    state.quarantined = json.loads(saved["quarantined"])
    state.atoms.load(np.frombuffer(b"".join(pages), np.int64).reshape(-1, WIDTH), json.loads(saved["frontier"]))
    if state.patterns is not None:
        state.patterns.load(json.loads(saved["patterns"]) | {"arrays": saved["pattern_arrays"]})
    for number, sums in json.loads(saved["negative"]).items():
        state.negative[int(number)] = int(sums[0]), int(sums[1]), int(sums[2])
    for number, of in json.loads(saved["wide"]).items():
        atoms = {(level, start): atom_from_texts(texts) for level, start, texts in of["atoms"]}
        state.wide.adopt(int(number), atom_from_texts(of["total"]), atoms)
    orders = json.loads(saved["orders"])
    names = [Name(*name) for name in orders["names"]]
    state.orders.restore(names, orders["frontier"], _cells(saved["older"]), _cells(saved["slots"]))


def _cells(saved: bytes) -> Cells:
    return np.frombuffer(saved, np.uint64).reshape(-1, CELL_WIDTH) if saved else NO_CELLS
