"""Looking at batches of single trades: compiled code does what the reference does, whatever comes."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gateway.alerting import rings, rule_kinds
from gateway.alerting.outliers import Limits, Recent
from gateway.alerting.rings import CompiledLook, Floats, Ints
from gateway.alerting.rule_kinds import FatFinger
from gateway.alerting.rules import read_rules
from telemetry.compiled import outliers as kernels
from telemetry.decode_compiled import available

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
            [(limits.rule.name, places.tolist()) for limits, places in one.feed(codes, values)]
            for one in (plain, quick)
        ]
        assert found[0] == found[1]
        assert np.array_equal(plain.middle, quick.middle)
        beyond += len(found[0])
    assert beyond > 0 or instruments == 2000, "nothing was beyond the limits"


def test_compiled_looks_know_the_numbers_of_the_reference() -> None:
    for name in ("FIRST", "STEP", "TAKEN", "DUE", "HALVE"):
        assert getattr(kernels, name) == getattr(rings, name)
    assert kernels.RING == rule_kinds.RING
