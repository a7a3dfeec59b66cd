"""What is known of each key: a ring of entries in flat memory, which slots find (see gateway.ingestion.slots)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from gateway.ingestion.pages import take_pages

U64 = npt.NDArray[np.uint64]
FOUR = 4  # words of an entry that is a trade's key
LOW, HIGH, PRINT, SEQ = range(FOUR)  # the words that every entry begins with
AHEAD = 1 << 17  # entries whose memory is taken before they come


class Entries:
    """A ring of entries of some 64-bit words. Its memory is reserved at once, and used only as it fills."""

    def __init__(self, size: int, words: int) -> None:
        self.size, self.words = size, words
        self.flat: U64 = np.zeros(size * words, np.uint64)
        self.rows: U64 = self.flat.reshape(size, words)
        self.view = self.flat.data  # plain integers, quicker for a few
        self._taken = 0  # entries whose memory is there

    def take_pages(self, used: int) -> None:
        """Have the memory of the next entries ready, when so many were ever used."""
        if used + AHEAD > self._taken < self.size:
            start, self._taken = self._taken, min(self._taken + 2 * AHEAD, self.size)
            take_pages(self.rows[start : self._taken])

    def spans(self, number: int, count: int) -> list[tuple[int, int]]:
        """The places of so many entries from the one with this number on: one span, or two around the ring's end."""
        start = number % self.size
        stop = start + count
        return [(start, stop)] if stop <= self.size else [(start, self.size), (0, stop - self.size)]

    def write(self, number: int, block: U64) -> None:
        """Write the entries from `number` on."""
        for start, stop in self.spans(number, len(block)):
            self.rows[start:stop], block = block[: stop - start], block[stop - start :]

    def write_one(self, place: int, entry: Iterable[int]) -> None:
        """Write one entry."""
        view = self.view
        for at, word in enumerate(entry, place * self.words):
            view[at] = word

    def entry(self, place: int) -> Sequence[int]:
        """One entry."""
        words: Sequence[int] = self.view[place * self.words : (place + 1) * self.words].tolist()
        return words
