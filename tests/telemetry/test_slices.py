"""Threads that ask for short slices of a core."""

from __future__ import annotations

import os
import threading

import pytest

from telemetry.slices import SHORT_NS, ask_for_short_slices, slice_ns


def seen_in_a_thread(*, asks: bool) -> tuple[bool, int, int]:
    """Whether it has them then; its slice in ns; how nice it is."""
    seen: list[tuple[bool, int, int]] = []

    def run() -> None:
        seen.append((asks and ask_for_short_slices(), slice_ns(), os.getpriority(os.PRIO_PROCESS, 0)))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    (one,) = seen
    return one


def test_a_thread_that_asks_has_short_slices_and_others_keep_theirs() -> None:
    before = slice_ns()
    if not before:
        pytest.skip("this system does not tell of slices")
    has, slices, nice = seen_in_a_thread(asks=True)
    if not has:
        pytest.skip("this system does not let a thread choose")
    assert slices == SHORT_NS < before
    assert nice == os.getpriority(os.PRIO_PROCESS, 0), "it is as nice as before"
    assert seen_in_a_thread(asks=False)[1] == slice_ns() == before
