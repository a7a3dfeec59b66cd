"""Telling names apart: compiled code finds what the reference finds, whatever the names, the numbers and the times."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gateway.watching.naming import CompiledNaming, Naming
from telemetry.decode_compiled import available
from telemetry.frame import Array, Text
from telemetry.times import ABSENT, LATEST
from tests.gateway.watched import MONDAY, SECOND

pytestmark = pytest.mark.skipif(not available(), reason="nothing can be compiled here")
LONG = "n" * 256  # as long as compiled code reads
NAMES = (
    ("", "a", "b"),
    tuple(f"bot-{number}" for number in range(200)),
    tuple(f"bot-{number}" for number in range(2000)),
    (LONG, LONG[1:], LONG[8:], "é" * 8, "12345678", "123456789", "n"),
    (LONG + "n", "", "a"),
)


class Seeded(random.Random):
    """Says its seed, for whoever wants the same again."""

    def __init__(self) -> None:
        seed = random.SystemRandom().randrange(1 << 32)
        print(f"seed {seed}")
        super().__init__(seed)

    def integers(self, count: int, low: int, high: int, absent: float) -> Array:
        return np.array([ABSENT if self.random() < absent else self.randrange(low, high) for _ in range(count)])


@pytest.mark.parametrize("count", [0, 1, 2, 5000])
@pytest.mark.parametrize("names", NAMES)
def test_names_have_the_codes_of_the_reference_and_are_told_again_as_they_were(
    names: tuple[str, ...], count: int
) -> None:
    rng, plain, quick = Seeded(), Naming(), CompiledNaming()
    for _ in range(3):
        texts = rng.choices(names, k=count)
        text = Text.of(texts)
        reference, found = plain.coded(text), quick.coded(text)
        assert found.keys.tolist() == reference.keys.tolist()
        assert found.codes.tolist() == reference.codes.tolist()
        assert len({*zip(texts, found.codes.tolist(), strict=True)}) == len(set(texts)) == len(found.keys)
        assert quick.coded(text) is found
        assert quick.coded(Text.of(texts)) is not found


@pytest.mark.parametrize("absent", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("count", [1, 3, 4000])
@pytest.mark.parametrize("names", NAMES)
def test_clocks_differ_by_what_the_reference_finds(names: tuple[str, ...], count: int, absent: float) -> None:
    rng, plain, quick = Seeded(), Naming(), CompiledNaming()
    text = Text.of(rng.choices(names, k=count))
    received = MONDAY + rng.integers(count, 0, SECOND, 0)
    away = rng.choice((2 * SECOND, 200_000 * SECOND))
    sent = rng.integers(count, MONDAY - away, MONDAY + away, absent)
    if rng.random() < 0.3:
        received[0], sent[0] = LATEST, ABSENT + 1
    reference, found = (one.differences(received, sent, one.coded(text)) for one in (plain, quick))
    for one, other in zip(reference, found, strict=True):
        assert one.tolist() == other.tolist()
    assert int(found.counts.sum()) == sum(
        one != ABSENT and abs(here - one) <= 86_400 * SECOND
        for here, one in zip(received.tolist(), sent.tolist(), strict=True)
    )


@pytest.mark.parametrize("absent", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("count", [1, 3, 4000])
@pytest.mark.parametrize("names", NAMES)
def test_runs_of_numbers_are_those_of_the_reference(names: tuple[str, ...], count: int, absent: float) -> None:
    rng, plain, quick = Seeded(), Naming(), CompiledNaming()
    who = rng.choices(names, k=count)
    text, times = Text.of(who), rng.integers(count, 0, 50, 0)
    counted = {name: iter(range(rng.choice((1, 2**63 - 9000)), 2**63)) for name in set(who)}
    numbers = np.array([ABSENT if rng.random() < absent else next(counted[name]) for name in who])
    numbers[rng.randrange(count)] = rng.choice((ABSENT, -(2**63) + 1, 2**63 - 1))
    reference, found = (one.runs(text, numbers, times) for one in (plain, quick))
    for one, other in zip(reference, found, strict=True):
        assert one.tolist() == other.tolist()
    assert len(found.times) == sum(
        bool(name) and number != ABSENT for name, number in zip(who, numbers.tolist(), strict=True)
    )


@pytest.mark.parametrize("requests", [1, 7])
def test_pairs_are_marked_as_the_reference_marks_them(requests: int) -> None:
    rng, count = Seeded(), 1000
    places, codes = rng.integers(9, 0, 5, 0), rng.integers(count, 0, 9, 0)
    request = np.sort(rng.integers(count, 0, requests, 0))
    marked = np.zeros((2, 5 * requests), bool)
    for naming, there in zip((Naming(), CompiledNaming()), marked, strict=True):
        naming.mark(places, codes, request, requests, there)
    assert marked[0].any()
    assert marked[0].tolist() == marked[1].tolist()
