"""Digests in flat memory: a ring of entries in commit order, and a table of slots that finds them.

Theory of operation. What falls out of the window is simply written over in the ring. Entries go in when they are
claimed, before their commit: those behind `settled` are pending. They have the sequence numbers that their commit will
give them, and the ring has room for them beside a whole window, so they never write over what still counts. When
commits fail, all that is pending is taken back.

Slots of entries that left point to an entry that does not match. While slots are used up, their parts are moved one
after the other, to more of them where there are more entries, without those of entries that left (see growth.py). So
there is no pause, and no tombstone stays.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.ingestion.entries import FOUR, SEQ, U64, Entries
from gateway.ingestion.growth import Growth
from gateway.ingestion.slots import Claimed, MakeSlots, Slots
from gateway.ingestion.tags import I64
from telemetry.digests import Keys

_LOOK = 1 << 10  # entries, until memory is seen to again


class Ring:
    """The entries, numbered in commit order, and the slots that find them."""

    def __init__(self, capacity: int, *, words: int = FOUR, pending: int = 0, slots: MakeSlots = Slots) -> None:
        """Entries of so many words, of which `pending` at most wait for their commit."""
        if capacity < 1 or pending < 0 or capacity + pending >= 1 << 31:
            raise ValueError(f"expected a capacity from 1 to {(1 << 31) - 1 - pending}, received {capacity}")
        self.capacity = capacity
        self.newest_seq = 0
        self.written = 0  # entries that ever went in
        self.settled = 0  # of these, committed
        self._unlooked = _LOOK  # entries that went in since memory was seen to
        self._growth = Growth(capacity + pending, words)
        self.entries = Entries(capacity + pending, words, self._growth.behind)
        self._slots = slots(self.entries, self._growth)

    @property
    def horizon(self) -> int:
        """Entries with a sequence number up to this one are absent."""
        return max(self.newest_seq - self.capacity, 0)

    @property
    def room(self) -> int:
        """How many more entries may be pending."""
        return self.entries.size - self.capacity - (self.written - self.settled)

    @property
    def memory_bytes(self) -> int:
        """Bytes in use: the filled part of the ring and the slots."""
        return min(self.written, self.entries.size) * 8 * self.entries.words + 8 * self._growth.slots

    def find(self, digests: U64) -> I64:
        """The place of each digest that is in the window, -1 for the others."""
        return self._slots.find(digests, self.horizon)

    def find_one(self, low: int, high: int) -> int:
        """As `find`, for one."""
        return self._slots.find_one(low, high, self.horizon)

    def newest_of(self, digests: U64) -> int:
        """The greatest sequence number of these, 0 where none is there."""
        places = self.find(digests)
        return int(self.entries.rows[places[places >= 0], SEQ].max(initial=0))

    def claim(self, keys: Keys, first_seq: int, *, only_new: bool) -> Claimed:
        """Take up the new keys of a batch as pending; see Slots.claim. The caller looks at `room` before."""
        self._slots.make_room(len(keys.given), self.written)
        claimed = self._slots.claim(keys, first_seq, self.written, self.horizon, only_new)
        if claimed.added:
            self._wrote(claimed.added)
        return claimed

    def settle(self, number: int, newest_seq: int) -> None:
        """Entries before `number`, and trades up to `newest_seq`, are committed: the window moves on."""
        self.settled = number
        self.newest_seq = max(self.newest_seq, newest_seq)

    def release(self) -> None:
        """Take back all that is pending."""
        for start, stop in self.entries.spans(self.settled, self.written - self.settled):
            self.entries.rows[start:stop, SEQ] = 0  # slots still point there
        if self.written > self.settled:
            self._slots.doubt()
        self.written = self.settled

    def insert(self, block: U64) -> None:
        """Take up committed entries, absent before."""
        block = block[max(len(block) - self.capacity, 0) :]  # of more than fit only the last ones
        if not len(block):
            return
        self._slots.make_room(len(block), self.written)
        self.entries.write(self.written, block)
        self._slots.put(self.written, len(block))
        self._wrote(len(block))
        self.settle(self.written, int(block[-1, SEQ]))

    def insert_one(self, entry: Iterable[int], seq: int) -> None:
        """As `insert`, for one entry, whose words are given."""
        self._slots.make_room(1, self.written)
        low, high, *_ = entry = tuple(entry)
        self.entries.write_one(self.written % self.entries.size, entry)
        self._slots.put_one(low, high, self.written)
        self._wrote(1)
        self.settle(self.written, seq)

    def take_quiet_pages(self, used: int) -> None:
        """Have memory for what comes after these entries ready after a quiet time."""
        self.entries.take_quiet_pages(used)
        self.entries.take_quiet_pages_of_slots(*self._growth.next_words())
        if not self._growth.split:
            self.entries.want_large_pages_of_slots(*self._growth.words())

    def _wrote(self, added: int) -> None:
        """So many entries went in: have memory ready for the next ones."""
        self.written += added
        self._unlooked += added
        if self._unlooked >= _LOOK:
            self._unlooked = 0
            self.entries.take_pages(self.written)
            self.entries.take_pages_of_slots(*self._growth.soon(self._slots.used))
