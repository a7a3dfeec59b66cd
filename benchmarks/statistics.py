"""What all statistics and watching cost above the basic ones: CPU time of gateway and worker for each trade."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

from benchmarks.bodies import SYMBOLS, Requests, requests
from benchmarks.figure import Figure, Sample, alternate, column, ratios
from benchmarks.plan import Plan
from benchmarks.product import Product

CONNECTIONS = 8
PER_BODY = (1_000, 100)
MANY = 1_000  # symbols


def measure(plan: Plan) -> Iterator[Figure]:
    """The same bodies, in turn with TELEMETRY_STATISTICS=all and =basic, of 1,000 and of 100 trades, over few and over
    many symbols."""
    for symbols in (SYMBOLS, MANY):
        for per_body in PER_BODY:
            yield _compare(plan, per_body, symbols)


def _compare(plan: Plan, per_body: int, symbols: int) -> Figure:
    count = max(1, plan.size(500_000, 100_000) // per_body)
    with ExitStack() as stack:
        made = stack.enter_context(requests(0, count * (plan.rounds + 1), per_body=per_body, symbols=symbols))
        things: dict[str, Callable[[int], Sample]] = {}
        for kind in ("all", "basic"):
            directory = plan.directory / f"{kind}-{per_body}-{symbols}"
            product = stack.enter_context(Product(directory, settings={"statistics": kind}))
            things[kind] = _run(product, made, count)
        samples = alternate(plan.rounds, things)
    return Figure(
        name=f"CPU per trade, all statistics ÷ basic, {per_body:,} a body, {symbols:,} symbols",
        measured=ratios(samples["all"], samples["basic"], "ns"),
        required=1.5,
        at_least=False,
        values={f"{kind}, CPU ns per trade": column(taken, "ns") for kind, taken in samples.items()},
        note="gateway and one worker",
    )


def _run(product: Product, made: Requests, count: int) -> Callable[[int], Sample]:
    def run(number: int) -> Sample:
        loaded = product.send(made, first=number * count, count=count, connections=CONNECTIONS)
        return {"ns": loaded.cpu / (loaded.requests * made.trades) * 1e9}

    return run
