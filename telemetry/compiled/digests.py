"""The key digest and the fingerprint of one trade for compiled code, byte for byte those of telemetry.digests."""

from __future__ import annotations

import numpy as np

from telemetry.compiled import slots as at
from telemetry.compiled.blake2 import BLOCK_BYTES, hash_words, initial_state
from telemetry.compiled.compiler import part
from telemetry.compiled.memory import WORD_BYTES, behind, octets_of, pointer, put_word, word_at
from telemetry.digests import PERSON_KEY, PERSON_PAYLOAD
from telemetry.frame import Array
from telemetry.trade import KINDS

_STATE_WORDS = 8
_MESSAGE_WORDS = 4 * BLOCK_BYTES // 8  # the longest: 77 bytes of numbers and seven texts of at most 64, joined
WORK_WORDS = _STATE_WORDS + _MESSAGE_WORDS + 1  # whole words are written, also at the end
_KEY, _PAYLOAD = initial_state(16, PERSON_KEY), initial_state(8, PERSON_PAYLOAD)
_KINDS = np.array([int.from_bytes(kind.encode(), "little") for kind in ("", *KINDS)], np.uint64)
_KIND_SIZES = np.array([0, *map(len, KINDS)], np.int64)
_NUMBERS = np.array([at.PRICE, at.QUANTITY, at.MULTIPLIER, at.FEE, at.TIMESTAMP, at.SOURCE_SEQ, at.ORDER_SENT_AT]) * 2
_SMALL = np.array([at.SIDE, at.PRICE, at.QUANTITY, at.MULTIPLIER, at.FEE]) * 2 + [0, 1, 1, 1, 1]
_KEY_TEXTS = np.array([at.ACCOUNT, at.ORDER_ID, at.TRADE_ID]) * 2
_PAYLOAD_TEXTS = np.array([at.CURRENCY, at.REF_TRADE_ID, at.STRATEGY, at.LIQUIDITY, at.FEE_CURRENCY, at.SOURCE]) * 2
_ZERO = np.uint64(0)


@part
def _append(text: Array, slots: Array, slot: int, octets: Array, size: int) -> int:
    """Copies a text behind the first `size` octets, word by word: what is behind its end is overwritten later."""
    start, length = slots[slot], slots[slot + 1]
    for place in range(0, length, WORD_BYTES):
        put_word(octets, size + place, word_at(text, start + place))
    end: int = size + length
    return end


@part
def _finish(octets: Array, size: int) -> int:
    """Zeros up to the end of the last block, of which there is one at least."""
    for place in range(size, max(1, -(-size // BLOCK_BYTES)) * BLOCK_BYTES, WORD_BYTES):
        put_word(octets, place, _ZERO)
    return size


@part
def _key_message(text: Array, slots: Array, octets: Array) -> int:
    size = _append(text, slots, 2 * at.VENUE, octets, 0)
    octets[size] = 0
    size = _append(text, slots, 2 * at.SYMBOL, octets, size + 1)
    octets[size] = 0
    kind = slots[2 * at.KIND]
    put_word(octets, size + 1, _KINDS[kind])
    size += 1 + _KIND_SIZES[kind]
    for index in range(len(_KEY_TEXTS)):
        octets[size] = 0
        size = _append(text, slots, _KEY_TEXTS[index], octets, size + 1)
    return _finish(octets, size)


@part
def _payload_message(text: Array, slots: Array, message: Array, octets: Array, digest: Array) -> int:
    message[0], message[1] = digest[0], digest[1]
    for index in range(len(_NUMBERS)):
        message[2 + index] = np.uint64(slots[_NUMBERS[index]])
    size = 8 * (2 + len(_NUMBERS))
    for index in range(len(_SMALL)):
        octets[size + index] = np.uint8(slots[_SMALL[index]])
    size += len(_SMALL)
    for index in range(len(_PAYLOAD_TEXTS)):
        size = _append(text, slots, _PAYLOAD_TEXTS[index], octets, size)
        octets[size] = 0  # behind the last one too: tags follow, which are always absent here
        size += 1
    return _finish(octets, size)


@part
def hash_trade(text: Array, slots: Array, work: Array, digest: Array) -> np.uint64:
    """The fingerprint; leaves the key digest in `digest` (u64[2]). `work` is u64[WORK_WORDS] of scratch."""
    message = behind(work, _STATE_WORDS)
    octets = octets_of(message)
    hash_words(pointer(_KEY), message, _key_message(text, slots, octets), work)
    digest[0], digest[1] = work[0], work[1]
    hash_words(pointer(_PAYLOAD), message, _payload_message(text, slots, message, octets, digest), work)
    return work[0]  # type: ignore[no-any-return]
