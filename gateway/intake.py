"""Intake: requests join the open commit group; one journal commit answers them all.

While a commit is on its way to the disk, the next group fills. A group holds what is new; a trade that is known (same
key, same payload) is a duplicate and waits for the commit that holds its first copy. When a commit fails, every group
that waits fails with it, because a later one may hold duplicates of what was lost: nobody is told "accepted" then, and
the keys and multipliers that came with them are forgotten.

Bounds: `limit` trades wait for the journal, MAX_TRADES in one group. When full, requests are refused with 503 before
they are parsed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate, compress, pairwise
from struct import Struct

import numpy as np
from numpy.typing import NDArray

from gateway.ingestion.conflicts import conflict
from gateway.ingestion.group import Entry, Group, Receipt, RequestKey
from gateway.ingestion.multipliers import Checked, Multipliers, new_multipliers
from gateway.ingestion.slots import Claimed
from gateway.keys import KeyIndex, RequestAnswer, RequestIndex
from gateway.latency import Latency
from telemetry.backbone import Backbone, Committed
from telemetry.columns import Columns
from telemetry.decode import Batch
from telemetry.errors import InvalidInput, Stop, TelemetryError, TryAgain
from telemetry.trade import Trade

MAX_TRADES = 65_536  # trades in one group: as many as one lease takes
_PAIR = Struct("<QQ")  # 128 bits as the indices take them


class Intake:
    """The way into the journal. `run` is its task; everything else is called on the same event loop."""

    def __init__(
        self, backbone: Backbone, keys: KeyIndex, requests: RequestIndex, latency: Latency, *, limit: int
    ) -> None:
        self.limit = limit
        self.last_seq = 0  # of the last commit
        self.waiting = 0  # trades that no commit holds yet
        self.on_commit: Callable[[Group, Committed], object] = _ignore  # who watches what is on disk
        self.multipliers: Multipliers = {}  # of trades that are durable or wait
        self._backbone, self._keys, self._requests, self._latency = backbone, keys, requests, latency
        self._checked = Checked()
        self._durable = True  # what the journal said last; false in fast mode, where nobody tells when a sync is done
        self._groups: deque[Group] = deque()  # the first may be on its way to the disk, the last one is open
        self._committing = self._closing = False
        self._is_expecting = False
        self._failure: Stop | None = None
        self._arrived = asyncio.Event()

    def check(self) -> None:
        """Raise TryAgain when no more trades can wait, Stop when the journal failed: nobody would commit them any more.
        Called before a body is read, and again before it joins."""
        if self._failure is not None:
            raise self._failure
        if self.waiting >= self.limit:
            raise TryAgain(f"{self.waiting} trades wait for the journal, expected fewer than {self.limit}")

    def put(self, batch: Batch, *, received_ns: int, key: RequestKey | None = None) -> Receipt:
        """Join the open group. Raises InvalidInput (422 multipliers, 409 keys) and TryAgain, and keeps nothing then."""
        self.check()
        multipliers = self._new_multipliers(batch)  # first: 422 is judged before 409
        if key is not None and (known := self._known_request(key)) is not None:
            return known
        first_key = self._keys.count
        claimed = self._keys.claim(batch.keys, self.last_seq + self.waiting + 1)
        if claimed.conflicts:
            raise conflict(batch, claimed.conflicts)
        return self._join(batch, claimed, first_key, multipliers, [(batch.count, received_ns)], key)[0]

    def put_new(self, batch: Batch, *, received_ns: int) -> Receipt | None:
        """As `put`, for the trades of several requests; None, and nothing kept, when one of them is a duplicate or a
        conflict."""
        self.check()
        multipliers = self._new_multipliers(batch)
        first_key = self._keys.count
        claimed = self._keys.claim(batch.keys, self.last_seq + self.waiting + 1, only_new=True)
        if claimed.fresh is not None:
            return None
        return self._join(batch, claimed, first_key, multipliers, [(batch.count, received_ns)], None)[0]

    def put_bodies(self, batch: Batch, bodies: Sequence[tuple[int, int]]) -> list[Receipt] | None:
        """As `put` of each of several bodies, (trades, ns of arrival), that follow one another in the batch. None, and
        nothing kept, when one of them may have to be refused: then they are to be put one by one."""
        if self.waiting + batch.count >= self.limit:
            return None
        try:
            self.check()
            multipliers, first_key = self._new_multipliers(batch), self._keys.count
            claimed = self._keys.claim(batch.keys, self.last_seq + self.waiting + 1)
        except TelemetryError:
            return None
        if claimed.conflicts:
            return None
        return self._join(batch, claimed, first_key, multipliers, bodies, None)

    def expect(self) -> None:
        """Something is put at the end of this turn of the event loop: its commit begins right then, no turn later."""
        self._is_expecting = True
        self._arrived.set()

    def _join(
        self,
        batch: Batch,
        claimed: Claimed,
        first_key: int,
        multipliers: Multipliers,
        bodies: Sequence[tuple[int, int]],
        key: RequestKey | None,
    ) -> list[Receipt]:
        counts = _accepted(claimed.fresh, [trades for trades, _ in bodies])
        accepted = sum(counts)
        if accepted or key is not None:
            group = self._open(accepted, first_key)
            group.last_key += claimed.added
            if accepted:
                group.add(_kept(batch, claimed.fresh))
                group.multipliers |= multipliers
                self.multipliers |= multipliers
                self.waiting += accepted
            self._is_expecting = False
            self._arrived.set()
        receipts, end = [], 0
        for (trades, received_ns), new in zip(bodies, counts, strict=True):
            end += trades
            if new or key is not None:
                receipts.append(group.enter(new, trades - new, received_ns, durable=self._durable))
            else:
                held = self._keys.newest_of(batch.keys, end - trades, end) if len(bodies) > 1 else claimed.held_seq
                receipts.append(Receipt(self._holder(held), 0, trades, durable=self._durable))
        if key is not None:
            group.entries[key.digest] = Entry(key, receipts[0])
        return receipts

    async def committed(self, receipt: Receipt) -> Receipt:
        """Wait for the commit that a receipt depends on; raises what it failed with."""
        if receipt.group is not None:
            await receipt.group.done.wait()
        return self.result(receipt)

    def result(self, receipt: Receipt) -> Receipt:
        """The receipt after its group has ended; raises what the commit failed with."""
        if (group := receipt.group) is not None:
            if group.error is not None:
                raise group.error
            receipt.durable = self._durable
        if (original := receipt.replay_of) is not None:
            receipt.first_seq = original.first_seq
        return receipt

    async def run(self) -> None:
        """Commit group after group, until `close` and nothing waits any more. Raises Stop when the journal does."""
        while self._groups or not self._closing:
            if self._groups:
                await self._commit()
            elif self._is_expecting:
                self._is_expecting = False
                await asyncio.sleep(0)  # behind what is put at the end of this turn
            else:
                self._arrived.clear()
                await self._arrived.wait()

    def close(self) -> None:
        """Let `run` end when nothing waits any more."""
        self._closing = True
        self._arrived.set()

    async def drain(self) -> None:
        """Wait until nothing waits for the journal."""
        while self._groups:
            await self._groups[-1].done.wait()

    # --- the commit ------------------------------------------------------------------------------------------------

    async def _commit(self) -> None:
        group = self._groups[0]
        self._committing = True
        try:
            committed = await self._backbone.append(group)
        except TryAgain as error:
            self._fail(error)
        except BaseException as error:
            self._fail(error if isinstance(error, Stop) else Stop(f"the commit ended with {error!r}"))
            raise
        else:
            self._complete(group, committed)
        finally:
            self._committing = False

    def _complete(self, group: Group, committed: Committed) -> None:
        self._groups.popleft()
        self.waiting -= group.count
        self.last_seq = committed.last_seq
        self._keys.settle(group.last_key, committed.last_seq)
        self._requests.advance(committed.last_seq)
        self._durable = committed.durable
        for receipt in group.receipts:
            receipt.first_seq = committed.first_seq + receipt.row if receipt.accepted else None
        for entry in group.entries.values():
            self._remember(entry, committed)
        self._latency.committed(committed.last_seq, group.received_ns, committed.at_ns)
        self.on_commit(group, committed)
        group.end()
        group.let_go()

    def _remember(self, entry: Entry, committed: Committed) -> None:
        receipt, fingerprint = entry.receipt, _pair(entry.key.fingerprint)
        answer = RequestAnswer(fingerprint, receipt.accepted, receipt.duplicates, receipt.first_seq or 0)
        self._requests.insert(*_pair(entry.key.digest), answer, committed.last_seq)

    def _fail(self, error: TryAgain | Stop) -> None:
        self._failure = error if isinstance(error, Stop) else None
        if self._failure is None:  # else nobody can ask any more, and the writer may still be reading them
            self._keys.release()
        while self._groups:
            group = self._groups.popleft()
            self.waiting -= group.count
            for of in group.multipliers:
                del self.multipliers[of]
            self._checked.forget()
            group.error = error
            group.end()

    def _open(self, trades: int, first_key: int) -> Group:
        """The group that takes so many trades, whose keys begin at `first_key`."""
        first_open = 1 if self._committing else 0
        if len(self._groups) <= first_open or self._groups[-1].count + trades > MAX_TRADES:
            self._groups.append(Group(self._keys, self.last_seq + self.waiting + 1, first_key, first_key))
        return self._groups[-1]

    def _holder(self, seq: int) -> Group | None:
        """The group of a trade that waits for its commit; None when it is committed."""
        of = (group for group in reversed(self._groups) if group.first_seq <= seq)
        return next(of, None) if seq > self.last_seq else None

    # --- what is known ---------------------------------------------------------------------------------------------

    def _new_multipliers(self, batch: Batch) -> Multipliers:
        columns = batch.columns
        if columns is not None and columns.instruments in self._checked:
            return {}
        new = new_multipliers(batch, self.multipliers)
        if columns is not None and not new:
            self._checked.add(columns.instruments)
        return new

    def _known_request(self, key: RequestKey) -> Receipt | None:
        for group in self._groups:
            if (entry := group.entries.get(key.digest)) is not None:
                _same_body(entry.key.fingerprint, key)
                return replace(entry.receipt, replay_of=entry.receipt)
        if (known := self._requests.lookup(*_pair(key.digest))) is None:
            return None
        _same_body(_PAIR.pack(*known.fingerprint), key)
        answer = Receipt(None, known.accepted, known.duplicates, first_seq=known.first_seq or None)
        return replace(answer, durable=self._durable, replay_of=answer)


def _accepted(fresh: NDArray[np.bool_] | None, sizes: Sequence[int]) -> list[int]:
    """How many trades of each body are new."""
    if fresh is None:
        return list(sizes)
    ends = accumulate(sizes, initial=0)
    return [int(np.count_nonzero(fresh[start:end])) for start, end in pairwise(ends)]


def _kept(batch: Batch, fresh: NDArray[np.bool_] | None) -> list[Trade] | Columns:
    if batch.columns is not None:
        return batch.columns if fresh is None else batch.columns.only(fresh)
    trades = batch.trades or []
    return list(trades) if fresh is None else list(compress(trades, fresh.tolist()))


def _ignore(group: Group, committed: Committed) -> None:
    """Nobody watches."""


def _pair(digest: bytes) -> tuple[int, int]:
    low, high = _PAIR.unpack(digest)
    return low, high


def _same_body(fingerprint: bytes, key: RequestKey) -> None:
    if fingerprint != key.fingerprint:
        raise InvalidInput(
            "Idempotency-Key: expected the body that it came with first, received another", problem="conflict"
        )
