"""The routes of single trades and of the way that they take."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Query, Request, Response
from pydantic import BeforeValidator

from gateway.answering import answers_trades as answers
from gateway.app import Gateway
from gateway.reading import trades
from gateway.reading.parameters import check_kinds, only, whole
from gateway.reading.pool import pool

Seq = Annotated[int | None, BeforeValidator(whole)]
Text = Annotated[str | None, Query(description="Only trades that have it")]
Texts = Annotated[list[str] | None, Query(description="Only trades that have one of them (repeatable)")]
_NAMES = "from_seq to_seq symbol venue kind account strategy source limit cursor"


def add_trades(app: FastAPI, gateway: Gateway) -> None:
    """Put them in."""

    @app.get("/v1/trades", tags=["figures"], responses=answers.TRADES)
    async def listed_trades(
        request: Request,
        from_seq: Annotated[Seq, Query(description="From this trade on; default: the newest `limit`")] = None,
        to_seq: Annotated[Seq, Query(description="Up to this trade; default: the newest one that is applied")] = None,
        symbol: Texts = None,
        venue: Texts = None,
        kind: Texts = None,
        account: Text = None,
        strategy: Text = None,
        source: Text = None,
        limit: Annotated[int, BeforeValidator(whole), Query(description="At most so many, up to 1,000")] = 100,
        cursor: Annotated[str | None, Query(description="What `next` of the page before gave")] = None,
    ) -> Response:
        """Single trades, ascending by `seq`, as they stand in the journal."""
        only(request.query_params.multi_items(), _NAMES)
        check_kinds("kind", kind or ())
        wanted = {"symbol": symbol, "venue": venue, "kind": kind}
        wanted |= {name: [value] for name, value in _texts(account, strategy, source).items()}
        given = {name: tuple(values or ()) for name, values in wanted.items()}
        asked = trades.range_of(gateway.state.applied, from_seq, to_seq, limit, cursor, given)
        fresh = gateway.freshness()
        rows, following = await asyncio.to_thread(trades.listed, gateway.backbone.records, asked)
        return _answer(fresh | {"trades": rows, "next": following})

    @app.get("/v1/workers", tags=["operations"], responses=answers.WORKERS)
    async def workers(request: Request) -> Response:
        """The pool of workers and what is on its way."""
        only(request.query_params.multi_items(), "")
        status, counted = gateway.backbone.status(), {"refused": gateway.refused, "dropped": gateway.dropped}
        return _answer(
            gateway.freshness() | pool(status, gateway.state.applied, intake=gateway.intake.waiting, **counted)
        )


def _texts(account: str | None, strategy: str | None, source: str | None) -> dict[str, str]:
    given = {"account": account, "strategy": strategy, "source": source}
    return {name: value for name, value in given.items() if value is not None}


def _answer(content: Any) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
