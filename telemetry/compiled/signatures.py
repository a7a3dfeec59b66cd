"""The types of what Python passes to compiled functions, in words that need neither numba nor LLVM."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Scalar:
    """A number of 64 bits, or the items of an array."""

    name: str  # numba's and NumPy's


@dataclass(frozen=True)
class ArrayOf:
    """A contiguous array in C's order. One that is not `readonly` must be writable."""

    item: Scalar
    dimensions: int = 1
    readonly: bool = False


@dataclass(frozen=True)
class TupleOf:
    """So many scalars in a tuple."""

    item: Scalar
    count: int


Type = Scalar | ArrayOf | TupleOf

INTEGER = Scalar("int64")
BYTES, UNSIGNED, INTEGERS = ArrayOf(Scalar("uint8")), ArrayOf(Scalar("uint64")), ArrayOf(INTEGER)
INDICES, MATRIX = ArrayOf(Scalar("uint32")), ArrayOf(INTEGER, 2)
# Those that are only read, writable or not.
TEXT, READ_ONLY = replace(BYTES, readonly=True), replace(UNSIGNED, readonly=True)
DOUBLES, SINGLES = ArrayOf(Scalar("float64")), ArrayOf(Scalar("float32"))
BITS = ArrayOf(Scalar("int32"))  # of singles
LONGS, CODES = replace(INTEGERS, readonly=True), replace(INDICES, readonly=True)
