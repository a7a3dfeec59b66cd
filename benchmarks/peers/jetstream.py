"""NATS JetStream: a message of 1,000 trades each in file storage, a pull consumer process that adds up.

`python -m benchmarks.peers.jetstream PORT STREAM TRADES` is that process.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.peers.lean import Lean
from benchmarks.peers.peer import Job, Peer, library, program
from benchmarks.processes import Failed, Process, free_port, listens, module, until

WINDOW = 16  # messages that are not acknowledged yet
BATCH = 20
FETCH_SECONDS = 10


@contextmanager
def running(directory: Path) -> Iterator[Job]:
    """The server with its default intervals of syncing."""
    port = free_port()
    command = [str(program("nats-server")), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(directory / "nats")]
    with Process(command, directory / "nats.log"):
        until(lambda: listens(port), "NATS listens")
        yield partial(_job, port, directory)


def _job(port: int, directory: Path, bodies: Sequence[bytes]) -> float:
    name = f"T{time.monotonic_ns()}"
    return asyncio.run(_publish(port, name, directory, bodies))


async def _publish(port: int, name: str, directory: Path, bodies: Sequence[bytes]) -> float:
    client = await library("nats").connect(f"nats://127.0.0.1:{port}")
    stream = client.jetstream()
    await stream.add_stream(name=name, subjects=[name])
    trades = 1000 * len(bodies)
    try:
        with module("benchmarks.peers.jetstream", port, name, trades, log=directory / "jetstream.log") as consumer:
            await asyncio.to_thread(consumer.line)
            began = time.monotonic()
            for start in range(0, len(bodies), WINDOW):
                await asyncio.gather(*(stream.publish(name, body) for body in bodies[start : start + WINDOW]))
            if await asyncio.to_thread(consumer.line) != str(trades):
                raise Failed("NATS: the consumer did not count every trade")
            return time.monotonic() - began
    finally:
        await stream.delete_stream(name)
        await client.close()


async def consume(port: int, name: str, trades: int) -> None:
    """Pull until so many trades are counted."""
    client = await library("nats").connect(f"nats://127.0.0.1:{port}")
    subscription: Any = await client.jetstream().pull_subscribe(name, durable="lean")
    lean = Lean()
    print("ready", flush=True)
    while lean.count < trades:
        for message in await subscription.fetch(BATCH, timeout=FETCH_SECONDS):
            lean.add(message.data)
            await message.ack()
    lean.vwap()
    print(lean.count, flush=True)
    await client.close()


PEERS = (
    Peer(
        name="NATS JetStream lean",
        running=running,
        required=1.5,
        aim=2.4,
        quick_trades=300_000,  # of fewer a run is mostly its beginning and end
        programs=("nats-server",),
        libraries=("nats",),
        note="file storage, synced every two minutes; checks nothing, three aggregates",
    ),
)

if __name__ == "__main__":
    asyncio.run(consume(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
