"""Digests in flat memory: a ring of entries in commit order, and a table of slots that finds them.

Theory of operation. What falls out of the window is simply written over in the ring. Entries go in when they are
claimed, before their commit: those behind `settled` are pending. They have the sequence numbers that their commit will
give them, and the ring has room for them beside a whole window, so they never write over what still counts. When
commits fail, all that is pending is taken back.

Slots of entries that left point to an entry that does not match. When too many slots are in use, a new table is made
beside the old one, which still answers: first its memory is touched piece by piece (the system takes milliseconds for
each piece), then it is filled a few entries at a time, newest first. So there is no pause, and no tombstone stays.
Where slots are compiled, a thread touches the memory of a large table and takes up all entries that are committed by
then; only those that came meanwhile are left for later.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.ingestion.entries import CROWDED, FOUR, SEQ, U64, Entries
from gateway.ingestion.slots import I64, Claimed, MakeSlots, Slots
from telemetry.digests import Keys

_FIRST_SLOTS = 1 << 14
_FULL = 0.55  # share of slots in use at which a new table is begun
_FRESH = 0.4  # at most so many are in use when it is finished
_BACKFILL = 8  # old entries that go to the new table with each new one
_BACKFILL_MIN = 2048  # fewer are not worth a call
_WARM_SLOTS = 64  # slots of the new table that are touched with each new entry
_WARM_MIN = 1 << 14


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
        self.entries = Entries(capacity + pending, words)
        self._make = slots
        self._slots = self._table_for(0)
        self._cold: Slots | None = None  # the next table while it is touched for the first time
        self._next: Slots | None = None
        self._backfill = 0  # the next table holds every entry from this number on,
        self._beside = 0  # and those before this one
        self._owed = 0

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
        slots = sum(table.count for table in (self._slots, self._cold, self._next) if table)
        return min(self.written, self.entries.size) * 8 * self.entries.words + 4 * slots

    def find(self, digests: U64) -> I64:
        """The place of each digest that is in the window, -1 for the others."""
        return self._slots.find(digests, self.entries, self.horizon)

    def find_one(self, low: int, high: int) -> int:
        """As `find`, for one."""
        return self._slots.find_one(low, high, self.entries, self.horizon)

    def newest_of(self, digests: U64) -> int:
        """The greatest sequence number of these, 0 where none is there."""
        places = self.find(digests)
        return int(self.entries.rows[places[places >= 0], SEQ].max(initial=0))

    def claim(self, keys: Keys, first_seq: int, *, only_new: bool) -> Claimed:
        """Take up the new keys of a batch as pending; see Slots.claim. The caller looks at `room` before."""
        self._make_room(len(keys.given))
        claimed = self._slots.claim(keys, first_seq, self.entries, self.written, self.horizon, only_new)
        if claimed.added:
            if self._next is not None:
                self._put(self._next, self.written, claimed.added)
            self.written += claimed.added
            self._tend(claimed.added)
        return claimed

    def settle(self, number: int, newest_seq: int) -> None:
        """Entries before `number`, and trades up to `newest_seq`, are committed: the window moves on."""
        self.settled = number
        self.newest_seq = max(self.newest_seq, newest_seq)

    def release(self) -> None:
        """Take back all that is pending."""
        for start, stop in self.entries.spans(self.settled, self.written - self.settled):
            self.entries.rows[start:stop, SEQ] = 0  # slots still point there
        self.written = self.settled
        self._backfill = min(self._backfill, self.settled)

    def insert(self, block: U64) -> None:
        """Take up committed entries, absent before."""
        block = block[max(len(block) - self.capacity, 0) :]  # of more than fit only the last ones
        if not len(block):
            return
        self._make_room(len(block))
        self.entries.write(self.written, block)
        for table in (self._slots, self._next):
            if table is not None:
                self._put(table, self.written, len(block))
        self.written += len(block)
        self.settle(self.written, int(block[-1, SEQ]))
        self._tend(len(block))

    def insert_one(self, entry: Iterable[int], seq: int) -> None:
        """As `insert`, for one entry, whose words are given."""
        self._make_room(1)
        low, high, *_ = entry = tuple(entry)
        place = self.written % self.entries.size
        self.entries.write_one(place, entry)
        self._slots.put_one(low, high, place)
        if self._next is not None:
            self._next.put_one(low, high, place)
        self.written += 1
        self.settle(self.written, seq)
        self._tend(1)

    def _put(self, slots: Slots, number: int, count: int) -> None:
        for start, stop in self.entries.spans(number, count):
            slots.put(self.entries, start, stop)

    def _tend(self, added: int) -> None:
        """Begin, continue or finish the next table; have memory ready."""
        self.entries.take_pages(self.written)
        self._owed += added
        if self._next is not None:
            if self._owed * _BACKFILL >= _BACKFILL_MIN:
                self._fill(self._next)
        elif self._cold is not None:
            if self._owed * _WARM_SLOTS >= _WARM_MIN:
                self._warm(self._cold)
        elif self._slots.used > _FULL * self._slots.count:
            self._begin()

    def _begin(self) -> None:
        """The next table."""
        live = min(self.written, self.entries.size)
        self._cold, self._owed = self._table_for(live + live // _BACKFILL), 0
        committed = self.entries.spans(self.written - live, self.settled - (self.written - live))
        self._beside = self.settled if self._cold.take_beside(self.entries, committed) else 0

    def _table_for(self, entries: int) -> Slots:
        count = _FIRST_SLOTS
        while entries > _FRESH * count:
            count *= 2
        return self._make(count, self.entries.size, self.entries.lend(count))

    def _make_room(self, added: int) -> None:
        """Before so many entries that the step by step way would come too late (large ones into a small table), or a
        search would take too many steps."""
        if self._slots.used + added <= CROWDED * self._slots.count and (
            self._next is None or self._next.used + added <= CROWDED * self._next.count
        ):
            self.entries.reach(self.written + added)
            return
        live = min(self.written, self.entries.size)
        slots, missing = self._cold, max(self._beside, self.written - live)
        if slots is not None:
            slots.wait()  # also when it is left: its memory may be that of the next entries
        if slots is None or live + added > CROWDED * slots.count:
            slots, missing = self._table_for(live + added), self.written - live
        self._put(slots, missing, self.written - missing)
        self._slots, self._cold, self._next = slots, None, None
        self.entries.reach(self.written + added)

    def _warm(self, slots: Slots) -> None:
        if slots.warm(self._owed * _WARM_SLOTS):
            self._cold, self._next, self._backfill = None, slots, self.written
        self._owed = 0

    def _fill(self, slots: Slots) -> None:
        oldest = max(self.written - self.entries.size, self._beside)
        start = max(self._backfill - self._owed * _BACKFILL, oldest)
        if start < self._backfill:
            self._put(slots, start, self._backfill - start)
        self._backfill, self._owed = start, 0
        if start <= oldest:
            self._slots, self._next = slots, None
