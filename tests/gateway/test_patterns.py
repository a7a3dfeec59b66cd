"""Gaps, bursts, volatility, profile and the largest trades: equal to their definitions, whatever the way to them."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from gateway.aggregator import Aggregator
from gateway.reading import patterns, profile
from gateway.reading.patterns import Question
from gateway.reading.whole import Filter
from gateway.snapshot import Snapshot
from gateway.state.bursts import CompiledBursts, NumpyBursts
from gateway.state.cells import NEVER, Cells
from gateway.state.held import Held
from gateway.state.largest import CompiledLargest, PlainLargest
from gateway.state.patterns import RANGES, Parts, compiled_parts
from gateway.state.taking import Waiting, plainly
from gateway.state.tally import CompiledTally, NumpyTally, merged
from telemetry.columns import from_trades
from telemetry.errors import InvalidInput
from telemetry.partial import decode_partial, encode_partial
from telemetry.patterns import (
    BURST,
    CANDIDATE_WIDTH,
    CODE,
    COUNT_BITS,
    FAR,
    INSTRUMENT_SHIFT,
    KEY,
    MILLISECOND_OFFSET,
    MILLISECOND_SHIFT,
    NEGATIVE,
    SLOT,
    UNIT_MASK,
    UNIT_SHIFT,
    Ints,
    burst_values,
    codes_at,
    in_runs,
    levels_of,
    starts_of,
)
from telemetry.times import format_time
from telemetry.trade import Trade
from tests.gateway import oracle
from tests.gateway.test_aggregator import EPOCH, NOW, head, trade
from worker.analysis import analyse

SECOND = 1_000_000_000
ZONES = {"X": "America/New_York"}
WINDOWS = ("10s", "1m", "5m", "1h", "1d", "all")
PARTS = [pytest.param(Parts(), id="plain"), pytest.param(compiled_parts(), id="compiled")]


def state_of(trades: list[Trade], cuts: list[int], *, atoms: int = 500_000, parts: Parts | None = None) -> Aggregator:
    """The live state of trades 1, 2, …, in ranges that end at these numbers."""
    state = Aggregator(epoch=EPOCH, atoms=atoms, parts=parts)
    deliver(state, trades, sorted({0, len(trades), *cuts, *range(0, len(trades), state.stride)}))
    return state


def deliver(state: Aggregator, trades: list[Trade], cuts: list[int]) -> None:
    for begin, end in pairwise(cuts):
        partial = analyse([from_trades(trades[begin:end])], begin + 1)
        state.merge(head(begin + 1, end), decode_partial(encode_partial(partial)))


def some(rng: random.Random, count: int, spread: int, **changes: Any) -> list[Trade]:
    """Trades as they come: mostly forward in time, some late, some ahead of their arrival."""
    trades, at = [], NOW - spread
    for _ in range(count):
        at += rng.choice((0, 1, rng.randrange(2_000_000), rng.randrange(2 * spread // count)))
        late = rng.choice((0, 0, 0, 0, rng.randrange(spread)))
        ahead = rng.choice((0, 0, 0, 0, 0, 0, 0, 0, SECOND, 60 * SECOND))
        trades.append(
            trade(
                symbol=rng.choice("AAAB"), venue=rng.choice(("", "X")), side=rng.randrange(3),
                price=rng.choice((1, 1, 1, 1, -1)) * rng.randrange(1, 10**6), price_scale=rng.randrange(4),
                quantity=rng.randrange(1, 10 ** rng.randrange(1, 7)), quantity_scale=rng.randrange(4),
                at=at - late, received_at=at - late - ahead, **changes,
            )
        )  # fmt: skip
    return trades


def shown(
    state: Aggregator, symbol: str, window: str, *, at: str | None = "watermark", **wanted: Any
) -> dict[str, Any]:
    return patterns.prepare(state, Question(symbol, window, Filter(**wanted), at), ZONES, NOW + SECOND).document()


def all_shown(state: Aggregator) -> bytes:
    """Everything that is read of the state, as bytes."""
    documents = [shown(state, symbol, window) for symbol in sorted(state.by_symbol) for window in WINDOWS]
    profiles = [profile.prepare(state, symbol, Filter(), ZONES).document() for symbol in sorted(state.by_symbol)]
    return json.dumps([documents, profiles]).encode()


def inside(trades: list[Trade], document: dict[str, Any]) -> list[tuple[int, Trade]]:
    """The numbered trades of a document's symbol and window."""
    of = [(seq, one) for seq, one in enumerate(trades, 1) if one.symbol == document["symbol"]]
    if document["window_start"] is None:
        return of
    return [one for one in of if document["window_start"] <= format_time(one[1].timestamp) < document["window_end"]]


def by_instrument(trades: list[tuple[int, Trade]]) -> dict[Any, list[tuple[int, Trade]]]:
    found: dict[Any, list[tuple[int, Trade]]] = {}
    for seq, one in trades:
        found.setdefault((one.venue, one.symbol, one.kind, one.currency), []).append((seq, one))
    return found


def nearest(values: list[int], percent: int) -> float:
    return sorted(values)[max(1, math.ceil(Fraction(percent, 100) * len(values))) - 1] / 1e9


def check(trades: list[Trade], document: dict[str, Any]) -> None:
    """Every figure of a document by its definition, over plain trades."""
    chosen = {seq for seq, _ in inside(trades, document)}
    of = by_instrument([(seq, one) for seq, one in enumerate(trades, 1) if one.symbol == document["symbol"]])
    gaps = [b[1].timestamp - a[1].timestamp for some in of.values() for a, b in pairwise(some) if b[0] in chosen]
    assert document["interarrival_count"] == sum(gap >= 0 for gap in gaps)
    assert document["interarrival_negative"] == sum(gap < 0 for gap in gaps)
    for percent in (50, 90, 99):
        if forward := [gap for gap in gaps if gap >= 0]:
            exact = nearest(forward, percent)
            assert document[f"interarrival_p{percent}"] == pytest.approx(exact, rel=0.01)
        else:
            assert document[f"interarrival_p{percent}"] is None
    check_burst(of, chosen, document)
    assert document["realised_volatility"] == approximately(volatility(inside(trades, document), document["zone"]))
    sizes = sorted((-abs(oracle.notional(one)), seq) for seq, one in candidates(of, document))[:10]
    assert [one["seq"] for one in document["largest"]] == [seq for _, seq in sizes]
    for one in document["largest"]:
        original = trades[one["seq"] - 1]
        assert one["notional"] == oracle.text(oracle.notional(original))
        assert (one["price"], one["quantity"]) == tuple(
            oracle.text(value) for value in (oracle.price(original), oracle.quantity(original))
        )
        assert (one["timestamp"], one["side"]) == (format_time(original.timestamp), oracle.SIDES[original.side])


def candidates(of: dict[Any, list[tuple[int, Trade]]], document: dict[str, Any]) -> list[tuple[int, Trade]]:
    """Trades of the window, one dated ahead of its arrival at its arrival, one far ahead in no window."""
    everything = [one for some in of.values() for one in some]
    if document["window_start"] is None:
        return everything
    return [
        (seq, one)
        for seq, one in everything
        if document["window_start"] <= format_time(min(one.timestamp, one.received_at)) < document["window_end"]
        and one.timestamp <= one.received_at + 5 * SECOND
    ]


def check_burst(of: dict[Any, list[tuple[int, Trade]]], chosen: set[int], document: dict[str, Any]) -> None:
    bursts, slots = [], Counter[int]()
    for some in of.values():
        if all(one.timestamp % 10_000_000 == 0 for _, one in some):
            continue
        counts = Counter(one.timestamp // 1_000_000 for seq, one in some if seq in chosen)
        seconds = Counter(one.timestamp // SECOND for _, one in some)
        for millisecond, count in counts.items():
            bursts.append((-count, millisecond, seconds[millisecond // 1000]))
            slot = millisecond // 10_000
            slots[slot] = max(slots[slot], count)
    if not bursts:
        assert (document["microburst"], document["burst_ratio"], document["microbursts"]) == (None, None, [])
        return
    count, millisecond, trades = min(bursts, key=lambda burst: burst[:2])
    assert document["microburst"] == -count
    assert document["microburst_at"] == format_time(millisecond * 1_000_000)
    least = min(burst[2] for burst in bursts if burst[:2] == (count, millisecond))
    if least == trades:  # else another venue had as many in the same millisecond
        assert document["burst_ratio"] == (-count * 1000 / trades if trades >= 100 else None)
    expected = [{"start": format_time(slot * 10 * SECOND), "trades": slots[slot]} for slot in sorted(slots)[-360:]]
    assert document["microbursts"] == expected


def approximately(value: float | None) -> Any:
    return None if value is None else pytest.approx(value, rel=1e-12)


def volatility(trades: list[tuple[int, Trade]], zone: str | None) -> float | None:
    last: dict[int, tuple[int, int, Fraction]] = {}
    for seq, one in trades:
        minute, found = one.timestamp // (60 * SECOND), (one.timestamp, seq, Fraction(oracle.price(one)))
        last[minute] = max(found, last.get(minute, found))
    prices = [(minute, last[minute][2]) for minute in sorted(last)]
    if len(prices) < 2 or any(price <= 0 for _, price in prices):
        return None
    squares = [
        math.log1p(float(after[1] / before[1] - 1)) ** 2
        for before, after in pairwise(prices)
        if zone is None or day(before[0], zone) == day(after[0], zone)
    ]
    return math.sqrt(math.fsum(squares))


def day(minute: int, zone: str) -> date:
    return datetime.fromtimestamp(minute * 60, ZoneInfo(zone)).date()


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("seed", range(12))
def test_every_figure_equals_its_definition(seed: int, parts: Parts) -> None:
    rng = random.Random(seed)
    spread = rng.choice((SECOND // 100, SECOND, 60 * SECOND, 3600 * SECOND, 90_000 * SECOND))
    positive = [one._replace(price=abs(one.price)) for one in some(rng, rng.randrange(1, 600), spread)]
    for trades in (positive, some(rng, 50, spread)):
        state = state_of(trades, [rng.randrange(len(trades)) for _ in range(9)], parts=parts)
        for symbol in state.by_symbol:
            for window in WINDOWS:
                check(trades, shown(state, symbol, window))


@pytest.mark.parametrize("parts", PARTS)
def test_what_is_folded_depends_on_the_journal_alone_and_sums_stay(parts: Parts) -> None:
    rng = random.Random(7)
    trades = some(rng, 6000, 80_000 * SECOND)
    free = state_of(trades, [], parts=parts)
    states = [state_of(trades, [rng.randrange(6000) for _ in range(n)], atoms=4000, parts=parts) for n in (0, 40)]
    capped = states[0]
    assert capped.patterns is not None
    assert free.patterns is not None
    assert all_shown(states[0]) == all_shown(states[1])
    capped.patterns.take_in()
    free.patterns.take_in()
    assert capped.patterns.cells.frontier[0] > 0, "nothing was folded"
    assert len(capped.patterns.cells) <= 1.5 * 4000 + 3 * capped.stride < len(free.patterns.cells)
    for symbol in free.by_symbol:
        fields = shown(free, symbol, "all"), shown(capped, symbol, "all")
        for name in fields[0]:
            if name not in ("microbursts", "burst_ratio", "realised_volatility"):
                assert fields[0][name] == fields[1][name], name
        hour = shown(capped, symbol, "1h")
        check_gaps_of(trades, hour)


def check_gaps_of(trades: list[Trade], document: dict[str, Any]) -> None:
    chosen = {seq for seq, _ in inside(trades, document)}
    of = by_instrument([(seq, one) for seq, one in enumerate(trades, 1) if one.symbol == document["symbol"]])
    gaps = [b[1].timestamp - a[1].timestamp for some in of.values() for a, b in pairwise(some) if b[0] in chosen]
    assert document["interarrival_count"] == sum(gap >= 0 for gap in gaps)


@pytest.mark.parametrize("parts", PARTS)
def test_instruments_for_which_there_is_no_room_are_said_to_be_incomplete(parts: Parts) -> None:
    rng = random.Random(3)
    trades = [
        trade(symbol=f"S{number}", at=NOW + rng.randrange(10**18, 10**18 + 10**12), received_at=NOW + 2 * 10**18)
        for number in range(400)
        for _ in range(20)
    ]
    state = state_of(trades, [], atoms=1000, parts=parts)
    assert state.patterns is not None
    assert len(state.patterns.cells) <= 1000
    assert shown(state, "S0", "all")["complete"]
    assert not shown(state, "S399", "all")["complete"]
    assert shown(state, "S0", "all")["interarrival_count"] + shown(state, "S0", "all")["interarrival_negative"] == 19


@pytest.mark.parametrize("parts", PARTS)
def test_of_one_instrument_so_many_large_trades_are_kept_and_windows_say_when_some_are_missing(parts: Parts) -> None:
    falling = [trade(quantity=100_000 - n, at=NOW + n * 10 * SECOND, received_at=NOW * 2) for n in range(2000)]
    state = state_of(falling, [], atoms=1000, parts=parts)
    found = shown(state, "A", "all")
    assert ([one["seq"] for one in found["largest"]], found["complete"]) == (list(range(1, 11)), True)
    assert not shown(state, "A", "1h")["complete"]
    near = shown(state, "A", "1m")
    assert ([one["seq"] for one in near["largest"]], near["complete"]) == (list(range(1995, 2001)), True)


def test_a_millisecond_that_is_cut_by_ranges_counts_as_one_while_it_can_still_grow(tmp_path: Path) -> None:
    same = [trade(at=NOW + 1, received_at=NOW + 1) for _ in range(120)]
    state = state_of(same, list(range(0, 120, 7)))
    found = shown(state, "A", "10s")
    assert (found["microburst"], found["burst_ratio"]) == (120, 1000.0)
    assert (found["microburst_at"], found["microburst_venue"]) == (format_time(NOW), None)


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("size", [300, 700])
def test_a_millisecond_may_have_more_trades_than_a_word_of_its_run_counts(size: int, parts: Parts) -> None:
    later = NOW + 20_000 * SECOND  # further away than a word can say
    times = [NOW] * 256 + [NOW + 1_000_000] * size + [later] * 511
    trades = [trade(at=at + 1, received_at=later) for at in times]
    for cuts in ([], list(range(0, len(trades), 270))):
        found = shown(state_of(trades, cuts, parts=parts), "A", "1d")
        assert found["microburst"] == max(size, 511)
        assert found["microburst_at"] == format_time(NOW + 1_000_000 if size > 511 else later)
        assert sorted(burst["trades"] for burst in found["microbursts"])[-1] == max(size, 511)


def test_a_run_whose_first_word_says_more_than_nothing_is_the_same_in_the_reference_and_in_compiled_code() -> None:
    times = [NOW + 3 * number * number * 1_000_000 for number in range(50)]
    partial = analyse([from_trades([trade(at=at, received_at=at) for at in times])], 1)
    assert partial.patterns is not None
    partial.patterns.words.view(np.uint32)[0, 0] += 7 << COUNT_BITS
    states = [Aggregator(epoch=EPOCH, parts=parts) for parts in (Parts(), compiled_parts())]
    for state in states:
        state.merge(head(1, len(times)), decode_partial(encode_partial(partial)))
    found = [shown(state, "A", "all") for state in states]
    assert found[0]["microburst_at"] == found[1]["microburst_at"] == format_time(NOW + 7_000_000)


def test_ranges_of_single_trades_are_taken_in_before_so_many_wait_that_it_takes_long() -> None:
    taken: list[int] = []

    def take(held: Held, waiting: Sequence[Waiting]) -> None:
        taken.append(len(waiting))
        plainly(held, waiting)

    trades = some(random.Random(7), 1_000, 60 * SECOND)
    state = state_of(trades, list(range(1, 1_001)), parts=Parts(take=lambda: take))
    assert max(taken) <= RANGES
    assert sum(taken) >= 1_000 - RANGES
    assert all_shown(state) == all_shown(state_of(trades, [1_000]))


def test_stamps_that_are_all_coarser_than_a_millisecond_have_no_bursts() -> None:
    coarse = [trade(at=NOW + n * 10_000_000, received_at=2 * NOW) for n in (0, 0, 0, 5, 7)]
    assert shown(state_of(coarse, []), "A", "all")["microburst"] is None
    assert shown(state_of([*coarse, trade(at=NOW + 1_000_000, received_at=2 * NOW)], []), "A", "all")["microburst"] == 3


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("atoms", [1000, 500_000])
def test_a_snapshot_holds_the_patterns_of_its_instant(tmp_path: Path, parts: Parts, atoms: int) -> None:
    trades = some(random.Random(atoms), 3000, 80_000 * SECOND)
    state = state_of(trades[:2000], [], atoms=atoms, parts=parts)
    Snapshot(tmp_path / "s.db", "journal").save(state)
    restored = Aggregator(epoch=EPOCH, atoms=atoms, parts=parts)
    assert Snapshot(tmp_path / "s.db", "journal").load(restored, newest=2000) is None
    assert all_shown(restored) == all_shown(state)
    rest = sorted({2000, 3000, *range(2000, 3000, state.stride)})
    for one in (state, restored):
        deliver(one, trades, rest)
    assert all_shown(restored) == all_shown(state)


def test_basic_statistics_leave_patterns_out_and_never_mix_with_all(tmp_path: Path) -> None:
    trades = some(random.Random(1), 100, SECOND)
    basic = Aggregator(epoch=EPOCH, basic=True)
    partial = analyse([from_trades(trades)], 1, basic=True)
    assert partial.patterns is None
    assert not basic.verdict(head(1, 100)).accepted
    basic.merge(head(1, 100, version=basic.version), decode_partial(encode_partial(partial)))
    assert basic.applied == 100
    with pytest.raises(InvalidInput, match="TELEMETRY_STATISTICS=all"):
        shown(basic, "A", "all")
    Snapshot(tmp_path / "s.db", "journal").save(basic)
    assert "belongs to" in str(Snapshot(tmp_path / "s.db", "journal").load(Aggregator(epoch=EPOCH), newest=100))
    assert Snapshot(tmp_path / "s.db", "journal").load(Aggregator(epoch=EPOCH, basic=True), newest=100) is None


@pytest.mark.parametrize("seed", range(5))
def test_the_profile_equals_its_definition_in_the_zone_of_the_venue(seed: int) -> None:
    rng = random.Random(seed)
    trades = some(rng, 400, 5 * 86_400 * SECOND)
    state = state_of(trades, [], atoms=500_000)
    for venues, name in ((("X",), "America/New_York"), (("",), "UTC"), ((), "UTC")):
        found = profile.prepare(state, "A", Filter(venues=venues), ZONES).document()
        of = [one for one in trades if one.symbol == "A" and (not venues or one.venue in venues)]
        assert (found["zone"], found["since"]) == (name, None)
        zone = ZoneInfo(name)
        local = [datetime.fromtimestamp(one.timestamp // SECOND, zone) for one in of]
        assert found["days"] == len({at.date() for at in local})
        expected: dict[str, list[tuple[date, Trade]]] = {}
        for at, one in zip(local, of, strict=True):
            expected.setdefault(f"{at:%H:%M}", []).append((at.date(), one))
        assert [minute["minute"] for minute in found["minutes"]] == sorted(expected)
        for minute in found["minutes"]:
            some_of = expected[minute["minute"]]
            assert minute["trades"] == len(some_of)
            assert minute["days"] == len({on for on, _ in some_of})
            assert minute["quantity"] == oracle.text(oracle.total([oracle.quantity(one) for _, one in some_of]))


def test_filters_choose_instruments_and_what_is_wrong_is_named() -> None:
    trades = some(random.Random(2), 300, 60 * SECOND)
    state = state_of(trades, [])
    found = shown(state, "A", "all", venues=("X",))
    assert {one["venue"] for one in found["largest"]} == {"X"}
    assert found["zone"] == "America/New_York"
    for question, message in (
        (Question("Z", "all"), "a symbol that was traded"),
        (Question("A", "2m"), "window: expected one of"),
        (Question("A", "1m", at="2020-01-01T00:00:00Z"), "at: expected watermark"),
    ):
        with pytest.raises(InvalidInput, match=message):
            patterns.prepare(state, question, ZONES, NOW)


@pytest.mark.parametrize("late", [0.0, 0.01, 0.5])
def test_generations_of_milliseconds_change_alike_in_the_reference_and_in_compiled_code(late: float) -> None:
    """Of some instruments, forward in time but for those that are late; some come back when they are half forgotten."""
    draw = np.random.default_rng(1)
    plain, quick = NumpyBursts(), CompiledBursts()
    for turn in range(60):
        at = np.sort(draw.integers(1000 * turn, 1000 * turn + 1500, 3000))
        at = np.where(draw.random(3000) < late, draw.integers(0, at + 1), at)
        keys = (draw.integers(0, 9 + 3 * turn, 3000) << MILLISECOND_SHIFT) + MILLISECOND_OFFSET + at
        values = draw.integers(1, 5, 3000)
        assert (plain.count(keys, values) == quick.count(keys, values)).all(), f"late {late}, turn {turn}"
        if turn % 16 == 15:
            plain.turn()
            quick.turn()
        if turn % 16 == 7:
            saved, quick = quick.copied()(), CompiledBursts()
            quick.load(saved)
            assert all(np.array_equal(*pair) for pair in zip(plain.copied()(), saved, strict=True))


def test_cells_that_become_coarser_are_the_same_in_the_reference_and_in_compiled_code() -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    parts = Parts(), compiled_parts()
    cells = [Cells(500, of.tally, of.coarsen) for of in parts]
    levels = set[int]()
    for step in range(60):
        seconds = NOW // 10**9 + step * 40_000 + rng.integers(-30_000, 0, 400)
        codes = codes_at(np.zeros(400, np.int64), seconds)
        buckets = rng.choice([0, 7, NEGATIVE, BURST], 400)
        keys = rng.integers(0, 20, 400) << INSTRUMENT_SHIFT | codes << UNIT_SHIFT | buckets
        bursts = burst_values(rng.integers(1, 50, 400), seconds * 1000 + rng.integers(0, 1000, 400), seconds // 10 * 10)
        values = np.where(buckets == BURST, bursts, rng.integers(1, 9, 400))
        for one in cells:
            one.add(keys.copy(), values.copy(), int(seconds.min() // 10 * 10))
            one.fold()
        assert np.array_equal(cells[0].frontier, cells[1].frontier)
        plain, quick = (one.copied()() for one in cells)
        assert all(np.array_equal(*pair) for pair in zip(plain, quick, strict=True))
        levels |= set(levels_of(plain[0] >> UNIT_SHIFT & UNIT_MASK).tolist())
        assert [len(one) for one in cells] == [len(plain[0])] * 2
    assert len(levels) >= 3, levels


def some_cells(rng: np.random.Generator, count: int, *, since: int = 100_000, level: int = 0) -> Ints:
    """Keys of cells of the last so many seconds."""
    seconds = NOW // 10**9 - rng.integers(0, since, count)
    codes = codes_at(np.full(count, level), seconds)
    return rng.integers(0, 50, count) << INSTRUMENT_SHIFT | codes << UNIT_SHIFT | rng.integers(0, 9, count)


def test_a_table_that_grows_goes_on_in_memory_that_was_taken_before() -> None:
    rng, taken, sizes = np.random.default_rng(1), list[Any](), set[int]()
    tally = CompiledTally(taken.append)
    for _ in range(40):
        tally.add(some_cells(rng, 5000), np.ones(5000, np.int64))
        table = tally.room_for(0)
        sizes.add(len(table))
        assert len(table) <= 1 << 17 or any(table is one for one in taken)
    assert max(sizes) > 1 << 17


@pytest.mark.parametrize(
    ("count", "part", "more"), [(100_000, 1 << 16, 2_000), (100_000, 1 << 16, 60_000), (2_000, 8, 8)]
)
def test_cells_are_taken_out_in_parts_while_others_come_and_the_table_grows(count: int, part: int, more: int) -> None:
    """Also when there is room for fewer of them than stand side by side."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    plain, quick = NumpyTally(), CompiledTally(part=part)
    for keys in (some_cells(rng, count), some_cells(rng, count // 10, level=1)):
        for tally in (plain, quick):
            tally.add(keys.copy(), np.ones(len(keys), np.int64))
    frontier = np.array([NOW // 10**9 // 60 * 60 - 50_000, *[NEVER] * 3], np.int64)
    frontier[0] -= frontier[0] % 60
    out, size = list(plain.take_out(frontier)), len(quick.room_for(0))
    parts = list[tuple[Ints, Ints]]()
    for keys, values in quick.take_out(frontier):
        parts.append((keys.copy(), values.copy()))
        known = plain.items()[0][:: max(1, count // 5_000)]
        for keys in (some_cells(rng, more, since=40_000), known)[: 2 * (len(parts) < 90)]:
            for tally in (plain, quick):
                tally.add(keys.copy(), np.ones(len(keys), np.int64))
    assert len(parts) > 1
    assert len(quick.room_for(0)) > size or more < 10_000
    moved = [merged(*map(np.concatenate, zip(*one, strict=True))) for one in (out, parts)]
    assert len(moved[0][0]) > 500
    for one, other in (moved, (merged(*plain.items()), merged(*quick.items()))):
        assert all(np.array_equal(*pair) for pair in zip(one, other, strict=True))
    assert len(plain) == len(quick)


@pytest.mark.parametrize(("level", "since"), [(0, 50_000), (0, 10**7), (1, 10**6), (2, 10**8)])
def test_the_frontier_goes_to_the_same_second_in_the_reference_and_in_compiled_code(level: int, since: int) -> None:
    """Also when the cells are further apart than units are counted one by one."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng, tallies = np.random.default_rng(seed), (NumpyTally(), CompiledTally())
    assert [tally.frontier(level, 10) for tally in tallies] == [None, None]
    keys = np.append(some_cells(rng, 20_000, since=since, level=level), some_cells(rng, 2_000, level=3))
    for tally in tallies:
        tally.add(keys.copy(), np.ones(len(keys), np.int64))
    count = len(tallies[0])
    for left in (0, 1, count // 3, count - 3_000, count - 1, count, 2 * count):
        plain, quick = (tally.frontier(level, left) for tally in tallies)
        assert plain is not None
        assert plain == quick, left
        starts = starts_of(codes := tallies[0].items()[0] >> UNIT_SHIFT & UNIT_MASK, levels_of(codes))
        of_level = starts[levels_of(codes) == level]
        assert plain[1] == np.count_nonzero(of_level < plain[0])
        assert len(of_level) - plain[1] <= left


def test_the_table_of_cells_is_as_large_as_cells_need_not_milliseconds_and_not_larger_than_gaps_allow() -> None:
    of, at = np.zeros(1, np.int64), MILLISECOND_OFFSET + NOW // 10**6
    honest = analyse([from_trades([trade(at=NOW + number * 10**6) for number in range(9000)])], 1).patterns
    assert honest is not None
    untrue = replace(honest, gaps=honest.gaps[:0], block=None)
    bursts = np.stack((at + 10_000 * np.arange(3000), np.ones(3000, np.int64)), axis=1)
    untrue = replace(untrue, **dict(zip(("runs", "words"), in_runs(bursts), strict=True)))
    for ranges, most in ((honest, 40), (untrue, 4)):
        state = Aggregator(epoch=EPOCH, parts=compiled_parts()).patterns
        assert state is not None
        state.merge(of, 1, ranges)
        state.take_in()
        cells = state.cells.fine
        assert isinstance(cells, CompiledTally)
        assert len(cells.room_for(0)) == 2 * 4096
        assert 0 < len(cells) <= most


@pytest.mark.parametrize("seed", range(8))
def test_the_same_large_trades_stay_in_the_reference_and_in_compiled_code_when_there_are_too_many(seed: int) -> None:
    """Of equal ones too, which pile up: a later one beats no earlier one, nor that one who is in a later slot."""
    draw = np.random.default_rng(seed)
    plain, quick = PlainLargest(), CompiledLargest()
    for turn in range(60):
        candidates = np.zeros((40, CANDIDATE_WIDTH), np.int64)
        candidates[:, KEY] = draw.integers(1, 4 if seed % 2 else 10**6, 40)
        late = draw.integers(0, 2, 40) * (draw.random(40) < (0.05 if seed >= 4 else 1))
        slots = 100 + turn // (1 + seed // 2 % 2) - late
        candidates[:, SLOT] = np.where(draw.random(40) < 0.02, FAR, slots)
        candidates[:, CODE] = np.arange(40)
        ids, seqs = draw.integers(0, 2, 40), np.full(40, 1 + 40 * turn)
        for largest in (plain, quick):
            largest.offer(ids, seqs, candidates)
            if turn % 10 == 9:
                largest.bound()
        for instrument in (0, 1):
            assert np.array_equal(plain.of(instrument), quick.of(instrument)), f"seed {seed}, turn {turn}"
        assert plain.since == quick.since
        if turn % 7 == 6:
            saved, since = quick.copied()(), quick.since
            assert np.array_equal(plain.copied()(), saved), f"seed {seed}, turn {turn}"
            if turn % 2:
                quick = CompiledLargest()
                quick.load(saved)
                quick.since = since
    assert plain.since or seed % 2 == 0, "there were never too many"
