"""The record: what goes in comes out, and no single damaged byte passes."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.backbone.record import (
    KEY_ENTRY,
    REQUEST_ENTRY,
    About,
    Buffer,
    decode_record,
    encode_record,
    find_records,
    iterate_records,
    write_record,
)
from telemetry.errors import InvalidInput


def example(first_seq: int = 7, frame: Buffer | Sequence[Buffer] = b"columns", count: int = 3) -> bytes:
    """A record with one request and two keys."""
    requests, keys = np.zeros(1, REQUEST_ENTRY), np.zeros(2, KEY_ENTRY)
    requests[0] = ((1, 2), (3, 4), 5, 6, 7, 8, 9, 0)
    keys[1] = ((10, 11), 12, 13, 0)
    return encode_record(
        About(first_seq, first_seq - 1, count, -5, 10**18),
        frame=frame,
        requests=requests.tobytes(),
        keys=keys.tobytes(),
    )


def test_a_frame_in_pieces_makes_the_same_record() -> None:
    pieces: list[Buffer] = [b"col", memoryview(b"um"), bytearray(), np.frombuffer(b"ns", np.uint8).data]
    assert example(frame=pieces) == example()


class Written:
    """Bytes that are made where they stay."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __len__(self) -> int:
        return len(self._content)

    def write(self, out: memoryview) -> None:
        """All of them."""
        out[:] = self._content


def test_a_record_that_is_written_piece_by_piece_is_the_same() -> None:
    whole = decode_record(example())
    assert whole is not None
    keys = bytes(whole.key_bytes)
    raw = write_record(
        About(whole.first_seq, whole.synced_seq, whole.count, whole.min_timestamp, whole.max_timestamp),
        requests=whole.requests.tobytes(),
        keys=[Written(keys[:32]), Written(keys[32:])],
        frame=[b"col", memoryview(b"um"), bytearray(), np.frombuffer(b"ns", np.uint8).data],
    )
    assert raw == example()


def test_the_layout_is_the_one_drawn() -> None:
    raw = example()
    assert raw[:8] == b"TTRECORD"
    assert raw[12:16] == (64 + 2 * 32 + 7).to_bytes(4, "little")
    assert raw[16:24] == (7).to_bytes(8, "little")
    assert raw[24:32] == (6).to_bytes(8, "little")
    assert raw[32:40] == (-5).to_bytes(8, "little", signed=True)
    assert raw[48:60] == b"\3\0\0\0\1\0\0\0\2\0\0\0"
    assert raw[60:64] == b"\1\1\0\0"
    assert raw[64 + 64 + 64 : 64 + 64 + 64 + 7] == b"columns"
    assert len(raw) == 256
    assert (REQUEST_ENTRY.itemsize, KEY_ENTRY.itemsize) == (64, 32)


@given(frame=st.binary(max_size=300), offset=st.integers(0, 3), count=st.integers(0, 2**32 - 1))
def test_what_is_encoded_is_decoded(frame: bytes, offset: int, count: int) -> None:
    record = decode_record(bytes(64 * offset) + example(2**40, frame, count), 64 * offset)
    assert record is not None
    assert (record.first_seq, record.last_seq, record.count) == (2**40, 2**40 + count - 1, count)
    assert (record.synced_seq, record.min_timestamp, record.max_timestamp) == (2**40 - 1, -5, 10**18)
    assert list(record.request_rows()) == [(1, 2, 3, 4, 5, 6, 7, 8, 9)]
    assert record.requests["fingerprint"].tolist() == [[3, 4]]
    assert [record.requests[name][0] for name in ("accepted", "duplicates", "first_row", "rows")] == [5, 6, 7, 8]
    assert record.key_bytes == record.keys.tobytes()
    assert record.keys["digest"].tolist() == [[0, 0], [10, 11]]
    assert bytes(record.frame) == frame


@given(st.binary(max_size=5000))
def test_the_checksum_is_the_crc32_that_everybody_computes(frame: bytes) -> None:
    raw = example(frame=frame)
    checked = raw[12 : 64 + 64 + 2 * 32 + len(frame)]
    assert raw[8:12] == zlib.crc32(checked).to_bytes(4, "little")


def test_entries_and_frame_are_read_in_place_and_cannot_be_written() -> None:
    buffer = bytearray(example())
    record = decode_record(buffer)
    assert record is not None
    assert not record.keys.flags.owndata
    assert not record.keys.flags.writeable
    assert record.frame.readonly
    buffer[64 + 64 + 32 : 64 + 64 + 40] = (99).to_bytes(8, "little")
    assert record.keys["digest"][1, 0] == 99


def test_every_single_changed_bit_of_a_record_is_noticed() -> None:
    raw = example()
    for position in range(len(raw)):
        for bit in range(8):
            damaged = bytearray(raw)
            damaged[position] ^= 1 << bit
            assert decode_record(damaged) is None, f"byte {position} bit {bit}"


def test_a_record_cut_short_anywhere_is_no_record() -> None:
    raw = example()
    assert all(decode_record(raw[:length]) is None for length in range(len(raw)))


@given(st.binary(max_size=400))
def test_other_bytes_are_no_record(noise: bytes) -> None:
    assert decode_record(noise) is None
    assert decode_record(b"TTRECORD" + noise) is None


def test_records_back_to_back_are_iterated_in_order() -> None:
    body = example(1) + example(4, b"x" * 500) + example(7)
    assert [record.first_seq for record in iterate_records(memoryview(body))] == [1, 4, 7]
    assert list(iterate_records(b"")) == []


def test_a_damaged_record_in_a_body_names_its_offset() -> None:
    body = bytearray(example(1) + example(4))
    body[300] ^= 1
    with pytest.raises(InvalidInput, match="at byte 256 of 512"):
        list(iterate_records(body))


def test_a_search_finds_good_records_between_garbage_on_64_byte_boundaries_only() -> None:
    chance = random.Random(5)
    good = example()
    content = chance.randbytes(128) + good + b"TTRECORD" + bytes(56) + good + bytes(32) + good
    assert [offset for offset, _ in find_records(content, 0)] == [128, 448]
