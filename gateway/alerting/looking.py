"""How a batch of single trades is read, looked at and learned from: in NumPy, or in compiled code with the same
results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from gateway.alerting.limits import FLOORS, Limits
from gateway.alerting.rings import DUE, FADE, FIRST, HALVE, PRICE, QUANTITY, STEP, TAKEN, Floats, Ints, Rings
from gateway.alerting.rule_kinds import RING
from telemetry.columns import Columns
from telemetry.decimals import MAX_SCALE

_ZERO = np.zeros(1, np.int64)
_POWERS = 10.0 ** -np.arange(MAX_SCALE + 1)


class Look(Protocol):
    """Batches of single trades, of which codes say the instruments; prices and quantities are floats."""

    def collect(self, columns: Columns, numbers: Ints, at: int, into: tuple[Ints, Floats, Floats]) -> None:
        """Read codes, prices and quantities of a commit's trades into places `at` on. `numbers` are the codes of its
        instruments."""

    def judge(self, rings: Rings, codes: Ints, start: int, stop: int) -> tuple[int, Ints]:
        """What comes of the trades start..stop - 1, at least one: (TAKEN, nothing) when they can be taken in, (HALVE,
        nothing), or (DUE, the instruments whose limits are to be renewed first)."""

    def take(self, rings: Rings, codes: Ints, prices: Floats, quantities: Floats, start: int, stop: int) -> Ints:
        """Take in these trades; the places of those that do not pass, ascending."""

    def renew(self, rings: Rings, codes: Ints, rules: Sequence[Limits]) -> None:
        """Renew what is known of these instruments, each with at least FIRST trades, and the limits of all rules."""


class PlainLook:
    """The reference."""

    def collect(self, columns: Columns, numbers: Ints, at: int, into: tuple[Ints, Floats, Floats]) -> None:
        """See Look."""
        codes, prices, quantities = (each[at : at + len(columns)] for each in into)
        codes[:] = numbers.take(columns.instrument)
        np.multiply(columns.price, _POWERS.take(columns.price_scale), out=prices)
        np.multiply(columns.quantity, _POWERS.take(columns.quantity_scale), out=quantities)

    def judge(self, rings: Rings, codes: Ints, start: int, stop: int) -> tuple[int, Ints]:
        """See Look."""
        lengths = np.bincount(codes[start:stop])
        present = np.flatnonzero(lengths)
        before = rings.count[present]
        if (lengths[present] > before.clip(FIRST, RING)).any():
            return HALVE, _ZERO[:0]
        late = before - rings.due[present]
        if (late >= 0).any():  # those that are half due go with them: one renewal of many is far cheaper than many
            return DUE, present[(late >= 0) | ((late >= -STEP // 2) & (before >= STEP))]
        return TAKEN, _ZERO[:0]

    def take(self, rings: Rings, codes: Ints, prices: Floats, quantities: Floats, start: int, stop: int) -> Ints:
        """See Look."""
        codes = codes[start:stop]
        rows = np.argsort(codes.astype(np.uint16), kind="stable")  # 16 bits: radix sort
        ordered = codes[rows]
        starts = np.concatenate((_ZERO, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1))
        lengths = np.concatenate((starts[1:], (len(rows),))) - starts
        present = ordered[starts]
        before = rings.count[present]
        prices, quantities = prices[start:stop].take(rows), quantities[start:stop].take(rows)
        found = _beyond(rings, ordered, prices, quantities)
        place = np.arange(len(rows)) + np.repeat(before - starts, lengths)
        place = (place & (RING - 1)) + ordered * RING
        for last, values in zip(rings.last, (prices, quantities), strict=True):
            last.reshape(-1)[place] = values
        rings.count[present] = before + lengths
        return np.sort(rows[found]) + start

    def renew(self, rings: Rings, codes: Ints, rules: Sequence[Limits]) -> None:
        """See Look."""
        counts = np.minimum(rings.count[codes], RING)
        for these, width in _alike(counts):
            chosen, sizes = codes[these], counts[these]
            _measure(rings, chosen, sizes, width)
            for rule in rules:
                known = (each[rule.row, chosen] for each in (rings.middle, rings.deviation, rings.tail))
                rule.renew(chosen, sizes, *known)
        rings.low[codes], rings.high[:, codes] = -np.inf, np.inf
        for rule in rules:
            rings.low[codes] = np.maximum(rings.low[codes], rule.low[codes])
            rings.high[rule.row, codes] = np.minimum(rings.high[rule.row, codes], rule.high[codes])
        rings.due[codes] = rings.count[codes] + np.clip(counts, FIRST, STEP)


def _alike(counts: Ints) -> Iterator[tuple[Ints, int]]:
    """The places of those with about as many trades, and the power of two that is enough for each of them."""
    widths = np.ceil(np.log2(counts)).astype(np.int64)
    for width in set(widths.tolist()):
        yield np.flatnonzero(widths == width), 1 << width


def _beyond(rings: Rings, codes: Ints, prices: Floats, quantities: Floats) -> Ints:
    above, below = prices > rings.high[PRICE].take(codes), prices < rings.low.take(codes)
    large = quantities > rings.high[QUANTITY].take(codes)
    if not (np.count_nonzero(above) or np.count_nonzero(below) or np.count_nonzero(large)):  # faster than any()
        return _ZERO[:0]
    return np.flatnonzero(above | below | large)


def _measure(rings: Rings, codes: Ints, sizes: Ints, width: int) -> None:
    """Median, robust deviation and 99 % quantile of the last trades of each, of which there are at most `width`."""
    recent = rings.ordered(codes, width)
    places = np.arange(len(codes))
    middle = recent[:, places, sizes // 2]
    away = np.abs(recent - middle[:, :, None])
    away.sort(axis=2)
    rings.middle[:, codes] = middle
    rings.deviation[:, codes] = np.float32(1.4826) * away[:, places, sizes // 2]
    tail = recent[:, places, -(-99 * sizes // 100) - 1]
    rings.tail[:, codes] = np.maximum(tail, FADE * rings.tail[:, codes])


class CompiledLook:
    """The quickest. Raises ImportError where nothing can be compiled."""

    def __init__(self) -> None:
        self._kernels: Any = import_module("telemetry.compiled.outliers")
        self._lengths: Ints = np.zeros(0, np.int64)
        self._results: Ints = np.zeros(1, np.int64)

    def collect(self, columns: Columns, numbers: Ints, at: int, into: tuple[Ints, Floats, Floats]) -> None:
        """See Look."""
        price, quantity = (columns.price, columns.price_scale), (columns.quantity, columns.quantity_scale)
        self._kernels.collect(numbers, columns.instrument, *price, *quantity, _POWERS, at, *into)

    def judge(self, rings: Rings, codes: Ints, start: int, stop: int) -> tuple[int, Ints]:
        """See Look."""
        if len(self._lengths) < len(rings.count):
            self._lengths = np.zeros(len(rings.count), np.int64)
        found, results = np.empty(stop - start + 1, np.int64), self._results
        results[0] = 0
        state = rings.count, rings.due, self._lengths
        return self._kernels.judge(codes, start, stop, *state, found, results), found[: results[0]]

    def take(self, rings: Rings, codes: Ints, prices: Floats, quantities: Floats, start: int, stop: int) -> Ints:
        """See Look."""
        found = np.empty(stop - start, np.int64)
        state = rings.count, rings.low, rings.high.reshape(-1), rings.last.reshape(-1)
        return found[: self._kernels.take(codes, prices, quantities, start, stop, *state, found)]

    def renew(self, rings: Rings, codes: Ints, rules: Sequence[Limits]) -> None:
        """See Look."""
        for these, width in _alike(np.minimum(rings.count[codes], RING)):
            self._renew(rings, codes[these], width, rules)

    def _renew(self, rings: Rings, codes: Ints, width: int, rules: Sequence[Limits]) -> None:
        known = [each.reshape(-1) for each in (rings.middle, rings.deviation, rings.tail)]
        high = rings.high.reshape(-1)
        state = rings.count, rings.due, rings.low, high
        self._kernels.measure(codes, rings.ordered(codes, width).reshape(-1), width, *state, *known)
        for each in rules:
            matter = np.array((each.rule.deviations, FLOORS[each.row], each.rule.tail), np.float64)
            limits = each.judged(codes), each.low, each.high
            self._kernels.limit(
                codes, each.row, each.rule.trades, matter, *known, *limits, rings.count, rings.low, high
            )
