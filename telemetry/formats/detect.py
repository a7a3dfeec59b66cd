"""Which format a file has: by what is in it, then by its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from telemetry.errors import InvalidInput
from telemetry.formats import delimited, json_objects
from telemetry.formats.row import BadRow, Raw

Read = Callable[[Path], Iterator[Raw | BadRow]]


class Reader(NamedTuple):
    """A format's name and its reader."""

    name: str
    read: Read


def _parquet(path: Path) -> Iterator[Raw | BadRow]:
    from telemetry.formats import arrow  # pyarrow takes 0.2 s to import, and most replays need none of it

    return arrow.read_parquet(path)


def _feather(path: Path) -> Iterator[Raw | BadRow]:
    from telemetry.formats import arrow

    return arrow.read_feather(path)


READERS: Mapping[str, Reader] = {
    "csv": Reader("csv", delimited.read),
    "json": Reader("json", json_objects.read_array),
    "jsonl": Reader("jsonl", json_objects.read_lines),
    "parquet": Reader("parquet", _parquet),
    "feather": Reader("feather", _feather),
}
FORMATS = ("auto", *READERS)
_MAGIC = ((b"PAR1", "parquet"), (b"ARROW1", "feather"))
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_HEAD_BYTES = 65_536


def detect(path: Path, name: str = "auto") -> Reader:
    """The reader of this file; InvalidInput when there is no such file, format or content."""
    if name not in FORMATS:
        raise InvalidInput(f"--format: expected one of {', '.join(FORMATS)}, received {name!r}")
    head = _head(path)
    if name != "auto":
        return READERS[name]
    for magic, found in _MAGIC:
        if head.startswith(magic):
            return READERS[found]
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] in (b"[", b"{"):
        return READERS[_json(text)]
    if b"\x00" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidInput(f"{path}: expected CSV, JSON, JSON lines, Parquet or Feather, received other binary content")
    return READERS[_by_name(path)]


def _head(path: Path) -> bytes:
    try:
        with delimited.open_bytes(path) as stream:
            head = stream.read(_HEAD_BYTES)
    except (OSError, EOFError) as error:
        raise InvalidInput(f"{path}: expected a readable file: {getattr(error, 'strerror', None) or error}") from error
    if not head.strip():
        raise InvalidInput(f"{path}: expected trades, received an empty file")
    return head


def _json(text: bytes) -> str:
    """Lines when the first line is an object by itself; else one value over many lines."""
    if text.startswith(b"["):
        return "json"
    try:
        json.loads(text.partition(b"\n")[0])
    except (ValueError, RecursionError):
        return "json"
    return "jsonl"


def _by_name(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return _SUFFIXES.get(suffixes[-1], "csv") if suffixes else "csv"
