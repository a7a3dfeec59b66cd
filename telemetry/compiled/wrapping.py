"""LLVM's text of the functions that Python calls: from Python's arrays to what numba's functions take.

A wrapper gets the type of arrays, then one word for each argument: a number, or the address of an array's object. Of
that it reads the fields below (NumPy's C API, "PyArrayObject"), refuses what is not the array that the function was
compiled for, and calls it. The same fields are checked against a real array when the library is loaded.

    object    8 type; 16 data; 24 number of dimensions (i32); 32 sizes; 40 strides; 56 description; 64 flags (i32)
    description  26 order of bytes; 28 number of the type (i32)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from telemetry.compiled.library import REFUSED
from telemetry.compiled.signatures import ArrayOf, TupleOf, Type

_CONTIGUOUS, _ALIGNED, _WRITABLE = 0x1, 0x100, 0x400
_FOREIGN = ord(">")  # order of bytes
# The backend calls these three by name. Compiled with the rest, they leave nothing to be found outside. Their loops
# must not be made into calls of themselves.
MEMORY = """
define hidden ptr @memset(ptr %target, i32 %value, i64 %count) #0 {
entry:
  %byte = trunc i32 %value to i8
  %none = icmp eq i64 %count, 0
  br i1 %none, label %end, label %loop
loop:
  %at = phi i64 [ 0, %entry ], [ %next, %loop ]
  %to = getelementptr i8, ptr %target, i64 %at
  store i8 %byte, ptr %to
  %next = add nuw i64 %at, 1
  %more = icmp ult i64 %next, %count
  br i1 %more, label %loop, label %end
end:
  ret ptr %target
}
define hidden ptr @memcpy(ptr noalias %target, ptr noalias %source, i64 %count) #0 {
entry:
  %none = icmp eq i64 %count, 0
  br i1 %none, label %end, label %loop
loop:
  %at = phi i64 [ 0, %entry ], [ %next, %loop ]
  %from = getelementptr i8, ptr %source, i64 %at
  %to = getelementptr i8, ptr %target, i64 %at
  %byte = load i8, ptr %from
  store i8 %byte, ptr %to
  %next = add nuw i64 %at, 1
  %more = icmp ult i64 %next, %count
  br i1 %more, label %loop, label %end
end:
  ret ptr %target
}
define hidden ptr @memmove(ptr %target, ptr %source, i64 %count) #0 {
entry:
  %forward = icmp ule ptr %target, %source
  br i1 %forward, label %up, label %down
up:
  %done = call ptr @memcpy_up(ptr %target, ptr %source, i64 %count)
  ret ptr %done
down:
  %left = phi i64 [ %count, %entry ], [ %before, %copy ]
  %none = icmp eq i64 %left, 0
  br i1 %none, label %end, label %copy
copy:
  %before = sub i64 %left, 1
  %from = getelementptr i8, ptr %source, i64 %before
  %to = getelementptr i8, ptr %target, i64 %before
  %byte = load i8, ptr %from
  store i8 %byte, ptr %to
  br label %down
end:
  ret ptr %target
}
define internal ptr @memcpy_up(ptr %target, ptr %source, i64 %count) #0 {
entry:
  br label %next
next:
  %at = phi i64 [ 0, %entry ], [ %after, %copy ]
  %more = icmp ult i64 %at, %count
  br i1 %more, label %copy, label %end
copy:
  %from = getelementptr i8, ptr %source, i64 %at
  %to = getelementptr i8, ptr %target, i64 %at
  %byte = load i8, ptr %from
  store i8 %byte, ptr %to
  %after = add nuw i64 %at, 1
  br label %next
end:
  ret ptr %target
}
attributes #0 = { "no-builtins" nounwind }
"""


class _Body:
    """The text of a wrapper as it grows."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._count = 0

    def let(self, value: str) -> str:
        """A new name for the value."""
        self._count += 1
        name = f"%v{self._count}"
        self.lines.append(f"  {name} = {value}")
        return name

    def field(self, address: str, offset: int, kind: str) -> str:
        """What is so many bytes behind an address."""
        return self.let(f"load {kind}, ptr {self.let(f'getelementptr i8, ptr {address}, i64 {offset}')}")

    def demand(self, condition: str) -> None:
        """Refuse when it does not hold."""
        self._count += 1
        self.lines += [f"  br i1 {condition}, label %ok{self._count}, label %refuse", f"ok{self._count}:"]


def wrapper(name: str, function: str, types: Sequence[Type]) -> str:
    """The text of the function `name` that calls numba's `function`."""
    body, parameters, passed = _Body(), ["ptr %arrays"], []
    for index, one in enumerate(types):
        for part in range(one.count if isinstance(one, TupleOf) else 1):
            argument = f"%a{index}_{part}"
            parameters.append(f"{'ptr' if isinstance(one, ArrayOf) else 'i64'} {argument}")
            passed += _array(body, one, argument) if isinstance(one, ArrayOf) else [f"i64 {argument}"]
    kinds = ", ".join(each.split()[0] for each in passed)
    return "\n".join(
        [
            f'declare i32 @"{function}"(ptr, ptr, {kinds})',
            f'define hidden i64 @"{name}"({", ".join(parameters)}) nounwind {{',
            "  %result = alloca i64",
            "  %raised = alloca ptr",
            "  store i64 0, ptr %result",
            *body.lines,
            f'  %status = call i32 @"{function}"(ptr %result, ptr %raised, {", ".join(passed)})',
            "  %fine = icmp eq i32 %status, 0",
            "  br i1 %fine, label %return, label %refuse",
            "return:",
            "  %value = load i64, ptr %result",
            "  ret i64 %value",
            "refuse:",
            f"  ret i64 {REFUSED}",
            "}",
        ]
    )


def _array(body: _Body, one: ArrayOf, argument: str) -> list[str]:
    """The arguments that stand for an array, once it is what it should be."""
    kind = body.field(argument, 8, "ptr")
    body.demand(body.let(f"icmp eq ptr {kind}, %arrays"))
    _demand_equal(body, body.field(argument, 24, "i32"), one.dimensions)
    flags, needed = body.field(argument, 64, "i32"), _CONTIGUOUS | _ALIGNED | (0 if one.readonly else _WRITABLE)
    _demand_equal(body, body.let(f"and i32 {flags}, {needed}"), needed)
    description = body.field(argument, 56, "ptr")
    _demand_equal(body, body.field(description, 28, "i32"), np.dtype(one.item.name).num)
    body.demand(body.let(f"icmp ne i8 {body.field(description, 26, 'i8')}, {_FOREIGN}"))
    data, sizes, strides = (body.field(argument, offset, "ptr") for offset in (16, 32, 40))
    shape = [body.field(sizes, 8 * at, "i64") for at in range(one.dimensions)]
    steps = [body.field(strides, 8 * at, "i64") for at in range(one.dimensions)]
    count = shape[0]
    for size in shape[1:]:
        count = body.let(f"mul i64 {count}, {size}")
    width = np.dtype(one.item.name).itemsize
    owners = ["ptr null", "ptr null"]  # nobody counts references: the caller keeps its arrays alive
    return [*owners, f"i64 {count}", f"i64 {width}", f"ptr {data}", *(f"i64 {each}" for each in (*shape, *steps))]


def _demand_equal(body: _Body, value: str, expected: int) -> None:
    body.demand(body.let(f"icmp eq i32 {value}, {expected}"))
