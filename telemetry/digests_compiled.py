"""The key digest and the fingerprint of one trade for compiled code, byte for byte those of telemetry.digests."""

from __future__ import annotations

import numpy as np

from telemetry import slots as at
from telemetry.blake2 import BLOCK_BYTES, hash_words, initial_state
from telemetry.compiler import part
from telemetry.digests import PERSON_KEY, PERSON_PAYLOAD
from telemetry.frame import Array
from telemetry.memory import behind, octets_of, pointer
from telemetry.trade import KINDS

_MESSAGE_WORDS = 4 * BLOCK_BYTES // 8  # the longest: 77 bytes of numbers and seven texts of at most 64, joined
_STATE_WORDS = 8
WORK_WORDS = _STATE_WORDS + _MESSAGE_WORDS
_KEY, _PAYLOAD = initial_state(16, PERSON_KEY), initial_state(8, PERSON_PAYLOAD)
_KINDS = np.zeros((len(KINDS) + 1, 5), np.uint8)
_KIND_SIZES = np.array([0, *map(len, KINDS)], np.int64)
for _code, _kind in enumerate(KINDS, 1):
    _KINDS[_code, : len(_kind)] = np.frombuffer(_kind.encode(), np.uint8)
_NUMBERS = np.array([at.PRICE, at.QUANTITY, at.MULTIPLIER, at.FEE, at.TIMESTAMP, at.SOURCE_SEQ, at.ORDER_SENT_AT]) * 2
_SMALL = np.array(
    [2 * at.SIDE, 2 * at.PRICE + 1, 2 * at.QUANTITY + 1, 2 * at.MULTIPLIER + 1, 2 * at.FEE + 1],
)
_KEY_TEXTS = np.array([at.ACCOUNT, at.ORDER_ID, at.TRADE_ID]) * 2
_PAYLOAD_TEXTS = np.array([at.CURRENCY, at.REF_TRADE_ID, at.STRATEGY, at.LIQUIDITY, at.FEE_CURRENCY, at.SOURCE]) * 2


@part
def hash_trade(text: Array, slots: Array, work: Array, digest: Array) -> np.uint64:
    """The fingerprint; leaves the key digest in `digest` (u64[2]). `work` is u64[WORK_WORDS] of scratch."""
    message = behind(work, _STATE_WORDS)
    octets = octets_of(message)
    size = _key_message(text, slots, octets)
    _clear(octets, size)
    hash_words(pointer(_KEY), message, size, work)
    digest[0], digest[1] = work[0], work[1]
    size = _payload_message(text, slots, message, octets, digest)
    _clear(octets, size)
    hash_words(pointer(_PAYLOAD), message, size, work)
    return work[0]  # type: ignore[no-any-return]


@part
def _key_message(text: Array, slots: Array, octets: Array) -> int:
    size = _copy(text, slots, 2 * at.VENUE, octets, 0)
    octets[size] = 0
    size = _copy(text, slots, 2 * at.SYMBOL, octets, size + 1)
    octets[size] = 0
    size += 1
    kind = slots[2 * at.KIND]
    for place in range(_KIND_SIZES[kind]):
        octets[size + place] = _KINDS[kind, place]
    size += _KIND_SIZES[kind]
    for field in _KEY_TEXTS:
        octets[size] = 0
        size = _copy(text, slots, field, octets, size + 1)
    return size


@part
def _payload_message(text: Array, slots: Array, message: Array, octets: Array, digest: Array) -> int:
    message[0], message[1] = digest[0], digest[1]
    for place in range(len(_NUMBERS)):
        message[2 + place] = np.uint64(slots[_NUMBERS[place]])
    size = 8 * (2 + len(_NUMBERS))
    for place in range(len(_SMALL)):
        octets[size + place] = slots[_SMALL[place]]
    size += len(_SMALL)
    for field in _PAYLOAD_TEXTS:
        size = _copy(text, slots, field, octets, size)
        octets[size] = 0  # behind the last one too: tags follow, which are always absent here
        size += 1
    return size


@part
def _copy(text: Array, slots: Array, slot: int, octets: Array, size: int) -> int:
    start, length = slots[slot], slots[slot + 1]
    for place in range(length):
        octets[size + place] = text[start + place]
    end: int = size + length
    return end


@part
def _clear(octets: Array, size: int) -> None:
    """Zeros up to the end of the last block, which may be the first and empty."""
    end = max(BLOCK_BYTES, (size + BLOCK_BYTES - 1) // BLOCK_BYTES * BLOCK_BYTES)
    for place in range(size, end):
        octets[place] = 0
