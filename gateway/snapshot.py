"""The snapshot: the aggregator's state and its applied number of one instant, in one SQLite file.

Derived from the journal and never more than a shorter way to it: a snapshot that names another journal or another
version of the statistics, that is ahead of the journal, or that cannot be read, is discarded and rebuilt.

Written incrementally: atoms go by pages of rows, and only pages that changed since the last write are written, all in
one transaction. What is written is copied first (`Snapshot.prepare`, on the event loop, between two merges); the
writing itself (`write`) may run in a thread.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from gateway.aggregator import Aggregator
from gateway.atoms import PAGE
from telemetry.partial import Watermark, atom_from_texts, atom_to_texts
from telemetry.rows import WIDTH
from telemetry.statistics import VERSION
from telemetry.trade import Instrument

LAYOUT = "1"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pages (number INTEGER PRIMARY KEY, rows BLOB);
"""
Prepared = tuple[dict[str, Any], list[tuple[int, bytes]]]


class Snapshot:
    """One file; `journal_id` names the journal that it is derived from."""

    def __init__(self, path: Path, journal_id: str) -> None:
        self.path = path
        self._identity = f"{journal_id} {VERSION} {LAYOUT}"
        self._complete = False  # the file holds every page; until then all pages are written

    def load(self, state: Aggregator, *, newest: int) -> str | None:
        """Restore `state`, when the file fits it; otherwise leave it empty and return the reason.

        `newest` is the last sequence number of the journal.
        """
        if not self.path.exists():
            return "there is none"
        try:
            with closing(sqlite3.connect(self.path)) as database:
                saved = dict(database.execute("SELECT name, value FROM state"))
                pages = [row[0] for row in database.execute("SELECT rows FROM pages ORDER BY number")]
        except sqlite3.Error as error:
            return f"it cannot be read: {error}"
        if saved.get("identity") != self._identity:
            return f"it belongs to {saved.get('identity')!r}, expected {self._identity!r}"
        if int(saved["applied"]) > newest:
            return f"it is ahead of the journal: at {saved['applied']}, the journal ends at {newest}"
        _restore(state, saved, pages)
        self._complete = True
        return None

    def prepare(self, state: Aggregator) -> Prepared:
        """A copy of what has to be written."""
        table = state.atoms
        last = -(-table.used // PAGE)
        numbers = np.flatnonzero(table.dirty[:last]) if self._complete else np.arange(last)
        pages = [(int(n), table.rows[n * PAGE : min((n + 1) * PAGE, table.used)].tobytes()) for n in numbers]
        table.dirty[:] = False
        return _state(state) | {"identity": self._identity}, pages

    def write(self, prepared: Prepared) -> None:
        """Write it in one transaction. Raises sqlite3.Error or OSError, then the next one is written whole."""
        fresh, self._complete = not self._complete, False
        if fresh:
            for name in (self.path.name, f"{self.path.name}-wal", f"{self.path.name}-shm"):
                (self.path.parent / name).unlink(missing_ok=True)
        values, pages = prepared
        with closing(sqlite3.connect(self.path, isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            database.executescript(_SCHEMA)
            database.execute("BEGIN")
            database.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", values.items())
            database.executemany("INSERT OR REPLACE INTO pages VALUES (?, ?)", pages)
            database.execute("COMMIT")
        self._complete = True


def _state(state: Aggregator) -> dict[str, Any]:
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
        "instruments": json.dumps(state.instruments),
        "price_scale": state.price_scale[:count].tobytes(),
        "quantity_scale": state.quantity_scale[:count].tobytes(),
        "totals": state.totals[:count].tobytes(),
        "frontier": json.dumps(state.atoms.frontier),
        "negative": json.dumps({number: [str(value) for value in sums] for number, sums in state.negative.items()}),
        "wide": json.dumps(wide),
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
    for number, sums in json.loads(saved["negative"]).items():
        state.negative[int(number)] = int(sums[0]), int(sums[1]), int(sums[2])
    for number, of in json.loads(saved["wide"]).items():
        atoms = {(level, start): atom_from_texts(texts) for level, start, texts in of["atoms"]}
        state.wide.adopt(int(number), atom_from_texts(of["total"]), atoms)
