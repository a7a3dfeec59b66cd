"""Redis Streams: an entry of 1,000 trades each, a consumer process that reads the stream and adds up.

`python -m benchmarks.peers.streams PORT STREAM TRADES` is that process.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.peers.lean import Lean
from benchmarks.peers.peer import Job, Peer, library, program
from benchmarks.processes import Failed, Process, free_port, listens, module, until

PIPELINE = 10
BLOCK_MS = 10_000


@contextmanager
def running(fsync: str, directory: Path) -> Iterator[Job]:
    """The server with an append-only file that is synced as told."""
    port = free_port()
    options = {"port": port, "bind": "127.0.0.1", "dir": directory, "appendonly": "yes", "appendfsync": fsync}
    options |= {"save": '""', "daemonize": "no"}
    command = [str(program("redis-server"))]
    for name, value in options.items():
        command += [f"--{name}", str(value).strip('"')]
    with Process(command, directory / f"redis-{fsync}.log"):
        until(lambda: listens(port), "Redis listens")
        client = library("redis").Redis(port=port)
        try:
            yield partial(_job, client, port, directory)
        finally:
            client.close()


def _job(client: object, port: int, directory: Path, bodies: Sequence[bytes]) -> float:
    redis: object = client
    trades = 1000 * len(bodies)
    name = f"trades-{time.monotonic_ns()}"
    log = directory / "streams.log"
    with module("benchmarks.peers.streams", port, name, trades, log=log) as consumer:
        consumer.line()
        began = time.monotonic()
        for start in range(0, len(bodies), PIPELINE):
            _send(redis, name, bodies[start : start + PIPELINE])
        if consumer.line() != str(trades):
            raise Failed("Redis: the consumer did not count every trade")
        return time.monotonic() - began


def _send(client: object, name: str, bodies: Sequence[bytes]) -> None:
    pipeline = client.pipeline(transaction=False)  # type: ignore[attr-defined]  # a library that need not be there
    for body in bodies:
        pipeline.xadd(name, {"b": body})
    pipeline.execute()


def consume(port: int, name: str, trades: int) -> None:
    """Read the stream until so many trades are counted."""
    client = library("redis").Redis(port=port)
    client.ping()
    lean, last = Lean(), b"0"
    print("ready", flush=True)
    while lean.count < trades:
        found = client.xread({name: last}, block=BLOCK_MS, count=50)
        if not found:
            break
        entries = list(_entries(found))
        for _, fields in entries:
            lean.add(fields[b"b"])
        last = entries[-1][0]
    lean.vwap()
    print(lean.count, flush=True)


def _entries(found: object) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
    """Of one stream, whichever of its two protocols the client speaks."""
    if isinstance(found, dict):
        for batches in found.values():
            for batch in batches:
                yield from batch if isinstance(batch, list) else [batch]
    elif isinstance(found, list):
        yield from found[0][1]


PEERS = (
    Peer(
        name="Redis Streams lean, AOF always",
        running=partial(running, "always"),
        required=1.5,
        aim=2.0,
        quick_trades=300_000,  # of fewer a run is mostly its beginning and end
        programs=("redis-server",),
        libraries=("redis",),
        note="durable; checks nothing, three aggregates",
    ),
    Peer(
        name="Redis Streams lean, AOF everysec",
        running=partial(running, "everysec"),
        programs=("redis-server",),
        libraries=("redis",),
        note="loses up to a second; checks nothing, three aggregates",
    ),
)

if __name__ == "__main__":
    consume(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
