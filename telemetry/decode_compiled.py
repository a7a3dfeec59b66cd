"""The compiled reading of a body: the quickest, and where it decides the same as the reference.

It needs numba (the extra `server`), which only `CompiledReading()` imports; see telemetry.compiled.scanner for what it
does. Whatever the scanner does not know with certainty raises Doubt: escapes, tags, more than 18 digits, a table of
symbols made to collide, and all that breaks a rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from sys import byteorder
from typing import Any

import numpy as np

from telemetry.columns import Columns, present
from telemetry.compiled import slots as at
from telemetry.decode_reference import MAX_TRADES, Media
from telemetry.digests import Keys
from telemetry.frame import I64, OPTIONAL, U8, U32, Array, Text
from telemetry.literals import Doubt
from telemetry.times import ABSENT
from telemetry.trade import KINDS, Instrument, Trade

_PADDING = bytes(64)  # tokens.PADDING, which cannot be imported without numba
_U64, _BOOL = np.dtype("<u8"), np.dtype(bool)
_KINDS = ("", *KINDS)
_TEXTS = tuple(at.FIELDS[slot // 2] for slot in at.TEXT_COLUMNS)
_FIELDS_REST = tuple(slot // 2 for slot in at.INTEGER_COLUMNS[3:])
_REST = tuple(at.FIELDS[field] for field in _FIELDS_REST)
_OPEN = ord("{")
_FEE_SCALE, _LENGTHS = 3, len(at.SMALL_COLUMNS)


def available() -> bool:
    """Whether this machine can read that way."""
    return byteorder == "little" and find_spec("numba") is not None


class CompiledReading:
    """The compiled functions, ready to be called, also by several threads: they share nothing and need no GIL."""

    def __init__(self) -> None:
        """Takes many seconds when nothing is cached, about one else. Raises ImportError without numba."""
        scanner: Any = import_module("telemetry.compiled.scanner")
        self._scratch_words: int = import_module("telemetry.compiled.digests").WORK_WORDS
        self._scan_rows, self._scan_columns, self._gather = scanner.scan_rows, scanner.scan_columns, scanner.gather

    def rows(self, body: bytes, media: Media, received_at: int) -> tuple[list[Trade], Keys]:
        """The trades of a small body. Raises Doubt."""
        decoded, ascii_only = _decoded(body)
        most = body.count(b"{")
        text, scratch = np.frombuffer(body + _PADDING, U8), np.empty(self._scratch_words, _U64)
        slots, digests, prints = (
            np.empty(most * at.COUNT + at.FOLLOWS, I64),
            np.zeros(2 * most, _U64),
            np.zeros(most, _U64),
        )
        count = self._scan_rows(text, len(body), media == "lines", scratch, most, slots, digests, prints)
        if count < 0:
            raise Doubt("not known to the scanner")
        flat = slots.tolist()
        trades = [
            _trade(decoded, ascii_only, flat[start : start + at.SEEN], received_at)
            for start in range(0, count * at.COUNT, at.COUNT)
        ]
        given = np.frombuffer(bytes([trade.trade_id != "" for trade in trades]), _BOOL)
        return trades, Keys(given, digests.reshape(most, 2)[:count], prints[:count])

    def columns(self, body: bytes, media: Media, received_at: int) -> tuple[Columns, Keys]:
        """The trades of a body as columns. Raises Doubt."""
        decoded, ascii_only = _decoded(body)
        text, scratch = np.frombuffer(body + _PADDING, U8), np.empty(self._scratch_words, _U64)
        most = min(int(np.count_nonzero(text == _OPEN)), MAX_TRADES)
        integers, small = np.empty((len(at.INTEGER_COLUMNS), most), I64), np.empty((_LENGTHS + len(_TEXTS), most), U8)
        places = np.empty((len(_TEXTS) + 1, most), U32)  # the last line has the codes of the instruments
        table, entries = np.full(1 << (2 * most).bit_length(), -1, I64), np.empty(most * at.ENTRY, I64)
        result, digests, prints = np.zeros(at.RESULT + at.FOLLOWS, I64), np.zeros((most, 2), _U64), np.zeros(most, _U64)
        count = self._scan_columns(
            *(text, len(body), media == "lines", scratch, received_at, most),
            *(integers.ravel(), small.ravel(), places.ravel()),
            *(table, entries, result, digests.ravel(), prints),
        )
        if count < 0:
            raise Doubt("not known to the scanner")
        *sizes, known = result[at.TOTALS : at.RESULT].tolist()
        optional: dict[str, Array | Text] = {}
        for index, size in enumerate(sizes):
            if size:
                offsets, blob = np.empty(count + 1, U32), np.empty(size, U8)
                self._gather(text, places[index, :count], small[_LENGTHS + index, :count], offsets, blob)
                optional[_TEXTS[index]] = Text(offsets, blob)
        optional |= _integers(int(result[at.SEEN]), integers[:, :count], small[_FEE_SCALE, :count])
        columns = Columns(
            _instruments(decoded, ascii_only, entries[: known * at.ENTRY]),
            places[len(_TEXTS), :count],
            small[0, :count],
            integers[0, :count],
            small[1, :count],
            integers[1, :count],
            small[2, :count],
            integers[2, :count],
            np.full(count, received_at, I64),
            {name: optional[name] for name in OPTIONAL if name in optional},
        )
        return columns, Keys(small[_LENGTHS, :count] > 0, digests[:count], prints[:count])


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


def _integers(seen: int, integers: Array, fee_scale: Array) -> Mapping[str, Array | Text]:
    """The optional columns of integers that some row has."""
    sent = {
        name: line for field, name, line in zip(_FIELDS_REST, _REST, integers[3:], strict=True) if seen >> field & 1
    }
    return present(sent | {"fee_scale": fee_scale} if "fee" in sent else sent) if sent else {}


def _instruments(decoded: str, ascii_only: bool, entries: Array) -> tuple[Instrument, ...]:
    table = [
        (
            decoded[venue : venue + venue_size],
            decoded[symbol : symbol + symbol_size],
            _KINDS[kind],
            decoded[currency : currency + currency_size],
            multiplier,
            scale,
        )
        for symbol, symbol_size, venue, venue_size, currency, currency_size, kind, multiplier, scale in zip(
            *[iter(entries.tolist())] * at.ENTRY, strict=True
        )
    ]
    if not ascii_only:
        table = [
            (_foreign(venue), _foreign_symbol(symbol), kind, _foreign(currency), *multiplier)
            for venue, symbol, kind, currency, *multiplier in table
        ]
    return tuple(map(Instrument._make, table))


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
