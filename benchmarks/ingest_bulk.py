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
ARROW_TIMES = 3  # as many trades in a round, which takes half a second or more then, as those of the others
FLOOR_BODIES = 200
SETTINGS: dict[str, dict[str, object]] = {"full": {}, "fast": {"durability": "fast"}, "plain": {"compiled": False}}


def measure(plan: Plan) -> Iterator[Figure]:
    """JSON, JSON without the compiled decoder, Arrow, and durability switched off."""
    count = max(1, plan.size(1_000_000, 100_000) // PER_BODY)
    with ExitStack() as stack:
        made = stack.enter_context(requests(0, count * (plan.rounds + 1), per_body=PER_BODY))
        floor = bodies(0, FLOOR_BODIES if not plan.quick else FLOOR_BODIES // 4)
        things: dict[str, Callable[[int], Sample]] = {"decode": lambda _: {"rate": decode_rate(floor)}}
        for name, settings in SETTINGS.items():
            product = stack.enter_context(Product(plan.directory / name, settings=settings))
            things[name] = _run(product, made, count)
        skipped = _add_arrow(stack, plan, things, count)
        samples = alternate(plan.rounds, things)
    yield from _figures(samples, skipped)


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


def _add_arrow(stack: ExitStack, plan: Plan, things: dict[str, Callable[[int], Sample]], count: int) -> str:
    """Adds the run with Arrow bodies; else the reason why not."""
    product = stack.enter_context(Product(plan.directory / "arrow"))
    reason = refusal(product)
    if reason:
        return reason
    count = max(1, ARROW_TIMES * count * PER_BODY // PER_ARROW)
    every = count * (plan.rounds + 1)
    made = stack.enter_context(pack(arrow_bodies(0, every, PER_ARROW), every, PER_ARROW, ARROW))
    things["arrow"] = _run(product, made, count, FEW)
    return ""


def _figures(samples: dict[str, list[Sample]], no_arrow: str) -> Iterator[Figure]:
    decode = samples["decode"]
    for name, title, required, aim, reason in (
        ("full", "JSON of 1,000 ÷ msgspec decode", 0.5, 1.0, ""),
        ("plain", "JSON of 1,000, not compiled ÷ msgspec decode", 0.15, 0.35, ""),
        ("arrow", "Arrow of 10,000 ÷ msgspec decode", 1.5, 2.5, no_arrow),
    ):
        if name not in samples:
            yield Figure(name=title, required=required, aim=aim, skipped=reason)
            continue
        yield Figure(
            name=title,
            measured=ratios(samples[name], decode),
            required=required,
            aim=aim,
            values=_values("", samples[name]) | {"decode, trades per core-second": column(decode, "rate")},
            note=f"{FEW if name == 'arrow' else CONNECTIONS} connections, one worker",
        )
    yield Figure(
        name="bulk with durability ÷ without",
        measured=ratios(samples["full"], samples["fast"]),
        required=0.85,
        aim=0.95,
        values=_values("full, ", samples["full"]) | _values("fast, ", samples["fast"]),
    )


def _values(prefix: str, taken: list[Sample]) -> dict[str, tuple[float, ...]]:
    return {
        f"{prefix}trades/s": column(taken, "rate"),
        f"{prefix}gateway CPU ns per trade": column(taken, "gateway_ns"),
        f"{prefix}worker CPU ns per trade": column(taken, "worker_ns"),
        f"{prefix}acknowledged p50 ms": column(taken, "p50"),
    }
