"""Appending to a file past the page cache: the same bytes as by writing, wherever they begin and end."""

from __future__ import annotations

import errno
import mmap
import os
import random
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any

import numpy as np
import pytest

from telemetry.backbone.disk import DiskFiles, OpenFile
from telemetry.backbone.large_pages import on_large_pages
from telemetry.backbone.past_cache import Buffers
from telemetry.backbone.record_memory import BLOCK_BYTES, EARLY_BYTES, MOST_BYTES, RecordMemory, blocks_around
from telemetry.pages import LARGE_PAGE_BYTES
from tests.telemetry.touched import share_there

SIZE = 3 << 20


@contextmanager
def created(path: Path, size: int = SIZE) -> Iterator[OpenFile]:
    file = DiskFiles().create(path, size)
    try:
        yield file
    finally:
        file.close()


@contextmanager
def opened(path: Path) -> Iterator[OpenFile]:
    file = DiskFiles().open(path)
    try:
        yield file
    finally:
        file.close()


def address_of(data: memoryview) -> int:
    return int(np.frombuffer(data, np.uint8).ctypes.data)


def is_in_memory(path: Path, offset: int) -> bool:
    """Whether the page cache has this byte."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT) == 1
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            pytest.skip("this file system does not tell what is in the page cache")
        if error.errno == errno.EAGAIN:
            return False
        raise
    finally:
        os.close(descriptor)


def test_appends_of_any_size_read_as_what_was_written_with_zeros_behind(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance, path, expected = random.Random(seed), tmp_path / "file", bytearray(SIZE)
    end = 0
    with created(path) as file:
        for size in (
            1,
            63,
            BLOCK_BYTES,
            5 * BLOCK_BYTES + 64,
            (1 << 20) + 77,
            *(chance.randrange(1, 9000) for _ in range(90)),
        ):
            data = chance.randbytes(size)
            file.append(end, data)
            expected[end : end + size] = data
            end += size
            assert path.read_bytes() == expected
    assert end < SIZE


def test_whole_blocks_in_memory_of_whole_pages_and_others_follow_each_other(tmp_path: Path) -> None:
    path, pages = tmp_path / "file", mmap.mmap(-1, 2 * BLOCK_BYTES)
    pages[:] = bytes(range(256)) * (2 * BLOCK_BYTES // 256)
    whole = memoryview(pages)
    parts: list[bytes | memoryview] = [whole, b"a" * 100, whole[: BLOCK_BYTES - 100], whole]
    parts += [whole[64 : 64 + BLOCK_BYTES], whole[:BLOCK_BYTES]]
    with created(path) as file:
        for number, part in enumerate(parts):
            file.append(sum(map(len, parts[:number])), part)
    assert path.read_bytes() == b"".join(parts).ljust(SIZE, b"\0")


def test_records_are_written_from_where_they_were_made_whatever_comes_between(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance, path, expected = random.Random(seed), tmp_path / "file", bytearray(SIZE)
    memory, end = RecordMemory(), 0
    with created(path) as file:
        for number in range(60):
            data = chance.randbytes(64 * chance.choice((1, 63, 64, 65, 200, 1000)))
            placed = memory.take(len(data), end + 64 * chance.choice((0, 0, 0, 0, 1)))  # seldom for another offset
            around = blocks_around(placed, end)
            if around is not None:
                around[:] = bytes([number]) * len(around)  # what another record has left there
            placed[:] = data
            if number == 30:
                file.write(end, b"x" * 64)  # something else, then
                data = b"x" * 64
            else:
                file.append(end, placed if number % 5 else data)
            expected[end : end + len(data)] = data
            end += len(data)
            assert path.read_bytes() == expected
    assert end < SIZE


def test_a_record_in_memory_that_lies_as_in_its_file_is_not_copied() -> None:
    offset, memory = 5 * BLOCK_BYTES + 192, RecordMemory()
    record = memory.take(10_000, offset)
    blocks = blocks_around(record, offset)
    assert blocks is not None
    assert len(blocks) == 3 * BLOCK_BYTES
    record[:3] = b"abc"
    assert bytes(blocks[192:195]) == b"abc", "the same memory"
    assert address_of(blocks) % BLOCK_BYTES == 0
    for other in (record[64:], record[:-BLOCK_BYTES], memoryview(bytes(10_000))):
        assert blocks_around(other, offset) is None
    assert blocks_around(record, offset + 64) is None


def test_memory_of_records_is_bounded_and_free_again_when_nobody_has_it() -> None:
    memory, count = RecordMemory(), 12
    size = MOST_BYTES // count
    held = [memory.take(size, 0) for _ in range(count)]
    places = [address_of(one) for one in held]
    assert len(set(places)) == len(places)
    assert all(blocks_around(one, 0) is not None for one in held)
    assert blocks_around(memory.take(size, 0), 0) is None, "expected other memory when all is taken"
    assert len(memory.take(MOST_BYTES + 1, 0)) == MOST_BYTES + 1
    views = [np.frombuffer(one, np.uint8)[5:] for one in held[3:5]]
    del held[3:5]
    assert blocks_around(memory.take(size, 0), 0) is None, "expected what a view is of to be taken still"
    views.clear()
    again = [memory.take(size, 0), memory.take(size, 0)]
    assert [address_of(one) for one in again] == places[3:5]


def test_memory_of_records_that_was_used_before_is_used_again_before_more_is() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance, memory, most = random.Random(seed), RecordMemory(), 40 * BLOCK_BYTES
    kept: deque[memoryview] = deque()
    for number in range(1000):
        record = memory.take(chance.randrange(1, most), 64 * chance.randrange(1000))
        record[:] = bytes([number % 256]) * len(record)
        kept.append(record)
        if len(kept) > 5:
            kept.popleft()
        assert [one[0] for one in kept] == [one[-1] for one in kept], "expected nobody to write into what others have"
    assert memory.touched <= 13 * (most + BLOCK_BYTES), "expected about as much as six records and as many gaps take"


def test_memory_that_others_let_go_in_any_order_is_used_again_and_nobody_writes_into_what_some_have() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance, memory, gone = random.Random(seed), RecordMemory(), SimpleQueue[memoryview | None]()

    def let_go() -> None:
        while gone.get() is not None:
            pass

    thread = threading.Thread(target=let_go)
    thread.start()
    kept: list[tuple[int, memoryview]] = []
    for number in range(3000):
        record = memory.take(chance.choice((1, 5, 50)) * chance.randrange(1, 40 << 10), 64 * chance.randrange(1000))
        record[:] = bytes([number % 256]) * len(record)
        kept.append((number % 256, record[len(record) // 2 :]))
        while len(kept) > 60 or chance.random() < 0.4:
            mark, view = kept.pop(chance.randrange(len(kept)) if chance.random() < 0.5 else 0)
            assert bytes(view) == bytes([mark]) * len(view)
            gone.put(view)
            del view
            if not kept:
                break
    gone.put(None)
    thread.join()
    assert memory.touched < MOST_BYTES, "expected what was let go to be used again"


def steps_of(call: Callable[[], object]) -> int:
    """The lines of Python that it takes."""
    steps, before = 0, sys.gettrace()

    def count(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal steps
        steps += event == "line"
        return count

    sys.settrace(count)
    call()
    sys.settrace(before)
    return steps


def test_memory_for_a_record_is_found_in_as_few_steps_when_thousands_are_kept_as_when_a_few_are() -> None:
    for count in (10, 5000):
        memory, kept = RecordMemory(), deque[memoryview]()
        for _ in range(count):
            kept.append(memory.take(3 * BLOCK_BYTES, 0))
        take = partial(memory.take, 3 * BLOCK_BYTES, 0)
        for _ in range(20):
            kept.popleft()
            assert steps_of(take) < 60
            kept.append(take())


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux which pages are there")
def test_memory_of_the_first_records_is_there_before_they_need_it() -> None:
    memory = RecordMemory()
    early = memory.take(EARLY_BYTES, 0)
    assert share_there(np.frombuffer(early, np.uint8)) == 0
    done = memory.take_early()
    assert done is not None
    assert done.wait(10)
    assert share_there(np.frombuffer(early, np.uint8)) == 1
    assert share_there(np.frombuffer(memory.take(LARGE_PAGE_BYTES, 0), np.uint8)) == 0, "expected no more than that"


def test_what_one_file_left_in_memory_does_not_come_into_the_next_one(tmp_path: Path) -> None:
    files, paths = DiskFiles(), [tmp_path / "one", tmp_path / "other"]
    for path, byte in zip(paths, (b"a", b"b"), strict=True):
        file = files.create(path, SIZE)
        file.write(0, byte * 30)
        file.append(30, byte * (BLOCK_BYTES + 1))
        file.close()
    for path, byte in zip(paths, (b"a", b"b"), strict=True):
        assert path.read_bytes() == (byte * (BLOCK_BYTES + 31)).ljust(SIZE, b"\0")


def test_an_append_goes_on_in_the_middle_of_a_block_of_a_file_that_was_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with created(path) as file:
        file.append(0, b"a" * 100)
    with opened(path) as file:
        file.append(100, b"b" * 100)
    assert path.read_bytes() == (b"a" * 100 + b"b" * 100).ljust(SIZE, b"\0")


def test_an_append_keeps_what_was_written_before_it_into_the_same_block(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with created(path) as file:
        file.append(0, b"a" * 100)
        file.write(50, b"b" * 50)
        file.append(100, b"c" * 100)
    assert path.read_bytes() == (b"a" * 50 + b"b" * 50 + b"c" * 100).ljust(SIZE, b"\0")


def test_a_file_does_not_grow_by_an_append_into_its_last_block(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with created(path, BLOCK_BYTES + 100) as file:
        file.append(BLOCK_BYTES, b"a" * 100)
    assert path.read_bytes() == bytes(BLOCK_BYTES) + b"a" * 100


def test_what_is_appended_takes_no_page_of_the_cache(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with created(path) as file:
        file.write(0, b"a" * BLOCK_BYTES)
        file.sync()
        if not is_in_memory(path, 0):
            pytest.skip("this file system keeps nothing in the page cache")
        file.append(BLOCK_BYTES, b"a" * BLOCK_BYTES)
        assert not is_in_memory(path, BLOCK_BYTES)


def flags_of(memory: memoryview) -> tuple[set[str], int]:
    """What Linux was told of the memory that begins here, see proc(5), and how many bytes it is."""
    address = np.frombuffer(memory, np.uint8).ctypes.data
    is_there, size = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if found := re.match("([0-9a-f]+)-([0-9a-f]+) ", line):
            size = int(found[2], 16) - address
            is_there = int(found[1], 16) <= address and size > 0
        elif is_there and line.startswith("VmFlags:"):
            return set(line.split()[1:]), size
    raise AssertionError("no such memory")


def test_memory_on_large_pages_begins_with_one_and_is_zero_to_its_last_byte() -> None:
    for size in (1, BLOCK_BYTES, LARGE_PAGE_BYTES, 3 * LARGE_PAGE_BYTES + 5):
        memory = on_large_pages(size)
        assert bytes(memory) == bytes(size)
        memory[:] = b"a" * size
        assert np.frombuffer(memory, np.uint8).ctypes.data % LARGE_PAGE_BYTES == 0


@pytest.mark.skipif(
    sys.platform != "linux" or not Path("/sys/kernel/mm/transparent_hugepage").exists(),
    reason="this system has no large pages",
)
def test_appends_come_from_memory_for_which_large_pages_were_asked() -> None:
    assert "hg" in flags_of(Buffers().take())[0]


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what memory there is")
def test_memory_on_large_pages_holds_all_of_its_last_one_which_is_a_small_one_else() -> None:
    kept = [on_large_pages(size) for size in (1, 1 << 20, LARGE_PAGE_BYTES + 1)]
    for memory in kept:
        _, size = flags_of(memory)
        assert size >= -(-len(memory) // LARGE_PAGE_BYTES) * LARGE_PAGE_BYTES
