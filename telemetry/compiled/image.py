"""The file of the compiled library: code and constants that run wherever they lie, and where each function begins.

code      from the first byte on, all addresses in it relative
table     JSON: {"module.function": offset in the code}
end       u64 size of the table, 32 bytes blake2b of all before
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from mmap import mmap
from struct import Struct

_END = Struct("<Q32s")


def write(code: bytes, offsets: Mapping[str, int]) -> bytes:
    """The bytes of a file."""
    table = json.dumps(dict(offsets)).encode()
    size = len(table).to_bytes(8, "little")
    return b"".join((code, table, size, blake2b(code + table + size, digest_size=32).digest()))


def places(content: bytes | mmap) -> dict[str, int]:
    """Where the functions begin. Raises ValueError when the file is not whole."""
    if len(content) < _END.size:
        raise ValueError(f"expected an image of at least {_END.size} bytes, received {len(content)}: delete it")
    end = len(content) - _END.size
    size, digest = _END.unpack_from(content, end)
    if blake2b(memoryview(content)[: end + 8], digest_size=32).digest() != digest or size > end:
        raise ValueError("expected a whole image, received one that does not match its digest: delete it")
    table: dict[str, int] = json.loads(content[end - size : end])
    return table
