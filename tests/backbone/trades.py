"""What the tests of the backbone send through it: records whose rows are plain numbers, and their analysis, a sum.

A few numbers are special: what they do to a worker is the worker's affair (see echo_worker.py).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from telemetry.backbone import Lease, Partial, Quarantined, Verdict
from telemetry.backbone.record import About, Take, anywhere, decode_record, encode_record

POISON = -666  # kills whoever analyses it
HOLD = -888  # is never finished by workers that were told so
VERSION = "v1"


@dataclass(frozen=True)
class Numbers:
    """A commit group of these numbers."""

    values: Sequence[int]
    padding: int = 0

    @property
    def count(self) -> int:
        return len(self.values)

    def record_bytes(self, first_seq: int, synced_seq: int, take: Take = anywhere) -> bytes:
        return encode_record(
            About(first_seq, synced_seq, self.count, 0, 0),
            frame=struct.pack(f"<{self.count}q", *self.values) + bytes(self.padding),
        )


def numbers_of(lease: Lease) -> list[int]:
    """The numbers that a lease is about, each checked by its record's checksum."""
    found: dict[int, int] = {}
    for raw in lease.records:
        record = decode_record(raw)
        assert record is not None
        values = struct.unpack_from(f"<{record.count}q", record.frame)
        found.update(zip(range(record.first_seq, record.last_seq + 1), values, strict=True))
    return [found[seq] for seq in range(lease.first, lease.last + 1)]


def analyse(lease: Lease) -> bytes:
    """The sum; raises ValueError on poison."""
    values = numbers_of(lease)
    if POISON in values:
        raise ValueError("poison")
    return json.dumps(sum(values)).encode()


@dataclass
class Figures:
    """The aggregator, in the smallest form: accepts by the accept rule, adds up, remembers who did what."""

    epoch: int
    applied: int = 0
    total: int = 0
    waiting: dict[int, tuple[int, int]] = field(default_factory=dict)  # first -> last, sum
    quarantined: list[int] = field(default_factory=list)
    accepted_from: list[tuple[str, int, int]] = field(default_factory=list)

    def take(self, result: Partial | Quarantined) -> Verdict | None:
        """Judge and merge; None for a quarantined record."""
        if isinstance(result, Quarantined):
            self.quarantined.append(result.seq)
            self.waiting[result.seq] = (result.seq, 0)
            self._merge()
            return None
        head = result.head
        verdict = self._verdict(head.epoch, head.version, head.first, head.last, head.trades)
        if verdict.accepted:
            self.accepted_from.append((head.worker, head.first, head.last))
            self.waiting[head.first] = (head.last, json.loads(bytes(result.body)))
            self._merge()
        return verdict

    def _verdict(self, epoch: int, version: str, first: int, last: int, trades: int) -> Verdict:
        if epoch != self.epoch:
            return Verdict.EPOCH
        if version != VERSION:
            return Verdict.VERSION
        if last <= self.applied:
            return Verdict.APPLIED
        if first <= self.applied or any(a <= last and first <= b for a, (b, _) in self.waiting.items()):
            return Verdict.OVERLAP
        if trades != last - first + 1:
            return Verdict.COUNT
        return Verdict.MERGED if first == self.applied + 1 else Verdict.WAITING

    def _merge(self) -> None:
        while (waiting := self.waiting.pop(self.applied + 1, None)) is not None:
            self.applied, value = waiting
            self.total += value
