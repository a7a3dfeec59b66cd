"""Where the time goes: CPU per trade of each hop, the product's own parts called one after another in this process.

What is not here is what only processes have: messages between them, waiting, caches that are shared.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.bodies import bodies, requests, rows
from benchmarks.figure import Figure, Sample, alternate, column
from benchmarks.floors import serving
from benchmarks.generator import Drive, drive
from benchmarks.plan import Plan
from gateway.aggregator import Aggregator
from gateway.intake import Intake
from gateway.keys import KeyIndex, RequestIndex
from gateway.latency import Latency
from gateway.quickest import new_merging, new_parts, new_slots
from telemetry.backbone import Committed
from telemetry.backbone import Group as JournalGroup
from telemetry.backbone.journal import Journal
from telemetry.backbone.memory import Memory
from telemetry.backbone.record import Buffer, decode_record
from telemetry.columns import Columns
from telemetry.decode import Decoder
from telemetry.decode_compiled import available
from telemetry.fixed import decode_fixed
from telemetry.partial import decode_partial, encode_partial
from telemetry.statistics import VERSION
from telemetry.wire import PartialHead
from worker.analysis import Quick, analyse
from worker.entrypoint import new_quick

SHAPES = {"1,000 a body": (1_000, 1), "1 a body, 32 a commit": (1, 32)}  # trades of a body, bodies of a commit
HOPS = (
    "HTTP (bare ASGI app)",
    "decode and check",
    "keys and groups",
    "record",
    "journal (write and sync)",
    "index and answers",
    "worker: read the record",
    "worker: analysis",
    "worker: partial",
    "merge",
)


class Stopwatch:
    """CPU seconds of this process by hop."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(HOPS, 0.0)
        self._last = time.process_time()

    def lap(self, hop: str) -> None:
        """What has passed since the last lap belongs to this hop."""
        now = time.process_time()
        self.seconds[hop] += now - self._last
        self._last = now


class Line(Memory):
    """A backbone that journals on disk, in the caller's thread, and keeps the last record."""

    def __init__(self, journal: Journal, watch: Stopwatch) -> None:
        super().__init__(version=VERSION, analyse=lambda _: b"", workers=())
        self.raw: Buffer = b""
        self._disk, self.watch = journal, watch

    async def append(self, group: JournalGroup) -> Committed:
        """As Journal.append."""
        self.watch.lap("keys and groups")

        def encode(first_seq: int, synced_seq: int) -> Buffer:
            self.raw = group.record_bytes(first_seq, synced_seq)
            self.watch.lap("record")
            return self.raw

        committed = self._disk.append(encode, group.count)
        self.watch.lap("journal (write and sync)")
        return committed


def measure(plan: Plan) -> Iterator[Figure]:
    """Each hop, for large bodies and for single trades."""
    things: dict[str, Callable[[int], Sample]] = {name: _runner(plan, *shape) for name, shape in SHAPES.items()}
    samples = alternate(plan.rounds, things)
    for name, taken in samples.items():
        yield Figure(
            name=f"all hops, {name}",
            measured=tuple(sum(sample.values()) for sample in taken),
            unit="ns per trade",
            values={hop: column(taken, hop) for hop in HOPS},
        )


def _runner(plan: Plan, per_body: int, per_commit: int) -> Callable[[int], Sample]:
    trades = plan.size(300_000, 50_000) // (1 if per_body > 1 else 20)
    count = trades // per_body // per_commit * per_commit

    def run(number: int) -> Sample:
        made = bodies(0, count, per_body) if per_body > 1 else [bytes(row[:-1]) for row in rows(0, count)]
        seconds = asyncio.run(_through(plan.directory / f"hops-{per_body}-{number}", made, per_commit))
        seconds["HTTP (bare ASGI app)"] = _http(plan, count, per_body)
        return {hop: taken / (count * per_body) * 1e9 for hop, taken in seconds.items()}

    return run


async def _through(directory: Path, made: Sequence[bytes], per_commit: int) -> dict[str, float]:
    with Journal.open(directory) as journal:
        watch = Stopwatch()
        line, decoder, quick = Line(journal, watch), Decoder(compiled=available()), new_quick(True)
        state = Aggregator(epoch=1, parts=new_parts(True))
        state.atoms.merging = new_merging(True)
        intake = Intake(line, KeyIndex(1 << 20, slots=new_slots(True)), RequestIndex(1 << 10), Latency(), limit=1 << 20)
        line.watch = watch = Stopwatch()  # from here on: what is compiled is loaded
        commits = asyncio.create_task(intake.run())
        for start in range(0, len(made), per_commit):
            await _commit(intake, decoder, watch, made[start : start + per_commit])
            _work(line.raw, state, watch, quick)
        intake.close()
        await commits
    return watch.seconds


async def _commit(intake: Intake, decoder: Decoder, watch: Stopwatch, made: Sequence[bytes]) -> None:
    """Bodies of one commit: of single trades all together, as they arrive in one turn of the event loop."""
    now = time.time_ns()
    batch = decoder.decode(made[0], "json", now) if len(made) == 1 else decoder.singles(made, now)
    for each in [batch] if batch is not None else [decoder.decode(body, "json", now) for body in made]:
        watch.lap("decode and check")
        receipt = intake.put(each, received_ns=time.monotonic_ns())
        watch.lap("keys and groups")
    await intake.committed(receipt)
    watch.lap("index and answers")


def _work(raw: Buffer, state: Aggregator, watch: Stopwatch, quick: Quick | None) -> None:
    """What a worker does with the record, and the gateway with the result."""
    record = decode_record(raw)
    assert record is not None
    parts: list[Columns] = [decode_fixed([record.frame])]
    watch.lap("worker: read the record")
    partial = analyse(parts, record.first_seq, quick=quick)
    watch.lap("worker: analysis")
    body = encode_partial(partial)
    watch.lap("worker: partial")
    now = time.monotonic_ns()
    head = PartialHead(
        epoch=state.epoch,
        attempt=1,
        first=record.first_seq,
        last=record.last_seq,
        worker="hops",
        generation=1,
        version=VERSION,
        trades=record.count,
        received_ns=now,
        started_ns=now,
        finished_ns=now,
    )
    verdict, _ = state.merge(head, decode_partial(body))
    assert verdict.accepted
    watch.lap("merge")


def _http(plan: Plan, count: int, per_body: int) -> float:
    """CPU seconds of a server that only takes the bodies."""
    with requests(0, count, per_body=per_body) as made, serving("asgi", plan.directory) as server:
        run = Drive(port=server.port, first=0, count=count, connections=8 if per_body > 1 else 64)
        return drive(made, run, plan.directory / "load.log", cpu=server.cpu).cpu
