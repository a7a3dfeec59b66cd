"""A commit group: the requests that share one journal record, and what each of them is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.ingestion.multipliers import Multipliers
from gateway.keys import KeyIndex
from telemetry.backbone.record import (
    About,
    Buffer,
    Take,
    anywhere,
    encode_record,
    read_header,
    request_entry,
    write_record,
)
from telemetry.columns import Columns, concatenate, empty, encode_frame, from_trades
from telemetry.errors import Stop, TryAgain
from telemetry.joining import joined_frame
from telemetry.trade import Trade

FEW_TRADES = 256  # for so many, the pieces of a frame cost more than to copy it
FEW_OF_PART = 1024  # and of a part so many, to look at each of its columns more than to join them first


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
    """Requests that share one commit. Small batches stay rows until the group closes, then all become columns.

    Groups are committed one after another, and when one fails all behind it do: so the numbers of its trades are known
    before, and its keys are those of the index from one number to another.
    """

    index: KeyIndex
    first_seq: int
    first_key: int
    last_key: int  # behind it, as in a slice
    received_ns: list[tuple[int, int]] = field(default_factory=list)  # (monotonic ns of arrival, trades) per request
    parts: list[list[Trade] | Columns] = field(default_factory=list)
    multipliers: Multipliers = field(default_factory=dict)  # that its trades brought
    entries: dict[bytes, Entry] = field(default_factory=dict)  # by digest of the Idempotency-Key
    receipts: list[Receipt] = field(default_factory=list)
    count: int = 0
    columns: Columns | None = None  # all its trades, once its record was made
    error: TryAgain | Stop | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)
    after: list[Callable[[], None]] = field(default_factory=list)  # what is to be called then

    def end(self) -> None:
        """The commit is on disk, or has failed: everybody who waits is told. What goes wrong there is reported, and
        keeps neither the others from being told nor the journal from going on."""
        self.done.set()
        for tell in self.after:
            try:
                tell()
            except Exception as error:
                context = {"message": "an answer to a commit failed", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)
        self.after.clear()

    def let_go(self) -> None:
        """Of trades that are on disk, and of what points back here: else megabytes wait until Python looks for cycles,
        and each of the next groups takes new memory."""
        self.parts.clear()
        self.receipts.clear()
        self.entries.clear()
        self.columns = None

    def add(self, part: list[Trade] | Columns) -> None:
        """Take the trades of one more request; rows of neighbours become columns together."""
        before = self.parts[-1] if self.parts else None
        if isinstance(part, list) and isinstance(before, list):
            before += part
        else:
            self.parts.append(part)

    def enter(self, accepted: int, duplicates: int, received_ns: int, *, durable: bool) -> Receipt:
        """The receipt of one more request."""
        receipt = Receipt(self, accepted, duplicates, row=self.count, durable=durable)
        self.count += accepted
        self.receipts.append(receipt)
        self.received_ns.append((received_ns, accepted))
        return receipt

    def record_bytes(self, first_seq: int, synced_seq: int, take: Take = anywhere) -> Buffer:
        """The journal record of this group, of many trades in memory that `take` gives; called in the event loop,
        seldom again in the journal's writer thread. Raises Stop when the journal has another number for its first
        trade: then its keys would be wrong."""
        if first_seq != self.first_seq:
            raise Stop(f"expected trade {self.first_seq} to be the journal's next one, received {first_seq}")
        parts = [part if isinstance(part, Columns) else from_trades(part) for part in self.parts]
        if self.count < FEW_OF_PART * len(parts):
            parts = [concatenate(parts)]
        has_keys = self.first_key < self.last_key
        low = min([int(part.timestamp.min()) for part in parts]) if self.count else 0
        high = max([int(part.timestamp.max()) for part in parts]) if self.count else 0
        about = About(first_seq, synced_seq, self.count, low, high)
        requests = b"".join([_packed(entry) for entry in self.entries.values()])
        place = self.first_key, self.last_key, first_seq
        if self.count <= FEW_TRADES:
            keys = self.index.journaled(*place) if has_keys else b""
            self.columns = parts[0] if parts else empty()
            return encode_record(about, encode_frame(self.columns), requests=requests, keys=keys)
        joined = joined_frame(parts)
        pieces = self.index.journal_pieces(*place) if has_keys else ()
        raw = write_record(about, joined.pieces, requests=requests, keys=pieces, take=take)
        self.columns = joined.columns(read_header(raw).frame)
        return raw


def _packed(entry: Entry) -> bytes:
    key, receipt = entry.key, entry.receipt
    counts = receipt.accepted, receipt.duplicates, receipt.row, receipt.accepted
    return request_entry(key.digest, key.fingerprint, *counts)
