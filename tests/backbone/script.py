"""Commits for the journal's tests: records of many sizes, some without trades, and what must be true after a crash."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from telemetry.backbone.journal import Durability, Journal
from telemetry.backbone.record import About, encode_record
from telemetry.errors import TryAgain
from tests.backbone.forgetful import ForgetfulFiles

HERE = Path("/nowhere")  # ForgetfulFiles holds one directory, whatever its name
SEGMENT_BYTES = 24 << 10


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of a script."""

    count: int
    frame: bytes


def commits(seed: int, length: int) -> list[Commit]:
    """`length` commits; every eighth without trades."""
    chance = random.Random(seed)
    sizes = [chance.choice((40, 150, 700, 1800)) for _ in range(length)]
    return [Commit(0 if chance.random() < 0.125 else chance.randint(1, 9), chance.randbytes(size)) for size in sizes]


class Offered:
    """A journal under a script: every record that was offered to it, and how many of them it acknowledged."""

    def __init__(self, files: ForgetfulFiles, durability: Durability = "full") -> None:
        self.journal = Journal.open(HERE, files=files, segment_bytes=SEGMENT_BYTES, durability=durability)
        self.records: list[bytes] = []
        self.acknowledged = 0
        self.durable_seqs = [0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.journal.close()

    def append(self, commit: Commit) -> None:
        """Offer one commit; errors pass."""

        def encode(first_seq: int, synced_seq: int) -> bytes:
            raw = encode_record(
                About(first_seq, synced_seq, commit.count, 0, 0),
                frame=commit.frame,
            )
            del self.records[self.acknowledged :]
            self.records.append(raw)
            return raw

        self.journal.append(encode, commit.count)
        self.acknowledged += 1

    def run(self, script: list[Commit], seed: int, *, sync_every: int = 0) -> None:
        """All commits, with a piece of the next segment's preparation now and then. What is full is tried again."""
        chance = random.Random(seed)
        for number, commit in enumerate(script, 1):
            try:
                self.append(commit)
            except TryAgain:
                self.append(commit)
            if chance.random() < 0.3:
                with suppress(OSError):
                    self.journal.spare.step()
            if sync_every and number % sync_every == 0:
                self.journal.sync()


def reopen(files: ForgetfulFiles, durability: Durability = "full") -> Journal:
    """Start over on what `files` holds."""
    return Journal.open(HERE, files=files, segment_bytes=SEGMENT_BYTES, durability=durability)


def everything(journal: Journal) -> list[bytes]:
    """Every record as it is on disk, its sequence checked."""
    expected, found = 1, []
    for record in journal.records(1, journal.last_seq + 1):
        assert record.first_seq == expected
        expected = record.last_seq + 1
        found.append(bytes(record.raw))
    assert expected == journal.last_seq + 1
    assert len(found) == journal.recovery.records
    return found
