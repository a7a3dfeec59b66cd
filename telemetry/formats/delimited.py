"""Delimited text (comma, semicolon, tab or bar; plain or gzip; UTF-8, or UTF-16 with its mark), with a header line or
with columns that are named by whoever reads it."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, cast

from telemetry.formats.row import BadRow, Raw

DELIMITERS = (",", ";", "\t", "|")
# A line of a trade file has a few hundred characters; a million means that this is no text file, and bounds the memory.
MAX_LINE = 1_000_000
GZIP = b"\x1f\x8b"


def read(path: Path, columns: Sequence[str] | None = None) -> Iterator[Raw | BadRow]:
    """The records after the header as dicts of stripped text; record 1 is the first after the header. With `columns`
    there is no header: those are its columns, in order."""
    with open_bytes(path) as stream, open_text(stream) as text:
        lines = _lines(text)
        first = next((line for line in lines if line.strip()), "")
        delimiter = sniff_delimiter(first)
        if columns is None:
            header = next(csv.reader([first], delimiter=delimiter, skipinitialspace=True), [])
        else:
            header, lines = list(columns), chain([first], lines)
        rows = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
        told = "in the header" if columns is None else "--columns names"
        yield from _records(rows, [cell.strip() for cell in header], told)


def _records(reader: Iterator[list[str]], header: list[str], told: str) -> Iterator[Raw | BadRow]:
    number = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            yield BadRow(number, f"not a readable line: {error}")
            continue
        if not cells or cells == [""]:
            continue
        number += 1
        if len(cells) != len(header):
            yield BadRow(number, f"expected {len(header)} columns as {told}, received {len(cells)}")
        else:
            yield Raw(number, dict(zip(header, map(str.strip, cells), strict=True)))


def sniff_delimiter(header: str) -> str:
    """The delimiter that splits the header into most columns."""
    return max(DELIMITERS, key=lambda delimiter: len(next(csv.reader([header], delimiter=delimiter), [])))


def open_bytes(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked when they are gzip, whatever the name says."""
    with path.open("rb") as probe:
        packed = probe.read(2) == GZIP
    return cast(IO[bytes], gzip.open(path, "rb")) if packed else path.open("rb")


def open_text(stream: IO[bytes]) -> io.TextIOWrapper:
    """The stream as text; bytes that are not UTF-8 become lone surrogates, reported where a field has them."""
    buffered = io.BufferedReader(cast(io.RawIOBase, stream))
    head = buffered.peek(2)[:2]
    wide = head in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return io.TextIOWrapper(buffered, "utf-16" if wide else "utf-8-sig", "surrogateescape", newline="")


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(MAX_LINE):
        if len(line) == MAX_LINE and not line.endswith(("\n", "\r")):
            raise ValueError(f"expected lines shorter than {MAX_LINE} characters")
        yield line
