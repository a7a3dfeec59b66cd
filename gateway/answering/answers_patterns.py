"""The answers of the routes of patterns, for the OpenAPI document: see gateway.answering.answers."""

from __future__ import annotations

from gateway.answering.answers import (
    BOOLEAN,
    COUNT,
    DECIMAL,
    FRESH,
    NUMBER,
    PARAMETERS,
    TEXT,
    TIME,
    UNSEEN,
    WINDOW,
    answers,
    listing,
    optional,
    shape,
)

_LARGE = shape(
    seq=COUNT,
    timestamp=TIME,
    venue=optional(TEXT),
    kind=TEXT,
    side=TEXT,
    price=DECIMAL,
    quantity=DECIMAL,
    notional=DECIMAL,
    currency=optional(TEXT),
)
PATTERNS = answers(
    "Gaps between trades, bursts, volatility and the largest trades of one symbol",
    shape(
        **FRESH,
        symbol=TEXT,
        **WINDOW,
        zone=optional(TEXT),
        interarrival_count=COUNT,
        interarrival_negative=COUNT,
        **dict.fromkeys(("interarrival_p50", "interarrival_p90", "interarrival_p99"), optional(NUMBER)),
        microburst=optional(COUNT),
        microburst_at=optional(TIME),
        microburst_venue=optional(TEXT),
        microburst_kind=optional(TEXT),
        burst_ratio=optional(NUMBER),
        microbursts=listing(shape(start=TIME, trades=COUNT)),
        realised_volatility=optional(NUMBER),
        largest=listing(_LARGE),
        complete=BOOLEAN,
    ),
    s404=f"{UNSEEN}, or only basic statistics are kept",
    s422=PARAMETERS,
)
PROFILE = answers(
    "Trades and quantity by the minute of the day",
    shape(
        **FRESH,
        symbol=TEXT,
        since=optional(TIME),
        zone=TEXT,
        days=COUNT,
        minutes=listing(shape(minute=TEXT, trades=COUNT, quantity=DECIMAL, days=COUNT)),
    ),
    s404=UNSEEN,
    s422=PARAMETERS,
)
