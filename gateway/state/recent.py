"""Keys of atoms that came lately, which are not in the sorted arrays yet, each with the place of its row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gateway.state.merging import Ints


class Recent:
    """A dict, and arrays that are put into it when somebody searches."""

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        self._fresh: list[tuple[Ints, Ints]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, keys: Ints, places: Ints) -> None:
        """Take in keys that are not there, and are not written to any more."""
        self._fresh.append((keys, places))
        self._count += len(keys)

    def places(self, keys: Ints, reserve: Callable[[int], list[int]]) -> list[int]:
        """Their places; keys that are not there are put in, at new places, in their order."""
        for some, theirs in self._fresh:
            self._places.update(zip(some.tolist(), theirs.tolist(), strict=True))
        self._fresh.clear()
        wanted = keys.tolist()
        found = [self._places.get(key, -1) for key in wanted]
        if new := [number for number, place in enumerate(found) if place < 0]:
            for number, place in zip(new, reserve(len(new)), strict=True):
                self._places[wanted[number]] = found[number] = place
        self._count = len(self._places)
        return found

    def take(self) -> tuple[Ints, Ints]:
        """All keys, ascending, and their places; none are left."""
        count = len(self._places)
        held = np.fromiter(self._places, np.int64, count), np.fromiter(self._places.values(), np.int64, count)
        keys, places = (np.concatenate(each) for each in zip(held, *self._fresh, strict=True))
        self.clear()
        order = keys.argsort()
        return keys[order], places[order]

    def clear(self) -> None:
        """Forget all."""
        self._places.clear()
        self._fresh.clear()
        self._count = 0
