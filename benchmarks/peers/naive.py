"""The design that everybody writes first: append each trade to a DataFrame, compute everything again from all rows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.bodies import bodies as made
from benchmarks.peers.lean import read
from benchmarks.peers.peer import Job, Peer

HELD = 100_000
TRADES = 10


@contextmanager
def running(_: Path) -> Iterator[Job]:
    """Rows that are held already."""
    trades = [trade for body in made(0, HELD // 1000) for trade in read(body)]
    columns = {name: [getattr(trade, name) for trade in trades] for name in trades[0].__struct_fields__}
    yield partial(_job, pd.DataFrame(columns))


def _job(held: pd.DataFrame, bodies: Sequence[bytes]) -> float:
    """Seconds as if for all trades of the bodies, from the first few."""
    trades = read(bodies[0])[:TRADES]
    began = time.monotonic()
    for trade in trades:
        row = {name: getattr(trade, name) for name in trade.__struct_fields__}
        held = pd.concat([held, pd.DataFrame([row])], ignore_index=True)
        figures(held)
    return (time.monotonic() - began) / TRADES * 1000 * len(bodies)


def figures(df: pd.DataFrame) -> dict[str, Any]:
    """What is shown after each trade."""
    return {
        "mean": np.mean(df["price"]),
        "std": np.std(df["price"]),
        "max": np.max(df["price"]),
        "buys": df[df["side"] == "buy"].sum(numeric_only=True),
        "sells": df[df["side"] == "sell"].sum(numeric_only=True),
    }


PEERS = (
    Peer(
        name=f"naive design at {HELD:,} rows",
        running=running,
        required=5_000.0,
        aim=18_000.0,
        trades=1_000,
        note=f"{TRADES} trades timed",
    ),
)
