"""Blocks of what is watched: commits together, as they are when they are large, with the requests that brought them."""

from __future__ import annotations

import random
from itertools import accumulate

import numpy as np
import pytest

from gateway.quickest import new_look, new_naming
from gateway.watching.noted import FEW, Noted
from telemetry.columns import Columns, concatenate, encode_frame, from_trades
from telemetry.decode_compiled import available
from tests.gateway.test_aggregator import NOW, trade
from tests.gateway.watched import MONDAY, Stand

SECOND = 1_000_000_000


def commit(rng: random.Random, size: int, at_ns: int = NOW) -> Columns:
    return from_trades(
        [
            trade(
                symbol=f"S{rng.randrange(9)}",
                source=f"bot-{rng.randrange(3)}",
                source_seq=rng.randrange(1, 5000),
                sent_at=at_ns - rng.randrange(SECOND),
                timestamp=at_ns - rng.randrange(SECOND),
                received_at=at_ns + number,
            )
            for number in range(size)
        ]
    )


@pytest.mark.parametrize("sizes", [(5,), (5, 7, 9), (FEW, 40, FEW + 3)])
def test_a_block_holds_the_trades_of_its_commits_and_each_request_with_its_first_row(sizes: tuple[int, ...]) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng, noted = random.Random(seed), Noted()
    parts = [commit(rng, size) for size in sizes]
    requests = [[(first, 2), (first + 1, 0), (first + 2, size - 2)] for first, size in enumerate(sizes)]
    for first, part, arrived in zip(accumulate(sizes, initial=11), parts, requests, strict=False):
        noted.add(first, part, arrived)
    taken = noted.take(1 << 20)
    assert taken is not None
    assert noted.trades == 0
    assert noted.take(1 << 20) is None
    block, found = taken
    whole = concatenate(parts)
    assert encode_frame(block.columns) == encode_frame(whole)
    assert (block.first_seq, block.last_seq, block.trades) == (11, 10 + sum(sizes), sum(sizes))
    assert len(block.commits) == (len(sizes) if sum(sizes) >= FEW * len(sizes) or len(sizes) == 1 else 1)
    begins = accumulate(sizes[:-1], initial=0)
    assert found.starts.tolist() == [place for begin in begins for place in (begin, begin + 2)]
    assert found.wall_ns.tolist() == whole.received_at[found.starts].tolist()
    assert found.now_ns.tolist() == [ns for each in requests for ns, trades in each if trades]


def test_a_block_takes_as_many_commits_as_fit() -> None:
    rng, noted = random.Random(1), Noted()
    for size in (6, 4, 1, 30):
        noted.add(1, commit(rng, size), [(1, size)])
    blocks = [taken[0].trades for taken in iter(lambda: noted.take(10), None)]
    assert blocks == [10, 1, 30]


def test_trades_are_live_around_the_instants_of_requests_alone_and_have_the_columns_that_one_of_them_has() -> None:
    noted, rng = Noted(), random.Random(1)
    noted.add(1, from_trades([trade(timestamp=NOW)] * FEW), [(1, FEW)])
    noted.add(1 + FEW, commit(rng, FEW, NOW + 100 * SECOND), [(1, FEW)])
    taken = noted.take(1 << 20)
    assert taken is not None
    block = taken[0]
    assert block.has("source", "sent_at")
    assert not block.has("source", "strategy")
    near = [block.may_be_live(np.array([NOW + second * SECOND]), 10 * SECOND) for second in (-11, -9, 9, 50, 91, 111)]
    assert near == [False, True, True, False, True, False]


@pytest.mark.parametrize("compiled", [False, True])
def test_several_commits_are_watched_as_one_would_be_compiled_or_not(compiled: bool) -> None:
    if compiled and not available():
        pytest.skip("nothing can be compiled here")
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    parts = [commit(rng, FEW + number, MONDAY) for number in range(3)]
    apart, together = Stand(), Stand()
    apart.watch.use(new_naming(compiled))
    apart.bulletin.alerts.fingers.use(new_look(compiled))
    for part in parts:
        apart.send(part)
    together.send(concatenate(parts), [(0, len(part)) for part in parts])
    for stand in (apart, together):
        stand.seconds(1)
    assert apart.loss.export() == together.loss.export()
    assert apart.freshness.export() == together.freshness.export()
    assert apart.watch.clocks() == together.watch.clocks()
    assert apart.loss.rows()["bot-0"]["received"] > 0
    assert apart.watch.clocks()["bot-0"].samples > 0
