"""prometheus_client, in process and behind FastAPI with a request for each trade.

`python -m benchmarks.peers.exporters PORT` is the process of the latter.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bodies import requests
from benchmarks.floors import serve
from benchmarks.generator import Drive, drive
from benchmarks.peers.lean import read
from benchmarks.peers.peer import Job, Peer, library
from benchmarks.processes import Failed, free_port, listens, module, until

CONNECTIONS = 64


class Counters:
    """Count, quantity and notional by symbol; who looks divides the last by the one before for the VWAP."""

    def __init__(self) -> None:
        client = library("prometheus_client")
        self._registry = client.CollectorRegistry()
        new = partial(client.Counter, labelnames=("symbol",), registry=self._registry)
        self._trades, self._quantity = new("trades", "Trades"), new("quantity", "Quantity")
        self._notional = new("notional", "Notional")

    def add(self, trade: Any) -> None:
        """Count one trade."""
        self._trades.labels(trade.symbol).inc()
        self._quantity.labels(trade.symbol).inc(trade.quantity)
        self._notional.labels(trade.symbol).inc(trade.quantity * trade.price)

    def counted(self) -> int:
        """How many."""
        samples = next(iter(self._trades.collect())).samples
        return int(sum(sample.value for sample in samples if sample.name.endswith("_total")))


@contextmanager
def in_process(_: Path) -> Iterator[Job]:
    """No server and nothing durable."""
    yield _job


def _job(bodies: Sequence[bytes]) -> float:
    counters = Counters()
    began = time.monotonic()
    for body in bodies:
        for trade in read(body):
            counters.add(trade)
    took = time.monotonic() - began
    if counters.counted() != 1000 * len(bodies):
        raise Failed("prometheus_client did not count every trade")
    return took


@contextmanager
def behind_fastapi(directory: Path) -> Iterator[Job]:
    """A server that counts; the bodies' trades are sent one by one."""
    port = free_port()
    with module("benchmarks.peers.exporters", port, log=directory / "exporters.log") as server:
        until(lambda: listens(port), "the FastAPI server listens")

        def job(bodies: Sequence[bytes]) -> float:
            count = 1000 * len(bodies)
            with requests(0, count) as made:
                plan = Drive(port=port, first=0, count=count, connections=CONNECTIONS)
                return drive(made, plan, directory / "load.log", cpu=server.cpu).seconds

        yield job


def app() -> Any:
    """One route, one model, the counters."""
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Trade(BaseModel):
        trade_id: str
        symbol: str
        venue: str
        account: str
        side: str
        price: float
        quantity: float
        timestamp: int

    counters, made = Counters(), FastAPI()

    async def take(trade: Trade) -> dict[str, int]:
        counters.add(trade)
        return {"accepted": 1}

    take.__annotations__["trade"] = Trade
    made.post("/v1/trades", status_code=202)(take)
    return made


PEERS = (
    Peer(
        name="prometheus_client in process",
        running=in_process,
        required=8.0,
        aim=14.0,
        libraries=("prometheus_client",),
        note="decoded by msgspec; nothing durable, no network",
    ),
    Peer(
        name="FastAPI + pydantic + prometheus_client",
        running=behind_fastapi,
        trades=5_000,
        libraries=("prometheus_client", "fastapi"),
        note="a request for each trade over 64 connections; nothing durable",
    ),
)

if __name__ == "__main__":
    serve(app(), int(sys.argv[1]))
