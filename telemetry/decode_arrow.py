"""Arrow bodies of POST /v1/trades: by columns where they are surely right, else the rows as the reference takes them.

Only telemetry.decode imports this, and only when an Arrow body comes: pyarrow takes 0.1 s to load.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from telemetry.arrow_columns import read_columns
from telemetry.arrow_items import items_of
from telemetry.arrow_stream import read_batches
from telemetry.columns import Columns
from telemetry.decode_reference import unparsable
from telemetry.frame import Array
from telemetry.literals import Doubt
from telemetry.trade import printable

Part = tuple[Columns, Array] | list[object]  # columns and which trades have a timestamp, or items for the reference


def read_parts(body: bytes, received_at: int, size: int) -> Iterator[Part]:
    """All trades of the body at once or, when some are in doubt, in parts of `size`; nothing when there is none.

    Raises InvalidInput: 400 what cannot be parsed, 413 too many trades.
    """
    for batch in read_batches(body):
        try:
            yield _columns(batch, received_at)
        except Doubt:
            yield from (_part(batch.slice(start, size), received_at) for start in range(0, batch.num_rows, size))


def _columns(batch: pa.RecordBatch, received_at: int) -> tuple[Columns, Array]:
    try:
        return read_columns(batch, received_at)
    except (pa.ArrowException, UnicodeError) as error:  # a function that a type does not have, a zone that is no text
        raise Doubt(str(error)) from error


def _part(batch: pa.RecordBatch, received_at: int) -> Part:
    try:
        return _columns(batch, received_at)
    except Doubt:
        pass
    try:
        return items_of(batch)
    except (pa.ArrowException, ValueError, ArithmeticError) as error:  # the last: a decimal beyond its precision
        raise unparsable(f"expected values that can be read: {printable(str(error))}") from None
