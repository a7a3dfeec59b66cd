"""The loop that writes history: a sample a second of what the stream says, whether somebody looks or not."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import structlog

from ui import asks
from ui.board import Ask, View
from ui.feed import Feed
from ui.filters import Filters
from ui.history import History, Sample

EVERY_SECONDS = 1.0
FILTERED = 16  # histories of filters at a time
FORGOTTEN_SECONDS = 120.0  # nobody has looked at a filtered history for that long

logger = structlog.get_logger("sampler")


class Sampler:
    """`start` begins; `history` is that of a choice of filters, which is kept from then on for as long as it is asked
    for. That of everything is always kept."""

    def __init__(self, feed: Feed, zone: str) -> None:
        self._feed, self._zone = feed, zone
        self._lock = threading.Lock()
        self._histories: dict[Filters, tuple[float, History]] = {Filters(): (float("inf"), History())}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def history(self, filters: Filters) -> History:
        """The history of a choice of filters, empty at first."""
        filters = Filters(venue=filters.venue, kind=filters.kind)
        with self._lock:
            until, history = self._histories.get(filters, (0.0, History()))
            if filters in self._histories or len(self._histories) < FILTERED:
                self._histories[filters] = max(until, time.monotonic() + FORGOTTEN_SECONDS), history
            return history

    def _run(self) -> None:
        while not self._closing.wait(EVERY_SECONDS - time.time() % EVERY_SECONDS):
            try:
                self._sample(time.time())
            except Exception:  # the next second is a new chance, and a page without history is better than none
                logger.exception("failed")

    def _sample(self, now: float) -> None:
        with self._lock:
            monotonic = time.monotonic()
            self._histories = {key: kept for key, kept in self._histories.items() if kept[0] > monotonic}
            histories = {filters: history for filters, (_, history) in self._histories.items()}
        for filters, history in histories.items():
            wanted = asks.rate(filters), asks.ever(filters), asks.today(filters, now, self._zone), asks.STAGES_NOW
            view = self._feed.want(*wanted)
            if view.status.phase == "live" and all(view.part(ask).started for ask in wanted):
                history.add(sample(view, filters, now, self._zone))


def sample(view: View, filters: Filters, now: float, zone: str) -> Sample:
    """The figures of a view."""
    totals = [_totals(view, ask) for ask in (asks.rate(filters), asks.ever(filters), asks.today(filters, now, zone))]
    stage = view.part(asks.STAGES_NOW).rows.get("end_to_end") or {}
    return Sample(
        at=now,
        trades=totals[1].get("trades", 0),
        today=totals[2].get("trades", 0),
        notional={name: Decimal(text) for name, text in (totals[2].get("notional") or {}).items()},
        rate=totals[0].get("trades", 0) / asks.RATE_SECONDS,
        p50=stage.get("p50"),
        p99=stage.get("p99"),
        p99_minute=(view.latency.rows.get("end_to_end") or {}).get("p99"),
        backlog=int(view.health.rows.get("backlog") or 0),
    )


def _totals(view: View, ask: Ask) -> Mapping[str, Any]:
    found: Mapping[str, Any] = view.part(ask).rows.get("totals") or {}
    return found
