"""The reading of a body that decides: the standard library's JSON, trade by trade, all errors with index and field.

It is slow and is used for small bodies and wherever the fast reading has a doubt. Nothing but InvalidInput leaves it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from telemetry.errors import InvalidInput
from telemetry.trade import FieldError, InvalidTrade, Number, Trade, parse_trade, printable

Media = Literal["json", "lines"]

MAX_TRADES = 50_000
MAX_DEPTH = 8  # a trade with tags in an array has 3
MAX_ERRORS = 100
MAX_VALUES = 128  # commas a trade; 23 fields and tags of 512 bytes stay below
_SCAN_BYTES = 1 << 20
LINE = re.compile(rb"[^ \t\r\n][^\n]*")  # from the first character that is not white space: never a blank line
_ARRAY = re.compile(rb"[ \t\r\n]*\[")


class Repeated(dict[str, object]):
    """An object in which a name came more than once, which plain JSON readers let pass; `pairs` has all of them."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs

    def errors(self) -> Iterator[tuple[str, str]]:
        """Each repeated name with the values that it had."""
        for name in self:
            values = [printable(value) for key, value in self.pairs if key == name]
            if len(values) > 1:
                yield printable(name), printable(" and ".join(values[:4]))


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else Repeated(pairs)


_json = json.JSONDecoder(object_pairs_hook=_object, parse_float=Number, parse_int=Number, parse_constant=Number)


def read_items(body: bytes, media: Media) -> list[object]:
    """What stands in the body, one item for each trade. Raises InvalidInput for what is no JSON or too much of it."""
    try:
        return _read_lines(body) if media == "lines" else _read_array(body)
    except UnicodeDecodeError as error:
        raise unparsable(
            f"expected UTF-8, received byte {error.object[error.start]:#04x} at byte {error.start}"
        ) from None
    except RecursionError:
        raise unparsable(f"expected JSON nested at most {MAX_DEPTH} deep") from None


def unparsable(detail: str) -> InvalidInput:
    """400: no index and field to name."""
    return InvalidInput(detail, problem="not-parsable")


def too_many() -> InvalidInput:
    """413 for the number of trades."""
    return InvalidInput(f"expected at most {MAX_TRADES:,} trades in a body, received more", problem="too-large")


def refuse_bombs(body: bytes, media: Media) -> None:
    """Finds too many trades, too deep nesting, too many values before anything is built. Raises InvalidInput."""
    if len(body) < 2 * MAX_TRADES:
        return
    lines = 0
    if media == "lines":
        for lines, _ in enumerate(LINE.finditer(body), 1):
            if lines > MAX_TRADES:
                raise too_many()
    _scan(body, lines)


def _scan(body: bytes, lines: int) -> None:
    """Brackets and commas outside strings, a mebibyte at a time: memory stays small, a bomb ends it early."""
    is_array = not lines and _ARRAY.match(body) is not None
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    inside, depth, elements, commas = False, 0, 1, 0
    for start in range(0, len(plain), _SCAN_BYTES):
        characters = np.frombuffer(plain, np.uint8, min(_SCAN_BYTES, len(plain) - start), start)
        marked = characters[_IS_MARK[characters]]
        quotes = marked == ord('"')
        quoted = np.logical_xor.accumulate(np.concatenate(([inside], quotes)))
        inside = bool(quoted[-1])
        marked = marked[~quoted[1:] & ~quotes]
        depths = np.cumsum(_DEPTH[marked], dtype=np.int64) + depth
        depth = int(depths[-1]) if len(depths) else depth
        if depths.max(initial=0) > MAX_DEPTH:
            raise unparsable(f"expected JSON nested at most {MAX_DEPTH} deep")
        is_comma = marked == ord(",")
        commas += int(np.count_nonzero(is_comma))
        elements += int(np.count_nonzero(is_comma & (depths == 1))) if is_array else 0
        if elements > MAX_TRADES:
            raise too_many()
    if commas > MAX_VALUES * max(lines, elements):
        raise unparsable(f"expected at most {MAX_VALUES} values in a trade")


_IS_MARK = np.isin(np.arange(256), np.frombuffer(b'"[]{},', np.uint8))
_DEPTH = np.zeros(256, np.int8)
_DEPTH[[ord("["), ord("{")]] = 1
_DEPTH[[ord("]"), ord("}")]] = -1


def _read_array(body: bytes) -> list[object]:
    value = _parse(str(body, "utf-8"))
    items = value if isinstance(value, list) else [value]
    if len(items) > MAX_TRADES:
        raise too_many()
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:  # else it cannot be deep
        _refuse_depth(items, 1 if isinstance(value, list) else 0)
    return items


def _read_lines(body: bytes) -> list[object]:
    str(body, "utf-8")  # also what stands between the lines
    items: list[object] = []
    for match in LINE.finditer(body):
        if len(items) == MAX_TRADES:
            raise too_many()
        try:
            items.append(_parse(str(match[0], "utf-8")))
        except InvalidInput as error:
            raise unparsable(f"line {body.count(10, 0, match.start()) + 1}: {error.detail}") from None
    _refuse_depth(items, 0)
    return items


def _parse(text: str) -> object:
    if text.startswith("\ufeff"):
        raise unparsable("expected JSON, received a byte order mark")
    try:
        return _json.decode(text)
    except json.JSONDecodeError as error:
        raise unparsable(f"expected JSON: {error.msg} at character {error.pos}") from None


def _refuse_depth(items: Sequence[object], above: int) -> None:
    for item in items:
        if _deeper(item, MAX_DEPTH - above):
            raise unparsable(f"expected JSON nested at most {MAX_DEPTH} deep")


def _deeper(value: object, levels: int) -> bool:
    """Whether containers nest more than `levels` deep."""
    if not isinstance(value, (dict, list)):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(isinstance(item, (dict, list)) and _deeper(item, levels - 1) for item in inner)


def parse_items(
    items: Sequence[object], received_at: int, first: int = 0
) -> tuple[list[Trade], list[bool], list[dict[str, Any]]]:
    """Trades, whether each had a timestamp, and at most MAX_ERRORS errors; `first` is the index of the first item."""
    trades, given, errors = [], [], []
    for index, item in enumerate(items, first):
        try:
            trades.append(_trade(item, received_at))
            given.append(item.get("timestamp") is not None)  # type: ignore[attr-defined]  # a dict, else refused
        except InvalidTrade as error:
            errors += [{"index": index, **entry._asdict()} for entry in error.errors]
            if len(errors) >= MAX_ERRORS:
                break
    return trades, given, errors[:MAX_ERRORS]


def _trade(item: object, received_at: int) -> Trade:
    if not isinstance(item, dict):
        raise InvalidTrade([FieldError("", "expected an object", printable(item))])
    repeated = list(item.errors()) if isinstance(item, Repeated) else []
    if isinstance(tags := item.get("tags"), Repeated):
        repeated += [(f"tags.{name}", received) for name, received in tags.errors()]
    if not repeated:
        return parse_trade(item, received_at)
    errors = [FieldError(name, "expected each name once", received) for name, received in repeated]
    try:
        parse_trade(item, received_at)
    except InvalidTrade as error:
        errors += error.errors
    raise InvalidTrade(errors)
