"""The compiled reading of a body: the quickest, and no other than the reference where it decides.

It needs numba (the extra `server`). `warm_up` compiles, or loads from the cache what was compiled before; nothing is
compiled after that. Whatever the scanner does not know with certainty raises Doubt.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from sys import byteorder
from typing import Any

import numpy as np

from telemetry import slots as at
from telemetry.columns import Columns, present
from telemetry.decode_reference import Media
from telemetry.digests import Keys
from telemetry.frame import I64, OPTIONAL, U8, U32, Array, Text
from telemetry.literals import Doubt
from telemetry.times import ABSENT
from telemetry.trade import KINDS, Instrument, Trade

_PADDING = bytes(64)  # tokens.PADDING; that module is imported by `warm_up` only
_U64, _BOOL = np.dtype("<u8"), np.dtype(bool)
_KINDS = ("", *KINDS)
_TEXTS = tuple(at.FIELDS[slot // 2] for slot in at.TEXT_COLUMNS)
_REST = tuple(at.FIELDS[slot // 2] for slot in at.INTEGER_COLUMNS[3:])
_FEE_SCALE, _LENGTHS = 3, len(at.SMALL_COLUMNS)


def available() -> bool:
    """Whether this machine can read that way."""
    return byteorder == "little" and find_spec("numba") is not None


class CompiledReading:
    """The compiled functions, ready to be called, also by several threads: they share nothing and need no GIL."""

    def __init__(self) -> None:
        """Takes many seconds when nothing is cached, about one else. Raises ImportError without numba."""
        scanner: Any = import_module("telemetry.scanner")
        self._scratch_words: int = scanner.SCRATCH_WORDS
        self._scan_rows, self._scan_columns, self._gather = scanner.scan_rows, scanner.scan_columns, scanner.gather

    def rows(self, body: bytes, media: Media, received_at: int) -> tuple[list[Trade], Keys]:
        """The trades of a small body. Raises Doubt."""
        _refuse_bad_utf8(body)
        most = body.count(b"{")
        text, scratch = np.frombuffer(body + _PADDING, U8), np.empty(self._scratch_words, _U64)
        slots, digests, prints = np.empty(most * at.COUNT, I64), np.zeros(most * 2, _U64), np.zeros(most, _U64)
        count = self._scan_rows(text, len(body), media == "lines", scratch, most, slots, digests, prints)
        if count < 0:
            raise Doubt("not known to the scanner")
        rows = slots.reshape(most, at.COUNT).tolist()
        trades = [_trade(body, row, received_at) for row in rows[:count]]
        given = np.frombuffer(bytes([trade.trade_id != "" for trade in trades]), _BOOL)
        return trades, Keys(given, digests.reshape(most, 2)[:count], prints[:count])

    def columns(self, body: bytes, media: Media, received_at: int) -> tuple[Columns, Keys]:
        """The trades of a body as columns. Raises Doubt."""
        _refuse_bad_utf8(body)
        most = body.count(b"{")
        text, scratch = np.frombuffer(body + _PADDING, U8), np.empty(self._scratch_words, _U64)
        integers, small = np.empty((len(at.INTEGER_COLUMNS), most), I64), np.empty((_LENGTHS + len(_TEXTS), most), U8)
        places, codes = np.empty((len(_TEXTS), most), U32), np.empty(most, U32)
        table, entries = np.full(1 << (2 * most).bit_length(), -1, I64), np.empty((most, at.ENTRY), I64)
        totals = np.zeros(at.COUNT + len(_TEXTS) + 1, I64)
        digests, prints = np.zeros((most, 2), _U64), np.zeros(most, _U64)
        count = self._scan_columns(
            *(text, len(body), media == "lines", scratch, most, integers.ravel(), small.ravel(), places.ravel(), codes),
            *(table, entries.ravel(), totals, digests.ravel(), prints),
        )
        if count < 0:
            raise Doubt("not known to the scanner")
        optional: dict[str, Array | Text] = {}
        *sizes, known = totals[at.COUNT :].tolist()
        for index, size in enumerate(sizes):
            if size:
                offsets, blob = np.empty(count + 1, U32), np.empty(size, U8)
                self._gather(text, places[index, :count], small[_LENGTHS + index, :count], offsets, blob)
                optional[_TEXTS[index]] = Text(offsets, blob)
        integers, small = integers[:, :count], small[:, :count]
        columns = _columns(integers, small, optional, received_at, _instruments(body, entries[:known]), codes[:count])
        return columns, Keys(small[_LENGTHS] > 0, digests[:count], prints[:count])


def _refuse_bad_utf8(body: bytes) -> None:
    """The scanner looks at bytes: where all of the body is UTF-8, each of its texts is."""
    if not body.isascii():
        try:
            str(body, "utf-8")
        except UnicodeDecodeError as error:
            raise Doubt("not UTF-8") from error


def _columns(
    integers: Array,
    small: Array,
    optional: dict[str, Array | Text],
    received_at: int,
    instruments: tuple[Instrument, ...],
    codes: Array,
) -> Columns:
    price, quantity, timestamp, *rest = integers
    side, price_scale, quantity_scale, fee_scale = small[:_LENGTHS]
    optional |= zip(_REST, rest, strict=True)
    optional["fee_scale"] = fee_scale
    return Columns(
        instruments,
        codes,
        side,
        price,
        price_scale,
        quantity,
        quantity_scale,
        np.where(timestamp == ABSENT, received_at, timestamp),
        np.full(len(codes), received_at, I64),
        present({name: optional[name] for name in OPTIONAL if name in optional}),
    )


def _instruments(body: bytes, entries: Array) -> tuple[Instrument, ...]:
    return tuple(
        Instrument(
            _text(body, venue, venue_size),
            _symbol(body, symbol, symbol_size),
            _KINDS[kind],
            _text(body, currency, currency_size),
            multiplier,
            scale,
        )
        for symbol, symbol_size, venue, venue_size, currency, currency_size, kind, multiplier, scale in entries.tolist()
    )


def _text(body: bytes, start: int, size: int) -> str:
    return str(body[start : start + size], "utf-8") if size else ""


def _symbol(body: bytes, start: int, size: int) -> str:
    text = _text(body, start, size)
    if not text.isascii() and text.strip() != text:  # the scanner knows the blank only
        raise Doubt("white space around the symbol")
    return text


def _trade(body: bytes, row: list[int], received_at: int) -> Trade:
    """The trade of these slots, in the order of at.FIELDS."""
    firsts, seconds = row[::2], row[1::2]
    symbol, venue, currency, account, strategy, order_id, ref_trade_id, fee_currency, source, trade_id, liquidity = [
        str(body[start : start + size], "utf-8") if size else ""
        for start, size in zip(firsts[: at.SIDE], seconds[: at.SIDE], strict=True)
    ]
    if not symbol.isascii():
        _symbol(body, *row[:2])
    side, kind, _, price, quantity, multiplier, fee, timestamp, sent_at, order_sent_at, source_seq = firsts[at.SIDE :]
    price_scale, quantity_scale, multiplier_scale, fee_scale = seconds[at.PRICE : at.TIMESTAMP]
    return Trade(
        venue,
        symbol,
        _KINDS[kind],
        currency,
        multiplier,
        multiplier_scale,
        side,
        price,
        price_scale,
        quantity,
        quantity_scale,
        received_at if timestamp == ABSENT else timestamp,
        received_at,
        trade_id,
        ref_trade_id,
        account,
        strategy,
        order_id,
        liquidity,
        fee,
        fee_scale,
        fee_currency,
        source,
        source_seq,
        sent_at,
        order_sent_at,
    )
