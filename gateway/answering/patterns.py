"""The routes of patterns: what a symbol's trading is like, beyond its sums."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response

from gateway.answering.answers_patterns import PATTERNS, PROFILE
from gateway.app import Gateway
from gateway.reading import patterns, profile
from gateway.reading.parameters import filter_of, only
from gateway.reading.patterns import Question
from gateway.routes import Kinds, Symbol, Venues, Window, answer

Watermark = Annotated[str | None, Query(description="`watermark`: the window ends at the latest trade time")]


def add_patterns(app: FastAPI, gateway: Gateway) -> None:
    """Add them."""

    @app.get("/v1/patterns/{symbol:path}", tags=["figures"], responses=PATTERNS)
    async def symbol_patterns(
        request: Request,
        symbol: Symbol,
        window: Window = "all",
        venue: Venues = None,
        kind: Kinds = None,
        at: Watermark = None,
    ) -> Response:
        """Gaps between trades, bursts, volatility and the largest trades of one symbol."""
        only(request.query_params.multi_items(), "window venue kind at")
        asked = Question(symbol, window, filter_of(None, venue, kind), at)
        found = patterns.prepare(gateway.state, asked, gateway.zones, gateway.clocks.wall_ns())
        fresh = gateway.freshness()
        return answer(fresh | await asyncio.to_thread(found.document))

    @app.get("/v1/profile/{symbol:path}", tags=["figures"], responses=PROFILE)
    async def symbol_profile(request: Request, symbol: Symbol, venue: Venues = None, kind: Kinds = None) -> Response:
        """Trades and quantity by the minute of the day, over all that is held by the minute."""
        only(request.query_params.multi_items(), "venue kind")
        found = profile.prepare(gateway.state, symbol, filter_of(None, venue, kind), gateway.zones)
        fresh = gateway.freshness()
        return answer(fresh | await asyncio.to_thread(found.document))
