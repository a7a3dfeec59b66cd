"""How single trades are read, looked at and learned from: in NumPy, or in compiled code with the same results."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from gateway.alerting.limits import Limits
from gateway.alerting.rings import FADE, FIRST, PRICE, QUANTITY, STEP, Floats, Ints, Rings
from gateway.alerting.rule_kinds import RING
from telemetry.columns import Columns
from telemetry.decimals import MAX_SCALE

_POWERS = 10.0 ** -np.arange(MAX_SCALE + 1)
_FOUND = 1_024  # trades that are told of at once


class Look(Protocol):
    """One way of looking at single trades."""

    def feed(self, rings: Rings, limits: Limits, numbers: Ints, columns: Columns) -> Iterator[Ints]:
        """Take in the trades of a commit, `numbers` are those of its instruments. Gives the rows of those that do not
        pass, an instrument's in order, while the limits are those that they were judged by. Iterate to the end: the
        rest is not taken in otherwise."""

    def renew(self, rings: Rings, limits: Limits, codes: Ints) -> None:
        """Renew what is known of these instruments, each with at least FIRST trades, and the limits of all rules."""


def values(columns: Columns, rows: Ints) -> tuple[Floats, Floats]:
    """Prices and quantities of some trades."""
    price = columns.price[rows] * _POWERS.take(columns.price_scale[rows])
    return price, columns.quantity[rows] * _POWERS.take(columns.quantity_scale[rows])


class PlainLook:
    """The reference."""

    def feed(self, rings: Rings, limits: Limits, numbers: Ints, columns: Columns) -> Iterator[Ints]:
        """See Look. Of each instrument as many trades at a time as there are before its limits are due."""
        codes = numbers.take(columns.instrument)
        rows = np.flatnonzero(codes < len(rings.count))
        rings.left_out += len(codes) - len(rows)
        rows = rows[np.argsort(codes[rows].astype(np.uint16), kind="stable")]  # 16 bits: radix sort
        ordered, trades = codes[rows], values(columns, rows)
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        lengths = np.diff(starts, append=len(rows))
        while len(starts):
            present = ordered[starts]
            if (late := rings.count[present] >= rings.due[present]).any():
                self.renew(rings, limits, present[late])
                rings.due[present[late]] += rings.sizes(present[late]).clip(FIRST, STEP)
            parts = np.minimum(lengths, rings.due[present] - rings.count[present])
            within = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
            chosen = np.repeat(starts, parts) + within
            found = _take(rings, ordered[chosen], within, (trades[PRICE][chosen], trades[QUANTITY][chosen]))
            rings.count[present] += parts
            if len(found):
                yield np.sort(rows[chosen[found]])
            starts, lengths = (starts + parts)[lengths > parts], (lengths - parts)[lengths > parts]

    def renew(self, rings: Rings, limits: Limits, codes: Ints) -> None:
        """See Look."""
        counts = rings.sizes(codes)
        widths = np.ceil(np.log2(counts)).astype(np.int64)
        for width in set(widths.tolist()):  # those with about as many trades together
            these = np.flatnonzero(widths == width)
            _measure(rings, codes[these], counts[these], 1 << width)
        limits.renew(rings, codes)


def _take(rings: Rings, codes: Ints, within: Ints, trades: tuple[Floats, Floats]) -> Ints:
    """Take in trades, each so many behind the first one of its instrument; the places of those that do not pass."""
    place = ((rings.count[codes] + within) & (RING - 1)) + codes * RING
    for last, each in zip(rings.last, trades, strict=True):
        last.reshape(-1)[place] = each
    prices, quantities = trades
    wrong = (prices > rings.high[PRICE, codes]) | (prices < rings.low[codes])
    return np.flatnonzero(wrong | (quantities > rings.high[QUANTITY, codes]))


def _measure(rings: Rings, codes: Ints, sizes: Ints, width: int) -> None:
    """Median, robust deviation and 99 % quantile of the last trades of each, of which there are at most `width`."""
    recent = rings.ordered(codes, width)
    places = np.arange(len(codes))
    middle = recent[:, places, sizes // 2]
    away = np.abs(recent - middle[:, :, None])
    away.sort(axis=2)
    rings.middle[:, codes] = middle
    rings.deviation[:, codes] = np.float32(1.4826) * away[:, places, sizes // 2]
    tail = recent[QUANTITY, places, -(-99 * sizes // 100) - 1]
    rings.tail[codes] = np.maximum(tail, FADE * rings.tail[codes])


class CompiledLook:
    """The quickest. Raises ImportError where nothing can be compiled."""

    def __init__(self) -> None:
        self._kernels: Any = import_module("telemetry.compiled.outliers")
        self._work = np.zeros(RING + 2, np.float32)
        self._found: Ints = np.zeros(_FOUND, np.int64)
        self._results: Ints = np.zeros(2, np.int64)
        self._memory: tuple[Any, ...] = ()
        self._of: tuple[Any, ...] = (None, None)  # whose that is

    def feed(self, rings: Rings, limits: Limits, numbers: Ints, columns: Columns) -> Iterator[Ints]:
        """See Look."""
        price, quantity = (columns.price, columns.price_scale), (columns.quantity, columns.quantity_scale)
        trades, state, at = (numbers, columns.instrument, *price, *quantity, _POWERS), self._state(rings, limits), 0
        while at < len(columns):
            at = self._kernels.feed(*trades, at, *state, self._found, self._results)
            found, left_out = self._results.tolist()
            rings.left_out += left_out
            if found:
                yield self._found[:found]

    def renew(self, rings: Rings, limits: Limits, codes: Ints) -> None:
        """See Look."""
        self._kernels.renew(codes, *self._state(rings, limits))

    def _state(self, rings: Rings, limits: Limits) -> tuple[Any, ...]:
        """All their memory, flat; it is other memory when they have grown."""
        if self._of[0] is rings.last and self._of[1] is limits.low:
            return self._memory
        self._of, last = (rings.last, limits.low), rings.last.reshape(-1)
        passing = rings.count, rings.due, rings.low, rings.high.reshape(-1)
        known = rings.middle.reshape(-1), rings.deviation.reshape(-1), rings.tail
        rules = limits.rows, limits.trades, limits.factors.reshape(-1)
        by_rule = limits.judged.reshape(-1), limits.low.reshape(-1), limits.high.reshape(-1)
        work = self._work, self._work.view(np.int32)
        self._memory = *passing, last, last.view(np.int32), *known, *rules, *by_rule, *work
        return self._memory
