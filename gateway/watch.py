"""Watching what is on disk: who still sends, what is missing, what looks wrong.

    commit ──▶ noted ──▶ a moment later, many at once ──▶ arrivals (freshness) · loss · single trades ──▶ alerts
                                      each second: streams and rules are judged ──▶ events ──▶ written ──▶ told

Watching follows the journal, not the workers: it is as quick as the disk whatever the figures do. Arrivals are judged
as they come; loss and single trades in the order of the journal, which is read back where they are behind (after a
start).

Bounds: commits wait for PACE_SECONDS; when WAITING trades wait they are watched at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

import msgspec
import structlog

from gateway.alerting.bulletin import Bulletin
from gateway.alerting.gathering import Gathering, Known
from gateway.alerting.readings import ClockReading
from gateway.alerting.singles import Singles
from gateway.clocks import Clocks
from gateway.freshness import LIVE_NS, Freshness
from gateway.ingestion.group import Group
from gateway.loss import NUMBERED, Loss
from gateway.watching.calendars import load
from gateway.watching.kept import Kept
from gateway.watching.naming import Naming
from gateway.watching.noted import Block, Noted, watched
from gateway.watching.senders import CLOCKS, SenderClocks
from gateway.watching.states import Changed
from telemetry.backbone import Backbone, Committed
from telemetry.backbone.record import Record
from telemetry.columns import decode_frame
from telemetry.errors import InvalidInput
from telemetry.tasks import Ready

PACE_SECONDS = 0.05
SECOND_NS = 1_000_000_000
PIECE = 16_384  # trades of the journal that are read back at a time
WAITING = 400_000
RECENT = 65_536  # trades before the first unwatched one that are read after a start: what single trades are compared to
DAY_SECONDS = 86_400.0
SAVE_NS = 10 * SECOND_NS  # what is known of streams is saved so often
logger = structlog.get_logger("watch")


class Watch:
    """`loss.seq` is the last trade that was watched. Clocks are in ns. With `trades` false no trade is looked at: who
    sends, what is missing and what looks wrong is not known then, and rules about that are not judged."""

    def __init__(
        self,
        freshness: Freshness,
        loss: Loss,
        bulletin: Bulletin,
        gathering: Gathering,
        streams: Kept,
        clocks: Clocks,
        *,
        trades: bool = True,
    ) -> None:
        self.watches_trades = trades
        self.freshness, self.loss, self.bulletin = freshness, loss, bulletin
        self.knows_sessions = True  # streams are not judged before calendars are loaded
        self._gathering, self._streams = gathering, streams
        self._wall_ns, self._monotonic_ns = clocks.wall_ns, clocks.monotonic_ns
        self._singles, self._noted, self._senders = Singles(), Noted(), SenderClocks()
        self._arrived = asyncio.Event()
        self.use(Naming())
        self._newest = 0  # the last trade that is on disk
        self._saved_ns = clocks.monotonic_ns()

    def use(self, naming: Naming) -> None:
        """Tell names apart in this way, which gives the same."""
        self.freshness.use_naming(naming)
        self._naming = self.loss.naming = self._senders.naming = naming

    def note(self, group: Group, committed: Committed) -> None:
        """A commit is on disk."""
        if not self.watches_trades or group.columns is None or not len(group.columns):
            return
        self._noted.add(committed.first_seq, group.columns, group.received_ns)
        self._newest = committed.last_seq
        if self._noted.trades > WAITING:
            self._take()
        self._arrived.set()

    async def run(self, ready: Ready, backbone: Backbone, figures_known: Callable[[], bool]) -> None:
        """Restore, then watch until cancelled."""
        self._newest = max(self._newest, backbone.status().durable_seq)
        self.bulletin.restore(self._newest)
        ready()
        if self.watches_trades:
            await self._remember(backbone)
        due_ns = self._monotonic_ns()
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), max(0.0, (due_ns - self._monotonic_ns()) / SECOND_NS))
                await asyncio.sleep(PACE_SECONDS)
            await self.look(backbone)
            if (now_ns := self._monotonic_ns()) >= due_ns:
                due_ns = max(due_ns + SECOND_NS, now_ns)
                await self.judge(figures=figures_known())

    async def look(self, backbone: Backbone) -> None:
        """Watch what has come since the last look, then tell what there is to tell."""
        self._arrived.clear()
        for _ in self._pieces(backbone):
            await asyncio.sleep(0)
        await self.bulletin.write()

    async def judge(self, *, figures: bool) -> list[Changed]:
        """Judge streams and rules, each second. `figures`: whether they are known. Which streams have changed."""
        changed: list[Changed] = []
        if self.knows_sessions and self.watches_trades:
            changed = self.freshness.tick(self._wall_ns(), self._monotonic_ns())
        for one in changed:
            if "silent" in (one.was, one.state):
                logger.info("stream", kind=one.kind, name=one.name, was=one.was, state=one.state)
        if any("silent" in (one.was, one.state) for one in changed):
            await self._save()  # before its alert: after a restart it is silent still
        alerts, caught_up = self.bulletin.alerts, self.loss.seq >= self._newest
        watches = self.watches_trades
        known = Known(figures=figures, streams=watches and self.knows_sessions, sources=watches and caught_up)
        readings = await self._gathering.readings(alerts, known, self.freshness, self.clocks())
        self.bulletin.add(alerts.observe(readings, self._wall_ns()))
        await self.bulletin.write()
        if self._monotonic_ns() - self._saved_ns >= SAVE_NS:
            await self._save()
        return changed

    def clocks(self) -> dict[str, ClockReading]:
        """The estimates of the senders' clocks, of the last minute."""
        return self._senders.readings(self._monotonic_ns())

    async def finish(self, backbone: Backbone) -> None:
        """Watch what is left, and save everything."""
        await self.look(backbone)
        await self.bulletin.write(everything=True)
        await self._save()

    async def keep_calendars(self, ready: Ready, names: Mapping[str, str]) -> None:
        """Load the calendars of venues now and once a day; streams are judged from then on. Raises InvalidInput when
        the first loading fails, later ones are logged."""
        ready()
        while True:
            try:
                self.freshness.use(await asyncio.to_thread(load, names, self._wall_ns()))
            except InvalidInput as error:
                if not self.knows_sessions:
                    raise
                logger.error("calendars", error=error.detail)
            self.knows_sessions = True
            await asyncio.sleep(DAY_SECONDS)

    # --- watching --------------------------------------------------------------------------------------------------

    def _pieces(self, backbone: Backbone) -> Iterator[None]:
        """All that is there, a piece at a time; arrivals first, for they are judged by when they came."""
        while True:
            while self._take():
                yield
            if self.loss.seq >= self._newest or not self.watches_trades:
                return
            self._read_back(backbone, self.loss.seq + 1, min(self._newest, self.loss.seq + PIECE))
            yield

    def _take(self) -> bool:
        """Watch one block of what was noted; whether there may be more."""
        taken = self._noted.take(self._naming.piece)
        if taken is None:
            return False
        block, requests = taken
        wall_ns = int(requests.wall_ns[-1])
        if block.may_be_live(requests.wall_ns, LIVE_NS):
            self.freshness.arrived(block.columns, requests)
            self.freshness.company.see(block.columns, wall_ns)
        else:
            self.freshness.company.pass_by()
        if block.has(*CLOCKS):
            self._senders.arrived(block.columns, self._monotonic_ns())
        if block.first_seq == self.loss.seq + 1:
            self._watch(block)
        return True

    def _read_back(self, backbone: Backbone, first: int, last: int) -> None:
        """Watch trades that are in the journal and no longer at hand."""
        for record in backbone.records(first, last):
            if record.count:
                self._watch(_part(record, first, last))
        self.loss.seq = last  # also behind records without trades

    def _watch(self, block: Block) -> None:
        if block.has(*NUMBERED):
            self.loss.feed(block.columns)
        self.loss.seq = block.last_seq
        self._judge_singles(block)

    def _judge_singles(self, block: Block) -> None:
        trades = self._singles.of(block.commits, block.first_seq)
        self.bulletin.add(self.bulletin.alerts.trades(trades, self._wall_ns()))

    async def _remember(self, backbone: Backbone) -> None:
        """Learn again from the trades before the first that was not watched."""
        last = self.loss.seq
        for first in range(max(1, last - RECENT + 1), last + 1, PIECE):
            until = min(last, first + PIECE - 1)
            for record in backbone.records(first, until):
                self._judge_singles(_part(record, first, until))
            await asyncio.sleep(0)

    async def _save(self) -> None:
        self._saved_ns = self._monotonic_ns()
        if not self.watches_trades:
            return  # what was known before stays
        try:
            await asyncio.to_thread(self._streams.write, msgspec.msgpack.encode(self.freshness.export()))
        except OSError as error:
            logger.error("streams", error=repr(error))


def _part(record: Record, first: int, last: int) -> Block:
    """The trades of a record from one number to another."""
    low, high = max(first, record.first_seq), min(last, record.last_seq)
    columns = watched(decode_frame(record.frame))
    return Block(low, [columns.slice(low - record.first_seq, high - record.first_seq + 1)])
