"""Which column holds which field of a trade, whatever the publisher calls it.

A column whose name is the interface's own field name wins over every alias; among aliases the one that stands first in
ALIASES wins. Case, blanks and the marks `_ - .` do not count, so `Trade ID`, `tradeId` and `trade_id` are one name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DECIMALS = ("price", "quantity", "multiplier", "fee")
TIMES = ("timestamp", "sent_at", "order_sent_at")
TEXTS = (
    "symbol",
    "trade_id",
    "ref_trade_id",
    "venue",
    "account",
    "strategy",
    "order_id",
    "currency",
    "fee_currency",
    "source",
)
FIELDS = (*DECIMALS, *TIMES, *TEXTS, "side", "kind", "action", "liquidity", "source_seq", "tags")

ALIASES: Mapping[str, tuple[str, ...]] = {
    "price": ("px", "tradeprice", "lastpx", "executionprice"),
    "quantity": ("qty", "amount", "size", "volume", "lastqty", "tradesize"),
    "side": ("aggressorside", "takerside", "buysell"),
    "timestamp": ("ts", "datetime", "dt", "time", "tradetime", "transacttime", "date"),
    "trade_id": ("id", "tid", "execid"),
    "symbol": ("sym", "pair", "ticker", "instrument"),
    "order_id": ("order",),
    "liquidity": ("takerormaker",),
    "venue": ("exchange", "mic"),
}
CLOCKS = ("time", "tradetime")

SIDES: Mapping[str, str] = {
    **dict.fromkeys(("buy", "b", "bid", "bought", "bot"), "buy"),
    **dict.fromkeys(("sell", "s", "ask", "sold", "sld"), "sell"),
    **dict.fromkeys(("unknown", "u", "n", "-"), "unknown"),
}
# `type` is the side at some publishers and the order type (limit, market) at others: only these values tell.
TYPE_SIDES = frozenset(("buy", "sell", "b", "s"))

# What exporters write for "nothing here" (pandas, R, SQL). A symbol is exempt: NA, NAN and NULL are tickers.
NOTHING = frozenset(("", "null", "none", "nan", "nat", "n/a", "<na>"))

_MARKS = re.compile(r"[\s_.\-]+")


@dataclass(frozen=True)
class Names:
    """Columns of one kind of row: pairs (field, column); `date` completes a time of day; the rest is `ignored`."""

    fields: tuple[tuple[str, str], ...]
    date: str | None
    ignored: tuple[str, ...]

    def column(self, field: str) -> str | None:
        """The column that holds this field."""
        return next((column for name, column in self.fields if name == field), None)


def plain(column: str) -> str:
    """A column's name without case, blanks and marks."""
    return _MARKS.sub("", column).casefold()


def resolve(columns: Sequence[str], *, type_is_side: bool = False) -> Names:
    """Pair columns with fields; the same column never serves two fields."""
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(plain(column), column)
    by_name.update({column: column for column in columns if column in FIELDS})
    fields: list[tuple[str, str]] = []
    for field in FIELDS:
        extra = ("type",) if field == "side" and type_is_side else ()
        wanted = (field, plain(field), *ALIASES.get(field, ()), *extra)
        found = next((by_name[name] for name in wanted if name in by_name), None)
        if found is not None:
            fields.append((field, found))
    used = {column for _, column in fields}
    clock = next((column for field, column in fields if field == "timestamp" and plain(column) in CLOCKS), None)
    date = by_name.get("date") if clock is not None else None
    return Names(tuple(fields), date, tuple(column for column in columns if column not in used and column != date))


def may_matter(column: str) -> bool:
    """Whether a column could hold a field, so that a columnar reader need not decode the others."""
    name = plain(column)
    return name in _KNOWN


def is_nothing(value: object) -> bool:
    """Whether a cell holds nothing."""
    return value is None or (isinstance(value, str) and value.strip().casefold() in NOTHING)


_KNOWN = frozenset((*map(plain, FIELDS), *(alias for aliases in ALIASES.values() for alias in aliases), "type", "date"))
