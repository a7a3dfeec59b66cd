"""The distinct names in a text column, without a step of Python per row.

A name is told from others by 64 bits: the sum of its eight-byte words and its length, each times an odd constant of
its own. Two names of one column meet by chance once in 2^64; then they would be taken for one. The constants are
fixed, so the same names have the same keys in every process.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from telemetry.frame import Array, Text

Keys = NDArray[np.uint64]
Codes = NDArray[np.int64]
_U64, _WORD = np.dtype("<u8"), 8
_WHOLE = 2**64 - 1
_BITS = (12, 18)  # 50 names have places of their own among 2^12 in three of four cases, among 2^18 nearly always
_STEPS = 4_096  # rows whose places are kept, by length
_QUICK_WORDS = 32  # of names that compiled code reads


def only_name(text: Text) -> str | None:
    """The name that all rows have in common; None when they differ (or there are none). Costs two microseconds."""
    rows = len(text.offsets) - 1
    if rows < 1:
        return None
    first, length = text.offsets[:2].tolist()
    blob = text.blob.tobytes()
    if first or len(blob) != rows * length or blob != blob[:length] * rows:
        return None
    if rows > _STEPS:
        same = bool((text.offsets[1:] - text.offsets[:-1] == length).all())
    else:
        same = text.offsets.tobytes() == _steps(length)[: 4 * rows + 4]
    return str(blob[:length], "utf-8", "replace") if same else None


def keys_of(text: Text) -> Keys:
    """One key per row; equal names have equal keys, in this column and in every other."""
    starts = text.offsets[:-1].astype(np.int64)
    lengths = text.offsets[1:] - starts
    count = max(1, -(-int(lengths.max(initial=0)) // _WORD))
    padded = np.zeros(len(text.blob) + count * _WORD, np.uint8)
    padded[: len(text.blob)] = text.blob
    texts: Array = np.ndarray(
        (len(text.blob) + 1,), f"V{count * _WORD}", padded, 0, (1,)
    )  # one beginning at every byte
    words = texts.take(starts).view(_U64).reshape(-1, count)
    words &= _masks(count).take(lengths, axis=0)
    keys: Keys = lengths.astype(_U64) * _factor(0)
    for place in range(count):
        keys += words[:, place] * _factor(1 + place)
    return keys


def factors() -> Keys:
    """Those of the length and of the first words of a name, for compiled code."""
    return np.array([_factor(place) for place in range(1 + _QUICK_WORDS)], np.uint64)


def distinct(keys: Keys) -> Keys:
    """Each key once, ascending (numpy's own takes twice as long for a thousand)."""
    ordered = np.sort(keys)
    kept = np.empty(len(ordered), bool)
    kept[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=kept[1:])
    return ordered[kept]


def coded(keys: Keys) -> tuple[Keys, Codes]:
    """(each key once, ascending; for every row the place of its key among them)."""
    single = distinct(keys)
    for bits in _BITS:  # a table by the highest bits of the keys, if no two of them meet there
        shift = np.uint64(64 - bits)
        slots = (single >> shift).astype(np.int64)
        places = np.zeros(1 << bits, np.int64)
        places[slots] = np.arange(len(single))
        if (places[slots] == np.arange(len(single))).all():
            codes: Codes = places.take((keys >> shift).astype(np.int64))
            return single, codes
    return single, np.searchsorted(single, keys)


@lru_cache(maxsize=1024)
def _factor(place: int) -> np.uint64:
    """Odd, and without a pattern: the splitmix64 generator of Steele, Lea and Flood (2014)."""
    state = (place + 1) * 0x9E3779B97F4A7C15 & _WHOLE
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _WHOLE
    state = (state ^ state >> 27) * 0x94D049BB133111EB & _WHOLE
    return np.uint64((state ^ state >> 31) | 1)


@lru_cache(maxsize=64)
def _masks(count: int) -> Array:
    """For every length which bits of so many words belong to the text."""
    kept = np.arange(count * _WORD) < np.arange(count * _WORD + 1)[:, None]
    return (kept * np.uint8(0xFF)).view(_U64)


@lru_cache(maxsize=256)
def _steps(length: int) -> bytes:
    """The offsets of texts that are all so long."""
    return (np.arange(_STEPS + 1, dtype=np.int64) * length).astype("<u4").tobytes()
