"""The journal as it lies on disk, read without its lock and without changing it, while a gateway may go on writing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from telemetry.backbone.disk import DiskFile, DiskFiles, OpenFile
from telemetry.backbone.recovery import read_records
from telemetry.backbone.segments import (
    SEGMENT_HEADER_BYTES,
    decode_header,
    segment_name,
    segment_numbers,
)
from telemetry.columns import Columns, concatenate, decode_frame
from telemetry.errors import InvalidInput

BATCH_TRADES = 100_000  # at a time


class _ReadOnly(DiskFiles):
    def open(self, path: Path) -> OpenFile:
        return DiskFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC))


def id_of(journal: Path) -> bytes:
    """The journal's id. InvalidInput when there is none."""
    try:
        for number in segment_numbers(os.listdir(journal)):
            with (journal / segment_name(number)).open("rb") as segment:
                header = decode_header(segment.read(SEGMENT_HEADER_BYTES))
            if header is not None:
                return header.journal_id
    except OSError as error:
        raise InvalidInput(f"--data: expected a data directory, {journal} cannot be read: {error.strerror}") from error
    raise InvalidInput(f"--data: expected a journal in {journal}, found none")


def batches(journal: Path, last: int) -> Iterator[tuple[int, Columns]]:
    """The trades up to `last`, some at a time, each with the number of its first one."""
    parts: list[Columns] = []
    first, size = 1, 0
    for record in read_records(_ReadOnly(), journal):
        if record.first_seq > last:
            break
        if record.count:
            parts.append(decode_frame(record.frame))
            size += record.count
        if size >= BATCH_TRADES:
            yield first, concatenate(parts)
            first, size, parts = first + size, 0, []
    if parts:
        yield first, concatenate(parts)
