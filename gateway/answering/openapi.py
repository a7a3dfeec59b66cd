"""The parts of the OpenAPI document that FastAPI cannot know, and a page that shows the document without a CDN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from gateway.answering.answers import problem

_DECIMAL = {
    "oneOf": [{"type": "string", "pattern": r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"}, {"type": "number"}],
    "description": "Exact decimal: magnitude below 10^18, at most 18 decimals and 18 significant digits",
}
_TIME = {
    "oneOf": [{"type": "string", "format": "date-time"}, {"type": "integer", "minimum": 10**17}],
    "description": "RFC 3339 with an offset, or integer nanoseconds since 1970",
}
_TEXT = {"type": "string", "maxLength": 64}
TRADE: dict[str, Any] = {
    "type": "object",
    "required": ["symbol", "quantity", "price"],
    "additionalProperties": False,
    "properties": {
        "symbol": {"type": "string", "minLength": 1, "maxLength": 64, "examples": ["BTC-USDT"]},
        "side": {"enum": ["buy", "sell", "unknown"], "default": "unknown"},
        "kind": {"enum": ["fill", "print"], "description": "Ours, or the market's"},
        "quantity": _DECIMAL,
        "price": _DECIMAL,
        "multiplier": _DECIMAL | {"default": "1"},
        "timestamp": _TIME,
        "trade_id": {"oneOf": [_TEXT, {"type": "integer"}]},
        "action": {"enum": ["new"], "default": "new"},
        **dict.fromkeys(
            ("ref_trade_id", "venue", "account", "strategy", "order_id", "currency", "fee_currency", "source"), _TEXT
        ),
        "liquidity": {"enum": ["maker", "taker", "auction"]},
        "fee": _DECIMAL,
        "source_seq": {"type": "integer"},
        "sent_at": _TIME,
        "order_sent_at": _TIME,
        "tags": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
RECEIPT: dict[str, Any] = {
    "type": "object",
    "required": ["accepted", "duplicates", "first_seq", "last_seq", "durable", "applied"],
    "properties": {
        "accepted": {"type": "integer"},
        "duplicates": {"type": "integer"},
        "first_seq": {"type": ["integer", "null"]},
        "last_seq": {"type": ["integer", "null"]},
        "durable": {"type": "boolean"},
        "applied": {"type": "boolean"},
    },
}
DESCRIPTION = """Errors are problem documents (RFC 9457). Times are RFC 3339 in UTC with nine decimals; exact decimals
are strings; what is undefined is null. Every read answer says as of which trade it is true (`as_of_seq`).

The live stream is a WebSocket at `/v1/stream`: send `{"subscribe": {"id": "a", "topic": "stats", "symbols": ["*"],
"window": "1m", "interval_ms": 250}}`, topics stats, candles, latency, freshness, health, trades.
"""
_ARROW = {
    "schema": {
        "type": "string",
        "format": "binary",
        "description": "Arrow IPC stream, not compressed, one column for each field of a trade",
    }
}
_CLOCK = {"schema": {"type": "string", "format": "date-time"}}
_CLOCKS = {
    "Telemetry-Received-At": {"description": "When the request came, by the gateway's clock"} | _CLOCK,
    "Telemetry-Sent-At": {"description": "When this answer went out, by the gateway's clock"} | _CLOCK,
}
_LINES = {"schema": {"type": "string", "description": "One trade as a JSON object a line"}}
INGEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"oneOf": [TRADE, {"type": "array", "items": TRADE, "minItems": 1}]}},
            "application/x-ndjson": _LINES,
            "application/jsonl": _LINES,
            "application/vnd.apache.arrow.stream": _ARROW,
        },
    },
    "parameters": [
        {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}},
        {"name": "wait", "in": "query", "schema": {"enum": ["applied"]}},
        {"name": "timeout", "in": "query", "schema": {"type": "number", "minimum": 0, "maximum": 60, "default": 5}},
    ],
    "responses": {
        "202": {"description": "On disk", "content": {"application/json": {"schema": RECEIPT}}},
        "400": problem("Cannot be parsed"),
        "403": problem("The Host is no loopback name, or the Origin no page of this gateway"),
        "409": problem("A key or trade_id was used before with another payload"),
        "413": problem("Over 16 MiB or 50,000 trades"),
        "415": problem("Media type not supported"),
        "422": problem("Trades that break rules, by index and field"),
        "503": problem("Cannot be taken now; Retry-After says when"),
    },
}
for _answer in INGEST["responses"].values():
    _answer["headers"] = _CLOCKS


def docs_page(document: Mapping[str, Any]) -> str:
    """The document as one HTML page that loads nothing."""
    title = escape(document["info"]["title"])
    style = (
        "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "code{background:#8882;padding:.1em .3em;border-radius:.2em}section{border-top:1px solid #8884;padding:1rem 0}"
        "td,th{text-align:left;padding:.1rem .8rem .1rem 0;vertical-align:top}:root{color-scheme:light dark}"
    )
    parts = "".join(_operations(document))
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{style}</style>"
        f"<h1>{title}</h1><p>{escape(document['info'].get('summary', ''))}</p>"
        f"<p>{escape(document['info'].get('description', ''))} "
        f'The whole document: <a href="/openapi.json">/openapi.json</a></p>{parts}</html>'
    )


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            rows = "".join(_row(parameter) for parameter in operation.get("parameters", ()))
            if "requestBody" in operation:
                rows += "".join(_field(name, of) for name, of in TRADE["properties"].items())
            table = f"<table>{rows}</table>" if rows else ""
            statuses = ", ".join(f"{code} {escape(of['description'])}" for code, of in operation["responses"].items())
            text = escape(operation.get("description", operation.get("summary", "")))
            yield (
                f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>"
                f"<p>{text}</p>{table}<p>{statuses}</p></section>"
            )


def _row(parameter: Mapping[str, Any]) -> str:
    default = parameter.get("schema", {}).get("default")
    text = parameter.get("description", "") + (f" (default {default})" if default is not None else "")
    return f"<tr><th><code>{escape(parameter['name'])}</code><td>{parameter['in']}<td>{escape(text)}</tr>"


def _field(name: str, of: Mapping[str, Any]) -> str:
    allowed = " | ".join(of["enum"]) if "enum" in of else of.get("description", of.get("type", ""))
    needed = "body, required" if name in TRADE["required"] else "body"
    return f"<tr><th><code>{escape(name)}</code><td>{needed}<td>{escape(allowed)}</tr>"
