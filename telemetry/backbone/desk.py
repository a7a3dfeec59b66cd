"""The dispatcher on an event loop: its timer, its instructions carried out, the results for the aggregator."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic

from telemetry.backbone import Partial, Quarantined, Status, Verdict
from telemetry.backbone.dispatcher import Dispatcher
from telemetry.backbone.handed import Handed
from telemetry.backbone.leases import Close, Send
from telemetry.load import LASTING_SECONDS, Load, Rate

TICK_SECONDS = 0.05  # the timer never fires faster, but for what waits for more
EARLIER_SECONDS = 0.001  # by which what waits for more must go earlier to be worth another timer
INBOX = 1_000  # results that wait for the aggregator; beyond, one is refused unless its lease is out (at most W × N)


class Desk:
    """`carry(send)` sends a lease and tells up to which trade (None: not at all); `close(worker)` drops a connection;
    `listen()` takes what has arrived, so that nobody is given up whose word is already here; `coming()` tells whether
    trades wait for the journal."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        epoch: int,
        carry: Callable[[Send], int | None],
        close: Callable[[str], None],
        listen: Callable[[], None] = lambda: None,
        coming: Callable[[], bool] = lambda: True,
    ) -> None:
        self.epoch = epoch
        self.refused = 0
        self._dispatcher = dispatcher
        self._carry, self._close, self._listen, self._coming = carry, close, listen, coming
        self._loop = asyncio.get_running_loop()
        self._load, self._rate = Load(LASTING_SECONDS), Rate(dispatcher.available_seq)
        self._noted = 0.0, 0.0  # of the event loop its share of a core, trades a second
        self._timer: asyncio.TimerHandle | None = None
        self._release: asyncio.TimerHandle | None = None  # of few trades that wait for more
        self._release_at = 0.0  # monotonic seconds
        self._inbox: deque[Partial | Quarantined] = deque()
        self._awaited: Handed[None] | None = None  # by the aggregator, while there is nothing for it
        self._failure: BaseException | None = None
        self._closed = False

    def available(self, last_seq: int) -> None:
        """The journal has grown. Leases go in the next turn: first those are answered who wait for the commit."""
        self._dispatcher.available(last_seq)
        self._loop.call_soon(self.push)

    def joined(self, worker: str, version: str, *, generation: int, pid: int) -> None:
        """A worker is connected."""
        self._carry_out(self._dispatcher.joined(worker, version, monotonic(), generation=generation, pid=pid))

    def beat(self, worker: str) -> None:
        """A worker said hello."""
        self._dispatcher.beat(worker, monotonic())
        self.push()

    def lost(self, worker: str, reason: str) -> None:
        """A worker's connection is over."""
        self._carry_out(self._dispatcher.lost(worker, reason, monotonic()))

    def received(self, partial: Partial) -> None:
        """A result has arrived."""
        head = partial.head
        known = head.epoch == self.epoch and self._dispatcher.received(head.worker, head.attempt, monotonic())
        if not known and len(self._inbox) >= INBOX:
            self.refused += 1
            return
        self._inbox.append(partial)
        if known:
            self.push()
        self._tell()

    async def results(self) -> list[Partial | Quarantined]:
        """Wait for at least one, take all. Raises what went wrong while leases were sent. One task waits at a time; it
        goes on as soon as there is one: a turn of the event loop later all connections would have been read first."""
        while not self._inbox and self._failure is None:
            self._awaited = Handed(loop=self._loop)
            await self._awaited
        if self._failure is not None:
            raise self._failure
        results = list(self._inbox)
        self._inbox.clear()
        return results

    def settle(self, result: Partial, verdict: Verdict) -> None:
        """The aggregator has judged."""
        head, now = result.head, monotonic()
        self._dispatcher.settle(head.first, head.last, head.worker, head.attempt, verdict, now)
        found = self._load.share(now), self._rate.per_second(self._dispatcher.available_seq, now)
        if found != self._noted:
            self._noted = found
            self._dispatcher.patience.note_load(*found)
        self.push()

    @property
    def accepted_seq(self) -> int:
        """Every trade up to this is accepted: none of them is leased again."""
        return self._dispatcher.accepted_seq

    def status(self) -> Status:
        """Where the work stands."""
        return self._dispatcher.status(monotonic(), epoch=self.epoch)

    def push(self) -> None:
        """Send every lease that can be sent, and set the timer."""
        if self._closed or self._failure is not None:
            return
        self._dispatcher.patience.expects_more = self._coming()
        try:
            while self._send(self._dispatcher.next(monotonic())):
                pass
        except Exception as error:  # raised where somebody waits, not into the event loop
            self._failure = error
            self._tell()
            return
        self._arm()

    def push_due(self) -> None:
        """As the timer of few trades does, which is late when the loop is."""
        if self._release is not None and monotonic() >= self._release_at:
            self._release.cancel()
            self._released()

    def close(self) -> None:
        """Send nothing more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._release is not None:
            self._release.cancel()

    def _send(self, sends: list[Send]) -> bool:
        """Whether anything of them was not sent, so that it may go elsewhere."""
        whole = True
        for send in sends:
            last = self._carry(send)
            if last != send.last:
                whole = False
                self._dispatcher.withdraw(send.attempt, send.worker, monotonic(), beyond=last)
        return not whole

    def _carry_out(self, instructions: Iterable[Close | Quarantined]) -> None:
        for instruction in instructions:
            if isinstance(instruction, Close):
                self._close(instruction.worker)
            else:
                self._inbox.append(instruction)
        self.push()
        self._tell()

    def _tell(self) -> None:
        """There is something for the aggregator. Within a task no other one can go on, so it does in the next turn."""
        if (awaited := self._awaited) is None or not (self._inbox or self._failure):
            return
        self._awaited = None
        if asyncio.current_task(self._loop) is None:
            _arrived(awaited)
        else:
            self._loop.call_soon(_arrived, awaited)

    def _arm(self) -> None:
        if (until := self._dispatcher.coalescing()) is not None:
            self._arm_release(until)
        if self._timer is not None and self._timer.when() <= self._loop.time() + TICK_SECONDS:
            return
        due = self._dispatcher.deadline()
        if due is None or (self._timer is not None and self._timer.when() <= self._loop.time() + (due - monotonic())):
            return  # one that fires too early sets the next one
        if self._timer is not None:
            self._timer.cancel()
        # While leases are out the timer ticks, so that not every lease has to set it anew.
        delay = TICK_SECONDS if self._dispatcher.busy else max(TICK_SECONDS, due - monotonic())
        self._timer = self._loop.call_later(delay, self._tick)

    def _arm_release(self, until: float) -> None:
        if self._release is not None:
            if self._release_at <= until + EARLIER_SECONDS:
                return
            self._release.cancel()  # nothing more is coming after all
        self._release_at = until
        self._release = self._loop.call_later(max(0.001, until - monotonic()), self._released)

    def _released(self) -> None:
        self._release = None
        self.push()

    def _tick(self) -> None:
        self._timer = None
        self._listen()
        self._carry_out(self._dispatcher.tick(monotonic()))


def _arrived(awaited: Handed[None]) -> None:
    if not awaited.done():  # cancelled
        awaited.set_result(None)
