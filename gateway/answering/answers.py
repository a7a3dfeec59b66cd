"""What the routes answer, as OpenAPI: one table of shapes, used for the document only."""

from __future__ import annotations

from typing import Any

Shape = dict[str, Any]
Answers = dict[int | str, dict[str, Any]]

TIME: Shape = {"type": "string", "format": "date-time", "description": "UTC with nine decimals"}
DECIMAL: Shape = {"type": "string", "pattern": r"^-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?$"}
COUNT: Shape = {"type": "integer", "minimum": 0}
NUMBER: Shape = {"type": "number"}
TEXT: Shape = {"type": "string"}
BOOLEAN: Shape = {"type": "boolean"}


def optional(shape: Shape) -> Shape:
    """The shape, or null where it is undefined."""
    return shape | {"type": [shape["type"], "null"]}


def shape(**properties: Shape) -> Shape:
    """An object that has all of these."""
    return {"type": "object", "required": list(properties), "properties": properties}


def mapping(of: Shape) -> Shape:
    """An object with any names."""
    return {"type": "object", "additionalProperties": of}


def listing(of: Shape) -> Shape:
    """An array."""
    return {"type": "array", "items": of}


def problem(description: str) -> dict[str, Any]:
    """An error answer."""
    return {"description": description, "content": {"application/problem+json": {"schema": PROBLEM}}}


def answers(description: str, of: Shape, **problems: str) -> Answers:
    """The responses of a route: what it gives, and its errors as s404="why"."""
    if "as_of_seq" in of["properties"]:
        of["properties"]["quarantined"] = listing(COUNT)  # only when there are any
    found: Answers = {200: {"description": description, "content": {"application/json": {"schema": of}}}}
    return found | {int(status[1:]): problem(text) for status, text in problems.items()}


PROBLEM: Shape = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": TEXT,
        "title": TEXT,
        "status": COUNT,
        "detail": TEXT,
        "errors": listing(
            {"type": "object", "properties": {"index": COUNT, "field": TEXT, "detail": TEXT, "received": TEXT}}
        ),
    },
}
_SIDES = ("", "buy_", "sell_", "unknown_")
_QUANTITIES: dict[str, Shape] = {f"{side}quantity": DECIMAL for side in _SIDES}
_COUNTS: dict[str, Shape] = {f"{side}trades": COUNT for side in _SIDES}
_ROW: dict[str, Shape] = {
    **_COUNTS,
    **_QUANTITIES,
    **{f"{side}notional": optional(DECIMAL) for side in _SIDES},
    **dict.fromkeys(("vwap", "imbalance", "quantity_mean", "quantity_std"), optional(NUMBER)),
    **dict.fromkeys(("quantity_min", "quantity_max"), optional(DECIMAL)),
    **dict.fromkeys(("price_open", "price_high", "price_low", "price_last"), optional(DECIMAL)),
    **dict.fromkeys(("first_timestamp", "last_timestamp"), optional(TIME)),
    **dict.fromkeys(("trades_per_second", "quantity_per_second", "interarrival_mean"), optional(NUMBER)),
    "currency": optional(TEXT),
    "revision": COUNT,
}
FRESH: dict[str, Shape] = {"as_of_seq": COUNT, "durable_seq": COUNT}
WINDOW: dict[str, Shape] = {"window": TEXT, "window_start": optional(TIME), "window_end": optional(TIME)}
NEXT = optional(TEXT)
_TOTALS = shape(**_COUNTS, **_QUANTITIES, notional=mapping(DECIMAL))
_CANDLE: dict[str, Shape] = {
    "start": TIME,
    **dict.fromkeys(("open", "high", "low", "close"), optional(DECIMAL)),
    "quantity": DECIMAL,
    "notional": optional(DECIMAL),
    "trades": COUNT,
    "buy_quantity": DECIMAL,
    "sell_quantity": DECIMAL,
    "vwap": optional(NUMBER),
    "closed": BOOLEAN,
    "revision": COUNT,
}
_SECONDS = dict.fromkeys(("mean", "p50", "p90", "p99", "p999", "max"), optional(NUMBER))
_TIMES: dict[str, Shape] = {"count": COUNT, **_SECONDS, "negative": COUNT, "reason": optional(TEXT)}
_STAGE, _ORDER = shape(**_TIMES), shape(venue=TEXT, strategy=TEXT, liquidity=TEXT, **_TIMES)
PARAMETERS = "A parameter breaks a rule or is unknown"
UNSEEN = "No trade had this symbol"

STATS = answers(
    "Exact statistics by symbol",
    shape(**FRESH, **WINDOW, totals=_TOTALS, symbols=mapping(shape(**_ROW)), order=listing(TEXT), next=NEXT),
    s422=PARAMETERS,
)
SYMBOL_STATS = answers(
    "Exact statistics of one symbol", shape(**FRESH, symbol=TEXT, **WINDOW, **_ROW), s404=UNSEEN, s422=PARAMETERS
)
CANDLES = answers(
    "Candles, ascending",
    shape(**FRESH, symbol=TEXT, interval=TEXT, candles=listing(shape(**_CANDLE)), next=NEXT),
    s404=UNSEEN,
    s422=f"{PARAMETERS}, or the interval is finer than what is still held",
)
LATENCY = answers(
    "Stages, and orders until they fill, in seconds; the window's bounds are those of the orders",
    shape(**FRESH, **WINDOW, stages=mapping(_STAGE), orders=listing(_ORDER)),
    s422=PARAMETERS,
)
ALIVE = answers("The process is alive", shape(status=TEXT))
READY = answers(
    "Able to do its work",
    shape(
        status=TEXT,
        ready=BOOLEAN,
        reasons=listing(TEXT),
        workers=COUNT,
        backlog=COUNT,
        open_alerts=COUNT,
        silent_streams=COUNT,
    ),
    s503="Not able to do its work; `detail` says why",
)
METRICS: Answers = {200: {"description": "Prometheus text format", "content": {"text/plain": {"schema": TEXT}}}}
