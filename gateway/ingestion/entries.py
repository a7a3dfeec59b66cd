"""What is known of each key: a ring of entries in flat memory, which slots find (see gateway.ingestion.slots)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from gateway.ingestion.pages import QuietPages, reserve, take_pages

U64 = npt.NDArray[np.uint64]
U32 = npt.NDArray[np.uint32]
FOUR = 4  # words of an entry that is a trade's key
LOW, HIGH, PRINT, SEQ = range(FOUR)  # the words that every entry begins with
AHEAD = 1 << 17  # entries whose memory is taken before they come
# Those of so many, at least and at most, are taken in quiet times: of as many as were used.
QUIET_AHEAD, MOST_QUIET_AHEAD = 3 << 17, 1 << 21
CROWDED = 0.75  # of the slots that find these entries, never more are in use


class Entries:
    """A ring of entries of some 64-bit words. Its memory is reserved at once, and used only as it fills.

    Until then it is lent to slots. With so many slots the ring never comes further than to CROWDED times that many
    entries: there their memory begins, and it has come back, for entries, when the ring comes to it. So memory that was
    taken for a table is not given back and taken anew.
    """

    def __init__(self, size: int, words: int, quiet_pages: QuietPages | None = None) -> None:
        self.size, self.words = size, words
        self.flat: U64 = reserve(size * words)
        self.rows: U64 = self.flat.reshape(size, words)
        self.view = self.flat.data  # plain integers, quicker for a few
        self._taken = 0  # entries whose memory is there
        self._wanted = 0  # those whose memory is there after a quiet time
        self._quiet_pages = quiet_pages or QuietPages()
        self._reached = 0  # entries that were ever written, or about to be
        self._slots = 0  # for which memory was ever asked

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

    def reach(self, number: int) -> None:
        """Entries before this number may be written to from now on."""
        self._reached = max(self._reached, number)

    def lend(self, slots: int) -> U32:
        """Memory of so many slots, all 0: that of entries that will come when others have more slots, or else its own.
        The borrower of fewer slots writes to it no more. Where memory is taken in quiet times, so is that of the next
        slots, which are twice as many."""
        lent = self._later(slots) if slots > self._slots else None
        self._slots = max(slots, self._slots)
        if self._wanted and (following := self._later(2 * slots)) is not None:
            self._quiet_pages.want(following)
        # np.empty would be in huge pages: a pause for each
        return np.zeros(slots, np.uint32) if lent is None else lent

    def _later(self, slots: int) -> U32 | None:
        """That of entries which so many slots are too few to find; None where entries were, or will never be."""
        start = int(CROWDED * slots)
        stop = start - (-slots // (2 * self.words))
        if self._reached > start or stop > self.size:
            return None
        return self.flat[start * self.words : start * self.words + slots // 2].view(np.uint32)

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
