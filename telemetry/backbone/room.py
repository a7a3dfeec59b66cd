"""Memory that a worker shares with the gateway: a lease is written where it is read, and its partial behind it.

    offset    size
     0        16   nonce: random, said in the hello; who finds it has opened this room and no other
    16             zeros up to HEAD_BYTES
    HEAD_BYTES     SLOTS slots of SLOT_BYTES each: the records of a lease; behind them, on a multiple of 64, its partial

A worker makes a room for each of its generations, without a name in any file system: whoever is killed leaves nothing
behind. The gateway opens it by /proc/PID/fd. Where that is not possible (another machine, user or container, another
system) and for what is small or does not fit, records and partials are in the messages as if there were no room.
Memory is only taken by pages that were written to; the size is sealed, so that reading can never fail.

What makes it safe, and who keeps to it:

* The gateway alone gives slots. A slot is one attempt's from `place` until the partial of exactly that attempt came
  back from this generation (`take`, `release`), or until the generation is over: then the whole room is, and no slot of
  it is ever given again. An attempt that was leased again elsewhere keeps its slot until its own partial is here.
* A worker reads and writes nothing but the slot of a lease that it has not answered.
* A room is for one connection. A worker that has not noticed yet that it was given up may still read its slots while
  the gateway connects to it again: a room into which another connection has written is left alone.
* Attempts are unique within an epoch, so that no slot is given or freed in another one's name; and what the gateway
  takes is copied before it is checked. So nobody ever reads what another one is writing.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Sequence
from contextlib import suppress
from mmap import mmap
from typing import Self

from isal.isal_zlib import crc32

from telemetry.backbone import memfd
from telemetry.errors import InvalidInput
from telemetry.wire import Buffer, Heartbeat, Place

NAME = "telemetry-room"
NONCE_BYTES = 16
HEAD_BYTES = 4096
SLOTS = 16  # the largest window; those that are free longest are never written to, so they take no memory
SLOT_BYTES = 16 << 20
LEASE_BYTES = SLOT_BYTES // 2  # the most that records may take, so that there is room for the partial
ROOM_BYTES = HEAD_BYTES + SLOTS * SLOT_BYTES
FROM_BYTES = 16 << 10  # what is smaller is in the message, which costs less
PIECE_BYTES = 2 << 10  # pieces that are smaller on average are joined first, which costs less
ALIGN = 64


class Answer:
    """Where the partial of one lease goes. `write` says where it is, None: not here."""

    def __init__(self, room: WorkerRoom, space: memoryview) -> None:
        self._room, self._space = room, space

    def write(self, pieces: Sequence[Buffer]) -> Place | None:
        """Length and crc32 of the partial; None when it is small, does not fit or the generation is over."""
        length = sum(map(len, pieces))
        if not FROM_BYTES <= length <= len(self._space) or self._room.is_over:
            return None
        _fill(self._space[:length], pieces)
        checksum = 0
        for piece in pieces:
            checksum = crc32(piece, checksum)
        return length, checksum


class WorkerRoom:
    """A worker's own. Views of it may outlive it: the memory is there until the last of them is gone."""

    def __init__(self) -> None:
        """Raises OSError where there are no such rooms, or no memory for one."""
        if sys.platform != "linux":
            raise OSError(f"expected Linux, which has memory without a name, found {sys.platform}")
        self.is_over = False
        self.nonce = secrets.token_bytes(NONCE_BYTES)
        self.descriptor = memfd.create(NAME, ROOM_BYTES)
        try:
            memory = mmap(self.descriptor, ROOM_BYTES)
        except BaseException:
            os.close(self.descriptor)
            raise
        memory[:NONCE_BYTES] = self.nonce
        self._view = memoryview(memory)

    @classmethod
    def made(cls) -> Self | None:
        """A new one, if there are such rooms here."""
        with suppress(OSError):
            return cls()
        return None

    def lease(self, offset: int, length: int) -> tuple[memoryview, Answer]:
        """The records of a lease at its place, and where its partial goes. InvalidInput: this is no place of it."""
        slot, start = divmod(offset - HEAD_BYTES, SLOT_BYTES)
        if start or not 0 <= slot < SLOTS or not 0 <= length <= LEASE_BYTES:
            raise InvalidInput(f"expected a lease in one of {SLOTS} slots, received byte {offset}, {length} bytes")
        answer = self._view[offset + _aligned(length) : offset + SLOT_BYTES]
        return self._view[offset : offset + length].toreadonly(), Answer(self, answer)

    def close(self) -> None:
        """The generation is over: nothing more goes into it."""
        if not self.is_over:
            self.is_over = True
            os.close(self.descriptor)
            self._view = memoryview(b"")


class GatewayRoom:
    """The gateway's side of a worker's room, and who has which slot."""

    def __init__(self, memory: mmap) -> None:
        self._view = memoryview(memory)
        self._free = list(range(HEAD_BYTES, ROOM_BYTES, SLOT_BYTES))[::-1]  # the last one is taken: it was used last
        self._out: dict[int, tuple[int, int]] = {}  # attempt -> where its records begin and end
        self._is_ours = False

    @classmethod
    def opened(cls, hello: Heartbeat) -> Self | None:
        """The room that a worker told of; None: it told of none, or it is not what is expected, or of elsewhere."""
        if sys.platform == "linux" and len(hello.room_nonce) == NONCE_BYTES:
            with suppress(OSError, ValueError):
                return cls(_mapped(f"/proc/{hello.pid}/fd/{hello.room}", hello.room_nonce))
        return None

    def place(self, attempt: int, pieces: Sequence[Buffer], length: int) -> Place | None:
        """Write a lease; where it is: byte and length. None when it is small, too large, or no slot is free, or when
        the room is another connection's."""
        if not FROM_BYTES <= length <= LEASE_BYTES or not self._free or not self._entered():
            return None
        offset = self._free.pop()
        self._out[attempt] = offset, offset + length
        _fill(self._view[offset : offset + length], pieces)
        return offset, length

    def _entered(self) -> bool:
        """Whether the room is this connection's; it is who writes first."""
        if not self._is_ours and self._view[NONCE_BYTES] == 0:
            self._view[NONCE_BYTES] = 1
            self._is_ours = True
        return self._is_ours

    def release(self, attempt: int) -> None:
        """The lease was not sent after all, or its partial is in a message: the slot is free, if it had one."""
        if (taken := self._out.pop(attempt, None)) is not None:
            self._free.append(taken[0])

    def take(self, attempt: int, place: Place) -> bytes:
        """The partial of an attempt, whose slot is free then. InvalidInput: it has none, or this is no partial."""
        length, checksum = place
        offset, end = self._out.get(attempt, (0, 0))
        self.release(attempt)
        start = offset + _aligned(end - offset)
        if not offset or not 0 <= length <= offset + SLOT_BYTES - start:
            raise InvalidInput(f"expected the partial of a lease in its slot, received attempt {attempt}, {place}")
        partial = bytes(self._view[start : start + length])
        if (found := crc32(partial)) != checksum:
            raise InvalidInput(f"expected checksum {checksum:08x}, received bytes with {found:08x}")
        return partial


def _mapped(path: str, nonce: bytes) -> mmap:
    """The room behind a descriptor of another process. OSError, ValueError: it cannot be opened, or is none."""
    if not os.readlink(path).startswith(f"/memfd:{NAME}"):
        raise ValueError(f"expected a room at {path}, found {os.readlink(path)}")
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if not memfd.is_sealed(descriptor) or os.fstat(descriptor).st_size != ROOM_BYTES:
            raise ValueError(f"expected a sealed room of {ROOM_BYTES} bytes at {path}")
        memory = mmap(descriptor, ROOM_BYTES)
    finally:
        os.close(descriptor)
    if memory[:NONCE_BYTES] != nonce:
        raise ValueError(f"expected the nonce of the hello at {path}, found another one")
    return memory


def _fill(space: memoryview, pieces: Sequence[Buffer]) -> None:
    """Copy the pieces into the space, which is as long as all of them."""
    if len(space) < PIECE_BYTES * len(pieces):
        space[:] = b"".join(pieces)
        return
    at = 0
    for piece in pieces:
        space[at : at + len(piece)] = piece
        at += len(piece)


def _aligned(length: int) -> int:
    return length + -length % ALIGN
