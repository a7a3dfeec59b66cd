"""The gateway: requests in, commits, results merged, figures out. One event loop, one straight line.

    intake ──commit──▶ backbone ──lease──▶ workers ──partial──▶ pump: merge, settle, publish

Everything here is called on the event loop; only the journal's writer and the writing of snapshots run in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from gateway.aggregator import Aggregator
from gateway.clocks import Clocks as Clocks
from gateway.intake import Intake
from gateway.keys import KeyIndex, RequestIndex, runs
from gateway.latency import Latency
from gateway.live import Live
from gateway.reading.zones import NO_ZONES
from gateway.snapshot import Snapshots
from gateway.streaming.views import Views
from gateway.waiters import Waiters
from gateway.watch import Watch
from telemetry.backbone import Backbone, Partial, Quarantined, Verdict
from telemetry.columns import decode_frame
from telemetry.errors import InvalidInput, TryAgain
from telemetry.partial import decode_partial, row_count
from telemetry.tasks import AsyncTaskManager, Ready

logger = structlog.get_logger("gateway")


@dataclass(frozen=True)
class Bounds:
    """What the gateway holds at most before it refuses (see docs/settings.md)."""

    backlog_trades: int = 5_000_000
    dedupe_trades: int = 10_000_000
    lag_trades: int = 1_000_000  # /readyz: applied further behind durable than this is "not able to do its work"


class Gateway:
    """The business logic of the gateway; `entrypoint.py` names the parts."""

    def __init__(
        self,
        *,
        backbone: Backbone,
        state: Aggregator,
        snapshots: Snapshots,
        keys: KeyIndex,
        requests: RequestIndex,
        intake: Intake,
        latency: Latency,
        watch: Watch,
        bounds: Bounds,
        clocks: Clocks,
        zones: Mapping[str, str] = NO_ZONES,
    ) -> None:
        self.backbone, self.state, self.intake, self.bounds, self.clocks = backbone, state, intake, bounds, clocks
        self.latency, self.watch, self.zones = latency, watch, zones
        intake.on_commit = watch.note
        views = Views(
            state,
            latency,
            streams=watch.freshness,
            freshness=self.freshness,
            health=self.health,
            wall_ns=clocks.wall_ns,
            monotonic_ns=clocks.monotonic_ns,
            zones=zones,
        )
        self.live = Live(views, views.warm)
        self.waiters = Waiters()
        self.refused: dict[str, int] = {}
        self.dropped: dict[str, int] = {}
        self.durable_at_start = intake.last_seq = backbone.status().durable_seq
        self.draining = False
        self._snapshots, self._keys, self._requests = snapshots, keys, requests
        self._indexed = False

    # --- life ------------------------------------------------------------------------------------------------------

    async def start(self, tasks: AsyncTaskManager) -> None:
        """Restore, then start everything that runs. Start, restart and late join of workers are this one way."""
        reason = self._snapshots.load(newest=self.durable_at_start)
        logger.info("snapshot", restored=reason is None, reason=reason, applied=self.state.applied)
        await tasks.start("index", self._index)
        await tasks.start("commits", self._commits, stop=self.intake.close)
        await self.backbone.start(epoch=self.state.epoch, applied=self.state.applied)
        await tasks.start("pump", self._pump)
        await tasks.start("snapshots", self._snapshots.run, stop=self._snapshots.stop)
        await tasks.start("ticks", self._ticks)
        await tasks.start("watch", self._watch)

    async def finish(self) -> None:
        """Watch the last trades, then the last snapshot, after all tasks have ended."""
        await self.watch.finish(self.backbone)
        await asyncio.to_thread(self._snapshots.last)

    async def _commits(self, ready: Ready) -> None:
        ready()
        await self.intake.run()

    async def _watch(self, ready: Ready) -> None:
        await self.watch.run(ready, self.backbone, lambda: self.caught_up)

    async def _index(self, ready: Ready) -> None:
        """Rebuild from the journal what tells resends from new trades; POST answers 503 until then."""
        ready()
        started = self.clocks.monotonic_ns()
        await asyncio.to_thread(self._read_journal)
        self._indexed = True
        logger.info("index", seconds=(self.clocks.monotonic_ns() - started) / 1e9, newest_seq=self._keys.newest_seq)

    def _read_journal(self) -> None:
        applied = self.state.applied
        for instrument in list(self.state.instruments):
            self._know_multiplier(
                instrument.venue, instrument.symbol, instrument.multiplier, instrument.multiplier_scale
            )
        first = max(1, min(applied + 1, self.durable_at_start - self.bounds.dedupe_trades + 1))
        for run in runs(self.backbone.records(first, self.durable_at_start)):
            self._keys.load(run)
            self._requests.load(run)
            for record in run:
                if record.last_seq > applied and record.count:
                    for instrument in decode_frame(record.frame).instruments:
                        self._know_multiplier(
                            instrument.venue, instrument.symbol, instrument.multiplier, instrument.multiplier_scale
                        )

    def _know_multiplier(self, venue: str, symbol: str, mantissa: int, scale: int) -> None:
        self.intake.multipliers.setdefault((venue, symbol), (mantissa, scale))

    # --- the straight line -----------------------------------------------------------------------------------------

    async def _pump(self, ready: Ready) -> None:
        """Results in: merged in order, settled with the backbone, waiters and subscribers told."""
        ready()
        while True:
            results = await self.backbone.results()
            arrived_ns = self.clocks.monotonic_ns()
            before = self.state.applied
            for result in results:
                if isinstance(result, Quarantined):
                    await self._snapshots.room(0)
                    logger.error("quarantined", seq=result.seq, deaths=result.deaths)
                    self.state.quarantine(result.seq)
                else:
                    await self._room(row_count(result.body))
                    self._merge(result, arrived_ns)
            if self.state.applied > before:
                self.latency.applied(self.state.applied, self.clocks.monotonic_ns())
                self.waiters.wake(self.state.applied)
                self.live.publish()

    async def _room(self, rows: int) -> None:
        """Until so many rows can be merged at once."""
        await self._snapshots.room(rows)
        while self.state.atoms.is_folding:  # in pieces, between which others have their turn
            self.state.atoms.fold_some()
            await asyncio.sleep(0)
            await self._snapshots.room(rows)

    def _merge(self, result: Partial, arrived_ns: int) -> None:
        verdict = self.state.verdict(result.head)
        if verdict.accepted:
            try:
                verdict, _ = self.state.merge(result.head, decode_partial(result.body))
                self.latency.analysed(result.head, arrived_ns, self.clocks.monotonic_ns())
            except InvalidInput as error:
                logger.error("partial", worker=result.head.worker, error=error.detail)
                verdict = Verdict.UNDECODABLE
        if not verdict.accepted:
            self.dropped[verdict.value] = self.dropped.get(verdict.value, 0) + 1
        self.backbone.settle(result, verdict)

    async def applied(self, seq: int, seconds: float) -> bool:
        """Wait until the statistics contain trade `seq`, at most so long; whether they do."""
        if self.state.applied >= seq:
            return True
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.waiters.add(seq, seconds, lambda applied: None if future.done() else future.set_result(applied))
        return await future

    async def _ticks(self, ready: Ready) -> None:
        """Serve subscriptions when their interval is over: at once after a change, and as time goes by (windows)."""
        ready()
        while True:
            now_ns = self.clocks.monotonic_ns()
            for _ in self.live.ahead_of(now_ns):
                await asyncio.sleep(0)
            due_ns = self.live.tick(self.state.applied, now_ns)
            if due_ns is None:
                await self.live.changed.wait()
                self.live.changed.clear()
                continue
            await asyncio.sleep(max(0.001, (due_ns - self.clocks.monotonic_ns()) / 1e9))

    # --- what is asked ---------------------------------------------------------------------------------------------

    def admit(self) -> None:
        """Raise TryAgain when a body cannot be taken now; called before it is read."""
        if self.draining:
            raise TryAgain("the gateway is shutting down", retry_after=2)
        if not self._indexed:
            raise TryAgain("the index of keys is being rebuilt from the journal", retry_after=0.2)
        self.intake.check()
        backlog = self.intake.last_seq - self.state.applied
        if backlog + self.intake.waiting >= self.bounds.backlog_trades:
            limit = self.bounds.backlog_trades
            raise TryAgain(f"{backlog} trades wait for analysis, expected fewer than {limit}; are workers running?")

    def refuse(self, reason: str) -> None:
        """Count a refused request."""
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def freshness(self) -> dict[str, Any]:
        """What every answer says of itself: as of which trade it is true, what is on disk, what was left out."""
        fields: dict[str, Any] = {
            "as_of_seq": self.state.applied,
            "durable_seq": self.backbone.status().durable_seq,
        }
        if self.state.quarantined:
            fields["quarantined"] = list(self.state.quarantined)
        return fields

    def problems(self) -> list[str]:
        """Why the gateway cannot do its work now; empty when it can."""
        status = self.backbone.status()
        journal = status.journal
        reasons = []
        if self.draining:
            reasons.append("shutting down")
        if not self._indexed:
            reasons.append("the index of keys is being rebuilt from the journal")
        if not any(worker.version_ok for worker in status.workers):
            reasons.append(f"no worker of statistics version {self.state.version} is connected")
        if journal is not None and journal.failure:
            reasons.append(f"the journal cannot be written: {journal.failure}")
        elif journal is not None and journal.full:
            reasons.append(journal.full)
        if (lag := status.durable_seq - self.state.applied) > self.bounds.lag_trades:
            reasons.append(f"{lag} trades are durable and not applied, expected at most {self.bounds.lag_trades}")
        return reasons

    @property
    def caught_up(self) -> bool:
        """Whether everything that was durable at the start is applied: counters are shown from then on."""
        return self.state.applied >= self.durable_at_start

    def health(self) -> dict[str, Any]:
        """Workers and readiness, as the stream's `health` topic and `/readyz` show them."""
        status = self.backbone.status()
        reasons = self.problems()
        return {
            "ready": not reasons,
            "reasons": reasons,
            "workers": sum(worker.version_ok for worker in status.workers),
            "backlog": status.durable_seq - self.state.applied,
            "open_alerts": self.watch.bulletin.alerts.open().total(),
            "silent_streams": sum(states["silent"] for states in self.watch.freshness.counts().values()),
        }
