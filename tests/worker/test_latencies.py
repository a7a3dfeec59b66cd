"""Times from order to fill: what a worker counts of a range, against one trade after the other."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.columns import from_trades
from telemetry.errors import InvalidInput
from telemetry.latencies import (
    CODE_BITS,
    COUNT,
    HIGH,
    KEY,
    LOW,
    MOST,
    NONE,
    SLOT_SHIFT,
    Name,
    OrderTimes,
    counts_of,
    decode_orders,
    encode_orders,
    names_of,
    slots_of,
)
from telemetry.quantiles import code_of
from telemetry.times import ABSENT, LATEST
from telemetry.trade import Trade
from worker.analysis import CROSSOVER, analyse
from worker.latencies import CROSSOVER as LONG
from worker.latencies import named_at_once, named_plainly, order_times

NOW = 1_700_000_000_000_000_000
Plain = dict[tuple[Name, int, int], tuple[int, int, int]]

instants = st.one_of(
    st.integers(NOW, NOW + 60_000_000_000), st.integers(NOW, NOW + 1000), st.integers(ABSENT + 1, LATEST)
)
some_trades = st.lists(
    st.builds(
        lambda at, sent, venue, strategy, liquidity: trade(
            at, order_sent_at=sent, venue=venue, strategy=strategy, liquidity=liquidity
        ),
        instants,
        st.one_of(st.just(ABSENT), instants, instants),
        st.sampled_from(["", "X", "交"]),
        st.sampled_from(["", "mm-1", "ärger"]),
        st.sampled_from(["", "maker", "taker", "auction"]),
    ),
    min_size=1,
    max_size=40,
)


def trade(at: int, **fields: Any) -> Trade:
    values = {"venue": "", "symbol": "A", "kind": "fill", "currency": "", "multiplier": 1, "multiplier_scale": 0}
    values |= {"side": 1, "price": 1, "price_scale": 0, "quantity": 1, "quantity_scale": 0, "received_at": NOW}
    return Trade(**(values | {"timestamp": at} | fields))  # type: ignore[arg-type]  # values are of their fields' types


def plainly(some: Sequence[Trade]) -> Plain:
    """(count, sum, maximum) by name, slot and bucket, in Python's integers."""
    found: dict[tuple[Name, int, int], list[int]] = defaultdict(list)
    for one in some:
        if one.order_sent_at != ABSENT:
            elapsed = one.timestamp - one.order_sent_at
            name = Name(one.venue, one.strategy, one.liquidity)
            found[name, one.timestamp // 10_000_000_000, code_of(elapsed)].append(max(0, elapsed))
    return {key: (len(values), sum(values), max(values)) for key, values in found.items()}


def shown(times: OrderTimes) -> Plain:
    """The same of cells."""
    keys = zip(names_of(times.cells).tolist(), slots_of(times.cells).tolist(), times.cells.tolist(), strict=True)
    return {
        (times.names[name], slot, cell[KEY] & ((1 << CODE_BITS) - 1)): (
            cell[COUNT],
            (cell[HIGH] << 32) + cell[LOW],
            cell[MOST],
        )
        for name, slot, cell in keys
    }


@settings(max_examples=300, deadline=None)
@given(some_trades)
def test_the_cells_are_those_of_a_plain_loop_over_any_legal_instants(some: list[Trade]) -> None:
    times = order_times(from_trades(some))
    assert shown(times) == plainly(some)
    having = (one for one in some if one.order_sent_at != ABSENT)
    assert list(times.names) == list(dict.fromkeys(Name(one.venue, one.strategy, one.liquidity) for one in having))


@settings(max_examples=200, deadline=None)
@given(some_trades, st.randoms(use_true_random=False))
def test_names_found_at_once_are_those_of_the_plain_loop(some: list[Trade], rng: random.Random) -> None:
    long = ["", "x", "x" * 64, "x" * 63, "交" * 64, "\x00", "\x00\x00"]
    columns = from_trades([one._replace(strategy=rng.choice([one.strategy, *long])) for one in some])
    rows = np.array(sorted(rng.sample(range(len(some)), rng.randint(1, len(some)))), np.int64)
    names, codes = named_plainly(columns, rows)
    quick, same = named_at_once(columns, rows)
    assert (quick, same.tolist()) == (names, codes.tolist())


def test_long_ranges_are_counted_as_short_ones_are() -> None:
    rng = random.Random(5)
    some = [
        trade(NOW + row, order_sent_at=NOW - rng.randrange(10**9), strategy=rng.choice("abc"), venue=rng.choice("XY"))
        for row in range(3 * LONG)
    ]
    assert shown(order_times(from_trades(some))) == plainly(some)


@settings(max_examples=100, deadline=None)
@given(some_trades)
def test_the_section_survives_its_message(some: list[Trade]) -> None:
    times = order_times(from_trades(some))
    again = decode_orders(encode_orders(times))
    assert (again.names, again.cells.tolist()) == (times.names, times.cells.tolist())


def test_short_and_long_ranges_have_the_section_and_ranges_without_orders_have_none() -> None:
    for count in (1, CROSSOVER - 1, CROSSOVER, 5 * CROSSOVER):
        some = [trade(NOW + row, order_sent_at=NOW) for row in range(count)]
        assert shown(analyse([from_trades(some)], 1).orders) == plainly(some)
        assert shown(analyse([from_trades([one]) for one in some], 1).orders) == plainly(some)
        assert analyse([from_trades([trade(NOW)] * count)], 1).orders is NONE
    assert encode_orders(NONE) == b""


def test_the_sum_of_the_longest_times_there_can_be_is_exact() -> None:
    some = [trade(LATEST, order_sent_at=ABSENT + 1)] * 3000
    counts = counts_of(order_times(from_trades(some)).cells)
    assert (counts.total, counts.maximum) == (3000 * (LATEST - ABSENT - 1), LATEST - ABSENT - 1)


def test_a_section_that_no_worker_wrote_is_refused() -> None:
    good = order_times(from_trades([trade(NOW, order_sent_at=NOW - 5), trade(NOW, order_sent_at=NOW - 500)]))
    section = encode_orders(good)
    unknown = good.cells.copy()
    unknown[:, KEY] += 1 << CODE_BITS  # the second of one name
    bucket = good.cells.copy()
    bucket[:, KEY] |= (1 << CODE_BITS) - 1
    wrong = [
        section[:2],
        section[:-8],
        section[:5] + b"\xc1" + section[6:],
        encode_orders(OrderTimes(good.names, good.cells[::-1])),
        encode_orders(OrderTimes(good.names, unknown)),
        encode_orders(OrderTimes(good.names, bucket[:1])),
    ]
    for bad in wrong:
        with pytest.raises(InvalidInput, match="expected"):
            decode_orders(bad)
    assert SLOT_SHIFT + 31 < 64
