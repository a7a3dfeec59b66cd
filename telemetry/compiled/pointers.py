"""What telemetry.compiled.memory names, as LLVM's instructions. Needs numba: imported only where it compiles."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from telemetry.compiled.memory import GROUP, PLAIN_BYTES

numba: Any = import_module("numba")  # has no types
array_struct: Any = import_module("numba.np.arrayobj").make_array
ir: Any = import_module("llvmlite.ir")
_WORD, _BYTE = ir.IntType(64), ir.IntType(8)
_U64, _I64 = numba.uint64, numba.int64
_BLANK, _LAST = b" ~"  # the first and the last printable character of ASCII
_PREFETCH = "llvm.prefetch.p0"
_COMPRESS = f"llvm.experimental.vector.compress.v{GROUP}i64"
_GROUP = ir.VectorType(_WORD, GROUP)


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


def _half_at(typing: Any, octets: Any, place: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), ir.IntType(32).as_pointer())
        return builder.load(address, align=1)

    return numba.uint32(octets, _I64), generate


def _double_at(typing: Any, octets: Any, place: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), ir.DoubleType().as_pointer())
        return builder.load(address, align=1)

    return numba.float64(octets, _I64), generate


def _plain_size(typing: Any, octets: Any, place: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        many = ir.VectorType(_BYTE, PLAIN_BYTES)
        address = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), many.as_pointer())
        codes = builder.load(address, align=1)

        def all_of(code: int) -> Any:
            return ir.Constant(many, [code] * PLAIN_BYTES)

        ends = builder.icmp_unsigned(">", builder.sub(codes, all_of(_BLANK)), all_of(_LAST - _BLANK))
        for code in b'"\\':
            ends = builder.or_(ends, builder.icmp_unsigned("==", codes, all_of(code)))
        size = builder.cttz(builder.bitcast(ends, ir.IntType(PLAIN_BYTES)), ir.IntType(1)(0))
        return builder.zext(size, _WORD)

    return _I64(octets, _I64), generate


def _put_word(typing: Any, octets: Any, place: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _word_pointer(builder, *arguments[:2]), align=1)
        return arguments[1]

    return _I64(octets, _I64, _U64), generate


def _trailing_zeros(typing: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(0))

    return _I64(_U64), generate


def _leading_zeros(typing: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.IntType(1)(0))

    return _I64(_U64), generate


def _difference(typing: Any, octets: Any, place: Any, other: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        many = ir.VectorType(_BYTE, PLAIN_BYTES)
        one, two = (
            builder.load(builder.bitcast(builder.gep(arguments[0], [at]), many.as_pointer()), align=1)
            for at in arguments[1:]
        )
        return builder.zext(builder.bitcast(builder.icmp_unsigned("!=", one, two), ir.IntType(PLAIN_BYTES)), _WORD)

    return _I64(octets, _I64, _I64), generate


def _alike(typing: Any, pointer: Any, place: Any, mask: Any, wanted: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, place, mask, wanted = arguments
        masked = builder.and_(_group(builder, values, place), _repeated(builder, mask))
        return _bits(builder, masked, _repeated(builder, wanted))

    return _U64(pointer, _I64, _U64, _U64), generate


def _within(typing: Any, pointer: Any, place: Any, first: Any, mask: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, place, first, mask = arguments
        more = builder.sub(_group(builder, values, place), _repeated(builder, first))
        return _bits(builder, builder.and_(more, _repeated(builder, mask)), ir.Constant(_GROUP, [0] * GROUP))

    return _U64(pointer, _I64, _U64, _U64), generate


def _pack(typing: Any, pointer: Any, place: Any, bits: Any, target: Any, at: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, place, bits, target, at = arguments
        octet = builder.trunc(bits, ir.IntType(GROUP))
        kept = ir.VectorType(ir.IntType(1), GROUP)
        kind = ir.FunctionType(_GROUP, [_GROUP, kept, _GROUP])
        known = builder.module.globals.get(_COMPRESS) or ir.Function(builder.module, kind, _COMPRESS)
        group = _group(builder, values, place)
        packed = builder.call(known, [group, builder.bitcast(octet, kept), ir.Constant(_GROUP, ir.Undefined)])
        builder.store(packed, builder.bitcast(builder.gep(target, [at]), _GROUP.as_pointer()), align=8)
        return builder.zext(builder.ctpop(octet), _WORD)

    return _I64(pointer, _I64, _U64, target, _I64), generate


def _group(builder: Any, values: Any, place: Any) -> Any:
    """The words from this place on."""
    return builder.load(builder.bitcast(builder.gep(values, [place]), _GROUP.as_pointer()), align=8)


def _bits(builder: Any, first: Any, second: Any) -> Any:
    """A bit for each word that is the same in both."""
    same = builder.icmp_unsigned("==", first, second)
    return builder.zext(builder.bitcast(same, ir.IntType(GROUP)), _WORD)


def _repeated(builder: Any, word: Any) -> Any:
    """A vector of this word alone."""
    first = ir.IntType(32)(0)
    one = builder.insert_element(ir.Constant(_GROUP, ir.Undefined), word, first)
    return builder.shuffle_vector(
        one, ir.Constant(_GROUP, ir.Undefined), ir.Constant(ir.VectorType(first.type, GROUP), [0] * GROUP)
    )


def _expect(typing: Any, array: Any, place: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = array_struct(signature.args[0])(context, builder, arguments[0]).data
        address = builder.bitcast(builder.gep(data, [arguments[1]]), _BYTE.as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), number, number, number])
        known = builder.module.globals.get(_PREFETCH)
        builder.call(known or ir.Function(builder.module, kind, _PREFETCH), [address, number(1), number(3), number(1)])
        return arguments[1]

    return _I64(array, _I64), generate


def _word_pointer(builder: Any, octets: Any, place: Any) -> Any:
    return builder.bitcast(builder.gep(octets, [place]), _WORD.as_pointer())


pointer, behind, octets_of = (numba.extending.intrinsic(one) for one in (_pointer, _behind, _octets))
word_at, put_word = numba.extending.intrinsic(_word_at), numba.extending.intrinsic(_put_word)
plain_size = numba.extending.intrinsic(_plain_size)
double_at, half_at = numba.extending.intrinsic(_double_at), numba.extending.intrinsic(_half_at)
expect = numba.extending.intrinsic(_expect)
alike, within = numba.extending.intrinsic(_alike), numba.extending.intrinsic(_within)
pack = numba.extending.intrinsic(_pack)
trailing_zeros = numba.extending.intrinsic(_trailing_zeros)
leading_zeros, difference = numba.extending.intrinsic(_leading_zeros), numba.extending.intrinsic(_difference)
