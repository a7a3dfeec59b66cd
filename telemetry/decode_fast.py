"""The fast reading of a body of many trades: msgspec for the rows, array operations for the values.

It accepts only what the reference accepts, with the same result; on any doubt it says so and decides nothing. It makes
sure of the one thing that msgspec does not look at, names that come twice, by counting: every name is followed by `":`,
so as many of these as fields were set means that none was set twice. (A string may contain `":` too: then in doubt.)
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from telemetry.columns import Columns, present
from telemetry.decode_reference import MAX_TRADES, Media, too_many
from telemetry.frame import I64, OPTIONAL, U8, U32, Array, Text
from telemetry.json_rows import ALL_NAMES, DECIMALS, TEXTS, TIMES, VALUES, decode_rows
from telemetry.literal_times import times
from telemetry.literals import NO_DECIMAL, Doubt, Literals, decimals, ruled
from telemetry.times import ABSENT, SMALLEST_INTEGER
from telemetry.trade import KINDS, LIQUIDITIES, MAX_TEXT, SIDES, UNPRINTABLE, Instrument

_INSTRUMENT_TEXTS = ("venue", "symbol", "currency")
# What makes an instrument, in the order of the arguments of instrument_of, and what stands for what was not sent.
_INSTRUMENT_DEFAULTS: dict[str, Any] = {
    "symbol": None,
    "kind": None,
    "venue": None,
    "currency": None,
    "multiplier": (1, 0),
}
_INSTRUMENT_PLACES = {name: place for place, name in enumerate(_INSTRUMENT_DEFAULTS)}
_SIDE_CODES: dict[Any, int] = {None: 0, msgspec.UNSET: 0, **{side: code for code, side in enumerate(SIDES)}}
_FEW = 256  # codes that fit a byte
_KNOWN_KINDS = {*KINDS, None, msgspec.UNSET}
_BLANKS = b" \t\r\n"


def decode_columns(body: bytes, media: Media, received_at: int) -> tuple[Columns, Array]:
    """The columns of the body and which trades have a timestamp (bool[n]). Raises Doubt, or 413 for too many."""
    rows, names = decode_rows(body, media)
    if len(rows) > MAX_TRADES:
        raise too_many()
    if not rows or (media == "lines" and not _one_a_line(body, len(rows))):
        raise Doubt("nothing, or not one trade on each line")
    return _Reading(rows, names, body).columns(received_at)


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
    quote, behind = characters[:-1] == ord('"'), characters[1:]
    if (quote & (behind <= ord(" "))).any():
        return body.translate(None, _BLANKS).count(b'":')
    return int(np.count_nonzero(quote & (behind == ord(":"))))


class _Reading:
    """The columns of one body. Counts the fields that were set on the way."""

    def __init__(self, rows: list[Any], names: frozenset[str], body: bytes) -> None:
        self._count = len(rows)
        self._body = body
        self._plain = body.isascii() and b"\\" not in body and b"\x7f" not in body  # no unprintable text possible
        self._set = 2 * len(rows)
        self._numbers = Literals.of(VALUES["price"](rows) + VALUES["quantity"](rows))
        self._texts: dict[str, list[Any]] = {}
        self._literals: dict[str, Literals] = {}
        for name in names - {"price", "quantity"}:
            self._take(name, VALUES[name](rows), names is ALL_NAMES)

    def _take(self, name: str, values: list[Any], optional: bool) -> None:
        """Keeps a field that some trade has, and counts how many have it."""
        missing = values.count(msgspec.UNSET) if optional else 0
        if name in DECIMALS:
            literals = Literals.of(values)
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
        texts = {name: self._text(name) for name in TEXTS if name in self._texts}
        _require(set(texts.get("liquidity", ())) <= {*LIQUIDITIES, ""}, "the liquidity")
        instruments, codes = self._instruments(texts.get("account"), texts.get("order_id"))
        texts |= {name: self._trade_ids() for name in ("trade_id",) if name in self._texts}
        optional = {name: self._column(values) for name, values in texts.items()} | self._integers()
        if "tags" in self._texts:
            optional["tags"] = Text.of(self._tags())
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
        values = self._texts[name]
        try:
            "".join(values)  # the quickest way to see that all are texts
        except TypeError:
            return [value or "" for value in values]
        return values

    def _trade_ids(self) -> list[str]:
        values = self._texts["trade_id"]
        with suppress(TypeError):
            "".join(values)
            return values
        kinds = set(map(type, values))
        _require(float not in kinds, "an integer with a fraction or exponent")
        return [str(value) if type(value) is int else value or "" for value in values]

    def _column(self, values: list[str]) -> Text:
        """A column of texts that obey the rules."""
        joined = "".join(values)
        _require(self._plain or not UNPRINTABLE.search(joined), "a control character")
        blob = joined.encode()
        sized: list[Any] = values if len(blob) == len(joined) else [value.encode() for value in values]
        try:
            lengths = np.frombuffer(bytes(map(len, sized)), U8)
        except ValueError as error:
            raise Doubt("a long text") from error
        if lengths.max() > MAX_TEXT:
            _require(max(map(len, values)) <= MAX_TEXT, "a long text")
        offsets = np.zeros(len(values) + 1, U32)
        np.cumsum(lengths, out=offsets[1:])
        return Text(offsets, np.frombuffer(blob, U8))

    def _tags(self) -> list[str]:
        values = self._texts["tags"]
        return [ruled("tags", tags) if tags else "" for tags in values]

    def _sides(self) -> Array:
        if "side" not in self._texts:
            return np.zeros(self._count, U8)
        try:
            return np.frombuffer(bytes(map(_SIDE_CODES.__getitem__, self._texts["side"])), U8)
        except KeyError as error:
            raise Doubt("the side") from error

    def _times(self, name: str) -> Array:
        if name not in self._texts:
            return np.full(self._count, ABSENT, I64)
        values = self._texts[name]
        kinds = set(map(type, values))
        if kinds == {int}:
            instants = _int64(values)
            _require(instants.min() >= SMALLEST_INTEGER, "a time that looks like seconds")
            return instants
        _require(float not in kinds, "an integer with a fraction or exponent")
        if kinds == {str}:
            tokens = ('"' + '"\n"'.join(values) + '"').encode().split(b"\n")
            _require(len(tokens) == len(values), "a line break")
        else:
            tokens = [_token(value) for value in values]
        return times(Literals.of(tokens))

    def _integers(self) -> dict[str, Array | Text]:
        found: dict[str, Array | Text] = {name: self._times(name) for name in TIMES[1:] if name in self._texts}
        if "fee" in self._literals:
            found["fee"], found["fee_scale"] = decimals(self._literals["fee"])
        if "source_seq" in self._texts:
            found["source_seq"] = self._source_seq()
        return found

    def _source_seq(self) -> Array:
        values = self._texts["source_seq"]
        _require(float not in set(map(type, values)), "an integer with a fraction or exponent")
        numbers = _int64([value for value in values if type(value) is int])
        _require(numbers.min(initial=0) > ABSENT, "an integer that does not fit")
        return _int64([value if type(value) is int else ABSENT for value in values])

    def _instruments(
        self, accounts: list[str] | None, orders: list[str] | None
    ) -> tuple[tuple[Instrument, ...], Array]:
        columns: dict[str, list[Any]] = {name: self._texts[name] for name in _INSTRUMENT_TEXTS if name in self._texts}
        columns["kind"] = self._kinds(accounts, orders)
        if "multiplier" in self._literals:
            columns["multiplier"] = self._multipliers()
        same = {name: values[0] for name, values in columns.items() if values.count(values[0]) == len(values)}
        names = [name for name in columns if name not in same]
        if not names:
            return (instrument_of(*(_INSTRUMENT_DEFAULTS | same).values()),), np.zeros(self._count, U32)
        keys: list[Any] = columns[names[0]]
        if len(names) > 1:
            keys = list(zip(*map(columns.__getitem__, names), strict=True))
        table: dict[Instrument, int] = {}
        code_of = {}
        varied = [_INSTRUMENT_PLACES[name] for name in names]
        values = [same.get(name, default) for name, default in _INSTRUMENT_DEFAULTS.items()]
        for key in dict.fromkeys(keys):
            for place, value in zip(varied, key if len(names) > 1 else (key,), strict=True):
                values[place] = value
            code_of[key] = table.setdefault(instrument_of(*values), len(table))
        codes = map(code_of.__getitem__, keys)
        few = len(table) <= _FEW
        return tuple(table), np.frombuffer(bytes(codes), U8).astype(U32) if few else np.array(list(codes), U32)

    def _kinds(self, accounts: list[str] | None, orders: list[str] | None) -> list[Any]:
        """One for all when all are the same."""
        ours = accounts if orders is None else orders
        if "kind" not in self._texts and (ours is None or all(ours)):
            return ["print"] if ours is None else ["fill"]
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


@lru_cache(maxsize=4096)
def instrument_of(symbol: Any, kind: str, venue: Any, currency: Any, multiplier: tuple[int, int]) -> Instrument:
    """The instrument of these values as they were sent. Raises Doubt."""
    name = ruled("symbol", symbol or "")
    return Instrument(ruled("venue", venue or ""), name, kind, ruled("currency", currency or ""), *multiplier)


def _int64(values: list[int]) -> Array:
    try:
        return np.array(values, I64)
    except OverflowError as error:
        raise Doubt("a large integer") from error


def _token(value: Any) -> bytes:
    """A text or an integer as JSON, nothing for what was not sent. What would have to be escaped is doubted later."""
    return b'"%b"' % value.encode() if type(value) is str else b"%d" % value if type(value) is int else b""


def _require(sure: object, what: str) -> None:
    if not sure:
        raise Doubt(what)
