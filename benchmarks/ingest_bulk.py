"""Bodies of 1,000 trades until they are in the merged statistics, against bare msgspec decoding on one core.

Every trade has its own trade_id, is checked, deduplicated, on disk before its answer, analysed by a worker, merged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

from benchmarks.arrow import arrow_bodies, refusal
from benchmarks.bodies import ARROW, Requests, bodies, pack, requests
from benchmarks.figure import Figure, Sample, alternate, column, ratios
from benchmarks.floors import decode_rate
from benchmarks.plan import Plan
from benchmarks.product import CONNECTIONS, Product

FEW = 12  # connections with larger bodies: of 8, 12 and 16 the quickest with less than three quarters of what may wait
PER_BODY, PER_ARROW = 1_000, 10_000
ARROW_TIMES = 5  # as many trades in a round, which takes half a second or more then, as those of the others
FLOOR_BODIES = 200
TRADES = 1_000_000, 100_000  # of a round of JSON, quick
ARROW_TITLE, ARROW_BOUNDS = "Arrow of 10,000 ÷ msgspec decode", (1.5, 2.5)
SETTINGS: dict[str, dict[str, object]] = {"full": {}, "fast": {"durability": "fast"}, "plain": {"compiled": False}}


def measure(plan: Plan) -> Iterator[Figure]:
    """JSON, JSON without the compiled decoder, and durability switched off; then Arrow."""
    yield from _json(plan)
    yield from _arrow(plan)


def _json(plan: Plan) -> Iterator[Figure]:
    count = max(1, plan.size(*TRADES) // PER_BODY)
    with ExitStack() as stack:
        made = stack.enter_context(requests(0, count * (plan.rounds + 1), per_body=PER_BODY))
        things = _decode(plan)
        for name, settings in SETTINGS.items():
            product = stack.enter_context(Product(plan.directory / name, settings=settings))
            things[name] = _run(product, made, count)
        samples = alternate(plan.rounds, things)
    yield _against_decode("JSON of 1,000 ÷ msgspec decode", samples, "full", 0.5, 1.0)
    yield _against_decode("JSON of 1,000, not compiled ÷ msgspec decode", samples, "plain", 0.15, 0.35)
    yield Figure(
        name="bulk with durability ÷ without",
        measured=ratios(samples["full"], samples["fast"]),
        required=0.85,
        aim=0.95,
        values=_values("full, ", samples["full"]) | _values("fast, ", samples["fast"]),
    )


def _arrow(plan: Plan) -> Iterator[Figure]:
    count = max(1, ARROW_TIMES * plan.size(*TRADES) // PER_ARROW)
    every = count * (plan.rounds + 1)
    with Product(plan.directory / "arrow") as product:
        if reason := refusal(product):
            yield Figure(name=ARROW_TITLE, required=ARROW_BOUNDS[0], aim=ARROW_BOUNDS[1], skipped=reason)
            return
        with pack(arrow_bodies(0, every, PER_ARROW), every, PER_ARROW, ARROW) as made:
            samples = alternate(plan.rounds, _decode(plan) | {"arrow": _run(product, made, count, FEW)})
    yield _against_decode(ARROW_TITLE, samples, "arrow", *ARROW_BOUNDS, connections=FEW)


def _decode(plan: Plan) -> dict[str, Callable[[int], Sample]]:
    floor = bodies(0, FLOOR_BODIES if not plan.quick else FLOOR_BODIES // 4)
    return {"decode": lambda _: {"rate": decode_rate(floor)}}


def _run(product: Product, made: Requests, count: int, connections: int = CONNECTIONS) -> Callable[[int], Sample]:
    def run(number: int) -> Sample:
        before = product.gateway_cpu()
        loaded = product.send(made, first=number * count, count=count, connections=connections)
        gateway = product.gateway_cpu() - before
        trades = loaded.requests * made.trades
        return {
            "rate": trades / loaded.seconds,
            "gateway_ns": gateway / trades * 1e9,
            "worker_ns": (loaded.cpu - gateway) / trades * 1e9,
            "p50": loaded.answered_ms["p50"],
        }

    return run


def _against_decode(
    title: str,
    samples: dict[str, list[Sample]],
    name: str,
    required: float,
    aim: float,
    connections: int = CONNECTIONS,
) -> Figure:
    return Figure(
        name=title,
        measured=ratios(samples[name], samples["decode"]),
        required=required,
        aim=aim,
        values=_values("", samples[name]) | {"decode, trades per core-second": column(samples["decode"], "rate")},
        note=f"{connections} connections, one worker",
    )


def _values(prefix: str, taken: list[Sample]) -> dict[str, tuple[float, ...]]:
    return {
        f"{prefix}trades/s": column(taken, "rate"),
        f"{prefix}gateway CPU ns per trade": column(taken, "gateway_ns"),
        f"{prefix}worker CPU ns per trade": column(taken, "worker_ns"),
        f"{prefix}acknowledged p50 ms": column(taken, "p50"),
    }
