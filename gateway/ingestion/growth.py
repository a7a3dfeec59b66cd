"""Where the slots of a table of keys are, and how they get more, in equal small steps: a part after the other, from the
last to the first.

While they do, parts below `split` have `smaller` buckets each, and are at their `old` place, the others `larger` ones
at the `new` place. A part is due to be moved when so many more slots were taken, evenly, that the last one is moved
before those that wait get crowded: nothing ever stands still for a whole table, and no thread is needed.

Slots are in the memory that the ring of entries will need later, where there is such: the ring never comes further
than to FULL times as many entries, there they begin, and the next ones, a step larger, begin behind their end. So
memory that was taken for slots is not given back and taken anew. Others are behind the ring, where they grow in place:
a part that is moved only writes where those were that moved before it, or where nothing was.
"""

from __future__ import annotations

PARTS = 1 << 7
BUCKET = 8  # slots that are looked at together: a line of the processor's caches
FEWEST = 1 << 6  # buckets of a part: so many, that all parts fill alike
BEGIN, FULL = 0.46, 0.6  # the share of slots in use at which growth begins, and has ended
# The same once the ring has come to its end, where slots of entries that were written over are taken again: then they
# are in use more evenly, and as few searches go on in a next bucket.
BEGIN_AGAIN, FULL_AGAIN = 0.6, 0.72
FRESH = 0.375  # that at its end: a step is to 1.6 times as many
_SOON = 0.29  # that at which memory for the next step begins to be taken; all is there when it begins


class Growth:
    """Which parts have how many buckets, and where, for a ring of so many `places` of some `words`."""

    def __init__(self, places: int, words: int) -> None:
        self.most = max(FEWEST, _buckets(places))
        self.behind = BUCKET * PARTS * (self.most + 1)  # words behind the ring, as one may look a bucket too far
        self.takes_again = False  # such slots
        self._begin, self._full = BEGIN, FULL
        self._places, self._words = places, words
        self.split = 0
        self.smaller = self.larger = FEWEST
        self.old = self.new = self._place(FEWEST)  # in buckets from the begin of the ring
        self._from = self._until = 0  # numbers of slots taken: no part, and every part is moved

    @property
    def slots(self) -> int:
        """How many there are."""
        return BUCKET * (self.split * self.smaller + (PARTS - self.split) * self.larger)

    @property
    def spread(self) -> tuple[int, int, int, int, int]:
        """All that says where a part is."""
        return self.split, self.smaller, self.larger, self.old, self.new

    def begin(self, taken: int, used: int, live: int) -> bool:
        """Begin when so many slots are in use that it is time: whether it was. So many were ever `taken`, and so many
        entries are found by them."""
        slots = self.slots
        if self.takes_again and live >= self._places:
            self._begin, self._full = BEGIN_AGAIN, FULL_AGAIN
        if self.split or used <= self._begin * slots:
            return False
        room = max(int(self._full * slots) - used, 0)
        self._from, self._until, self.split = taken, taken + room, PARTS
        needed = _buckets(min(live + room, self._places))
        self.smaller, self.old = self.larger, self.new
        if needed > self.larger:
            self.larger = max(needed, self._next)
            self.new = self._place(self.larger)
        return True

    def due(self, taken: int) -> int:
        """How many parts may still wait when so many slots were taken."""
        if taken >= self._until:
            return 0
        return PARTS - PARTS * (taken - self._from) // (self._until - self._from)

    def next_due(self, taken: int, used: int) -> int:
        """How many slots will be taken when something is due, when so many were taken and are in use now."""
        if not self.split:
            return taken + max(int(self._begin * self.slots) - used, 0) + 1
        return self._from + (PARTS - self.split + 1) * (self._until - self._from) // PARTS

    def soon(self, used: int) -> tuple[int, int]:
        """Begin and end in words of the next slots that should have memory, when so many are in use."""
        start, stop = self.next_words()
        share = (used / (BUCKET * PARTS * self.larger) - _SOON) / (BEGIN - _SOON)
        return start, start + int(min(max(share, 0), 1) * (stop - start))

    def next_words(self) -> tuple[int, int]:
        """Begin and end in words of all the slots after the next step."""
        start = BUCKET * self._place(self._next)
        return start, start + BUCKET * PARTS * self._next

    def words(self) -> tuple[int, int]:
        """Begin and end in words of all the slots when every part has moved."""
        return BUCKET * self.new, BUCKET * (self.new + PARTS * self.larger)

    @property
    def _next(self) -> int:
        return min(int(self.larger * FULL / FRESH) + 1, self.most)

    def _place(self, buckets: int) -> int:
        """Where parts of so many buckets begin."""
        slots, ring = BUCKET * PARTS * buckets, self._places * self._words
        start = -(-(int(FULL * slots) + 1) * self._words // BUCKET)
        return start if BUCKET * start + slots <= ring else -(-ring // BUCKET)


def _buckets(entries: int) -> int:
    """Of a part, for so many entries."""
    return int(entries / (FRESH * BUCKET * PARTS)) + 1
