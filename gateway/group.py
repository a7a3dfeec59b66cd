"""A commit group: the requests that share one journal record, and what each of them is answered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gateway.multipliers import Multipliers
from telemetry.backbone.record import KEY_ENTRY, REQUEST_ENTRY, encode_record
from telemetry.columns import Columns, concatenate, empty, encode_frame, from_trades
from telemetry.errors import Stop, TryAgain
from telemetry.trade import Trade


@dataclass(frozen=True)
class RequestKey:
    """An Idempotency-Key as 128 bits, with the fingerprint of the body that came with it."""

    digest: bytes
    fingerprint: bytes


@dataclass
class Receipt:
    """What became of one request; `first_seq` is None when all its trades were duplicates."""

    group: Group | None
    accepted: int
    duplicates: int
    row: int = 0
    first_seq: int | None = None
    durable: bool = True
    replay_of: Receipt | None = None

    @property
    def last_seq(self) -> int | None:
        """The number of the request's last new trade."""
        return None if self.first_seq is None else self.first_seq + self.accepted - 1


@dataclass
class Entry:
    """A request of a group that carried an Idempotency-Key."""

    key: RequestKey
    receipt: Receipt


@dataclass
class Group:
    """Requests that share one commit. Small batches stay rows until the group closes, then all become columns."""

    received_ns: list[tuple[int, int]] = field(default_factory=list)  # (monotonic ns of arrival, trades) per request
    parts: list[list[Trade] | Columns] = field(default_factory=list)
    keys: dict[bytes, int] = field(default_factory=dict)  # digest of each new key -> fingerprint
    key_rows: list[int] = field(default_factory=list)  # row of each of them, in the same order
    multipliers: Multipliers = field(default_factory=dict)  # that its trades brought
    entries: dict[bytes, Entry] = field(default_factory=dict)  # by digest of the Idempotency-Key
    receipts: list[Receipt] = field(default_factory=list)
    count: int = 0
    error: TryAgain | Stop | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, part: list[Trade] | Columns) -> None:
        """Take the trades of one more request; rows of neighbours become columns together."""
        before = self.parts[-1] if self.parts else None
        if isinstance(part, list) and isinstance(before, list):
            before += part
        else:
            self.parts.append(part)

    def record_bytes(self, first_seq: int, synced_seq: int) -> bytes:
        """The journal record of this group; called in the journal's writer thread."""
        columns = concatenate([part if isinstance(part, Columns) else from_trades(part) for part in self.parts])
        columns = columns if self.count else empty()
        return encode_record(
            first_seq=first_seq,
            synced_seq=synced_seq,
            count=self.count,
            min_timestamp=int(columns.timestamp.min(initial=np.iinfo(np.int64).max)) if self.count else 0,
            max_timestamp=int(columns.timestamp.max(initial=np.iinfo(np.int64).min)) if self.count else 0,
            frame=encode_frame(columns),
            requests=self._request_entries().tobytes(),
            keys=self.key_entries().tobytes(),
        )

    def key_entries(self) -> NDArray[np.void]:
        """The new keys as journal entries."""
        entries = np.zeros(len(self.keys), KEY_ENTRY)
        entries["digest"] = np.frombuffer(b"".join(self.keys), "<u8").reshape(-1, 2)
        entries["fingerprint"] = np.fromiter(self.keys.values(), np.uint64, len(self.keys))
        entries["row"] = self.key_rows
        return entries

    def _request_entries(self) -> NDArray[np.void]:
        entries = np.zeros(len(self.entries), REQUEST_ENTRY)
        for row, entry in zip(entries, self.entries.values(), strict=True):
            row["digest"] = np.frombuffer(entry.key.digest, "<u8")
            row["fingerprint"] = np.frombuffer(entry.key.fingerprint, "<u8")
            row["accepted"], row["duplicates"] = entry.receipt.accepted, entry.receipt.duplicates
            row["first_row"], row["rows"] = entry.receipt.row, entry.receipt.accepted
        return entries
