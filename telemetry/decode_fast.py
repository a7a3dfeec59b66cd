"""The fast reading of a body of many trades: msgspec for the rows, array operations for the values.

It accepts only what the reference accepts, with the same result; on any doubt it says so and decides nothing. It makes
sure of the one thing that msgspec does not look at, names that come twice, by counting: every name is followed by `":`,
so as many of these as fields were set means that none was set twice. (A string may contain `":` too: then in doubt.)
"""

from __future__ import annotations

import re
from functools import lru_cache
from operator import attrgetter
from typing import Any, Literal

import msgspec
import numpy as np

from telemetry.columns import Columns, present
from telemetry.decode_reference import MAX_TRADES, Media, too_many
from telemetry.frame import I64, OPTIONAL, U8, U32, Array, Text
from telemetry.literals import NO_DECIMAL, Doubt, Literals, decimals, times
from telemetry.times import ABSENT
from telemetry.trade import KINDS, LIQUIDITIES, MAX_TEXT, REQUIRED, RULES, SIDES, UNPRINTABLE, Instrument

_TEXTS = ("ref_trade_id", "account", "strategy", "order_id", "liquidity", "fee_currency", "source")
_INSTRUMENT_TEXTS = ("venue", "symbol", "currency")
_DECIMALS = ("price", "quantity", "multiplier", "fee")
_TIMES = ("timestamp", "sent_at", "order_sent_at")
_TYPES: dict[str, Any] = {
    **dict.fromkeys(("symbol", "venue", "currency", "side", "kind", *_TEXTS), str | None),
    **dict.fromkeys((*_DECIMALS, *_TIMES), msgspec.Raw),
    "trade_id": str | int | float | None,  # float: 1.0 must not pass for an integer
    "source_seq": int | float | None,
    "action": Literal["new"] | None,
    "tags": dict[str, str] | None,
}
_SIDE_CODES: dict[Any, int] = {None: 0, msgspec.UNSET: 0, **{side: code for code, side in enumerate(SIDES)}}
ALL_NAMES = frozenset(RULES)
_KNOWN_KINDS = {*KINDS, None, msgspec.UNSET}
_NAME = re.compile(rb'"([a-z_]+)"[ \t\r\n]*:')
_BLANKS = b" \t\r\n"


def decode_columns(body: bytes, media: Media, received_at: int) -> tuple[Columns, Array]:
    """The columns of the body and which trades have a timestamp (bool[n]). Raises Doubt, or 413 for too many."""
    names = _names_of_first(body)
    try:
        rows = _decode(body, media, names)
    except Doubt:
        names = ALL_NAMES  # not all have the same fields
        rows = _decode(body, media, names)
    if len(rows) > MAX_TRADES:
        raise too_many()
    if not rows or (media == "lines" and not _one_a_line(body, len(rows))):
        raise Doubt("nothing, or not one trade on each line")
    return _Reading(rows, names, body).columns(received_at)


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


def _one_a_line(body: bytes, count: int) -> bool:
    """Whether each of the trades has its line. Begin and end count: no trade can be split between `}` and `{`."""
    inner = body.strip(_BLANKS)
    if inner.count(b"}\n{") + 1 == inner.count(b"\n") + 1 == count:
        return True
    lines = [line.strip(_BLANKS) for line in inner.split(b"\n")]
    lines = [line for line in lines if line]
    return len(lines) == count and all(line.startswith(b"{") and line.endswith(b"}") for line in lines)


def _count_names(body: bytes) -> int:
    """How many names of fields the body has, or more, never fewer."""
    characters = np.frombuffer(body, U8)
    behind = characters[np.flatnonzero(characters[:-1] == ord('"')) + 1]
    if (behind <= ord(" ")).any():
        return body.translate(None, _BLANKS).count(b'":')
    return int(np.count_nonzero(behind == ord(":")))


class _Reading:
    """The columns of one body. Counts the fields that were set on the way."""

    def __init__(self, rows: list[Any], names: frozenset[str], body: bytes) -> None:
        self._count = len(rows)
        self._body = body
        self._plain = body.isascii() and b"\\" not in body and b"\x7f" not in body  # no unprintable text possible
        self._set = 2 * len(rows)
        self._numbers = Literals([row.price for row in rows] + [row.quantity for row in rows])
        self._texts: dict[str, list[Any]] = {}
        self._literals: dict[str, Literals] = {}
        for name in names - {"price", "quantity"}:
            self._take(name, list(map(attrgetter(name), rows)), names is ALL_NAMES)

    def _take(self, name: str, values: list[Any], optional: bool) -> None:
        """Keeps a field that some trade has, and counts how many have it."""
        missing = values.count(msgspec.UNSET) if optional else 0
        if _TYPES[name] is msgspec.Raw:
            literals = Literals(values)
            missing = literals.missing
            if missing < len(values):
                self._literals[name] = literals
        elif missing < len(values):
            self._texts[name] = values
            if name == "tags":
                self._set += sum(len(tags) for tags in values if tags)
        self._set += len(values) - missing

    def columns(self, received_at: int) -> tuple[Columns, Array]:
        """The columns and which trades have a timestamp."""
        _require(self._set == _count_names(self._body), "a name that comes twice")
        count = self._count
        prices, scales = decimals(self._numbers)
        _require((prices[count:] > 0).all() and (scales != NO_DECIMAL).all(), "a price or quantity")
        texts = {name: self._text(name) for name in _TEXTS if name in self._texts}
        _require(set(texts.get("liquidity", ())) <= {*LIQUIDITIES, ""}, "the liquidity")
        instruments, codes = self._instruments(texts.get("account"), texts.get("order_id"))
        texts |= {name: self._trade_ids() for name in ("trade_id",) if name in self._texts}
        texts |= {name: self._tags() for name in ("tags",) if name in self._texts}
        optional = {name: Text.of(values) for name, values in texts.items()} | self._integers()
        timestamps = self._times("timestamp")
        given = timestamps != ABSENT
        return (
            Columns(
                instruments,
                codes,
                self._sides(),
                prices[:count],
                scales[:count],
                prices[count:],
                scales[count:],
                np.where(given, timestamps, received_at),
                np.full(count, received_at, I64),
                present({name: optional[name] for name in OPTIONAL if name in optional}),
            ),
            given,
        )

    def _text(self, name: str) -> list[str]:
        return self._checked([value or "" for value in self._texts[name]])

    def _checked(self, values: list[str]) -> list[str]:
        _require(max(map(len, values)) <= MAX_TEXT, "a long text")
        _require(self._plain or not UNPRINTABLE.search("".join(values)), "a control character")
        return values

    def _trade_ids(self) -> list[str]:
        values = self._texts["trade_id"]
        kinds = set(map(type, values))
        _require(float not in kinds, "an integer with a fraction or exponent")
        if kinds != {str}:
            values = [str(value) if type(value) is int else value or "" for value in values]
        return self._checked(values)

    def _tags(self) -> list[str]:
        values = self._texts["tags"]
        return [_ruled("tags", tags) if tags else "" for tags in values]

    def _sides(self) -> Array:
        if "side" not in self._texts:
            return np.zeros(self._count, U8)
        try:
            return np.fromiter(map(_SIDE_CODES.__getitem__, self._texts["side"]), U8, self._count)
        except KeyError as error:
            raise Doubt("the side") from error

    def _times(self, name: str) -> Array:
        return times(self._literals[name]) if name in self._literals else np.full(self._count, ABSENT, I64)

    def _integers(self) -> dict[str, Array | Text]:
        found: dict[str, Array | Text] = {name: self._times(name) for name in _TIMES[1:] if name in self._literals}
        if "fee" in self._literals:
            found["fee"], found["fee_scale"] = decimals(self._literals["fee"])
        if "source_seq" in self._texts:
            found["source_seq"] = self._source_seq()
        return found

    def _source_seq(self) -> Array:
        values = self._texts["source_seq"]
        _require(float not in set(map(type, values)), "an integer with a fraction or exponent")
        _require(all(-(2**63) < value < 2**63 for value in values if type(value) is int), "a large integer")
        return np.array([value if type(value) is int else ABSENT for value in values], I64)

    def _instruments(
        self, accounts: list[str] | None, orders: list[str] | None
    ) -> tuple[tuple[Instrument, ...], Array]:
        columns: dict[str, list[Any]] = {
            name: [value or "" for value in self._texts[name]] for name in _INSTRUMENT_TEXTS if name in self._texts
        }
        if (kinds := self._kinds(accounts, orders)) is not None:
            columns["kind"] = kinds
        if "multiplier" in self._literals:
            columns["multiplier"] = self._multipliers()
        keys: list[Any] = list(zip(*columns.values(), strict=True))
        table = {key: code for code, key in enumerate(dict.fromkeys(keys))}
        codes = np.fromiter(map(table.__getitem__, keys), U32, len(keys))
        return tuple(_instrument(dict(zip(columns, key, strict=True))) for key in table), codes

    def _kinds(self, accounts: list[str] | None, orders: list[str] | None) -> list[str] | None:
        """None when all are prints."""
        if "kind" not in self._texts and accounts is None and orders is None:
            return None
        none = [""] * self._count
        kinds = self._texts.get("kind", none)
        _require(kinds is none or set(kinds) <= _KNOWN_KINDS, "the kind")
        return [
            kind or ("fill" if account or order else "print")
            for kind, account, order in zip(kinds, accounts or none, orders or none, strict=True)
        ]

    def _multipliers(self) -> list[tuple[int, int]]:
        mantissas, scales = decimals(self._literals["multiplier"])
        absent = scales == NO_DECIMAL
        mantissas[absent], scales[absent] = 1, 0
        _require((mantissas > 0).all(), "a multiplier")
        return list(zip(mantissas.tolist(), scales.tolist(), strict=True))


def _instrument(given: dict[str, Any]) -> Instrument:
    texts = {name: _ruled(name, given.get(name, "")) for name in _INSTRUMENT_TEXTS}
    multiplier, scale = given.get("multiplier", (1, 0))
    return Instrument(texts["venue"], texts["symbol"], given.get("kind", "print"), texts["currency"], multiplier, scale)


def _ruled(name: str, value: object) -> str:
    try:
        text: str = RULES[name](value)
    except ValueError as error:
        raise Doubt(str(error)) from error
    return text


def _require(sure: object, what: str) -> None:
    if not sure:
        raise Doubt(what)
