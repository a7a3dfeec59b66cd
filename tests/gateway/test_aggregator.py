"""The live state: exactly once, in order, exact for every legal value, the same whatever the way to it."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.aggregator import Aggregator, stride_of
from gateway.environment import GatewaySettings
from gateway.reading.figures import Filter, Page, Span, candles, stats
from telemetry.backbone import Verdict
from telemetry.backbone.leases import Limits
from telemetry.columns import from_trades
from telemetry.partial import decode_partial, encode_partial
from telemetry.statistics import VERSION, add, atom_of
from telemetry.trade import Trade
from telemetry.wire import PartialHead
from worker.analysis import analyse, loop

NOW = 1_700_000_000_000_000_000
EPOCH = 42
DEFAULT_ATOMS = GatewaySettings.model_fields["atoms"].default


def head(first: int, last: int, **changes: Any) -> PartialHead:
    values: dict[str, Any] = {
        "epoch": EPOCH, "attempt": 1, "first": first, "last": last, "worker": "w", "generation": 1,
        "version": VERSION, "trades": last - first + 1, "received_ns": 0, "started_ns": 0, "finished_ns": 0,
    }  # fmt: skip
    return PartialHead(**(values | changes))


def trade(price: int = 100, quantity: int = 1, at: int = NOW, **changes: Any) -> Trade:
    values: dict[str, Any] = {
        "venue": "",
        "symbol": "A",
        "kind": "print",
        "currency": "",
        "multiplier": 1,
        "multiplier_scale": 0,
    }
    values |= {"side": 1, "price": price, "price_scale": 0, "quantity": quantity, "quantity_scale": 0}
    return Trade(**(values | {"timestamp": at, "received_at": NOW} | changes))


def offer(state: Aggregator, some: list[Trade], first: int, last: int, **changes: Any) -> Verdict:
    partial = decode_partial(encode_partial(analyse([from_trades(some[first - 1 : last])], first)))
    return state.merge(head(first, last, **changes), partial)[0]


def answer(state: Aggregator) -> tuple[Any, ...]:
    page = Page(limit=1000)
    windows = [stats(state, window=w, wanted=Filter(), page=page, now_ns=NOW + 1) for w in ("all", "10s", "1h", "1d")]
    series = [
        candles(state, symbol, interval="1d", span=Span(), wanted=Filter(), now_ns=NOW) for symbol in state.by_symbol
    ]
    return state.applied, windows, series


any_decimal = st.tuples(st.integers(1, 10**18 - 1), st.integers(0, 18))
usual_decimal = st.tuples(st.integers(1, 10**6), st.integers(0, 4))
a_trade = st.builds(
    lambda symbol, side, sign, p, q, at: trade(
        symbol=symbol, side=side, price=sign * p[0], price_scale=p[1], quantity=q[0], quantity_scale=q[1], at=at
    ),
    st.sampled_from("ABC"),
    st.integers(0, 2),
    st.sampled_from([1, 1, 1, -1]),
    st.one_of(usual_decimal, usual_decimal, usual_decimal, any_decimal),
    st.one_of(usual_decimal, usual_decimal, usual_decimal, any_decimal),
    st.integers(NOW - 200_000_000_000, NOW + 4_000_000_000),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(a_trade, min_size=1, max_size=60), st.integers(0, 2**32))
def test_the_state_is_the_same_for_every_split_and_order_and_repetition_of_delivery(
    some: list[Trade], seed: int
) -> None:
    whole = Aggregator(epoch=EPOCH)
    offer(whole, some, 1, len(some))
    rng = random.Random(seed)
    cuts = sorted({0, len(some), *(rng.randint(0, len(some)) for _ in range(rng.randint(0, 8)))})
    ranges = [(a + 1, b) for a, b in pairwise(cuts)]
    deliveries = ranges + [rng.choice(ranges) for _ in range(rng.randint(0, 6))]
    rng.shuffle(deliveries)
    parts = Aggregator(epoch=EPOCH)
    for first, last in deliveries:
        offer(parts, some, first, last)
    assert answer(parts) == answer(whole)
    assert parts.negative == whole.negative


@settings(max_examples=200, deadline=None)
@given(st.lists(a_trade, min_size=1, max_size=60))
def test_every_total_equals_the_sum_of_the_atoms_of_single_trades(some: list[Trade]) -> None:
    state = Aggregator(epoch=EPOCH)
    for seq in range(1, len(some) + 1):
        offer(state, some, seq, seq)
    for number, instrument in enumerate(state.instruments):
        expected = add(
            atom_of(t.side, t.price, t.price_scale, t.quantity, t.quantity_scale, t.timestamp, seq)
            for seq, t in enumerate(some, 1)
            if t.symbol == instrument.symbol
        )
        assert expected == state.total(number)


@settings(max_examples=100, deadline=None)
@given(st.lists(a_trade, min_size=1, max_size=40), st.lists(a_trade, min_size=1, max_size=40))
def test_adding_atoms_is_associative_and_commutative(some: list[Trade], more: list[Trade]) -> None:
    atoms = [
        atom_of(t.side, t.price, t.price_scale, t.quantity, t.quantity_scale, t.timestamp, seq)
        for seq, t in enumerate(some + more)
    ]
    left, right = add(atoms[: len(some)]), add(atoms[len(some) :])
    assert left is not None
    assert right is not None
    assert left + right == right + left == add(atoms)


def test_a_partial_of_another_epoch_version_or_count_is_dropped() -> None:
    some = [trade(), trade()]
    state = Aggregator(epoch=EPOCH)
    assert offer(state, some, 1, 2, epoch=EPOCH + 1) is Verdict.EPOCH
    assert offer(state, some, 1, 2, version="other") is Verdict.VERSION
    assert offer(state, some, 1, 2, trades=1) is Verdict.COUNT
    assert state.applied == 0
    assert state.instruments == []


def test_a_range_is_merged_once_however_often_it_comes() -> None:
    some = [trade(), trade(), trade()]
    state = Aggregator(epoch=EPOCH)
    assert offer(state, some, 2, 3) is Verdict.WAITING
    assert offer(state, some, 2, 3) is Verdict.DUPLICATE
    assert offer(state, some, 3, 3) is Verdict.OVERLAP
    assert offer(state, some, 1, 1) is Verdict.MERGED
    assert offer(state, some, 1, 1) is Verdict.APPLIED
    assert offer(state, some, 2, 3) is Verdict.APPLIED
    assert (state.applied, int(state.trades_of()[0])) == (3, 3)


def test_an_early_partial_waits_for_its_turn() -> None:
    some = [trade(), trade(5), trade(7)]
    state = Aggregator(epoch=EPOCH)
    offer(state, some, 3, 3)
    assert state.applied == 0
    assert state.instruments == []
    offer(state, some, 1, 2)
    assert state.applied == 3


def test_a_quarantined_trade_counts_as_applied_and_is_not_in_the_figures() -> None:
    some = [trade(), trade(5), trade(7)]
    state = Aggregator(epoch=EPOCH)
    state.quarantine(2)
    offer(state, some, 3, 3)
    offer(state, some, 1, 1)
    assert (state.applied, state.quarantined, int(state.trades_of()[0])) == (3, [2], 2)


def test_folding_cuts_no_lease_short_as_set_and_keeps_atoms_within_a_quarter_above_any_cap() -> None:
    assert stride_of(DEFAULT_ATOMS) >= Limits().lease_trades
    for cap in (64, 1000, 2**19 - 1, 2**19, DEFAULT_ATOMS, 10**8):
        assert stride_of(cap) <= cap / 4


def test_atoms_fold_to_minutes_under_the_cap_and_every_total_stays() -> None:
    rng = random.Random(3)
    some = [trade(100 + k, at=NOW - rng.randrange(3 * 86400) * 10**9, symbol=rng.choice("AB")) for k in range(6000)]
    free, capped = Aggregator(epoch=EPOCH, atoms=100_000), Aggregator(epoch=EPOCH, atoms=1000)
    for state in (free, capped):
        for first in range(1, len(some) + 1, capped.stride):  # as the dispatcher cuts leases
            offer(state, some, first, min(len(some), first + capped.stride - 1))
    assert len(capped.atoms) <= 1000 + capped.stride
    assert capped.atoms.frontier[0] > 0
    for window in ("all", "1m"):
        page = Page()
        everything = stats(free, window=window, wanted=Filter(), page=page, now_ns=NOW)
        assert stats(capped, window=window, wanted=Filter(), page=page, now_ns=NOW)["totals"] == everything["totals"]
    days = [candles(s, "A", interval="1d", span=Span(), wanted=Filter(), now_ns=NOW)["candles"] for s in (free, capped)]
    assert days[0] == days[1]


def test_folding_depends_on_the_journal_and_not_on_the_cut_of_deliveries() -> None:
    rng = random.Random(4)
    some = [trade(at=NOW - rng.randrange(2 * 86400) * 10**9, symbol=rng.choice("ABC")) for _ in range(4096)]
    states = []
    for step in (1, 64):
        state = Aggregator(epoch=EPOCH, atoms=1000)
        for first in range(1, len(some) + 1, step):
            partial = loop([from_trades(some[first - 1 : first - 1 + step])], first)
            state.merge(head(first, first - 1 + step), partial)
        state.atoms.finish_fold()
        states.append((state.atoms.frontier, len(state.atoms), answer(state)))
    assert states[0] == states[1]
