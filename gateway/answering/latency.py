"""The route of latency: how long trades take on their way through, and how long orders take to fill."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Query, Request, Response

from gateway import latency
from gateway.answering import answers
from gateway.app import Gateway
from gateway.reading.orders import OrdersAsked, prepare_orders
from gateway.reading.parameters import only

REPEATABLE = ("venue", "strategy")
encode = msgspec.json.encode
Window = Annotated[str, Query(description="Length of the window", json_schema_extra={"enum": list(latency.WINDOWS)})]
Names = Annotated[list[str] | None, Query(description="Only orders of these (repeatable); empty is not given")]
At = Annotated[str | None, Query(description="End of the orders' window: RFC 3339, integer ns, or `watermark`")]


def add_latency(app: FastAPI, gateway: Gateway) -> None:
    """Add it to the app."""

    @app.get("/v1/latency", tags=["figures"], responses=answers.LATENCY)
    async def stage_latency(
        request: Request, window: Window = "1m", venue: Names = None, strategy: Names = None, at: At = None
    ) -> Response:
        """How long trades take, by stage, and orders until they fill, in seconds."""
        only(request.query_params.multi_items(), "window venue strategy at", REPEATABLE)
        asked = OrdersAsked(window, gateway.clocks.wall_ns(), tuple(venue or ()), tuple(strategy or ()), at)
        head, orders = prepare_orders(gateway.state, asked)
        stages = gateway.latency.rows(window, gateway.clocks.monotonic_ns())
        found: dict[str, Any] = gateway.freshness() | {"window": window} | head | {"stages": stages}
        rows = await asyncio.to_thread(list, orders)  # a thousand names over an hour take a tenth of a second
        return Response(encode(found | {"orders": rows}), media_type="application/json")
