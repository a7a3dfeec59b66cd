"""Parquet and Feather (Arrow IPC) through pyarrow, a few thousand rows at a time.

Floats become the shortest decimal that reads back as the same float of that width; times keep every nanosecond.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

from telemetry.formats.names import may_matter
from telemetry.formats.row import BadRow, Raw
from telemetry.formats.times import Instant, Local

BATCH = 4096
_PER_SECOND = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def read_parquet(path: Path) -> Iterator[Raw | BadRow]:
    """Rows of a Parquet file, in file order."""
    with pq.ParquetFile(path) as file:
        wanted = [name for name in file.schema_arrow.names if may_matter(name)]
        yield from _rows(file.schema_arrow.names, file.iter_batches(BATCH, columns=wanted))


def read_feather(path: Path) -> Iterator[Raw | BadRow]:
    """Rows of an Arrow IPC file (Feather version 2), in file order."""
    with pa.memory_map(str(path)) as source:
        file = ipc.open_file(source)
        batches = (file.get_batch(index) for index in range(file.num_record_batches))
        pieces = (batch.slice(start, BATCH) for batch in batches for start in range(0, batch.num_rows, BATCH))
        yield from _rows(file.schema.names, pieces)


def _rows(names: list[str], batches: Iterable[pa.RecordBatch]) -> Iterator[Raw | BadRow]:
    number = 0
    for batch in batches:
        known = {name: index for index, name in enumerate(batch.schema.names) if may_matter(name)}
        columns = [
            _values(batch.column(known[name])) if name in known else repeat(None, batch.num_rows) for name in names
        ]
        for cells in zip(*columns, strict=True):
            number += 1
            yield Raw(number, dict(zip(names, cells, strict=True)))


def _values(column: pa.Array[Any]) -> list[Any]:
    """A column as Python values that lose nothing."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _values(column.dictionary_decode())  # type: ignore[attr-defined]
    if pa.types.is_floating(kind):
        return _floats(column)
    if pa.types.is_timestamp(kind):
        factor, mark = _PER_SECOND[kind.unit], Local if kind.tz is None else Instant
        ticks = pc.cast(column, pa.int64()).to_pylist()
        return [None if tick is None else mark(tick * factor) for tick in ticks]
    if pa.types.is_date(kind) or pa.types.is_time(kind):
        return pc.cast(column, pa.string()).to_pylist()
    if pa.types.is_decimal(kind):
        return [None if value is None else format(value, "f") for value in column.to_pylist()]
    return column.to_pylist()


def _floats(column: pa.Array[Any]) -> list[Any]:
    if pa.types.is_float16(column.type):
        column = pc.cast(column, pa.float32())
    return pc.cast(column, pa.string()).to_pylist()
