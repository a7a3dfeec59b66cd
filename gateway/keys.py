"""Which keys were seen: the last `capacity` trades' keys and requests' keys, exactly, in flat memory.

    trade key      ring 32 bytes (digest 16, fingerprint 8, sequence number 8) + slots 8 to 16 bytes
    request key    ring 56 bytes (and fingerprint 8 more, counts 8, first_seq 8)   + slots 8 to 16 bytes

Rules of this file: keys go in after their commit, in journal order, and only when they are absent. An entry whose
sequence number is <= newest - capacity is absent.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gateway.digest_table import I64, U64, Ring
from telemetry.backbone.record import Record

Mask = npt.NDArray[np.bool_]

CAPACITY = 10_000_000
FEW = 16  # up to here a plain loop is faster than NumPy


class KeyIndex:
    """Trade keys: digest → payload fingerprint and sequence number. One thread uses it."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._ring = Ring(capacity, [("fingerprint", np.uint64)])

    @property
    def newest_seq(self) -> int:
        """The newest trade that the window counts from."""
        return self._ring.newest_seq

    @property
    def memory_bytes(self) -> int:
        """Bytes in use."""
        return self._ring.memory_bytes

    def advance(self, newest_seq: int) -> None:
        """Trades up to `newest_seq` are committed, with a key or without: the window moves on."""
        self._ring.newest_seq = max(self._ring.newest_seq, newest_seq)

    def lookup(self, digests: U64) -> tuple[Mask, U64, I64]:
        """For digests u64[n, 2]: which are there, their fingerprints and sequence numbers (0 where not)."""
        place = self._ring.find(digests)
        found = place >= 0
        fingerprints, seqs = self._ring.columns["fingerprint"][place], self._ring.seq[place]
        fingerprints[~found] = 0
        seqs[~found] = 0
        return found, fingerprints, seqs

    def lookup_one(self, low: int, high: int) -> tuple[int, int] | None:
        """(fingerprint, sequence number) of one digest, or None."""
        place = self._ring.find_one(low, high)
        return None if place < 0 else (self._ring.value(3, place), self._ring.value(2, place))

    def insert(self, digests: U64, fingerprints: U64, seqs: I64) -> None:
        """Take up committed keys, none of them there before; `seqs` ascending."""
        self._ring.insert(digests[:, 0], digests[:, 1], seqs, fingerprints)

    def insert_one(self, low: int, high: int, fingerprint: int, seq: int) -> None:
        """As `insert`, for one key."""
        self._ring.insert_one(low, high, seq, fingerprint)

    def load(self, record: Record) -> None:
        """Take up the keys of a committed record, in journal order."""
        if record.key_count > FEW:
            keys = record.keys
            self.insert(keys["digest"], keys["fingerprint"], record.first_seq + keys["row"].astype(np.int64))
        elif record.key_count:
            for low, high, fingerprint, row in record.key_rows():
                self._ring.insert_one(low, high, record.first_seq + row, fingerprint)
        self.advance(record.last_seq)


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
        columns = [("low", np.uint64), ("high", np.uint64), ("accepted", np.uint32), ("duplicates", np.uint32)]
        self._ring = Ring(capacity, [*columns, ("first_seq", np.int64)])

    @property
    def memory_bytes(self) -> int:
        """Bytes in use."""
        return self._ring.memory_bytes

    def advance(self, newest_seq: int) -> None:
        """Trades up to `newest_seq` are committed: the window moves on."""
        self._ring.newest_seq = max(self._ring.newest_seq, newest_seq)

    def lookup(self, low: int, high: int) -> RequestAnswer | None:
        """The first answer to the request with this key, or None."""
        place = self._ring.find_one(low, high)
        if place < 0:
            return None
        value = self._ring.value
        fingerprint = (value(3, place), value(4, place))
        return RequestAnswer(fingerprint, value(5, place), value(6, place), value(7, place))

    def insert(self, low: int, high: int, answer: RequestAnswer, committed_seq: int) -> None:
        """Take up a committed request, absent before; `committed_seq`: the last trade of its commit."""
        self._ring.insert_one(
            low, high, committed_seq, *answer.fingerprint, answer.accepted, answer.duplicates, answer.first_seq
        )

    def load(self, record: Record) -> None:
        """Take up the requests of a committed record, in journal order."""
        for low, high, body_low, body_high, accepted, duplicates, first_row, rows, _ in record.request_rows():
            first_seq = record.first_seq + first_row if rows else 0
            self.insert(
                low, high, RequestAnswer((body_low, body_high), accepted, duplicates, first_seq), record.last_seq
            )
        self.advance(record.last_seq)
