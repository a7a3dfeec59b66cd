"""A thousand WebSocket clients that get the same statistics ten times a second: CPU per client and message.

What the gateway uses for the trades themselves, measured without clients in the same round, is taken off. The floor is
a process that only writes as many bytes to as many connections.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.bodies import Requests, requests
from benchmarks.figure import Figure, Sample, alternate, column, ratios
from benchmarks.generator import Drive, Loaded
from benchmarks.plan import Plan
from benchmarks.processes import Failed, Process, free_port, module
from benchmarks.product import Product

RATE = 10.0
FEED = 20  # trades a second: something has changed at every tick, and it costs little beside the clients
INTERVAL_MS = 100
SUBSCRIBE = {"id": "a", "topic": "stats", "symbols": ["*"], "interval_ms": INTERVAL_MS}
SETTLE_SECONDS = 1.0


def measure(plan: Plan) -> Iterator[Figure]:
    """The gateway against the kernel's send."""
    clients, seconds = (300, 2) if plan.quick else (1_000, 5)
    count = FEED * seconds
    with requests(0, 2 * count * (plan.rounds + 1)) as made, Product(plan.directory / "fanout") as product:
        size = _message_bytes(plan, product, made, count)
        things: dict[str, Callable[[int], Sample]] = {
            "gateway": partial(_gateway, plan, product, made, clients, count),
            "kernel": lambda _: _kernel(plan, clients, size, seconds),
        }
        samples = alternate(plan.rounds, things, warm_up=not plan.quick)
    yield Figure(
        name=f"fan-out to {clients:,} clients, CPU per message ÷ kernel send",
        measured=ratios(samples["gateway"], samples["kernel"], "us"),
        required=3.0,
        aim=1.5,
        at_least=False,
        values={
            "gateway, CPU µs per client and message": column(samples["gateway"], "us"),
            "kernel, CPU µs per client and message": column(samples["kernel"], "us"),
            "gateway, messages/s": column(samples["gateway"], "rate"),
            "gateway, bytes per message": column(samples["gateway"], "bytes"),
            "gateway without clients, CPU share": column(samples["gateway"], "idle"),
        },
        note=f"{clients:,} clients at {RATE:g} Hz",
    )


def _gateway(plan: Plan, product: Product, made: Requests, clients: int, count: int, number: int) -> Sample:
    alone = _feed(product, made, 2 * number * count, count)
    with _watching(plan, product.port, clients, SUBSCRIBE, 0) as spectators:
        loaded = _feed(product, made, (2 * number + 1) * count, count)
        spectators.tell("stop")
        found = spectators.answer()
    used = loaded.cpu - alone.cpu * loaded.seconds / alone.seconds
    messages = max(1, found["messages"])
    if used <= 0:
        raise Failed("the gateway used less CPU with clients than without: the machine is too busy to tell")
    return {
        "us": used / messages * 1e6,
        "rate": messages / loaded.seconds,
        "bytes": found["bytes"] / messages,
        "idle": alone.cpu / alone.seconds,
    }


def _kernel(plan: Plan, clients: int, size: int, seconds: float) -> Sample:
    port = free_port()
    with module("benchmarks.sender", port, clients, size, RATE, log=plan.directory / "sender.log") as sender:
        sender.line()
        with _watching(plan, port, clients, None, size) as spectators:
            before = sender.cpu()
            time.sleep(seconds)
            used = sender.cpu() - before
            spectators.tell("stop")
            messages = max(1, spectators.answer()["messages"])
    return {"us": used / messages * 1e6, "rate": messages / seconds}


@contextmanager
def _watching(plan: Plan, port: int, clients: int, subscribe: dict[str, object] | None, size: int) -> Iterator[Process]:
    """The clients, connected, their first messages behind them."""
    spec = json.dumps({"port": port, "clients": clients, "subscribe": subscribe, "size": size})
    with module("benchmarks.spectators", spec, log=plan.directory / "spectators.log") as spectators:
        spectators.line()
        time.sleep(SETTLE_SECONDS)
        spectators.tell("go")
        spectators.line()
        yield spectators


def _feed(product: Product, made: Requests, first: int, count: int) -> Loaded:
    drive = Drive(port=product.port, first=first, count=count, connections=8, rate=FEED)
    return product.drive(made, drive, cpu=product.gateway_cpu)


def _message_bytes(plan: Plan, product: Product, made: Requests, count: int) -> int:
    """The size of an update, as one client gets it."""
    with _watching(plan, product.port, 1, SUBSCRIBE, 0) as spectators:
        _feed(product, made, 0, count)
        spectators.tell("stop")
        found = spectators.answer()
    return int(found["bytes"] / max(1, found["messages"]))
