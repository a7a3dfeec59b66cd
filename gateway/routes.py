"""The routes of the FastAPI app: everything that is read, and the documentation of all.

POST /v1/trades is answered by ingest.py, which stands in front; it is declared here so that it is in the OpenAPI page.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from importlib.metadata import version
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import FastAPI, Path, Query, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from prometheus_fastapi_instrumentator import Instrumentator
from pydantic import BeforeValidator
from starlette.exceptions import HTTPException
from starlette.routing import Route

from gateway import metrics
from gateway.answering import answers
from gateway.answering.latency import add_latency
from gateway.answering.openapi import DESCRIPTION, INGEST, docs_page
from gateway.answering.trades import add_trades
from gateway.answering.watching import add_watching
from gateway.app import Gateway
from gateway.ingest import problem, times
from gateway.ingestion.feed import Feed
from gateway.metrics import Registry
from gateway.reading import figures, windows
from gateway.reading.figures import Page, Span
from gateway.reading.parameters import ends_before, filter_of, instant, only, whole
from gateway.reading.whole import Asked, warm
from gateway.stream import Stream
from telemetry.errors import PROBLEMS, InvalidInput, TelemetryError, TryAgain
from telemetry.trade import printable

INTERVAL = "The length of a candle: so many s, m, h or d that they divide a day"
PIECE = 40  # rows made before others have their turn: 2 ms
encode = msgspec.json.encode
Row = TypeVar("Row")


def _windows(names: Iterable[str], description: str) -> Any:
    return Query(description=description, json_schema_extra={"enum": list(names)})


Symbols = Annotated[list[str] | None, Query(description="Only these symbols (repeatable)")]
Venues = Annotated[list[str] | None, Query(description="Only these venues (repeatable)")]
Kinds = Annotated[list[str] | None, Query(description="Only `fill` or `print`")]
Window = Annotated[str, _windows(windows.WINDOWS, "The time before the event clock that is covered")]
At = Annotated[str | None, Query(description="End of the window: RFC 3339, integer ns, or `watermark`")]
Limit = Annotated[int, BeforeValidator(whole), Query(description="At most so many")]
Cursor = Annotated[str | None, Query(description="What `next` of the page before gave")]
Symbol = Annotated[str, Path(description="A symbol; it may contain `/`")]


def answer(content: Any, status: int = 200) -> Response:
    """One JSON answer."""
    return Response(encode(content), status, media_type="application/json")


async def in_pieces(rows: Iterable[Row]) -> AsyncIterator[Row]:
    """The rows; others have their turn in between."""
    for number, row in enumerate(rows, 1):
        yield row
        if number % PIECE == 0:
            await asyncio.sleep(0)


def new_app(gateway: Gateway, stream: Stream, feed: Feed, registry: Registry) -> FastAPI:
    """The FastAPI app with all its routes."""
    app = FastAPI(
        title="Trading Telemetry",
        version=version("trading-telemetry"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        summary="Trades in, exact live statistics out.",
        description=DESCRIPTION,
    )
    Instrumentator(registry=registry, excluded_handlers=["/metrics", "/healthz"]).instrument(app)
    for add in (_add_stats, _add_symbol_stats, _add_candles, add_latency, add_trades, _add_status):
        add(app, gateway)
    add_watching(app, gateway)
    _add_doors(app, gateway, stream, feed, registry)
    _add_errors(app)
    return app


def _add_stats(app: FastAPI, gateway: Gateway) -> None:
    @app.get("/v1/stats", tags=["figures"], responses=answers.STATS)
    async def all_stats(
        request: Request,
        window: Window = "all",
        symbol: Symbols = None,
        venue: Venues = None,
        kind: Kinds = None,
        at: At = None,
        sort: Annotated[str, _windows(Page.names, "`trades`: descending, then by symbol")] = "trades",
        limit: Limit = 1000,
        cursor: Cursor = None,
    ) -> Response:
        """Statistics of every symbol, and in all."""
        only(request.query_params.multi_items(), "window symbol venue kind at sort limit cursor")
        wanted, page = filter_of(symbol, venue, kind), Page(sort, limit, cursor)
        asked = Asked(window, gateway.clocks.wall_ns(), wanted, at)
        page.check()
        for _ in warm(gateway.state, asked):
            await asyncio.sleep(0)
        found = figures.prepare(gateway.state, asked, page, warmed=True)
        fresh = gateway.freshness()
        rows = {}
        async for name, row in in_pieces(found.rows()):
            rows[name] = msgspec.Raw(encode(row))
        return answer(fresh | found.head | {"symbols": rows, "order": found.order, "next": found.following})


def _add_symbol_stats(app: FastAPI, gateway: Gateway) -> None:
    @app.get("/v1/stats/{symbol:path}", tags=["figures"], responses=answers.SYMBOL_STATS)
    async def symbol_stats(
        request: Request,
        symbol: Symbol,
        window: Window = "all",
        venue: Venues = None,
        kind: Kinds = None,
        at: At = None,
    ) -> Response:
        """Statistics of one symbol, flat."""
        only(request.query_params.multi_items(), "window venue kind at")
        wanted = filter_of(None, venue, kind)
        asked = figures.asked_of(gateway.state, symbol, Asked(window, gateway.clocks.wall_ns(), wanted, at))
        for _ in warm(gateway.state, asked):
            await asyncio.sleep(0)
        return answer(gateway.freshness() | figures.row_of(gateway.state, symbol, asked, warmed=True))


def _add_candles(app: FastAPI, gateway: Gateway) -> None:
    @app.get("/v1/candles/{symbol:path}", tags=["figures"], responses=answers.CANDLES)
    async def symbol_candles(
        request: Request,
        symbol: Symbol,
        interval: Annotated[str, Query(description=INTERVAL, examples=list(windows.INTERVALS))] = "1m",
        start: Annotated[
            str | None, Query(description="Candles that begin then or later: RFC 3339 or integer ns")
        ] = None,
        end: Annotated[str | None, Query(description="Candles that begin before: RFC 3339 or integer ns")] = None,
        limit: Limit = figures.CANDLES,
        cursor: Annotated[
            str | None, Query(description="What `next` of the page before gave: candles before it")
        ] = None,
        fill: Annotated[str | None, Query(description="`previous`: intervals without trades too")] = None,
        venue: Venues = None,
        kind: Kinds = None,
    ) -> Response:
        """Candles of one symbol, ascending."""
        only(request.query_params.multi_items(), "interval start end limit cursor fill venue kind")
        span = Span(instant("start", start), ends_before(end, cursor), limit, fill)
        wanted = filter_of(None, venue, kind)
        head, candles = figures.prepare_candles(
            gateway.state, symbol, interval=interval, span=span, wanted=wanted, now_ns=gateway.clocks.wall_ns()
        )
        fresh = gateway.freshness()
        rows = [msgspec.Raw(encode(row)) async for row in in_pieces(candles)]
        return answer(fresh | head | {"candles": rows})


def _add_status(app: FastAPI, gateway: Gateway) -> None:

    @app.get("/healthz", tags=["operations"], responses=answers.ALIVE)
    async def healthz() -> Response:
        """200: the process is alive. It tells the gateway's time, as answers to ingest do."""
        received_at = gateway.clocks.wall_ns()
        response = answer({"status": "alive"})
        for name, value in times(received_at, gateway.clocks.wall_ns()):
            response.headers[name.decode()] = value.decode()
        return response

    @app.get("/readyz", tags=["operations"], responses=answers.READY)
    async def readyz() -> Response:
        """200: workers are connected, the journal is writable, the lag is small. 503 with the reasons otherwise."""
        health = gateway.health()
        if health["ready"]:
            return answer({"status": "ready"} | health)
        return problem_response(TryAgain("; ".join(health["reasons"])))


def _add_doors(app: FastAPI, gateway: Gateway, stream: Stream, feed: Feed, registry: Registry) -> None:
    @app.get("/metrics", tags=["operations"], responses=answers.METRICS)
    async def prometheus() -> Response:
        """Prometheus text format."""
        page, kind = await metrics.exposition(registry, gateway.state)
        return Response(page, media_type=kind)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()))

    @app.websocket("/v1/stream")
    async def live(socket: WebSocket) -> None:
        await stream.serve(socket)

    @app.websocket("/v1/ingest")
    async def frames(socket: WebSocket) -> None:
        await feed.serve(socket, WebSocketDisconnect, socket.query_params.multi_items())

    @app.post("/v1/trades", tags=["ingest"], status_code=202, openapi_extra=INGEST)
    async def post_trades() -> Response:
        """Journal trades; the answer comes when they are on disk."""
        raise AssertionError("ingest.py answers this path")


def _add_errors(app: FastAPI) -> None:
    async def ours(_: Request, error: Exception) -> Response:
        assert isinstance(error, TelemetryError)
        return problem_response(error)

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        errors = [
            {
                "field": str(entry["loc"][-1]),
                "detail": entry["msg"].removeprefix("Value error, "),
                "received": printable(entry.get("input")),
            }
            for entry in error.errors()
        ]
        return problem_response(InvalidInput(f"{errors[0]['field']}: {errors[0]['detail']}", errors=errors))

    async def other(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        names = {status: name for name, (status, _) in reversed(list(PROBLEMS.items()))}
        allowed = ", ".join(_allowed(app, request))
        received = f"received {request.method} {request.scope['path'][:80]!a}"
        detail = f"expected {allowed}" if allowed else "expected one of the paths in /openapi.json"
        response = problem_response(
            InvalidInput(f"{detail}, {received}", problem=names.get(error.status_code, "bad-request"))
        )
        if allowed:
            response.headers["allow"] = allowed
        return response

    app.add_exception_handler(TelemetryError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, other)


def _allowed(app: FastAPI, request: Request) -> list[str]:
    """The methods of a path, HEAD with GET."""
    methods: set[str] = set()
    for route in app.routes:
        if isinstance(route, Route | APIRoute) and route.path_regex.match(request.scope["path"]):
            methods |= route.methods or set()
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def problem_response(error: TelemetryError) -> Response:
    """The RFC 9457 answer to an error."""
    status, headers, document = problem(error)
    response = Response(msgspec.json.encode(document), status)
    for name, value in headers:
        response.headers[name.decode()] = value.decode()
    return response
