"""What tells a resend from a new trade: the digest of its key and the fingerprint of its payload.

The key is (venue, symbol, kind, account, order_id, trade_id); only trades with a trade_id have one. The same key
with the same fingerprint is a duplicate, with another one a conflict. Both are journaled, so neither may ever change:

    key digest    BLAKE2b-128, personalised "trade key", of the six texts joined by NUL (no field can contain one)
    fingerprint   BLAKE2b-64, personalised "trade payload", of
                  16 bytes key digest; i64 price, quantity, multiplier, fee, timestamp, source_seq, order_sent_at;
                  u8 side and scales of price, quantity, multiplier, fee; all little endian; then currency,
                  ref_trade_id, strategy, liquidity, fee_currency, source and tags joined by NUL

sent_at and received_at are no part of the payload: a resend differs in them. A timestamp counts when it was sent only,
else as absent. A fingerprint is read as a little endian u64, a digest as two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from struct import Struct
from typing import Any

import msgspec
import numpy as np

from telemetry.columns import Columns
from telemetry.frame import Array
from telemetry.times import ABSENT
from telemetry.trade import NO_FEE, Trade

PERSON_KEY, PERSON_PAYLOAD = b"trade key", b"trade payload"
_KEY = blake2b(digest_size=16, person=PERSON_KEY)
_PAYLOAD = blake2b(digest_size=8, person=PERSON_PAYLOAD)
_BOOL, _U64 = np.dtype(bool), np.dtype("<u8")
_NUMBERS = Struct("<qqqqqqqBBBBB")
_PACKED = np.dtype(
    [
        ("key", "S16"),
        *(
            (name, "<i8")
            for name in ("price", "quantity", "multiplier", "fee", "timestamp", "source_seq", "order_sent_at")
        ),
        *((name, "u1") for name in ("side", "price_scale", "quantity_scale", "multiplier_scale", "fee_scale")),
    ]
)
_TEXTS = ("ref_trade_id", "strategy", "liquidity", "fee_currency", "source", "tags")
_DEFAULTS = {"fee": 0, "fee_scale": NO_FEE, "source_seq": ABSENT, "order_sent_at": ABSENT}


class Keys(msgspec.Struct, frozen=True, eq=False):  # quicker to make than a dataclass, once for each request
    """Digests of n trades; rows that `given` does not mark have no key and are zero."""

    given: Array  # bool[n]
    digests: Array  # u64[n, 2]
    fingerprints: Array  # u64[n]


def key_digest(trade: Trade) -> bytes:
    """16 bytes that identify the trade among all, meaningful only when it has a trade_id."""
    text = "\0".join((trade.venue, trade.symbol, trade.kind, trade.account, trade.order_id, trade.trade_id))
    return _hash(_KEY, text.encode())


def fingerprint(trade: Trade, timestamp_given: bool) -> int:
    """64 bits of everything that was sent, by value, except `sent_at`."""
    return int.from_bytes(_payload(trade, key_digest(trade), timestamp_given), "little")


def keys_of_trades(trades: Sequence[Trade], timestamps_given: Sequence[bool]) -> Keys:
    """The keys of a few trades."""
    digests = [key_digest(trade) if trade.trade_id else bytes(16) for trade in trades]
    prints = [
        _payload(trade, digest, given) if trade.trade_id else bytes(8)
        for trade, digest, given in zip(trades, digests, timestamps_given, strict=True)
    ]
    given = np.frombuffer(bytes([trade.trade_id != "" for trade in trades]), _BOOL)
    return _keys(given, digests, prints)


def keys_of_columns(columns: Columns, timestamps_given: Array) -> Keys:
    """The keys of many trades; `timestamps_given` is bool[n]."""
    ids = columns.text("trade_id")
    if ids is None:
        return no_keys(len(columns))
    given = np.diff(ids.offsets) > 0
    digests = _hash_all(_KEY, _key_texts(columns, ids.parts()))
    numbers = _packed_numbers(columns, timestamps_given, b"".join(digests))
    size = _PACKED.itemsize
    starts = range(0, len(numbers), size)
    rests = _payload_texts(columns)
    prints = _hash_all(
        _PAYLOAD, (numbers[start : start + size] + rest for start, rest in zip(starts, rests, strict=True))
    )
    keys = _keys(given, digests, prints)
    if not given.all():
        keys.digests[~given], keys.fingerprints[~given] = 0, 0
    return keys


def no_keys(count: int) -> Keys:
    """The keys of `count` trades without a trade_id."""
    return Keys(np.zeros(count, bool), np.zeros((count, 2), _U64), np.zeros(count, _U64))


def join_keys(parts: Sequence[Keys]) -> Keys:
    """The keys of all parts, in order."""
    return Keys(
        np.concatenate([part.given for part in parts]),
        np.concatenate([part.digests for part in parts]),
        np.concatenate([part.fingerprints for part in parts]),
    )


def _hash(start: Any, data: bytes) -> bytes:
    digest = start.copy()  # half the price of a new object with its parameters
    digest.update(data)
    value: bytes = digest.digest()
    return value


def _hash_all(start: Any, rows: Iterable[bytes]) -> list[bytes]:
    digests = []
    for row in rows:
        digest = start.copy()
        digest.update(row)
        digests.append(digest.digest())
    return digests


def _keys(given: Array, digests: list[bytes], prints: list[bytes]) -> Keys:
    # bytearray: the arrays are writable
    pairs = np.frombuffer(bytearray().join(digests), _U64).reshape(-1, 2)
    return Keys(given, pairs, np.frombuffer(bytearray().join(prints), _U64))


def _payload(trade: Trade, digest: bytes, timestamp_given: bool) -> bytes:
    numbers = _NUMBERS.pack(
        trade.price,
        trade.quantity,
        trade.multiplier,
        trade.fee,
        trade.timestamp if timestamp_given else ABSENT,
        trade.source_seq,
        trade.order_sent_at,
        trade.side,
        trade.price_scale,
        trade.quantity_scale,
        trade.multiplier_scale,
        trade.fee_scale,
    )
    texts = (
        trade.currency,
        trade.ref_trade_id,
        trade.strategy,
        trade.liquidity,
        trade.fee_currency,
        trade.source,
        trade.tags,
    )
    return _hash(_PAYLOAD, digest + numbers + "\0".join(texts).encode())


def _key_texts(columns: Columns, ids: list[bytes]) -> Iterable[bytes]:
    starts = [f"{venue}\0{symbol}\0{kind}\0".encode() for venue, symbol, kind, *_ in columns.instruments]
    codes = columns.instrument.tolist()
    accounts, orders = columns.text("account"), columns.text("order_id")
    if accounts is None and orders is None:
        starts = [start + b"\0\0" for start in starts]
        return [starts[code] + trade_id for code, trade_id in zip(codes, ids, strict=True)]
    none = [b""] * len(ids)
    rows = zip(codes, accounts.parts() if accounts else none, orders.parts() if orders else none, ids, strict=True)
    return [b"%b%b\0%b\0%b" % (starts[code], account, order, trade_id) for code, account, order, trade_id in rows]


def _packed_numbers(columns: Columns, timestamps_given: Array, digests: bytes) -> bytes:
    rows = np.zeros(len(columns), _PACKED)
    rows["key"] = np.frombuffer(digests, "S16")
    for name in ("side", "price", "price_scale", "quantity", "quantity_scale"):
        rows[name] = getattr(columns, name)
    for name, default in _DEFAULTS.items():
        values = columns.integers(name)
        rows[name] = default if values is None else values
    rows["timestamp"] = np.where(timestamps_given, columns.timestamp, ABSENT)
    for name in ("multiplier", "multiplier_scale"):
        rows[name] = np.array([getattr(entry, name) for entry in columns.instruments])[columns.instrument]
    return rows.tobytes()


def _payload_texts(columns: Columns) -> list[bytes]:
    currencies = [entry.currency for entry in columns.instruments]
    codes = columns.instrument.tolist()
    given = [columns.text(name) for name in _TEXTS]
    if not any(given):
        rests = [(currency + "\0" * len(_TEXTS)).encode() for currency in currencies]
        return [rests[code] for code in codes]
    none = [b""] * len(codes)
    texts = [none if column is None else column.parts() for column in given]
    encoded = [currency.encode() for currency in currencies]
    return [b"\0".join(row) for row in zip([encoded[code] for code in codes], *texts, strict=True)]
