"""One record's values as the fields of a trade: decimals as written, times as UTC nanoseconds, sides as one word."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from telemetry.formats import names, times
from telemetry.formats.names import Names


class Unreadable(Exception):
    """A value that no trade can have; `reason` says what was expected."""

    def __init__(self, field: str, reason: str, received: object) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason
        self.received = str(received)[:80]


class Fields:
    """Turns records of one file into trades; `tz` is the zone of times that carry none."""

    def __init__(self, tz: str | None, notice: Callable[[str], None]) -> None:
        self._zone = times.Zone(tz, notice)
        self._readers: Mapping[str, Callable[[str, Any], Any]] = {
            **dict.fromkeys(names.TIMES, self._time),
            **dict.fromkeys(names.DECIMALS, _decimal),
            **dict.fromkeys(names.TEXTS, _text),
            **dict.fromkeys(("kind", "action", "liquidity"), _word),
            "side": _side,
            "source_seq": _integer,
            "tags": _tags,
        }

    def trade(self, values: Mapping[str, Any], found: Names) -> dict[str, Any]:
        """The public fields of one trade; what is absent or null is left out. Raises Unreadable."""
        trade: dict[str, Any] = {}
        for field, column in found.fields:
            value = values[column]
            if value is None:
                continue
            if field == "timestamp" and found.date is not None and times.is_clock(value):
                value = f"{values[found.date]} {value.strip()}"
            if field == "fee" and isinstance(value, Mapping):  # ccxt: {"cost": 0.1, "currency": "BNB"}
                _nested_fee(trade, value)
            elif field == "symbol" or not names.is_nothing(value):
                trade[field] = self._readers[field](field, value)
        if trade.get("symbol") == "":
            del trade["symbol"]
        for field in ("price", "quantity"):
            if field not in trade:
                raise Unreadable(field, f"expected a {field}, received nothing", "")
        return trade

    def _time(self, field: str, value: Any) -> int:
        try:
            return times.nanoseconds(value, self._zone)
        except ValueError as error:
            raise Unreadable(field, str(error), value) from error


def _decimal(field: str, value: Any) -> Any:
    """As written: whether it is a number of the permitted size is the gateway's to say."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise Unreadable(field, "expected a decimal number", value)
    return _encodable(field, value if isinstance(value, str) else str(value))


def _text(field: str, value: Any) -> str:
    if isinstance(value, (bool, list, dict)):
        raise Unreadable(field, "expected text", value)
    return _encodable(field, str(value))


def _word(field: str, value: Any) -> str:
    return _text(field, value).casefold()


def _side(field: str, value: Any) -> str:
    side = names.SIDES.get(str(value).strip().casefold())
    if side is None:
        raise Unreadable(field, "expected buy, sell or unknown", value)
    return side


def _integer(field: str, value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.removeprefix("-").isdigit() and len(text) < 21):
        raise Unreadable(field, "expected an integer", value)
    return int(text)


def _tags(field: str, value: Any) -> dict[str, str]:
    try:
        tags = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as error:
        raise Unreadable(field, "expected a flat map of text", value) from error
    if not isinstance(tags, Mapping) or not all(isinstance(tag, str) for tag in tags.values()):
        raise Unreadable(field, "expected a flat map of text", value)
    return {_encodable(field, str(key)): _encodable(field, tag) for key, tag in tags.items()}


def _nested_fee(trade: dict[str, Any], fee: Mapping[str, Any]) -> None:
    if not names.is_nothing(fee.get("cost")):
        trade["fee"] = _decimal("fee", fee["cost"])
        if not names.is_nothing(fee.get("currency")):
            trade["fee_currency"] = _text("fee_currency", fee["currency"])


def _encodable(field: str, text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Unreadable(field, "expected text in UTF-8, received other bytes", ascii(text)) from error
    return text
