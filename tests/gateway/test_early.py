"""Memory that a burst needs first is there before it, and goes again when it was not needed."""

from __future__ import annotations

import asyncio
import sys
import threading

import numpy as np
import pytest

from gateway.early import keep_early
from gateway.ingestion.body import Buffers
from telemetry.backbone.record_memory import EARLY_BYTES, RecordMemory
from tests.telemetry.touched import share_there

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux which pages are there")
SIZE, EARLY = 1 << 20, 8


class Told:
    """Tells what it is asked for."""

    def __init__(self) -> None:
        self.asked = list[str]()
        self.given_back = asyncio.Event()

    def take_early(self) -> None:
        """It takes nothing."""
        self.asked.append("take")

    def give_back_early(self) -> None:
        self.asked.append("give back")
        self.given_back.set()


def share_of_buffers(buffers: Buffers, first: int, last: int) -> float:
    each = buffers.stride
    return share_there(buffers.text[first * each + 4096 : last * each - 4096])


def test_memory_is_taken_and_given_back_when_it_was_not_used() -> None:
    buffers, records = Buffers(SIZE, 20, early=EARLY), RecordMemory()
    place = np.frombuffer(records.take(EARLY_BYTES, 0), np.uint8)
    records.touched = 0  # it is only looked at
    buffers.give_back_early()  # the allocator may have given memory that was used before
    behind = share_of_buffers(buffers, EARLY + 2, 20)

    def look() -> tuple[float, float]:
        return share_of_buffers(buffers, 1, EARLY), share_there(place)

    assert look() == (0, 0)
    for memory in (buffers, records):
        taken = memory.take_early()
        assert taken is not None
        assert taken.wait(10)
    assert look() == (1, 1)
    for memory in (buffers, records):
        memory.give_back_early()
    assert look() == (0, 0)
    assert share_of_buffers(buffers, EARLY + 2, 20) == behind, "expected no more than the first ones to be taken"
    assert share_of_buffers(buffers, 0, 1) == 1, "expected the next one to stay"


def test_early_memory_is_asked_for_at_once_and_given_back_after_a_while() -> None:
    async def scenario() -> list[str]:
        keep_early([told := Told()], 0.01)
        assert told.asked == ["take"]
        await asyncio.wait_for(told.given_back.wait(), 10)
        return told.asked

    assert asyncio.run(scenario()) == ["take", "give back"]


def test_what_was_used_stays_with_what_is_in_it() -> None:
    buffers, records = Buffers(SIZE, 20, early=EARLY), RecordMemory()
    bodies = [buffers.take() for _ in range(4)]
    for body in bodies:
        buffers.view[body : body + 100] = b"b" * 100
    record = records.take(EARLY_BYTES // 2, 0)
    record[:] = b"r" * len(record)
    for memory in (buffers, records):
        taken = memory.take_early()
        assert taken is not None
        assert taken.wait(10)
        memory.give_back_early()
    assert bytes(record) == b"r" * len(record)
    assert all(bytes(buffers.view[body : body + 100]) == b"b" * 100 for body in bodies)
    assert share_of_buffers(buffers, 5, EARLY) == 0
    for body in bodies[:2]:
        buffers.give_back(body)
    buffers.give_back_early()
    assert all(bytes(buffers.view[body : body + 100]) == b"b" * 100 for body in bodies[2:])


def test_memory_that_is_given_back_when_all_of_it_was_used_stays_as_it_is() -> None:
    records = RecordMemory()
    record = records.take(EARLY_BYTES + 1, 0)
    record[:] = b"r" * len(record)
    records.give_back_early()
    assert bytes(record) == b"r" * len(record)


def test_what_another_thread_writes_while_memory_is_given_back_stays() -> None:
    records, written, size = RecordMemory(), list[memoryview](), 64 << 10

    def write() -> None:
        for _ in range(EARLY_BYTES // size):
            record = records.take(size, 0)
            record[:] = b"r" * size
            written.append(record)

    writing = threading.Thread(target=write)
    writing.start()
    while writing.is_alive():
        records.give_back_early()
    assert all(bytes(record) == b"r" * size for record in written)
