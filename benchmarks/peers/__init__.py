"""The same job elsewhere: trades in groups of 1,000 until count, sum, notional and VWAP by symbol are there.

The product does more for them: every trade is checked, deduplicated, exact and on disk before it is acknowledged.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from benchmarks.bodies import bodies, requests
from benchmarks.figure import Figure, Sample, alternate, column, failed, ratios, say
from benchmarks.peers.peer import Job, Peer
from benchmarks.plan import Plan
from benchmarks.product import Product

FAMILIES = ("streams", "jetstream", "flow", "databases", "exporters", "naive")
TRADES = 1_000_000  # a round of bulk: of fewer a run of the product is mostly its beginning and end
PER_BODY = 1_000


def peers() -> Iterator[Peer]:
    """All that are known, installed or not."""
    for family in FAMILIES:
        yield from import_module(f"benchmarks.peers.{family}").PEERS


def measure(plan: Plan) -> Iterator[Figure]:
    """Each peer that is installed in turn with the product."""
    chosen = [peer for peer in peers() if plan.only.lower() in peer.name.lower()]
    with Product(plan.directory / "product") as product:
        for number, peer in enumerate(chosen):
            title = f"bulk ÷ {peer.name}"
            left_out = plan.quick and not plan.only and peer.required is None
            reason = peer.missing() or ("nothing is required, not in quick mode" if left_out else "")
            if reason:
                say(f"  {peer.name}: {reason}")
                yield Figure(name=title, required=peer.required, aim=peer.aim, skipped=reason)
                continue
            trades = plan.size(TRADES, peer.quick_trades) // PER_BODY * PER_BODY
            ours = _ours(product, number * (plan.rounds + 1) * max(trades, TRADES), trades)
            try:
                yield _against(plan, peer, title, ours, min(trades, peer.trades or trades))
            except Exception as error:  # the other peers are worth measuring all the same
                yield failed(title, error)


def _against(plan: Plan, peer: Peer, title: str, ours: Callable[[int], Sample], trades: int) -> Figure:
    say(f"  {peer.name}")
    directory = Path(tempfile.mkdtemp(dir=plan.directory))
    directory.chmod(0o711)  # a server may run as another user
    with peer.running(directory) as job:
        samples = alternate(plan.rounds, {"peer": _peer(job, trades), "ours": ours})
    return Figure(
        name=title,
        measured=ratios(samples["ours"], samples["peer"]),
        required=peer.required,
        aim=peer.aim,
        values={
            "ours, trades/s": column(samples["ours"], "rate"),
            f"{peer.name}, trades/s": column(samples["peer"], "rate"),
        },
        note=peer.note,
    )


def _peer(job: Job, trades: int) -> Callable[[int], Sample]:
    made = bodies(0, max(1, trades // PER_BODY))

    def run(_: int) -> Sample:
        return {"rate": len(made) * PER_BODY / job(made)}

    return run


def _ours(product: Product, first: int, trades: int) -> Callable[[int], Sample]:
    def run(number: int) -> Sample:
        with requests(first + number * trades, trades // PER_BODY, per_body=PER_BODY) as made:
            loaded = product.send(made)
        return {"rate": trades / loaded.seconds}

    return run
