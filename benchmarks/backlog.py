"""A journal full of trades that nobody has applied, and starting on it again and again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bodies import requests
from benchmarks.figure import say
from benchmarks.generator import Drive, drive
from benchmarks.product import Product, Settings

PER_BODY = 1_000


def fill(directory: Path, trades: int) -> None:
    """Journal so many trades while there is no worker."""
    say(f"  a journal of {trades:,} trades")
    count = max(1, trades // PER_BODY)
    with requests(0, count, per_body=PER_BODY) as made, Product(directory, workers=0) as product:
        plan = Drive(port=product.port, first=0, count=count, connections=8)
        drive(made, plan, directory / "load.log", cpu=product.gateway_cpu)


@contextmanager
def unapplied(
    directory: Path, *, workers: int = 0, worker: tuple[str, ...] = (), settings: Settings | None = None
) -> Iterator[Product]:
    """A gateway on that journal, which has no snapshot to begin with."""
    for path in (directory / "data").glob("snapshot*"):
        path.unlink()
    with Product(directory, workers=workers, worker=worker, settings=settings) as product:
        yield product
