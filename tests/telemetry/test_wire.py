"""The envelope of messages: what was not written by `encode` is refused, whatever it is."""

from __future__ import annotations

import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry import wire
from telemetry.errors import InvalidInput

LEASE = wire.LeaseHead(epoch=2**64 - 1, attempt=3, first=10, last=12)
BEAT = wire.Heartbeat("w", 1, "ipc:///x", 42, "1", 7)
PARTIAL = wire.PartialHead(1, 2, 3, 4, "w", 1, "1", 2, 5, 6, 7)
SHARED = (
    wire.LeaseHead(1, 2, 3, 4, (4096, 70_000)),
    wire.PartialHead(1, 2, 3, 4, "w", 1, "1", 2, 5, 6, 7, (1, 2**32 - 1)),
)


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        (wire.Kind.LEASE, LEASE),
        (wire.Kind.HEARTBEAT, BEAT),
        (wire.Kind.PARTIAL, PARTIAL),
        (wire.Kind.LEASE, SHARED[0]),
        (wire.Kind.PARTIAL, SHARED[1]),
        (wire.Kind.HEARTBEAT, wire.Heartbeat("w", 1, "ipc:///x", 42, "1", 7, 9, bytes(16))),
    ],
)
def test_a_message_comes_back_as_it_was_sent(kind: wire.Kind, head: wire.Head) -> None:
    found = wire.decode(wire.encode(kind, head, b"abc", memoryview(b"defgh")))
    assert (found[0], found[1], bytes(found[2])) == (kind, head, b"abcdefgh")


def test_a_hello_of_a_worker_without_shared_memory_is_what_it_was_before_there_was_any() -> None:
    packed = {"worker": "w", "generation": 1, "endpoint": "ipc:///x", "pid": 42, "version": "1", "done": 7}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(BEAT)) == packed
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(packed), type=wire.Heartbeat) == BEAT


def test_the_body_begins_on_a_multiple_of_eight_bytes() -> None:
    for name in ("w", "ww", "www", "wwwwwwwww"):
        message = wire.encode(wire.Kind.HEARTBEAT, wire.Heartbeat(name, 1, "", 1, "1", 1), b"body")
        assert message.index(b"body") % 8 == 0


@given(st.integers(0, 1000), st.integers(1, 255))
def test_every_changed_byte_of_a_partial_is_noticed(position: int, change: int) -> None:
    message = bytearray(wire.encode(wire.Kind.PARTIAL, PARTIAL, bytes(range(200))))
    message[position % len(message)] ^= change
    with pytest.raises(InvalidInput):
        wire.decode(bytes(message))


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_never_another_error(garbage: bytes) -> None:
    with pytest.raises(InvalidInput):
        wire.decode(garbage)


def test_a_pickle_is_refused_and_not_loaded() -> None:
    with pytest.raises(InvalidInput, match="version"):
        wire.decode(pickle.dumps({"epoch": 1, "padding": "x" * 50}))


def test_every_truncation_is_refused() -> None:
    message = wire.encode(wire.Kind.PARTIAL, PARTIAL, b"body" * 8)
    for length in range(len(message)):
        with pytest.raises(InvalidInput):
            wire.decode(message[:length])
