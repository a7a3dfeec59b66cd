"""The figures of a saved snapshot, as the gateway would show them: read by `telemetry audit` when none is running."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from gateway.aggregator import Aggregator
from gateway.loss import Loss
from gateway.reading import patterns, profile
from gateway.reading.figures import Filter, Page, Span, candles, stats
from gateway.reading.orders import OrdersAsked, prepare_orders
from gateway.reading.patterns import Question
from gateway.snapshot import Snapshot
from telemetry.errors import InvalidInput

ANY = 1 << 63  # the audit itself says so when the journal ends before the snapshot


class Saved:
    """The snapshot of a data directory; InvalidInput when there is none that belongs to this journal."""

    def __init__(self, data: Path, journal_id: str) -> None:
        path = data / "snapshot.db"
        self.name = str(path)
        reasons = []
        for basic in (False, True):
            self._state, self._loss = Aggregator(epoch=0, basic=basic), Loss()
            if (reason := Snapshot(path, journal_id, self._loss).load(self._state, newest=ANY)) is None:
                return
            reasons.append(reason)
        raise InvalidInput(f"{path}: {reasons[0]}")

    def stats(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """As `GET /v1/stats` answers, of all data."""
        page = Page(**parameters)
        return self._fresh() | stats(self._state, window="all", wanted=Filter(), page=page, now_ns=time.time_ns())

    def candles(self, symbol: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """As `GET /v1/candles/{symbol}` answers."""
        interval = str(parameters["interval"])
        span = Span(parameters.get("start"), parameters.get("end"), int(parameters["limit"]))
        found = candles(self._state, symbol, interval=interval, span=span, wanted=Filter(), now_ns=time.time_ns())
        return self._fresh() | found

    def latency(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """As `GET /v1/latency` answers, without the stages, which are no function of the journal."""
        head, orders = prepare_orders(self._state, OrdersAsked(parameters["window"], time.time_ns()))
        return self._fresh() | head | {"orders": list(orders)}

    def patterns(self, symbol: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """As `GET /v1/patterns/{symbol}` answers where no zones are set."""
        asked = Question(symbol, str(parameters["window"]), at=parameters.get("at"))
        return self._fresh() | patterns.prepare(self._state, asked, {}, time.time_ns()).document()

    def profile(self, symbol: str) -> dict[str, Any]:
        """As `GET /v1/profile/{symbol}` answers where no zones are set."""
        return self._fresh() | profile.prepare(self._state, symbol, Filter(), {}).document()

    def sources(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """As `GET /v1/sources` answers, all of them."""
        rows = [{"source": name, **row} for name, row in self._loss.rows().items()]
        return self._fresh() | {"as_of_seq": self._loss.seq, "forgotten": self._loss.forgotten, "sources": rows}

    def _fresh(self) -> dict[str, Any]:
        return {"as_of_seq": self._state.applied, "quarantined": list(self._state.quarantined)}
