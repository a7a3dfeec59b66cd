"""The key digest and the fingerprint of one trade for compiled code: the sums that telemetry.digests defines.

`words` has the random words of both hashes, those of the payload behind those of the key. The sums that an instrument
adds are made once, see `of_instrument`. Texts are read eight bytes at a time, so some bytes behind them are, too.
"""

from __future__ import annotations

import numpy as np

from telemetry import digests
from telemetry.compiled import slots as at
from telemetry.compiled.compiler import part
from telemetry.compiled.memory import WORD_BYTES, behind, octets_of, pointer, word_at
from telemetry.frame import Array
from telemetry.times import ABSENT
from telemetry.trade import KINDS, NO_FEE

_PAYLOAD = digests.KEY_LANES * digests.KEY_WORDS  # where the words of the payload begin
Sums2 = tuple[np.uint64, np.uint64]
Sums4 = tuple[np.uint64, np.uint64, np.uint64, np.uint64]

_KINDS = np.frombuffer(b"".join(kind.encode().ljust(WORD_BYTES, b"\0") for kind in ("", *KINDS)), np.uint64).copy()
_KIND_SIZES = np.array([0, *map(len, KINDS)])
_KEY_AT = digests.KEY_AT
_VENUE, _SYMBOL, _KIND, _ACCOUNT, _ORDER_ID, _TRADE_ID = (4 * _KEY_AT[name] for name in digests.KEY_TEXTS)
_DIGEST, _SMALL, _MULTIPLIER, _CURRENCY = (
    2 * place for place in (digests.DIGEST_AT, digests.SMALL_AT, digests.MULTIPLIER_AT, digests.CURRENCY_AT)
)
_PRICE, _QUANTITY, _TIMESTAMP, _FEE, _SOURCE_SEQ, _ORDER_SENT_AT = (
    2 * digests.NUMBERS_AT[name] for name in digests.NUMBERS
)
_TEXTS = np.array([2 * at.FIELDS.index(name) for name in digests.PAYLOAD_TEXTS if name != "tags"])  # always absent here
_TEXTS_AT = np.array([2 * digests.PAYLOAD_AT[name] for name in digests.PAYLOAD_TEXTS if name != "tags"])
_ZERO, _HALF, _LOW, _TOP = np.uint64(0), np.uint64(32), np.uint64(0xFFFFFFFF), np.uint64(0xFFFFFFFF_00000000)
_MASKS = np.array([(1 << 8 * size) - 1 for size in range(WORD_BYTES + 1)], np.uint64)  # of so many bytes
_ABSENT = np.uint64(ABSENT & (1 << 64) - 1)


@part
def _text4(text: Array, start: int, length: int, words: Array, place: int, sums: Sums4) -> Sums4:
    """Adds a text to the sums of a key."""
    a, b, c, d = sums
    size = np.uint64(length)
    a += words[place] * size
    b += words[place + 1] * size
    c += words[place + 2] * size
    d += words[place + 3] * size
    end = start + length
    while start < end:
        word = word_at(text, start) & _MASKS[min(WORD_BYTES, end - start)]
        low, high = word & _LOW, word >> _HALF
        a += words[place + 4] * low + words[place + 8] * high
        b += words[place + 5] * low + words[place + 9] * high
        c += words[place + 6] * low + words[place + 10] * high
        d += words[place + 7] * low + words[place + 11] * high
        start += WORD_BYTES
        place += 8
    return a, b, c, d


@part
def _text2(text: Array, start: int, length: int, words: Array, place: int, sums: Sums2) -> Sums2:
    """Adds a text to the sums of a payload."""
    a, b = sums
    size = np.uint64(length)
    a += words[place] * size
    b += words[place + 1] * size
    end = start + length
    while start < end:
        word = word_at(text, start) & _MASKS[min(WORD_BYTES, end - start)]
        a, b = _number(word, words, place + 2, (a, b))
        start += WORD_BYTES
        place += 4
    return a, b


@part
def _number(value: np.uint64, words: Array, place: int, sums: Sums2) -> Sums2:
    low, high = value & _LOW, value >> _HALF
    return (
        sums[0] + words[place] * low + words[place + 2] * high,
        sums[1] + words[place + 1] * low + words[place + 3] * high,
    )


@part
def of_instrument(text: Array, slots: Array, kind: int, multiplier: int, scale: int, words: Array, out: Array) -> None:
    """Leaves in `out` (u64[at.SUMS]) what an instrument adds to a key and a payload. Its texts are in `slots`: those of
    a trade, or an entry."""
    sums = (words[0], words[1], words[2], words[3])
    sums = _text4(text, slots[2 * at.VENUE], slots[2 * at.VENUE + 1], words, _VENUE, sums)
    sums = _text4(text, slots[2 * at.SYMBOL], slots[2 * at.SYMBOL + 1], words, _SYMBOL, sums)
    sums = _text4(octets_of(pointer(_KINDS)), WORD_BYTES * kind, _KIND_SIZES[kind], words, _KIND, sums)
    out[0], out[1], out[2], out[3] = sums
    payload = behind(words, _PAYLOAD)
    pair = _number(np.uint64(multiplier), payload, _MULTIPLIER, (payload[0], payload[1]))
    pair = _number(np.uint64(scale), payload, _MULTIPLIER + 4, pair)
    out[4], out[5] = _text2(text, slots[2 * at.CURRENCY], slots[2 * at.CURRENCY + 1], payload, _CURRENCY, pair)


@part
def hash_trade(text: Array, slots: Array, words: Array, instrument: Array, digest: Array) -> np.uint64:
    """The fingerprint; leaves the key digest in `digest` (u64[2]). Both are 0 where there is no trade_id.

    `instrument` is what of_instrument left.
    """
    if slots[2 * at.TRADE_ID + 1] == 0:
        digest[0], digest[1] = _ZERO, _ZERO
        return _ZERO
    sums = (instrument[0], instrument[1], instrument[2], instrument[3])
    if slots[2 * at.ACCOUNT + 1] > 0:
        sums = _text4(text, slots[2 * at.ACCOUNT], slots[2 * at.ACCOUNT + 1], words, _ACCOUNT, sums)
    if slots[2 * at.ORDER_ID + 1] > 0:
        sums = _text4(text, slots[2 * at.ORDER_ID], slots[2 * at.ORDER_ID + 1], words, _ORDER_ID, sums)
    a, b, c, d = _text4(text, slots[2 * at.TRADE_ID], slots[2 * at.TRADE_ID + 1], words, _TRADE_ID, sums)
    digest[0], digest[1] = a >> _HALF | b & _TOP, c >> _HALF | d & _TOP
    payload = behind(words, _PAYLOAD)
    pair = _number(digest[0], payload, _DIGEST, (instrument[4], instrument[5]))
    pair = _number(digest[1], payload, _DIGEST + 4, pair)
    a, b = _rest(text, slots, payload, _numbers(slots, payload, pair))
    return a >> _HALF | b & _TOP


@part
def _numbers(slots: Array, words: Array, sums: Sums2) -> Sums2:
    small = slots[2 * at.SIDE] | slots[2 * at.PRICE + 1] << 8 | slots[2 * at.QUANTITY + 1] << 16
    small |= (slots[2 * at.FEE + 1] ^ NO_FEE) << 24
    word = np.uint64(small)
    sums = (sums[0] + words[_SMALL] * word, sums[1] + words[_SMALL + 1] * word)
    sums = _number(np.uint64(slots[2 * at.PRICE]), words, _PRICE, sums)
    sums = _number(np.uint64(slots[2 * at.QUANTITY]), words, _QUANTITY, sums)
    return _number(np.uint64(slots[2 * at.TIMESTAMP]) ^ _ABSENT, words, _TIMESTAMP, sums)


@part
def _rest(text: Array, slots: Array, words: Array, sums: Sums2) -> Sums2:
    """What few trades have."""
    if slots[2 * at.FEE] != 0:
        sums = _number(np.uint64(slots[2 * at.FEE]), words, _FEE, sums)
    if slots[2 * at.SOURCE_SEQ] != ABSENT:
        sums = _number(np.uint64(slots[2 * at.SOURCE_SEQ]) ^ _ABSENT, words, _SOURCE_SEQ, sums)
    if slots[2 * at.ORDER_SENT_AT] != ABSENT:
        sums = _number(np.uint64(slots[2 * at.ORDER_SENT_AT]) ^ _ABSENT, words, _ORDER_SENT_AT, sums)
    for index in range(len(_TEXTS)):
        slot = _TEXTS[index]
        if slots[slot + 1] > 0:
            sums = _text2(text, slots[slot], slots[slot + 1], words, _TEXTS_AT[index], sums)
    return sums
