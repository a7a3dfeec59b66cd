"""Bootstrap of the gateway: settings in, concrete parts put together, run until asked to stop.

The order of stopping is the reverse of starting: no new requests, what was taken is committed and answered, results
that are on their way are merged, the last snapshot, then sockets and journal are closed.
"""

from __future__ import annotations

import asyncio
import gc
import secrets
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import cast

import msgspec
import structlog
import uvicorn
import uvloop

from gateway.aggregator import Aggregator
from gateway.alerting.bulletin import Bulletin
from gateway.alerting.gathering import Gathering
from gateway.alerting.rule_file import RuleFile
from gateway.answering.patterns import add_patterns
from gateway.app import Bounds, Clocks, Gateway
from gateway.early import keep_early
from gateway.environment import GatewaySettings
from gateway.freshness import Freshness
from gateway.guard import Guard
from gateway.ingest import Ingest
from gateway.ingestion.feed import MAX_BYTES, Feed
from gateway.ingestion.lane import Lane
from gateway.ingestion.short_cut import LaneProtocol
from gateway.ingestion.slots import MakeSlots
from gateway.intake import MAX_TRADES, Intake
from gateway.keys import KeyIndex, RequestIndex
from gateway.latency import Latency
from gateway.loss import Loss
from gateway.metrics import new_registry
from gateway.quickest import new_look, new_merging, new_naming, new_parts, new_slots
from gateway.routes import new_app
from gateway.snapshot import Snapshot, Snapshots
from gateway.state.folding import CompiledFolding
from gateway.state.merging import CompiledMerging
from gateway.state.newest import Newest
from gateway.stream import Stream
from gateway.streaming.websocket import PING_SECONDS, PONG_SECONDS, StreamProtocol
from gateway.watch import Watch
from gateway.watching.calendars import Unloaded
from gateway.watching.kept import Kept
from telemetry.backbone.embedded import Embedded
from telemetry.backbone.endpoints import default_results
from telemetry.backbone.journal import Journal
from telemetry.backbone.leased import leased
from telemetry.backbone.leases import Limits
from telemetry.backbone.writer import JournalWriter
from telemetry.decode import Decoder
from telemetry.decode_compiled import available
from telemetry.environ import read_settings
from telemetry.errors import InvalidInput
from telemetry.hangup import on_hang_up
from telemetry.heap import keep_freed_memory
from telemetry.load import Load
from telemetry.logs import begin_logs
from telemetry.pages import take_pages
from telemetry.supervisor import watch_supervisor
from telemetry.tasks import AsyncTaskManager, Ready

SETTLE_SECONDS = 2.0  # at the end, for the results that are on their way
ANSWER_SECONDS = 3  # at the end, for the answers that are on their way
logger = structlog.get_logger("gateway")


async def run(settings: GatewaySettings) -> None:
    """Serve until SIGTERM, SIGINT, the end of the supervisor or the first failure."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    _obey(loop, stop, settings)
    rules = RuleFile(settings.rules)
    rules.read(time.time_ns())  # wrong ones shall cost nothing
    listening = _listen(settings)
    journal = Journal.open(
        settings.data / "journal", segment_bytes=settings.segment_bytes, durability=settings.durability
    )
    logger.info("journal", **asdict(journal.recovery))
    state = await asyncio.to_thread(new_state, settings)
    limits = Limits(window=settings.window, deadline_seconds=settings.lease_seconds, align=state.stride)
    results = settings.results or default_results(settings.data)
    async with (
        JournalWriter(journal) as writer,
        Embedded(writer, results=results, version=state.version, limits=limits, leased=leased) as backbone,
    ):
        slots = await asyncio.to_thread(new_slots, settings.compiled)
        gateway = new_gateway(settings, backbone, state, journal.journal_id.hex(), slots, rules)
        loop.add_signal_handler(signal.SIGHUP, on_hang_up(gateway.watch.bulletin.reload, stop.set))
        stream = Stream(gateway)
        registry = new_registry(gateway, stream, settings.metric_symbols)
        guard = Guard(settings.host, (settings.port, settings.ui_port), settings.origins)
        async with AsyncTaskManager(grace=SETTLE_SECONDS) as tasks:
            await gateway.start(tasks)
            if settings.calendars:
                await tasks.start("calendars", gateway.watch.keep_calendars, settings.calendar_of_venue)
            decoder = await asyncio.to_thread(new_decoder, settings.compiled, journal.journal_id)
            app = new_app(gateway, stream, feed := Feed(gateway, decoder), registry)
            add_patterns(app, gateway)
            lane = _new_lane(gateway, guard, decoder, journal, backbone.hear)
            server = _Server(Ingest(gateway, guard, app, decoder), lane, listening)
            gc.freeze()  # what is here by now stays: looking through it again would stop everything for 0.1 s each time
            await tasks.start("http", server.answer, stop=server.ask, grace=ANSWER_SECONDS + 1.0)
            logger.info("listening", url=settings.base_url, epoch=f"{state.epoch:016x}", applied=state.applied)
            await stop.wait()
            await _drain(gateway, feed)
        await gateway.finish()


def _obey(loop: asyncio.AbstractEventLoop, stop: asyncio.Event, settings: GatewaySettings) -> None:
    """Signals, and the end of the supervisor. SIGHUP is without effect until there are rules to be read again."""
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, on_hang_up(lambda: None, stop.set))
    watch_supervisor(loop, settings.supervisor_fd, stop.set)


async def _drain(gateway: Gateway, feed: Feed) -> None:
    """Take nothing more; answer and merge what was taken."""
    gateway.draining = True
    await gateway.intake.drain()
    await feed.finish()
    await gateway.applied(gateway.backbone.status().durable_seq, SETTLE_SECONDS)


def new_decoder(compiled: bool, secret: bytes) -> Decoder:
    """The quickest that this machine has, if `compiled` ones are wanted. The first start compiles it, for many seconds;
    later ones load that. `secret` is that of the digests in the journal."""
    began = time.monotonic()
    compiled = compiled and available()
    try:
        decoder = Decoder(compiled=compiled, secret=secret)
    except Exception as error:  # an optional library or its cache is broken: slower is better than down
        logger.warning("the compiled decoder cannot be used, decoding is slower", error=repr(error))
        return Decoder(compiled=False, secret=secret)
    logger.info("decoder", compiled=compiled, seconds=round(time.monotonic() - began, 3))
    return decoder


def new_state(settings: GatewaySettings) -> Aggregator:
    """The live state, empty. May take long, as `new_decoder`."""
    basic, parts = settings.statistics == "basic", new_parts(settings.compiled)
    state = Aggregator(epoch=secrets.randbits(64), atoms=settings.atoms, basic=basic, parts=parts)
    state.atoms.merging = new_merging(settings.compiled)
    if isinstance(state.atoms.merging, CompiledMerging):
        state.atoms.folding, state.atoms.newest = CompiledFolding(len(state.atoms.rows)), Newest()
        state.atoms.take_pages = take_pages
    return state


def new_gateway(
    settings: GatewaySettings,
    backbone: Embedded,
    state: Aggregator,
    journal_id: str,
    slots: MakeSlots,
    rules: RuleFile,
) -> Gateway:
    """The business logic with its parts."""
    keys = KeyIndex(settings.dedupe_trades, pending=settings.intake_trades + MAX_TRADES, slots=slots)
    requests = RequestIndex(settings.dedupe_trades)
    latency, loss, clocks = Latency(), Loss(), Clocks()
    snapshot = Snapshot(settings.data / "snapshot.db", journal_id, loss)
    gathering = Gathering(
        state, latency, loss=loss, durable=lambda: backbone.status().durable_seq, zones=settings.venue_zones
    )
    bulletin = Bulletin(rules, Kept(settings.data / "alerts.json", journal_id), wall_ns=clocks.wall_ns)
    bulletin.alerts.fingers.use(new_look(settings.compiled))
    streams = Kept(settings.data / "streams.msgpack", journal_id)
    freshness = new_freshness(settings, streams, clocks)
    is_watched = settings.statistics == "all"
    watch = Watch(freshness, loss, bulletin, gathering, streams, clocks, trades=is_watched)
    watch.use(new_naming(settings.compiled))
    watch.knows_sessions = not settings.calendars
    intake = Intake(backbone, keys, requests, latency, limit=settings.intake_trades)
    backbone.coming = lambda: intake.waiting > 0
    return Gateway(
        backbone=backbone,
        state=state,
        snapshots=Snapshots(snapshot, state, seconds=settings.snapshot_seconds),
        keys=keys,
        requests=requests,
        intake=intake,
        latency=latency,
        watch=watch,
        bounds=Bounds(backlog_trades=settings.backlog_trades, dedupe_trades=settings.dedupe_trades),
        clocks=clocks,
        zones=settings.venue_zones,
    )


def _new_lane(gateway: Gateway, guard: Guard, decoder: Decoder, journal: Journal, hear: Callable[[], None]) -> Lane:
    """The lane; the memory that a burst needs first is taken."""
    lane = Lane(gateway, guard, decoder, Load(), hear)
    keep_early([journal.record_memory, *lane.buffers.values()])
    return lane


def new_freshness(settings: GatewaySettings, kept: Kept, clocks: Clocks) -> Freshness:
    """The streams as they were saved, and those that are expected."""
    sessions = Unloaded(settings.calendar_of_venue)
    freshness = Freshness(sessions, now_ns=clocks.monotonic_ns())
    if settings.statistics == "basic":
        return freshness  # nobody is watched
    content, reason = kept.read()
    if content is not None:
        try:
            freshness.restore(msgspec.msgpack.decode(content), clocks.wall_ns(), clocks.monotonic_ns())
        except (msgspec.MsgspecError, InvalidInput) as error:
            reason, freshness = f"it cannot be used: {error}", Freshness(sessions, now_ns=clocks.monotonic_ns())
    for stream in settings.expected_streams:
        kind, name = stream.split(":", 1)
        freshness.expect(kind, [name])
    logger.info("streams", restored=not reason, reason=reason or None)
    return freshness


def _listen(settings: GatewaySettings) -> socket.socket:
    """The listening socket, bound before anything else is touched: a port in use must cost nothing."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise InvalidInput(
            f"TELEMETRY_PORT: expected a free port, {settings.port} is not: {error.strerror}", problem="unavailable"
        ) from None
    return listening


class _Server(uvicorn.Server):
    """uvicorn as a task: signals are the entrypoint's, readiness is when the port answers."""

    def __init__(self, app: Ingest, lane: Lane, listening: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="none",
                http=cast("type[asyncio.Protocol]", partial(LaneProtocol, lane)),
                ws=StreamProtocol,
                ws_ping_interval=PING_SECONDS,
                ws_ping_timeout=PONG_SECONDS,
                ws_per_message_deflate=False,
                ws_max_size=MAX_BYTES,
                proxy_headers=False,
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=ANSWER_SECONDS,
                backlog=1024,
            )
        )
        self._listening = listening

    async def answer(self, ready: Ready) -> None:
        """Answer until asked to stop."""
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets=[self._listening])
        ready()
        await self.main_loop()
        await self.shutdown(sockets=[self._listening])

    def ask(self) -> None:
        """Stop accepting, finish the answers under way."""
        self.should_exit = True


def main() -> None:
    """The process: reads the environment, sets up logging and the event loop."""
    keep_freed_memory()
    settings = read_settings(GatewaySettings)
    begin_logs("gateway", settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(settings))
