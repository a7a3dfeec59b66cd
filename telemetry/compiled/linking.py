"""From an object file (ELF, x86-64) to one block of code that runs wherever it lies.

No linker is needed on the user's machine: all functions are in one object that refers to nothing outside, and only by
distances, so that putting its sections behind one another and writing these distances is all there is to do. Anything
else is refused. See the System V ABI, AMD64 supplement, 4.4 for the relocations, and elf(5) for the structures.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

_HEADER = Struct("<16sHHIQQQIHHHHHH")
_SECTION, _SYMBOL, _RELOCATION = Struct("<IIQQQQIIQQ"), Struct("<IBBHQQ"), Struct("<QQq")
_SYMBOLS, _RELOCATIONS, _NOTHING = 2, 4, 8  # types of sections; the last has zeros only
_WRITE, _ALLOCATE = 1, 2  # flags of sections
_DISTANCE_32, _CALL_32, _DISTANCE_64 = 2, 4, 24  # R_X86_64_PC32, PLT32, PC64
_WIDTHS = {_DISTANCE_32: 4, _CALL_32: 4, _DISTANCE_64: 8}
_X86_64, _FIRST_RESERVED = 62, 0xFF00
_UNWINDING = ".eh_frame"  # for exceptions of C++, of which there are none


class _Section(NamedTuple):
    name: str
    type: int
    flags: int
    content: bytes
    link: int
    info: int
    alignment: int


class _Symbol(NamedTuple):
    name: str
    section: int
    value: int


def link(elf: bytes) -> tuple[bytes, dict[str, int]]:
    """The block, and where each symbol is in it. Raises ValueError for what is not known."""
    sections = _sections(elf)
    symbols = [symbol for section in sections if section.type == _SYMBOLS for symbol in _symbols(section, sections)]
    block, starts = _lay_out(sections)
    for section in sections:
        if section.type == _RELOCATIONS and section.info in starts:
            _relocate(block, section, symbols, starts)
    return bytes(block), {one.name: starts[one.section] + one.value for one in symbols if one.section in starts}


def _sections(elf: bytes) -> list[_Section]:
    header = _HEADER.unpack_from(elf)
    if header[0][:6] != b"\x7fELF\x02\x01" or header[2] != _X86_64:
        raise ValueError(f"expected a little endian ELF object of 64 bits for machine {_X86_64}, received another")
    offset, count, names = header[6], header[12], header[13]
    raw = [_SECTION.unpack_from(elf, offset + index * _SECTION.size) for index in range(count)]
    texts = elf[raw[names][4] : raw[names][4] + raw[names][5]]
    return [
        _Section(
            _text(texts, name),
            kind,
            flags,
            bytes(size) if kind == _NOTHING else elf[at : at + size],
            link,
            info,
            max(alignment, 1),
        )
        for name, kind, flags, _, at, size, link, info, alignment, _ in raw
    ]


def _text(texts: bytes, start: int) -> str:
    return texts[start : texts.index(b"\0", start)].decode()


def _symbols(section: _Section, sections: list[_Section]) -> Iterator[_Symbol]:
    texts = sections[section.link].content
    for name, _, _, index, value, _ in _SYMBOL.iter_unpack(section.content):
        yield _Symbol(_text(texts, name), index, value)


def _lay_out(sections: list[_Section]) -> tuple[bytearray, dict[int, int]]:
    """All that the code needs one behind the other, and where each section begins."""
    block, starts = bytearray(), {}
    for index, section in enumerate(sections):
        if section.flags & _ALLOCATE and section.content and section.name != _UNWINDING:
            if section.flags & _WRITE:
                raise ValueError(f"expected code and constants only, received the writable section {section.name}")
            block.extend(bytes(-len(block) % section.alignment))
            starts[index] = len(block)
            block += section.content
    return block, starts


def _relocate(block: bytearray, section: _Section, symbols: list[_Symbol], starts: dict[int, int]) -> None:
    for offset, info, addend in _RELOCATION.iter_unpack(section.content):
        symbol, kind = symbols[info >> 32], info & 0xFFFFFFFF
        if kind not in _WIDTHS or symbol.section not in starts:
            raise ValueError(f"expected a distance inside the code, received type {kind} to {symbol.name!r}")
        place = starts[section.info] + offset
        distance = starts[symbol.section] + symbol.value + addend - place
        block[place : place + _WIDTHS[kind]] = distance.to_bytes(_WIDTHS[kind], "little", signed=True)
