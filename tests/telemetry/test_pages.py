"""Memory is taken from the system ahead of its use, by a thread, and nothing in it changes."""

from __future__ import annotations

import mmap
import sys
import threading
import time
from pathlib import Path
from typing import Any
from weakref import ref

import numpy as np
import numpy.typing as npt
import pytest

from gateway.ingestion.entries import AHEAD, FOUR, QUIET_AHEAD, Entries
from gateway.ingestion.growth import Growth
from gateway.state.atoms import AtomTable
from telemetry.pages import LARGE_PAGE_BYTES, MOST_ASKED, LargePages, QuietPages, give_back_pages, reserve, take_pages
from telemetry.rows import REVISION, START, WIDTH
from tests.telemetry.touched import share_there

SIZE = 4 << 20
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux which pages are there")


def on_large_pages(array: npt.NDArray[Any]) -> int:
    """Bytes on large pages in the mappings that this array is in, which are not those of others."""
    first, last, found, here = array.ctypes.data, array.ctypes.data + array.nbytes, 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, *rest = line.split()
        if not name.endswith(":"):
            begin, end = (int(word, 16) for word in name.split("-"))
            here = begin < last and first < end
        elif here and name == "AnonHugePages:":
            found += 1024 * int(rest[0])
    return found


def large_array(pages: int) -> npt.NDArray[np.uint64]:
    """One that begins with a large page, and whose mapping is not joined with others."""
    array = reserve(pages * LARGE_PAGE_BYTES // 8)
    if not LargePages().take(array.ctypes.data) or not on_large_pages(array):
        pytest.skip("the system has no large pages")
    return array


def mapped() -> npt.NDArray[np.uint8]:
    """Memory that nobody has used yet."""
    return np.frombuffer(mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), np.uint8)


def test_the_pages_of_an_array_are_there_when_it_is_said_so_and_hold_what_they_held() -> None:
    array = mapped()
    array[SIZE // 2] = 7
    assert share_there(array) < 1
    done = take_pages(array)
    assert done is not None
    assert done.wait(10)
    assert share_there(array) == 1
    assert array[SIZE // 2] == 7
    assert np.count_nonzero(array) == 1


def test_one_thread_takes_the_memory_of_many_arrays() -> None:
    before, arrays = set(threading.enumerate()), [mapped() for _ in range(8)]
    asked = [take_pages(array) for array in arrays]
    assert len(set(threading.enumerate()) - before) <= 1
    for done in asked:
        assert done is not None
        assert done.wait(10)
    assert [share_there(array) for array in arrays] == [1] * 8


def test_no_more_arrays_are_under_way_and_wait_than_are_allowed() -> None:
    array, asked = mapped(), list[threading.Event]()
    for _ in range(20):
        for part in [array] * (MOST_ASKED // 2) + [array[:4096]]:
            done = take_pages(part)
            assert done is not None
            asked.append(done)
        assert asked[-1].wait(10), "expected all that were asked before to be under way"
        assert sum(not done.is_set() for done in asked) <= 2 * MOST_ASKED
    for done in asked:
        assert done.wait(10)


def test_a_thread_that_takes_memory_does_not_keep_it() -> None:
    array = mapped()
    kept, done = ref(array), take_pages(array)
    assert done is not None
    assert done.wait(10)
    del array
    deadline = time.monotonic() + 10
    while kept() is not None:
        assert time.monotonic() < deadline, "somebody keeps the memory"


def test_memory_of_entries_is_there_before_they_are_used_and_no_more_than_that() -> None:
    entries = Entries(16 * AHEAD, FOUR)
    entries.take_pages(1)
    deadline = time.monotonic() + 10
    while share_there(entries.rows[:AHEAD]) < 1:
        assert time.monotonic() < deadline, "the memory of the next entries did not come"
    entries.take_pages(2)
    assert share_there(entries.rows[4 * AHEAD :]) == 0


def test_memory_of_atoms_is_there_before_they_are_used_and_no_more_than_that() -> None:
    table, begun = AtomTable(500_000), list[threading.Event | None]()
    table.take_pages = lambda rows: begun.append(take_pages(rows))
    new = np.zeros((2, WIDTH), np.int64)
    new[:, START], new[:, REVISION] = (0, 1), 1
    table.merge(new)
    (done,) = begun
    assert done is not None
    assert done.wait(10)
    assert share_there(table.rows[2:8000]) == 1
    assert share_there(table.rows[20_000:400_000]) == 0


def test_entries_take_no_memory_that_was_used_before() -> None:
    used = [np.ones(33_000_000, np.uint8)]
    used.clear()  # from now on the allocator keeps tens of megabytes that come back
    blocks = [bytes(100_000) for _ in range(600)]
    blocks.clear()
    assert share_there(Entries(1 << 20, FOUR).rows) == 0


def test_in_a_quiet_time_memory_is_taken_for_the_next_entries_and_for_the_next_slots() -> None:
    growth = Growth(1 << 20, FOUR)
    entries, (start, stop) = Entries(1 << 20, FOUR, growth.behind, QuietPages(lambda: 0.0)), growth.next_words()
    start, stop = 4 * start, 4 * stop  # slots of a later step, which are worth it
    entries.take_quiet_pages(1)
    entries.take_quiet_pages_of_slots(start, stop)
    wanted = [entries.rows[1 : 1 + QUIET_AHEAD], entries.flat[start:stop]]
    deadline = time.monotonic() + 10
    while min(map(share_there, wanted)) < 0.99:  # the page at an end is that of others too
        assert time.monotonic() < deadline, "the memory did not come"
    assert share_there(entries.rows[QUIET_AHEAD + 2000 :]) < 0.9  # large pages reach behind the end


def test_memory_of_slots_is_taken_evenly_before_they_come_and_all_of_it_when_they_do() -> None:
    growth = Growth(1 << 20, FOUR)
    start, stop = growth.next_words()
    shares = [(growth.soon(used)[1] - start) / (stop - start) for used in range(0, growth.slots // 2, 100)]
    assert shares[0] == 0
    assert shares[-1] == 1
    assert shares == sorted(shares)
    assert np.diff(shares).max() < 0.02


def test_memory_is_taken_in_a_quiet_time_and_not_while_the_process_works() -> None:
    array, looks = mapped(), 0
    works, looked = threading.Event(), threading.Event()
    works.set()

    def used_seconds() -> float:
        """A whole core is used as long as it works."""
        nonlocal looks
        looks += 1
        if looks == 4:
            looked.set()
        return time.monotonic() if works.is_set() else 0

    pages = QuietPages(used_seconds)
    pages.want(array)
    assert looked.wait(10), "the thread did not look for a quiet time"
    assert share_there(array) == 0
    works.clear()
    deadline = time.monotonic() + 10
    while share_there(array) < 1:
        assert time.monotonic() < deadline, "the memory did not come in a quiet time"


def test_the_thread_ends_with_those_it_works_for() -> None:
    looked = threading.Event()

    def used_seconds() -> float:
        looked.set()
        return time.monotonic()

    before, pages = set(threading.enumerate()), QuietPages(used_seconds)
    pages.want(mapped())
    assert looked.wait(10), "the thread did not look for a quiet time"
    (thread,) = set(threading.enumerate()) - before
    del pages
    thread.join(10)
    assert not thread.is_alive()


def test_after_a_dear_large_page_four_times_as_much_as_before_is_taken_in_small_ones() -> None:
    array, pages = large_array(8), LargePages(dear_seconds=0.0)
    places = [array.ctypes.data + row * LARGE_PAGE_BYTES for row in range(8)]
    assert [pages.take(place) for place in places] == [True, False, False, False, False, True, False, False]
    assert all(LargePages(dear_seconds=60.0).take(place) for place in places)


def test_memory_is_taken_in_large_pages_where_they_are_asked_for() -> None:
    """Once they are not dear any more; the first one is large in any case."""
    array = large_array(6)
    for _ in range(100):
        give_back_pages(array)
        done = take_pages(array, large=True)
        assert done is not None
        assert done.wait(10)
        assert share_there(array) == 1
        if on_large_pages(array) > LARGE_PAGE_BYTES:
            return
    pytest.fail("no memory came in large pages")


def test_in_a_quiet_time_what_is_there_moves_to_large_pages_and_stays_as_it_is() -> None:
    array = large_array(9)
    array[:] = np.arange(len(array))
    before = on_large_pages(array)
    pages = QuietPages(lambda: 0.0)
    pages.want_large(array[1000:])
    deadline = time.monotonic() + 20
    while on_large_pages(array) < before + 8 * LARGE_PAGE_BYTES:
        assert time.monotonic() < deadline, f"{on_large_pages(array)} bytes are on large pages, {before} were before"
        assert (array == np.arange(len(array))).all()
    assert (array == np.arange(len(array))).all()
