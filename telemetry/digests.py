"""What tells a resend from a new trade: the digest of its key and the fingerprint of its payload.

The key is (venue, symbol, kind, account, order_id, trade_id); only trades with a trade_id have one. The same key
with the same fingerprint is a duplicate, with another one a conflict. Both are journaled, so neither may ever change.

Both are keyed multilinear hashes (Carter and Wegman; Lemire and Kaser, "Strongly universal string hashing is fast",
2014). A message is a vector of words m of 32 bits at fixed places i >= 1, all others zero; each lane j of the hash is

    the high 32 bits of  k[0, j] + sum of k[i, j] * m[i]  mod 2^64

    key digest    4 lanes, the first one lowest. Words: the six texts of the key, in their order
    fingerprint   2 lanes. Words: the 4 lanes of the key digest;
                  side + price_scale 2^8 + quantity_scale 2^16 + fee_scale 2^24;
                  price, quantity, timestamp, fee, source_seq, order_sent_at, multiplier, low half first;
                  multiplier_scale; the texts currency, ref_trade_id, strategy, liquidity, fee_currency, source, tags
    a text        its length in bytes, then its UTF-8 padded with zeros to 64 words (tags: 128), little endian
    a number      exclusive or what stands for its absence: fee_scale 255, timestamp, source_seq and order_sent_at
                  times.ABSENT, the others 0
    k[i, j]       the u64 at 8 * (lanes * i + j), little endian, in SHAKE-256 of "trade key" or "trade payload" followed
                  by the secret of 16 bytes

Two keys that were chosen without knowing the secret have the same digest with a probability of 2^-128, two payloads of
one key the same fingerprint with 2^-64 (this is proven for random k, for any two messages). Who knows the secret can
make them the same, so it belongs in the data directory and nowhere else. What is absent adds nothing to the sum; what
an instrument adds is computed once.

sent_at and received_at are no part of the payload: a resend differs in them. A timestamp counts when it was sent only,
else as absent. A fingerprint is a u64, a digest two, the low one first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec
import numpy as np

from telemetry.columns import Columns
from telemetry.frame import Array
from telemetry.multilinear import U64, WORD_BYTES, Words, halves
from telemetry.times import ABSENT
from telemetry.trade import MAX_TAGS, MAX_TEXT, NO_FEE, Instrument, Trade

SECRET_BYTES = 16
NO_SECRET = bytes(SECRET_BYTES)  # where nothing is kept: tests, and bodies that are only looked at
KEY_LANES, PAYLOAD_LANES = 4, 2
KEY_TEXTS = ("venue", "symbol", "kind", "account", "order_id", "trade_id")
NUMBERS = ("price", "quantity", "timestamp", "fee", "source_seq", "order_sent_at")
PAYLOAD_TEXTS = ("ref_trade_id", "strategy", "liquidity", "fee_currency", "source", "tags")
ABSENCE = {name: ABSENT if name in ("timestamp", "source_seq", "order_sent_at") else 0 for name in NUMBERS}
_OF_INSTRUMENT = 3  # of the texts of the key
_INSTRUMENT = len(Instrument._fields)  # the first values of a Trade
_INSTRUMENTS = 4096  # whose sums are kept, some 300 bytes each
_TEXT_WORDS, _TAGS_WORDS = MAX_TEXT, MAX_TAGS // WORD_BYTES  # a character has at most four bytes, a word

# Where the fields begin in the messages.
KEY_AT = {name: 1 + (1 + _TEXT_WORDS) * place for place, name in enumerate(KEY_TEXTS)}
KEY_WORDS = 1 + (1 + _TEXT_WORDS) * len(KEY_TEXTS)
DIGEST_AT, SMALL_AT = 1, 1 + KEY_LANES
NUMBERS_AT = {name: SMALL_AT + 1 + 2 * place for place, name in enumerate(NUMBERS)}
MULTIPLIER_AT = SMALL_AT + 1 + 2 * len(NUMBERS)
CURRENCY_AT = MULTIPLIER_AT + 3
PAYLOAD_AT = {name: CURRENCY_AT + (1 + _TEXT_WORDS) * place for place, name in enumerate(PAYLOAD_TEXTS, 1)}
PAYLOAD_WORDS = PAYLOAD_AT["tags"] + 1 + _TAGS_WORDS

_BOOL = np.dtype(bool)


class Keys(msgspec.Struct, frozen=True, eq=False):  # quicker to make than a dataclass, once for each request
    """Digests of n trades; rows that `given` does not mark have no key and are zero."""

    given: Array  # bool[n]
    digests: Array  # u64[n, 2]
    fingerprints: Array  # u64[n]


class Digests:
    """The hashes of one secret. Thread safe."""

    def __init__(self, secret: bytes = NO_SECRET) -> None:
        if len(secret) != SECRET_BYTES:
            raise ValueError(f"expected a secret of {SECRET_BYTES} bytes, received {len(secret)}")
        self.key = Words(b"trade key" + secret, KEY_WORDS, KEY_LANES)
        self.payload = Words(b"trade payload" + secret, PAYLOAD_WORDS, PAYLOAD_LANES)

        self._instrument_sums = lru_cache(maxsize=_INSTRUMENTS)(self._sums_of_instrument)

    def key_digest(self, trade: Trade) -> bytes:
        """16 bytes that identify the trade among all, meaningful only when it has a trade_id."""
        total = self._instrument_sums(trade[:_INSTRUMENT])[0]
        for name in KEY_TEXTS[_OF_INSTRUMENT:]:
            if text := getattr(trade, name):
                total += self.key.text(KEY_AT[name], text)
        return self.key.finish(total)

    def fingerprint(self, trade: Trade, timestamp_given: bool) -> int:
        """64 bits of everything that was sent, by value, except `sent_at`."""
        return int.from_bytes(self._payload(trade, self.key_digest(trade), timestamp_given), "little")

    def keys_of_trades(self, trades: Sequence[Trade], timestamps_given: Sequence[bool]) -> Keys:
        """The keys of a few trades."""
        digests = [self.key_digest(trade) if trade.trade_id else bytes(16) for trade in trades]
        prints = [
            self._payload(trade, digest, given) if trade.trade_id else bytes(8)
            for trade, digest, given in zip(trades, digests, timestamps_given, strict=True)
        ]
        given = np.frombuffer(bytes([trade.trade_id != "" for trade in trades]), _BOOL)
        pairs = np.frombuffer(bytearray().join(digests), U64).reshape(-1, 2)  # bytearray: writable
        return Keys(given, pairs, np.frombuffer(bytearray().join(prints), U64))

    def keys_of_columns(self, columns: Columns, timestamps_given: Array) -> Keys:
        """The keys of many trades; `timestamps_given` is bool[n]."""
        ids = columns.text("trade_id")
        if ids is None:
            return no_keys(len(columns))
        digests = self._key_digests(columns)
        fingerprints = self._fingerprints(columns, timestamps_given, digests)
        given = ids.offsets[1:] > ids.offsets[:-1]
        if not given.all():
            digests[:, ~given], fingerprints[~given] = 0, 0
        return Keys(given, np.ascontiguousarray(digests.T), fingerprints)

    def _payload(self, trade: Trade, digest: bytes, timestamp_given: bool) -> bytes:
        words = self.payload
        total = words.number(DIGEST_AT, int.from_bytes(digest[:8], "little"))
        total += words.number(DIGEST_AT + 2, int.from_bytes(digest[8:], "little"))
        total += self._instrument_sums(trade[:_INSTRUMENT])[1]
        total += words.packed[SMALL_AT] * (
            trade.side | trade.price_scale << 8 | trade.quantity_scale << 16 | (trade.fee_scale ^ NO_FEE) << 24
        )
        for name, at in NUMBERS_AT.items():
            value = getattr(trade, name)
            if value != ABSENCE[name] and (name != "timestamp" or timestamp_given):
                total += words.number(at, value ^ ABSENCE[name])
        for name, at in PAYLOAD_AT.items():
            if text := getattr(trade, name):
                total += words.text(at, text)
        return words.finish(total)

    def _key_digests(self, columns: Columns) -> Array:
        totals = [self._instrument_sums(entry)[0] for entry in columns.instruments]
        sums = self.key.spread(totals, columns.instrument)
        for name in KEY_TEXTS[_OF_INSTRUMENT:]:
            if (column := columns.text(name)) is not None:
                self.key.add_texts(sums, KEY_AT[name], column)
        return self.key.finish_all(sums)

    def _fingerprints(self, columns: Columns, timestamps_given: Array, digests: Array) -> Array:
        words = self.payload
        totals = [self._instrument_sums(entry)[1] for entry in columns.instruments]
        sums = words.spread(totals, columns.instrument)
        numbers = {
            name: values ^ ABSENCE[name] for name in NUMBERS_AT if (values := columns.integers(name)) is not None
        }
        numbers |= {"price": columns.price, "quantity": columns.quantity}
        numbers["timestamp"] = (columns.timestamp ^ ABSENT) * timestamps_given
        places = [
            place + half
            for place in (DIGEST_AT, DIGEST_AT + 2, *map(NUMBERS_AT.__getitem__, numbers))
            for half in (0, 1)
        ]
        words.add_words(sums, places, halves([*digests, *numbers.values()]))
        words.add_words(sums, [SMALL_AT], _small(columns)[None])
        for name, at in PAYLOAD_AT.items():
            if (column := columns.text(name)) is not None:
                words.add_texts(sums, at, column)
        prints: Array = words.finish_all(sums)[0]
        return prints

    def _sums_of_instrument(self, instrument: Instrument) -> tuple[int, int]:
        """What an instrument adds to the keys and payloads of its trades."""
        venue, symbol, kind, currency, multiplier, scale = instrument
        places = [KEY_AT[name] for name in KEY_TEXTS[:_OF_INSTRUMENT]]
        of_key = sum(map(self.key.text, places, (venue, symbol, kind)))
        of_payload = self.payload.number(MULTIPLIER_AT, multiplier) + self.payload.packed[MULTIPLIER_AT + 2] * scale
        return of_key, of_payload + self.payload.text(CURRENCY_AT, currency)


def no_keys(count: int) -> Keys:
    """The keys of `count` trades without a trade_id."""
    return Keys(np.zeros(count, bool), np.zeros((count, 2), U64), np.zeros(count, U64))


def join_keys(parts: Sequence[Keys]) -> Keys:
    """The keys of all parts, in order."""
    return Keys(
        np.concatenate([part.given for part in parts]),
        np.concatenate([part.digests for part in parts]),
        np.concatenate([part.fingerprints for part in parts]),
    )


def _small(columns: Columns) -> Array:
    """The word of a side and scales."""
    small = columns.quantity_scale.astype(U64) << np.uint64(8) | columns.price_scale
    small = small << np.uint64(8) | columns.side
    scales = columns.integers("fee_scale")
    return small if scales is None else small | (scales ^ np.uint8(NO_FEE)).astype(U64) << np.uint64(24)
