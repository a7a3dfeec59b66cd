"""Looking at single trades: compiled code does what the reference does, whatever comes and in whatever commits."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gateway import alerts as engine
from gateway.alerting import rings, rule_kinds
from gateway.alerting.looking import CompiledLook
from gateway.alerting.outliers import INSTRUMENTS, Recent
from gateway.alerting.rule_kinds import FatFinger
from gateway.alerting.rules import read_rules
from gateway.alerting.singles import Singles
from gateway.alerts import Alerts
from telemetry.columns import Columns, from_trades
from telemetry.compiled import outliers as kernels
from telemetry.decimals import MAX_SCALE
from telemetry.decode_compiled import available
from telemetry.trade import Instrument
from tests.gateway.market import Market, columns_of
from tests.gateway.test_aggregator import trade

RULE = (
    '[[rule]]\nname = "{of}"\nkind = "fat_finger"\nof = "{of}"\ndeviations = 5\ntrades = 50\nsymbols = ["S?[0-5]*"]\n'
)
NOW = 1_790_000_000_000_000_000
compiled_only = pytest.mark.skipif(not available(), reason="nothing can be compiled here")


def rules() -> list[FatFinger]:
    text = "".join(RULE.format(of=of) for of in ("price", "quantity"))
    return [rule for rule in read_rules(text) if isinstance(rule, FatFinger)]


def recent(*, compiled: bool) -> Recent:
    found = Recent()
    if compiled:
        found.look = CompiledLook()
    found.watch(rules())
    return found


def batches(rng: random.Random, instruments: int) -> Iterator[Columns]:
    """Commits of some of the instruments; some trades are far off, some instruments have one price or few."""
    for _ in range(30):
        count = rng.choice((1, 10, 500, 5000))
        draw = np.random.default_rng(rng.randrange(2**32))
        codes = draw.integers(0, rng.randrange(1, instruments + 1), count)
        wrong = draw.random((2, count)) < 0.002
        values = draw.lognormal(0, 0.1, (2, count)) * np.where(wrong, 100, 1) * (1 + codes)
        values = np.where(codes % 5 == 1, np.ceil(values), values)
        signs = np.where(codes % 5 == 2, -1, 1) * (codes % 5 != 3)
        yield columns_of(instruments, codes, values[0] * signs, values[1])


@compiled_only
@pytest.mark.parametrize("instruments", [1, 20, 2000])
def test_a_compiled_look_finds_the_trades_that_the_reference_finds(instruments: int) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    plain, quick = recent(compiled=False), recent(compiled=True)
    names = [Instrument("X", f"S{number}0", "print", "", 1, 0) for number in range(instruments)]
    beyond = 0
    for number, columns in enumerate(batches(random.Random(seed), instruments)):
        found = []
        for one in (plain, quick):
            told = list(one.feed(names, np.arange(instruments), columns))
            found.append(sorted((each.rule, row) for each in told for row in each.rows.tolist()))
        assert found[0] == found[1]
        beyond += len(found[0])
        if number % 10 == 9:
            for one in (plain, quick):
                one.watch(rules())
        for name, known in vars(plain.rings).items():
            assert np.array_equal(known, getattr(quick.rings, name)), name
        for name in ("low", "high", "judged"):
            assert np.array_equal(getattr(plain.limits, name), getattr(quick.limits, name)), name
    assert beyond > 0 or instruments == 2000, "nothing was beyond the limits"


@compiled_only
def test_compiled_looks_know_the_numbers_of_the_reference() -> None:
    for name in ("FIRST", "STEP", "FADE"):
        assert getattr(kernels, name) == getattr(rings, name)
    assert kernels.RING == rule_kinds.RING


@compiled_only
def test_trades_of_all_sizes_and_scales_are_read_alike() -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    trades = [
        trade(
            symbol=f"S{rng.randrange(40)}",
            price=rng.randrange(-(1 << 63), 1 << 63) >> rng.randrange(64),
            price_scale=rng.randrange(MAX_SCALE + 1),
            quantity=rng.randrange(1, 1 << 63) >> rng.randrange(63) or 1,
            quantity_scale=rng.randrange(MAX_SCALE + 1),
        )
        for _ in range(3000)
    ]
    batch = Singles().of([from_trades(trades[:1000]), from_trades(trades[1000:]), from_trades([])], 5)
    plain, quick = recent(compiled=False), recent(compiled=True)
    for one in (plain, quick):
        for numbers, columns in batch.commits:
            for _ in one.feed(batch.instruments, numbers, columns):
                pass
    for name, known in vars(plain.rings).items():
        assert np.array_equal(known, getattr(quick.rings, name)), name
    assert plain.rings.count.sum() == 3000


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=compiled_only)])
def test_what_is_told_is_the_same_whatever_the_commits(compiled: bool) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    draw, count = np.random.default_rng(seed), 20_000
    names = [Instrument(venue, "A", "print", "", 1, 0) for venue in "XYZ"]  # of one symbol: they are told as one
    price, quantity = draw.lognormal(0, 0.1, (2, count)) * np.where(draw.random((2, count)) < 0.002, 100, 1)
    whole = Market(names, draw.integers(0, 3, count) ** 2 // 2, price, quantity)
    told = []
    for batch, commits in ((count, 1), (count, 9), (1000, 3)):
        found = Alerts(read_rules((Path(engine.__file__).parent / "default_rules.toml").read_text("utf-8")))
        if compiled:
            found.fingers.use(CompiledLook())
        judged = []
        for first in range(0, count, batch):
            judged += found.fingers.judge(whole.trades(first, first + batch, commits))
        told.append({(rule.name, each.first_seq or 0, each.last_seq or 0) for rule, each in judged})
    assert told[0] == told[1]
    assert len(told[0]) == 2, "of each rule one"
    for name in {each[0] for each in told[0]}:
        ((_, first, last),) = (each for each in told[0] if each[0] == name)
        parts = [each[1:] for each in told[2] if each[0] == name]
        assert (first, last) == (min(parts)[0], max(each[1] for each in parts))


@pytest.mark.parametrize("more", [7, 1 << 16])
@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=compiled_only)])
def test_trades_of_instruments_without_room_are_counted_and_the_others_judged(compiled: bool, more: int) -> None:
    found, count = recent(compiled=compiled), INSTRUMENTS + more
    names = [Instrument("X", f"S{number}", "print", "", 1, 0) for number in range(count)]
    codes = np.concatenate((np.arange(count), np.zeros(100, np.int64)))
    prices = np.ones(len(codes))
    prices[-1] = 1000
    told = list(found.feed(names, np.arange(count), columns_of(count, codes, prices, np.ones(len(codes)))))
    assert found.rings.left_out == more
    assert [each.rows.tolist() for each in told] == []  # S0 is not a symbol of the rules
    assert found.rings.count.sum() == INSTRUMENTS + 100
