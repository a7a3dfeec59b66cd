"""A running window equals, to the last bit, a walk over all atoms of the window, whatever happened on the way."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from gateway.aggregator import Aggregator
from gateway.reading.figures import Filter, Page, prepare, stats
from gateway.reading.open_windows import UNREAD
from gateway.reading.running import EVER, Range, Running
from gateway.reading.whole import Asked, Whole, range_of, read, warm
from gateway.reading.windows import WINDOWS, event_clock, resolution, window_of
from gateway.state.folding import frontier_of
from gateway.state.merging import EPOCH_OFFSET, INSTRUMENT_SHIFT, LEVEL_SHIFT, Ints, pack
from telemetry import rows as layout
from telemetry.rows import INSTRUMENT, LEVEL, REVISION, START, TRADES, WIDTH, Rows
from telemetry.trade import Trade
from tests.gateway.test_aggregator import EPOCH, NOW, offer, trade
from tests.gateway.test_figures import state_of

SECOND = 1_000_000_000


def walk(state: Aggregator, span: Range) -> Rows:
    """One row for each instrument, from all atoms of the window."""
    count = len(state.instruments)
    if span == EVER:
        return state.totals[:count]
    rows = state.atoms.select(np.arange(count), *span)
    ids, sums = layout.reduce(rows, rows[:, INSTRUMENT])
    found = np.zeros((count, WIDTH), np.int64)
    found[ids] = sums
    found[:, LEVEL] = found[:, START] = 0
    return found


def check(state: Aggregator, running: Running) -> None:
    expected = walk(state, running.span)
    assert running.rows[: len(expected)].tolist() == expected.tolist()
    counts = [0] * len(state.directory.symbols)
    sums: dict[int, Ints] = {}
    for number, row in enumerate(expected):
        counts[state.directory.symbol_of[number]] += int(row[TRADES : TRADES + 3].sum())
        if row[REVISION]:
            code = (state.directory.money_of[number] * 32 + state.price_scale[number]) * 32
            code = int(code + state.quantity_scale[number])
            sums[code] = sums.get(code, np.zeros(21, np.int64)) + row[TRADES : TRADES + 21]
    assert running.counts.tolist() == counts
    for code, group in running.groups.items():
        assert running.sums[group].tolist() == sums.pop(code, np.zeros(21, np.int64)).tolist()
    assert sums == {}


def some_trades(rng: random.Random, count: int, now: int) -> list[Trade]:
    """Of few instruments, some late, at times with finer scales or with numbers that fit no row."""
    return [
        trade(
            rng.choice((5, 10**6, -3)) if rng.random() < 0.97 else 10**17,
            rng.randint(1, 9),
            now - rng.choice((0, 1, 1, 5, 50, 200, 4000, 90_000)) * rng.randrange(SECOND) - rng.randrange(2 * SECOND),
            symbol=rng.choice("ABCDEFGH"[: rng.randint(1, 8)]),
            venue=rng.choice(("", "X")),
            price_scale=rng.choice((0,) * 10 + (2, 9)),
            quantity_scale=rng.choice((0,) * 10 + (3,)),
            side=rng.randrange(3),
        )
        for _ in range(count)
    ]


def test_every_window_equals_a_walk_while_trades_come_late_scales_change_atoms_fold_and_time_moves() -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(12):
        follow(rng, atoms=rng.choice((16, 40, 100_000)))


def follow(rng: random.Random, atoms: int) -> None:
    state, now, some = Aggregator(epoch=EPOCH, atoms=atoms), NOW, list[Trade]()
    under_way: list[tuple[str, Iterator[None]]] = []
    for _ in range(40):
        first = len(some) + 1
        some += some_trades(rng, min(rng.randint(1, 12), state.stride - len(some) % state.stride), now)
        offer(state, some, first, len(some))
        now += rng.choice((0, 0, SECOND // 4, SECOND, SECOND, 7 * SECOND, 70 * SECOND, 4000 * SECOND, -3 * SECOND))
        name = rng.choice(list(WINDOWS))
        span = range_of(window_of(name, min(now, event_clock(state.watermark, now)), state.atoms))
        if rng.random() < 0.5:
            running = state.windows.at_once(name, span)
            assert running.span == span
            check(state, running)
        else:
            under_way.append((name, state.windows.steps(name, span)))
        for reading in list(under_way):
            if any(next(reading[1], "done") == "done" for _ in range(rng.randint(0, 20))):
                under_way.remove(reading)
                current = state.windows.current(reading[0])
                assert current is not None
                check(state, current)


@pytest.mark.parametrize("window", ["10s", "1h", "1d", "all"])
def test_a_reading_in_steps_answers_as_one_at_once(window: str) -> None:
    trades = [trade(at=NOW - number * SECOND, symbol=f"S{number % 50:02}") for number in range(3000)]
    state, fresh = state_of(trades), state_of(trades)
    asked = Asked(window, NOW)
    steps = sum(1 for _ in warm(state, asked))
    answer = prepare(state, asked, Page(limit=7), warmed=True)
    expected = stats(fresh, window=window, wanted=Filter(), page=Page(limit=7), now_ns=NOW)
    assert answer.head | {"symbols": dict(answer.rows()), "order": answer.order, "next": answer.following} == expected
    assert steps > 0


def test_an_answer_is_as_of_its_instant_whatever_is_merged_before_its_rows_are_made() -> None:
    some = [trade(symbol=name, at=NOW) for name in "ABCA"]
    state = state_of(some[:3])
    answer = prepare(state, Asked("1m", NOW), Page())
    offer(state, some, 4, 4)
    assert {name: row["trades"] for name, row in answer.rows()} == {"A": 1, "B": 1, "C": 1}


def test_a_window_that_nobody_reads_is_closed() -> None:
    state = state_of([trade(at=NOW)])
    state.windows.at_once("1m", Range(NOW // SECOND - 59, NOW // SECOND + 1))
    rows = state.atoms.select(np.arange(1), *EVER).repeat(5000, axis=0)
    for _ in range(3 * UNREAD):
        state.windows.merged(rows)
        assert state.windows.current("1m") is not None, "somebody reads it"
    for _ in range(UNREAD + 1):
        state.windows.merged(rows)
    assert state.windows.current("1m") is None


def by_sorting(keys: Ints, level: int, coarse: int, limit: int, excess: int) -> tuple[int, int] | None:
    """As frontier_of, from all keys."""
    freed: dict[int, list[int]] = {}
    for key in keys.tolist():
        start = (key & ((1 << LEVEL_SHIFT) - 1)) - EPOCH_OFFSET
        if (key >> LEVEL_SHIFT) & 3 == level and start < limit:
            freed.setdefault(start // coarse, []).append(key >> INSTRUMENT_SHIFT)
    total = 0
    for unit in sorted(freed):
        total += len(freed[unit]) - len(set(freed[unit]))
        if total >= excess:
            break
    return ((unit + 1) * coarse, total) if freed else None


def test_as_few_of_the_oldest_units_are_folded_as_free_enough() -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(300):
        several = {
            int(pack(rng.randrange(4), rng.choice((0, 0, 0, 1)), rng.randrange(-500, 5000)))
            for _ in range(rng.randint(1, 200))
        }
        keys, limit, excess = np.array(sorted(several)), rng.randrange(-500, 6000), rng.randint(1, 150)
        for coarse in (60, 3600):
            assert frontier_of(keys, 0, coarse, limit, excess) == by_sorting(keys, 0, coarse, limit, excess)


def test_what_is_said_to_have_changed_in_a_window_is_what_has_changed() -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    some = some_trades(rng, 20, NOW)
    state = state_of(some)
    names, mark, before = list[str](), None, dict[str, object]()
    for second in range(30):
        more = some_trades(rng, rng.randint(1, 3), NOW + second * SECOND)
        offer(state, some := some + more, len(some) - len(more) + 1, len(some))
        name = rng.choice(("10s", "10s", "all"))
        found, _ = read(state, Asked(name, NOW + second * SECOND))
        assert isinstance(found, Whole)
        now = {symbol: found.of([symbol]).parts(symbol) for symbol in found.order("symbol", None)[0]}
        if mark is not None and names[-1] == name:
            said = set(found.changed(mark))
            differ = {symbol for symbol in now.keys() | before.keys() if now.get(symbol) != before.get(symbol)}
            assert differ <= said <= now.keys() | before.keys()
        names, mark, before = [*names, name], found.mark(), dict(now)


def test_a_reading_made_out_before_a_fold_cuts_no_atom_that_the_fold_has_made() -> None:
    """A fold may come between two steps of a reading; what was given as its span may then begin within an atom."""
    trades = [trade(at=NOW - number * 600 * SECOND) for number in range(60)]
    state = Aggregator(epoch=EPOCH, atoms=40)
    offer(state, trades[:8], 1, 8)
    span = range_of(window_of("1h", NOW - 5000 * SECOND, state.atoms))
    steps = state.windows.steps("1h", span)
    offer(state, trades, 9, 48)
    assert resolution(state.atoms, span.start) > 1
    for _ in steps:
        pass
    running = state.windows.current("1h")
    assert running is not None
    assert running.span.start % resolution(state.atoms, running.span.start) == 0
    check(state, running)
