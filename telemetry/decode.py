"""Bodies of POST /v1/trades to checked trades: everything in it, or InvalidInput with index and field of what is wrong.

Several readings, one result. The reference (decode_reference) decides what a body means. The compiled one
(decode_compiled) is for all bodies where it is installed; for large ones there are two more, of trades that are written
alike (decode_alike) and of all others (decode_fast). All of these give up on any doubt. Then a large body is cut and
only the parts in doubt go to the reference: one odd number does not make 50,000 trades slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Literal

import msgspec
import numpy as np

from telemetry.alike_bundle import AlikeBundle
from telemetry.columns import Columns, concatenate, from_trades
from telemetry.decode_alike import PADDING, AlikeReading
from telemetry.decode_bundle import Bundle
from telemetry.decode_compiled import CompiledReading
from telemetry.decode_fast import decode_columns
from telemetry.decode_reference import LINE, MAX_ERRORS, MAX_TRADES, Media, parse_items, read_items, refuse_bombs
from telemetry.digests import NO_SECRET, Digests, Keys, join_keys
from telemetry.errors import InvalidInput
from telemetry.frame import U8, Array
from telemetry.literals import Doubt
from telemetry.trade import Trade

SMALL_BYTES = 10_000  # about 50 trades; below, one by one is quicker than arrays
ROWS_BYTES = 1_800  # about 10 trades; below, the compiled reading gives rows, which are quicker to make than columns
MAX_INSTRUMENTS = 1_000  # of a body that is to be decoded quickly: a microsecond each
PART = 300  # trades of a part when a body is cut
_NOTHING = {"index": 0, "field": "", "detail": "expected at least one trade", "received": "none"}
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

    def slice(self, start: int, stop: int) -> Batch:
        """Rows start..stop - 1."""
        rows = slice(start, stop)
        keys = Keys(self.keys.given[rows], self.keys.digests[rows], self.keys.fingerprints[rows])
        if self.columns is None:
            return Batch((self.trades or [])[rows], None, keys)
        return Batch(None, self.columns.slice(start, stop), keys)


AnyMedia = Media | Literal["arrow"]
Reading = Callable[[bytes, Media, int], Batch]  # raises Doubt, or InvalidInput for too many trades


class Decoder:
    """Reads bodies by the readings that this process has. Thread safe."""

    def __init__(self, *, compiled: bool, secret: bytes = NO_SECRET) -> None:
        """`secret` is that of the digests, which the journal keeps.

        With `compiled`, which needs decode_compiled.available(), this compiles or loads what was compiled before.
        """
        self._digests = Digests(secret)
        self._compiled = CompiledReading(self._digests) if compiled else None
        self._alike = AlikeReading()
        self._small: tuple[Reading, ...] = () if self._compiled is None else (_compiled(self._compiled),)
        self._large: tuple[Reading, ...] = (*self._small, self._read_alike, self._fast)

    def decode(self, body: bytes, media: AnyMedia, received_at: int) -> Batch:
        """The trades of a body that arrived at `received_at` (ns UTC).

        `media` is "json" (one object or an array of them), "lines" (one object a line, blank lines ignored) or "arrow"
        (an Arrow IPC stream). Raises InvalidInput, and nothing else: 400 what cannot be parsed, 413 too many trades,
        422 trades that break rules.
        """
        if media == "arrow":
            return self._arrow(body, received_at)
        readings = self._small if len(body) < SMALL_BYTES else self._large
        return self._decode(readings, body, media, received_at)

    def in_place(self, text: Array, size: int, received_at: int) -> Batch:
        """As `decode` of the JSON in the first `size` bytes, which decode_compiled.PADDING zeros follow."""
        if self._compiled is not None and size >= ROWS_BYTES:
            with suppress(Doubt):
                return Batch(None, *self._compiled.columns_in_place(text, size, "json", received_at))
        if size >= SMALL_BYTES:
            with suppress(Doubt):
                return self._alike_in(text, size, "json", received_at)
        readings = (self._fast,) if size >= SMALL_BYTES else () if size >= ROWS_BYTES else self._small
        return self._decode(readings, text[:size].tobytes(), "json", received_at)

    def bundle(self, text: Array) -> Bundle | AlikeBundle:
        """For reading bodies in this text (u8) one behind the other."""
        if self._compiled is None:
            return AlikeBundle(self._alike, self._digests, text, SMALL_BYTES)
        return Bundle(self._compiled, text)

    def _decode(self, readings: Sequence[Reading], body: bytes, media: Media, received_at: int) -> Batch:
        batch = _first_sure(readings, body, media, received_at)
        if batch is not None:
            return batch
        if len(body) < SMALL_BYTES:
            return self.by_reference(body, media, received_at)
        refuse_bombs(body, media)
        return self._in_parts(body, media, received_at)

    def singles(self, bodies: Sequence[bytes], received_at: int) -> Batch | None:
        """Row i is the trade of bodies[i], each JSON with one object. None when anything is in doubt: decode each.

        The bodies are read as lines. A line break would cut one in two, so none may have any; then there are as many
        lines as bodies, a line has one trade at most, and as many trades as bodies mean one from each. No text and no
        object reaches over the end of a line, so no body can change how another one is read.
        """
        joined = b"\n".join(bodies)
        if self._compiled is None or b"\r" in joined or joined.count(b"\n") != len(bodies) - 1:
            return None
        try:
            columns, keys = self._compiled.columns(joined, "lines", received_at)
        except Doubt:
            return None
        return Batch(None, columns, keys) if len(columns) == len(bodies) else None

    def by_reference(self, body: bytes, media: Media, received_at: int) -> Batch:
        """The same as `decode`, by the reading that decides."""
        refuse_bombs(body, media)
        items = read_items(body, media)
        if not items:
            raise _invalid([_NOTHING])
        trades, given, errors = parse_items(items, received_at)
        if errors:
            raise _invalid(errors)
        return Batch(trades, None, self._digests.keys_of_trades(trades, given))

    def _read_alike(self, body: bytes, media: Media, received_at: int) -> Batch:
        return self._alike_in(np.frombuffer(body + bytes(PADDING), U8), len(body), media, received_at)

    def _alike_in(self, text: Array, size: int, media: Media, received_at: int) -> Batch:
        columns, given = self._alike.columns(text, size, media, received_at)
        return Batch(None, columns, self._digests.keys_of_columns(columns, given))

    def _fast(self, body: bytes, media: Media, received_at: int) -> Batch:
        if len(body) > MAX_TRADES and body.count(b"{") > MAX_TRADES:
            refuse_bombs(body, media)
        columns, given = decode_columns(body, media, received_at)
        return Batch(None, columns, self._digests.keys_of_columns(columns, given))

    def _in_parts(self, body: bytes, media: Media, received_at: int) -> Batch:
        """Cuts the body, reads each part by the first reading that is sure of it or by the reference.

        What is no JSON is refused before what breaks a rule.
        """
        read: list[Batch | list[object]] = []
        try:
            for part in _cut(body, media):
                batch = _first_sure(self._large, part, media, received_at)
                read.append(read_items(part, media) if batch is None else batch)
        except (msgspec.MsgspecError, ValueError, RecursionError, InvalidInput):
            return self.by_reference(body, media, received_at)  # it knows the place in the whole body
        return self._joined(read, received_at) if read else self.by_reference(body, media, received_at)

    def _arrow(self, body: bytes, received_at: int) -> Batch:
        if (batch := self.plain_arrow(body, received_at)) is not None:
            return batch
        from telemetry.decode_arrow import read_parts  # pyarrow takes 0.1 s to load, and most gateways need none of it

        read = (
            part if isinstance(part, list) else Batch(None, part[0], self._digests.keys_of_columns(*part))
            for part in read_parts(body, received_at, PART)
        )
        return self._joined(read, received_at)

    def plain_arrow(self, body: bytes | memoryview, received_at: int, *, quickly: bool = False) -> Batch | None:
        """The trades of an Arrow stream that can be read in place, in less than 0.1 µs each; None for every other one,
        with `quickly` also for one that has very many instruments, each of which is an object."""
        if self._compiled is None:
            return None
        try:
            most = MAX_INSTRUMENTS if quickly else MAX_TRADES
            return Batch(None, *self._compiled.arrow(body, received_at, most))
        except Doubt:
            return None

    def _joined(self, read: Iterable[Batch | list[object]], received_at: int) -> Batch:
        batches: list[Batch] = []
        errors: list[dict[str, Any]] = []
        index = 0
        for part in read:
            if isinstance(part, list):
                trades, given, found = parse_items(part, received_at, index)
                errors += found
                index += len(part)
                if not errors:
                    batches.append(Batch(trades, None, self._digests.keys_of_trades(trades, given)))
            else:
                index += part.count
                batches.append(part)
            if len(errors) >= MAX_ERRORS:
                break
        if errors or not index:
            raise _invalid(errors[:MAX_ERRORS] or [_NOTHING])
        columns = concatenate([batch.as_columns() for batch in batches])
        return Batch(None, columns, join_keys([batch.keys for batch in batches]))


def decode_body(body: bytes, media: AnyMedia, received_at: int) -> Batch:
    """The same as Decoder(compiled=False).decode."""
    return _PLAIN.decode(body, media, received_at)


def decode_by_reference(body: bytes, media: Media, received_at: int) -> Batch:
    """The same as `decode_body`, by the reading that decides."""
    return _PLAIN.by_reference(body, media, received_at)


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


def _invalid(errors: list[dict[str, Any]]) -> InvalidInput:
    first = errors[0]
    where = f"trade {first['index']}" + (f", {first['field']}" if first["field"] else "")
    return InvalidInput(f"{where}: {first['detail']}, received {first['received']}", errors=errors)


def _cut(body: bytes, media: Media) -> Iterator[bytes]:
    if media == "lines":
        lines = LINE.findall(body)
        yield from (b"\n".join(lines[start : start + PART]) for start in range(0, len(lines), PART))
    else:
        items = _splitter.decode(body)
        yield from (b"[" + b",".join(items[start : start + PART]) + b"]" for start in range(0, len(items), PART))


_PLAIN = Decoder(compiled=False)
