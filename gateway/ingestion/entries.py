"""What is known of each key: a ring of entries in flat memory, which slots find (see gateway.ingestion.slots)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from telemetry.pages import LARGE_PAGE_BYTES, QuietPages, reserve, take_pages

U64 = npt.NDArray[np.uint64]
FOUR = 4  # words of an entry that is a trade's key
LOW, HIGH, PRINT, SEQ = range(FOUR)  # the words that every entry begins with
LINE = 8  # words: the memory is of whole lines of the processor's caches
_LARGE = LARGE_PAGE_BYTES // 8  # words whose memory is taken together: those of a large page
AHEAD = 1 << 17  # entries whose memory is taken before they come
# Those of so many, at least and at most, are taken in quiet times: of as many as were used.
QUIET_AHEAD, MOST_QUIET_AHEAD = 3 << 17, 1 << 21


class Entries:
    """A ring of entries of some 64-bit words, and memory `behind` it for slots, which may also be where entries will
    come later. It is reserved at once, and used only as it fills."""

    def __init__(self, size: int, words: int, behind: int = 0, quiet_pages: QuietPages | None = None) -> None:
        self.size, self.words = size, words
        self.flat: U64 = reserve(-(-(size * words + behind) // LINE) * LINE)  # the ring's words first
        self.rows: U64 = self.flat[: size * words].reshape(size, words)
        self.view = self.flat.data  # plain integers, quicker for a few
        self._taken = 0  # entries whose memory is there
        self._wanted = 0  # those whose memory is there after a quiet time
        self._slots_taken = self._slots_wanted = 0  # the same of slots, in words
        self._slots_joined = 0  # where those begin that are on large pages after a quiet time
        self._quiet_pages = quiet_pages or QuietPages()

    def take_pages(self, used: int) -> None:
        """Have the memory of the next entries ready, when so many were ever used."""
        if used + AHEAD > self._taken < self.size:
            start, self._taken = self._taken, min(self._taken + 2 * AHEAD, self.size)
            take_pages(self.rows[start : self._taken])

    def take_quiet_pages(self, used: int) -> None:
        """Have the memory of more entries ready after a quiet time, when so many were ever used."""
        ahead = min(max(used, QUIET_AHEAD), MOST_QUIET_AHEAD)
        if used + ahead // 2 >= self._wanted < self.size:
            start, self._wanted = max(self._wanted, used), min(used + ahead, self.size)
            self._quiet_pages.want(self.rows[start : self._wanted])

    def take_pages_of_slots(self, start: int, stop: int) -> None:
        """Have the memory of these words ready, from where it is, when it is worth a thread."""
        start, stop = max(start // _LARGE * _LARGE, self._slots_taken), -(-stop // _LARGE) * _LARGE
        if stop - start >= _LARGE:
            self._slots_taken = stop
            take_pages(self.flat[start:stop], large=True)

    def take_quiet_pages_of_slots(self, start: int, stop: int) -> None:
        """Have the memory of these words ready after a quiet time, from where it is."""
        if stop > self._slots_wanted:
            start, self._slots_wanted = max(start // _LARGE * _LARGE, self._slots_wanted), -(-stop // _LARGE) * _LARGE
            stop = self._slots_wanted
            self._quiet_pages.want(self.flat[start:stop], large=True)

    def want_large_pages_of_slots(self, start: int, stop: int) -> None:
        """Have these words on large pages after a quiet time: each of them is as likely to be the next one, and where
        a small page is takes as long to find as what is in it."""
        if start != self._slots_joined:
            self._slots_joined = start
            self._quiet_pages.want_large(self.flat[start:stop])

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
