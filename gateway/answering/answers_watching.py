"""What the routes about streams, sources and alerts answer, as OpenAPI."""

from __future__ import annotations

from typing import Any

from gateway.answering.answers import (
    BOOLEAN,
    COUNT,
    NUMBER,
    TEXT,
    TIME,
    Answers,
    Shape,
    answers,
    listing,
    mapping,
    optional,
)
from gateway.answering.answers import problem as problem
from gateway.answering.answers import shape as shape

_FRESH: dict[str, Shape] = {"as_of_seq": COUNT, "durable_seq": COUNT}
_NEXT = optional(TEXT)
_WHOLE: Shape = {"type": "integer"}
_PARAMETERS = "A parameter breaks a rule or is unknown"
_BODY = "The body breaks a rule"
_NO_JSON, _LARGE = "The body is no JSON", "The body is over 4 KiB"
_STREAM = shape(
    **dict.fromkeys(("kind", "name", "state", "market"), TEXT),
    **dict.fromkeys(("since", "last_arrival"), optional(TIME)),
    **dict.fromkeys(("age_seconds", "allowed_seconds"), optional(NUMBER)),
    gaps=COUNT,
    calendars=listing(TEXT),
)
_CLOCK = shape(offset_seconds=optional(NUMBER), error_seconds=NUMBER, samples=COUNT, negative=COUNT)
_SOURCE = shape(
    source=TEXT,
    first=_WHOLE,
    last=_WHOLE,
    **dict.fromkeys(
        "received missing gaps healed reordered repeats lost unjudged restarts holes".split(),  # noqa: SIM905
        COUNT,
    ),
    newest_gap={"type": ["array", "null"], "items": _WHOLE, "minItems": 2, "maxItems": 2},
    clock=optional(_CLOCK),
)
_ALERT = shape(
    **dict.fromkeys(("id", "rule", "kind", "severity", "key", "key_of", "state", "unit", "message"), TEXT),
    **dict.fromkeys(("value", "threshold"), optional(NUMBER)),
    since=TIME,
    **dict.fromkeys(("fired_at", "resolved_at", "acknowledged_at", "muted_until"), optional(TIME)),
    acknowledged_by=optional(TEXT),
    fired=COUNT,
    as_of_seq=COUNT,
    **dict.fromkeys(("first_seq", "last_seq"), optional(COUNT)),
)
_MUTE = shape(id=TEXT, rule=TEXT, key=optional(TEXT), until=TIME)
_RULE = shape(**dict.fromkeys(("name", "kind", "severity", "description"), TEXT), fired=COUNT, left_out=COUNT)
_FAULT = shape(line=COUNT, rule=TEXT, field=TEXT, detail=TEXT)

FRESHNESS = answers(
    "What is applied and durable, and each stream",
    shape(
        **_FRESH,
        backlog=COUNT,
        caught_up=BOOLEAN,
        journal=optional(TEXT),
        as_of=TIME,
        watched=BOOLEAN,
        counts=mapping(mapping(COUNT)),
        forgotten=mapping(COUNT),
        streams=listing(_STREAM),
        next=_NEXT,
    ),
    s422=_PARAMETERS,
)
SOURCES = answers(
    "Loss by source",
    shape(**_FRESH, watched=BOOLEAN, forgotten=COUNT, sources=listing(_SOURCE), next=_NEXT),
    s422=_PARAMETERS,
)
ALERTS = answers(
    "Alerts, mutes and rules",
    shape(
        **_FRESH,
        as_of=TIME,
        watched=BOOLEAN,
        last_event=COUNT,
        alerts=listing(_ALERT),
        mutes=listing(_MUTE),
        rules=listing(_RULE),
        rules_file=shape(path=optional(TEXT), loaded_at=TIME, errors=listing(_FAULT)),
        next=_NEXT,
    ),
    s422=_PARAMETERS,
)


def _deed(status: int, description: str, of: Shape | None, **problems: str) -> Answers:
    content = {} if of is None else {"content": {"application/json": {"schema": of}}}
    found: Answers = {status: {"description": description, **content}}
    found |= {int(code[1:]): problem(text) for code, text in problems.items()}
    return found | {503: problem("The disk does not take it now; Retry-After says when")}


_WRONG = {"s400": _NO_JSON, "s413": _LARGE, "s422": _BODY}
ACKNOWLEDGED = _deed(200, "The alert", _ALERT, s404="No such alert", s409="It has not fired", **_WRONG)
MUTED = _deed(201, "The mute", _MUTE, s404="No such rule", s409="There are 1,000 mutes", **_WRONG)
UNMUTED = _deed(204, "It has ended", None, s404="No such mute", s422=_PARAMETERS)
_NAME: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 64}


def _takes(schema: Shape, required: bool) -> dict[str, Any]:
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


ACK = _takes({"type": "object", "additionalProperties": False, "properties": {"by": _NAME}}, required=False)
MUTE = _takes(
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["rule", "seconds"],
        "properties": {
            "rule": TEXT,
            "key": optional(_NAME),
            "seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": 30 * 86_400},
        },
    },
    required=True,
)
