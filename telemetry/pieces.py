"""Pieces of one width from many places of a text, in one operation: some 3 ns each, whatever the width."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from telemetry.frame import U8, Array

WORD_BYTES = 8
WORD = np.dtype("<u8")


def pieces(text: Array, starts: Array, width: int) -> Array:
    """The `width` bytes from each start on, as n values of that size (V). All must lie inside the text: a start before
    it would be counted from its end, one too late is an IndexError."""
    everywhere: Array = np.ndarray((len(text) - width + 1,), f"V{width}", text, 0, (1,))  # a piece begins at each byte
    taken: Array = everywhere[starts]
    return taken


def characters(text: Array, starts: Array, width: int) -> Array:
    """The same as u8[width, n], one line for each place."""
    return np.ascontiguousarray(pieces(text, starts, width).view(U8).reshape(-1, width).T)


def words(text: Array, starts: Array, lengths: Array) -> Array:
    """Short texts as little endian words u64[count, n], zeros behind the end of each. WORD_BYTES - 1 bytes more than
    the longest has are looked at."""
    longest = int(np.maximum.reduce(lengths, initial=0))
    count = max(1, -(-longest // WORD_BYTES))
    taken = pieces(text, starts, WORD_BYTES * count).view(WORD)
    taken &= masks(WORD_BYTES * count)[lengths].view(WORD)
    return np.ascontiguousarray(taken.reshape(-1, count).T)


def joined(text: Array, starts: Array, lengths: Array) -> Array:
    """The bytes of all these texts, one behind the other. As many bytes as the longest has are looked at."""
    longest = int(np.maximum.reduce(lengths, initial=0))
    if not longest:
        return np.empty(0, U8)
    taken: Array = pieces(text, starts, longest).view(U8)
    if int(np.minimum.reduce(lengths)) == longest:
        return taken
    inside: Array = taken[masks(longest)[lengths].view(U8) != 0]
    return inside


@lru_cache(maxsize=128)
def masks(width: int) -> Array:
    """For every length a value of `width` bytes (V), of which so many are 1 in every bit and the others zero."""
    kept = np.arange(width) < np.arange(width + 1)[:, None]
    return (kept * np.uint8(0xFF)).view(f"V{width}").reshape(-1)
