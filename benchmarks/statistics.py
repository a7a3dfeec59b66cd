"""What all statistics and watching cost above the basic ones: CPU time of gateway and worker for each trade."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

from benchmarks.bodies import SYMBOLS, Requests, requests
from benchmarks.figure import Figure, Sample, alternate, column, ratios
from benchmarks.plan import Plan
from benchmarks.product import Product

CONNECTIONS = 8
PER_BODY = (1_000, 100)
MANY = 1_000  # symbols
KINDS = "all", "basic"


def measure(plan: Plan) -> Iterator[Figure]:
    """The same bodies, in turn with TELEMETRY_STATISTICS=all and =basic, of 1,000 and of 100 trades, over few and over
    many symbols."""
    for symbols in (SYMBOLS, MANY):
        with ExitStack() as stack:
            products = {
                kind: stack.enter_context(Product(plan.directory / f"{kind}-{symbols}", settings={"statistics": kind}))
                for kind in KINDS
            }
            size, first = plan.size(500_000, 100_000), 0
            for per_body in PER_BODY:
                yield _compare(plan, products, first, size, per_body, symbols)
                first += size * (plan.rounds + 1)


def _compare(plan: Plan, products: Mapping[str, Product], first: int, size: int, per_body: int, symbols: int) -> Figure:
    count = max(1, size // per_body)
    with requests(first, count * (plan.rounds + 1), per_body=per_body, symbols=symbols) as made:
        things = {kind: _run(product, made, count) for kind, product in products.items()}
        samples = alternate(plan.rounds, things, warm_up=not plan.quick)
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
