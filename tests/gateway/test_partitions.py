"""With the journal's order fixed, all statistics at once are the same bytes: whatever the order of delivery, the cut of
its ranges and commits, what is delivered again, and whether a range is analysed and merged in NumPy or compiled."""

from __future__ import annotations

import json
import random
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from gateway.aggregator import Aggregator
from gateway.loss import Loss
from gateway.reading import patterns, profile
from gateway.reading.figures import Filter, Page, Span, candles, stats
from gateway.reading.orders import OrdersAsked, prepare_orders
from gateway.reading.patterns import Question
from gateway.state.merging import CompiledMerging
from gateway.state.newest import Newest
from gateway.state.patterns import Parts, compiled_parts
from telemetry.columns import from_trades
from telemetry.decode_compiled import available
from telemetry.partial import decode_partial, encode_partial
from telemetry.times import ABSENT
from telemetry.trade import Trade
from tests.gateway.test_aggregator import EPOCH, NOW, head, trade
from worker.analysis import analyse
from worker.compiled import CompiledAnalysis

JOURNALS = 50
SECOND = 1_000_000_000
ATOMS = 1000  # cells and rows fold, and ranges are cut, every 64 trades
QUICK = CompiledAnalysis() if available() else None


@cache
def journal(number: int) -> list[Trade]:
    """Trades as they come: late, ahead of their arrival, of any size, with holes in their numbers."""
    rng = random.Random(number)
    spread = rng.choice((SECOND, 100 * SECOND, 90_000 * SECOND))
    largest = rng.choice((10**6, 10**6, 10**17))
    found: list[Trade] = []
    at, numbers = NOW - spread, dict.fromkeys("PQ", 1)
    for _ in range(rng.randrange(2, 150)):
        at += rng.choice((0, 1, rng.randrange(2_000_000), rng.randrange(spread // 50)))
        made = at - rng.choice((0, 0, 0, rng.randrange(spread)))
        source = rng.choice("PQ")
        numbers[source] += rng.choice((1, 1, 1, 1, 2, 5, 0, -3))
        sent = rng.choice((ABSENT, made, made + 5, made - int(rng.lognormvariate(15, 2))))
        found.append(
            trade(
                symbol=rng.choice("AAAB"), venue=rng.choice(("", "X")), side=rng.randrange(3),
                price=rng.choice((1, 1, 1, 1, 1, 1, 1, -1)) * rng.randrange(1, largest), price_scale=rng.randrange(4),
                quantity=rng.randrange(1, largest), quantity_scale=rng.randrange(4), at=made,
                received_at=made - rng.choice((0, 0, 0, SECOND, 60 * SECOND)),
                strategy=rng.choice(("", "mm")), liquidity=rng.choice(("maker", "taker")), order_sent_at=sent,
                source=source, source_seq=max(1, numbers[source]),
            )
        )  # fmt: skip
    return found


def state_of(rng: random.Random) -> Aggregator:
    state = Aggregator(epoch=EPOCH, atoms=ATOMS, parts=compiled_parts() if QUICK and rng.randrange(2) else Parts())
    if QUICK and rng.randrange(2):
        state.atoms.merging = CompiledMerging()
        state.atoms.newest = Newest() if rng.randrange(2) else None
    return state


def cut(rng: random.Random, count: int, stride: int) -> list[tuple[int, int]]:
    cuts = {0, count, *range(0, count, stride), *(rng.randrange(count) for _ in range(rng.randrange(6)))}
    return list(pairwise(sorted(cuts)))


def delivered(rng: random.Random, trades: list[Trade]) -> bytes:
    """Ranges in any order, some of them again."""
    state = state_of(rng)
    ranges = cut(rng, len(trades), state.stride)
    deliveries = ranges + [rng.choice(ranges) for _ in range(rng.randrange(4))]
    rng.shuffle(deliveries)
    for begin, end in deliveries:
        quick = QUICK if rng.randrange(2) else None
        partial = analyse([from_trades(trades[begin:end])], begin + 1, quick=quick)
        state.merge(head(begin + 1, end), decode_partial(encode_partial(partial)))
    assert state.applied == len(trades)
    return answers(state, committed(rng, trades))


def committed(rng: random.Random, trades: list[Trade]) -> Loss:
    loss = Loss()
    for begin, end in cut(rng, len(trades), len(trades)):
        loss.feed(from_trades(trades[begin:end]))
    return loss


def answers(state: Aggregator, loss: Loss) -> bytes:
    """What is read of all statistics, and what is saved of those that can be."""
    asked: dict[str, Any] = {"wanted": Filter(), "now_ns": NOW + 1}
    found: list[Any] = [state.quarantined, state.applied, loss.rows()]
    found += [stats(state, window=window, page=Page(), **asked) for window in ("all", "1m")]
    for symbol in sorted(state.by_symbol):
        found += [candles(state, symbol, interval=interval, span=Span(), **asked) for interval in ("1s", "1h")]
        question = Question(symbol, "all", at="watermark")
        found += [patterns.prepare(state, question, {}, NOW).document()]
        found += [profile.prepare(state, symbol, Filter(), {}).document()]
    of_orders, rows = prepare_orders(state, OrdersAsked("1h", NOW))
    assert state.patterns is not None
    saved = state.patterns.copied(len(state.instruments))()
    arrays = [array.tolist() for array in saved.pop("arrays")]
    return json.dumps([found, of_orders, list(rows), saved, arrays, sorted(state.negative.items())]).encode()


@pytest.mark.parametrize("seeds", [200, pytest.param(1000, marks=pytest.mark.long)])
def test_any_order_partition_and_repetition_of_delivery_gives_the_same_bytes(seeds: int) -> None:
    wholes: dict[int, bytes] = {}
    for seed in range(seeds):
        rng, number = random.Random(seed), seed % JOURNALS
        found = delivered(rng, journal(number))
        assert found == wholes.setdefault(number, found), f"journal {number}, seed {seed}"
