"""Keyed multilinear hashing, the arithmetic of telemetry.digests: there is what is hashed, and why this is enough.

The hash is a sum of products, so the sums of parts are made apart and added: one integer for one message, with all
lanes in it, or an array u64[lanes, n] for n messages. Nothing here loops over messages in Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import shake_256
from operator import mul
from struct import unpack

import numpy as np

from telemetry.frame import U8, Array, Text

WORD_BYTES = 4
U64, _U32 = np.dtype("<u8"), np.dtype("<u4")
_SPACING = 16  # bytes from lane to lane in one integer: no sum of fewer than 2^32 products needs more
_BLOCK = 8  # bytes that texts are padded to, two words
_CHUNK = 4096  # texts that are padded at once: one long one must not make much memory
_HALF = np.uint64(32)
_LOW, _TOP = np.uint64(0xFFFFFFFF), np.uint64(0xFFFFFFFF_00000000)


class Words:
    """The random words of one hash: `table` is u64[count, lanes], `packed` has all lanes of a word in one integer."""

    def __init__(self, seed: bytes, count: int, lanes: int) -> None:
        stream = shake_256(seed).digest(8 * count * lanes)
        self.table: Array = np.frombuffer(bytearray(stream), U64).reshape(count, lanes)
        self.packed = [sum(word << 8 * _SPACING * lane for lane, word in enumerate(row)) for row in self.table.tolist()]
        self._lanes = lanes

    # --- one message --------------------------------------------------------------------------------------------------

    def number(self, at: int, value: int) -> int:
        """The sum of the two halves of a number of 64 bits, signed or not."""
        return self.packed[at] * (value & 0xFFFFFFFF) + self.packed[at + 1] * (value >> 32 & 0xFFFFFFFF)

    def text(self, at: int, text: str) -> int:
        """The sum of a text with its length."""
        data = text.encode()
        count = -(-len(data) // WORD_BYTES)
        words = unpack(f"<{count}I", data.ljust(WORD_BYTES * count, b"\0"))
        total: int = sum(map(mul, self.packed[at + 1 : at + 1 + count], words))
        return total + self.packed[at] * len(data)

    def finish(self, total: int) -> bytes:
        """The hash of a message that consists of these sums."""
        data = (total + self.packed[0]).to_bytes(_SPACING * self._lanes, "little")
        return b"".join(data[start + 4 : start + 8] for start in range(0, len(data), _SPACING))

    # --- many messages ------------------------------------------------------------------------------------------------

    def spread(self, totals: Sequence[int], codes: Array) -> Array:
        """The sums of n messages that begin with one of these each, u64[lanes, n]."""
        data = b"".join(total.to_bytes(_SPACING * self._lanes, "little") for total in totals)
        table = np.frombuffer(data, U64).reshape(len(totals), self._lanes, _SPACING // 8)[:, :, 0]
        return np.ascontiguousarray(table.T).take(codes, axis=1)

    def add_words(self, sums: Array, places: Sequence[int] | slice, values: Array) -> None:
        """Adds words u64[w, n] at w places."""
        sums += np.einsum("wn,wl->ln", values, self.table[places])

    def add_texts(self, sums: Array, at: int, column: Text) -> None:
        """Adds one text each with its length."""
        starts, lengths = column.offsets[:-1], column.offsets[1:] - column.offsets[:-1]
        width = -(-int(lengths.max(initial=0)) // _BLOCK) * _BLOCK
        if not width:
            return
        padded = np.zeros(len(column.blob) + width, U8)
        padded[: len(column.blob)] = column.blob
        beginnings: Array = np.ndarray((len(column.blob) + 1,), f"V{width}", padded, 0, (1,))  # at every byte
        masks, count = _masks(width), width // WORD_BYTES
        for first in range(0, len(lengths), _CHUNK):
            chunk = slice(first, first + _CHUNK)
            values = np.empty((1 + count, len(lengths[chunk])), U64)
            values[0] = lengths[chunk]
            texts = beginnings[starts[chunk]].view(_U32).reshape(-1, count)
            values[1:] = (texts & masks.take(lengths[chunk], axis=0)).T
            self.add_words(sums[:, chunk], slice(at, at + 1 + count), values)

    def finish_all(self, sums: Array) -> Array:
        """The hashes u64[lanes / 2, n]; the lower half of each is the lane before."""
        sums += self.table[0][:, None]
        return sums[::2] >> _HALF | sums[1::2] & _TOP


def halves(columns: Sequence[Array]) -> Array:
    """Columns of n numbers of 64 bits, signed or not, as words u64[2 * columns, n], the low half first."""
    values = np.empty((len(columns), 2, len(columns[0])), U64)
    for place, column in enumerate(columns):
        bits = column.view(U64)
        np.bitwise_and(bits, _LOW, out=values[place, 0])
        np.right_shift(bits, _HALF, out=values[place, 1])
    return values.reshape(2 * len(columns), -1)


@lru_cache(maxsize=64)
def _masks(width: int) -> Array:
    """For every length the words (u32) that keep so many bytes of `width`."""
    kept = np.arange(width) < np.arange(width + 1)[:, None]
    return (kept * np.uint8(0xFF)).view(_U32)
