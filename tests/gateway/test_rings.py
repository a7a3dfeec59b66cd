"""Looking at batches of single trades: compiled code does what the reference does, whatever comes."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gateway.alerting import rings, rule_kinds
from gateway.alerting.limits import Limits
from gateway.alerting.looking import CompiledLook, PlainLook
from gateway.alerting.outliers import Recent
from gateway.alerting.rings import Floats, Ints
from gateway.alerting.rule_kinds import FatFinger
from gateway.alerting.rules import read_rules
from gateway.alerting.singles import Singles
from telemetry.columns import from_trades
from telemetry.compiled import outliers as kernels
from telemetry.decimals import MAX_SCALE
from telemetry.decode_compiled import available
from tests.gateway.test_aggregator import trade

RULE = '[[rule]]\nname = "{of}"\nkind = "fat_finger"\nof = "{of}"\ndeviations = 5\ntrades = 50\n'
pytestmark = pytest.mark.skipif(not available(), reason="nothing can be compiled here")


def recent(*, compiled: bool) -> Recent:
    found = Recent()
    if compiled:
        found.look = CompiledLook()
    text = "".join(RULE.format(of=of) for of in ("price", "quantity"))
    rules = [rule for rule in read_rules(text) if isinstance(rule, FatFinger)]
    found.watch([Limits(rule, lambda code: code % 7 != 3) for rule in rules])
    return found


def batch(rng: random.Random, instruments: int) -> tuple[Ints, Floats]:
    count = rng.choice((1, 10, 500, 5000))
    draw = np.random.default_rng(rng.randrange(2**32))
    codes = draw.integers(0, rng.randrange(1, instruments + 1), count)
    wrong = draw.random((2, count)) < 0.002
    values = draw.lognormal(0, 0.1, (2, count)) * np.where(wrong, 100, 1) * (1 + codes)
    return codes, values


@pytest.mark.parametrize("seed", range(6))
def test_a_compiled_look_finds_the_trades_that_the_reference_finds(seed: int) -> None:
    rng = random.Random(seed)
    plain, quick = recent(compiled=False), recent(compiled=True)
    instruments, beyond = rng.choice((1, 20, 2000)), 0
    for _ in range(30):
        codes, values = batch(rng, instruments)
        found = [
            [(limits.rule.name, places.tolist()) for limits, places in one.feed(codes, *values)]
            for one in (plain, quick)
        ]
        assert found[0] == found[1]
        for name, known in vars(plain.rings).items():
            assert np.array_equal(known, getattr(quick.rings, name)), name
        beyond += len(found[0])
    assert beyond > 0 or instruments == 2000, "nothing was beyond the limits"


def test_compiled_looks_know_the_numbers_of_the_reference() -> None:
    for name in ("FIRST", "STEP", "FADE", "TAKEN", "DUE", "HALVE"):
        assert getattr(kernels, name) == getattr(rings, name)
    assert kernels.RING == rule_kinds.RING


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_compiled_code_reads_trades_of_commits_as_the_reference(count: int) -> None:
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
        for _ in range(count)
    ]
    commits = [from_trades(trades[: count // 3]), from_trades(trades[count // 3 :])]
    plain, quick = (Singles().of(commits, 5, look) for look in (PlainLook(), CompiledLook()))
    for name in ("instruments", "instrument", "price", "quantity", "seq"):
        assert np.array_equal(getattr(plain, name), getattr(quick, name)), name
    assert plain.seq.tolist() == list(range(5, 5 + count))
    assert plain.price.tolist() == pytest.approx([one.price * 10.0**-one.price_scale for one in trades], rel=1e-15)
