"""Opening a journal is recovering it: there is no other path.

Theory of operation. At most one record is under way when the power fails in full mode, so what follows the last good
record is a torn tail: cut. A bad record with a good one behind it is damage, because the later one was written only
after the earlier one was on disk; the start is refused. In fast mode several records may be under way, and the device
may have written a later one first: every record says up to which trade (`synced_seq`) the disk was known to be good
when it was written, and where that is before the hole, nobody was told that the hole is on disk: cut as well.

    what follows the last good record            what it is            what is done
    zeros                                        the end               nothing
    other bytes, no good record behind them      torn tail             zeroed, reported
    other bytes, then only records that say      never synced          zeroed with those records, reported
        "nothing from the hole on is synced"
    other bytes, then any other good record      damage                Stop, names the missing trades

A record without trades is synced at once in fast mode too, so `synced_seq = first_seq - 1` always means that
everything before the record was on disk.

`scan` only reads. `repair` makes the disk agree with what was found: removes unfinished segments, zeroes the tail, and
writes in place again every record that is not known to be synced, because it may have been in the page cache only, and
marked clean there after a failed sync.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from telemetry.backbone.disk import Files, OpenFile
from telemetry.backbone.places import Place, RecordIndex
from telemetry.backbone.record import MAGIC, Record, decode_record, find_records
from telemetry.backbone.segments import (
    SEGMENT_HEADER_BYTES,
    SegmentHeader,
    decode_header,
    encode_header,
    public_name,
    segment_name,
    segment_numbers,
)
from telemetry.errors import Stop

_NOT_ZERO = re.compile(rb"[^\0]")


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """What the start found. `torn_bytes` were cut at `torn_offset` of `torn_file`; with them went `unsynced_records`
    good records of fast mode that lay behind a hole."""

    records: int
    trades: int
    torn_bytes: int = 0
    torn_file: str = ""
    torn_offset: int = 0
    unsynced_records: int = 0


class Tail(NamedTuple):
    """Bytes that are no part of the journal: [offset, end) of segment `number`, where trade `expected` should be."""

    number: int
    offset: int
    end: int
    expected: int


@dataclass(slots=True)
class Scan:
    """What is on disk. `active`: the last segment with a record (0: none), `end`: the offset behind that record."""

    directory: Path
    journal_id: bytes | None = None
    last_seq: int = 0
    index: RecordIndex = field(default_factory=RecordIndex)
    active: int = 0
    end: int = SEGMENT_HEADER_BYTES
    headers: dict[int, SegmentHeader] = field(default_factory=dict)
    empty: list[int] = field(default_factory=list)  # segments without a record, behind the active one
    unfinished: list[int] = field(default_factory=list)
    tails: list[Tail] = field(default_factory=list)
    behind: tuple[Record, int, int] | None = None  # the first good record behind the first tail, its segment and offset
    unsynced_records: int = 0
    record_bytes: int = 0

    def report(self) -> RecoveryReport:
        """The part that people want to know."""
        cut = sum(tail.end - tail.offset for tail in self.tails)
        first = self.tails[0] if self.tails else Tail(0, 0, 0, 0)
        name = segment_name(first.number) if self.tails else ""
        return RecoveryReport(len(self.index), self.last_seq, cut, name, first.offset, self.unsynced_records)


def scan(files: Files, directory: Path) -> Scan:
    """Check every record's checksum and place in the sequence. Stop names what is damaged; nothing is changed."""
    found = Scan(directory)
    for number in segment_numbers(files.names(directory)):
        _scan_segment(found, number, _read(files, directory, number))
    return found


def read_records(files: Files, directory: Path) -> Iterator[Record]:
    """Every good record from the first on, without the lock and without repair, also while an owner is appending.
    Ends at the first place that holds no record. Stop when the sequence is broken or a segment is not readable."""
    expected = 1
    for number in segment_numbers(files.names(directory)):
        content = _read(files, directory, number)
        offset = SEGMENT_HEADER_BYTES
        while decode_header(content) and (record := decode_record(content, offset)) is not None:
            if record.first_seq != expected:
                raise Stop(_missing(directory, Tail(number, offset, offset, expected), record, number, offset))
            yield record
            expected, offset = record.last_seq + 1, offset + len(record.raw)


def repair(files: Files, found: Scan) -> None:
    """Make the disk agree with `found`, synced. May be cut short anywhere and run again. Raises OSError."""
    for number in found.unfinished:
        files.remove(found.directory / segment_name(number))
    for number in {tail.number for tail in found.tails} | {found.active, *found.empty} - {0}:
        file = files.open(found.directory / segment_name(number))
        try:
            _repair_segment(file, found, number)
            file.sync()
        finally:
            file.close()
    files.sync_directory(found.directory)


def _repair_segment(file: OpenFile, found: Scan, number: int) -> None:
    for tail in found.tails:
        if tail.number == number:
            file.write(tail.offset, bytes(tail.end - tail.offset))
    if number in found.empty:  # nothing says that its header ever reached the disk
        file.write(0, encode_header(found.headers[number]))
    if number == found.active:
        start = _unsynced_from(file, found)
        file.write(start, file.read(start, found.end - start))


def _unsynced_from(file: OpenFile, found: Scan) -> int:
    """Offset of the first record of the active segment that is not known to be on disk. In full mode: of the last."""
    position = len(found.index) - 1
    place = found.index[position]
    last = decode_record(file.read(place.offset, place.length))
    if last is None:
        raise Stop(f"{segment_name(place.segment)}: the record at offset {place.offset} changed while it was recovered")
    while (
        position
        and (before := found.index[position - 1]).segment == place.segment
        and (before.first_seq > last.synced_seq)
    ):
        position, place = position - 1, before
    return place.offset


def _read(files: Files, directory: Path, number: int) -> bytes:
    try:
        file = files.open(directory / segment_name(number))
        try:
            return file.read(0, file.size())
        finally:
            file.close()
    except OSError as error:
        raise Stop(f"cannot read {directory / segment_name(number)}: {error}") from error


def _scan_segment(found: Scan, number: int, content: bytes) -> None:
    header = decode_header(content)
    if header is None:
        _refuse_records_without_header(found, number, content)
        found.unfinished.append(number)
        return
    _check_header(found, number, header)
    offset = SEGMENT_HEADER_BYTES if found.tails else _follow(found, number, content)
    if found.active != number:
        found.empty.append(number)
    dirty = _NOT_ZERO.search(content, offset)
    if dirty is None and len(content) >= header.size:
        return
    end = header.size if len(content) < header.size else offset + len(content[offset:].rstrip(b"\0"))
    tail = Tail(number, offset, end, found.last_seq + 1)
    found.tails.append(tail)
    _refuse_damage(found, number, content, offset)


def _follow(found: Scan, number: int, content: bytes) -> int:
    """Take up the records that continue the sequence; the offset behind them."""
    offset = SEGMENT_HEADER_BYTES
    while (record := decode_record(content, offset)) is not None:
        if record.first_seq != found.last_seq + 1 or found.empty:
            behind = Tail(found.active or number, found.end, found.end, found.last_seq + 1)
            raise Stop(_missing(found.directory, behind, record, number, offset))
        length = len(record.raw)
        found.index.append(Place(record.first_seq, number, offset, length))
        offset += length
        found.active, found.end, found.last_seq = number, offset, record.last_seq
        found.record_bytes += length
    return offset


def _refuse_damage(found: Scan, number: int, content: bytes, offset: int) -> None:
    """Stop when a record behind the first tail proves that the tail was once on disk."""
    hole = found.tails[0]
    for position, record in find_records(content, offset):
        if record.first_seq < hole.expected:
            continue  # no record of ours can lie here: text of a client that looks like one
        found.behind = found.behind or (record, number, position)
        if record.synced_seq >= hole.expected or record.synced_seq == record.first_seq - 1:
            raise Stop(_missing(found.directory, hole, *found.behind))
        found.unsynced_records += 1


def _refuse_records_without_header(found: Scan, number: int, content: bytes) -> None:
    for position, record in find_records(content, content.find(MAGIC)):
        raise Stop(
            f"{found.directory / segment_name(number)} is damaged: its header at offset 0 is not readable, but it holds"
            f" trades from {record.first_seq} on at offset {position}; restore the file"
        )


def _check_header(found: Scan, number: int, header: SegmentHeader) -> None:
    path = found.directory / segment_name(number)
    previous = max(found.headers, default=0)
    if number != previous + 1:
        raise Stop(
            f"expected {segment_name(previous + 1)} before {path}; it is missing or unfinished, and with it the trades"
            f" from {found.last_seq + 1} on; restore the file"
        )
    if header.number != number:
        raise Stop(f"{path} says that it is segment {header.number}, expected {number}")
    if found.journal_id not in (None, header.journal_id):
        expected, received = public_name(found.journal_id or b""), public_name(header.journal_id)
        raise Stop(f"{path} belongs to journal {received}, expected {expected}")
    found.journal_id = header.journal_id
    found.headers[number] = header


def _missing(directory: Path, hole: Tail, later: Record, number: int, position: int) -> str:
    path = os.fspath(directory / segment_name(hole.number))
    goes_on = f"the journal goes on with trade {later.first_seq} in {segment_name(number)} at offset {position}"
    if later.first_seq > hole.expected:
        lost = f"trades {hole.expected} to {later.first_seq - 1} are missing"
    elif later.first_seq == hole.expected:
        lost = f"a record without trades before trade {hole.expected} is missing"
    else:
        lost = f"trade {hole.expected} was expected"
    return f"{path} is damaged at offset {hole.offset}: {lost}, {goes_on}; restore the file from a backup"
