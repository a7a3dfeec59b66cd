"""Query parameters as values. What is misspelt, repeated or out of range is refused, never ignored."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from gateway.reading.figures import Filter
from gateway.reading.windows import instant_of
from telemetry.errors import InvalidInput

REPEATABLE = ("symbol", "venue", "kind")


def whole(value: Any) -> Any:
    """A number in digits; raises ValueError."""
    if isinstance(value, str) and not re.fullmatch("[0-9]{1,9}", value):
        raise ValueError("expected a whole number in digits")
    return value


def only(given: Iterable[tuple[str, str]], names: str, repeatable: Collection[str] = REPEATABLE) -> None:
    """Raise InvalidInput unless all parameters are among `names`, each once when it is not repeatable."""
    for name, times in Counter(name for name, _ in given).items():
        if times > 1 and name not in repeatable:
            raise InvalidInput(f"{name[:40]!a}: expected it once, received it {times} times")
        if name not in names.split():
            expected = f"expected the parameters {names}" if names else "expected no parameters"
            raise InvalidInput(f"{expected}, received {name[:40]!a}")


def filter_of(symbols: list[str] | None, venues: list[str] | None, kinds: list[str] | None) -> Filter:
    """The filter that these parameters make."""
    check_kinds("kind", kinds or ())
    return Filter(tuple(symbols or ()), tuple(venues or ()), tuple(kinds or ()))


def check_kinds(name: str, kinds: Iterable[str]) -> None:
    """Raise InvalidInput unless all are kinds of trades."""
    for kind in kinds:
        if kind not in ("fill", "print"):
            raise InvalidInput(f"{name}: expected fill or print, received {kind[:40]!a}")


def instant(name: str, text: str | None) -> int | None:
    """UTC ns of a parameter."""
    try:
        return None if text is None else instant_of(text, None, 0)
    except InvalidInput as error:
        raise InvalidInput(f"{name}{error.detail.removeprefix('at')}") from None


def ends_before(end: str | None, cursor: str | None) -> int | None:
    """Where candles end: at `end`, and on a further page at the cursor."""
    given = [at for at in (instant("end", end), instant("cursor", cursor)) if at is not None]
    return min(given, default=None)
