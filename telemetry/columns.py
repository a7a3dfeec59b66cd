"""Many trades as numpy columns: what is analysed, journaled (as a frame, see telemetry.frame), shown as rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, cast

import msgspec
import numpy as np

from telemetry import frame
from telemetry.decimals import format_decimal
from telemetry.frame import I64 as _I64
from telemetry.frame import INTEGERS, OPTIONAL, Array, Buffer, Rows, Text
from telemetry.frame import U8 as _U8
from telemetry.frame import U32 as _U32
from telemetry.times import ABSENT, format_time
from telemetry.trade import NO_FEE, SIDES, Instrument, Trade

TIMES = ("sent_at", "order_sent_at")
# What stands in an optional column for a row that does not have it.
ABSENCE: Mapping[str, Any] = {name: Trade._field_defaults[name] for name in OPTIONAL}


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Trades of one contiguous range. Arrays are read only by convention; `optional` holds what some row has."""

    instruments: tuple[Instrument, ...]  # in order of first appearance in the rows
    instrument: Array
    side: Array
    price: Array
    price_scale: Array
    quantity: Array
    quantity_scale: Array
    timestamp: Array
    received_at: Array
    optional: Mapping[str, Array | Text]

    def __len__(self) -> int:
        return len(self.price)

    def text(self, name: str) -> Text | None:
        """The optional text column `name`, None when no row has it."""
        return cast("Text | None", self.optional.get(name))

    def integers(self, name: str) -> Array | None:
        """The optional integer column `name`, None when no row has it."""
        return cast("Array | None", self.optional.get(name))

    def slice(self, start: int, stop: int) -> Columns:
        """Rows start..stop - 1, with the instruments and optional columns that these rows need."""
        return self if start == 0 and stop == len(self) else self._rows(slice(start, stop))

    def compact(self) -> Columns:
        """With the instruments that there are trades of, in the order in which they come first."""
        return self._rows(slice(0, len(self)))

    def only(self, mask: Array) -> Columns:
        """The rows that the mask has, with the instruments and optional columns that these rows need."""
        return self._rows(mask)

    def _rows(self, which: Rows) -> Columns:
        optional = {
            name: column.rows(which) if isinstance(column, Text) else column[which]
            for name, column in self.optional.items()
        }
        instruments, codes = _compact(self.instruments, self.instrument[which])
        return Columns(
            instruments,
            codes,
            self.side[which],
            self.price[which],
            self.price_scale[which],
            self.quantity[which],
            self.quantity_scale[which],
            self.timestamp[which],
            self.received_at[which],
            present(optional),
        )

    def trades(self) -> list[Trade]:
        """The same trades as rows."""
        count = len(self)
        instruments = [self.instruments[code] for code in self.instrument.tolist()]
        fixed = zip(
            self.side.tolist(),
            self.price.tolist(),
            self.price_scale.tolist(),
            self.quantity.tolist(),
            self.quantity_scale.tolist(),
            self.timestamp.tolist(),
            self.received_at.tolist(),
            strict=True,
        )
        rest = [self.optional[name].tolist() if name in self.optional else [ABSENCE[name]] * count for name in OPTIONAL]
        return [
            Trade(*instrument, *row, *more) for instrument, row, *more in zip(instruments, fixed, *rest, strict=True)
        ]

    def row(self, index: int) -> dict[str, Any]:
        """One trade as JSON shows it: public names, decimals and times as text, optional fields only when given."""
        return next(self.slice(index, index + 1).rows())

    def rows(self) -> Iterator[dict[str, Any]]:
        """All trades as JSON shows them, see `row`."""
        return map(public, self.trades())


_TEXTS = (
    *("venue", "trade_id", "ref_trade_id", "account", "strategy", "order_id"),
    *("currency", "liquidity", "fee_currency", "source"),
)


def public(trade: Trade) -> dict[str, Any]:
    """One trade as JSON shows it, see `Columns.row`."""
    row: dict[str, Any] = {
        "symbol": trade.symbol,
        "side": SIDES[trade.side],
        "kind": trade.kind,
        "quantity": format_decimal(trade.quantity, trade.quantity_scale),
        "price": format_decimal(trade.price, trade.price_scale),
        "multiplier": format_decimal(trade.multiplier, trade.multiplier_scale),
        "timestamp": format_time(trade.timestamp),
        "received_at": format_time(trade.received_at),
    }
    for name in _TEXTS:
        if value := getattr(trade, name):
            row[name] = value
    if trade.fee_scale != NO_FEE:
        row["fee"] = format_decimal(trade.fee, trade.fee_scale)
    if trade.source_seq != ABSENT:
        row["source_seq"] = trade.source_seq
    for name in TIMES:
        if (instant := getattr(trade, name)) != ABSENT:
            row[name] = format_time(instant)
    if trade.tags:
        row["tags"] = msgspec.json.decode(trade.tags)
    return row


_INTEGERS = ("price", "quantity", "timestamp", "received_at")
_SMALL = ("side", "price_scale", "quantity_scale")


def encode_frame(columns: Columns) -> bytes:
    """The frame of these columns."""
    return frame.pack(columns)


def frame_pieces(columns: Columns) -> list[Buffer]:
    """The frame of these columns, to be joined."""
    return frame.pieces(columns)


def decode_frame(buffer: Buffer) -> Columns:
    """The columns in a frame, read in place, read only. Raises InvalidInput on what `encode_frame` did not write."""
    return Columns(*frame.unpack(buffer))


def from_trades(trades: Sequence[Trade]) -> Columns:
    """The columns of these trades."""
    if not trades:
        return empty()
    fields = dict(zip(Trade._fields, zip(*trades, strict=True), strict=True))
    keys = list(zip(*(fields[name] for name in Instrument._fields), strict=True))
    table = {key: code for code, key in enumerate(dict.fromkeys(keys))}
    optional: dict[str, Array | Text] = {}
    for name in OPTIONAL:
        values = fields[name]
        if values.count(ABSENCE[name]) < len(values) or (name == "fee" and min(fields["fee_scale"]) < NO_FEE):
            optional[name] = _column(name, values)
    price, quantity, timestamp, received_at = (np.fromiter(fields[name], _I64, len(trades)) for name in _INTEGERS)
    side, price_scale, quantity_scale = (np.frombuffer(bytes(fields[name]), _U8) for name in _SMALL)
    return Columns(
        tuple(map(Instrument._make, table)),
        np.fromiter(map(table.__getitem__, keys), _U32, len(keys)),
        side,
        price,
        price_scale,
        quantity,
        quantity_scale,
        timestamp,
        received_at,
        optional,
    )


def empty() -> Columns:
    """No trades."""
    i64, u8 = np.empty(0, _I64), np.empty(0, _U8)
    return Columns((), np.empty(0, _U32), u8, i64, u8, i64, u8, i64, i64, {})


def concatenate(parts: Sequence[Columns]) -> Columns:
    """All rows of the parts, in order."""
    parts = [part for part in parts if len(part)]
    if len(parts) < 2:
        return parts[0] if parts else empty()
    instruments, codes = common_table(parts)
    names, counts = {name for part in parts for name in part.optional}, [len(part) for part in parts]
    return Columns(
        instruments,
        np.concatenate(codes),
        np.concatenate([part.side for part in parts]),
        np.concatenate([part.price for part in parts]),
        np.concatenate([part.price_scale for part in parts]),
        np.concatenate([part.quantity for part in parts]),
        np.concatenate([part.quantity_scale for part in parts]),
        np.concatenate([part.timestamp for part in parts]),
        np.concatenate([part.received_at for part in parts]),
        {name: joined(name, [part.optional.get(name) for part in parts], counts) for name in OPTIONAL if name in names},
    )


_ZERO, _NOTHING = np.zeros(1, _U32), np.empty(0, _U8)
_FIRST_ROWS = 4096  # of many tables every instrument comes in so many; where one does not, in twice as many, and so on
_most = np.maximum.reduce  # of few numbers half the price of .max()
_NEVER = np.iinfo(np.int64).max


def present(optional: Mapping[str, Array | Text]) -> dict[str, Array | Text]:
    """Only the columns that some row has."""
    has_fee = "fee_scale" in optional and bool((cast("Array", optional["fee_scale"]) != NO_FEE).any())
    kept = {}
    for name, column in optional.items():
        if isinstance(column, Text):
            keep = column.offsets[-1] > 0
        elif name.startswith("fee"):
            keep = has_fee
        else:
            keep = (column != ABSENT).any()
        if keep:
            kept[name] = column
    return kept


def _column(name: str, values: Sequence[Any]) -> Array | Text:
    if name in INTEGERS:
        return np.array(values, _I64)
    return np.array(values, _U8) if name == "fee_scale" else Text.of(values)


def _compact(instruments: tuple[Instrument, ...], codes: Array) -> tuple[tuple[Instrument, ...], Array]:
    if len(instruments) == 1 and len(codes):
        return instruments, codes
    first = _first_rows(codes[:_FIRST_ROWS], len(instruments))
    begin = _FIRST_ROWS
    while begin < len(codes) and _most(first) == _NEVER:
        later = _first_rows(codes[begin : 2 * begin], len(instruments))
        later[later < _NEVER] += begin
        np.minimum(first, later, out=first)
        begin *= 2
    used = np.argsort(first, kind="stable")[: np.count_nonzero(first < _NEVER)]
    if len(used) == len(instruments) and (used[1:] > used[:-1]).all():
        return instruments, codes
    rank = np.zeros(len(instruments), _U32)
    rank[used] = np.arange(len(used))
    return tuple(instruments[code] for code in used.tolist()), rank.take(codes)


def _first_rows(codes: Array, count: int) -> Array:
    """The row in which each of so many codes comes first, _NEVER where it does not."""
    first = np.full(count, _NEVER, _I64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)  # of several values for a place the last one stays
    return first


def common_table(parts: Sequence[Columns]) -> tuple[tuple[Instrument, ...], list[Array]]:
    """The instruments of all parts, and of each part the places of its trades' instruments in there."""
    first = parts[0].instruments
    if all(part.instruments == first for part in parts):
        return first, [part.instrument for part in parts]
    table: dict[Instrument, int] = {}
    mapped = [[table.setdefault(instrument, len(table)) for instrument in part.instruments] for part in parts]
    codes = [np.array(of, _U32)[part.instrument] for of, part in zip(mapped, parts, strict=True)]
    return tuple(table), codes


def joined(name: str, columns: Sequence[Array | Text | None], counts: Sequence[int]) -> Array | Text:
    """One optional column of several parts with so many rows, None where a part does not have it."""
    if name not in INTEGERS and name != "fee_scale":
        return _joined_texts([cast("Text | None", column) for column in columns], counts)
    dtype = _I64 if name in INTEGERS else _U8
    pairs = zip(columns, counts, strict=True)
    filled = [np.full(count, ABSENCE[name], dtype) if column is None else column for column, count in pairs]
    return np.concatenate(cast("list[Array]", filled))


def _joined_texts(columns: Sequence[Text | None], counts: Sequence[int]) -> Text:
    absent = {count: Text(np.zeros(count + 1, _U32), _NOTHING) for count in counts} if None in columns else {}
    texts = [absent[count] if column is None else column for column, count in zip(columns, counts, strict=True)]
    offsets = np.concatenate([_ZERO, *[text.offsets[1:] for text in texts]])
    begins = list(accumulate([len(text.blob) for text in texts], initial=0))
    offsets[1:] += np.repeat(np.array(begins[:-1], _U32), counts)
    return Text(offsets, np.concatenate([text.blob for text in texts]))
