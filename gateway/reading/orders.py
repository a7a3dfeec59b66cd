"""What people read of the times from order to fill: one row for each venue, strategy and liquidity."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway.aggregator import Aggregator
from gateway.latency import check_window
from gateway.reading.windows import SECOND_NS, instant_of
from gateway.state.orders import Orders
from telemetry.errors import InvalidInput
from telemetry.latencies import COUNT, SLOT_SECONDS, Cells, Name, concatenated, counts_of, names_of
from telemetry.quantiles import seconds
from telemetry.times import format_time

SECONDS = {"10s": 10, "1m": 60, "5m": 300, "1h": 3600, "all": None}
Rows = Iterator[dict[str, Any]]


@dataclass(frozen=True)
class OrdersAsked:
    """A window that ends at an instant (see windows.instant_of); an empty tuple is no filter."""

    window: str
    now_ns: int
    venues: Sequence[str] = ()
    strategies: Sequence[str] = ()
    at: str | None = None


def prepare_orders(state: Aggregator, asked: OrdersAsked, *, most: int | None = None) -> tuple[dict[str, Any], Rows]:
    """(where the window begins and ends, the rows: as of now, to be made any time later, also in a thread). `most`:
    only so many rows, those that count most. Raises InvalidInput."""
    span = _span(state, asked)
    orders = state.orders
    head = dict(zip(("window_start", "window_end"), map(_instant, span or (None, None)), strict=True))
    parts = orders.everything() if span is None else orders.between(*span)
    chosen = {number: name for number, name in enumerate(orders.names) if _passes(name, asked)}
    return head, _rows(parts, chosen, most)


def _rows(parts: Sequence[Cells], names: dict[int, Name], most: int | None) -> Rows:
    cells = concatenated(parts)
    numbers = names_of(cells)
    if most is not None and len(names) > most:
        counts = np.bincount(numbers, cells[:, COUNT], minlength=max(names) + 1)
        names = dict(heapq.nlargest(most, names.items(), key=lambda entry: counts[entry[0]]))
    order = np.argsort(numbers, kind="stable")
    numbers, cells = numbers[order], cells[order]
    for number, name in sorted(names.items(), key=lambda entry: entry[1]):
        low, high = np.searchsorted(numbers, (number, number + 1)).tolist()
        if low < high:
            yield name._asdict() | seconds(counts_of(cells[low:high]))


def _passes(name: Name, asked: OrdersAsked) -> bool:
    of_venue = not asked.venues or name.venue in asked.venues
    return of_venue and (not asked.strategies or name.strategy in asked.strategies)


def _span(state: Aggregator, asked: OrdersAsked) -> tuple[int, int] | None:
    """The slots that the window covers, None for all. Its end is the end of the second that holds the instant, its
    start is its length before that, both moved outward to the borders of slots."""
    check_window(asked.window)
    length = SECONDS[asked.window]
    instant = instant_of(asked.at, state.watermark, asked.now_ns)
    if length is None:
        return None
    end = instant // SECOND_NS + 1
    start, stop = (end - length) // SLOT_SECONDS, -(-end // SLOT_SECONDS)
    return _held(state.orders, start, stop, asked)


def _held(orders: Orders, start: int, stop: int, asked: OrdersAsked) -> tuple[int, int]:
    """Slots that are no longer held by themselves cannot be told apart: an earlier instant that is asked for is
    refused, and a window that was cut for want of room says so by its start."""
    if start >= orders.frontier:
        return start, stop
    if asked.at not in (None, "watermark"):
        earliest = _instant(orders.frontier)
        raise InvalidInput(f"at: expected a window that begins at {earliest} or later, what is held by ten seconds")
    return orders.frontier, max(orders.frontier, stop)


def _instant(slot: int | None) -> str | None:
    return None if slot is None else format_time(slot * SLOT_SECONDS * SECOND_NS)
