"""The compiled reading of a body: the quickest, and where it decides the same as the reference.

It needs what numba (the extra `server`) compiles, which only `CompiledReading()` loads or makes; see
telemetry.compiled.scanner for what it does. Whatever the scanner does not know with certainty raises Doubt: escapes,
tags, more than 18 digits, a table of symbols made to collide, and all that breaks a rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from struct import Struct
from sys import byteorder
from typing import Any

import numpy as np

from telemetry.arrow_plans import Plans
from telemetry.columns import Columns
from telemetry.compiled import slots as at
from telemetry.decode_memory import Memory, Output
from telemetry.decode_reference import MAX_TRADES, Media
from telemetry.digests import Digests, Keys
from telemetry.frame import I64, U8, U32, Array
from telemetry.literals import Doubt
from telemetry.multilinear import U64
from telemetry.times import ABSENT
from telemetry.trade import KINDS, Instrument, Trade

PADDING = 64  # tokens.PADDING, which is not imported before it is needed
_ZEROS = bytes(PADDING)
_MORE = -3  # scanner.MORE
_BOOL = np.dtype(bool)
_KINDS = ("", *KINDS)
_RECORD = Struct("<qBBBB")
_OPEN = ord("{")
_USUAL_BYTES = 64  # few trades are shorter
_CAPACITY, _KEPT = 1024, 1 << 14  # trades that memory is kept for: some 260 bytes each
_MOST_IDLE = 4  # as many threads as read bodies at once
_MOST_KNOWN = 4096  # instruments
_MOST_TABLES, _MOST_OF_TABLE = 64, 1000  # tables of instruments that are kept: what a sender sends again and again


def available() -> bool:
    """Whether this machine can read that way."""
    return byteorder == "little" and find_spec("numba") is not None


class MoreError(Doubt):
    """There are more trades than there was memory for."""


class CompiledReading:
    """The compiled functions, ready to be called, also by several threads: they need no GIL."""

    def __init__(self, digests: Digests) -> None:
        """Takes many seconds when nothing is cached. Raises ImportError without numba then."""
        scanner: Any = import_module("telemetry.compiled.scanner")
        self._scan_rows, self._scan_columns = scanner.scan_rows, scanner.scan_columns
        self._collect = import_module("telemetry.compiled.columns").collect
        reader: Any = import_module("telemetry.compiled.arrow")
        self._read_rows, self._plans = reader.read_rows, Plans()
        self._words = np.concatenate((digests.key.table.ravel(), digests.payload.table.ravel()))
        self._idle = [Memory(_CAPACITY)]  # taken out while it is in use
        self._instruments: dict[bytes, Instrument] = {}  # by their records
        self._tables: dict[tuple[bytes, bytes], tuple[Instrument, ...]] = {}  # those of bodies

    def rows(self, body: bytes, media: Media, received_at: int) -> tuple[list[Trade], Keys]:
        """The trades of a small body. Raises Doubt."""
        decoded, ascii_only = _decoded(body)
        most = body.count(b"{")
        text, digests = np.frombuffer(body + _ZEROS, U8), np.empty(at.DIGESTS * most + at.SUMS, U64)
        slots = np.empty(most * at.COUNT + at.FOLLOWS, I64)
        count = self._scan_rows(text, len(body), media == "lines", self._words, most, slots, digests)
        if count < 0:
            raise Doubt("not known to the scanner")
        flat = slots.tolist()
        trades = [
            _trade(decoded, ascii_only, flat[start : start + at.SEEN], received_at)
            for start in range(0, count * at.COUNT, at.COUNT)
        ]
        given = np.frombuffer(bytes([trade.trade_id != "" for trade in trades]), _BOOL)
        prints = digests[2 * most : 2 * most + count]
        return trades, Keys(given, digests[: 2 * count].reshape(count, 2), prints)

    def columns(self, body: bytes, media: Media, received_at: int) -> tuple[Columns, Keys]:
        """The trades of a body as columns. Raises Doubt."""
        return self.columns_in_place(np.frombuffer(body + _ZEROS, U8), len(body), media, received_at)

    def columns_in_place(self, text: Array, size: int, media: Media, received_at: int) -> tuple[Columns, Keys]:
        """As `columns`, of the first `size` bytes of a text; PADDING zeros follow them."""
        most = min(size // _USUAL_BYTES + 1, MAX_TRADES)
        try:
            return self._columns(text, size, media, received_at, most)
        except MoreError:
            most = min(int(np.count_nonzero(text[:size] == _OPEN)), MAX_TRADES)
            return self._columns(text, size, media, received_at, most)

    def _columns(self, text: Array, size: int, media: Media, received_at: int, most: int) -> tuple[Columns, Keys]:
        memory = self._take(most)
        try:
            return self._columns_in(memory, text, size, media, received_at, most)
        finally:
            self._keep(memory)

    def _keep(self, memory: Memory) -> None:
        if memory.capacity <= _KEPT and len(self._idle) < _MOST_IDLE:
            self._idle.append(memory)

    def _take(self, most: int) -> Memory:
        """Memory for so many trades that nobody else uses."""
        if most > _KEPT:
            return Memory(most)
        try:
            memory = self._idle.pop()
        except IndexError:
            memory = Memory(_CAPACITY)
        return memory if most <= memory.capacity else Memory(1 << (most - 1).bit_length())

    def _columns_in(
        self, memory: Memory, text: Array, size: int, media: Media, received_at: int, most: int
    ) -> tuple[Columns, Keys]:
        work = (memory.integers, memory.indices, memory.small)
        count = self._scan_columns(text, 0, size, media == "lines", 0, most, most, memory.capacity, *work)
        if count < 0:
            raise MoreError if count == _MORE else Doubt("not known to the scanner")
        return self._collected(text, (count, received_at), memory, (0, size))

    def scan_behind(
        self, memory: Memory, text: Array, place: tuple[int, int], before: int, most: int, instruments: int
    ) -> int:
        """Read the JSON array or object at (start, size) in the text behind the `before` trades of bodies elsewhere in
        it; see scanner.scan_columns. Raises Doubt."""
        work = (memory.integers, memory.indices, memory.small)
        count: int = self._scan_columns(text, *place, 0, before, most, instruments, memory.capacity, *work)
        if count < 0:
            raise MoreError if count == _MORE else Doubt("not known to the scanner, or too many instruments")
        return count

    def collect_bodies(
        self, memory: Memory, text: Array, bodies: Sequence[int], places: Sequence[int]
    ) -> tuple[Columns, Keys]:
        """The columns and keys of all that was read one behind the other. Of each body `bodies` has the number of
        trades up to its end, and when it was received; `places` its start and size. Raises Doubt."""
        return self._collected(text, bodies, memory, places)

    def arrow(
        self,
        body: bytes | memoryview,
        received_at: int,
        most_instruments: int = MAX_TRADES,
        *,
        text: Array | None = None,
    ) -> tuple[Columns, Keys]:
        """The trades of an Arrow stream as columns. Raises Doubt, also for more instruments. `text` is the body."""
        text = np.frombuffer(body, U8) if text is None else text
        rows, plan, entries = self._plans.find(body)
        memory = self._take(rows)
        try:
            work = (memory.room(entries), rows, memory.capacity, memory.integers, memory.indices, memory.small)
            count = self._read_rows(text, plan, *work)
            if count < 0 or memory.integers[at.KNOWN] > most_instruments:
                raise Doubt("not known to the reader, or too many instruments")
            return self._collected(text, (count, received_at), memory, ())
        finally:
            self._keep(memory)

    def _collected(
        self, text: Array, bodies: Sequence[int], memory: Memory, places: Sequence[int]
    ) -> tuple[Columns, Keys]:
        """See collect_bodies. Raises Doubt when a text has other bytes than ASCII and a body is not UTF-8."""
        work = (memory.integers, memory.indices, memory.digests, memory.small)
        result = memory.integers[at.TOTALS : at.RESULT].tolist()
        count = bodies[-2]
        out = Output(count, result)
        foreign = self._collect(
            *(text, self._words, memory.capacity, count, np.array(bodies, I64), *work),
            *(out.integers, out.indices, out.digests, out.small),
        )
        if foreign:
            for start, size in zip(places[::2], places[1::2], strict=True):
                _decoded(text[start : start + size].tobytes())
        return out.columns(self._instruments_of(out)), out.keys()

    def _instruments_of(self, out: Output) -> tuple[Instrument, ...]:
        table = out.table()
        instruments = self._tables.get(table)
        if instruments is None:
            records, ends = table
            places = pairwise((0, *np.frombuffer(ends, U32).tolist()))
            instruments = tuple([self._instrument_of(records[start:end]) for start, end in places])
            if len(instruments) <= _MOST_OF_TABLE:
                if len(self._tables) >= _MOST_TABLES:
                    self._tables.clear()
                self._tables[table] = instruments
        return instruments

    def _instrument_of(self, record: bytes) -> Instrument:
        known = self._instruments
        instrument = known.get(record)
        if instrument is None:
            if len(known) >= _MOST_KNOWN:
                known.clear()
            instrument = known[record] = _instrument(record)
        return instrument


def _decoded(body: bytes) -> tuple[str, bool]:
    """Characters at the places of the bytes, and whether that is ASCII; else texts go through _foreign.

    The scanner looks at bytes only: where all of the body is UTF-8, each of its texts is. Raises Doubt where it is not.
    """
    try:
        text = str(body, "utf-8")
    except UnicodeDecodeError as error:
        raise Doubt("not UTF-8") from error
    return (text, True) if len(text) == len(body) else (str(body, "latin-1"), False)


def _foreign(text: str) -> str:
    return str(text.encode("latin-1"), "utf-8")


def _foreign_symbol(text: str) -> str:
    symbol = _foreign(text)
    if symbol.strip() != symbol:  # the scanner knows the blank only
        raise Doubt("white space around the symbol")
    return symbol


def _instrument(record: bytes) -> Instrument:
    """The instrument of a record. Raises Doubt."""
    multiplier, kind, scale, venue, symbol = _RECORD.unpack_from(record)
    texts = record[at.RECORD :]
    name = str(texts[venue : venue + symbol], "utf-8")
    if name.strip() != name:  # the scanner knows the blank only
        raise Doubt("white space around the symbol")
    currency = str(texts[venue + symbol :], "utf-8")
    return Instrument(str(texts[:venue], "utf-8"), name, _KINDS[kind], currency, multiplier, scale)


def _trade(decoded: str, ascii_only: bool, row: list[int], received_at: int) -> Trade:
    """The trade of these slots, in the order of at.FIELDS."""
    firsts, seconds = row[::2], row[1::2]
    texts = [decoded[start : start + size] for start, size in zip(firsts[: at.SIDE], seconds[: at.SIDE], strict=True)]
    if not ascii_only:
        texts = [_foreign_symbol(texts[0]), *map(_foreign, texts[1:])]
    symbol, venue, currency, account, strategy, order_id, ref_trade_id, fee_currency, source, trade_id, liquidity = (
        texts
    )
    side, kind, _, price, quantity, multiplier, fee, timestamp, sent_at, order_sent_at, source_seq = firsts[at.SIDE :]
    price_scale, quantity_scale, multiplier_scale, fee_scale = seconds[at.PRICE : at.TIMESTAMP]
    return Trade._make(
        (
            *(venue, symbol, _KINDS[kind], currency, multiplier, multiplier_scale),
            *(side, price, price_scale, quantity, quantity_scale),
            *(received_at if timestamp == ABSENT else timestamp, received_at),
            *(trade_id, ref_trade_id, account, strategy, order_id, liquidity),
            *(fee, fee_scale, fee_currency, source, source_seq, sent_at, order_sent_at),
            "",  # tags: always in doubt
        )
    )
