"""Where every record of the journal lies, and reading it back from there."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from telemetry.backbone.disk import Files
from telemetry.backbone.record import Record, decode_record
from telemetry.backbone.segments import segment_name
from telemetry.errors import Stop

READ_BYTES = 4 << 20  # of one read: large enough that opening the file does not count, small enough to hold in memory


class Place(NamedTuple):
    """Where one record lies; offset and length in bytes."""

    first_seq: int
    segment: int
    offset: int
    length: int


class RecordIndex:
    """Where every record lies, 20 bytes each, in order. One thread appends while others look up."""

    def __init__(self) -> None:
        self._first_seq, self._segment = array("Q"), array("I")
        self._offset, self._length = array("I"), array("I")  # in units of 64 bytes

    def __len__(self) -> int:
        return len(self._first_seq)

    def __getitem__(self, position: int) -> Place:
        return Place(
            self._first_seq[position],
            self._segment[position],
            self._offset[position] * 64,
            self._length[position] * 64,
        )

    def append(self, place: Place) -> None:
        """Add the next record; the column that lookups search grows last."""
        self._segment.append(place.segment)
        self._offset.append(place.offset // 64)
        self._length.append(place.length // 64)
        self._first_seq.append(place.first_seq)

    def span(self, first: int, last: int) -> range:
        """Positions of the records that may hold trades `first`..`last`, and of those without trades among them."""
        start = bisect_left(self._first_seq, first)
        if start == len(self._first_seq) or self._first_seq[start] > first:
            start = max(start - 1, 0)
        return range(start, bisect_right(self._first_seq, last + 1))


def read_back(files: Files, directory: Path, index: RecordIndex, first: int, last: int) -> Iterator[Record]:
    """The records that hold any trade of `first`..`last`, and those without trades from before `first` to behind
    `last`, in order. Stop when one cannot be read or is damaged."""
    span = index.span(first, last)
    start = span.start
    while start < span.stop:
        stop = _end_of_run(index, start, span.stop)
        for record in _read_run(files, directory, [index[position] for position in range(start, stop)]):
            if first <= record.first_seq + max(record.count, 1) - 1 and record.first_seq <= last + (not record.count):
                yield record
        start = stop


def _end_of_run(index: RecordIndex, start: int, stop: int) -> int:
    """As many records of one segment as one read takes, at least one."""
    begin = index[start]
    for position in range(start + 1, stop):
        place = index[position]
        if place.segment != begin.segment or place.offset + place.length - begin.offset > READ_BYTES:
            return position
    return stop


def _read_run(files: Files, directory: Path, run: list[Place]) -> Iterator[Record]:
    path = directory / segment_name(run[0].segment)
    begin, end = run[0].offset, run[-1].offset + run[-1].length
    try:
        file = files.open(path)
        try:
            content = memoryview(file.read(begin, end - begin))
        finally:
            file.close()
    except OSError as error:
        raise Stop(f"cannot read {path}: {error}") from error
    for place in run:
        record = decode_record(content[: place.offset - begin + place.length], place.offset - begin)
        if record is None or record.first_seq != place.first_seq:
            raise Stop(
                f"{path} is damaged at offset {place.offset}: the record of trade {place.first_seq} is not there"
            )
        yield record
