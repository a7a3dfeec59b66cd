"""Pointers for compiled code: plain addresses that are indexed like the arrays they come from.

An array that is passed from function to function is counted by atomic instructions at each step and drags its shape
along, which costs more than the reading itself. A pointer has neither, and no bounds: see tokens for why nothing reads
behind a body. Whoever calls an entry keeps its arrays alive. With NUMBA_BOUNDSCHECK=1 pointers are the arrays
themselves, and every access is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from telemetry.compiled.compiler import IN_PROCESS, IS_CHECKED, part
from telemetry.frame import Array

WORD_BYTES = 8
PLAIN_BYTES = 32
GROUP = 8  # words of 64 bits that are compared at once: a line of the processor's caches


@part
def _checked_pointer(array: Array) -> Array:
    return array


@part
def _checked_behind(array: Array, count: int) -> Array:
    return array[count:]


@part
def _checked_octets(array: Array) -> Array:
    return array.view(np.uint8)


@part
def _checked_word_at(octets: Array, place: int) -> np.uint64:
    word = np.uint64(0)
    for index in range(WORD_BYTES):
        word |= np.uint64(octets[place + index]) << np.uint64(8 * index)
    return word


@part
def _checked_plain_size(octets: Array, place: int) -> int:
    size = 0
    while size < PLAIN_BYTES and 0x20 <= octets[place + size] < 0x7F and octets[place + size] not in (0x22, 0x5C):
        size += 1
    return size


@part
def _checked_put_word(octets: Array, place: int, word: np.uint64) -> int:
    for index in range(WORD_BYTES):
        octets[place + index] = (word >> np.uint64(8 * index)) & np.uint64(0xFF)
    return place


@part
def _checked_half_at(octets: Array, place: int) -> np.uint32:
    word = np.uint32(0)
    for index in range(WORD_BYTES // 2):
        word |= np.uint32(octets[place + index]) << np.uint32(8 * index)
    return np.uint32(word)


@part
def _checked_double_at(octets: Array, place: int) -> float:
    value: float = octets[place : place + WORD_BYTES].view(np.float64)[0]
    return value


@part
def _checked_trailing_zeros(word: np.uint64) -> int:
    count = 0
    while (word >> np.uint64(count)) & np.uint64(1) == 0:
        count += 1
    return count


@part
def _checked_leading_zeros(word: np.uint64) -> int:
    count = 0
    while (word << np.uint64(count)) >> np.uint64(63) == 0:
        count += 1
    return count


@part
def _checked_difference(octets: Array, place: int, other: int) -> int:
    bits = 0
    for index in range(PLAIN_BYTES):
        if octets[place + index] != octets[other + index]:
            bits |= 1 << index
    return bits


@part
def _checked_alike(words: Array, place: int, mask: np.uint64, wanted: np.uint64) -> np.uint64:
    bits = np.uint64(0)
    for index in range(GROUP):
        if words[place + index] & mask == wanted:
            bits |= np.uint64(1) << np.uint64(index)
    return bits


@part
def _checked_within(words: Array, place: int, first: np.uint64, mask: np.uint64) -> np.uint64:
    bits = np.uint64(0)
    for index in range(GROUP):
        if (words[place + index] - first) & mask == 0:
            bits |= np.uint64(1) << np.uint64(index)
    return bits


@part
def _checked_pack(words: Array, place: int, bits: np.uint64, target: Array, at: int) -> int:
    count = 0
    for index in range(GROUP):
        if (bits >> np.uint64(index)) & np.uint64(1):
            target[at + count] = words[place + index]
            count += 1
    return count


@part
def _checked_expect(array: Array, place: int) -> int:
    return place


def _choose(name: str, checked: Callable[..., Any]) -> Callable[..., Any]:
    """That from telemetry.compiled.pointers, which needs numba; where nothing is compiled it is never called."""
    if IS_CHECKED or not IN_PROCESS:
        return checked
    chosen: Callable[..., Any] = getattr(import_module("telemetry.compiled.pointers"), name)
    return chosen


pointer = _choose("pointer", _checked_pointer)
behind = _choose("behind", _checked_behind)  # the pointer, so many elements further on
octets_of = _choose("octets_of", _checked_octets)  # the same memory as bytes
word_at = _choose("word_at", _checked_word_at)  # eight bytes as a little endian u64
half_at = _choose("half_at", _checked_half_at)  # four bytes as a little endian u32
double_at = _choose("double_at", _checked_double_at)
expect = _choose("expect", _checked_expect)  # the processor may fetch this element: it is needed soon
plain_size = _choose("plain_size", _checked_plain_size)  # characters of PLAIN_BYTES before one that ends a plain text
put_word = _choose("put_word", _checked_put_word)
trailing_zeros = _choose("trailing_zeros", _checked_trailing_zeros)  # of a word that is not 0
leading_zeros = _choose("leading_zeros", _checked_leading_zeros)  # of a word that is not 0
difference = _choose("difference", _checked_difference)  # a bit for each of PLAIN_BYTES that differ at two places
alike = _choose("alike", _checked_alike)  # a bit for each word of a GROUP that is as wanted where the mask has bits
# A bit for each word of a GROUP that is not so much more than the first as the mask has bits, nor less.
within = _choose("within", _checked_within)
# The words of a GROUP that have a bit, one behind the other: how many. A GROUP is written, what is behind them is lost.
pack = _choose("pack", _checked_pack)
