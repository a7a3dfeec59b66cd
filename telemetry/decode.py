"""Bodies of POST /v1/trades to checked trades: everything in it, or InvalidInput with index and field of what is wrong.

Several readings, one result. The reference (decode_reference) decides what a body means. The fast one (decode_fast) is
for large bodies, the compiled one (decode_compiled) for all where it is installed; both give up on any doubt. Then a
large body is cut and only the parts in doubt go to the reference: one odd number does not make 50,000 trades slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from telemetry.columns import Columns, concatenate, from_trades
from telemetry.decode_compiled import CompiledReading
from telemetry.decode_fast import decode_columns
from telemetry.decode_reference import LINE, MAX_ERRORS, MAX_TRADES, Media, parse_items, read_items, refuse_bombs
from telemetry.digests import Keys, join_keys, keys_of_columns, keys_of_trades
from telemetry.errors import InvalidInput
from telemetry.literals import Doubt
from telemetry.trade import Trade

SMALL_BYTES = 10_000  # about 50 trades; below, one by one is quicker than arrays
ROWS_BYTES = 1_800  # about 10 trades; below, the compiled reading gives rows, which are quicker to make than columns
PART = 300  # trades of a part when a body is cut
_splitter = msgspec.json.Decoder(list[msgspec.Raw])


class Batch(msgspec.Struct, frozen=True, eq=False):
    """The trades of one body: as rows when they are few (`columns` is None), else as columns (`trades` is None)."""

    trades: list[Trade] | None
    columns: Columns | None
    keys: Keys

    @property
    def count(self) -> int:
        """How many trades."""
        return len(self.keys.given)

    def as_columns(self) -> Columns:
        """The trades as columns in any case."""
        return from_trades(self.trades or ()) if self.columns is None else self.columns


Reading = Callable[[bytes, Media, int], Batch]  # raises Doubt, or InvalidInput for too many trades


class Decoder:
    """Reads bodies by the readings that this process has. Thread safe."""

    def __init__(self, *, compiled: bool) -> None:
        """With `compiled`, which needs decode_compiled.available(), this compiles or loads what was compiled before."""
        self._small: tuple[Reading, ...] = (_compiled(CompiledReading()),) if compiled else ()
        self._large: tuple[Reading, ...] = (*self._small, _fast)

    def decode(self, body: bytes, media: Media, received_at: int) -> Batch:
        """The trades of a body that arrived at `received_at` (ns UTC).

        `media` is "json" (one object or an array of them) or "lines" (one object a line, blank lines ignored). Raises
        InvalidInput, and nothing else: 400 what cannot be parsed, 413 too many trades, 422 trades that break rules.
        """
        is_small = len(body) < SMALL_BYTES
        batch = _first_sure(self._small if is_small else self._large, body, media, received_at)
        if batch is not None:
            return batch
        if is_small:
            return decode_by_reference(body, media, received_at)
        refuse_bombs(body, media)
        return _in_parts(self._large, body, media, received_at)


def _first_sure(readings: Sequence[Reading], body: bytes, media: Media, received_at: int) -> Batch | None:
    """The result of the first reading that has no doubt."""
    for reading in readings:
        with suppress(Doubt):
            return reading(body, media, received_at)
    return None


def _compiled(reading: CompiledReading) -> Reading:
    def read(body: bytes, media: Media, received_at: int) -> Batch:
        if len(body) < ROWS_BYTES:
            trades, keys = reading.rows(body, media, received_at)
            return Batch(trades, None, keys)
        columns, keys = reading.columns(body, media, received_at)
        return Batch(None, columns, keys)

    return read


def decode_body(body: bytes, media: Media, received_at: int) -> Batch:
    """The same as Decoder(compiled=False).decode."""
    return _PLAIN.decode(body, media, received_at)


def decode_by_reference(body: bytes, media: Media, received_at: int) -> Batch:
    """The same as `decode_body`, by the reading that decides."""
    refuse_bombs(body, media)
    items = read_items(body, media)
    if not items:
        raise _invalid([{"index": 0, "field": "", "detail": "expected at least one trade", "received": "none"}])
    return _rows(*parse_items(items, received_at))


def _rows(trades: list[Trade], given: list[bool], errors: list[dict[str, Any]]) -> Batch:
    if errors:
        raise _invalid(errors)
    return Batch(trades, None, keys_of_trades(trades, given))


def _invalid(errors: list[dict[str, Any]]) -> InvalidInput:
    first = errors[0]
    where = f"trade {first['index']}" + (f", {first['field']}" if first["field"] else "")
    return InvalidInput(f"{where}: {first['detail']}, received {first['received']}", errors=errors)


def _fast(body: bytes, media: Media, received_at: int) -> Batch:
    if len(body) > MAX_TRADES and body.count(b"{") > MAX_TRADES:
        refuse_bombs(body, media)
    columns, given = decode_columns(body, media, received_at)
    return Batch(None, columns, keys_of_columns(columns, given))


def _in_parts(readings: Sequence[Reading], body: bytes, media: Media, received_at: int) -> Batch:
    """Cuts the body, reads each part fast or by the reference. What is no JSON is refused before what breaks a rule."""
    read: list[Batch | list[object]] = []
    try:
        for part in _cut(body, media):
            batch = _first_sure(readings, part, media, received_at)
            read.append(read_items(part, media) if batch is None else batch)
    except (msgspec.MsgspecError, ValueError, RecursionError, InvalidInput):
        return decode_by_reference(body, media, received_at)  # it knows the place in the whole body
    return _joined(read, received_at) if read else decode_by_reference(body, media, received_at)


def _joined(read: Sequence[Batch | list[object]], received_at: int) -> Batch:
    batches: list[Batch] = []
    errors: list[dict[str, Any]] = []
    index = 0
    for part in read:
        if isinstance(part, list):
            trades, given, found = parse_items(part, received_at, index)
            errors += found
            index += len(part)
            if not errors:
                batches.append(Batch(trades, None, keys_of_trades(trades, given)))
        else:
            index += part.count
            batches.append(part)
        if len(errors) >= MAX_ERRORS:
            break
    if errors:
        raise _invalid(errors[:MAX_ERRORS])
    columns = concatenate([batch.as_columns() for batch in batches])
    return Batch(None, columns, join_keys([batch.keys for batch in batches]))


def _cut(body: bytes, media: Media) -> Iterator[bytes]:
    if media == "lines":
        lines = LINE.findall(body)
        yield from (b"\n".join(lines[start : start + PART]) for start in range(0, len(lines), PART))
    else:
        items = _splitter.decode(body)
        yield from (b"[" + b",".join(items[start : start + PART]) + b"]" for start in range(0, len(items), PART))


_PLAIN = Decoder(compiled=False)
