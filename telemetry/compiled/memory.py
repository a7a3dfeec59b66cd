"""Pointers for compiled code: plain addresses that are indexed like the arrays they come from.

An array that is passed from function to function is counted by atomic instructions at each step and drags its shape
along, which costs more than the reading itself. A pointer has neither, and no bounds: see tokens for why nothing reads
behind a body. Whoever calls an entry keeps its arrays alive. With NUMBA_BOUNDSCHECK=1 pointers are the arrays
themselves, and every access is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from telemetry.compiled.compiler import IS_CHECKED, array_struct, ir, numba, part
from telemetry.frame import Array

WORD_BYTES = 8
_WORD, _BYTE = ir.IntType(64), ir.IntType(8)
_U64, _I64 = numba.uint64, numba.int64
_INDICES = [np.uint64(index) for index in range(WORD_BYTES)]


def _pointer(typing: Any, array: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return array_struct(signature.args[0])(context, builder, arguments[0]).data

    return numba.types.CPointer(array.dtype)(array), generate


def _behind(typing: Any, pointer: Any, count: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, _I64), generate


def _octets(typing: Any, pointer: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], _BYTE.as_pointer())

    return numba.types.CPointer(numba.uint8)(pointer), generate


def _word_at(typing: Any, octets: Any, place: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_word_pointer(builder, *arguments), align=1)

    return _U64(octets, _I64), generate


def _put_word(typing: Any, octets: Any, place: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _word_pointer(builder, *arguments[:2]), align=1)
        return arguments[1]

    return _I64(octets, _I64, _U64), generate


def _trailing_zeros(typing: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(0))

    return _I64(_U64), generate


def _word_pointer(builder: Any, octets: Any, place: Any) -> Any:
    return builder.bitcast(builder.gep(octets, [place]), _WORD.as_pointer())


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
def _checked_put_word(octets: Array, place: int, word: np.uint64) -> int:
    for index in range(WORD_BYTES):
        octets[place + index] = (word >> np.uint64(8 * index)) & np.uint64(0xFF)
    return place


def _choose(raw: Any, checked: Any) -> Callable[..., Any]:
    chosen: Callable[..., Any] = checked if IS_CHECKED else numba.extending.intrinsic(raw)
    return chosen


pointer = _choose(_pointer, _checked_pointer)
behind = _choose(_behind, _checked_behind)  # the pointer, so many elements further on
octets_of = _choose(_octets, _checked_octets)  # the same memory as bytes
word_at = _choose(_word_at, _checked_word_at)  # eight bytes as a little endian u64
put_word = _choose(_put_word, _checked_put_word)
trailing_zeros = numba.extending.intrinsic(_trailing_zeros)
