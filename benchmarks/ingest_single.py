"""Durable POSTs of one trade over 64 connections: requests per core-second against servers that do nothing.

The same generator, the same requests; the gateway also decodes, checks, deduplicates, syncs, dispatches and merges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.bodies import Requests, requests
from benchmarks.figure import Figure, Sample, alternate, column, ratios
from benchmarks.floors import Server, serving
from benchmarks.generator import Drive, Loaded, drive
from benchmarks.plan import Plan
from benchmarks.product import Product

CONNECTIONS = 64
FLOORS = ("asgi", "fastapi")


def measure(plan: Plan) -> Iterator[Figure]:
    """Against the bare ASGI app and against FastAPI with a pydantic model."""
    count = plan.size(30_000, 3_000)
    with (
        requests(0, count * (plan.rounds + 1)) as made,
        Product(plan.directory / "single") as product,
        serving("asgi", plan.directory) as asgi,
        serving("fastapi", plan.directory) as fastapi,
    ):
        things = {
            "gateway": _gateway(product, made, count),
            "asgi": _floor(asgi, made, count, plan),
            "fastapi": _floor(fastapi, made, max(1, count // 4), plan),
        }
        samples = alternate(plan.rounds, things)
    for floor, required, aim in (("asgi", 0.6, 2.0), ("fastapi", 2.8, 8.0)):
        yield Figure(
            name=f"single POST ÷ {'bare ASGI' if floor == 'asgi' else 'FastAPI + pydantic'} no-op",
            measured=ratios(samples["gateway"], samples[floor]),
            required=required,
            aim=aim,
            values={
                "gateway, requests per core-second": column(samples["gateway"], "rate"),
                f"{floor}, requests per core-second": column(samples[floor], "rate"),
                "gateway, requests/s": column(samples["gateway"], "wall"),
                f"{floor}, requests/s": column(samples[floor], "wall"),
                "gateway, acknowledged p50 ms": column(samples["gateway"], "p50"),
            },
            note=f"{CONNECTIONS} connections",
        )


def _gateway(product: Product, made: Requests, count: int) -> Callable[[int], Sample]:
    def run(number: int) -> Sample:
        plan = Drive(port=product.port, first=number * count, count=count, connections=CONNECTIONS)
        return _sample(product.drive(made, plan, cpu=product.gateway_cpu))

    return run


def _floor(server: Server, made: Requests, count: int, plan: Plan) -> Callable[[int], Sample]:
    def run(_: int) -> Sample:
        run = Drive(port=server.port, first=0, count=count, connections=CONNECTIONS)
        return _sample(drive(made, run, plan.directory / "load.log", cpu=server.cpu))

    return run


def _sample(loaded: Loaded) -> Sample:
    return {"rate": loaded.requests / loaded.cpu, "wall": loaded.rate, "p50": loaded.answered_ms["p50"]}
