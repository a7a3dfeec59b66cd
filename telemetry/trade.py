"""One trade, and the one table of the rules for its fields.

`parse_trade` takes the fields as they were sent: a JSON string is a `str`, a JSON number is a `Number` (its literal, so
that nothing is lost in a float), `true` a `bool`, `null` None. It finds every bad field before it refuses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from telemetry.decimals import parse_decimal
from telemetry.times import ABSENT, parse_integer_time, parse_time

NO_FEE = 255  # fee_scale of a trade without a fee
SIDES = ("unknown", "buy", "sell")  # index = code of the side in a column
KINDS = ("fill", "print")
LIQUIDITIES = ("maker", "taker", "auction")
MAX_TEXT = 64  # characters of a text field; bytes of a symbol
MAX_TAGS = 512  # bytes of canonical JSON
MAX_ECHO = 80  # characters of a refused value that an answer repeats

# C0, DEL, C1 and lone surrogates (which no UTF-8 can carry)
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Number(str):
    """The literal of a JSON number: `Number("5")` came as 5, `"5"` came as "5"."""

    __slots__ = ()


class Instrument(NamedTuple):
    """What statistics are grouped by. "" is not given; currency is part of it so that money of two is never added."""

    venue: str
    symbol: str
    kind: str
    currency: str
    multiplier: int
    multiplier_scale: int


class Trade(NamedTuple):
    """One accepted trade, normalised. Absent is "" for text, times.ABSENT for integers, a fee_scale of NO_FEE."""

    venue: str
    symbol: str
    kind: str
    currency: str
    multiplier: int
    multiplier_scale: int
    side: int
    price: int
    price_scale: int
    quantity: int
    quantity_scale: int
    timestamp: int
    received_at: int
    trade_id: str = ""
    ref_trade_id: str = ""
    account: str = ""
    strategy: str = ""
    order_id: str = ""
    liquidity: str = ""
    fee: int = 0
    fee_scale: int = NO_FEE
    fee_currency: str = ""
    source: str = ""
    source_seq: int = ABSENT
    sent_at: int = ABSENT
    order_sent_at: int = ABSENT
    tags: str = ""

    @property
    def instrument(self) -> Instrument:
        """The group that this trade is counted in."""
        return Instrument(*self[:6])


class FieldError(NamedTuple):
    """One broken rule: `detail` says what was expected, `received` is safe to print."""

    field: str
    detail: str
    received: str


class InvalidTrade(ValueError):
    """A trade that breaks rules; `errors` has one entry for each."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(f"{error.field}: {error.detail}, received {error.received}" for error in errors))
        self.errors = errors


def parse_trade(fields: Mapping[str, object], received_at: int) -> Trade:
    """The trade of these fields, received at `received_at` (ns UTC). Raises InvalidTrade with every bad field."""
    values = _ABSENT_VALUES.copy()  # in the order of Trade
    errors: list[FieldError] = []
    for name, value in fields.items():
        rule = RULES.get(name)
        if rule is None:
            errors.append(FieldError(printable(name), "unknown field", printable(value)))
        elif value is not None:
            try:
                if name in _SCALES:
                    values[name], values[_SCALES[name]] = rule(value)
                else:
                    values[name] = rule(value)
            except ValueError as error:
                errors.append(FieldError(name, str(error), printable(value)))
    for name in REQUIRED:
        if fields.get(name) is None:
            received = "null" if name in fields else "nothing"
            errors.append(FieldError(name, "expected a value, this field is required", received))
    if errors:
        raise InvalidTrade(errors)
    values.pop("action", None)
    if not values["kind"]:
        values["kind"] = "fill" if values["account"] or values["order_id"] else "print"
    if values["timestamp"] == ABSENT:
        values["timestamp"] = received_at
    values["received_at"] = received_at
    return Trade._make(values.values())


_SCALES = {name: f"{name}_scale" for name in ("price", "quantity", "multiplier", "fee")}
_ABSENT_VALUES: dict[str, Any] = {
    **dict.fromkeys(Trade._fields, ""),
    **dict.fromkeys(("side", "price", "price_scale", "quantity", "quantity_scale"), 0),
    "multiplier": 1,
    "multiplier_scale": 0,
    "timestamp": ABSENT,
    **Trade._field_defaults,
}


def printable(value: object) -> str:
    """What was received, short and without characters that act on a terminal or a log."""
    if isinstance(value, str):
        text = value[: MAX_ECHO + 1]
        text = UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
        return text if len(text) <= MAX_ECHO else text[: MAX_ECHO - 1] + "…"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "an array"
    return "null" if value is None else printable(str(value))


def _literal(value: object) -> str | None:
    """The literal of a number (from Python also an int), None for anything else, also for True."""
    if type(value) is Number:
        return value
    return str(value) if type(value) is int else None


def _decimal(value: object) -> tuple[int, int]:
    text = value if type(value) is str else _literal(value)
    if text is None:
        raise ValueError("expected a decimal, as text or number")
    return parse_decimal(text)


def _positive(value: object) -> tuple[int, int]:
    mantissa, scale = _decimal(value)
    if mantissa <= 0:
        raise ValueError("expected a decimal greater than 0")
    return mantissa, scale


def _time(value: object) -> int:
    if type(value) is str:
        return parse_time(value)
    literal = _literal(value)
    if literal is None:
        raise ValueError("expected RFC 3339 text with an offset or an integer of nanoseconds since 1970")
    return parse_integer_time(literal)


def _text(value: object) -> str:
    if type(value) is not str:
        raise ValueError("expected text")
    if len(value) > MAX_TEXT:
        raise ValueError(f"expected at most {MAX_TEXT} characters, received {len(value)}")
    if UNPRINTABLE.search(value):
        raise ValueError("expected text without control characters")
    return value


def _symbol(value: object) -> str:
    text = _text(value)
    if not 1 <= len(text.encode()) <= MAX_TEXT:
        raise ValueError(f"expected 1 to {MAX_TEXT} bytes of UTF-8")
    if text.strip() != text:
        raise ValueError("expected no white space around the symbol")
    return text


def _trade_id(value: object) -> str:
    literal = _literal(value)
    return _text(value) if literal is None else _integer(literal, "text or an integer of at most 64 digits", 10**64)


def _integer(literal: str, expected: str, bound: int) -> str:
    """Canonical digits of an integer literal whose magnitude is below `bound`."""
    if len(literal) > MAX_TEXT or not re.fullmatch("-?(?:0|[1-9][0-9]*)", literal) or abs(int(literal)) >= bound:
        raise ValueError(f"expected {expected}")
    return "0" if literal == "-0" else literal


def _source_seq(value: object) -> int:
    expected = "an integer that fits 64 bits"
    literal = _literal(value)
    if literal is None:
        raise ValueError(f"expected {expected}")
    return int(_integer(literal, expected, 2**63))


def _one_of(names: tuple[str, ...]) -> Callable[[object], str]:
    def rule(value: object) -> str:
        if type(value) is not str or value not in names:
            raise ValueError(f"expected one of {', '.join(filter(None, names))}")
        return value

    return rule


def _side(value: object) -> int:
    if type(value) is not str or value not in SIDES:
        raise ValueError("expected one of buy, sell, unknown")
    return SIDES.index(value)


def _action(value: object) -> None:
    if _one_of(("new", "correct", "cancel"))(value) != "new":
        raise ValueError("expected new; corrections and cancels are not accepted yet")


def _tags(value: object) -> str:
    if not isinstance(value, Mapping) or not all(type(text) is str for pair in value.items() for text in pair):
        raise ValueError("expected a flat object of texts")
    if any(UNPRINTABLE.search(text) for pair in value.items() for text in pair):
        raise ValueError("expected tags without control characters")
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    if len(text.encode()) > MAX_TAGS:
        raise ValueError(f"expected at most {MAX_TAGS} bytes of JSON, received {len(text.encode())}")
    return text if value else ""


REQUIRED = ("symbol", "quantity", "price")
RULES: Mapping[str, Callable[[object], Any]] = {
    "symbol": _symbol,
    "side": _side,
    "kind": _one_of(KINDS),
    "quantity": _positive,
    "price": _decimal,
    "multiplier": _positive,
    "timestamp": _time,
    "trade_id": _trade_id,
    "action": _action,
    "ref_trade_id": _text,
    "venue": _text,
    "account": _text,
    "strategy": _text,
    "order_id": _text,
    "currency": _text,
    "liquidity": _one_of(("", *LIQUIDITIES)),
    "fee": _decimal,
    "fee_currency": _text,
    "source": _text,
    "source_seq": _source_seq,
    "sent_at": _time,
    "order_sent_at": _time,
    "tags": _tags,
}
