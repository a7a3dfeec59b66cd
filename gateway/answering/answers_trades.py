"""What the routes of single trades and of their way answer, as OpenAPI."""

from __future__ import annotations

from gateway.answering.answers import (
    BOOLEAN,
    COUNT,
    DECIMAL,
    FRESH,
    NEXT,
    NUMBER,
    PARAMETERS,
    TEXT,
    TIME,
    Shape,
    answers,
    listing,
    mapping,
    optional,
    shape,
)

_GIVEN = (
    *("venue", "trade_id", "ref_trade_id", "account", "strategy", "order_id"),
    *("currency", "liquidity", "fee_currency", "source"),
)
_TRADE = shape(
    seq=COUNT,
    symbol=TEXT,
    side=TEXT,
    kind=TEXT,
    quantity=DECIMAL,
    price=DECIMAL,
    multiplier=DECIMAL,
    timestamp=TIME,
    received_at=TIME,
)
_TRADE["properties"] |= {
    **dict.fromkeys(_GIVEN, TEXT),  # these, and what follows, only where they were given
    "fee": DECIMAL,
    "source_seq": {"type": "integer"},
    "sent_at": TIME,
    "order_sent_at": TIME,
    "tags": mapping(TEXT),
}
_WORKER: dict[str, Shape] = {
    **dict.fromkeys(("id", "version"), TEXT),
    **dict.fromkeys(("pid", "generation", "outstanding", "leases_done", "trades_done", "deaths"), COUNT),
    "version_ok": BOOLEAN,
    "beat_age_seconds": NUMBER,
}
_JOURNAL: Shape = {
    "type": ["object", "null"],
    "required": ["bytes", "last_sync_seconds", "average_sync_seconds", "trouble"],
    "properties": {
        "bytes": COUNT,
        "last_sync_seconds": NUMBER,
        "average_sync_seconds": NUMBER,
        "trouble": optional(TEXT),
    },
}

TRADES = answers("Single trades, ascending", shape(**FRESH, trades=listing(_TRADE), next=NEXT), s422=PARAMETERS)
WORKERS = answers(
    "Every worker and what is on its way",
    shape(
        **FRESH,
        workers=listing(shape(**_WORKER)),
        intake=COUNT,
        leased=COUNT,
        waiting=COUNT,
        backlog=COUNT,
        refused=mapping(COUNT),
        redelivered=mapping(COUNT),
        dropped=mapping(COUNT),
        garbage=COUNT,
        set_aside=COUNT,
        journal=_JOURNAL,
    ),
    s422=PARAMETERS,
)
