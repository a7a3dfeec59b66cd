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
from telemetry.columns import Columns
from telemetry.decode_reference import Media
from telemetry.digests import Keys
from telemetry.frame import I64, U8, U32, Array, Text
from telemetry.literals import Doubt
from telemetry.times import ABSENT
from telemetry.trade import KINDS, NO_FEE, RULES, Instrument, Trade

_PADDING = bytes(64)  # tokens.PADDING; that module is imported by `warm_up` only
_U64, _BOOL = np.dtype("<u8"), np.dtype(bool)
_KIND_NAMES = ("", *KINDS)
_TEXT_NAMES = tuple(at.FIELDS[slot // 2] for slot in at.TEXT_COLUMNS)
_INTEGER_NAMES = ("source_seq", "sent_at", "order_sent_at")  # lines 4, 5, 6 of the integer columns
_PRICE, _QUANTITY, _TIMESTAMP, _FEE, _REST = range(5)


def available() -> bool:
    """Whether this machine can read that way."""
    return byteorder == "little" and find_spec("numba") is not None


class CompiledReading:
    """The compiled functions, ready to be called. Thread safe: they share nothing and need no GIL."""

    def __init__(self) -> None:
        """Takes seconds when nothing is cached, below one second else. Raises ImportError without numba."""
        scanner: Any = import_module("telemetry.scanner")
        self._scan_rows, self._scan_columns, self._gather = scanner.scan_rows, scanner.scan_columns, scanner.gather

    def rows(self, body: bytes, media: Media, received_at: int) -> tuple[list[Trade], Keys]:
        """The trades of a small body. Raises Doubt."""
        most = _most(body)
        slots, digests, prints = np.empty((most, at.COUNT), I64), np.zeros((most, 2), _U64), np.zeros(most, _U64)
        text = np.frombuffer(body + _PADDING, U8)
        count = self._scan_rows(text, len(body), media == "lines", slots, digests, prints)
        if count < 0:
            raise Doubt("not known to the scanner")
        trades = [_trade(body, row, received_at) for row in slots[:count].tolist()]
        given = np.frombuffer(bytes([trade.trade_id != "" for trade in trades]), _BOOL)
        return trades, Keys(given, digests[:count], prints[:count])

    def columns(self, body: bytes, media: Media, received_at: int) -> tuple[Columns, Keys]:
        """The trades of a body as columns. Raises Doubt."""
        most = _most(body)
        text = np.frombuffer(body + _PADDING, U8)
        integers, small = np.empty((len(at.INTEGER_COLUMNS), most), I64), np.empty((12, most), U8)
        places, codes = np.empty((len(_TEXT_NAMES), most), U32), np.empty(most, U32)
        table, entries = np.full(_table_size(most), -1, I64), np.empty((most, 9), I64)
        totals, digests, prints = np.zeros(len(_TEXT_NAMES) + 1, I64), np.zeros((most, 2), _U64), np.zeros(most, _U64)
        n = self._scan_columns(
            *(text, len(body), media == "lines", integers, small, places, codes),
            *(table, entries, totals, digests, prints),
        )
        if n < 0:
            raise Doubt("not known to the scanner")
        *sizes, known = totals.tolist()
        optional: dict[str, Array | Text] = {}
        for index, (name, size) in enumerate(zip(_TEXT_NAMES, sizes, strict=True)):
            if size:
                offsets, blob = np.empty(n + 1, U32), np.empty(size, U8)
                self._gather(text, places[index, :n], small[4 + index, :n], offsets, blob)
                optional[name] = Text(offsets, blob)
        raise NotImplementedError
