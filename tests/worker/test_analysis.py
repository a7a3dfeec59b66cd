"""The analysis of a range: vectorised equals the plain loop, and parts equal the whole however a range is split."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.columns import from_trades
from telemetry.errors import InvalidInput
from telemetry.partial import Partial, decode_partial, encode_partial
from telemetry.rows import INSTRUMENT, to_atom
from telemetry.statistics import BUY, Atom
from telemetry.trade import Trade
from worker.analysis import analyse, loop
from worker.columnwise import vectorised

NOW = 1_700_000_000_000_000_000

small = st.tuples(st.integers(-(10**9), 10**9), st.integers(0, 6))
any_size = st.tuples(st.integers(-(10**18) + 1, 10**18 - 1), st.integers(0, 18))


Decimals = st.SearchStrategy[tuple[int, int]]


def some_trade(symbol: str, kind: str, side: int, price: tuple[int, int], quantity: tuple[int, int], at: int) -> Trade:
    size = max(1, abs(quantity[0])), quantity[1]
    return Trade("X", symbol, kind, "USD", 1, 0, side, price[0], price[1], size[0], size[1], at, NOW)


def trades(price: Decimals, quantity: Decimals) -> st.SearchStrategy[list[Trade]]:
    """Trades of a few instruments in a few seconds, some far in the past or the future."""
    one = st.builds(
        some_trade,
        st.sampled_from(["BTC-USDT", "ES.c.0", "ÅÄÖ"]),
        st.sampled_from(["print", "fill"]),
        st.integers(0, 2),
        price,
        quantity,
        st.one_of(
            st.integers(NOW - 3_000_000_000, NOW + 9_000_000_000), st.sampled_from([-(2**62), 2**62, NOW, NOW + 1])
        ),
    )
    return st.lists(one, min_size=1, max_size=60)


def same(a: Partial, b: Partial) -> bool:
    return encode_partial(a) == encode_partial(b)


@settings(max_examples=300, deadline=None)
@given(trades(small, small), st.integers(1, 10**9))
def test_vectorised_analysis_gives_the_bytes_of_the_plain_loop(some: list[Trade], first: int) -> None:
    columns = from_trades(some)
    fast = vectorised(columns, first)
    assert fast is not None
    assert same(fast, loop([columns], first))


@settings(max_examples=200, deadline=None)
@given(trades(any_size, any_size), st.integers(1, 10**9))
def test_values_of_any_legal_size_are_vectorised_exactly_or_left_to_the_loop(some: list[Trade], first: int) -> None:
    columns = from_trades(some)
    fast = vectorised(columns, first)
    if fast is not None:
        assert same(fast, loop([columns], first))


@settings(max_examples=200, deadline=None)
@given(trades(any_size, any_size))
def test_a_partial_survives_its_message_unchanged(some: list[Trade]) -> None:
    partial = loop([from_trades(some)], 1)
    assert same(decode_partial(encode_partial(partial)), partial)


def test_sums_are_those_of_numpy_and_decimal_over_the_same_trades() -> None:
    rng = np.random.default_rng(7)
    some = [
        Trade("", "A", "print", "", 1, 0, int(side), int(price), 4, int(quantity), 3, NOW, NOW)
        for side, price, quantity in zip(
            rng.integers(0, 3, 5000), rng.integers(1, 10**12, 5000), rng.integers(1, 10**13, 5000), strict=True
        )
    ]
    atom = only(analyse([from_trades(some)], 1))
    with localcontext(Context(prec=100)):  # the default of 28 digits rounds this very sum
        notional = sum(Decimal(t.price).scaleb(-4) * Decimal(t.quantity).scaleb(-3) for t in some)
        assert Decimal(sum(atom.notional)).scaleb(-7) == notional
    buys = sum(t.quantity for t in some if t.side == BUY)
    assert atom.quantity[BUY] == buys
    assert atom.squares == sum(t.quantity**2 for t in some)
    assert (atom.quantity_min, atom.quantity_max) == (min(t.quantity for t in some), max(t.quantity for t in some))


def test_open_and_last_go_by_timestamp_then_by_sequence_number() -> None:
    at = [NOW + 5, NOW, NOW, NOW + 5]
    some = [Trade("", "A", "print", "", 1, 0, 1, 10 + row, 0, 1, 0, time, NOW) for row, time in enumerate(at)]
    for partial in (loop([from_trades(some)], 100), vectorised(from_trades(some), 100)):
        assert partial is not None
        atom = only(partial)
        assert (atom.open.seq, atom.open.price) == (101, 11)
        assert (atom.last.seq, atom.last.price) == (103, 13)
        assert atom.revision == 103


def test_a_timestamp_far_in_the_future_never_moves_the_watermark() -> None:
    far = 4_070_908_800_000_000_000
    some = [Trade("", "A", "print", "", 1, 0, 1, 1, 0, 1, 0, time, NOW) for time in (NOW - 7, far)]
    for partial in (loop([from_trades(some)], 1), vectorised(from_trades(some), 1)):
        assert partial is not None
        assert partial.watermark == (NOW - 7, NOW)


def only(partial: Partial) -> Atom:
    assert len(partial.rows) == 1
    return to_atom(partial.rows[0].tolist(), partial.price_scale[0], partial.quantity_scale[0])


@pytest.mark.parametrize("number", [-1, 1, 7])
@pytest.mark.parametrize("name", ["rows", "ends", "gaps", "runs", "candidates"])
def test_a_message_that_names_an_instrument_which_it_does_not_have_is_refused(name: str, number: int) -> None:
    some = [Trade("", "A", "print", "", 1, 0, 1, 10, 0, 1, 0, NOW + row, NOW) for row in range(20)]
    partial = analyse([from_trades(some)], 1)
    assert partial.patterns is not None
    decode_partial(encode_partial(partial))
    arrays = {"rows": partial.rows, **vars(partial.patterns)}
    column, shift = {"rows": (INSTRUMENT, 0), "ends": (0, 0), "gaps": (0, 44), "runs": (0, 45)}.get(name, (4, 17))
    arrays[name][-1, column] += number << shift
    with pytest.raises(InvalidInput, match="expected scales and rows for 1 instruments"):
        decode_partial(encode_partial(partial))
