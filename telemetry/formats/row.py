"""What every reader yields: one record of a file, readable or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Raw(NamedTuple):
    """A record as the file has it: number (from 1) and values by the file's own column names."""

    number: int
    values: Mapping[str, Any]


class Row(NamedTuple):
    """A trade: number of the record in its file (from 1; a header does not count) and the interface's public fields."""

    number: int
    trade: dict[str, Any]


class BadRow(NamedTuple):
    """A record that cannot be read, and why. `received` is an excerpt; `last`: nothing after it can be read either."""

    number: int
    reason: str
    field: str = ""
    received: str = ""
    last: bool = False
