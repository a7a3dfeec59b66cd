"""The routes about streams, sources and alerts."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Path, Query, Request, Response
from pydantic import BeforeValidator

from gateway.answering import answers_watching as answers
from gateway.app import Gateway
from gateway.reading.parameters import only, whole
from gateway.watching import asked
from gateway.watching.asked import Cut
from telemetry.errors import InvalidInput
from telemetry.times import format_time

MAX_BODY = 4096
LONGEST_SECONDS = 30 * 86_400
Names = Annotated[list[str] | None, Query(description="Only these (repeatable)")]
Id = Annotated[str, Path(alias="id", description="As `GET /v1/alerts` gives it")]
Limit = Annotated[int, BeforeValidator(whole), Query(description="At most so many, up to 10,000")]
Cursor = Annotated[str | None, Query(description="What `next` of the page before gave")]


class _Ack(msgspec.Struct, forbid_unknown_fields=True):
    by: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = "somebody"


class _Mute(msgspec.Struct, forbid_unknown_fields=True):
    rule: str
    seconds: Annotated[float, msgspec.Meta(gt=0, le=LONGEST_SECONDS)]
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None


def add_watching(app: FastAPI, gateway: Gateway) -> None:
    """Add them to the app."""
    _add_streams(app, gateway)
    _add_alerts(app, gateway)
    _add_deeds(app, gateway)


def _add_streams(app: FastAPI, gateway: Gateway) -> None:
    @app.get("/v1/freshness", tags=["operations"], responses=answers.FRESHNESS)
    async def freshness(
        request: Request, kind: Names = None, state: Names = None, limit: Limit = 1000, cursor: Cursor = None
    ) -> Response:
        """As of which trade the figures are true, what is on disk, and which streams still come."""
        only(request.query_params.multi_items(), "kind state limit cursor", ("kind", "state"))
        status, clocks = gateway.backbone.status(), gateway.clocks
        head = gateway.freshness() | {
            "backlog": status.durable_seq - gateway.state.applied,
            "caught_up": gateway.caught_up,
            "journal": status.journal.name if status.journal is not None else None,
            "as_of": format_time(clocks.wall_ns()),
        }
        cut, now_ns = Cut(limit, cursor), clocks.monotonic_ns()
        return _answer(head | asked.streams(gateway.watch, kind or [], state or [], cut, now_ns))

    @app.get("/v1/sources", tags=["operations"], responses=answers.SOURCES)
    async def sources(request: Request, source: Names = None, limit: Limit = 1000, cursor: Cursor = None) -> Response:
        """Loss by source, as far as trades were watched."""
        only(request.query_params.multi_items(), "source limit cursor", ("source",))
        head = gateway.freshness() | {"as_of_seq": gateway.watch.loss.seq}
        return _answer(head | asked.sources(gateway.watch, source or [], gateway.watch.clocks(), Cut(limit, cursor)))


def _add_alerts(app: FastAPI, gateway: Gateway) -> None:
    @app.get("/v1/alerts", tags=["alerts"], responses=answers.ALERTS)
    async def alerts(
        request: Request,
        state: Annotated[str, Query(json_schema_extra={"enum": list(asked.LISTS)})] = "open",
        rule: Names = None,
        severity: Names = None,
        limit: Limit = 1000,
        cursor: Cursor = None,
    ) -> Response:
        """Alerts, mutes and rules."""
        only(request.query_params.multi_items(), "state rule severity limit cursor", ("rule", "severity"))
        wanted = rule or [], severity or []
        found = asked.alerts(gateway.watch, state, *wanted, Cut(limit, cursor), gateway.clocks.wall_ns())
        return _answer(gateway.freshness() | found)


def _add_deeds(app: FastAPI, gateway: Gateway) -> None:
    @app.post("/v1/alerts/{id}/ack", tags=["alerts"], responses=answers.ACKNOWLEDGED, openapi_extra=answers.ACK)
    async def acknowledge(request: Request, number: Id) -> Response:
        """Somebody has seen it."""
        by = await _body(request, _Ack, _Ack())
        return _answer(await gateway.watch.bulletin.acknowledge(number, by.by))

    @app.post("/v1/alerts/mutes", tags=["alerts"], status_code=201, responses=answers.MUTED, openapi_extra=answers.MUTE)
    async def mute(request: Request) -> Response:
        """Tell nothing of a rule, or of one key of it, for a time."""
        wanted = await _body(request, _Mute)
        until_ns = gateway.clocks.wall_ns() + round(wanted.seconds * 1e9)
        return _answer(await gateway.watch.bulletin.mute(wanted.rule, wanted.key, until_ns), 201)

    @app.delete("/v1/alerts/mutes/{id}", tags=["alerts"], status_code=204, responses=answers.UNMUTED)
    async def unmute(request: Request, number: Id) -> Response:
        """End a mute."""
        await gateway.watch.bulletin.unmute(number)
        return Response(status_code=204)


async def _body(request: Request, kind: type[Any], default: Any = None) -> Any:
    """The JSON body as this struct. Raises InvalidInput that says which field is wrong."""
    only(request.query_params.multi_items(), "")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise InvalidInput(f"expected a body of at most {MAX_BODY} bytes, received more", problem="too-large")
    if not body.strip() and default is not None:
        return default
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the body: {str(error)[:300]}") from None
    except msgspec.DecodeError as error:
        raise InvalidInput(f"expected JSON, received something else: {error}", problem="not-parsable") from None


def _answer(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
