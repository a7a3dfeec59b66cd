"""Bytewax: a dataflow with a stateful step by symbol, in a process of its own.

`python -m benchmarks.peers.flow` reads a line that says how many arrays of 1,000 to make, counts, and prints seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bodies import bodies as made
from benchmarks.peers.lean import Five, read
from benchmarks.peers.peer import Job, Peer, library
from benchmarks.processes import Failed, module

State = tuple[int, float, float]


@contextmanager
def running(directory: Path) -> Iterator[Job]:
    """Every job is a process: a dataflow runs once."""
    yield partial(_job, directory)


def _job(directory: Path, bodies: Sequence[bytes]) -> float:
    with module("benchmarks.peers.flow", log=directory / "flow.log") as process:
        process.tell(str(len(bodies)))
        found = process.answer()
    if found["trades"] != 1000 * len(bodies):
        raise Failed(f"Bytewax counted {found['trades']} trades")
    return float(found["seconds"])


def count(state: State | None, trade: Five) -> tuple[State, tuple[int, float]]:
    """One more trade of a symbol: the new sums, and what is shown of them."""
    trades, quantity, notional = state or (0, 0.0, 0.0)
    quantity += trade.quantity
    notional += trade.quantity * trade.price
    return (trades + 1, quantity, notional), (trades + 1, notional / quantity)


def flow(arrays: Sequence[bytes], into: list[Any]) -> Any:
    """The dataflow."""
    dataflow, operators, testing = map(library, ("bytewax.dataflow", "bytewax.operators", "bytewax.testing"))
    whole = dataflow.Dataflow("trades")
    source = operators.input("in", whole, testing.TestingSource(arrays))
    trades = operators.flat_map("decode", source, read)
    keyed = operators.key_on("by symbol", trades, lambda trade: trade.symbol)
    operators.output("out", operators.stateful_map("count", keyed, count), testing.TestingSink(into))
    return whole


def main() -> None:
    arrays = made(0, int(sys.stdin.readline()))
    shown: list[Any] = []
    dataflow = flow(arrays, shown)
    began = time.monotonic()
    library("bytewax.testing").run_main(dataflow)
    took = time.monotonic() - began
    print(f'{{"seconds": {took}, "trades": {len(shown)}}}', flush=True)


PEERS = (
    Peer(
        name="Bytewax stateful_map",
        running=running,
        required=8.0,
        aim=13.0,
        libraries=("bytewax",),
        note="not durable, no network",
    ),
)

if __name__ == "__main__":
    main()
