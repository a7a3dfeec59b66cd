"""Which keys were seen: the last `capacity` trades' keys and requests' keys, exactly, in flat memory.

    trade key      ring 32 bytes (digest 16, fingerprint 8, sequence number 8) + slots 13 to 21 bytes
    request key    ring 56 bytes (and fingerprint 8 more, counts 8, first_seq 8)   + slots 13 to 21 bytes

Rules of this file: a key of a trade is claimed when its request joins a commit group, in journal order; the commit
settles it, and when commits fail all that are not settled are released. An entry whose sequence number is
<= newest - capacity is absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import NamedTuple

import numpy as np

from gateway.ingestion.compiled_slots import CompiledSlots
from gateway.ingestion.digest_table import Ring
from gateway.ingestion.entries import FOUR, PRINT, SEQ, U64
from gateway.ingestion.slots import Claimed, MakeSlots, Slots
from gateway.ingestion.tags import I64, Mask
from telemetry.backbone.record import Record
from telemetry.digests import Keys
from telemetry.errors import TryAgain

CAPACITY = 10_000_000
PENDING = 1 << 18  # keys that wait for their commit
_RUN_KEYS, _RUN_RECORDS = 8192, 4096  # records that are loaded together
_PIECE_KEYS = 4096  # that are journaled one piece after the other


def compiled_slots() -> MakeSlots:
    """Slots in compiled code. Takes many seconds when nothing is cached. Raises ImportError without numba then."""
    make = partial(CompiledSlots, import_module("telemetry.compiled.table"))
    _use_once(make)
    return make


def _use_once(make: MakeSlots) -> None:
    """The first call takes 50 ms, which no request shall wait for."""
    index = KeyIndex(2, pending=2, slots=make)
    index.claim(Keys(np.ones(2, np.bool_), np.array([[1, 2], [3, 4]], np.uint64), np.ones(2, np.uint64)), 1)
    ring = Ring(2, slots=make)
    ring.insert(np.ones((2, FOUR), np.uint64))


def runs(records: Iterable[Record]) -> Iterator[list[Record]]:
    """The same records, some thousand keys together."""
    run: list[Record] = []
    keys = 0
    for record in records:
        run.append(record)
        keys += record.key_count
        if keys >= _RUN_KEYS or len(run) >= _RUN_RECORDS:
            yield run
            run, keys = [], 0
    if run:
        yield run


@dataclass(frozen=True, slots=True, eq=False)
class JournalPiece:
    """Entries that are written as KEY_ENTRYs, without what is `before` their group: one subtraction of all words, which
    the processor does for several at once."""

    rows: U64
    before: U64

    def __len__(self) -> int:
        return self.rows.nbytes

    def write(self, out: memoryview) -> None:
        """All of them."""
        block = np.frombuffer(out, np.uint64).reshape(self.rows.shape)
        np.subtract(self.rows, self.before[: len(self.rows)], out=block)


class KeyIndex:
    """Trade keys: digest → payload fingerprint and sequence number. One thread uses it, but for `journaled`."""

    def __init__(self, capacity: int = CAPACITY, *, pending: int = PENDING, slots: MakeSlots = Slots) -> None:
        """At most so many keys are `pending`: claimed, and neither settled nor released."""
        self._ring = Ring(capacity, pending=pending, slots=slots)
        self._ring.take_quiet_pages(0)

    @property
    def newest_seq(self) -> int:
        """The newest trade that the window counts from."""
        return self._ring.newest_seq

    @property
    def count(self) -> int:
        """How many keys were ever taken up: the number of the next one."""
        return self._ring.written

    @property
    def memory_bytes(self) -> int:
        """Bytes in use."""
        return self._ring.memory_bytes

    def claim(self, keys: Keys, first_seq: int, *, only_new: bool = False) -> Claimed:
        """Judge the keys of a batch and take up those that are new; nothing when there is a conflict, or a duplicate
        and `only_new`.

        The new trades of the batch, with a key or without, will have the numbers from `first_seq` on. Raises TryAgain
        when too many keys are pending.
        """
        if len(keys.given) > self._ring.room:
            raise TryAgain(
                f"expected at most {self._ring.room} more trades before a commit, received {len(keys.given)}"
            )
        return self._ring.claim(keys, first_seq, only_new=only_new)

    def newest_of(self, keys: Keys, start: int, stop: int) -> int:
        """The newest trade that has one of these keys, all of which were seen."""
        return self._ring.newest_of(keys.digests[start:stop])

    def settle(self, count: int, newest_seq: int) -> None:
        """The first `count` keys, and trades up to `newest_seq`, with a key or without, are committed."""
        self._ring.settle(count, newest_seq)
        self._ring.take_quiet_pages(count)

    def release(self) -> None:
        """Forget all keys that are pending: their commits failed."""
        self._ring.release()

    def journaled(self, start: int, stop: int, first_seq: int) -> memoryview:
        """The pending keys with numbers from `start` to `stop` - 1 as KEY_ENTRYs of a group that begins at `first_seq`.
        They stay as they are until they are settled or released, so this may be called in another thread."""
        rows = self._ring.entries.rows
        block = np.concatenate([rows[slice(*span)] for span in self._ring.entries.spans(start, stop - start)])
        block[:, SEQ] -= np.uint64(first_seq)
        return block.reshape(-1).view(np.uint8).data

    def journal_pieces(self, start: int, stop: int, first_seq: int) -> list[JournalPiece]:
        """As `journaled`, in pieces that fit into the processor's caches."""
        before = np.zeros((min(stop - start, _PIECE_KEYS), FOUR), np.uint64)
        before[:, SEQ] = first_seq
        return [
            JournalPiece(self._ring.entries.rows[place : min(place + _PIECE_KEYS, end)], before)
            for begin, end in self._ring.entries.spans(start, stop - start)
            for place in range(begin, end, _PIECE_KEYS)
        ]

    def lookup(self, digests: U64) -> tuple[Mask, U64, I64]:
        """For digests u64[n, 2]: which are there, their fingerprints and sequence numbers (0 where not)."""
        place = self._ring.find(digests)
        found = place >= 0
        entries = self._ring.entries.rows[place]
        entries[~found] = 0
        return found, entries[:, PRINT], entries[:, SEQ].astype(np.int64)

    def lookup_one(self, low: int, high: int) -> tuple[int, int] | None:
        """(fingerprint, sequence number) of one digest, or None."""
        place = self._ring.find_one(low, high)
        if place < 0:
            return None
        entry = self._ring.entries.entry(place)
        return entry[PRINT], entry[SEQ]

    def load(self, run: Sequence[Record]) -> None:
        """Take up the keys of committed records that follow one another."""
        raw = b"".join([record.key_bytes for record in run if record.key_count])
        if raw:
            block = np.frombuffer(bytearray(raw), np.uint64).reshape(
                -1, FOUR
            )  # a KEY_ENTRY is an entry, but for its row
            first = np.array([record.first_seq for record in run], np.uint64)
            block[:, SEQ] += np.repeat(first, [record.key_count for record in run])
            self._ring.insert(block)
        self.settle(self.count, run[-1].last_seq)


class RequestAnswer(NamedTuple):
    """What a request with an Idempotency-Key was answered. `first_seq` is 0 when every trade was a duplicate."""

    fingerprint: tuple[int, int]
    accepted: int
    duplicates: int
    first_seq: int


class RequestIndex:
    """Idempotency-Keys: digest → fingerprint of the body and the first answer. The last `capacity` requests, and none
    that was committed `capacity` trades ago. One thread uses it."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._ring = Ring(capacity, words=7)

    @property
    def memory_bytes(self) -> int:
        """Bytes in use."""
        return self._ring.memory_bytes

    def advance(self, newest_seq: int) -> None:
        """Trades up to `newest_seq` are committed: the window moves on."""
        self._ring.settle(self._ring.written, newest_seq)

    def lookup(self, low: int, high: int) -> RequestAnswer | None:
        """The first answer to the request with this key, or None."""
        place = self._ring.find_one(low, high)
        if place < 0:
            return None
        _, _, body_low, _, body_high, counts, first_seq = self._ring.entries.entry(place)
        return RequestAnswer((body_low, body_high), counts & 0xFFFFFFFF, counts >> 32, first_seq)

    def insert(self, low: int, high: int, answer: RequestAnswer, committed_seq: int) -> None:
        """Take up a committed request, absent before; `committed_seq`: the last trade of its commit."""
        body_low, body_high = answer.fingerprint
        counts = answer.accepted | answer.duplicates << 32
        entry = (low, high, body_low, committed_seq, body_high, counts, answer.first_seq)
        self._ring.insert_one(entry, committed_seq)

    def load(self, run: Sequence[Record]) -> None:
        """Take up the requests of committed records that follow one another."""
        for record in run:
            if record.request_count:
                self._load(record)
        self.advance(run[-1].last_seq)

    def _load(self, record: Record) -> None:
        for low, high, body_low, body_high, accepted, duplicates, first_row, rows, _ in record.request_rows():
            first_seq = record.first_seq + first_row if rows else 0
            answer = RequestAnswer((body_low, body_high), accepted, duplicates, first_seq)
            self.insert(low, high, answer, record.last_seq)
