"""What a trade costs when there were many before it: CPU of gateway and worker per trade, old instance against young.

The old one has taken everything up to the size (ten million in full mode): its key index, atoms, segments and snapshots
are what they are by then. The young one starts anew in every round and has taken 1,000.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

from benchmarks.bodies import requests
from benchmarks.figure import Figure, Sample, alternate, column, ratios, say
from benchmarks.plan import Plan
from benchmarks.product import Product

PER_BODY = 1_000
SECTIONS, QUICK_SECTIONS = 20, 5  # of the way up
SECTION_TRADES = 1_000_000  # of a comparison: more than one journal segment
CONNECTIONS = 8


def measure(plan: Plan) -> Iterator[Figure]:
    """The comparison, with the way up as values."""
    size = plan.size(10_000_000, 300_000)
    section = min(SECTION_TRADES, max(PER_BODY, size // 4))
    with Product(plan.directory / "old") as old:
        curve = _grow(old, size, QUICK_SECTIONS if plan.quick else SECTIONS)
        things: dict[str, Callable[[int], Sample]] = {
            "young": lambda number: _young(plan, section),
            "old": lambda number: _section(old, size + number * section, section),
        }
        samples = alternate(plan.rounds, things, warm_up=False)
    yield Figure(
        name=f"CPU per trade, {size:,}th ÷ 1,000th",
        measured=ratios(samples["old"], samples["young"], "ns"),
        required=1.25,
        aim=1.10,
        at_least=False,
        values={
            "old, CPU ns per trade": column(samples["old"], "ns"),
            "young, CPU ns per trade": column(samples["young"], "ns"),
            "on the way up, CPU ns per trade": tuple(curve),
        },
        note=f"{section:,} trades compared, gateway and worker",
    )


def _grow(product: Product, size: int, sections: int) -> list[float]:
    step = max(PER_BODY, size // sections)
    curve = []
    for first in range(0, size, step):
        curve.append(_section(product, first, min(step, size - first))["ns"])
        say(f"  {first + step:,} trades: {curve[-1]:,.0f} ns per trade")
    return curve


def _young(plan: Plan, section: int) -> Sample:
    directory = plan.directory / "young"
    with Product(directory) as product:
        _section(product, 0, PER_BODY)
        sample = _section(product, PER_BODY, section)
    shutil.rmtree(directory)
    return sample


def _section(product: Product, first: int, trades: int) -> Sample:
    with requests(first, max(1, trades // PER_BODY), per_body=PER_BODY) as made:
        loaded = product.send(made, connections=CONNECTIONS)
    return {"ns": loaded.cpu / (loaded.requests * PER_BODY) * 1e9}
