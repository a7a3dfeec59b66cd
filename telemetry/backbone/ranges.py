"""A set of sequence numbers, kept as few ranges: sorted, disjoint, never adjacent; both ends belong to a range."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Range = tuple[int, int]


class Ranges:
    """`add` and `remove` cost O(log n) plus the ranges that they touch."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def __len__(self) -> int:
        return len(self._firsts)

    def __iter__(self) -> Iterator[Range]:
        return iter(zip(self._firsts, self._lasts, strict=True))

    def __contains__(self, seq: int) -> bool:
        index = bisect_right(self._firsts, seq) - 1
        return index >= 0 and seq <= self._lasts[index]

    @property
    def total(self) -> int:
        """How many sequence numbers there are."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def lowest(self) -> Range | None:
        """The range that begins first."""
        return (self._firsts[0], self._lasts[0]) if self._firsts else None

    def add(self, first: int, last: int) -> None:
        """Add [first, last]; what overlaps or touches it becomes one range with it."""
        low = bisect_left(self._lasts, first - 1)
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first, last = min(first, self._firsts[low]), max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]

    def remove(self, first: int, last: int) -> None:
        """Take [first, last] out, as far as it is in."""
        low, high = self._touching(first, last)
        if low == high:
            return
        kept = [(self._firsts[low], first - 1), (last + 1, self._lasts[high - 1])]
        kept = [(a, b) for a, b in kept if a <= b]
        self._firsts[low:high] = [a for a, _ in kept]
        self._lasts[low:high] = [b for _, b in kept]

    def inside(self, first: int, last: int) -> list[Range]:
        """The parts of [first, last] that are in the set."""
        low, high = self._touching(first, last)
        return [(max(first, self._firsts[k]), min(last, self._lasts[k])) for k in range(low, high)]

    def outside(self, first: int, last: int) -> list[Range]:
        """The parts of [first, last] that are not in the set."""
        gaps = []
        for a, b in self.inside(first, last):
            if first < a:
                gaps.append((first, a - 1))
            first = b + 1
        if first <= last:
            gaps.append((first, last))
        return gaps

    def _touching(self, first: int, last: int) -> tuple[int, int]:
        return bisect_left(self._lasts, first), bisect_right(self._firsts, last)
