"""Bodies to rows: msgspec decodes each trade into an object that has just the fields of the body.

Types are as strict as JSON's; what the values mean is read later, all rows at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import msgspec

from telemetry.decode_reference import Media
from telemetry.literals import Doubt
from telemetry.trade import REQUIRED, RULES

TEXTS = ("ref_trade_id", "account", "strategy", "order_id", "liquidity", "fee_currency", "source")
DECIMALS = ("price", "quantity", "multiplier", "fee")
TIMES = ("timestamp", "sent_at", "order_sent_at")
_TYPES: dict[str, Any] = {
    **dict.fromkeys(("symbol", "venue", "currency", "side", "kind", *TEXTS), str | None),
    **dict.fromkeys(DECIMALS, msgspec.Raw),
    **dict.fromkeys(("trade_id", *TIMES), str | int | float | None),  # float: 1.0 must not pass for an integer
    "source_seq": int | float | None,
    "action": Literal["new"] | None,
    "tags": dict[str, str] | None,
}
ALL_NAMES = frozenset(RULES)
_NAME = re.compile(rb'"([a-z_]+)"[ \t\r\n]*:')

# An attribute that stands in the source is read in half the time that operator.attrgetter takes.
VALUES: dict[str, Callable[[list[Any]], list[Any]]] = {
    "price": lambda rows: [row.price for row in rows],
    "quantity": lambda rows: [row.quantity for row in rows],
    "symbol": lambda rows: [row.symbol for row in rows],
    "venue": lambda rows: [row.venue for row in rows],
    "currency": lambda rows: [row.currency for row in rows],
    "side": lambda rows: [row.side for row in rows],
    "kind": lambda rows: [row.kind for row in rows],
    "multiplier": lambda rows: [row.multiplier for row in rows],
    "timestamp": lambda rows: [row.timestamp for row in rows],
    "trade_id": lambda rows: [row.trade_id for row in rows],
    "action": lambda rows: [row.action for row in rows],
    "ref_trade_id": lambda rows: [row.ref_trade_id for row in rows],
    "account": lambda rows: [row.account for row in rows],
    "strategy": lambda rows: [row.strategy for row in rows],
    "order_id": lambda rows: [row.order_id for row in rows],
    "liquidity": lambda rows: [row.liquidity for row in rows],
    "fee": lambda rows: [row.fee for row in rows],
    "fee_currency": lambda rows: [row.fee_currency for row in rows],
    "source": lambda rows: [row.source for row in rows],
    "source_seq": lambda rows: [row.source_seq for row in rows],
    "sent_at": lambda rows: [row.sent_at for row in rows],
    "order_sent_at": lambda rows: [row.order_sent_at for row in rows],
    "tags": lambda rows: [row.tags for row in rows],
}


def decode_rows(body: bytes, media: Media) -> tuple[list[Any], frozenset[str]]:
    """The rows and the names that they have; ALL_NAMES when not all have the same. Raises Doubt."""
    names = _names_of_first(body)
    try:
        return _decode(body, media, names), names
    except Doubt:
        return _decode(body, media, ALL_NAMES), ALL_NAMES


def _names_of_first(body: bytes) -> frozenset[str]:
    """A guess at the fields of all trades: those of the first."""
    start = body.find(b"{", 0, 4096)
    names = _NAME.findall(body, start, max(start, body.find(b"}", start, start + 4096)))
    return frozenset(str(name, "ascii") for name in names) & ALL_NAMES | frozenset(REQUIRED)


def _decode(body: bytes, media: Media, names: frozenset[str]) -> list[Any]:
    decoder = _decoder(media, names)
    try:
        return decoder.decode_lines(body) if media == "lines" else decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Doubt(str(error)) from error


@lru_cache(maxsize=256)
def _decoder(media: Media, names: frozenset[str]) -> msgspec.json.Decoder[Any]:
    """Of trades that have exactly these fields; of trades with any fields when `names` is all of them."""
    ordered = (*REQUIRED, *sorted(names - {*REQUIRED}))
    fields = [_field(name, names == ALL_NAMES and name not in REQUIRED) for name in ordered]
    row: Any = msgspec.defstruct("Row", fields, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(row if media == "lines" else list[row])


def _field(name: str, optional: bool) -> Any:
    kind = _TYPES[name]
    if not optional:
        return (name, kind)
    return (name, kind, msgspec.Raw(b"")) if kind is msgspec.Raw else (name, kind | msgspec.UnsetType, msgspec.UNSET)
