"""The parts of the OpenAPI document that FastAPI cannot know, and a page that shows the document without a CDN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

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
PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "index": {"type": "integer"},
                    "field": {"type": "string"},
                    "detail": {"type": "string"},
                    "received": {"type": "string"},
                },
            },
        },
    },
}


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/problem+json": {"schema": PROBLEM}}}


_LINES = {"schema": {"type": "string", "description": "One trade as a JSON object a line"}}
INGEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"oneOf": [TRADE, {"type": "array", "items": TRADE, "minItems": 1}]}},
            "application/x-ndjson": _LINES,
            "application/jsonl": _LINES,
        },
    },
    "parameters": [
        {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}},
        {"name": "wait", "in": "query", "schema": {"enum": ["applied"]}},
        {"name": "timeout", "in": "query", "schema": {"type": "number", "minimum": 0, "maximum": 60, "default": 5}},
    ],
    "responses": {
        "202": {"description": "On disk", "content": {"application/json": {"schema": RECEIPT}}},
        "400": _problem("Cannot be parsed"),
        "409": _problem("A key or trade_id was used before with another payload"),
        "413": _problem("Over 16 MiB or 50,000 trades"),
        "415": _problem("Media type not supported"),
        "422": _problem("Trades that break rules, by index and field"),
        "503": _problem("Cannot be taken now; Retry-After says when"),
    },
}


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
        f"<h1>{title}</h1><p>{escape(document['info'].get('summary', ''))} "
        f'The whole document: <a href="/openapi.json">/openapi.json</a></p>{parts}</html>'
    )


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            rows = "".join(_row(parameter) for parameter in operation.get("parameters", ()))
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
