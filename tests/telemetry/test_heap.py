"""Memory that is freed and wanted again is not cleared by the system again."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from telemetry.heap import keep_freed_memory
if {kept}:
    assert keep_freed_memory()
before = 0
for round in range(20):
    if round == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [b"x" * (6 << 20) for _ in range(5)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*, kept: bool) -> int:
    """Pages that the system gave to a process that frees 30 MiB and wants them again, 18 times."""
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(kept=kept)], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_stays_for_the_next_who_wants_as_much() -> None:
    assert faults(kept=True) * 4 < faults(kept=False)


GROWING = """
import ctypes
from telemetry.heap import keep_freed_memory
assert keep_freed_memory()
end = ctypes.CDLL(None).sbrk
end.restype = ctypes.c_void_p
ends, blocks = set(), []
for _ in range(400):
    blocks.append(bytes(100_000))
    ends.add(end(0))
print(len(ends))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_the_heap_asks_for_addresses_some_times_and_not_with_each_block() -> None:
    done = subprocess.run([sys.executable, "-c", GROWING], capture_output=True, text=True, check=True)
    assert 2 <= int(done.stdout) <= 5
