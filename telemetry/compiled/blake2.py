"""BLAKE2b (RFC 7693) for compiled code: unkeyed, a message of a few blocks that lies in one array."""

from __future__ import annotations

import numpy as np

from telemetry.compiled.compiler import part
from telemetry.frame import Array

BLOCK_BYTES = 128
_WORDS = 16  # of a block
_MASK = 2**64 - 1
Words4 = tuple[np.uint64, np.uint64, np.uint64, np.uint64]

_INITIAL = np.array(
    [
        *(0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1),
        *(0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179),
    ],
    np.uint64,
)
_SIGMA = np.array(  # the order of the words in each of the twelve rounds
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    ],
    np.int64,
)
_R16, _R24, _R32, _R63 = np.uint64(16), np.uint64(24), np.uint64(32), np.uint64(63)
_L48, _L40, _L1 = np.uint64(48), np.uint64(40), np.uint64(1)
_ALL, _NONE = np.uint64(_MASK), np.uint64(0)


def initial_state(digest_bytes: int, person: bytes) -> Array:
    """The state (u64[8]) before the first block, with `person` as the personalisation."""
    parameters = np.zeros(8, np.uint64)
    octets = parameters.view(np.uint8)
    octets[[0, 2, 3]] = digest_bytes, 1, 1  # fanout and depth
    octets[48 : 48 + len(person)] = np.frombuffer(person, np.uint8)
    return parameters ^ _INITIAL


@part
def hash_words(initial: Array, message: Array, size: int, state: Array) -> None:
    """Leaves the digest at the beginning of `state` (u64[8]). Bytes of `message` (u64) behind `size` must be zero."""
    for word in range(8):
        state[word] = initial[word]
    done = 0
    while size - done > BLOCK_BYTES:
        done += BLOCK_BYTES
        _compress(state, message, (done - BLOCK_BYTES) // 8, np.uint64(done), _NONE)
    _compress(state, message, done // 8, np.uint64(size), _ALL)


@part
def _compress(h: Array, m: Array, at: int, size: np.uint64, last: np.uint64) -> None:
    v0, v1, v2, v3, v4, v5, v6, v7 = h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
    v8, v9, v10, v11 = _INITIAL[0], _INITIAL[1], _INITIAL[2], _INITIAL[3]
    v12, v13, v14, v15 = _INITIAL[4] ^ size, _INITIAL[5], _INITIAL[6] ^ last, _INITIAL[7]
    for i in range(12):
        s = _SIGMA[i]
        v0, v4, v8, v12 = _mix(v0, v4, v8, v12, m[at + s[0]], m[at + s[1]])
        v1, v5, v9, v13 = _mix(v1, v5, v9, v13, m[at + s[2]], m[at + s[3]])
        v2, v6, v10, v14 = _mix(v2, v6, v10, v14, m[at + s[4]], m[at + s[5]])
        v3, v7, v11, v15 = _mix(v3, v7, v11, v15, m[at + s[6]], m[at + s[7]])
        v0, v5, v10, v15 = _mix(v0, v5, v10, v15, m[at + s[8]], m[at + s[9]])
        v1, v6, v11, v12 = _mix(v1, v6, v11, v12, m[at + s[10]], m[at + s[11]])
        v2, v7, v8, v13 = _mix(v2, v7, v8, v13, m[at + s[12]], m[at + s[13]])
        v3, v4, v9, v14 = _mix(v3, v4, v9, v14, m[at + s[14]], m[at + s[15]])
    h[0], h[1], h[2], h[3] = h[0] ^ v0 ^ v8, h[1] ^ v1 ^ v9, h[2] ^ v2 ^ v10, h[3] ^ v3 ^ v11
    h[4], h[5], h[6], h[7] = h[4] ^ v4 ^ v12, h[5] ^ v5 ^ v13, h[6] ^ v6 ^ v14, h[7] ^ v7 ^ v15


@part
def _mix(a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64, x: np.uint64, y: np.uint64) -> Words4:
    a = a + b + x
    d = d ^ a
    d = (d >> _R32) | (d << _R32)
    c = c + d
    b = b ^ c
    b = (b >> _R24) | (b << _L40)
    a = a + b + y
    d = d ^ a
    d = (d >> _R16) | (d << _L48)
    c = c + d
    b = b ^ c
    b = (b >> _R63) | (b << _L1)
    return a, b, c, d
