"""What people read equals a recomputation with decimals: rows, totals, filters, pages, candles."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.aggregator import Aggregator
from gateway.reading.figures import Filter, Page, Span, candles, empty_row, row_of, select, stats
from gateway.reading.selection import everything
from gateway.reading.whole import Asked
from telemetry.errors import InvalidInput
from telemetry.statistics import present
from telemetry.times import format_time, parse_time
from telemetry.trade import Trade
from tests.gateway import oracle
from tests.gateway.oracle import Numbered
from tests.gateway.test_aggregator import EPOCH, NOW, any_decimal, offer, trade, usual_decimal

SECOND = 1_000_000_000
FLOATS = tuple(
    "vwap imbalance quantity_mean quantity_std trades_per_second quantity_per_second interarrival_mean".split()  # noqa: SIM905
)


def state_of(trades: list[Trade], atoms: int = 500_000) -> Aggregator:
    """The live state of trades 1, 2, …, as workers and aggregator make it."""
    state = Aggregator(epoch=EPOCH, atoms=atoms)
    step = min(state.stride, 1000)
    for first in range(1, len(trades) + 1, step):
        offer(state, trades, first, min(len(trades), first + step - 1))
    return state


def numbered(trades: list[Trade], **fields: Any) -> Numbered:
    """The trades that have these fields, with their numbers."""
    wanted = fields.items()
    return [(seq, of) for seq, of in enumerate(trades, 1) if all(getattr(of, name) == value for name, value in wanted)]


def assert_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Equal, texts and counts to the last digit, floats to the last few bits."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if name in FLOATS and value is not None:
            assert found[name] == pytest.approx(value, rel=1e-12, abs=1e-300), name
        else:
            assert found[name] == value, name


a_decimal = usual_decimal | usual_decimal | usual_decimal | any_decimal
a_trade = st.builds(
    lambda symbol, venue, kind, currency, multiplier, side, sign, p, q, at: trade(
        symbol=symbol,
        venue=venue,
        kind=kind,
        currency=currency,
        multiplier=multiplier[0],
        multiplier_scale=multiplier[1],
        side=side,
        price=sign * p[0],
        price_scale=p[1],
        quantity=q[0],
        quantity_scale=q[1],
        at=at,
    ),
    st.sampled_from(("A", "B/C:D", "é")),
    st.sampled_from(("", "X")),
    st.sampled_from(("fill", "print")),
    st.sampled_from(("", "", "USD")),
    st.sampled_from(((1, 0), (1, 0), (25, 3))),
    st.integers(0, 2),
    st.sampled_from((1, 1, 1, -1, 0)),
    a_decimal,
    a_decimal,
    st.integers(NOW - 200 * SECOND, NOW + 4 * SECOND),
)
some_trades = st.lists(a_trade, min_size=1, max_size=40)


@settings(max_examples=100, deadline=None)
@given(some_trades, st.sampled_from(("10s", "1m", "5m", "1h", "1d", "all")))
def test_rows_and_totals_of_every_window_equal_the_definitions(trades: list[Trade], window: str) -> None:
    state = state_of(trades)
    found = stats(state, window=window, wanted=Filter(), page=Page(), now_ns=NOW + SECOND)
    inside, seconds = numbered(trades), None
    if window != "all":
        inside = [
            (seq, of) for seq, of in inside if found["window_start"] <= format_time(of.timestamp) < found["window_end"]
        ]
        seconds = {"10s": 10.0, "1m": 60.0, "5m": 300.0, "1h": 3600.0, "1d": 86400.0}[window]
    assert found["totals"] == oracle.totals(inside)
    by_symbol = {of.symbol: [pair for pair in inside if pair[1].symbol == of.symbol] for _, of in inside}
    assert found["symbols"].keys() == by_symbol.keys()
    for symbol, some in by_symbol.items():
        assert_equal(found["symbols"][symbol], oracle.row(some, seconds))
    assert found["order"] == sorted(by_symbol, key=lambda symbol: (-len(by_symbol[symbol]), symbol))
    assert list(found["symbols"]) == found["order"]


@settings(max_examples=50, deadline=None)
@given(
    some_trades,
    st.lists(st.sampled_from(("A", "é", "never")), max_size=2),
    st.lists(st.sampled_from(("", "X", "Y")), max_size=2),
    st.lists(st.sampled_from(("fill", "print")), max_size=2),
)
def test_filters_choose_what_was_traded_under_them(
    trades: list[Trade], symbols: list[str], venues: list[str], kinds: list[str]
) -> None:
    wanted = Filter(tuple(symbols), tuple(venues), tuple(kinds))
    inside = [
        (seq, of)
        for seq, of in numbered(trades)
        if (not symbols or of.symbol in symbols)
        and (not venues or of.venue in venues)
        and (not kinds or of.kind in kinds)
    ]
    found = stats(state_of(trades), window="all", wanted=wanted, page=Page(), now_ns=NOW)
    assert found["totals"] == oracle.totals(inside)
    for symbol in found["order"]:
        assert_equal(found["symbols"][symbol], oracle.row([p for p in inside if p[1].symbol == symbol], None))


@settings(max_examples=60, deadline=None)
@given(some_trades, st.lists(a_trade, max_size=3), st.sampled_from((0, 5, 3600)))
def test_what_is_said_to_have_changed_is_what_has_changed(before: list[Trade], more: list[Trade], later: int) -> None:
    old, new = state_of(before), state_of(before + more)
    state = new  # ids are given in the order of the journal: the old ones are the same
    first = everything(old, select(old, Filter()))
    second = everything(state, select(state, Filter()))
    rows = [{name: present(found.parts(name)) for name in found.order("symbol", None)[0]} for found in (first, second)]
    differ = {name for name in rows[1] if rows[0].get(name) != rows[1][name]}
    assert differ <= set(second.changed(first))
    assert set(second.changed(first)) <= {of.symbol for of in more}


def test_an_empty_window_has_zeros_and_nulls_and_totals_exist() -> None:
    state = state_of([trade(at=NOW)])
    found = stats(state, window="10s", wanted=Filter(), page=Page(), now_ns=NOW + 60 * SECOND)
    assert (found["symbols"], found["order"], found["next"]) == ({}, [], None)
    assert found["totals"] == {
        "trades": 0, "buy_trades": 0, "sell_trades": 0, "unknown_trades": 0,
        "quantity": "0", "buy_quantity": "0", "sell_quantity": "0", "unknown_quantity": "0", "notional": {},
    }  # fmt: skip
    row = row_of(state, "A", Asked("10s", NOW + 60 * SECOND, Filter()))
    assert (
        row == {"symbol": "A", **{name: found[name] for name in ("window", "window_start", "window_end")}} | empty_row()
    )
    full = row_of(state, "A", Asked("all", NOW, Filter()))
    assert row.keys() == full.keys()
    assert row_of(state, "A", Asked("all", NOW, Filter(venues=("Z",))))["trades_per_second"] is None


@pytest.mark.parametrize(("window", "seconds"), [("10s", 10), ("1m", 60), ("5m", 300), ("1h", 3600), ("1d", 86400)])
def test_when_all_feeds_stop_every_window_falls_to_nothing_within_its_length(window: str, seconds: int) -> None:
    """A live feed until NOW, then nothing but time; the filters see the same."""
    live = [trade(at=NOW - n * SECOND, received_at=NOW - n * SECOND, venue=v) for n in range(120, -1, -1) for v in "XY"]
    state = state_of(live)
    limit = seconds + (60 if window == "1d" else 0)  # the window of a day ends with a minute
    shown = []
    for passed in (*range(0, limit, max(1, seconds // 60)), limit, limit + 1):
        for wanted in (Filter(), Filter(("A",), ("X",), ("print",))):
            found = stats(state, window=window, wanted=wanted, page=Page(), now_ns=NOW + passed * SECOND)
            start, end = _nanoseconds(found["window_start"]), _nanoseconds(found["window_end"])
            assert start <= NOW + passed * SECOND - seconds * SECOND + 60 * SECOND
            inside = [of for of in live if start <= of.timestamp < end and (not wanted.venues or of.venue == "X")]
            assert found["totals"]["trades"] == len(inside)
        shown.append((passed, found["totals"]["trades"]))
    assert shown[0][1] > 0
    assert {count for passed, count in shown if passed >= limit} == {0}
    assert [count for _, count in shown] == sorted((count for _, count in shown), reverse=True)
    everything = stats(state, window="all", wanted=Filter(), page=Page(), now_ns=NOW + 10**6 * SECOND)
    assert everything["totals"]["trades"] == len(live)


def test_one_trade_has_a_deviation_of_zero_and_no_rate() -> None:
    row = row_of(state_of([trade(side=0)]), "A", Asked("all", NOW, Filter()))
    assert (row["quantity_std"], row["imbalance"], row["trades_per_second"], row["interarrival_mean"]) == (
        0.0, None, None, None,
    )  # fmt: skip


def test_money_of_two_currencies_is_never_added() -> None:
    state = state_of([trade(currency="USD"), trade(currency="EUR", price=7)])
    found = stats(state, window="all", wanted=Filter(), page=Page(), now_ns=NOW)
    row = found["symbols"]["A"]
    money = ("notional", "buy_notional", "vwap", "price_open", "price_high", "price_last", "currency")
    assert [row[name] for name in money] == [None] * len(money)
    assert (row["trades"], row["quantity"]) == (2, "2")
    assert found["totals"]["notional"] == {"EUR": "7", "USD": "100"}


def test_a_symbol_that_was_never_seen_is_not_found() -> None:
    state = state_of([trade()])
    with pytest.raises(InvalidInput, match="received 'B'") as of_row:
        row_of(state, "B", Asked("all", NOW, Filter()))
    with pytest.raises(InvalidInput, match="received 'B'") as of_candles:
        candles(state, "B", interval="1m", span=Span(), wanted=Filter(), now_ns=NOW)
    assert (of_row.value.status, of_candles.value.status) == (404, 404)


# --- pages -----------------------------------------------------------------------------------------------------------


def pages(state: Aggregator, sort: str, limit: int) -> list[list[str]]:
    found: list[list[str]] = []
    cursor: str | None = None
    while cursor is not None or not found:
        answer = stats(state, window="all", wanted=Filter(), page=Page(sort, limit, cursor), now_ns=NOW)
        found.append(answer["order"])
        cursor = answer["next"]
    return found


@pytest.mark.parametrize("sort", ["trades", "symbol"])
@pytest.mark.parametrize("limit", [1, 7, 500, 2499, 2500, 100_000])
def test_pages_are_the_whole_list_without_a_hole_or_a_repetition(sort: str, limit: int) -> None:
    rng = random.Random(5)
    names = [f"{rng.choice('aZé:/')}{number}" for number in range(2500 if limit > 7 else 40)]
    trades = [trade(symbol=name) for name in names for _ in range(rng.choice((1, 1, 2, 3)))]
    counts = {name: sum(of.symbol == name for of in trades) for name in names} if limit <= 7 else None
    if counts is None:
        counts = dict.fromkeys(names, 0)
        for of in trades:
            counts[of.symbol] += 1
    key = {name: (-count if sort == "trades" else 0, name) for name, count in counts.items()}
    found = pages(state_of(trades), sort, limit)
    assert list(itertools.chain(*found)) == sorted(names, key=key.__getitem__)
    assert all(len(page) == limit for page in found[:-1])


CURSORS = ("", "x", "trades", "trades:", "trades:1", "trades:1:", ":1:A", "symbol:1:A", "trades:-1:A", "trades:²:A")


@pytest.mark.parametrize("cursor", [*CURSORS, "trades:1_0:A", "trades:" + "9" * 5000 + ":A", "trades: 1:A", "\0"])
def test_a_cursor_that_was_never_given_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput, match="^cursor: expected"):
        stats(state_of([trade()]), window="all", wanted=Filter(), page=Page(cursor=cursor), now_ns=NOW)


@pytest.mark.parametrize(("sort", "limit"), [("price", 1), ("", 1), ("trades", 0), ("trades", 100_001), ("trades", -1)])
def test_a_sort_or_limit_out_of_range_is_refused(sort: str, limit: int) -> None:
    with pytest.raises(InvalidInput):
        stats(state_of([trade()]), window="all", wanted=Filter(), page=Page(sort, limit), now_ns=NOW)


# --- candles ---------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    some_trades,
    st.sampled_from((("1s", 1), ("10s", 10), ("90s", 90), ("1m", 60), ("2m", 120), ("8h", 28800), ("1d", 86400))),
    st.none() | st.integers(NOW - 250 * SECOND, NOW + 5 * SECOND),
    st.none() | st.integers(NOW - 250 * SECOND, NOW + 5 * SECOND),
    st.integers(1, 12),
)
def test_candles_are_those_that_begin_in_the_range_and_pages_give_them_all(
    trades: list[Trade], interval: tuple[str, int], start: int | None, end: int | None, limit: int
) -> None:
    name, seconds = interval
    slots: dict[int, list[tuple[int, Trade]]] = {}
    for seq, of in numbered(trades, symbol=trades[0].symbol):
        slots.setdefault(of.timestamp // SECOND // seconds * seconds, []).append((seq, of))
    expected = [
        oracle.candle(slot, some)
        for slot, some in sorted(slots.items())
        if (start is None or slot * SECOND >= start) and (end is None or slot * SECOND < end)
    ]
    state, until = state_of(trades), end
    found: list[dict[str, Any]] = []
    while True:
        span = Span(start, until, limit)
        answer = candles(state, trades[0].symbol, interval=name, span=span, wanted=Filter(), now_ns=NOW)
        found = answer["candles"] + found
        if answer["next"] is None:
            break
        assert len(answer["candles"]) == limit
        assert answer["next"] == answer["candles"][0]["start"]
        until = _nanoseconds(answer["next"])
    for candle, should in zip(found, expected, strict=True):
        closed = candle.pop("closed")
        assert_equal(candle, should)
        slot = _nanoseconds(candle["start"])
        assert closed == (slot + seconds * SECOND <= _clock(trades) // SECOND * SECOND)


def _clock(trades: list[Trade]) -> int:
    """All came at NOW, and it is NOW."""
    return min(NOW, max(of.timestamp for of in trades))


def _nanoseconds(instant: str) -> int:
    return parse_time(instant)


def filled(state: Aggregator, now: int, **span: Any) -> list[tuple[int, str, int]]:
    answer = candles(state, "A", interval="1m", span=Span(fill="previous", **span), wanted=Filter(), now_ns=now)
    base = NOW // SECOND // 60 * 60
    return [((_nanoseconds(of["start"]) // SECOND - base) // 60, of["close"], of["trades"]) for of in answer["candles"]]


def test_fill_previous_gives_every_interval_up_to_the_event_clock() -> None:
    minute = 60 * SECOND
    base = NOW // minute * minute
    state = state_of(
        [trade(price=1, at=base - 9 * minute), trade(price=2, at=base - 6 * minute), trade(price=3, at=base)]
    )
    whole = [(-9, "1", 1), (-8, "1", 0), (-7, "1", 0), (-6, "2", 1)]
    whole += [(number, "2", 0) for number in range(-5, 0)] + [(0, "3", 1), (1, "3", 0), (2, "3", 0)]
    now = NOW + 2 * minute  # the trades came at NOW: two minutes went by since
    clock = min(now, base + 2 * minute)
    whole = [row for row in whole if base + row[0] * minute <= clock]
    assert filled(state, now) == whole
    assert filled(state, now, limit=3) == whole[-3:]
    assert filled(state, now, end=base - 4 * minute) == whole[:5]
    assert filled(state, now, start=base - 8 * minute, end=base - 5 * minute) == whole[1:4], "close from before start"
    assert filled(state, now, start=base + minute) == whole[10:]
    assert filled(state, now, start=base - 20 * minute, limit=500) == whole, "nothing before the first price"
    assert filled(state, now, start=base + 60 * minute) == []
    gap = candles(state, "A", interval="1m", span=Span(fill="previous"), wanted=Filter(), now_ns=now)["candles"][1]
    assert (gap["vwap"], gap["quantity"], gap["notional"], gap["open"], gap["high"]) == (None, "0", "0", "1", "1")


def test_filled_pages_are_the_whole_list_too() -> None:
    state = state_of([trade(at=NOW - 3600 * SECOND), trade(at=NOW - 1800 * SECOND, price=5), trade(at=NOW)])
    whole = filled(state, NOW, limit=1000)
    assert len(whole) == 61
    found: list[tuple[int, str, int]] = []
    until: int | None = None
    while True:
        answer = candles(state, "A", interval="1m", span=Span(None, until, 7, "previous"), wanted=Filter(), now_ns=NOW)
        page = filled(state, NOW, limit=7, end=until)
        found = page + found
        if answer["next"] is None:
            break
        until = _nanoseconds(answer["next"])
    assert found == whole


@pytest.mark.parametrize("at", [-(2**63) + 1, -1, 0, 2**63 - 1, 8_600_000_000 * SECOND])
def test_candles_reach_from_1677_to_2262(at: int) -> None:
    state = state_of([trade(at=at)])
    for interval in ("1s", "1m", "1d"):
        (candle,) = candles(state, "A", interval=interval, span=Span(), wanted=Filter(), now_ns=NOW)["candles"]
        assert candle["trades"] == 1
        assert candle["start"] <= format_time(at)


@pytest.mark.parametrize("options", [{"limit": 0}, {"limit": 10_001}, {"fill": "next"}, {"fill": ""}], ids=str)
def test_candles_refuse_what_they_do_not_know(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        candles(state_of([trade()]), "A", interval="1m", span=Span(**options), wanted=Filter(), now_ns=NOW)
    with pytest.raises(InvalidInput, match="interval: expected"):
        candles(state_of([trade()]), "A", interval="7m", span=Span(), wanted=Filter(), now_ns=NOW)


# --- folded ----------------------------------------------------------------------------------------------------------


def folded() -> tuple[list[Trade], Aggregator]:
    """Two hours of a trade a second, of which only 1,000 seconds can be held."""
    trades = [trade(price=100 + number % 7, at=NOW + (number - 7200) * SECOND) for number in range(7200)]
    state = state_of(trades, atoms=1000)
    assert len(state.atoms) < 1200
    assert state.atoms.frontier[0] > 0
    return trades, state


def test_after_folding_windows_begin_where_an_atom_does_and_stay_exact() -> None:
    trades, state = folded()
    for window, at in itertools.product(
        ("10s", "1m", "5m", "1h", "1d"), (NOW, NOW - 1800 * SECOND, NOW - 5000 * SECOND)
    ):
        found = stats(state, window=window, wanted=Filter(), page=Page(), now_ns=NOW, at=format_time(at))
        inside = [
            pair
            for pair in numbered(trades)
            if found["window_start"] <= format_time(pair[1].timestamp) < found["window_end"]
        ]
        assert found["totals"] == oracle.totals(inside), (window, at)
        start, end = _nanoseconds(found["window_start"]), _nanoseconds(found["window_end"])
        assert start <= end - {"10s": 10, "1m": 60, "5m": 300, "1h": 3600, "1d": 86400}[window] * SECOND
        assert start <= at < end
        if inside:
            assert_equal(found["symbols"]["A"], oracle.row(inside, (end - start) / SECOND))


def test_candles_finer_than_what_is_held_are_refused_naming_the_finest() -> None:
    trades, state = folded()
    for span in (Span(start=NOW - 7200 * SECOND), Span(end=NOW - 7000 * SECOND)):
        with pytest.raises(InvalidInput, match="held at 60 s"):
            candles(state, "A", interval="1s", span=span, wanted=Filter(), now_ns=NOW)
    newest = candles(state, "A", interval="1s", span=Span(limit=10), wanted=Filter(), now_ns=NOW)["candles"]
    assert [of["trades"] for of in newest] == [1] * 10
    whole = candles(state, "A", interval="1m", span=Span(), wanted=Filter(), now_ns=NOW)["candles"]
    assert sum(of["trades"] for of in whole) == len(trades)


@pytest.mark.parametrize(("interval", "seconds"), [("90s", 90), ("75s", 75), ("2m", 120), ("3m", 180)])
def test_candles_never_cut_what_is_held_however_the_interval_lies_to_it(interval: str, seconds: int) -> None:
    trades, state = folded()
    found = candles(state, "A", interval=interval, span=Span(limit=1000), wanted=Filter(), now_ns=NOW)["candles"]
    for candle in found:
        start = _nanoseconds(candle["start"])
        inside = [pair for pair in numbered(trades) if start <= pair[1].timestamp < start + seconds * SECOND]
        expected = oracle.candle(start // SECOND, inside)
        assert {name: candle[name] for name in expected} == expected
    held = sum(of["trades"] for of in found)
    assert held == len(trades) if seconds % 60 == 0 else 500 < held < 1200
    if seconds % 60:
        with pytest.raises(InvalidInput, match="held at 60 s, expected that or a multiple"):
            span = Span(start=NOW - 7200 * SECOND)
            candles(state, "A", interval=interval, span=span, wanted=Filter(), now_ns=NOW)
