"""A worker in a process of its own: returns the sum of each lease. Dies of POISON; some never finish HOLD.

python echo_worker.py RESULTS NAME [--version V] [--hold beating|blocked] [--pause SECONDS] [--padding BYTES]
[--no-room]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import time

from telemetry.backbone import Lease, returned
from telemetry.backbone.links import WorkerLink
from telemetry.backbone.room import ROOM_BYTES
from telemetry.wire import PartialHead
from tests.backbone.trades import HOLD, POISON, VERSION, analyse, numbers_of


def pause(seconds: float) -> None:
    """Be busy, as an analysis is: the event loop stands still."""
    time.sleep(seconds)  # sleeps: stands for work


async def work(link: WorkerLink, lease: Lease, arguments: argparse.Namespace) -> None:
    values = numbers_of(lease)
    if POISON in values:
        os._exit(1)
    if HOLD in values and arguments.hold == "beating":
        await asyncio.Event().wait()
    if HOLD in values and arguments.hold == "blocked":
        signal.pause()
    pause(arguments.pause)
    head = PartialHead(
        epoch=lease.epoch,
        attempt=lease.attempt,
        first=lease.first,
        last=lease.last,
        worker=link.worker,
        generation=link.generation,
        version=link.version,
        trades=len(values),
        received_ns=0,
        started_ns=0,
        finished_ns=0,
    )
    await link.send(returned(lease, head, [analyse(lease), b" " * arguments.padding]))


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("results")
    parser.add_argument("name")
    parser.add_argument("--version", default=VERSION)
    parser.add_argument("--hold", default="")
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--padding", type=int, default=0)
    parser.add_argument("--no-room", action="store_true")
    arguments = parser.parse_args()
    if arguments.no_room:  # it is as large as a file may be here, and more
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES - 1, ROOM_BYTES - 1))
    async with WorkerLink(results=arguments.results, worker=arguments.name, version=arguments.version) as link:
        while True:
            await work(link, await link.receive(), arguments)


if __name__ == "__main__":
    asyncio.run(main())
