"""The compiled library: made once, loaded whole or not at all, and strict about what it is called with."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from telemetry.compiled import image, library
from telemetry.compiled.linking import link
from telemetry.decode_compiled import available

pytestmark = pytest.mark.skipif(not available() or library.load() is None, reason="there is no compiled library")


def names() -> dict[str, int]:
    directory = library.cache_directory()
    assert directory is not None
    return image.places((directory / "functions.image").read_bytes())


@pytest.fixture
def absorb() -> Callable[..., int]:
    function: Callable[..., int] = import_module("telemetry.compiled.merging").absorb
    return function


def matrix(dtype: Any = np.int64) -> np.ndarray[Any, Any]:
    return np.zeros((2, 64), dtype)


def test_every_entry_is_in_the_library_and_nothing_else_can_be_called() -> None:
    modules = ("columns.collect", "merging.absorb", "scanner.scan_columns", "scanner.scan_rows", "table.claim")
    assert {f"telemetry.compiled.{name}" for name in modules} <= names().keys()


def frozen() -> np.ndarray[Any, Any]:
    array = matrix()
    array.flags.writeable = False
    return array


WRONG: dict[str, Any] = {
    "no array": "text",
    "a list": [[0]],
    "another type": matrix(np.float64),
    "another sign": matrix(np.uint64),
    "another order of bytes": matrix(np.dtype(">i8")),
    "fewer dimensions": matrix()[0],
    "not contiguous": matrix()[:, ::2],
    "the other way around": matrix().T,
    "not writable": frozen(),
    "nothing": None,
}


@pytest.mark.parametrize("kind", WRONG)
def test_an_array_of_another_kind_is_refused_before_anything_is_touched(absorb: Callable[..., int], kind: str) -> None:
    with pytest.raises(TypeError, match=r"absorb.*(received|arguments)"):
        absorb(WRONG[kind], np.zeros(2, np.int64), matrix())


def test_too_few_and_too_many_arguments_are_refused(absorb: Callable[..., int]) -> None:
    for count in (0, 2, 4):
        with pytest.raises((TypeError, ctypes.ArgumentError)):
            absorb(*[matrix()] * count)


def test_an_image_that_is_not_whole_is_not_loaded(tmp_path: Path) -> None:
    whole = image.write(bytes(range(256)), {"a": 1})
    path = tmp_path / "image"
    path.write_bytes(whole)
    library.Library(path)
    damaged = bytearray(whole)
    damaged[100] ^= 1
    for content in (whole[:-1], whole[:20], bytes(damaged)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="delete it"):
            library.Library(path)


def test_an_object_that_is_for_another_machine_is_not_linked() -> None:
    header = bytearray(64)
    header[:6] = b"\x7fELF\x02\x01"
    header[18] = 183  # AArch64
    with pytest.raises(ValueError, match="machine 62"):
        link(bytes(header))
