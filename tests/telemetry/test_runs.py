"""Trades by millisecond as they travel: the same when they arrive, and refused where they could not be true."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from telemetry.errors import InvalidInput
from telemetry.partial import EMPTY, decode_partial, encode_partial
from telemetry.patterns import (
    CANDIDATE_WIDTH,
    ENDS_WIDTH,
    FURTHEST,
    MILLISECOND_OFFSET,
    MILLISECOND_SHIFT,
    Ints,
    Patterns,
    in_runs,
)
from telemetry.trade import Instrument

START = 1_763_800_000_000 + MILLISECOND_OFFSET
INSTRUMENTS = [Instrument("V", name, "fill", "USD", 1, 0) for name in "ABC"]


def bursts(counts: dict[tuple[int, int], int]) -> Ints:
    rows = [((instrument << MILLISECOND_SHIFT) + at, count) for (instrument, at), count in sorted(counts.items())]
    return np.array(rows, np.int64).reshape(len(rows), 2)


def of(runs: Ints, words: Ints) -> bytes:
    """A message with these runs and nothing else."""
    none = np.empty((0, 2), np.int64)
    ends, candidates = np.empty((0, ENDS_WIDTH), np.int64), np.empty((0, CANDIDATE_WIDTH), np.int64)
    patterns = Patterns(ends, none, runs, candidates, words)
    scales = (0,) * len(INSTRUMENTS)
    made = replace(EMPTY, instruments=tuple(INSTRUMENTS), price_scale=scales, quantity_scale=scales, patterns=patterns)
    return encode_partial(made)


@pytest.mark.parametrize("seed", range(20))
def test_milliseconds_and_their_trades_arrive_as_they_were_whatever_is_between_them(seed: int) -> None:
    rng = random.Random(seed)
    counts, at = Counter[tuple[int, int]](), START
    for _ in range(rng.choice((0, 1, 2, 300))):
        at += rng.choice((0, 1, 7, FURTHEST, FURTHEST + 1, 10**9))
        counts[rng.randrange(3), at] += rng.choice((1, 2, 254, 255, 256, 510, 511, 65_536))
    some = bursts(counts)
    received = decode_partial(of(*in_runs(some))).patterns
    assert received is not None
    assert received.bursts().tolist() == some.tolist()


def test_a_millisecond_costs_half_a_number_where_trades_follow_each_other() -> None:
    runs, words = in_runs(bursts({(instrument, START + 9 * at): 1 for instrument in range(3) for at in range(1000)}))
    assert (len(runs), len(words)) == (3, 1500)


@pytest.mark.parametrize(
    ("run", "first", "words"), [(0, 0, -1), (1, 0, -2), (0, 0, 1), (2, 1 << 45, 0), (1, (1 << 45) - START - 5, 0)]
)
def test_runs_that_leave_their_instrument_or_have_other_words_than_were_sent_are_refused(
    run: int, first: int, words: int
) -> None:
    runs, pairs = in_runs(bursts({(instrument, START + at): 1 for instrument in range(3) for at in range(2)}))
    decode_partial(of(runs, pairs))
    runs[run] += first, words
    with pytest.raises(InvalidInput):
        decode_partial(of(runs, pairs))


@pytest.mark.parametrize("words", [2, 3])
def test_a_run_without_words_is_refused_though_their_sum_is_right(words: int) -> None:
    runs, pairs = in_runs(bursts({(instrument, START + at): 1 for instrument in range(3) for at in range(2)}))
    runs[:2, 1] += words, -words
    with pytest.raises(InvalidInput, match="runs of milliseconds"):
        decode_partial(of(runs, pairs))


def test_a_body_in_another_layout_is_refused() -> None:
    body = of(*in_runs(bursts({(0, START): 1})))
    at = body.index(b"\x02", 8)  # behind the mark of the list, the first thing in the head
    assert at == 9
    with pytest.raises(InvalidInput, match="in layout 1, expected 2"):
        decode_partial(body[:at] + b"\x01" + body[at + 1 :])
